"""A feature for each step of a whole video, from encoders that take clips."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Encode = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def encode_steps(encode: Encode, video: Tensor, mask: Tensor, size: int, least: int = 1) -> Tensor:
    """Encode whole videos clip after clip.

    Clips of ``size`` steps follow each other from the first step on, so that a video that is
    encoded piece by piece, in pieces of whole clips, gets the same features. The last clip is
    filled up with its last frame, marked as padding, so that a video gets the same features
    whatever is beside it in a batch. Where the encoder returns fewer steps than it was given,
    features are interpolated linearly over the clip.

    Args:
        encode: An encoder: clips ``(B, T, C, H, W)`` and mask ``(B, T)`` to features and mask.
        video: ``(B, T, C, H, W)``.
        mask: bool ``(B, T)``.
        size: Steps of a clip.
        least: Fewest frames that the encoder accepts; where ``size`` is smaller, clips are filled
            up to as many.

    Returns:
        float ``(B, T, D)``.
    """
    parts = []
    for start in range(0, video.shape[1], size):
        clip, real = video[:, start : start + size], mask[:, start : start + size]
        steps = clip.shape[1]
        missing = max(size, least) - steps
        if missing > 0:
            clip = torch.cat([clip, clip[:, -1:].expand(-1, missing, -1, -1, -1)], 1)
            real = torch.cat([real, real.new_zeros(len(real), missing)], 1)
        found, known = encode(clip, real)
        if found.shape[1] != clip.shape[1]:
            # What an encoder gives for padding must not reach the real steps beside it.
            last = (known.sum(1) - 1).clamp_min(0)
            held = found[torch.arange(len(found), device=found.device), last]
            found = torch.where(known[..., None], found, held[:, None])
            found = nn.functional.interpolate(
                found.transpose(1, 2), clip.shape[1], mode="linear", align_corners=False
            ).transpose(1, 2)
        parts.append(found[:, :steps])
    return torch.cat(parts, 1)
