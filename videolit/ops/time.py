"""Changes of a clip's time: what a model that uses time must notice.

All functions take ``video`` ``(B, T, ...)`` of any dtype and ``mask`` bool ``(B, T)``, True = a
real frame, and return a new tensor of the same shape and dtype. Padding stays where it is, but for
:func:`hold`, which fills it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from videolit.types import InputError


def freeze(video: Tensor, mask: Tensor) -> Tensor:
    """Repeat the middle real frame of each clip in place of all its real frames.

    Of an even number of frames, the later of the two in the middle is taken.

    Args:
        video: ``(B, T, ...)``.
        mask: bool ``(B, T)``.

    Raises:
        InputError: If the shapes do not agree.
    """
    order, count = _real_first(video, mask)
    middle = order.gather(1, (count // 2).clamp(max=order.shape[1] - 1)[:, None])
    return _take(video, torch.where(mask, middle, _positions(mask)))


def reverse(video: Tensor, mask: Tensor) -> Tensor:
    """Turn the real frames of each clip round.

    Args:
        video: ``(B, T, ...)``.
        mask: bool ``(B, T)``.

    Raises:
        InputError: If the shapes do not agree.
    """
    order, count = _real_first(video, mask)
    rank = mask.cumsum(1) - 1
    source = order.gather(1, (count[:, None] - 1 - rank).clamp(min=0))
    return _take(video, torch.where(mask, source, _positions(mask)))


def shuffle(video: Tensor, mask: Tensor, seeds: Tensor) -> Tensor:
    """Put the real frames of each clip into another, random order.

    The order is never the one that they had, unless a clip has only one real frame.

    Args:
        video: ``(B, T, ...)``.
        mask: bool ``(B, T)``.
        seeds: int64 ``(B,)``; equal seeds and numbers of real frames give equal orders, on every
            device.

    Raises:
        InputError: If the shapes do not agree.
    """
    order, count = _real_first(video, mask)
    if seeds.shape != mask.shape[:1]:
        raise InputError(
            f"shuffle needs one seed per clip, {len(mask)} in all, got shape {tuple(seeds.shape)}"
        )
    source = _positions(mask).expand_as(mask).clone()
    for row, (seed, number) in enumerate(zip(seeds.tolist(), count.tolist(), strict=True)):
        real = order[row, :number]
        source[row, real] = real[_other_order(number, seed).to(real.device)]
    return _take(video, source)


def hold(video: Tensor, mask: Tensor) -> Tensor:
    """Replace padding by the real frame before it, or by the first one where none is before it.

    Args:
        video: ``(B, T, ...)``.
        mask: bool ``(B, T)``.

    Raises:
        InputError: If the shapes do not agree.
    """
    order, _ = _real_first(video, mask)
    latest = torch.where(mask, _positions(mask), -1).cummax(1).values
    return _take(video, torch.where(latest < 0, order[:, :1], latest))


def _other_order(number: int, seed: int) -> Tensor:
    """Return a random permutation of ``number`` that is not the identity, if there is one."""
    generator = torch.Generator().manual_seed(seed)
    same = torch.arange(number)
    order = torch.randperm(number, generator=generator)
    while number > 1 and torch.equal(order, same):
        order = torch.randperm(number, generator=generator)
    return order


def _positions(mask: Tensor) -> Tensor:
    return torch.arange(mask.shape[1], device=mask.device)[None]


def _real_first(video: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the positions with the real ones first, ``(B, T)``, and their number, ``(B,)``."""
    if mask.dtype != torch.bool or mask.shape != video.shape[:2]:
        raise InputError(
            f"the mask of a video of shape {tuple(video.shape)} must be bool of shape "
            f"{tuple(video.shape[:2])}, got {mask.dtype} of shape {tuple(mask.shape)}"
        )
    return torch.argsort(~mask, dim=1, stable=True), mask.sum(1)


def _take(video: Tensor, source: Tensor) -> Tensor:
    """Return the clips whose frame t is the old frame ``source[b, t]``."""
    return video[torch.arange(len(video), device=video.device)[:, None], source]
