"""Spectra of sound on the mel scale."""

from __future__ import annotations

import functools
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from videolit.ops.mel_scale import Scale, mel_filters
from videolit.types import InputError

Window = Literal["hann", "povey"]

# Kaldi counts in 16-bit samples and floors energies at the float's epsilon.
KALDI_FLOOR = 1.1920928955078125e-07
_KALDI_FULL_SCALE = 32768.0
_KALDI_EMPHASIS = 0.97


def stft_power(
    samples: Tensor,
    n_fft: int = 400,
    hop: int = 160,
    window: Window = "hann",
    center: bool = True,
    pad: Literal["reflect", "constant"] = "reflect",
) -> Tensor:
    """Return the power of each frequency over time.

    Args:
        samples: float32 or float64 ``(..., N)``.
        n_fft: Samples of a window and of its transform.
        hop: Samples from one window to the next.
        window: ``"hann"``, periodic; or ``"povey"``, Kaldi's: a symmetric Hann to the power 0.85.
        center: Whether window t has sample ``t * hop`` in its middle, the ends being padded by
            ``n_fft // 2`` samples; otherwise it begins there, and none reaches beyond the end.
        pad: How the ends are padded: mirrored, or by zeros.

    Returns:
        ``(..., F, T)`` in the dtype of ``samples``: squared magnitudes, ``F = n_fft // 2 + 1``,
        ``T = 1 + N // hop`` with ``center``, else ``1 + (N - n_fft) // hop``.

    Raises:
        InputError: If the samples are too few, not real numbers, or a number is out of its range.
    """
    if not samples.is_floating_point() or samples.ndim < 1:
        raise InputError(f"expected samples as float (..., N) in [-1, 1], got {samples.dtype}")
    if n_fft < 2 or hop < 1:
        raise InputError(f"n_fft must be at least 2 and hop at least 1, got {n_fft} and {hop}")
    least = (n_fft // 2 + 1 if pad == "reflect" else 1) if center else n_fft
    if samples.shape[-1] < least:
        raise InputError(
            f"expected at least {least} samples for windows of {n_fft}, got {samples.shape[-1]}"
        )
    flat = samples.reshape(-1, samples.shape[-1])
    if center:
        flat = nn.functional.pad(flat, (n_fft // 2, n_fft // 2), mode=pad)
    pieces = flat.unfold(-1, n_fft, hop) * _window(window, n_fft, samples)
    power = _power(pieces, n_fft).transpose(-1, -2)
    return power.reshape(*samples.shape[:-1], n_fft // 2 + 1, power.shape[-1])


def log_mel(
    samples: Tensor,
    *,
    sample_rate: int = 16_000,
    n_fft: int = 400,
    hop: int = 160,
    num_mels: int = 64,
    f_min: float = 0.0,
    f_max: float | None = None,
    scale: Scale = "htk",
    norm: Literal["slaney"] | None = None,
    center: bool = True,
    pad: Literal["reflect", "constant"] = "reflect",
    floor: float = 1e-10,
) -> Tensor:
    """Return the natural logarithm of the power in mel bands over time.

    Args:
        samples: float32 or float64 ``(..., N)`` in [-1, 1].
        sample_rate: Samples per second.
        n_fft: Samples of a window.
        hop: Samples from one window to the next.
        num_mels: M, bands.
        f_min: Lowest frequency, in Hz.
        f_max: Highest frequency, in Hz; None = half the sample rate.
        scale: See :func:`~videolit.ops.mel_scale.hz_to_mel`.
        norm: See :func:`~videolit.ops.mel_scale.mel_filters`.
        center: See :func:`stft_power`.
        pad: See :func:`stft_power`.
        floor: Least power before the logarithm, above 0.

    Returns:
        ``(..., M, T)`` in the dtype of ``samples``.

    Raises:
        InputError: As :func:`stft_power` and :func:`mel_filters`.
    """
    filters = _filters(num_mels, n_fft, sample_rate, f_min, f_max, scale, norm, "hz")
    power = stft_power(samples, n_fft, hop, "hann", center, pad)
    bands: Tensor = filters.to(power) @ power
    return bands.clamp(min=floor).log()


def kaldi_log_mel(
    samples: Tensor,
    *,
    sample_rate: int = 16_000,
    num_mels: int = 128,
    f_min: float = 20.0,
    f_max: float | None = None,
    window: Window = "povey",
) -> Tensor:
    """Return log-mel energies as Kaldi's ``compute-fbank-feats`` defines them, without dither.

    Windows of 25 ms every 10 ms that lie within the sound; from each its mean is taken away, then
    0.97 of the sample before each sample; the transform's size is the next power of two; triangles
    are straight over mel; energies are those of 16-bit samples (Povey et al. 2011, "The Kaldi
    speech recognition toolkit"; kaldi-asr.org/doc, "Feature extraction"). What the weights of AST
    (Gong et al. 2021, arXiv:2104.01778, section 2.1) were trained on, with window ``"hann"``.

    Args:
        samples: float32 or float64 ``(..., N)`` in [-1, 1].
        sample_rate: Samples per second.
        num_mels: M, bands.
        f_min: Lowest frequency, in Hz.
        f_max: Highest frequency, in Hz; None = half the sample rate.
        window: ``"povey"``, Kaldi's default, or ``"hann"``, here the symmetric one as in Kaldi.

    Returns:
        ``(..., T, M)``, time first as Kaldi has it, in the dtype of ``samples``;
        ``T = 1 + (N - window) // hop``.

    Raises:
        InputError: If the samples are fewer than one window, or as :func:`mel_filters`.
    """
    size, hop = sample_rate * 25 // 1000, sample_rate // 100
    if not samples.is_floating_point() or samples.shape[-1] < size:
        raise InputError(
            f"expected at least one window of 25 ms ({size} samples) as float, got "
            f"{samples.shape[-1]} samples of {samples.dtype}"
        )
    n_fft = 1 << (size - 1).bit_length()
    pieces = samples.unfold(-1, size, hop) * _KALDI_FULL_SCALE
    pieces = pieces - pieces.mean(-1, keepdim=True)
    # The first sample of a window stands for the one before it.
    before = torch.cat([pieces[..., :1], pieces[..., :-1]], -1)
    pieces = pieces - _KALDI_EMPHASIS * before
    pieces = pieces * _window(window, size, samples, symmetric=True)
    filters = _filters(num_mels, n_fft, sample_rate, f_min, f_max, "htk", None, "mel")
    power = _power(pieces, n_fft)
    bands: Tensor = power @ filters.to(power).T
    return bands.clamp(min=KALDI_FLOOR).log()


def _power(pieces: Tensor, n_fft: int) -> Tensor:
    """Return squared magnitudes, ``(..., F)``."""
    spectrum = torch.fft.rfft(pieces, n=n_fft)
    power: Tensor = spectrum.real.square() + spectrum.imag.square()
    return power


def _window(name: Window, size: int, like: Tensor, symmetric: bool = False) -> Tensor:
    """Return a window in the dtype of ``like``, computed in float64."""
    if name not in get_args(Window):
        raise InputError(f"window must be 'hann' or 'povey', got {name!r}")
    periodic = name == "hann" and not symmetric
    window = torch.hann_window(size, periodic=periodic, dtype=torch.float64)
    if name == "povey":
        window = window**0.85
    return window.to(like)


# Computing them takes longer than using them on a short sound.
@functools.lru_cache(maxsize=16)
def _filters(
    num_mels: int,
    n_fft: int,
    sample_rate: int,
    f_min: float,
    f_max: float | None,
    scale: Scale,
    norm: Literal["slaney"] | None,
    over: Literal["hz", "mel"],
) -> Tensor:
    return mel_filters(num_mels, n_fft, sample_rate, f_min, f_max, scale, norm, over)
