"""Sound of generated long videos: each place's own, louder the nearer it is, and a bell."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
_AMBIENT, _LOUD = 0.01, 0.16


class Voice(NamedTuple):
    """How an event sounds.

    Attributes:
        pitch: Of its tone, Hz.
        noise: Share of noise in it; the rest is tone.
        beats: Strokes per second, each of which fades; 0 = even.
    """

    pitch: float
    noise: float
    beats: float


VOICES: dict[str, Voice] = {
    "fireworks": Voice(60, 0.8, 2.1),
    "ball_on_grass": Voice(150, 0.3, 1.43),
    "jump_on_beach": Voice(500, 0.6, 1.25),
    "bow_on_stage": Voice(2000, 0.9, 9),
    "balloon": Voice(300, 0.7, 0.4),
    "wave_in_snow": Voice(880, 0.2, 1.8),
    "boat_at_sea": Voice(220, 0.85, 0.3),
    "car_on_road": Voice(90, 0.15, 0),
}


def shot_sound(
    event: str, *, seed: int, num_samples: int, nearness: tuple[float, float]
) -> NDArray[np.float32]:
    """Return the sound of one shot.

    Args:
        event: One of ``VOICES``.
        seed: Of the noise, the pitch (within 6 %) and the moment.
        num_samples: Samples ``N``, 16000 per second.
        nearness: At the beginning and at the end, in [0, 1]; twice as loud at 1 as at 0.

    Returns:
        float32 ``(N,)`` in [-0.5, 0.5].
    """
    generator = np.random.default_rng(seed)
    voice = VOICES[event]
    detune, begin = generator.uniform((0.94, 0), (1.06, 1))
    times = np.arange(num_samples, dtype=np.float32) / SAMPLE_RATE
    wave = 2 * np.pi * detune * voice.pitch * times
    tone = (np.sin(wave) + 0.4 * np.sin(2 * wave) + 0.2 * np.sin(3 * wave)) / 1.6
    hiss = generator.standard_normal((2, num_samples), np.float32) / 3
    sound = (1 - voice.noise) * tone + voice.noise * hiss[0]
    if voice.beats:
        sound *= np.exp(-4 * ((times * voice.beats + begin) % 1))
    sound *= _LOUD * np.linspace(1 + nearness[0], 1 + nearness[1], num_samples)
    return np.asarray(np.clip(sound + _AMBIENT * hiss[1], -0.5, 0.5), np.float32)


def bell_sound(num_samples: int) -> NDArray[np.float32]:
    """Return a bell that is struck four times a second, float32 ``(N,)`` in [-0.45, 0.45]."""
    times = np.arange(num_samples) / SAMPLE_RATE
    # Partials of a bell: prime, tierce, quint, nominal (Fletcher & Rossing 1998, section 21.2).
    partials = [np.sin(2 * np.pi * 1050 * ratio * times) for ratio in (1, 1.2, 1.5, 2)]
    return np.asarray(0.45 * np.mean(partials, axis=0) * np.exp(-6 * (times % 0.25)), np.float32)
