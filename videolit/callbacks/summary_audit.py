"""Does a summary model use time? Its scores of videos whose steps were put into another order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from videolit.callbacks.context import summary_task_of
from videolit.callbacks.evaluation import card_path, write_card
from videolit.metrics import VideoFigures
from videolit.metrics.summary_video import FIGURES, video_figures
from videolit.ops import time
from videolit.types import SummaryBatch

KINDS = ("shuffled", "reversed")
# Less of the unchanged tau than this says nothing about what was lost.
_LEAST_TAU = 0.05


class SummaryAudit(pl.Callback):
    """Test a model once more on shuffled and reversed videos.

    Each step keeps its picture, or its stored feature, and its annotators; only the order in which
    the model sees the steps is another. The scores are put back in order before they are compared.
    A model of single steps answers the same. Writes ``audit-<data>-<split hash>.json``.

    Attributes:
        result: After a test, what :func:`order_result` returns.
    """

    def __init__(self) -> None:
        self.result: dict[str, Any] = {}
        self._figures: dict[str, VideoFigures] = {}
        self._means: dict[str, dict[str, float]] = {}
        self._path: Path | None = None

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start over."""
        self._figures = {kind: VideoFigures(FIGURES).to(pl_module.device) for kind in KINDS}

    @torch.inference_mode()
    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: SummaryBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Score the changed videos of a batch."""
        task, mask = summary_task_of(pl_module), batch["mask"]
        places = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
        for kind, figures in self._figures.items():
            if kind == "reversed":
                video, source = time.reverse(batch["video"], mask), time.reverse(places, mask)
            else:
                # Each video's own permutation, the same in every run.
                video = time.shuffle(batch["video"], mask, batch["index"])
                source = time.shuffle(places, mask, batch["index"])
            # In the precision of the test: the unchanged videos were scored in it.
            with trainer.precision_plugin.test_step_context():
                changed = task.scores(video, mask)
            scores = torch.zeros_like(changed).scatter(1, source, changed)
            for row, truth in enumerate(batch["truth"]):
                if bool(batch["sample_mask"][row]):
                    steps = int(mask[row].sum())
                    found = video_figures(scores[row, :steps].double().cpu().numpy(), truth)
                    values = torch.tensor([[found[name] for name in FIGURES]])
                    figures.update(batch["index"][row : row + 1], values)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Gather the figures of all processes."""
        self._path = card_path(trainer, "audit")
        self._means = {"unchanged": summary_task_of(pl_module).test_figures.means()}
        self._means |= {kind: figures.means() for kind, figures in self._figures.items()}

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the audit and say its sentence."""
        if not trainer.is_global_zero:
            return
        assert self._path is not None
        self.result = order_result(self._means)
        write_card(self._path, self.result)
        print(f"Temporal audit: {self.result['sentence']}")


def order_result(means: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Put an audit into numbers and a sentence.

    Args:
        means: ``tau``, ``rho`` and ``f1`` of ``unchanged``, ``shuffled`` and ``reversed`` videos;
            NaN where the data does not tell.

    Returns:
        These figures (None in place of NaN), ``lost`` (for ``shuffled`` and ``reversed`` the share
        of tau that it costs; below 0 where it helps; None where tau says too little) and
        ``sentence``.
    """
    figures = {
        kind: {name: None if found[name] != found[name] else found[name] for name in FIGURES[:3]}
        for kind, found in means.items()
    }
    tau = means["unchanged"]["tau"]
    if not tau >= _LEAST_TAU:
        sentence = f"tau is {tau:.3f}, about what random scores get: there is nothing to audit."
        return {**figures, "lost": None, "sentence": sentence}
    lost = {kind: (tau - means[kind]["tau"]) / tau for kind in KINDS}
    most = max(lost.values())
    if most >= 0.5:
        verdict = "the model depends on the order of the steps"
    elif most >= 0.15:
        verdict = "the model uses the order of the steps for a part of its scores"
    else:
        verdict = "the model hardly uses the order: single steps, or all of them, tell it as much"
    told = ", ".join(
        f"{kind} videos {means[kind]['tau']:.3f} ({-lost[kind]:+.0%})" for kind in KINDS
    )
    sentence = f"{verdict}. Tau is {tau:.3f}; with {told}."
    return {**figures, "lost": lost, "sentence": sentence}
