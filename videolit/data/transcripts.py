"""Words with their times: SubRip (.srt), WebVTT (.vtt), CSV, and plain text."""

from __future__ import annotations

import csv
import html
import io
import math
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from videolit.types import InputError

# Hours may be left out (WebVTT) and the comma be a dot, as in many files that are called .srt.
_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"
_CUE = re.compile(rf"^\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?$")
_ONE_TIME = re.compile(rf"^\s*{_TIME}\s*$")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]*)>", re.IGNORECASE)
# Tags of SubRip and WebVTT, WebVTT's times within a cue, and the {\an8} of Advanced SubStation.
_TAG = re.compile(r"</?[a-z][^<>]*>|<(?:\d+:)?\d+:\d+\.\d+>|\{\\[^{}]*\}", re.IGNORECASE)
# What only tells of sound: [door slams], (laughs), ♪.
_SOUND = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|[♪♫]+")
_NAME = re.compile(r"^\s*(?:-\s*)?([A-Z][A-Z .'-]{1,29}):\s+")
SUFFIXES = (".srt", ".vtt", ".csv", ".txt")


class Line(NamedTuple):
    """Something said, and when.

    Attributes:
        start: Seconds from the video's beginning; 0 where the file has no times.
        end: Seconds, exclusive; infinite where the file has no times.
        text: The words, in one line, without tags.
        speaker: Who said them; ``""`` = unknown.
    """

    start: float
    end: float
    text: str
    speaker: str = ""


