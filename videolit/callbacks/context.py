"""The task and the data of a run, with their types: Lightning's own attributes have none."""

from __future__ import annotations

from typing import cast

import lightning.pytorch as pl

from videolit.data.action import ActionDataModule
from videolit.tasks.action import ActionTask


def task_of(module: pl.LightningModule) -> ActionTask:
    """Return a run's module as the task that it is."""
    return cast("ActionTask", module)


def data_of(trainer: pl.Trainer) -> ActionDataModule:
    """Return a run's DataModule."""
    return cast("ActionDataModule", trainer.datamodule)  # type: ignore[attr-defined]


def callbacks_of(trainer: pl.Trainer) -> list[pl.Callback]:
    """Return a run's callbacks."""
    return cast("list[pl.Callback]", trainer.callbacks)  # type: ignore[attr-defined]
