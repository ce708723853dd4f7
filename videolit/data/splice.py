"""Parts of a sound joined without clicks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


class Span(NamedTuple):
    """A part of the source, in seconds from the first frame of its video."""

    start: float
    end: float


class Sound(Protocol):
    """A sound that is read forwards, as :class:`videolit.data.sound.SoundReader`.

    Attributes:
        rate: Samples per second.
        channels: How many there are.
    """

    rate: int
    channels: int

    def read(self, first: int, count: int) -> Samples:
        """Return float32 ``(channels, count)`` from sample ``first`` on."""
        ...


def splice(sound: Sound, spans: Sequence[Span], crossfade: float) -> Iterator[Samples]:
    """Yield the sound of some spans one after the other, in blocks of at most half a second.

    At each joint the sound before fades out while the sound after fades in, ``crossfade`` seconds
    in all, half of it on each side: what is heard there beyond the cut comes from the source, so
    that the length stays that of the spans. The gains are a quarter of a sine and cosine, whose
    squares add to 1: the power of unlike sounds stays even. Spans that meet in the source are
    joined as they are; the beginning and the end fade alone.

    Args:
        sound: Sound of the source.
        spans: Increasing, without overlap.
        crossfade: Seconds, at least 0.

    Yields:
        float32 ``(channels, N)``; together ``round(rate · sum of the lengths)`` samples.
    """
    ends = np.cumsum([0.0, *(span.end - span.start for span in spans)])
    # Rounded as a whole, so that errors do not add up.
    edges = [round(end * sound.rate) for end in ends.tolist()]
    firsts = [round(span.start * sound.rate) for span in spans]
    lengths = [after - before for before, after in itertools.pairwise(edges)]
    fade = round(crossfade * sound.rate)
    halves = [
        max(0, min(fade, lengths[i], lengths[i + 1], firsts[i + 1] - firsts[i] - lengths[i]) // 2)
        for i in range(len(spans) - 1)
    ]
    leads, trails = [0, *halves], [*halves, 0]
    tail = np.zeros((sound.channels, 0), np.float32)
    for i, (first, length) in enumerate(zip(firsts, lengths, strict=True)):
        lead, trail = leads[i], trails[i]
        count = lead + length + trail
        alone = min(fade, length // 2)
        gain_in = _ramp(alone if i == 0 else 2 * lead)
        gain_out = _ramp(alone if i == len(spans) - 1 else 2 * trail)[::-1]
        body = count - 2 * trail
        for start in range(0, body, sound.rate // 2):
            stop = min(start + sound.rate // 2, body)
            block = _gained(
                sound.read(first - lead + start, stop - start), start, count, gain_in, gain_out
            )
            if start == 0:
                block[:, : tail.shape[1]] += tail
            yield block
        tail = _gained(sound.read(first - lead + body, 2 * trail), body, count, gain_in, gain_out)


def _ramp(length: int) -> Samples:
    return np.sin(np.pi / 2 * (np.arange(length) + 0.5) / max(length, 1)).astype(np.float32)


def _gained(block: Samples, start: int, count: int, gain_in: Samples, gain_out: Samples) -> Samples:
    """Fade a block that begins at ``start`` of ``count`` samples, in place."""
    stop = start + block.shape[1]
    if start < len(gain_in):
        block[:, : len(gain_in) - start] *= gain_in[start:stop]
    first_out = count - len(gain_out)
    if stop > first_out:
        begin = max(start, first_out)
        block[:, begin - start :] *= gain_out[begin - first_out : stop - first_out]
    return block
