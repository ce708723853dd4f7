"""How much of the training's time goes into waiting for data."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero_warn

from videolit.callbacks.context import data_of
from videolit.data.sentiment import SentimentDataModule
from videolit.data.summary import SummaryDataModule
from videolit.ops.cores import usable_cores

# Below this share there is nothing to gain; the loop itself takes about as much of short steps.
WORTH_A_WARNING = 0.1
# The first batches of an epoch wait for processes to start, which says nothing about the rest.
_STARTING = 3
_LEAST_SECONDS = 10.0


class DataWait(pl.Callback):
    """Measure the share of time between steps, in which the model waits for the next batch.

    It is shown in the progress bar, logged as ``data/wait`` once an epoch, and warned of once when
    it is above a tenth after the first epoch, in which files are verified once and for all.
    Validation does not count.

    Attributes:
        share: Of the current epoch, in [0, 1]; None until enough steps were seen.
        overall: Of all epochs so far, likewise.
    """

    def __init__(self) -> None:
        self.share: float | None = None
        self.overall: float | None = None
        self._waited = self._worked = 0.0
        self._all_waited = self._all_worked = 0.0
        self._seen = 0
        self._mark: float | None = None
        self._has_warned = False

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start anew."""
        self.share = None
        self._waited = self._worked = 0.0
        self._seen = 0
        self._mark = None

    def on_train_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,  # noqa: ANN401 - Lightning's
        batch_idx: int,
    ) -> None:
        """End of a wait."""
        now = time.perf_counter()
        if self._mark is not None and self._seen > _STARTING:
            self._waited += now - self._mark
        self._mark = now

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401 - Lightning's
        batch: Any,  # noqa: ANN401 - Lightning's
        batch_idx: int,
    ) -> None:
        """Begin of a wait."""
        now = time.perf_counter()
        self._seen += 1
        if self._mark is not None and self._seen > _STARTING:
            self._worked += now - self._mark
            self.share = self._waited / (self._waited + self._worked)
        self._mark = now

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """What follows until the next step is no waiting."""
        self._mark = None

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the share, and warn where it is worth it."""
        if self.share is None:
            return
        pl_module.log("data/wait", self.share, rank_zero_only=True)
        seconds = self._waited + self._worked
        self._all_waited += self._waited
        self._all_worked += self._worked
        self.overall = self._all_waited / (self._all_waited + self._all_worked)
        is_little = self.share <= WORTH_A_WARNING or seconds < _LEAST_SECONDS
        if self._has_warned or is_little or trainer.current_epoch == 0:
            return
        self._has_warned = True
        rank_zero_warn(
            f"{self.share:.0%} of this epoch's time was spent waiting for data. "
            f"Things to try, in this order: {'; '.join(self._advice(trainer))}."
        )

    def _advice(self, trainer: pl.Trainer) -> list[str]:
        data = data_of(trainer)
        if isinstance(data, SummaryDataModule):
            return _summary_advice(data, usable_cores() // trainer.num_devices)
        if isinstance(data, SentimentDataModule):
            cores = usable_cores() // trainer.num_devices
            smaller = "fewer or smaller frames (--data.clip.fps, --data.clip.size)"
            return [*_more_workers(data.worker_count(), cores), smaller]
        things = []
        if data is not None and not data.is_prepared:
            things.append(
                f"store the videos as frames (videolit prepare {data.root} --out DIR, then "
                "--data.root DIR)"
            )
        if data is not None:
            things += _more_workers(data.worker_count(), usable_cores() // trainer.num_devices)
        things.append("fewer or smaller frames (--data.clip.num_frames, --data.clip.size)")
        return things


def _summary_advice(data: SummaryDataModule, cores: int) -> list[str]:
    """Return what makes whole videos load faster, the most effective first."""
    things = []
    if data.clip_spec is not None:
        things.append(
            f"store features instead of reading videos (videolit features {data.root} --out "
            "features.h5, then --config summary/features_transformer --data.root features.h5)"
        )
    things += _more_workers(data.worker_count(), cores)
    things.append("shorter stretches of long videos (--data.max_steps)")
    if data.clip_spec is not None:
        things.append("fewer or smaller frames (--data.clip.fps, --data.clip.size)")
    return things


def _more_workers(workers: int, cores: int) -> list[str]:
    if workers >= cores:
        return []
    return [f"more loading processes (--data.num_workers {cores}; now {workers} on {cores} cores)"]
