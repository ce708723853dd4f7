"""Augmentation of sound in training; all its chance comes from the sample's generator."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from videolit.ops.modality import BLOCK_SECONDS, drop_steps, step_numbers
from videolit.ops.sound_augment import add_noise, change_gain, shift_time
from videolit.types import InputError


class SoundTransform:
    """Louder or softer, noisy, shifted and broken sound.

    Args:
        gain: Most decibels by which a sound gets louder or softer.
        noise: Probability that white noise is added.
        snr: Ratio of the sound's power to the noise's in decibels, (least, most).
        shift: Most seconds by which a sound moves against the picture, either way.
        lost: Largest share in [0, 1] of a sound that falls silent, in pieces of 50 ms, as where a
            network loses packets; the share is drawn evenly for each sound.

    Raises:
        InputError: If a number is out of its range.
    """

    def __init__(
        self,
        gain: float = 6.0,
        noise: float = 0.5,
        snr: tuple[float, float] = (10.0, 40.0),
        shift: float = 0.0,
        lost: float = 0.0,
    ) -> None:
        if gain < 0 or shift < 0 or not 0 <= noise <= 1 or not snr[0] <= snr[1]:
            raise InputError(
                "SoundTransform needs gain and shift of at least 0, noise in [0, 1] and snr as "
                f"(least, most), got {gain}, {shift}, {noise} and {snr}"
            )
        if not 0 <= lost <= 1:
            raise InputError(f"lost must be a share in [0, 1], got {lost}")
        self.gain = gain
        self.noise = noise
        self.snr = snr
        self.shift = shift
        self.lost = lost

    def __call__(
        self, samples: NDArray[np.float32], sample_rate: int, generator: np.random.Generator
    ) -> NDArray[np.float32]:
        """Augment a sound.

        Args:
            samples: float32 ``(N,)`` in [-1, 1].
            sample_rate: Samples per second.
            generator: The sample's own: the only source of chance.

        Returns:
            float32 ``(N,)``; noise may take it a little beyond 1.
        """
        chance = torch.Generator().manual_seed(int(generator.integers(2**63)))
        sound = torch.from_numpy(samples)[None]
        mask = torch.ones_like(sound, dtype=torch.bool)
        if self.shift:
            most = round(self.shift * sample_rate)
            sound = shift_time(sound, mask, chance, max_shift=most)
        if self.gain:
            sound = change_gain(sound, mask, chance, min_gain=-self.gain, max_gain=self.gain)
        if self.noise and float(torch.rand((), generator=chance)) < self.noise:
            sound = add_noise(sound, mask, chance, min_snr=self.snr[0], max_snr=self.snr[1])
        if self.lost and sound.numel():
            # Last: what is lost has no noise either.
            rate = self.lost * float(torch.rand((), generator=chance))
            seed = torch.randint(2**62, (1,), generator=chance)
            numbers = step_numbers(mask, seed, round(BLOCK_SECONDS * sample_rate))
            sound = drop_steps(sound, numbers, rate)
        changed: NDArray[np.float32] = sound[0].numpy()
        return changed
