"""Sound to feature sequences."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from videolit.encoders.layers import split_layers
from videolit.ops.attention_block import AttentionBlock
from videolit.ops.checks import check_dropout, check_heads, check_least
from videolit.ops.mel import log_mel
from videolit.ops.waves import waves
from videolit.types import InputError

# Windows of 25 ms every 10 ms, as in most of speech recognition since Davis & Mermelstein 1980.
_WINDOW, _HOP = 0.025, 0.01
# Wavelengths of the positions, in seconds: from four steps of 40 ms to longer than an utterance.
_SHORTEST, _LONGEST = 0.16, 160.0
_CONVOLUTIONS = 2


class SoundEncoder(nn.Module):
    """A small transformer on log-mel spectra, trained from scratch.

    Two convolutions over time shorten it four times; attention follows, with positions in seconds
    (sines and cosines, Vaswani et al. 2017, arXiv:1706.03762, section 3.5). Each mel band of a
    sound is brought to mean 0 and a standard deviation of about 1 over its real frames, which takes
    away loudness and the microphone's colour. Padding changes nothing: it is never looked at.

    Args:
        hidden_size: D, an even multiple of ``num_heads``.
        num_layers: Transformer blocks, at least 0.
        num_heads: Heads of attention.
        num_mels: Mel bands.
        sample_rate: Samples per second of the sound.
        dropout: Probability of dropping a feature after each part of a block.

    Attributes:
        num_features: D, the size of a feature.
        sample_rate: Samples per second that it expects.
        step: Seconds from one step to the next, 0.04.

    Raises:
        InputError: If a number is out of its range.
    """

    def __init__(
        self,
        hidden_size: int = 128,
        num_layers: int = 3,
        num_heads: int = 4,
        num_mels: int = 64,
        sample_rate: int = 16_000,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_least(("num_layers", num_layers, 0), ("num_mels", num_mels, 1))
        check_heads(hidden_size, num_heads, even=True)
        check_dropout(dropout)
        if sample_rate < 4000 or sample_rate % 100:
            raise InputError(
                f"sample_rate must be a multiple of 100 from 4000 on, got {sample_rate}"
            )
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.num_mels = num_mels
        self.sample_rate = sample_rate
        self.dropout = dropout
        self.num_features = hidden_size
        self._hop = round(_HOP * sample_rate)
        self.step = 2**_CONVOLUTIONS * self._hop / sample_rate
        widths = [num_mels] + [hidden_size] * _CONVOLUTIONS
        self.stem = nn.ModuleList(
            nn.Conv1d(width, hidden_size, 3, stride=2, padding=1) for width in widths[:-1]
        )
        self.blocks = nn.ModuleList(
            AttentionBlock(hidden_size, num_heads, dropout) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(hidden_size)

    def forward(self, samples: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Encode sounds.

        Args:
            samples: float ``(B, N)`` in [-1, 1]; what stands at padding is not looked at.
            mask: bool ``(B, N)``, True = real; None = all are real.

        Returns:
            Features, float ``(B, T', D)``, zero at padding, with ``T' = ceil(N / (4 * hop))``;
            their mask, bool ``(B, T')``; and the middle of each step in seconds, float32 ``(T',)``.

        Raises:
            InputError: If layout, dtype or range are not accepted.
        """
        samples, mask = check_sound(samples, mask)
        spectra, seen = self.spectra(samples, mask)
        found = spectra.to(self.norm.weight.dtype)
        for convolution in self.stem:
            # Zeros at padding are what the convolution puts beyond the end itself.
            found = nn.functional.gelu(convolution(found))
            seen = seen[:, ::2]
            found = torch.where(seen[:, None], found, 0.0)
        seconds = torch.arange(found.shape[-1], device=found.device) * self.step
        found = found.transpose(1, 2) + in_seconds(seconds, self.hidden_size).to(found)
        # Padding sees itself: a row without any step would be NaN.
        itself = torch.eye(seen.shape[1], dtype=torch.bool, device=seen.device)
        attended = (seen[:, None] | itself)[:, None]
        for block in self.blocks:
            found = block(found, attended)
        return torch.where(seen[..., None], self.norm(found), 0.0), seen, seconds

    def spectra(self, samples: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the network sees.

        Args:
            samples: float ``(B, N)``.
            mask: bool ``(B, N)``.

        Returns:
            Normalised log-mel, float32 ``(B, M, T)`` with ``T = ceil(N / hop)``, zero at padding,
            and its mask, bool ``(B, T)``: a frame is real if the sample in its middle is.
        """
        # The squares of half precision have no room for quiet sound.
        with torch.autocast(samples.device.type, enabled=False):
            real = torch.where(mask, samples.float(), 0.0)
            spectra = log_mel(
                real,
                sample_rate=self.sample_rate,
                n_fft=round(_WINDOW * self.sample_rate),
                hop=self._hop,
                num_mels=self.num_mels,
                # Not mirrored: what is padded within a batch cannot be either.
                pad="constant",
            )
            seen = mask[:, :: self._hop]
            spectra = spectra[..., : seen.shape[1]]
            inside = seen[:, None]
            count = inside.sum(2, keepdim=True).clamp(min=1)
            mean = torch.where(inside, spectra, 0.0).sum(2, keepdim=True) / count
            centred = torch.where(inside, spectra - mean, 0.0)
            deviation = (centred.square().sum(2, keepdim=True) / count).sqrt()
            # A steady band stays near 0 instead of becoming loud noise.
            return centred / (deviation + 0.1), seen

    def layers(self) -> list[list[nn.Module]]:
        """Return the modules of each layer, from input to output."""
        return split_layers(self)


def in_seconds(seconds: Tensor, size: int) -> Tensor:
    """Return positions of times as sines and cosines with wavelengths from 0.16 to 160 s.

    Args:
        seconds: float ``(...)``.
        size: D, even.

    Returns:
        float ``(..., D)`` in [-1, 1] in the dtype of ``seconds``.
    """
    return waves(seconds, size, _SHORTEST, _LONGEST).to(seconds.dtype)


def check_sound(samples: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Refuse what is not a batch of sounds, and blank its padding.

    Args:
        samples: float ``(B, N)`` in [-1, 1].
        mask: bool ``(B, N)``, True = real; None = all are real.

    Returns:
        The samples, 0 at padding, and their mask.

    Raises:
        InputError: If layout, dtype, range or mask are not those.
    """
    shape = tuple(samples.shape)
    if samples.ndim != 2 or 0 in shape:
        raise InputError(
            f"expected sound as (B, N) with at least one sample, mono, got {shape}: average its "
            "channels, and give one sound as samples[None]"
        )
    if not samples.is_floating_point():
        raise InputError(
            f"expected sound as float in [-1, 1], got {samples.dtype}: divide 16-bit samples by "
            "32768"
        )
    if mask is None:
        mask = torch.ones(shape, dtype=torch.bool, device=samples.device)
    if mask.dtype != torch.bool or tuple(mask.shape) != shape:
        raise InputError(
            f"expected the mask of sound {shape} as bool (B, N), True for real samples, got "
            f"{mask.dtype} {tuple(mask.shape)}"
        )
    samples = torch.where(mask, samples, 0.0)
    # Reads values, so not where the graph is being compiled. Noise that was added may exceed 1.
    if not torch.compiler.is_compiling():
        peak = float(samples.detach().abs().max())
        if not peak <= 8:
            raise InputError(
                f"expected sound in [-1, 1], got values up to {peak:.3g}: divide 16-bit samples "
                "by 32768, and take out NaN"
            )
    return samples, mask
