"""Stored features in place of videos."""

from __future__ import annotations

import torch
from torch import Tensor

from videolit.encoders.base import VideoEncoder
from videolit.types import InputError


class IdentityEncoder(VideoEncoder):
    """Hand on features that were computed earlier, so that the same tasks train on them.

    Args:
        num_features: D, the size of a stored feature.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)

    def forward(self, video: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the features as they came.

        Args:
            video: Features, float ``(B, T, D)``.
            mask: bool ``(B, T)``, True = a real step; None = all are real.

        Returns:
            The features and their mask.

        Raises:
            InputError: If shape or dtype are others.
        """
        if video.ndim != 3 or video.shape[-1] != self.num_features or not video.is_floating_point():
            raise InputError(
                f"IdentityEncoder expected stored features as float (B, T, {self.num_features}), "
                f"got {video.dtype} {tuple(video.shape)}; for videos (B, T, C, H, W) take another "
                "encoder"
            )
        if mask is None:
            mask = torch.ones(video.shape[:2], dtype=torch.bool, device=video.device)
        elif mask.dtype != torch.bool or mask.shape != video.shape[:2]:
            raise InputError(
                f"expected the mask of features {tuple(video.shape)} as bool (B, T), got "
                f"{mask.dtype} {tuple(mask.shape)}"
            )
        return video, mask
