"""Fusion of steps: what each modality says at the same time, side by side."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from videolit.fusion.base import Fusion, Stream, pool_steps
from videolit.types import InputError


class EarlyFusion(Fusion):
    """Modalities brought to common steps, concatenated, and read together.

    The time from the first to the last step of any modality of a sample is cut into ``num_steps``
    equal parts. Each modality gives its features at their middles: a mean of its steps weighted by
    distance in time, as wide as a part. So 2 frames, 25 spectra and 3 words a second need no
    alignment. A convolution over 3 parts reads them, then mean and maximum over time.

    Weights are equal over what is present: this fusion has none of its own.

    Args:
        in_features: Feature size of each modality by its name.
        num_features: Size of the fused vector.
        num_steps: Common steps; 1 = the modalities' pooled vectors are concatenated, without time.
        modality_dropout: Probability that a modality is dropped in training.
        dropout: Probability of dropping a feature.

    Raises:
        InputError: If a number is out of its range.
    """

    def __init__(
        self,
        in_features: Mapping[str, int],
        num_features: int = 128,
        num_steps: int = 16,
        modality_dropout: float = 0.2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(in_features, num_features, modality_dropout, dropout)
        if num_steps < 1:
            raise InputError(f"num_steps must be at least 1, got {num_steps}")
        self.num_steps = num_steps
        together = len(self.names) * num_features
        self.join = nn.Sequential(
            nn.Linear(together, num_features),
            nn.LayerNorm(num_features),
            nn.GELU(),
            nn.Dropout(dropout),
        )
        if num_steps > 1:
            self.near = nn.Conv1d(num_features, num_features, 3, padding=1)
            self.leave = nn.Linear(2 * num_features, num_features)

    def fuse(self, steps: list[Stream], parts: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Concatenate what is kept; see :meth:`Fusion.fuse`."""
        weights = kept.to(parts.dtype) / kept.sum(1, keepdim=True)
        if self.num_steps == 1:
            return self.join(parts.flatten(1)), weights
        times, width = self._times(steps, kept)
        common = [resample(*stream, times, width) for stream in steps]
        joined = self.join(torch.cat(common, 2))
        near = self.near(joined.transpose(1, 2)).transpose(1, 2)
        sequence = joined + nn.functional.gelu(near)
        whole = torch.ones(sequence.shape[:2], dtype=torch.bool, device=sequence.device)
        return self.leave(pool_steps(sequence, whole)), weights

    def _times(self, steps: list[Stream], kept: Tensor) -> tuple[Tensor, Tensor]:
        """Return the common steps' middles ``(B, N)`` and their width ``(B, 1)``, in seconds."""
        first, last = [], []
        for place, stream in enumerate(steps):
            # The learnt step of an absent modality is at no time.
            real = stream.mask & kept[:, place, None]
            first.append(stream.seconds.masked_fill(~real, torch.inf).amin(1))
            last.append(stream.seconds.masked_fill(~real, -torch.inf).amax(1))
        begin = torch.stack(first, 1).amin(1, keepdim=True)
        length = torch.stack(last, 1).amax(1, keepdim=True) - begin
        width = length / self.num_steps
        places = torch.arange(self.num_steps, device=begin.device) + 0.5
        return begin + places * width, width


def resample(
    features: Tensor, mask: Tensor, seconds: Tensor, times: Tensor, width: Tensor
) -> Tensor:
    """Return features at given times: means of the steps by a Gaussian of their distance in time.

    Args:
        features: float ``(B, T, D)``.
        mask: bool ``(B, T)``, at least one True in each row.
        seconds: float ``(B, T)``, time of each step.
        times: float ``(B, N)``, in seconds.
        width: float ``(B, 1)``, seconds: twice the Gaussian's standard deviation, and at least a
            millisecond. Far from all steps the nearest one counts.

    Returns:
        float ``(B, N, D)``.
    """
    spread = width.clamp(min=1e-3)[:, :, None] / 2
    apart = (times[:, :, None] - seconds[:, None]) / spread
    scores = (-0.5 * apart.square()).masked_fill(~mask[:, None], -torch.inf)
    return scores.softmax(2).to(features.dtype) @ features
