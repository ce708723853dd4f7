"""The mel scale and the filters on it."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from videolit.types import InputError

Scale = Literal["htk", "slaney"]

# Slaney's Auditory Toolbox (1998): linear below 1 kHz, 66.67 Hz a mel, then 27 mels a factor 6.4.
_SLANEY_BREAK = 1000.0
_SLANEY_STEP = 200.0 / 3.0
_SLANEY_LOG_STEP = math.log(6.4) / 27.0


def hz_to_mel(frequency: Tensor, scale: Scale = "htk") -> Tensor:
    """Return frequencies on the mel scale.

    Args:
        frequency: Hz at least 0, float of any shape.
        scale: ``"htk"``: ``2595 log10(1 + f / 700)`` (The HTK Book 3.4, section 5.4);
            ``"slaney"``: linear below 1 kHz and logarithmic above (Auditory Toolbox, 1998).

    Returns:
        Mel, same shape and dtype.

    Raises:
        InputError: If the scale is unknown.
    """
    _check_scale(scale)
    if scale == "htk":
        return 2595.0 * torch.log10(1.0 + frequency / 700.0)
    high = frequency.clamp(min=_SLANEY_BREAK)
    above = _SLANEY_BREAK / _SLANEY_STEP + (high / _SLANEY_BREAK).log() / _SLANEY_LOG_STEP
    return torch.where(frequency < _SLANEY_BREAK, frequency / _SLANEY_STEP, above)


def mel_to_hz(mel: Tensor, scale: Scale = "htk") -> Tensor:
    """Return what :func:`hz_to_mel` made mels of, in Hz."""
    _check_scale(scale)
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    at_break = _SLANEY_BREAK / _SLANEY_STEP
    above = _SLANEY_BREAK * ((mel.clamp(min=at_break) - at_break) * _SLANEY_LOG_STEP).exp()
    return torch.where(mel < at_break, mel * _SLANEY_STEP, above)


def mel_filters(
    num_mels: int = 64,
    n_fft: int = 400,
    sample_rate: int = 16_000,
    f_min: float = 0.0,
    f_max: float | None = None,
    scale: Scale = "htk",
    norm: Literal["slaney"] | None = None,
    over: Literal["hz", "mel"] = "hz",
) -> Tensor:
    """Return triangular filters, evenly spread on the mel scale.

    Args:
        num_mels: M.
        n_fft: Samples of a Fourier transform, F = ``n_fft // 2 + 1`` frequencies.
        sample_rate: Samples per second.
        f_min: Where the first triangle begins, in Hz.
        f_max: Where the last one ends, in Hz; None = half the sample rate.
        scale: See :func:`hz_to_mel`.
        norm: ``"slaney"`` gives each triangle the area 1 (over Hz); None the height 1.
        over: Where the sides of the triangles are straight: over Hz, as in HTK's successors and
            librosa, or over mel, as in Kaldi.

    Returns:
        float64 ``(M, F)``, at least 0, computed in float64. A row is zero where its triangle lies
        between two frequencies of the transform.

    Raises:
        InputError: If a number is out of its range.
    """
    top = sample_rate / 2 if f_max is None else f_max
    if num_mels < 1 or n_fft < 2 or sample_rate < 1:
        raise InputError(
            "num_mels and sample_rate must be at least 1 and n_fft at least 2, got "
            f"{num_mels}, {sample_rate} and {n_fft}"
        )
    if not 0 <= f_min < top <= sample_rate / 2:
        raise InputError(
            "expected 0 <= f_min < f_max <= half the sample rate "
            f"({sample_rate / 2:g} Hz), got f_min {f_min:g} and f_max {top:g}"
        )
    if norm not in (None, "slaney"):
        raise InputError(f"norm must be None or 'slaney', got {norm!r}")
    ends = hz_to_mel(torch.tensor([f_min, top], dtype=torch.float64), scale)
    mels = torch.linspace(float(ends[0]), float(ends[1]), num_mels + 2, dtype=torch.float64)
    places = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * sample_rate / n_fft
    corners = mels if over == "mel" else mel_to_hz(mels, scale)
    if over == "mel":
        places = hz_to_mel(places, scale)
    left, centre, right = (corners[i : num_mels + i, None] for i in range(3))
    rise, fall = (places - left) / (centre - left), (right - places) / (right - centre)
    filters = torch.minimum(rise, fall).clamp(min=0.0)
    if norm == "slaney":
        hertz = mel_to_hz(mels, scale)
        filters = filters * (2.0 / (hertz[2:] - hertz[:-2]))[:, None]
    return filters


def _check_scale(scale: Scale) -> None:
    if scale not in get_args(Scale):
        raise InputError(f"scale must be 'htk' or 'slaney', got {scale!r}")
