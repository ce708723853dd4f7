"""Mixing of the clips of a batch, on the device."""

from __future__ import annotations

import torch
from torch import Tensor


def mixup(
    video: Tensor, label: Tensor, num_classes: int, share: float, partner: Tensor
) -> tuple[Tensor, Tensor]:
    """Blend each clip and its label with another one's (Zhang et al. 2018, equation 1).

    Args:
        video: uint8, or float in [0, 1], ``(B, T, C, H, W)``.
        label: int64 ``(B,)``.
        num_classes: K.
        share: Weight of the clip itself, in [0, 1]; its partner gets the rest.
        partner: int64 ``(B,)``, the other clip of each clip.

    Returns:
        float ``(B, T, C, H, W)`` in [0, 1] and float ``(B, K)``, the labels' shares.
    """
    pixels = video.float() / 255 if video.dtype == torch.uint8 else video
    targets = torch.nn.functional.one_hot(label, num_classes).to(pixels.dtype)
    return (
        pixels.lerp(pixels[partner], 1 - share),
        targets.lerp(targets[partner], 1 - share),
    )
