"""Attention by a convolutional network over the plane of time and features."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from videolit.ops.checks import check_dropout, check_least
from videolit.temporal.base import TemporalModel


class CSTA(TemporalModel):
    """Steps as the rows of an image that convolutions look at (Son et al., CVPR 2024).

    A learnt row stands before the features; a 2-D network makes of the rows' keys a map of
    attention over time and one over features, and the rows' values are weighed by both
    (arXiv:2405.11905). Pooled, it is the mean of the real steps.

    Not as in the paper:

    - The network is small and starts untrained; the paper has GoogLeNet with ImageNet's weights.
    - It keeps all steps, where GoogLeNet joins 32 and spreads them again.
    - Norms see one place at a time, not the batch: so padding changes nothing.
    - Weights of attention have a mean of 1, not a sum of 1: so the features of a long video are as
      large as those of a short one.
    - There is no longest video; the paper's program ends at 5,000 steps.

    Args:
        in_features: D, the size of the encoder's features, and of the result's.
        channels: Channels of the first convolution; the second has two times, the third four times
            as many.
        dropout: Probability of dropping a weight of attention, and a feature after the last layer.

    Raises:
        InputError: If a number is out of its range.
    """

    def __init__(self, in_features: int, channels: int = 16, dropout: float = 0.6) -> None:
        super().__init__(in_features, in_features)
        check_least(("channels", channels, 1))
        check_dropout(dropout)
        self.channels = channels
        self.dropout = dropout
        self.first = nn.Parameter(torch.zeros(1, 1, in_features))
        self.keys = nn.Linear(in_features, in_features)
        self.values = nn.Linear(in_features, in_features)
        # Each sees twice as many steps and a quarter of the features' places of the one before.
        self.layers = nn.ModuleList(
            [
                _Convolution(1, channels, 1),
                _Convolution(channels, 2 * channels, 2),
                _Convolution(2 * channels, 4 * channels, 4),
            ]
        )
        self.widen = nn.Linear(4 * channels, in_features)
        self.norm = nn.LayerNorm(in_features)
        self.drop = nn.Dropout(dropout)
        self.each = nn.Sequential(
            nn.Linear(in_features, in_features),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.LayerNorm(in_features),
        )

    def run(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return what the last layer makes of each step, ``(B, T, in_features)``."""
        rows = torch.cat([self.first.to(features.dtype).expand(len(features), -1, -1), features], 1)
        real = nn.functional.pad(mask, (1, 0), value=True)[:, :, None]
        keys, values = self.keys(rows), self.values(rows)
        weights = self._weights(keys, real)
        mixed = values * self.drop(weights).to(values.dtype)
        # The paper's adaptive pooling from T + 1 rows to T: each with the one before it.
        result: Tensor = self.each((mixed[:, :-1] + mixed[:, 1:]) / 2)
        return result

    def pool(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return the mean of the real steps, ``(B, num_features)``."""
        return sequence.sum(1) / mask.sum(1, keepdim=True)

    def _weights(self, keys: Tensor, real: Tensor) -> Tensor:
        """Return the sum of both maps of attention, each with a mean of 1, ``(B, T + 1, D)``."""
        image = keys[:, None]
        for layer in self.layers:
            # Zero at padding, as beyond the ends: each layer would fill it with what it sees.
            image = layer(torch.where(real[:, None], image, 0.0))
        maps = self.norm(self.widen(image.mean(3).transpose(1, 2)) + keys)
        maps = maps + _positions(maps.shape[1], self.in_features, maps)
        over_time = maps.masked_fill(~real, -math.inf).softmax(1) * real.sum(1, keepdim=True)
        weights: Tensor = over_time + maps.softmax(2) * self.in_features
        return weights


class _Convolution(nn.Module):
    def __init__(self, channels: int, results: int, dilation: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(
            channels,
            results,
            (3, 7),
            stride=(1, 4),
            padding=(dilation, 3),
            dilation=(dilation, 1),
        )
        self.norm = nn.LayerNorm(results)

    def forward(self, image: Tensor) -> Tensor:
        """Return float ``(B, results, T + 1, ceil(D / 4))``."""
        found = self.norm(self.convolution(image).movedim(1, -1)).movedim(-1, 1)
        return nn.functional.relu(found)


def _positions(rows: int, size: int, like: Tensor) -> Tensor:
    """Return the positions of rows as sines and cosines, ``(rows, size)``.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5.
    """
    places = torch.arange(rows, device=like.device, dtype=torch.float32)[:, None]
    columns = torch.arange(size, device=like.device)
    angles = places * torch.exp(-math.log(10_000.0) * (2 * (columns // 2) / size))
    return torch.where(columns % 2 == 0, angles.sin(), angles.cos()).to(like.dtype)
