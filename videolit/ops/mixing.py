"""Mixing of the clips of a batch, on the device."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def multi_hot(label: Tensor, num_classes: int) -> Tensor:
    """Return labels as shares of the classes, float ``(B, K)``; those that are shares stay."""
    if label.is_floating_point():
        return label
    return torch.nn.functional.one_hot(label, num_classes).float()


def mixup(video: Tensor, target: Tensor, share: float, partner: Tensor) -> tuple[Tensor, Tensor]:
    """Blend each clip and its label with another one's (Zhang et al. 2018, equation 1).

    Args:
        video: uint8, or float in [0, 1], ``(B, T, C, H, W)``.
        target: float ``(B, K)``, the labels' shares.
        share: Weight of the clip itself, in [0, 1]; its partner gets the rest.
        partner: int64 ``(B,)``, the other clip of each clip.

    Returns:
        float ``(B, T, C, H, W)`` in [0, 1] and float ``(B, K)``.
    """
    pixels = video.float() / 255 if video.dtype == torch.uint8 else video
    return pixels.lerp(pixels[partner], 1 - share), target.lerp(target[partner], 1 - share)


def cutmix(
    video: Tensor, target: Tensor, share: float, partner: Tensor, place: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Put a part of another clip into each clip (Yun et al. 2019, equations 1 and 2).

    The part is a box of the frame, the same in all frames, with the frame's proportions; labels
    are mixed by the area that it covers in the end.

    Args:
        video: uint8 or float, ``(B, T, C, H, W)``.
        target: float ``(B, K)``, the labels' shares.
        share: Area that the clip itself keeps, in [0, 1], before the box is cut at the border.
        partner: int64 ``(B,)``, the other clip of each clip.
        place: The box's middle, as shares of height and width in [0, 1].

    Returns:
        ``(B, T, C, H, W)`` in the dtype of ``video`` and float ``(B, K)``.
    """
    height, width = video.shape[-2:]
    side = math.sqrt(1 - share)
    top, bottom = _box(place[0], side, height)
    left, right = _box(place[1], side, width)
    mixed = video.clone()
    mixed[..., top:bottom, left:right] = video[partner][..., top:bottom, left:right]
    covered = (bottom - top) * (right - left) / (height * width)
    return mixed, target.lerp(target[partner], covered)


def _box(middle: float, share: float, length: int) -> tuple[int, int]:
    begin = round((middle - share / 2) * length)
    end = round((middle + share / 2) * length)
    return min(max(begin, 0), length), min(max(end, 0), length)
