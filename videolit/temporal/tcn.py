"""Convolutions over time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from videolit.ops.checks import check_dropout, check_least
from videolit.temporal.base import TemporalModel
from videolit.types import InputError


class TCN(TemporalModel):
    """Residual convolutions whose reach doubles from layer to layer (Bai et al. 2018).

    With 3 steps a kernel, 4 layers see 31 steps (arXiv:1803.01271, section 3; layer normalisation
    of each step in the place of weight normalisation). Pooled, it is the mean of the real steps.

    Args:
        in_features: D, the size of the encoder's features.
        hidden_size: Channels of all layers.
        num_layers: Layers on top of each other.
        kernel_size: Steps that a convolution sees, odd.
        causal: Whether a step sees only itself and those before it, for use on a running video.
        dropout: Probability of dropping a feature after each convolution.

    Raises:
        InputError: If a number is out of its range.
    """

    def __init__(
        self,
        in_features: int,
        hidden_size: int = 128,
        num_layers: int = 4,
        kernel_size: int = 3,
        causal: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(in_features, hidden_size)
        check_least(("num_layers", num_layers, 1))
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise InputError(f"kernel_size must be odd and positive, got {kernel_size}")
        check_dropout(dropout)
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.kernel_size = kernel_size
        self.causal = causal
        self.dropout = dropout
        self.enter = nn.Linear(in_features, hidden_size)
        self.layers = nn.ModuleList(
            _Layer(hidden_size, kernel_size, 2**number, causal, dropout)
            for number in range(num_layers)
        )

    def run(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return what the last layer makes of each step, ``(B, T, num_features)``."""
        real = mask[:, :, None]
        found: Tensor = self.enter(features)
        for layer in self.layers:
            # Zero at padding, as beyond the ends: each layer would fill it with what it sees.
            found = layer(torch.where(real, found, 0.0))
        return found

    def pool(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return the mean of the real steps, ``(B, num_features)``."""
        return sequence.sum(1) / mask.sum(1, keepdim=True)


class _Layer(nn.Module):
    def __init__(self, size: int, kernel: int, dilation: int, causal: bool, dropout: float) -> None:
        super().__init__()
        reach = (kernel - 1) * dilation
        self.before, self.after = (reach, 0) if causal else (reach // 2, reach // 2)
        self.convolution = nn.Conv1d(size, size, kernel, dilation=dilation)
        self.norm = nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, sequence: Tensor) -> Tensor:
        """Return float ``(B, T, size)``."""
        padded = nn.functional.pad(sequence.transpose(1, 2), (self.before, self.after))
        found = self.norm(self.convolution(padded).transpose(1, 2))
        result: Tensor = sequence + self.dropout(nn.functional.gelu(found))
        return result
