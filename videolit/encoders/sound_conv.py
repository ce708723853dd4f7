"""Sound to feature sequences by convolutions, for a few hundred utterances."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from videolit.encoders.layers import split_layers
from videolit.encoders.sound import check_sound
from videolit.ops.mel import log_mel
from videolit.ops.sound_augment import spec_augment, warp_spectra
from videolit.types import InputError

_WINDOW, _HOP = 0.04, 0.02
# Halvings of time and of frequency by the stages, and how far frequency is halved in all.
_STRIDES = ((2, 2), (2, 2), (2, 2), (2, 1))
_HALVED, _FRAMES_PER_STEP = 16, 8
# Bring log-mel of speech to about mean 0 and deviation 1.
_LEVEL, _SPREAD = -9.0, 3.0
# Frames that stay before the first loud one and behind the last: 0.1 s.
_MARGIN = 5
# Longest stretch that masking takes from time: 0.2 s.
_MASKED = 10


class SmallSoundEncoder(nn.Module):
    """A compact 2D CNN on log-mel spectra, trained from scratch.

    Four halvings of frequency and three of time; a step then sees all bands of about 0.5 s. Against
    few utterances stand masked stretches of time and bands (SpecAugment, Park et al. 2019,
    arXiv:1904.08779) and spectra that are stretched in time and frequency, as other speakers have
    them (vocal tract length perturbation, Jaitly & Hinton 2013), in training only.

    Loudness is kept, since it tells emotions apart; it also tells microphones apart. Where speakers
    are known, give it sound that is evened out by speaker; see
    :func:`~videolit.data.speaker_sound.speaker_filters`.

    Args:
        width: Channels of the first stage; the last has 4 times as many.
        hidden_size: D, the size of a feature.
        num_mels: Mel bands, a multiple of 16.
        sample_rate: Samples per second of the sound.
        dropout: Probability of dropping a feature.
        stretch: Most that time and frequency are stretched or squeezed, as shares in [0, 1).
        masked_bands: Widest stretch of bands that is masked; there are two.
        silence: What comes before the first frame within so many decibels of the loudest, and
            behind the last one, is not looked at; its mask is False. None = all is looked at.

    Attributes:
        num_features: D.
        sample_rate: Samples per second that it expects.
        step: Seconds from one step to the next, 0.16.

    Raises:
        InputError: If a number is out of its range.
    """

    def __init__(
        self,
        width: int = 16,
        hidden_size: int = 128,
        num_mels: int = 48,
        sample_rate: int = 16_000,
        dropout: float = 0.4,
        stretch: tuple[float, float] = (0.15, 0.08),
        masked_bands: int = 6,
        silence: float | None = 28.0,
    ) -> None:
        super().__init__()
        if width < 1 or hidden_size < 1 or not 0 <= dropout < 1:
            raise InputError(
                "width and hidden_size must be at least 1 and dropout in [0, 1), got "
                f"{width}, {hidden_size} and {dropout}"
            )
        if num_mels < _HALVED or num_mels % _HALVED:
            raise InputError(f"num_mels must be a multiple of {_HALVED}, got {num_mels}")
        if sample_rate < 4000 or sample_rate % 100:
            raise InputError(
                f"sample_rate must be a multiple of 100 from 4000 on, got {sample_rate}"
            )
        if not all(0 <= most < 1 for most in stretch) or not 0 <= masked_bands <= num_mels:
            raise InputError(
                "stretch must be two shares in [0, 1) and masked_bands 0 to num_mels "
                f"({num_mels}), got {stretch} and {masked_bands}"
            )
        if silence is not None and silence <= 0:
            raise InputError(f"silence must be above 0 dB or None, got {silence}")
        self.width = width
        self.hidden_size = self.num_features = hidden_size
        self.num_mels = num_mels
        self.sample_rate = sample_rate
        self.dropout = dropout
        self.stretch = stretch
        self.masked_bands = masked_bands
        self.silence = silence
        self._hop = round(_HOP * sample_rate)
        self.step = _FRAMES_PER_STEP * self._hop / sample_rate
        widths = (1, width, 2 * width, 3 * width, 4 * width)
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False),
                nn.BatchNorm2d(after),
                nn.GELU(),
                nn.Dropout2d(dropout / 4 if 0 < place < 3 else 0.0),
            )
            for place, (before, after, kernel, stride) in enumerate(
                zip(widths, widths[1:], (5, 3, 3, 3), _STRIDES, strict=False)
            )
        )
        self.join = nn.Sequential(
            nn.Linear(4 * width * num_mels // _HALVED, hidden_size),
            nn.GELU(),
            nn.Dropout(dropout),
        )

    def forward(self, samples: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Encode sounds.

        Args:
            samples: float ``(B, N)`` in [-1, 1]; what stands at padding is not looked at.
            mask: bool ``(B, N)``, True = real; None = all are real.

        Returns:
            Features, float ``(B, T', D)``, zero where their mask is False, with ``T' = ceil(N / (8
            * hop))``; the mask, bool ``(B, T')``, False at padding and in silence before and
            behind the sound; and the middle of each step in seconds, float32 ``(T',)``.

        Raises:
            InputError: If layout, dtype or range are not accepted.
        """
        samples, mask = check_sound(samples, mask)
        spectra, seen = self.spectra(samples, mask)
        frames = seen.shape[1]
        first, stop = self._loud(spectra, seen)
        # What is heard begins at a step of its own, moved to the front: silence costs nothing.
        skipped = first // _FRAMES_PER_STEP
        begin = skipped * _FRAMES_PER_STEP
        most = max(int((stop - begin).max()), 1)
        places = begin[:, None] + torch.arange(most, device=stop.device)
        kept = places < stop[:, None]
        index = places.clamp(max=frames - 1)[:, None].expand(-1, self.num_mels, -1)
        spectra = torch.where(kept[:, None], spectra.gather(2, index), 0.0)
        if self.training:
            spectra, kept = self._augment(spectra, kept)
        found = spectra.to(next(self.join.parameters()).dtype)[:, None]
        found = found.contiguous(memory_format=torch.channels_last)
        for stage, (_, stride) in zip(self.stages, _STRIDES, strict=True):
            # Zeros at padding are what the convolution puts beyond the end itself.
            kept = kept[:, ::stride]
            found = torch.where(kept[:, None, None], stage(found), 0.0)
        found = self.join(found.permute(0, 3, 1, 2).flatten(2))
        # Back to where they were.
        steps = -(-frames // _FRAMES_PER_STEP)
        places = torch.arange(steps, device=skipped.device) - skipped[:, None]
        index = places.clamp(0, found.shape[1] - 1)
        heard = kept.gather(1, index) & (places >= 0) & (places < found.shape[1])
        features = found.gather(1, index[..., None].expand(-1, -1, self.hidden_size))
        seconds = torch.arange(steps, device=samples.device) * self.step
        return torch.where(heard[..., None], features, 0.0), heard, seconds

    def spectra(self, samples: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the network sees, before silence is left out.

        Args:
            samples: float ``(B, N)``.
            mask: bool ``(B, N)``.

        Returns:
            Log-mel, float32 ``(B, M, T)`` with ``T = ceil(N / hop)`` and 0 at about the level of
            speech, zero at padding; and its mask, bool ``(B, T)``.
        """
        # The squares of half precision have no room for quiet sound.
        with torch.autocast(samples.device.type, enabled=False):
            spectra = log_mel(
                torch.where(mask, samples.float(), 0.0),
                sample_rate=self.sample_rate,
                n_fft=round(_WINDOW * self.sample_rate),
                hop=self._hop,
                num_mels=self.num_mels,
                # Densities: noise of equal power at all frequencies is level.
                norm="slaney",
                # Not mirrored: what is padded within a batch cannot be either.
                pad="constant",
                floor=1e-9,
            )
            seen = mask[:, :: self._hop]
            spectra = (spectra[..., : seen.shape[1]] - _LEVEL) / _SPREAD
            return torch.where(seen[:, None], spectra, 0.0), seen

    def layers(self) -> list[list[nn.Module]]:
        """Return the modules of each layer, from input to output."""
        return split_layers(self)

    def _loud(self, spectra: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return where sound begins and ends in frames, int64 ``(B,)`` each."""
        lengths = seen.sum(1)
        if self.silence is None:
            return torch.zeros_like(lengths), lengths
        power = (spectra.detach() * _SPREAD).logsumexp(1).masked_fill(~seen, -torch.inf)
        # A tenth of a decibel's natural logarithm.
        floor = power.amax(1, keepdim=True) - self.silence * 0.2302585
        loud = (power >= floor) & seen
        places = torch.arange(seen.shape[1], device=seen.device)
        first = torch.where(loud, places, seen.shape[1]).amin(1) - _MARGIN
        last = torch.where(loud, places, -1).amax(1) + _MARGIN
        return torch.minimum(first.clamp(min=0), lengths), torch.minimum(last + 1, lengths)

    def _augment(self, spectra: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Stretch and mask; chance comes from torch's own generator, as that of dropout does."""
        chance = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        if max(self.stretch):
            spectra, kept = warp_spectra(
                spectra, kept, chance, max_time=self.stretch[0], max_bands=self.stretch[1]
            )
        if self.masked_bands:
            spectra = spec_augment(
                spectra, kept, chance, max_time=_MASKED, max_bands=self.masked_bands
            )
        return spectra, kept
