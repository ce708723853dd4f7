"""Attention of long videos, a few queries at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def in_chunks(part: Callable[[int, int], Tensor], steps: int, chunk: int) -> Iterator[Tensor]:
    """Yield ``part(start, end)`` for each ``chunk`` of the steps, in order.

    Where there are several, each is computed again for its gradient: so training too keeps one
    chunk's weights at a time, and computes them twice (Chen et al. 2016, arXiv:1604.06174).

    Args:
        part: Returns what the queries ``start … end - 1`` give. Where it is called anew, it draws
            the same random numbers.
        steps: Queries in all.
        chunk: Most queries at a time, at least 1.
    """
    for start in range(0, steps, chunk):
        end = min(start + chunk, steps)
        if steps > chunk and torch.is_grad_enabled():
            found: Tensor = checkpoint(part, start, end, use_reentrant=False)
            yield found
        else:
            yield part(start, end)
