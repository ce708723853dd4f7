"""Attention between the steps."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from videolit.ops.attention_block import AttentionBlock
from videolit.ops.checks import check_dropout, check_heads
from videolit.temporal.base import TemporalModel
from videolit.types import InputError


class Transformer(TemporalModel):
    """A transformer's encoder (Vaswani et al. 2017, arXiv:1706.03762), normalised before each part.

    Steps are numbered by sines and cosines. Pooled, it is the mean of the real steps.

    Args:
        in_features: D, the size of the encoder's features.
        hidden_size: Size of all layers, an even multiple of ``num_heads``.
        num_layers: Layers on top of each other.
        num_heads: Attentions side by side.
        window: Most steps from one to another that it attends to; None = the whole clip. With a
            window, long videos cost no more a step than short ones have to.
        dropout: Probability of dropping a feature after each part.

    Raises:
        InputError: If a number is out of its range.
    """

    def __init__(
        self,
        in_features: int,
        hidden_size: int = 128,
        num_layers: int = 2,
        num_heads: int = 4,
        window: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(in_features, hidden_size)
        if num_layers < 1 or num_heads < 1:
            raise InputError(
                f"num_layers and num_heads must be at least 1, got {num_layers} and {num_heads}"
            )
        check_heads(hidden_size, num_heads, even=True)
        if window is not None and window < 1:
            raise InputError(f"window must be at least 1 step, got {window}")
        check_dropout(dropout)
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.window = window
        self.dropout = dropout
        self.enter = nn.Linear(in_features, hidden_size)
        self.layers = nn.ModuleList(
            AttentionBlock(hidden_size, num_heads, dropout) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(hidden_size)

    def run(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return what the last layer makes of each step, ``(B, T, num_features)``."""
        found = self.enter(features)
        found = found + _numbers(found.shape[1], self.hidden_size, found)
        seen = self._seen(mask)
        for layer in self.layers:
            found = layer(found, seen)
        result: Tensor = self.norm(found)
        return result

    def pool(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return the mean of the real steps, ``(B, num_features)``."""
        return sequence.sum(1) / mask.sum(1, keepdim=True)

    def _seen(self, mask: Tensor) -> Tensor:
        """Return which step attends to which, bool ``(B, 1, T, T)``."""
        steps = torch.arange(mask.shape[1], device=mask.device)
        apart = (steps[:, None] - steps[None]).abs()
        near = torch.ones_like(apart, dtype=torch.bool)
        if self.window is not None:
            near = apart <= self.window
        # Padding sees itself: a row without any step would be NaN.
        return ((mask[:, None] & near) | (apart == 0))[:, None]


def _numbers(steps: int, size: int, like: Tensor) -> Tensor:
    """Return the positions of steps as sines and cosines (section 3.5), ``(steps, size)``."""
    places = torch.arange(steps, device=like.device, dtype=torch.float32)[:, None]
    exponents = torch.arange(0, size, 2, device=like.device, dtype=torch.float32) / size
    angles = places * torch.exp(-math.log(10_000.0) * exponents)
    return torch.cat([angles.sin(), angles.cos()], 1).to(like.dtype)
