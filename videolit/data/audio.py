"""How loud a video file is over time, decoded by PyAV, on the clock of the picture.

Not by :func:`~videolit.data.sound_track.iter_sound`: a mean of left and right would make wide sound
quieter (up to 6 dB in recorded files), and more channels are mixed there.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from videolit.data.decoders import one_line
from videolit.data.sniff import DEMUXERS, sniff
from videolit.types import VideoError

# Quieter than a 16-bit sample can be.
SILENCE_DB = -100.0
_BIN = 0.02


class SoundLevels(NamedTuple):
    """How loud a file is over time.

    Attributes:
        power: float64 ``(N,)``, mean square of the samples of all channels (full scale = 1) in
            pieces of ``seconds``; 0 where there is no sound.
        seconds: Length of a piece.
        problem: Why the sound ends early, ``""`` when it does not.
    """

    power: NDArray[np.float64]
    seconds: float
    problem: str

    def decibels(self, starts: NDArray[np.float64], end: float) -> NDArray[np.float32]:
        """Return the level from each time to the next one, the last to ``end``.

        Args:
            starts: Seconds, float64 ``(T,)``, increasing.
            end: Seconds.

        Returns:
            float32 ``(T,)`` in decibels below full scale, at least -100.
        """
        edges = np.concatenate([starts, [max(end, starts[-1] + self.seconds)]]) / self.seconds
        total = np.concatenate([[0.0], np.cumsum(self.power)])
        at = np.interp(np.minimum(edges, len(self.power)), np.arange(len(total)), total)
        mean = np.diff(at) / np.diff(edges)
        floor = 10 ** (SILENCE_DB / 10)
        levels: NDArray[np.float32] = (10 * np.log10(np.maximum(mean, floor))).astype(np.float32)
        return levels


def sound_levels(
    path: str | Path, origin: float = 0.0, end: float = math.inf
) -> SoundLevels | None:
    """Measure how loud the first sound stream is, in one pass and little memory.

    Args:
        path: A video file.
        origin: Time in the container that counts as 0, in seconds: the first picture's.
        end: Seconds after that from which on sound does not matter. A damaged file may say that a
            sample lies years away.

    Returns:
        The levels, or None where there is no sound stream that can be decoded.

    Raises:
        VideoError: If the file cannot be opened.
    """
    container = sniff(path)
    name = str(Path(path).absolute())
    problem = ""
    try:
        opened = av.open(
            name,
            metadata_errors="replace",
            options={"format_whitelist": DEMUXERS[container], "protocol_whitelist": "file"},
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(name, f"cannot be opened: {one_line(error)}") from error
    with opened as file:
        streams = [s for s in file.streams.audio if s.codec_context is not None]
        if not streams:
            return None
        stream = streams[0]
        # Channels are not mixed: FFmpeg's mix of two is louder than they are, or cancels them.
        resampler = av.AudioResampler(format="fltp")
        total, weight = np.zeros(0), np.zeros(0)
        clock = 0.0
        try:
            for frame in file.decode(stream):
                if frame.pts is not None and frame.time_base:
                    clock = float(frame.pts * frame.time_base) - origin
                for piece in resampler.resample(frame):
                    power = np.square(piece.to_ndarray(), dtype=np.float64).mean(axis=0)
                    places = np.floor(
                        (clock + np.arange(len(power)) / piece.sample_rate) / _BIN
                    ).astype(np.int64)
                    kept = (places >= 0) & (places * _BIN < end)
                    if kept.any():
                        last = int(places[kept][-1])
                        if last >= len(total):
                            more = max(last + 1 - len(total), len(total))
                            total = np.concatenate([total, np.zeros(more)])
                            weight = np.concatenate([weight, np.zeros(more)])
                        first = int(places[kept][0])
                        square = np.bincount(places[kept] - first, power[kept])
                        number = np.bincount(places[kept] - first)
                        total[first : first + len(square)] += square
                        weight[first : first + len(number)] += number
                    clock += len(power) / piece.sample_rate
        except (av.FFmpegError, ValueError) as error:
            problem = one_line(error)
    used = int(np.flatnonzero(weight)[-1]) + 1 if weight.any() else 0
    return SoundLevels(total[:used] / np.maximum(weight[:used], 1), _BIN, problem)
