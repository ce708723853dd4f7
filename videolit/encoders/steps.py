"""A feature for each step of a whole video, from encoders that take clips."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Encode = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def encode_steps(encode: Encode, video: Tensor, mask: Tensor, size: int, least: int = 1) -> Tensor:
    """Encode whole videos clip after clip.

    Clips of ``size`` steps follow each other from the first step on, so that a video that is
    encoded piece by piece, in pieces of whole clips, gets the same features. Where the encoder
    returns fewer steps than it was given, features are interpolated linearly over the clip.

    Args:
        encode: An encoder: clips ``(B, T, C, H, W)`` and mask ``(B, T)`` to features and mask.
        video: ``(B, T, C, H, W)``.
        mask: bool ``(B, T)``.
        size: Steps of a clip.
        least: Fewest frames that the encoder accepts; a shorter last clip is filled up with its
            last frame, marked as padding.

    Returns:
        float ``(B, T, D)``.
    """
    parts = []
    for start in range(0, video.shape[1], size):
        clip, real = video[:, start : start + size], mask[:, start : start + size]
        steps = clip.shape[1]
        if steps < least:
            clip = torch.cat([clip, clip[:, -1:].expand(-1, least - steps, -1, -1, -1)], 1)
            real = torch.cat([real, real.new_zeros(len(real), least - steps)], 1)
        found, _ = encode(clip, real)
        if found.shape[1] != clip.shape[1]:
            found = nn.functional.interpolate(
                found.transpose(1, 2), clip.shape[1], mode="linear", align_corners=False
            ).transpose(1, 2)
        parts.append(found[:, :steps])
    return torch.cat(parts, 1)
