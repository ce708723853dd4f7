"""What the libraries say on the command line, less what no user needs to read."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

# Lightning's adverts, and its remarks on choices that videolit makes on purpose.
SILENCED_WARNINGS = (
    # Tests and the demo call the command line from Python.
    r"LightningCLI's args parameter is intended",
    # The sampler shares out samples itself and marks repeats.
    r".*Using `DistributedSampler` with the dataloaders",
    # Frozen encoders stay in evaluation mode.
    r".*module\(s\) in eval mode at the start of training",
    # videolit chooses the number by the free cores, at most 8.
    r".*does not have many workers",
    # Small data sets have few batches.
    r".*The number of training batches .* is smaller than the logging interval",
    r".*Checkpoint directory .* exists and is not empty",
    r".*Experiment logs directory .* exists and is not empty",
    # Verbs that follow a training have log folders of their own.
    r".*The dirpath has changed from .*/(test|validate|predict)_\d+/",
    # Metrics are synchronised by torchmetrics.
    r".*It is recommended to use `self.log\(.*sync_dist=True\)`",
    # Lightning 2.6 with torch 2.14.
    r".*`isinstance\(treespec, LeafSpec\)` is deprecated",
)
SILENCED_REMARKS = (
    "Tip:",
    "GPU available:",
    "TPU available:",
    "Loading `train_dataloader` to estimate",
    "Restoring states from the checkpoint path",
    "Seed set to",
)


def quieten() -> None:
    """Leave what a user needs to read, on the command line."""
    for message in SILENCED_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.seed"):
        logging.getLogger(name).addFilter(_is_news)
    # It tells of every title whose letters no bold font has.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    warnings.formatwarning = _plain_warning


def _is_news(record: logging.LogRecord) -> bool:
    return not any(remark in record.getMessage() for remark in SILENCED_REMARKS)


def _plain_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """Write a warning of videolit for its user, any other for whoever must find its origin."""
    if "videolit" in Path(filename).parts:
        return f"videolit: warning: {message}\n"
    return f"{filename}:{lineno}: {category.__name__}: {message}\n"
