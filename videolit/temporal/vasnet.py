"""VASNet: attention of each frame to all frames."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from videolit.ops.checks import check_dropout
from videolit.temporal.base import TemporalModel
from videolit.temporal.chunks import in_chunks
from videolit.types import InputError


class VASNet(TemporalModel):
    """Soft self-attention for summaries (Fajtl et al. 2018, arXiv:1812.01969).

    One head as wide as the features, no positions: blind to the order of the steps. Then the
    residual, dropout, a norm, and a layer with ReLU, dropout and a norm of its own. Pooled, it is
    the mean of the real steps.

    Args:
        in_features: D, the size of the encoder's features, and of all layers.
        dropout: Probability of dropping an attention weight, and a feature after each part.
        transpose_attention: Mix the values by the columns of the attention matrix, whose rows are
            those that sum to 1. The published program does so (``vasnet_model.py`` of
            ok1zjf/VASNet), the paper does not; only for comparison with its figures.
        chunk: Queries at a time: memory grows with T * chunk, not with the square of T.
        scale: Factor of the products of queries and keys; None = 1 / sqrt(D), .031 for 1,024
            features. The published program has 0.06.

    Raises:
        InputError: If a number is out of its range.
    """

    def __init__(
        self,
        in_features: int,
        dropout: float = 0.5,
        transpose_attention: bool = False,
        chunk: int = 1024,
        scale: float | None = None,
    ) -> None:
        super().__init__(in_features, in_features)
        check_dropout(dropout)
        if chunk < 1:
            raise InputError(f"chunk must be at least 1 step, got {chunk}")
        if scale is not None and not 0 < scale < math.inf:
            raise InputError(f"scale must be positive, or null for 1 / sqrt(D), got {scale}")
        self.dropout = dropout
        self.transpose_attention = transpose_attention
        self.chunk = chunk
        self.scale = scale
        self.queries = nn.Linear(in_features, in_features, bias=False)
        self.keys = nn.Linear(in_features, in_features, bias=False)
        self.values = nn.Linear(in_features, in_features, bias=False)
        self.join = nn.Linear(in_features, in_features, bias=False)
        self.drop = nn.Dropout(dropout)
        self.each = nn.Sequential(
            nn.Dropout(dropout),
            nn.LayerNorm(in_features),
            nn.Linear(in_features, in_features),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.LayerNorm(in_features),
        )

    def run(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return what the last layer makes of each step, ``(B, T, in_features)``."""
        scale = 1 / math.sqrt(self.in_features) if self.scale is None else self.scale
        queries = self.queries(features) * scale
        keys: Tensor = self.keys(features)
        values: Tensor = self.values(features)

        def mixed(start: int, end: int) -> Tensor:
            scores = queries[:, start:end] @ keys.transpose(1, 2)
            share = scores.masked_fill(~mask[:, None], -math.inf).softmax(-1).to(values.dtype)
            share = self.drop(share)
            if not self.transpose_attention:
                found: Tensor = share @ values
            else:
                # Padding's queries count here too, but their values are zero: no layer has a bias.
                found = share.transpose(1, 2) @ values[:, start:end]
            return found

        parts = in_chunks(mixed, mask.shape[1], self.chunk)
        if self.transpose_attention:
            found = next(parts)
            for part in parts:
                found = found + part
        else:
            found = torch.cat(list(parts), 1)
        result: Tensor = self.each(features + self.join(found))
        return result

    def pool(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return the mean of the real steps, ``(B, num_features)``."""
        return sequence.sum(1) / mask.sum(1, keepdim=True)
