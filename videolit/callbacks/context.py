"""The task and the data of a run, with their types: Lightning's own attributes have none."""

from __future__ import annotations

from typing import cast

import lightning.pytorch as pl

from videolit.data.action import ActionDataModule
from videolit.data.module import VideoDataModule
from videolit.data.sentiment import SentimentDataModule
from videolit.data.summary import SummaryDataModule
from videolit.tasks.action import ActionTask
from videolit.tasks.sentiment import SentimentTask
from videolit.tasks.summary import SummaryTask


def task_of(module: pl.LightningModule) -> ActionTask:
    """Return a run's module as the action task that it is."""
    return cast("ActionTask", module)


def data_of(trainer: pl.Trainer) -> ActionDataModule:
    """Return the DataModule of an action run."""
    return cast("ActionDataModule", trainer.datamodule)  # type: ignore[attr-defined]


def summary_task_of(module: pl.LightningModule) -> SummaryTask:
    """Return a run's module as the summary task that it is."""
    return cast("SummaryTask", module)


def summary_data_of(trainer: pl.Trainer) -> SummaryDataModule:
    """Return the DataModule of a summary run."""
    return cast("SummaryDataModule", trainer.datamodule)  # type: ignore[attr-defined]


def sentiment_task_of(module: pl.LightningModule) -> SentimentTask:
    """Return a run's module as the sentiment task that it is."""
    return cast("SentimentTask", module)


def sentiment_data_of(trainer: pl.Trainer) -> SentimentDataModule:
    """Return the DataModule of a sentiment run."""
    return cast("SentimentDataModule", trainer.datamodule)  # type: ignore[attr-defined]


def video_data_of(trainer: pl.Trainer) -> VideoDataModule | None:
    """Return a run's DataModule if it is one of videolit's, None otherwise."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    return data if isinstance(data, VideoDataModule) else None


def callbacks_of(trainer: pl.Trainer) -> list[pl.Callback]:
    """Return a run's callbacks."""
    return cast("list[pl.Callback]", trainer.callbacks)  # type: ignore[attr-defined]
