"""Sound evened out by speaker: how a voice, room and microphone sound on average is taken away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from videolit.data.sentiment_records import SentimentSet, Utterance
from videolit.data.utterance_media import NoModality, read_voice
from videolit.ops.mel import stft_power
from videolit.types import UtteranceSpec

# Taps of a filter, and samples of the windows that it is made from.
_TAPS, _HOP = 512, 256
# Decibels below an utterance's loudest window where silence begins.
_SILENCE = 28.0
# Power of a frequency on average afterwards, per sample: speech of usual loudness.
_TARGET = 1.0e-5
# Most decibels that a filter adds or takes: nothing is made from what was never recorded.
_MOST = 30.0
# Utterances of a speaker that are listened to: more change the mean little, and cost time.
_LISTENED = 60


def speaker_of(utterance: Utterance) -> str:
    """Return whom an utterance's sound is compared with: its speaker, its group, or itself."""
    return utterance.speaker or utterance.group or utterance.id


def speaker_filters(data: SentimentSet, spec: UtteranceSpec) -> Mapping[str, NDArray[np.float32]]:
    """Return a filter for each speaker that makes the mean spectrum of their speech level.

    Means are those of the logarithm of the power at each frequency, over all utterances of a
    speaker and without silence. How loud and bright an utterance is remains, but in comparison
    with the speaker's others. Labels are not looked at, but all of a speaker's utterances are:
    figures so obtained are those of speakers who are heard for a while before they are judged.

    Args:
        data: The utterances; up to 60 of a speaker, evenly chosen, are read.
        spec: How they are read.

    Returns:
        Filters by :func:`speaker_of`, float32 ``(512,)``; a speaker without sound has none.
    """
    by_speaker: dict[str, list[Utterance]] = {}
    for utterance in data.utterances:
        by_speaker.setdefault(speaker_of(utterance), []).append(utterance)
    found = {}
    for speaker, utterances in by_speaker.items():
        chosen = np.unique(np.linspace(0, len(utterances) - 1, _LISTENED).round().astype(int))
        heard = []
        for place in chosen:
            try:
                sound = read_voice(utterances[place], spec.sample_rate, spec.max_seconds)
            except NoModality:
                continue
            heard.append(sound.samples)
        if heard:
            found[speaker] = level_filter(heard)
    return found


def level_filter(sounds: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the filter that makes the mean log spectrum of sounds level, silence left out.

    Args:
        sounds: float32 ``(N_i,)`` each; without any, the filter changes nothing.

    Returns:
        float32 ``(512,)``, symmetric around its 256th tap: it delays nothing if that is taken as
        the middle.
    """
    total, count = np.zeros(_TAPS // 2 + 1), 0
    for samples in sounds:
        padded = np.pad(samples, (0, max(_TAPS - len(samples), 0))).astype(np.float64)
        power = stft_power(torch.from_numpy(padded), _TAPS, _HOP, center=False).numpy()
        loudness = power.sum(0)
        loud = loudness >= loudness.max() * 10 ** (-_SILENCE / 10)
        total += np.log(np.maximum(power[:, loud], 1e-12)).sum(1)
        count += int(loud.sum())
    if count == 0:
        unchanged: NDArray[np.float32] = np.eye(1, _TAPS, _TAPS // 2, dtype=np.float32)[0]
        return unchanged
    # A window of Hann keeps 3/8 of the power of each of its samples.
    gain = (np.log(_TARGET * _TAPS * 3 / 8) - total / count) / 2
    limit = _MOST * np.log(10) / 20
    middle = np.median(gain)
    response = np.exp(np.clip(gain, middle - limit, middle + limit))
    taps = np.roll(np.fft.irfft(response, _TAPS), _TAPS // 2) * np.hanning(_TAPS + 1)[:-1]
    return taps.astype(np.float32)


def even_out(samples: NDArray[np.float32], taps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a sound through a filter of :func:`level_filter`, as long as it was, not delayed.

    Args:
        samples: float32 ``(N,)``.
        taps: float32 ``(512,)``.

    Returns:
        float32 ``(N,)``; it may exceed 1 where a speaker shouts.
    """
    size = 1 << (len(samples) + _TAPS - 1).bit_length()
    product = np.fft.rfft(samples, size) * np.fft.rfft(taps, size)
    whole = np.fft.irfft(product, size)[_TAPS // 2 :][: len(samples)]
    # The network takes up to 8; a shout of a speaker who else whispers should not end a training.
    return np.clip(whole, -8.0, 8.0).astype(np.float32)
