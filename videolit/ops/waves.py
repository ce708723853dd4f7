"""Moments as sines and cosines."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def waves(seconds: Tensor, size: int, shortest: float, longest: float) -> Tensor:
    """Return moments as sines and cosines of wavelengths that grow by a constant factor.

    As Vaswani et al. 2017 (arXiv:1706.03762, section 3.5) place steps by their number.

    Args:
        seconds: float ``(...)``.
        size: D, even.
        shortest: Wavelength of the first sine, in seconds.
        longest: Wavelength of the last one.

    Returns:
        float32 ``(..., D)`` in [-1, 1], sines first.
    """
    places = torch.linspace(0, 1, size // 2, device=seconds.device, dtype=torch.float32)
    wavelengths = shortest * (longest / shortest) ** places
    angles = 2 * math.pi * seconds.float()[..., None] / wavelengths
    return torch.cat([angles.sin(), angles.cos()], -1)
