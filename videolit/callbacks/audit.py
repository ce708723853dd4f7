"""Does a model use time? Scores on clips whose time was taken away or turned round."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from videolit.callbacks.context import task_of
from videolit.callbacks.evaluation import card_path
from videolit.metrics import SampleScores
from videolit.ops import time
from videolit.ops.files import atomic_path
from videolit.types import InputError, VideoBatch

KINDS = ("frozen", "shuffled", "reversed")


class TemporalAudit(pl.Callback):
    """Test a model once more on frozen, shuffled and reversed clips.

    *Frozen*: the middle frame repeated, what one frame tells. *Shuffled*: the same frames in
    another order. *Reversed*: the same order backwards. The true label stays, so an action whose
    reverse is another action should be missed when reversed.

    Attributes:
        result: After a test, what :func:`audit_result` returns, and ``per_class``: the accuracy of
            each class on unchanged, frozen, shuffled and reversed clips.
    """

    def __init__(self) -> None:
        self.result: dict[str, Any] = {}
        self._per_class: dict[str, dict[str, float]] = {}
        self._stores: dict[str, SampleScores] = {}
        self._path: Path | None = None

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start over."""
        task = task_of(pl_module)
        if task.multi_label:
            raise InputError("--audit compares accuracies, which several labels a clip do not have")
        classes = len(task.class_names or ())
        self._stores = {kind: SampleScores(classes).to(pl_module.device) for kind in KINDS}

    @torch.inference_mode()
    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: VideoBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Score the changed clips of a batch."""
        task, keep = task_of(pl_module), batch["sample_mask"]
        index, label = batch["index"][keep], task.labels(batch)[keep]
        # In the precision of the test: the unchanged clips were scored in it.
        with trainer.precision_plugin.test_step_context():
            for kind, store in self._stores.items():
                scores = task.probabilities(_change(kind, batch), batch["mask"])
                store.update(index, label, scores[keep])

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Gather the scores of all processes."""
        self._path = card_path(trainer, "audit")
        task = task_of(pl_module)
        scores = {"unchanged": task.test_samples.compute()}
        scores |= {kind: store.compute() for kind, store in self._stores.items()}
        for kind in KINDS:
            pl_module.log(f"test/accuracy_{kind}", _hits(scores[kind]).mean())
        self._per_class = {
            name: {
                kind: float(_hits(found)[found[1] == label].mean())
                for kind, found in scores.items()
            }
            for label, name in enumerate(task.class_names or ())
            if (scores["unchanged"][1] == label).any()
        }

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the audit and say its sentence."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.result = audit_result(
            metrics["test/accuracy"],
            {kind: metrics[f"test/accuracy_{kind}"] for kind in KINDS},
            metrics.get("test/majority", 1 / len(task_of(pl_module).class_names or (0,))),
        )
        self.result["per_class"] = self._per_class
        if trainer.is_global_zero:
            assert self._path is not None
            with atomic_path(self._path) as part:
                part.write_text(json.dumps(self.result, indent=2) + "\n")
            print(f"Temporal audit: {self.result['sentence']}")


def audit_result(accuracy: float, changed: dict[str, float], baseline: float) -> dict[str, Any]:
    """Put an audit into numbers and a sentence.

    Args:
        accuracy: On the clips as they are, in [0, 1].
        changed: Accuracy on ``frozen``, ``shuffled`` and ``reversed`` clips.
        baseline: Accuracy without looking: the majority class.

    Returns:
        ``accuracy``, one entry per change, ``baseline``, ``lost`` (per change, the share of the
        accuracy above the baseline that it costs, in [0, 1]) and ``sentence``.
    """
    above = accuracy - baseline
    lost = {
        kind: min(max((accuracy - value) / above, 0.0), 1.0) if above > 0 else 0.0
        for kind, value in changed.items()
    }
    result = {"accuracy": accuracy, **changed, "baseline": baseline, "lost": lost}
    if above < 0.05:
        sentence = (
            f"the accuracy ({accuracy:.3f}) hardly exceeds the baseline ({baseline:.3f}), so there "
            "is nothing to audit."
        )
    else:
        order = max(lost["shuffled"], lost["reversed"])
        if order >= 0.5:
            verdict = "the model depends on the order of the frames"
        elif order >= 0.15:
            verdict = "the model uses the order of the frames for a part of its answers"
        elif lost["frozen"] >= 0.15:
            verdict = "the model uses several frames but hardly their order"
        else:
            verdict = "the model hardly uses time: single frames tell it nearly as much"
        sentence = (
            f"{verdict}. Of the {above:.3f} by which its accuracy ({accuracy:.3f}) exceeds the "
            f"baseline ({baseline:.3f}), frozen clips cost {lost['frozen']:.0%}, shuffled ones "
            f"{lost['shuffled']:.0%}, reversed ones {lost['reversed']:.0%}."
        )
    return {**result, "sentence": sentence}


def _hits(found: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Return 1.0 where the likeliest class is the true one, of index, label and scores."""
    _, label, scores = found
    return (scores.argmax(-1) == label).float()


def _change(kind: str, batch: VideoBatch) -> Tensor:
    """Return a batch's clips with their time changed; views are changed each on its own."""
    video, mask = batch["video"], batch["mask"]
    views = video.shape[1] if video.ndim == 6 else 1
    if video.ndim == 6:
        video, mask = video.flatten(0, 1), mask.flatten(0, 1)
    if kind == "frozen":
        changed = time.freeze(video, mask)
    elif kind == "reversed":
        changed = time.reverse(video, mask)
    else:
        # Each sample's own permutation, the same in every run.
        seeds = batch["index"].repeat_interleave(views)
        changed = time.shuffle(video, mask, seeds)
    return changed.view_as(batch["video"])
