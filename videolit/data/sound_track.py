"""The sound of a video or sound file as one row of samples, on the clock of the picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import av
import numpy as np
from numpy.typing import NDArray

from videolit.data.decoders import InOrderFrames
from videolit.data.sniff import DEMUXERS
from videolit.data.sniff_sound import sniff_sound
from videolit.data.sound import SoundReader, open_sound
from videolit.types import InputError, VideoError

Clock = Literal["picture", "sound"]
Decoder = Literal["pyav", "torchcodec"]
State = Literal["ok", "missing", "silent", "broken"]

# No sample beyond one step of 16 bits: a muted track, dithered or not.
_SILENT = 1.5 / 32768
# Seconds that are decoded at a time.
_PIECE = 30.0


class Sound(NamedTuple):
    """Some of a file's sound.

    Attributes:
        samples: float32 ``(N,)`` in [-1, 1], the mean of left and right; zeros where there is none.
        sample_rate: Samples per second.
        state: ``"ok"``; ``"missing"``: the file has no sound; ``"silent"``: all samples are within
            one step of 16 bits; ``"broken"``: there is sound that cannot be decoded.
        problem: What is wrong with it, ``""`` if nothing; sound that is damaged in part is
            ``"ok"`` with a problem.
        start: Time of the first sample, in seconds.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    state: State
    problem: str
    start: float


def read_sound(
    path: str | Path,
    *,
    sample_rate: int = 16_000,
    start: float | None = None,
    end: float | None = None,
    clock: Clock = "picture",
    decoder: Decoder = "pyav",
) -> Sound:
    """Read the sound of a file into memory: 64 kB a second at 16 kHz.

    FFmpeg decodes and resamples it. Sound that begins late has zeros before it, and gaps in it are
    zeros. A range has the samples that the whole has there, with three exceptions: noise that the
    decoder makes itself (ISO/IEC 14496-3, 4.6.13) is another; samples lie up to half a sample
    beside where the two rates share no time within 0.1 s; and up to 0.5 ms in a Matroska file whose
    frames differ in length.

    Args:
        path: A video (mp4, mov, mkv, webm, avi, ts and others) or sound file (wav, flac, mp3, ogg,
            m4a, aac, aiff), recognised by its first bytes; no playlist and no URL.
        sample_rate: Samples per second that are wanted.
        start: First second, at least 0; None = 0.
        end: Where to stop, exclusive; None = where the sound ends. With it there are always
            ``round(end * sample_rate) - round(start * sample_rate)`` samples.
        clock: What time 0 is: ``"picture"``, the first picture of a video and the first sample of
            other files; ``"sound"``, the first sample.
        decoder: ``"pyav"``; or ``"torchcodec"``, faster for whole files, which must be installed.
            It decodes the whole in any case, and does not know of gaps.

    Returns:
        The sound; without any, its state says so.

    Raises:
        VideoError: If there is no such file, or it is neither video nor sound.
        InputError: If a setting is out of its range, or torchcodec is not there.
    """
    begin = 0.0 if start is None else start
    _check(sample_rate, clock, decoder, begin, end)
    first = round(begin * sample_rate)
    last = None if end is None else round(end * sample_rate)
    reader, problem = _open(path, sample_rate, clock)
    if reader is None:
        return _without(problem, 0 if last is None else last - first, sample_rate, begin)
    try:
        if decoder == "torchcodec":
            samples = _by_torchcodec(str(Path(path).absolute()), reader, first, last)
        else:
            pieces = list(_pieces(reader, first, last, _PIECE))
            samples = np.concatenate([np.zeros(0, np.float32), *pieces])
        return _sound(samples, reader, begin)
    finally:
        reader.close()


def iter_sound(
    path: str | Path,
    seconds: float,
    *,
    sample_rate: int = 16_000,
    clock: Clock = "picture",
) -> Iterator[Sound]:
    """Read the sound of a file piece by piece, in memory that does not grow with its length.

    Args:
        path: As for :func:`read_sound`.
        seconds: Length of a piece, above 0; the last one may be shorter.
        sample_rate: Samples per second that are wanted.
        clock: As for :func:`read_sound`.

    Yields:
        The pieces; joined, they are what :func:`read_sound` returns. Each has the state of its own
        samples. A file without sound, or with none that can be decoded, is one piece of no samples.

    Raises:
        VideoError: If there is no such file, or it is neither video nor sound.
        InputError: If a setting is out of its range.
    """
    _check(sample_rate, clock, "pyav", 0.0, None)
    if not math.isfinite(seconds) or round(seconds * sample_rate) < 1:
        raise InputError(f"seconds must be at least one sample, 1/{sample_rate}, got {seconds}")
    reader, problem = _open(path, sample_rate, clock)
    if reader is None:
        yield _without(problem, 0, sample_rate, 0.0)
        return
    try:
        done = 0
        for samples in _pieces(reader, 0, None, seconds):
            yield _sound(samples, reader, done / sample_rate)
            done += len(samples)
    finally:
        reader.close()


