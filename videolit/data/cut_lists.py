"""Segments of a video as the lists that editors, players and FFmpeg read."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from videolit.ops.files import atomic_path
from videolit.types import InputError

Segments = Sequence[tuple[float, float]]


def write_edl(
    path: str | Path, segments: Segments, fps: float | Fraction, title: str, source_name: str
) -> Path:
    """Write segments as an edit decision list (CMX 3600), one cut of picture and sound each.

    Timecode is non-drop at the nearest whole rate, so that a timecode is a number of frames; at
    rates as 30000/1001 it runs slower than the clock, as editors expect. Record times follow each
    other from 00:00:00:00.

    Args:
        path: File to write.
        segments: Start and end in seconds from the first frame of the source, increasing; they are
            rounded to frames, at least one each.
        fps: Frames per second of the source, at least 0.5.
        title: Of the list.
        source_name: Name of the source file, by which editors find it.

    Returns:
        ``path``.

    Raises:
        InputError: If there are no segments, more than 999 of them, one does not end after it
            starts, or the rate cannot be used.
    """
    _check(segments)
    if len(segments) > 999:
        raise InputError(f"an EDL numbers at most 999 edits, got {len(segments)} segments")
    if not math.isfinite(fps) or fps < 0.5:
        raise InputError(f"fps must be at least 0.5, got {fps}")
    rate = round(fps)
    lines = [f"TITLE: {_line(title)}", "FCM: NON-DROP FRAME"]
    if abs(float(fps) - rate) > 1e-3:
        lines.append(f"* {float(fps):.3f} FRAMES PER SECOND, COUNTED AS {rate}")
    record = 0
    for number, (start, end) in enumerate(segments, 1):
        first = round(start * fps)
        count = max(round(end * fps) - first, 1)
        times = (first, first + count, record, record + count)
        # Reel AX: no tape (auxiliary); the comment names the file.
        lines.append(
            f"{number:03d}  AX       AA/V  C        "
            + " ".join(_timecode(frame, rate) for frame in times)
        )
        lines.append(f"* FROM CLIP NAME: {_line(source_name)}")
        record += count
    return _write(path, "\n".join(lines) + "\n")


def write_chapters(path: str | Path, segments_in_summary: Segments, titles: Sequence[str]) -> Path:
    """Write chapters as WebVTT (W3C 2019), for ``<track kind="chapters">``.

    Args:
        path: File to write.
        segments_in_summary: Start and end of each chapter in seconds of the summary.
        titles: Name of each; white space becomes single spaces.

    Returns:
        ``path``.

    Raises:
        InputError: If there are no segments, one does not end after it starts, or there are not as
            many titles.
    """
    _check(segments_in_summary)
    if len(titles) != len(segments_in_summary):
        raise InputError(f"{len(segments_in_summary)} chapters need as many titles: {len(titles)}")
    blocks = ["WEBVTT\n"]
    for (start, end), title in zip(segments_in_summary, titles, strict=True):
        first = round(1000 * start)
        # A cue must end after it starts.
        last = max(round(1000 * end), first + 1)
        # "-->" is no text of a cue; without ">" it is none.
        text = _line(title).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        blocks.append(f"{_clock(first)} --> {_clock(last)}\n{text}\n")
    return _write(path, "\n".join(blocks))


def write_concat(
    path: str | Path, segments: Segments, source: str | Path, *, origin: float = 0.0
) -> Path:
    """Write a list for FFmpeg's concat demuxer.

    ``ffmpeg -f concat -safe 0 -i LIST OUT.mp4`` reads it. The demuxer begins at the key frame at or
    before each start; frames before the start are dropped only when they are encoded again, not
    with ``-c copy``.

    Args:
        path: File to write.
        segments: Start and end in seconds from the first frame of the source, increasing.
        source: The video; stored as an absolute path.
        origin: Time of the first frame on the file's own clock, in seconds; often above 0 in
            transport streams.

    Returns:
        ``path``.

    Raises:
        InputError: If there are no segments, one does not end after it starts, or the path has a
            line break, which such a list cannot hold.
    """
    _check(segments)
    name = str(Path(source).absolute())
    if "\n" in name or "\r" in name:
        raise InputError(f"a concat list cannot hold the line break in {name!r}: rename the file")
    # Within '…' a quote ends the text, \' stands for one and the text goes on (FFmpeg's "Quoting
    # and escaping").
    quoted = "'" + name.replace("'", r"'\''") + "'"
    lines = ["ffconcat version 1.0"]
    for start, end in segments:
        lines += [f"file {quoted}", f"inpoint {origin + start:.6f}", f"outpoint {origin + end:.6f}"]
    return _write(path, "\n".join(lines) + "\n")


def places_in_summary(segments: Segments) -> list[tuple[float, float]]:
    """Return where segments of a video lie in the summary, in seconds from its beginning."""
    ends = [0.0, *itertools.accumulate(end - start for start, end in segments)]
    return list(itertools.pairwise(ends))


def _check(segments: Segments) -> None:
    if not segments:
        raise InputError("there are no segments to list")
    for number, (start, end) in enumerate(segments):
        if not (math.isfinite(end) and 0 <= start < end):
            raise InputError(
                f"segment {number} must start at 0 s or later and end after it starts, got "
                f"{start} to {end} s"
            )


def _line(text: str) -> str:
    """Return a text in one line."""
    return " ".join(text.split())


def _timecode(frame: int, rate: int) -> str:
    seconds, frames = divmod(frame, rate)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frames:02d}"


def _clock(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"


def _write(path: str | Path, text: str) -> Path:
    target = Path(path)
    with atomic_path(target) as part:
        # The bytes of a file name that is no UTF-8 must come through.
        part.write_bytes(text.encode("utf-8", "surrogateescape"))
    return target
