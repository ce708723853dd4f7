"""A learnt weighted mean over time."""

from __future__ import annotations

import math

from torch import Tensor, nn

from videolit.temporal.base import TemporalModel


class AttentionPool(TemporalModel):
    """A mean of the real steps, weighted by what each of them shows (Ilse et al. 2018, eq. 8).

    Blind to the order of the steps.

    Args:
        in_features: D, the size of the encoder's features.
        hidden_size: Size of the layer that weighs a step.

    Raises:
        InputError: If a size is below 1.
    """

    def __init__(self, in_features: int, hidden_size: int = 128) -> None:
        super().__init__(in_features, in_features)
        self.hidden_size = hidden_size
        self.score = nn.Sequential(
            nn.Linear(in_features, hidden_size), nn.Tanh(), nn.Linear(hidden_size, 1)
        )

    def pool(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return the weighted mean of the real steps, ``(B, num_features)``."""
        return (self.weights(sequence, mask)[:, None] @ sequence)[:, 0]

    def weights(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return the weight of each step, ``(B, T)``: zero at padding, rows sum to 1."""
        score: Tensor = self.score(sequence)
        weights = score[..., 0].masked_fill(~mask, -math.inf).softmax(1)
        return weights.to(sequence.dtype)
