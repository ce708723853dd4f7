"""Spectra of sound on the mel scale."""

from __future__ import annotations

import functools
import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from videolit.types import InputError

Scale = Literal["htk", "slaney"]
Window = Literal["hann", "povey"]

# Kaldi counts in 16-bit samples and floors energies at the float's epsilon.
KALDI_FLOOR = 1.1920928955078125e-07
_KALDI_FULL_SCALE = 32768.0
_KALDI_EMPHASIS = 0.97
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
    return _power(pieces, n_fft).transpose(-1, -2).reshape(*samples.shape[:-1], n_fft // 2 + 1, -1)


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
        scale: See :func:`hz_to_mel`.
        norm: See :func:`mel_filters`.
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
    return (filters.to(power) @ power).clamp(min=floor).log()


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
    return (power @ filters.to(power).T).clamp(min=KALDI_FLOOR).log()


def _power(pieces: Tensor, n_fft: int) -> Tensor:
    """Return squared magnitudes, ``(..., F)``."""
    spectrum = torch.fft.rfft(pieces, n=n_fft)
    return spectrum.real.square() + spectrum.imag.square()


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


def _check_scale(scale: Scale) -> None:
    if scale not in get_args(Scale):
        raise InputError(f"scale must be 'htk' or 'slaney', got {scale!r}")
