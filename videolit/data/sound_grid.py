"""Where the samples of a resampled sound lie, so that a jump changes none of them."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple, Self

from av.audio.frame import AudioFrame

# Matroska and FLV round times to 1 ms.
_ROUNDING = 0.001
# Longest common period of two sampling rates for which samples are dropped, in seconds.
_LONGEST = 0.1


class FirstFrame(NamedTuple):
    """Where the first frame of a sound begins and ends.

    Attributes:
        time: Its start on the file's clock, in seconds.
        samples: How many it has, of one channel.
    """

    time: Fraction
    samples: int

    @classmethod
    def of(cls, frame: AudioFrame) -> Self:
        """Return it for the first decoded frame of a file."""
        return cls(_time(frame) or Fraction(0), frame.samples)


def trim_to_grid(frame: AudioFrame, first: FirstFrame, rate: int) -> tuple[AudioFrame, Fraction]:
    """Drop a frame's samples up to one that coincides with a resampled one.

    Resampled from there, a sound has the same samples as resampled from its beginning; from any
    other, they lie up to half a sample beside them. Where the two rates share no time within 0.1 s
    nothing is dropped.

    Args:
        frame: The first one decoded after a jump.
        first: The file's first one.
        rate: Samples per second that are wanted.

    Returns:
        What is left of the frame, and its exact start on the file's clock, in seconds. Times that
        the container rounded are made exact by the length of the frames.
    """
    own, time = frame.sample_rate, _time(frame)
    if time is None:
        return frame, first.time
    passed = (time - first.time) * own
    blocks = first.samples + round((passed - first.samples) / frame.samples) * frame.samples
    number = blocks if abs(passed - blocks) <= _ROUNDING * own else round(passed)
    period = own // math.gcd(own, rate)
    skip = -number % period
    if period > _LONGEST * own or skip >= frame.samples:
        return frame, first.time + Fraction(number, own)
    rest = frame.to_ndarray()
    width = skip if frame.format.is_planar else skip * frame.layout.nb_channels
    trimmed = AudioFrame.from_ndarray(
        rest[:, width:].copy(), format=frame.format.name, layout=frame.layout.name
    )
    start = first.time + Fraction(number + skip, own)
    assert frame.time_base is not None
    # The container's own time base, rounded or not: a resampler refuses frames of two.
    trimmed.sample_rate, trimmed.time_base = own, frame.time_base
    trimmed.pts = round(start / frame.time_base)
    return trimmed, start


def _time(frame: AudioFrame) -> Fraction | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return frame.pts * frame.time_base