def iter_ranges(
    path: str | Path,
    ranges: Iterable[tuple[float, float]],
    *,
    sample_rate: int = 16_000,
    clock: Clock = "picture",
) -> Iterator[Sound]:
    """Read ranges of a file's sound in one pass over it, in memory that the longest one bounds.

    Args:
        path: As for :func:`read_sound`.
        ranges: First second and where to stop, exclusive; they may overlap, and the first seconds
            ascend.
        sample_rate: Samples per second that are wanted.
        clock: As for :func:`read_sound`.

    Yields:
        What :func:`read_sound` returns for each range; the problem is the first one that was met
        so far.

    Raises:
        VideoError: If there is no such file, or it is neither video nor sound.
        InputError: If a setting is out of its range, or the ranges do not ascend.
    """
    _check(sample_rate, clock, "pyav", 0.0, None)
    reader, problem = _open(path, sample_rate, clock)
    held, first = np.zeros(0, np.float32), 0
    try:
        for start, end in ranges:
            _check(sample_rate, clock, "pyav", start, end)
            low, high = round(start * sample_rate), round(end * sample_rate)
            if low < first:
                raise InputError(f"ranges of sound must ascend, got {start:g} s after a later one")
            if reader is None:
                yield _without(problem, high - low, sample_rate, start)
                continue
            held, first = held[low - first :], low
            done = first + len(held)
            if high > done:
                held = np.concatenate([held, reader.read(done, high - done).mean(0)])
            yield _sound(held[: high - low].copy(), reader, start)
    finally:
        if reader is not None:
            reader.close()


def why_unusable(sound: Sound) -> str:
    """Return why there is nothing to hear, ``""`` if there is."""
    if sound.state != "ok":
        return "the sound is silent" if sound.state == "silent" else sound.problem
    return "" if len(sound.samples) else "the sound is empty"


def _check(sample_rate: int, clock: str, decoder: str, start: float, end: float | None) -> None:
    if not 1000 <= sample_rate <= 192_000:
        raise InputError(f"sample_rate must be in 1000 to 192000 per second, got {sample_rate}")
    if clock not in get_args(Clock):
        raise InputError(f"clock must be 'picture' or 'sound', got {clock!r}")
    if decoder not in get_args(Decoder):
        raise InputError(f"decoder must be 'pyav' or 'torchcodec', got {decoder!r}")
    if not 0 <= start < math.inf or (end is not None and not start <= end < math.inf):
        raise InputError(f"expected 0 <= start <= end in seconds, got start {start} and end {end}")


def _open(path: str | Path, sample_rate: int, clock: str) -> tuple[SoundReader | None, str]:
    container = sniff_sound(path)
    name = str(Path(path).absolute())
    origin = _picture_start(name, container) if clock == "picture" else None
    return open_sound(name, container, origin, sample_rate)


def _picture_start(path: str, container: str) -> Fraction | None:
    """Return the time of the first picture on the file's clock, None where there is none."""
    if container not in DEMUXERS:
        return None
    try:
        with InOrderFrames(path, container) as source:
            frame = next(source.decode(), None)
    except (VideoError, av.FFmpegError, MemoryError):
        # Whether the picture can be used is not asked here.
        return None
    if frame is None or frame.pts is None or frame.time_base is None:
        return None
    return frame.pts * frame.time_base


def _pieces(
    reader: SoundReader, first: int, last: int | None, seconds: float
) -> Iterator[NDArray[np.float32]]:
    """Yield mono samples from one number to another, or to the end of the sound."""
    size = max(round(seconds * reader.rate), 1)
    while last is None or first < last:
        count = size if last is None else min(size, last - first)
        samples: NDArray[np.float32] = reader.read(first, count).mean(0)
        if last is None and reader.ended is not None:
            samples = samples[: max(reader.ended - first, 0)]
            if len(samples):
                yield samples
            return
        yield samples
        first += count


def _by_torchcodec(
    path: str, reader: SoundReader, first: int, last: int | None
) -> NDArray[np.float32]:
    try:
        from torchcodec.decoders import AudioDecoder
    except (ImportError, OSError, RuntimeError) as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"decoder 'torchcodec' cannot be used ({line}): it needs pip install "
            "'videolit[torchcodec]' and FFmpeg's libraries on the system; or take decoder 'pyav'"
        ) from error
    decoder: Any = AudioDecoder(
        path,
        stream_index=reader.stream,
        sample_rate=reader.rate,
        num_channels=reader.channels,
    )
    found = decoder.get_all_samples()
    whole: NDArray[np.float32] = found.data.clamp(-1, 1).mean(0).numpy()
    at = round((Fraction(found.pts_seconds) - reader.origin) * reader.rate)
    stop = max(at + len(whole), first) if last is None else last
    samples = np.zeros(stop - first, np.float32)
    low, high = max(at, first), min(at + len(whole), stop)
    if low < high:
        samples[low - first : high - first] = whole[low - at : high - at]
    return samples


def _sound(samples: NDArray[np.float32], reader: SoundReader, start: float) -> Sound:
    silent = not samples.size or float(np.abs(samples).max()) <= _SILENT
    state: State = "ok" if not silent else "broken" if reader.problem else "silent"
    return Sound(samples, reader.rate, state, reader.problem, start)


def _without(problem: str, count: int, sample_rate: int, start: float) -> Sound:
    state: State = "broken" if problem else "missing"
    reason = problem or "the file has no sound"
    return Sound(np.zeros(count, np.float32), sample_rate, state, reason, start)