def read_transcript(path: str | Path, keep_sounds: bool = False) -> list[Line]:
    """Read a transcript.

    - ``.srt`` and ``.vtt``: tags, cue settings, notes, styles and regions are left out. A speaker
      is WebVTT's ``<v Name>``, or a name in capitals and a colon before the words. Cues may
      overlap and stand in any order.
    - ``.csv``: a table with the columns start, end, text and perhaps speaker; times in seconds or
      as ``hh:mm:ss.fff``.
    - ``.txt``: one line without times, which counts for the whole video.

    Files are read as UTF-8, or UTF-16 with its mark; what is not valid UTF-8 is read as
    Windows-1252, with a warning. A cue that ends before its start is left out, with a warning.

    Args:
        path: The file.
        keep_sounds: Keep what stands in brackets, as ``[door slams]``, and notes of music.

    Returns:
        The lines in order of their start, without empty ones; none for a file without words.

    Raises:
        InputError: If the file is not there, is of another kind, or has a line that cannot be
            understood; the message names file and line.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{path}: expected a transcript ({', '.join(SUFFIXES)}), got {path.suffix or 'none'}"
        )
    text = _decode(path)
    if path.suffix.lower() == ".txt":
        lines = [Line(0.0, math.inf, text)]
    elif path.suffix.lower() == ".csv":
        lines = _read_csv(path, text)
    else:
        lines = _read_cues(path, text)
    clean = [_clean(line, keep_sounds) for line in lines]
    return sorted((line for line in clean if line.text), key=lambda line: (line.start, line.end))


def lines_between(lines: Sequence[Line], start: float, end: float) -> list[Line]:
    """Return what is said in a stretch of time.

    Words have no times of their own: those of a line are taken to be spoken one after the other,
    each for the same time. A word belongs to the stretch that has its middle. So windows side by
    side share out all words, and none counts twice. A line without times is returned whole.

    Args:
        lines: As :func:`read_transcript` gives them.
        start: Seconds.
        end: Seconds, exclusive.

    Returns:
        Lines in their order, cut to the words and the time in the stretch.

    Raises:
        InputError: If the stretch has no length.
    """
    if not start < end:
        raise InputError(f"a stretch of time must end after its start, got {start} to {end} s")
    found = []
    for line in lines:
        if math.isinf(line.end):
            found.append(line)
            continue
        words = line.text.split()
        each = (line.end - line.start) / max(len(words), 1)
        inside = [
            word
            for place, word in enumerate(words)
            if start <= line.start + (place + 0.5) * each < end
        ]
        if inside:
            times = max(line.start, start), min(line.end, end)
            found.append(Line(*times, " ".join(inside), line.speaker))
    return found


def _decode(path: Path) -> str:
    """Return a text file's content with plain line ends."""
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise InputError(f"{path}: cannot be read ({problem.strerror or problem})") from problem
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as problem:
        if encoding == "utf-16":
            raise InputError(f"{path}: begins like UTF-16 and is not ({problem})") from problem
        line = content[: problem.start].count(b"\n") + 1
        warnings.warn(
            f"{path}: line {line} is not UTF-8; read as Windows-1252. If letters look wrong, save "
            "the file as UTF-8",
            stacklevel=3,
        )
        # Its five unused bytes become the replacement character.
        text = content.decode("cp1252", "replace")
    if "\0" in text:
        raise InputError(f"{path}: not a text file, or UTF-16 without its mark; save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_cues(path: Path, text: str) -> list[Line]:
    """Read SubRip or WebVTT: what stands below a line of times, up to an empty line."""
    rows = text.split("\n")
    if path.suffix.lower() == ".vtt" and not re.match(r"WEBVTT(?:[ \t\n]|$)", text):
        raise InputError(f"{path}: line 1: a WebVTT file begins with WEBVTT, got {rows[0][:40]!r}")
    lines: list[Line] = []
    backward: list[tuple[int, float, float]] = []
    number = 0
    while number < len(rows):
        row = rows[number]
        number += 1
        if "-->" not in row:
            if re.match(r"(NOTE|STYLE|REGION)(\s|$)", row):
                while number < len(rows) and rows[number].strip():
                    number += 1
            continue
        cue = _CUE.match(row)
        if cue is None:
            raise InputError(
                f"{path}: line {number}: expected times as 00:01:02,500 --> 00:01:04,000, got "
                f"{row.strip()[:60]!r}"
            )
        start, end = _seconds(*cue.groups()[:4]), _seconds(*cue.groups()[4:])
        if end < start:
            backward.append((number, start, end))
        first = number
        while number < len(rows) and rows[number].strip() and "-->" not in rows[number]:
            number += 1
        words = rows[first:number]
        # Without the empty line, the next cue's number is the last row of this one.
        if number < len(rows) and "-->" in rows[number] and words and words[-1].strip().isdigit():
            words = words[:-1]
        if start <= end:
            lines += _speakers(start, end, words)
    if backward and not lines:
        _check_times(path, *backward[0])
    if backward:
        at, start, end = backward[0]
        more = f", and {len(backward) - 1} more like it" * (len(backward) > 1)
        warnings.warn(
            f"{path}: line {at} ends at {end:g} s, before its start, {start:g} s{more}: left out",
            stacklevel=3,
        )
    if not lines and text.strip() and path.suffix.lower() == ".srt":
        raise InputError(f"{path}: no times in it (00:01:02,500 --> 00:01:04,000); is it a .txt?")
    return lines


def _speakers(start: float, end: float, rows: Sequence[str]) -> list[Line]:
    """Return a cue as one line for each voice in it."""
    text = "\n".join(rows)
    parts = _VOICE.split(text)
    if len(parts) == 1:
        text = _TAG.sub("", text)
        name = _NAME.match(text)
        if name is None:
            return [Line(start, end, text)]
        return [Line(start, end, text[name.end() :], name[1].strip().title())]
    said = list(zip(["", *parts[1::2]], parts[::2], strict=True))
    said = [(speaker, words.strip()) for speaker, words in said if words.strip()]
    # Voices of one cue share its time by their letters.
    total = sum(len(words) for _, words in said)
    lines, done = [], 0
    for speaker, words in said:
        times = [start + (end - start) * at / total for at in (done, done + len(words))]
        lines.append(Line(times[0], times[1], words, html.unescape(speaker).strip()))
        done += len(words)
    return lines


def _read_csv(path: Path, text: str) -> list[Line]:
    """Read a table; its columns may stand in any order."""
    sample = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=sample.count)
    table = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    columns = {(name or "").strip().lower(): name for name in table.fieldnames or []}
    missing = [name for name in ("start", "end", "text") if name not in columns]
    if missing:
        raise InputError(
            f"{path}: line 1: expected the columns start, end, text and perhaps speaker; missing: "
            f"{', '.join(missing)}"
        )
    lines = []
    for row in table:
        if any(row[columns[name]] is None for name in ("start", "end", "text")):
            raise InputError(f"{path}: line {table.line_num}: fewer fields than columns")
        start = _csv_time(path, table.line_num, row[columns["start"]])
        end = _csv_time(path, table.line_num, row[columns["end"]])
        _check_times(path, table.line_num, start, end)
        speaker = row[columns["speaker"]] if "speaker" in columns else ""
        lines.append(Line(start, end, row[columns["text"]], (speaker or "").strip()))
    return lines


def _csv_time(path: Path, number: int, text: str) -> float:
    time = _ONE_TIME.match(text)
    if time is not None:
        return _seconds(*time.groups())
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < 0:
        raise InputError(
            f"{path}: line {number}: expected seconds or hh:mm:ss.fff, got {text.strip()[:40]!r}"
        )
    return seconds


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float:
    whole = 3600 * int(hours or 0) + 60 * int(minutes) + int(seconds)
    return whole + int((fraction or "0").ljust(3, "0")) / 1000


def _check_times(path: Path, number: int, start: float, end: float) -> None:
    if end < start:
        raise InputError(f"{path}: line {number}: ends at {end:g} s, before its start, {start:g} s")


def _clean(line: Line, keep_sounds: bool) -> Line:
    """Return a line without tags, sounds, entities and line breaks."""
    text = html.unescape(_TAG.sub("", line.text))
    if not keep_sounds:
        text = _SOUND.sub(" ", text)
    text = re.sub(r"^\s*-\s+", "", text, flags=re.MULTILINE)
    return line._replace(text=" ".join(text.split()))
