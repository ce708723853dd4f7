"""The best epoch by the test split, which no honest result may choose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from videolit.callbacks.context import summary_data_of, summary_task_of
from videolit.callbacks.evaluation import write_card
from videolit.callbacks.summary_card import mean_of
from videolit.data.summary_samples import collate_summaries
from videolit.metrics.summary_video import video_figures
from videolit.tasks.summary import SummaryTask

# What papers choose the epoch by.
NAMES = ("tau", "rho", "f1")


class OracleEpoch(pl.Callback):
    """Measure the test split after each epoch, without any effect on the training.

    Most published numbers are those of the epoch with the best result on the test split. This
    tells what such a choice would report, beside the honest figure; nothing is logged, so that no
    checkpoint can be chosen by it. Writes ``oracle.json`` into the log folder.

    Attributes:
        result: ``epochs``, the means over test videos after each epoch, and for each figure its
            ``best`` and the ``epoch`` of it.
    """

    def __init__(self) -> None:
        self.result: dict[str, Any] = {}
        self._epochs: list[dict[str, float | None]] = []
        self._folder = Path()

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start over."""
        self._epochs = []
        self._folder = Path(trainer.log_dir or trainer.default_root_dir)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure the test split; one process does."""
        if not trainer.is_global_zero:
            return
        task, data = summary_task_of(pl_module), summary_data_of(trainer).dataset("test")
        videos: list[dict[str, float | None]] = []
        with at_rest(task), trainer.precision_plugin.val_step_context():
            for number in range(len(data)):
                batch = collate_summaries([data[number]])
                if not bool(batch["sample_mask"][0]):
                    continue
                scores = task.scores(batch["video"].to(task.device), batch["mask"].to(task.device))
                found = video_figures(scores[0].double().cpu().numpy(), batch["truth"][0])
                videos.append({n: found[n] if found[n] == found[n] else None for n in NAMES})
        self._epochs.append({name: mean_of(videos, name) for name in NAMES})

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find the best epochs and write them."""
        if not trainer.is_global_zero:
            return
        self.result = {"epochs": self._epochs}
        for name in NAMES:
            values = [(e[name], n) for n, e in enumerate(self._epochs)]
            known = [(value, -number) for value, number in values if value is not None]
            if known:
                best, number = max(known)
                self.result[name] = {"best": best, "epoch": -number}
        write_card(self._folder / "oracle.json", self.result)


@contextmanager
def at_rest(task: SummaryTask) -> Iterator[None]:
    """Compute without gradients, dropout and chance; put the mode of each module back."""
    modes = [(module, module.training) for module in task.modules()]
    devices = [task.device] if task.device.type == "cuda" else []
    try:
        task.eval()
        with torch.random.fork_rng(devices), torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
