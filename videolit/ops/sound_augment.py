"""Changes of sound for training; what they draw comes from a generator only."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from videolit.types import InputError


def spec_augment(
    spectra: Tensor,
    mask: Tensor,
    generator: torch.Generator,
    *,
    num_time: int = 2,
    max_time: int = 40,
    time_share: float = 0.2,
    num_bands: int = 2,
    max_bands: int = 16,
    fill: float = 0.0,
) -> Tensor:
    """Blank out stretches of time and of frequency (SpecAugment, Park et al. 2019).

    Time and frequency masking of arXiv:1904.08779, section 2, without time warping. Widths are
    drawn evenly from 0 to the largest one, then places; each sound has its own.

    Args:
        spectra: float ``(B, M, T)``; fill with 0 where their mean is 0, see ``fill``.
        mask: bool ``(B, T)``, True = a real frame; padding comes last. Stretches lie within the
            real frames, so they do not depend on how far the batch is padded.
        generator: On the CPU; nothing else is drawn from.
        num_time: Stretches of time.
        max_time: Longest stretch, in frames.
        time_share: Longest stretch as a share of a sound's real frames (p of section 2).
        num_bands: Stretches of frequency.
        max_bands: Widest of them, in bands; at most M.
        fill: What stands there instead.

    Returns:
        float ``(B, M, T)``, a new tensor; padding is as it was.

    Raises:
        InputError: If a number is out of its range.
    """
    batch, bands, frames = spectra.shape
    if min(num_time, max_time, num_bands, max_bands) < 0 or max_bands > bands:
        raise InputError(
            f"numbers and widths must be at least 0 and max_bands at most {bands}, got num_time "
            f"{num_time}, max_time {max_time}, num_bands {num_bands}, max_bands {max_bands}"
        )
    if not 0 <= time_share <= 1:
        raise InputError(f"time_share must be in [0, 1], got {time_share}")
    lengths = mask.sum(1).cpu()
    longest = (lengths * time_share).floor().clamp(max=max_time)
    blank_time = _stretches(num_time, longest, lengths, frames, generator)
    sizes = torch.full((batch,), bands)
    blank_bands = _stretches(num_bands, torch.full((batch,), max_bands), sizes, bands, generator)
    blank = (blank_time[:, None, :] | blank_bands[:, :, None]).to(spectra.device)
    return torch.where(blank & mask[:, None], fill, spectra)


def _stretches(
    count: int, longest: Tensor, lengths: Tensor, size: int, generator: torch.Generator
) -> Tensor:
    """Return where stretches lie, bool ``(B, size)``."""
    draws = torch.rand(len(lengths), count, 2, generator=generator, dtype=torch.float64)
    width = (draws[..., 0] * (longest[:, None] + 1)).floor()
    start = (draws[..., 1] * (lengths[:, None] - width + 1)).floor()
    places = torch.arange(size)
    inside = (places >= start[..., None]) & (places < (start + width)[..., None])
    return inside.any(1)


def warp_spectra(
    spectra: Tensor,
    mask: Tensor,
    generator: torch.Generator,
    *,
    max_time: float = 0.15,
    max_bands: float = 0.08,
) -> tuple[Tensor, Tensor]:
    """Stretch or squeeze each sound in time, and its bands from the lowest one up.

    Faster and slower speech; and longer and shorter vocal tracts, whose resonances lie at other
    frequencies by one factor (Jaitly & Hinton 2013, "Vocal tract length perturbation improves
    speech recognition"), which on the mel scale is one only roughly. Values between are
    interpolated linearly; beyond the highest band it is held.

    Args:
        spectra: float ``(B, M, T)``.
        mask: bool ``(B, T)``, True = a real frame; padding comes last.
        generator: On the CPU; nothing else is drawn from.
        max_time: Most by which the place in time changes, as a share: factors are drawn evenly from
            1 - max_time to 1 + max_time.
        max_bands: Likewise of the bands.

    Returns:
        float ``(B, M, T)``, zero at padding, and its mask. What is stretched beyond T is lost.

    Raises:
        InputError: If a share is not in [0, 1).
    """
    if not 0 <= max_time < 1 or not 0 <= max_bands < 1:
        raise InputError(f"shares must be in [0, 1), got {max_time} and {max_bands}")
    batch, bands, frames = spectra.shape
    draws = 2 * torch.rand(2, batch, 1, generator=generator) - 1
    faster, higher = 1 + max_time * draws[0], 1 + max_bands * draws[1]
    lengths = mask.sum(1, keepdim=True).cpu()
    longer = torch.minimum((lengths / faster).ceil().long(), torch.full_like(lengths, frames))
    changed = (torch.arange(frames) < longer).to(spectra.device)
    # Never beyond a sound's own end: behind it is padding.
    last = (lengths - 0.5).clamp(min=0.5)
    time = torch.minimum((torch.arange(frames) + 0.5) * faster, last) / frames * 2 - 1
    band = (torch.arange(bands) + 0.5) * higher / bands * 2 - 1
    shape = (batch, bands, frames)
    grid = torch.stack([time[:, None].expand(shape), band[:, :, None].expand(shape)], -1)
    warped = nn.functional.grid_sample(
        spectra[:, None], grid.to(spectra), padding_mode="border", align_corners=False
    )
    return torch.where(changed[:, None], warped[:, 0], 0.0), changed


def add_noise(
    samples: Tensor,
    mask: Tensor,
    generator: torch.Generator,
    *,
    min_snr: float = 10.0,
    max_snr: float = 40.0,
) -> Tensor:
    """Add white noise at a ratio of powers drawn evenly in decibels, one for each sound.

    Args:
        samples: float ``(B, N)`` in [-1, 1].
        mask: bool ``(B, N)``, True = real.
        generator: On the CPU.
        min_snr: Smallest ratio of the sound's power to the noise's, in dB.
        max_snr: Largest ratio, in dB.

    Returns:
        float ``(B, N)``; silence stays silent, padding as it was. May exceed 1 where loud.

    Raises:
        InputError: If ``min_snr`` is above ``max_snr``.
    """
    if min_snr > max_snr:
        raise InputError(f"min_snr must be at most max_snr, got {min_snr} and {max_snr}")
    real = torch.where(mask, samples, 0.0)
    power = real.square().sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
    ratio = min_snr + (max_snr - min_snr) * _uniform(samples, generator)
    scale = (power / 10.0 ** (ratio / 10.0)).sqrt()
    noise = torch.randn(samples.shape, generator=generator).to(samples)
    return torch.where(mask, samples + scale * noise, samples)


def change_gain(
    samples: Tensor,
    mask: Tensor,
    generator: torch.Generator,
    *,
    min_gain: float = -6.0,
    max_gain: float = 6.0,
) -> Tensor:
    """Make each sound louder or softer by decibels drawn evenly, never beyond full scale.

    Args:
        samples: float ``(B, N)`` in [-1, 1].
        mask: bool ``(B, N)``, True = real.
        generator: On the CPU.
        min_gain: Smallest gain, in dB.
        max_gain: Largest gain, in dB; where it would clip, the peak becomes 1 instead.

    Returns:
        float ``(B, N)`` in [-1, 1]; padding is as it was.

    Raises:
        InputError: If ``min_gain`` is above ``max_gain``.
    """
    if min_gain > max_gain:
        raise InputError(f"min_gain must be at most max_gain, got {min_gain} and {max_gain}")
    gain = 10.0 ** ((min_gain + (max_gain - min_gain) * _uniform(samples, generator)) / 20.0)
    peak = torch.where(mask, samples, 0.0).abs().amax(1, keepdim=True)
    # A sound that is silent has no peak to keep below 1.
    gain = torch.minimum(gain, 1.0 / peak.clamp(min=1e-12))
    return torch.where(mask, samples * gain, samples)


def shift_time(
    samples: Tensor, mask: Tensor, generator: torch.Generator, *, max_shift: int = 1600
) -> Tensor:
    """Move each sound earlier or later by whole samples drawn evenly; zeros fill the gap.

    Args:
        samples: float ``(B, N)``.
        mask: bool ``(B, N)``, True = real; it stays as it is, and what leaves it is lost.
        generator: On the CPU.
        max_shift: Most samples either way. Keep it below a frame of video where the two are
            compared in time.

    Returns:
        float ``(B, N)``; padding is as it was.

    Raises:
        InputError: If ``max_shift`` is below 0.
    """
    if max_shift < 0:
        raise InputError(f"max_shift must be at least 0 samples, got {max_shift}")
    real = torch.where(mask, samples, 0.0)
    span = 2 * max_shift + 1
    shift = torch.randint(span, (len(samples), 1), generator=generator) - max_shift
    source = torch.arange(samples.shape[1]) - shift
    inside = (source >= 0) & (source < samples.shape[1])
    places = source.clamp(0, samples.shape[1] - 1).to(samples.device)
    moved = torch.where(inside.to(samples.device), real.gather(1, places), 0.0)
    return torch.where(mask, moved, samples)


def _uniform(samples: Tensor, generator: torch.Generator) -> Tensor:
    """Return a number in [0, 1) for each sound, ``(B, 1)``."""
    return torch.rand(len(samples), 1, generator=generator).to(samples)
