"""A voice that babbles: its pitch, loudness and tone carry an emotion, its vowels nothing.

Pulses of the vocal folds and breath are shaped by the resonances of vowels. An emotion changes
level, range and course of the pitch, loudness, tension, breath and how far syllables are apart in
themselves (staccato or legato), as summarised by Juslin & Laukka 2003, table 7. When syllables
begin does not depend on it: the mouth is seen to move with them, so that the picture would tell
what the voice shows. Vowels are random for the same reason: they would tell the words.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from videolit.synth.emotions import MOCKING, NONE

Array = NDArray[np.float64]
Sound = NDArray[np.float32]

SAMPLE_RATE = 16_000
# First three resonances of i, e, a, o, u of men in Hz: Peterson & Barney 1952, table II.
_VOWELS = np.array(
    [[270, 2290, 3010], [530, 1840, 2480], [730, 1090, 2440], [570, 840, 2410], [300, 870, 2240]]
)
_BANDWIDTHS = np.array([70.0, 100.0, 140.0])
_WINDOW, _HOP = 512, 128
# Of the loudness of a voice, full scale = 1.
_LOUDNESS = 0.06


@dataclasses.dataclass(frozen=True, kw_only=True)
class Voice:
    """A speaker's voice.

    Attributes:
        pitch: Usual pitch in Hz.
        tract: Resonances in shares of a man's; above 1 = a shorter vocal tract.
        breath: Share of noise, added to that of the emotion.
        gain: Loudness, 1 = average.
    """

    pitch: float
    tract: float
    breath: float
    gain: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manner:
    """How an emotion sounds.

    Attributes:
        level: Pitch above the usual, semitones.
        course: Change of the pitch from the first to the last syllable, semitones.
        accent: Rise of the pitch within each syllable, semitones; below 0 = it falls.
        sweep: Slow rise and fall over the sentence, semitones.
        shake: Tremor of six per second, semitones.
        rough: Random change from one pulse to another, semitones.
        loud: Decibels above the usual.
        tilt: Fall of the spectrum beyond 500 Hz, decibels per octave.
        breath: Share of noise in the sound.
        length: Share of each syllable that sounds: low = staccato, above 1 = there is no gap.
        nasal: Whether it sounds through the nose.
    """

    level: float = 0.0
    course: float = -2.0
    accent: float = 1.2
    sweep: float = 0.0
    shake: float = 0.0
    rough: float = 0.1
    loud: float = 0.0
    tilt: float = 5.0
    breath: float = 0.06
    length: float = 0.72
    nasal: bool = False


MANNERS: dict[str, Manner] = {
    NONE: Manner(),
    "joy": Manner(level=6, course=4, accent=6, loud=3, tilt=3, breath=0.04, length=0.75),
    "sadness": Manner(
        level=-2, course=-4, accent=-0.6, shake=0.7, loud=-6, tilt=10, breath=0.25, length=0.95
    ),
    "anger": Manner(
        level=2, course=-3, accent=-5, rough=1.0, loud=6, tilt=0.5, breath=0.03, length=0.5
    ),
    "calm": Manner(level=-4, course=0, accent=0, loud=-3, tilt=12, breath=0.03, length=1.15),
    # As loud and as long as none: it differs in its melody and tone only.
    MOCKING: Manner(level=1, course=0, accent=0, sweep=5.5, nasal=True),
}


def speak(
    generator: np.random.Generator,
    voice: Voice,
    shown: str,
    *,
    strength: float,
    begins: Array,
    end: float,
    num_samples: int,
) -> Sound:
    """Return a babbled sentence, without noise around it.

    Args:
        generator: Source of all draws.
        voice: Whose voice.
        shown: An emotion, ``neutral`` or ``mocking``.
        strength: Of what is shown, in [0, 1]: 0 sounds as ``neutral``.
        begins: Beginning of each syllable in seconds, ascending, ``(S,)``.
        end: End of the last syllable in seconds.
        num_samples: Samples ``N``, 16000 per second.

    Returns:
        float32 ``(N,)`` in [-0.9, 0.9], the speech at its place.
    """
    manner = _mixed(shown, strength)
    times = np.arange(num_samples) / SAMPLE_RATE
    edges = np.append(begins, end)
    number = np.clip(np.searchsorted(edges, times, side="right") - 1, 0, len(begins) - 1)
    # Place within the syllable and within the sentence.
    within = (times - edges[number]) / (edges[number + 1] - edges[number])
    along = np.clip((times - begins[0]) / (end - begins[0]), 0, 1)
    swing, shift, turn = generator.uniform((0.9, -0.5, 0), (1.2, 0.5, 2 * np.pi))
    pitch = manner.level + shift + manner.course * (along - 0.5)
    pitch += manner.accent * np.sin(np.pi * np.clip(within, 0, 1))
    pitch += manner.sweep * np.sin(2 * np.pi * swing * times + turn)
    pitch += manner.shake * np.sin(2 * np.pi * 6 * times)
    # Changes from pulse to pulse: a new value every 8 ms.
    steps = generator.standard_normal(num_samples // 128 + 1)
    pitch += manner.rough * np.repeat(steps, 128)[:num_samples]
    phase = np.cumsum(voice.pitch * 2 ** (pitch / 12)) / SAMPLE_RATE % 1
    # Flow of the folds' pulse and its slope: Klatt & Klatt 1990, KLGLOTT88.
    opened = 0.6
    share = np.minimum(phase / opened, 1)
    pulse = share * (2 - 3 * share) * (phase < opened)
    hiss = generator.standard_normal((2, num_samples))
    breath = min(manner.breath + voice.breath, 0.6)
    source = (1 - breath) * pulse + breath * hiss[0] * (0.4 + 0.6 * share)
    sounding = (within >= 0) & (within < manner.length) & (times < end)
    envelope = np.where(sounding, np.sin(np.pi * np.clip(within / manner.length, 0, 1)), 0) ** 0.6
    # Levels of stress, and a consonant at the beginning.
    stress = generator.uniform(0.75, 1.0, len(begins))
    vowels = _VOWELS[generator.integers(len(_VOWELS), size=len(begins))] * voice.tract
    sound = _shape(source * envelope * stress[number], vowels, number, manner)
    consonant = (
        np.exp(-(((within - 0.04) / 0.05) ** 2)) * generator.uniform(0, 1, len(begins))[number]
    )
    scale = np.sqrt(np.mean(np.square(sound[sounding]))) + 1e-9
    sound = sound / scale + 0.35 * consonant * np.diff(hiss[1], prepend=0) * (times < end)
    loudness = _LOUDNESS * voice.gain * 10 ** (manner.loud / 20)
    return np.asarray(np.clip(loudness * sound, -0.9, 0.9), np.float32)


def _mixed(shown: str, strength: float) -> Manner:
    """Return a manner between neutral (0) and that of an emotion (1)."""
    weak, full = dataclasses.asdict(MANNERS[NONE]), dataclasses.asdict(MANNERS[shown])
    mixed = {name: weak[name] + strength * (full[name] - weak[name]) for name in weak}
    return Manner(**mixed | {"nasal": full["nasal"]})


def _shape(source: Array, vowels: Array, number: NDArray[np.intp], manner: Manner) -> Array:
    """Return a source through the resonances of vowels that glide into each other, ``(N,)``.

    Args:
        source: ``(N,)``.
        vowels: Resonances of each syllable in Hz, ``(S, 3)``.
        number: The syllable of each sample, ``(N,)``.
        manner: Tilt and nose.
    """
    padded = np.pad(source, (_WINDOW, _WINDOW))
    starts = np.arange(0, len(padded) - _WINDOW + 1, _HOP)
    window = np.hanning(_WINDOW + 1)[:-1]
    pieces = padded[starts[:, None] + np.arange(_WINDOW)] * window
    middle = np.clip(starts - _WINDOW // 2, 0, len(number) - 1)
    targets = vowels[number[middle]]
    # Glides of about 40 ms.
    ends = np.pad(targets, ((2, 2), (0, 0)), mode="edge")
    peaks = np.mean([ends[shift : shift + len(targets)] for shift in range(5)], axis=0)
    frequency = np.fft.rfftfreq(_WINDOW, 1 / SAMPLE_RATE)
    gain = 10 ** (-manner.tilt / 20 * np.log2(np.maximum(frequency / 500, 1)))
    if manner.nasal:
        # A pole and a zero of the nose: Fant 1960, section 2.4.
        gain = gain * (1 + 3 * np.exp(-(((frequency - 1000) / 150) ** 2)))
        gain = gain * (1 - 0.9 * np.exp(-(((frequency - 500) / 200) ** 2)))
    square = frequency[None, :] ** 2
    shape = np.zeros((len(starts), len(frequency)))
    # Side by side, each as loud as the next: in a row they would need all the poles above 4 kHz.
    for place, band in enumerate(_BANDWIDTHS):
        peak = peaks[:, place, None]
        shape += band * frequency / np.sqrt((peak**2 - square) ** 2 + band**2 * square)
    shaped = np.fft.irfft(np.fft.rfft(pieces) * shape * gain, _WINDOW)
    total = np.zeros(len(padded) + _HOP)
    # Hann windows a quarter apart add up to 2.
    for start, piece in zip(starts, shaped, strict=True):
        total[start : start + _WINDOW] += piece / 2
    return total[_WINDOW : _WINDOW + len(source)]
