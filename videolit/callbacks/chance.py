"""A warning when training does not get off the ground."""

from __future__ import annotations

import math

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero_warn


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
        self._has_warned = False

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start over."""
        self._best, self._has_warned = 0.0, False

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the accuracy, and warn when it is time to."""
        metrics = trainer.callback_metrics
        if trainer.sanity_checking or "val/accuracy" not in metrics:
            return
        self._majority = float(metrics.get("val/majority", 0.0))
        samples = len(trainer.val_dataloaders.dataset)
        deviation = math.sqrt(self._majority * (1 - self._majority) / max(samples, 1))
        self._limit = self._majority + 1.96 * deviation
        self._best = max(self._best, float(metrics["val/accuracy"]))
        epochs = trainer.max_epochs or 0
        done = trainer.current_epoch + 1
        if epochs > 0 and done == max(math.ceil(epochs * self.share), 2):
            self._warn(f"after epoch {done} of {epochs}")

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look again at the end."""
        # One or two epochs are a trial, not a training.
        if trainer.current_epoch > 2:
            self._warn("at the end of training")

    def _warn(self, when: str) -> None:
        if self._best > self._limit:
            return
        message = (
            f"still at chance {when}: the best validation accuracy is {self._best:.3f}, and always "
            f"answering the most frequent class gives {self._majority:.3f}."
        )
        if not self._has_warned:
            message += (
                " Things to try, in this order: see whether it can learn one batch by heart "
                "(--trainer.overfit_batches 1); train on motion (--model.encoder.init_args.motion "
                "difference); another learning rate, ten times higher or lower; check the labels; "
                "more frames or a longer clip."
            )
        self._has_warned = True
        rank_zero_warn(message)
