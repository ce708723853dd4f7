"""The mean over time."""

from __future__ import annotations

from torch import Tensor

from videolit.temporal.base import TemporalModel


class MeanPool(TemporalModel):
    """The mean of the real steps: blind to their order.

    Args:
        in_features: D, the size of the encoder's features.
    """

    def __init__(self, in_features: int) -> None:
        super().__init__(in_features, in_features)

    def pool(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return the mean of the real steps, ``(B, num_features)``."""
        return sequence.sum(1) / mask.sum(1, keepdim=True)
