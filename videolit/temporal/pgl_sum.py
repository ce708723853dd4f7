"""PGL-SUM: attention over the whole video and within segments of it."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from videolit.ops.checks import check_dropout
from videolit.temporal.base import TemporalModel
from videolit.temporal.chunks import in_chunks
from videolit.types import InputError


class PGLSum(TemporalModel):
    """Global and local attention with positions (Apostolidis et al., IEEE ISM 2021).

    Some heads attend to the whole video, others within one of ``num_segments`` equal parts of it,
    each part with weights of its own. Both are fused and added to the features; dropout, a norm,
    and a layer with ReLU, dropout and a norm follow. Positions are sines and cosines added to the
    energies of attention, which are not divided by the root of the heads' size. Weights start as
    they do for the published results: Xavier's with a gain of sqrt(2), biases at .1. Pooled, it is
    the mean of the real steps.

    Energies that nothing divides suit features of about unit length, as those of the benchmarks
    are: features ten times as long make them a hundred times as large.

    Args:
        in_features: D, the size of the encoder's features, and of all layers.
        num_heads: Attentions side by side over the whole video.
        num_segments: Parts of the video; one with fewer steps has a part for each.
        local_heads: Attentions side by side within a part.
        fusion: How the two results become one: ``"add"``, ``"mean"``, ``"max"`` or ``"multiply"``.
        dropout: Probability of dropping an attention weight, and a feature after each part.
        chunk: Queries at a time: memory grows with T * chunk, not with the square of T.

    Raises:
        InputError: If the fusion is unknown or a number is out of its range.
    """

    def __init__(
        self,
        in_features: int,
        num_heads: int = 8,
        num_segments: int = 4,
        local_heads: int = 4,
        fusion: Literal["add", "mean", "max", "multiply"] = "add",
        dropout: float = 0.5,
        chunk: int = 512,
    ) -> None:
        super().__init__(in_features, in_features)
        if min(num_heads, num_segments, local_heads) < 1:
            raise InputError(
                f"num_heads, num_segments and local_heads must be at least 1, got {num_heads}, "
                f"{num_segments} and {local_heads}"
            )
        if fusion not in ("add", "mean", "max", "multiply"):
            raise InputError(f"fusion must be 'add', 'mean', 'max' or 'multiply', got {fusion!r}")
        check_dropout(dropout)
        if chunk < 1:
            raise InputError(f"chunk must be at least 1 step, got {chunk}")
        self.num_heads = num_heads
        self.num_segments = num_segments
        self.local_heads = local_heads
        self.fusion: Literal["add", "mean", "max", "multiply"] = fusion
        self.dropout = dropout
        self.chunk = chunk
        self.whole = _Attention(in_features, num_heads, dropout, chunk)
        self.segments = nn.ModuleList(
            _Attention(in_features, local_heads, dropout, chunk) for _ in range(num_segments)
        )
        self.each = nn.Sequential(
            nn.Dropout(dropout),
            nn.LayerNorm(in_features),
            nn.Linear(in_features, in_features),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.LayerNorm(in_features),
        )
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.xavier_uniform_(part.weight, gain=math.sqrt(2))
                if part.bias is not None:
                    nn.init.constant_(part.bias, 0.1)

    def run(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return what the last layer makes of each step, ``(B, T, in_features)``."""
        # One by one: segments and positions follow from the length of each clip.
        clips = [
            self._clip(clip[: int(real.sum())]) for clip, real in zip(features, mask, strict=True)
        ]
        steps = features.shape[1]
        return torch.stack(
            [nn.functional.pad(clip, (0, 0, 0, steps - len(clip))) for clip in clips]
        )

    def pool(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return the mean of the real steps, ``(B, num_features)``."""
        return sequence.sum(1) / mask.sum(1, keepdim=True)

    def _clip(self, features: Tensor) -> Tensor:
        """Return what the last layer makes of one clip without padding, ``(T, in_features)``."""
        parts = features.tensor_split(min(self.num_segments, len(features)))
        near = torch.cat([attend(part) for attend, part in zip(self.segments, parts, strict=False)])
        far = self.whole(features)
        if self.fusion == "max":
            fused = torch.maximum(far, near)
        elif self.fusion == "multiply":
            fused = far * near
        else:
            fused = far + near
            if self.fusion == "mean":
                fused = fused / 2
        result: Tensor = self.each(features + fused)
        return result


class _Attention(nn.Module):
    def __init__(self, size: int, heads: int, dropout: float, chunk: int) -> None:
        super().__init__()
        self.heads = heads
        self.chunk = chunk
        width = heads * max(1, size // heads)
        self.queries = nn.Linear(size, width, bias=False)
        self.keys = nn.Linear(size, width, bias=False)
        self.values = nn.Linear(size, width, bias=False)
        self.join = nn.Linear(width, size, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Return float ``(T, size)`` of features ``(T, size)``."""
        steps = len(features)
        queries, keys, values = (
            layer(features).view(steps, self.heads, -1).transpose(0, 1)
            for layer in (self.queries, self.keys, self.values)
        )

        def mixed(start: int, end: int) -> Tensor:
            energies = queries[:, start:end] @ keys.transpose(1, 2)
            energies = energies + _positions(start, end, steps, energies)
            share = self.dropout(energies.softmax(-1).to(values.dtype))
            found: Tensor = share @ values
            return found

        found = torch.cat(list(in_chunks(mixed, steps, self.chunk)), 1)
        result: Tensor = self.join(found.transpose(0, 1).reshape(steps, -1))
        return result


def _positions(start: int, end: int, steps: int, like: Tensor) -> Tensor:
    """Return what absolute positions add to the energies of some queries.

    The sines and cosines of Vaswani et al. 2017 (arXiv:1706.03762, section 3.5) with the number of
    steps in the place of the features' size: a query's step is the position, a key's the dimension.

    Args:
        start: First query's step.
        end: Step after the last query's.
        steps: T, the length of the clip.
        like: A tensor of the device and dtype to return.

    Returns:
        float ``(end - start, T)`` in [-1, 1].
    """
    rows = torch.arange(start, end, device=like.device, dtype=torch.float32)[:, None]
    columns = torch.arange(steps, device=like.device)
    exponents = 2 * (columns // 2) / steps
    angles = rows * torch.exp(-math.log(10_000.0) * exponents)
    return torch.where(columns % 2 == 0, angles.sin(), angles.cos()).to(like.dtype)
