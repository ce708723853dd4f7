"""How much of a video, before a step and after it, is like the step."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Memory(nn.Module):
    """Tell each step how often something like it was seen before, and will be seen.

    What is shown for the first time matters more than its replay; attention to what is near cannot
    know it, and a mean over the video forgets when. Each head deals a step's weight of 1 to
    ``num_codes`` learnt codes by a softmax. The likeness of two steps is the dot product of their
    shares, a number in [0, 1]; its sum over all steps before is the dot product with the running
    sum of shares, so that time and memory grow with the length, not with its square: linear
    attention (Katharopoulos et al. 2020, arXiv:2006.16236, section 3.2) of which only the
    normaliser is kept. Both sums enter as logarithms of 1 + the sum.

    Args:
        size: Channels.
        num_heads: Likenesses side by side.
        num_codes: Codes of each.
        dropout: Probability of dropping a feature of what is added.
    """

    def __init__(self, size: int, num_heads: int, num_codes: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.codes = nn.Sequential(nn.LayerNorm(size), nn.Linear(size, num_heads * num_codes))
        # Begins well above 1, almost as random hashing: with flat shares all steps are alike, and
        # the codes learn slowly.
        self.sharpness = nn.Parameter(torch.tensor(8.0))
        self.leave = nn.Sequential(
            nn.Linear(2 * num_heads, size), nn.GELU(), nn.Linear(size, size), nn.Dropout(dropout)
        )

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        """Return float ``(B, T, size)`` from steps of that shape and a bool mask ``(B, T)``."""
        before, after = self.counts(steps, mask)
        counts = torch.cat([before, after], -1).log1p().to(steps.dtype)
        result: Tensor = steps + self.leave(counts)
        return result

    def counts(self, steps: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the likeness to all steps before and after, float ``(B, T, num_heads)``.

        Args:
            steps: float ``(B, T, size)``.
            mask: bool ``(B, T)``; padding is like nothing.
        """
        parts = (self.codes(steps) * self.sharpness).unflatten(-1, (self.num_heads, -1))
        # Half precision could not count beyond a few hundred steps.
        exact = parts.to(torch.promote_types(parts.dtype, torch.float32))
        shares = torch.where(mask[:, :, None, None], exact.softmax(-1), 0.0)
        so_far = shares.cumsum(1)
        # Rounding must not make a sum of likenesses negative.
        before = (shares * (so_far - shares)).sum(-1).clamp(min=0)
        after = (shares * (so_far[:, -1:] - so_far)).sum(-1).clamp(min=0)
        return before, after
