"""What a step makes of its neighbours: a gated convolution over time."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GatedConvolution(nn.Module):
    """The convolution of a Conformer block (Gulati et al. 2020, arXiv:2005.08100, section 2.2).

    Norm, gated linear unit, one filter over time for each channel, norm, SiLU, linear layer, added
    to what came in. It tells what comes before from what comes after, which attention has to learn;
    the norm is of each step alone instead of over the batch, so that padding changes nothing.

    Args:
        size: Channels.
        kernel_size: Steps that a filter sees, odd.
        dropout: Probability of dropping a feature of what is added.
    """

    def __init__(self, size: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.LayerNorm(size), nn.Linear(size, 2 * size), nn.GLU())
        self.filter = nn.Conv1d(size, size, kernel_size, padding=kernel_size // 2, groups=size)
        self.leave = nn.Sequential(
            nn.LayerNorm(size), nn.SiLU(), nn.Linear(size, size), nn.Dropout(dropout)
        )

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        """Return float ``(B, T, size)`` from steps of that shape and a bool mask ``(B, T)``."""
        # Zero at padding, as beyond the ends.
        gated = torch.where(mask[:, :, None], self.enter(steps), 0.0)
        near = self.filter(gated.transpose(1, 2)).transpose(1, 2)
        result: Tensor = steps + self.leave(near)
        return result
