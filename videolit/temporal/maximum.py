"""The largest value over time."""

from __future__ import annotations

import torch
from torch import Tensor

from videolit.temporal.base import TemporalModel


class MaxPool(TemporalModel):
    """The largest value of each feature over the real steps: blind to their order.

    For what shows in a few steps of a clip; each feature answers to one step only, which makes it
    harder to train than a mean.

    Args:
        in_features: D, the size of the encoder's features.
    """

    def __init__(self, in_features: int) -> None:
        super().__init__(in_features, in_features)

    def pool(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return the largest of the real steps, ``(B, num_features)``."""
        lowest = torch.finfo(sequence.dtype).min
        return torch.where(mask[:, :, None], sequence, lowest).amax(1)
