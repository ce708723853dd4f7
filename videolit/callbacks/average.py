"""The average of the last epochs' weights."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import WeightAveraging

from videolit.types import InputError


class LastEpochsAverage(WeightAveraging):
    """Average the weights after each of the last epochs (SWA, Izmailov et al. 2018).

    The average is what is validated, saved and tested, BatchNorm statistics included; before the
    last epochs it is the epoch's own weights. Lightning's own ``StochasticWeightAveraging`` copies
    a model before its classes are known, and so never averages the last layer.

    Args:
        share: Share of the epochs that are averaged, the last ones, in (0, 1].

    Raises:
        InputError: If the share is out of its range.
    """

    def __init__(self, share: float = 0.25) -> None:
        if not 0 < share <= 1:
            raise InputError(f"share must lie in (0, 1], got {share}")
        super().__init__()
        self.share = share
        self._first = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find the first epoch of the average.

        Raises:
            InputError: If the training has no last epoch.
        """
        epochs = trainer.max_epochs or -1
        if epochs < 1:
            raise InputError("LastEpochsAverage needs trainer.max_epochs, to know the last epochs")
        self._first = min(round(epochs * (1 - self.share)), epochs - 1)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Take in the weights after the last batch of an epoch, before they are validated."""
        if not trainer.is_last_batch:
            return
        assert self._average_model is not None
        if trainer.current_epoch <= self._first:
            # The next update copies.
            self._average_model.n_averaged.zero_()
        self._average_model.update_parameters(pl_module)
        self._latest_update_step = trainer.global_step

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Update at no other time."""
        return False
