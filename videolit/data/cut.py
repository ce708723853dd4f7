"""Parts of a video file, one after the other, as a new file with sound."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from videolit.data.decoders import InOrderFrames, one_line
from videolit.data.index import VideoIndex
from videolit.data.mp4_writer import TICKS, Mp4Writer
from videolit.data.pictures import read_ranges
from videolit.data.sound import open_sound
from videolit.data.splice import Span, splice
from videolit.data.verify import verified_index
from videolit.ops.files import atomic_path
from videolit.types import InputError, VideoError

PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow"),
)


class Cut(NamedTuple):
    """What :func:`write_cut` wrote.

    Attributes:
        frames: Number of frames.
        seconds: Length, the sum of the segments.
        audio: ``"kept"``; ``"damaged"``: silent where the source's sound cannot be decoded;
            ``"none"``: the file has no sound.
        problem: What is wrong with the sound, in one line, ``""`` if nothing is.
    """

    frames: int
    seconds: float
    audio: Literal["kept", "damaged", "none"]
    problem: str


def write_cut(
    source: str | Path,
    target: str | Path,
    segments: Sequence[tuple[float, float]],
    *,
    crossfade: float = 0.015,
    crf: int = 20,
    preset: str = "veryfast",
    index: VideoIndex | None = None,
    progressed: Callable[[float], None] | None = None,
) -> Cut:
    """Write some segments of a video, one after the other, as MP4 that browsers play.

    H.264 (8 bits, 4:2:0) at the size of the source, upright, less one line where a side is odd,
    and AAC at its rate, mono or stereo. Frames keep their times, also at a variable frame rate; the
    sound is cut at the same times, to the sample. The source is checked first, which decodes it
    once if that was not done before; then only what is needed is decoded. Memory does not grow
    with the video.

    Args:
        source: The video file.
        target: File to write, ``.mp4``; it appears under its name only when it is complete.
        segments: Start and end of each in seconds from the first frame, increasing, without
            overlap; the end is exclusive. A frame belongs to the segment that it begins in, to a
            quarter of a frame; a picture that stands still as a segment starts is kept too. The
            last frame of a segment lasts until the segment's end.
        crossfade: Seconds over which the sound fades at a joint, in [0, 1]; the length does not
            change. 10 to 20 ms hide the click and are not heard as a fade.
        crf: Quality, 0 (lossless) to 51 (worst); 18 to 23 are usual.
        preset: Of x264, one of ``PRESETS``: slower ones make smaller files.
        index: The source's verified record, where it was checked before.
        progressed: Called after every frame with the seconds that are written.

    Raises:
        InputError: If the segments, the target or a setting cannot be used.
        VideoError: If the source cannot be read.
    """
    source, target = Path(source).absolute(), Path(target)
    _check_settings(source, target, crossfade, crf, preset)
    index = verified_index(source) if index is None else index
    spans = _check_segments(segments, index, source)
    ranges = _frame_ranges(spans, index.timestamps, 1 / index.fps)
    ticks = _ticks(spans, ranges, index.timestamps)
    origin, pixel_aspect = _clock_and_pixels(str(source), index)
    reader, problem = None, ""
    if index.audio:
        reader, problem = open_sound(str(source), index.container, origin)
    try:
        with (
            atomic_path(target) as part,
            Mp4Writer(part, index, pixel_aspect, crf, preset) as file,
        ):
            if reader is not None:
                file.add_sound(reader, splice(reader, spans, crossfade))
            for number, frame in enumerate(read_ranges(str(source), index, ranges)):
                file.write(frame, int(ticks[number]), int(ticks[number + 1]))
                if progressed is not None:
                    progressed(float(ticks[number + 1]) / TICKS)
            file.finish()
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise  # A full disk is no mistake in the input.
        raise VideoError(str(source), f"cannot be cut: {one_line(error)}") from error
    finally:
        if reader is not None:
            reader.close()
    audio: Literal["kept", "damaged", "none"] = "none"
    if reader is not None:
        problem = reader.problem
        audio = "damaged" if problem else "kept"
    return Cut(len(ticks) - 1, float(ticks[-1]) / TICKS, audio, problem)


def _check_settings(source: Path, target: Path, crossfade: float, crf: int, preset: str) -> None:
    if target.suffix.lower() != ".mp4":
        raise InputError(f"cannot write {str(target)!r}: a cut is an MP4 file, name it .mp4")
    if target.absolute() == source or (target.exists() and target.samefile(source)):
        raise InputError(f"cannot write {str(target)!r}: that is the video to cut; name another")
    if not 0 <= crossfade <= 1:
        raise InputError(f"crossfade must be between 0 and 1 second, got {crossfade}")
    if not 0 <= crf <= 51:
        raise InputError(f"crf must be between 0 (best) and 51, got {crf}")
    if preset not in PRESETS:
        raise InputError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}")


def _check_segments(
    segments: Sequence[tuple[float, float]], index: VideoIndex, source: Path
) -> list[Span]:
    spans = [Span(float(start), float(end)) for start, end in segments]
    if not spans:
        raise InputError(f"nothing to cut from {source}: there are no segments")
    frame = 1 / index.fps
    # The last frame may last longer than the others; the record does not say.
    length = float(index.timestamps[-1]) + 2 * frame
    before = Span(0.0, 0.0)
    for number, span in enumerate(spans):
        if not (math.isfinite(span.start) and math.isfinite(span.end)) or span.end <= span.start:
            raise InputError(
                f"segment {number} must end after it starts, got {span.start} to {span.end} s"
            )
        if span.start < -frame / 4 or span.end > length:
            raise InputError(
                f"segment {number}, {span.start} to {span.end} s, is outside of {source}, whose "
                f"last frame is at {index.timestamps[-1]:.3f} s"
            )
        # Times that were rounded to ms may overlap a little.
        if span.start < before.end - frame / 4:
            raise InputError(
                f"segment {number} starts at {span.start} s, before segment {number - 1} ends at "
                f"{before.end} s; sort the segments and join those that overlap"
            )
        spans[number] = before = Span(max(span.start, before.end), span.end)
        if before.end <= before.start:
            raise InputError(f"segment {number} lies within segment {number - 1}; leave it out")
    return spans


def _frame_ranges(
    spans: Sequence[Span], times: NDArray[np.float64], frame: float
) -> list[tuple[int, int]]:
    """Return the first frame of each span and the one after its last; a span has at least one."""
    usual = float(np.median(np.diff(times))) if len(times) > 1 else frame
    bounds = np.searchsorted(times, np.array(spans) - usual / 4)
    ranges: list[tuple[int, int]] = []
    for span, (first, stop) in zip(spans, bounds.tolist(), strict=True):
        begins = float(times[first]) if first < stop else span.end
        # What was on the screen before stays there for a while.
        still = begins - span.start > 1.5 * usual or first == stop
        ranges.append((max(first - still, 0), stop))
    return ranges


def _ticks(
    spans: Sequence[Span], ranges: Sequence[tuple[int, int]], times: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return when each frame comes on the screen, and when the last one goes, in ticks."""
    offset = 0.0
    moments: list[NDArray[np.float64]] = []
    for span, (first, stop) in zip(spans, ranges, strict=True):
        since = np.maximum(times[first:stop] - span.start, 0.0)
        # The first one fills the time since the cut.
        since[0] = 0.0
        moments.append(offset + since)
        offset += span.end - span.start
    ticks = np.round(np.concatenate([*moments, [offset]]) * TICKS).astype(np.int64)
    # Frames at one and the same time follow each other a tick apart.
    steps = np.arange(len(ticks))
    increasing: NDArray[np.int64] = np.maximum.accumulate(ticks - steps) + steps
    return increasing


def _clock_and_pixels(path: str, index: VideoIndex) -> tuple[Fraction, Fraction | None]:
    """Return the time of the first frame on the file's clock, and width by height of a pixel."""
    with InOrderFrames(path, index.container) as source:
        stream = source.stream
        base = Fraction(*index.time_base)
        start = index.pts[0] if index.own_times else stream.start_time or 0
        aspect = stream.sample_aspect_ratio
        if aspect and index.rotation % 180:
            aspect = 1 / aspect
        return start * base, aspect or None
