"""A warning when training does not get off the ground."""

from __future__ import annotations

import math

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero_warn

from videolit.callbacks.context import data_of, task_of

# Fewer are a trial, not a training.
LEAST_EPOCHS = 2


class ChanceWarning(pl.Callback):
    """Warn when the validation accuracy is still no better than the majority baseline.

    It looks once a third of the epochs is done, and again at the end. The accuracy counts as no
    better while it stays below the baseline's 97.5 % quantile for as many samples (binomial, normal
    approximation).

    Args:
        share: Share of all epochs after which to look for the first time.
    """

    def __init__(self, share: float = 1 / 3) -> None:
        self.share = share
        self._best = 0.0
        self._limit = 0.0
        self._majority = 0.0
        self._has_looked = False
        self._has_warned = False

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start over."""
        self._best, self._has_looked, self._has_warned = 0.0, False, False

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the accuracy, and warn when it is time to."""
        metrics = trainer.callback_metrics
        if trainer.sanity_checking or "val/accuracy" not in metrics:
            return
        self._majority = float(metrics.get("val/majority", 0.0))
        samples = len(data_of(trainer).manifest("val"))
        deviation = math.sqrt(self._majority * (1 - self._majority) / max(samples, 1))
        self._limit = self._majority + 1.96 * deviation
        self._best = max(self._best, float(metrics["val/accuracy"]))
        epochs = trainer.max_epochs or 0
        done = trainer.current_epoch + 1
        due = done >= max(math.ceil(epochs * self.share), LEAST_EPOCHS)
        if epochs > LEAST_EPOCHS and due and not self._has_looked:
            self._has_looked = True
            self._warn(f"after epoch {done} of {epochs}", pl_module)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look again at the end."""
        # Several labels a clip have no accuracy.
        if trainer.current_epoch > LEAST_EPOCHS and not task_of(pl_module).multi_label:
            self._warn("at the end of training", pl_module)

    def _warn(self, when: str, task: pl.LightningModule) -> None:
        if self._best > self._limit:
            return
        message = (
            f"still at chance {when}: the best validation accuracy is {self._best:.3f}, and always "
            f"answering the most frequent class gives {self._majority:.3f}."
        )
        if not self._has_warned:
            things = ["see whether it can learn one batch by heart (--trainer.overfit_batches 1)"]
            if task_of(task).encoder.motion == "rgb":
                option = "--model.encoder.init_args.motion difference"
                things.append(f"train on motion instead of colour ({option})")
            things += [
                "another learning rate, ten times higher or lower",
                "look at the labels",
                "more frames or a longer clip",
            ]
            message += f" Things to try, in this order: {'; '.join(things)}."
        self._has_warned = True
        rank_zero_warn(message)
