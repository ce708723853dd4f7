"""What a run says in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import lightning.pytorch as pl
import numpy as np
from lightning.pytorch.callbacks import RichProgressBar
from numpy.typing import NDArray

from videolit.callbacks.context import callbacks_of
from videolit.callbacks.wait import DataWait
from videolit.data.action import ActionDataModule
from videolit.data.sentiment import SentimentDataModule
from videolit.data.summary import SummaryDataModule
from videolit.tasks.base import VideoTask

_MOST_CLASSES = 10


class RunProgress(RichProgressBar):
    """Lightning's bar with the wait for data and without the number of the run."""

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Return what the bar shows beside the progress."""
        items = super().get_metrics(trainer, pl_module)
        items.pop("v_num", None)
        waits = [c.share for c in callbacks_of(trainer) if isinstance(c, DataWait)]
        if waits and waits[0] is not None and trainer.training:
            items["data wait"] = f"{waits[0]:.0%}"
        return {name.removeprefix("train/").replace("_step", ""): v for name, v in items.items()}


class RunSummary(pl.Callback):
    """Say in a few lines what is about to be trained, on what, and where the log goes."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the lines."""
        # All processes must ask for the folder: it is agreed between them.
        folder = trainer.log_dir or trainer.default_root_dir
        if not trainer.is_global_zero:
            return
        sizes = [(p.numel(), p.requires_grad) for p in pl_module.parameters()]
        total, trained = sum(n for n, _ in sizes), sum(n for n, grad in sizes if grad)
        held = pl_module.parts() if isinstance(pl_module, VideoTask) else {}
        parts = " + ".join(type(part).__name__ for part in held.values() if part is not None)
        print(f"Model:  {parts}, {_count(total)} parameters, {_count(trained)} of them trained")
        told = _data_line(trainer)
        if told:
            print(f"Data:   {told}")
        for note in _notes(trainer):
            print(f"Note:   {note}")
        device = pl_module.device.type
        epochs = trainer.max_epochs
        length = f"{epochs} epochs" if epochs and epochs > 0 else f"{trainer.max_steps} steps"
        print(
            f"Run:    {length} on {trainer.world_size} × {device}, precision "
            f"{trainer.precision}; log in {folder}"
        )


def _data_line(trainer: pl.Trainer) -> str:
    """Return what is trained on, ``""`` where the data does not tell."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    if isinstance(data, SummaryDataModule):
        about = data.describe("train")
        train, val = about["num_samples"], len(data.records("val"))
        return (
            f"{train} training and {val} validation videos, {about['division']}; "
            f"{about['protocol']}"
        )
    if isinstance(data, SentimentDataModule):
        about = data.describe("train")
        train, val = about["num_samples"], len(data.part("val"))
        classes = _classes(data.class_names, data.part("train").labels())
        return (
            f"{classes}{train} training and {val} validation utterances, split "
            f"{about['division']}; {about['protocol']}"
        )
    if isinstance(data, ActionDataModule) and len(data.class_names) > 0:
        train, val = len(data.manifest("train")), len(data.manifest("val"))
        return (
            f"{len(data.class_names)} classes, {train} training and {val} validation samples; "
            f"{data.clip_spec.describe()}"
        )
    return ""


def _notes(trainer: pl.Trainer) -> list[str]:
    """Return what may be wrong with the data."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    return data.doubts() if isinstance(data, SentimentDataModule) else []


def _classes(names: Sequence[str], labels: NDArray[np.int64]) -> str:
    """Name the classes and how many samples each has, ``""`` without any."""
    if not names:
        return ""
    counts = np.bincount(labels[labels >= 0], minlength=len(names)).tolist()
    told = [f"{name} {count}" for name, count in zip(names, counts, strict=True)]
    more = f", {len(told) - _MOST_CLASSES} more" if len(told) > _MOST_CLASSES else ""
    return f"{len(names)} classes ({', '.join(told[:_MOST_CLASSES])}{more}), "


def _count(number: int) -> str:
    """Write a number as people say it: 11.2 M, 247 k."""
    if number >= 10**6:
        return f"{number / 10**6:.1f} M"
    return f"{number / 1000:.0f} k" if number >= 1000 else str(number)
