"""``scores.json`` and ``scores.csv``: what people said about parts of their own videos."""

from __future__ import annotations

import csv
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from videolit.types import InputError

_COLUMNS = ("path", "user", "start", "end", "score")
_SHOWN = 20
_SCHEMA = (
    'expected {"video.mp4": {"users": {"anna": [[start, end, score], …]}}} or '
    '{"video.mp4": {"selected": [[start, end], …]}}, in seconds'
)
# Annotator of a list without names.
ONE_USER = "selected"


class Segment(NamedTuple):
    """A part of a video and what one annotator said of it.

    Attributes:
        start: Seconds from the first frame.
        end: Seconds, exclusive, above ``start``.
        score: In [0, 1]; None = chosen for the summary.
        where: Where it stands, for a message.
    """

    start: float
    end: float
    score: float | None
    where: str


# By video, then by annotator.
Annotations: TypeAlias = dict[str, dict[str, list[Segment]]]


def read_score_file(path: Path) -> Annotations:
    """Read ``.json`` or ``.csv``.

    A JSON file is an object whose keys are the paths of the videos below its folder::

        {"match.mp4": {"users": {"anna": [[0.0, 2.5, 0.75], [10, 12, 1]], "ben": []}},
         "party.mp4": {"selected": [[3, 8], [20.5, 31]]},
         "trip.mp4": {"scale": [1, 5], "users": {"anna": [[0, 2, 4], [2, 4, 1]]}}}

    A segment is ``[start, end, score]``, or ``[start, end]`` for what an annotator chose.
    ``scale`` gives the lowest and the highest score, else 0 and 1; what no segment covers has the
    lowest. ``selected`` is one annotator's choice. An annotator without segments chose nothing.

    A CSV file has the columns path, user, start, end and score; an empty score = chosen. All
    scores are in [0, 1].

    Args:
        path: The file.

    Returns:
        The segments by video and annotator; paths with ``/``.

    Raises:
        InputError: With all that is wrong, if anything is.
    """
    problems: list[str] = []
    reader = _read_csv if path.suffix.lower() == ".csv" else _read_json
    annotations = reader(path, problems)
    for users in annotations.values():
        for segments in users.values():
            _check_overlaps(segments, problems)
    raise_problems(path, problems)
    if not annotations:
        raise InputError(f"{str(path)!r} names no video: {_SCHEMA}")
    return annotations


def raise_problems(path: Path, problems: Sequence[str]) -> None:
    """Raise one error for all problems of a file, if there are any.

    Raises:
        InputError: If there are.
    """
    if problems:
        more = f"\n… and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise InputError(f"{path}:\n" + "\n".join(problems[:_SHOWN]) + more)


def _read_json(path: Path, problems: list[str]) -> Annotations:
    def distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
        keys = [key for key, _ in pairs]
        problems.extend(
            f"{key!r} stands there twice" for key in sorted({k for k in keys if keys.count(k) > 1})
        )
        return dict(pairs)

    try:
        text = path.read_text(encoding="utf-8-sig")
        table = json.loads(text, object_pairs_hook=distinct)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}, line {error.lineno}, column {error.colno}: no JSON: {error.msg}"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {str(path)!r}: {error}") from error
    if not isinstance(table, dict):
        raise InputError(f"{path}: {_SCHEMA}")
    annotations: Annotations = {}
    for video, entry in table.items():
        if not isinstance(entry, dict) or ("users" in entry) == ("selected" in entry):
            problems.append(f"{video!r}: {_SCHEMA}")
            continue
        unknown = set(entry) - {"users", "selected", "scale"}
        if unknown:
            problems.append(f"{video!r}: unknown key {min(unknown)!r}; {_SCHEMA}")
            continue
        users = entry["users"] if "users" in entry else {ONE_USER: entry["selected"]}
        scale = _scale(video, entry.get("scale", [0, 1]), problems)
        if not isinstance(users, dict) or not users:
            problems.append(f"{video!r}, users: expected an object of annotators, found {users!r}")
            continue
        annotations[video] = {
            str(user): _json_segments(f"{video!r}, {user!r}", segments, scale, problems)
            for user, segments in users.items()
        }
    return annotations


def _scale(video: str, value: object, problems: list[str]) -> tuple[float, float]:
    if isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)):
        low, high = float(value[0]), float(value[1])
        if low < high:
            return low, high
    problems.append(f"{video!r}, scale: expected [lowest, highest], found {value!r}")
    return 0.0, 1.0


def _json_segments(
    where: str, value: object, scale: tuple[float, float], problems: list[str]
) -> list[Segment]:
    if not isinstance(value, list):
        problems.append(f"{where}: expected a list of segments, found {value!r}")
        return []
    segments: list[Segment] = []
    for number, item in enumerate(value, 1):
        place = f"{where}, segment {number}"
        fits = isinstance(item, list) and len(item) in (2, 3) and all(map(_is_number, item))
        if not fits:
            problems.append(
                f"{place}: expected [start, end, score] or [start, end], found {item!r}"
            )
            continue
        score = float(item[2]) if len(item) == 3 else None
        _add_segment(segments, place, float(item[0]), float(item[1]), score, scale, problems)
    return segments


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _read_csv(path: Path, problems: list[str]) -> Annotations:
    annotations: Annotations = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            lacking = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if lacking:
                raise InputError(
                    f"{path}, line 1: expected the columns {', '.join(_COLUMNS)}, found "
                    f"{', '.join(reader.fieldnames or ())}"
                )
            for row in reader:
                _csv_row(f"line {reader.line_num}", row, annotations, problems)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {str(path)!r}: {error}") from error
    return annotations


def _csv_row(
    where: str,
    row: Mapping[str, str | None],
    annotations: Annotations,
    problems: list[str],
) -> None:
    cells = {name: (row[name] or "").strip() for name in _COLUMNS}
    numbers: dict[str, float | None] = {"score": None}
    for name in ("start", "end", "score"):
        if name == "score" and not cells[name]:
            continue
        try:
            numbers[name] = float(cells[name])
        except ValueError:
            problems.append(f"{where}, {name}: expected a number, found {cells[name]!r}")
            return
    for name in ("path", "user"):
        if not cells[name]:
            problems.append(f"{where}, {name}: expected a name, found nothing")
            return
    video = cells["path"].replace("\\", "/")
    segments = annotations.setdefault(video, {}).setdefault(cells["user"], [])
    start, end, score = numbers["start"], numbers["end"], numbers["score"]
    assert start is not None
    assert end is not None
    _add_segment(segments, where, start, end, score, (0.0, 1.0), problems)


def _add_segment(
    segments: list[Segment],
    where: str,
    start: float,
    end: float,
    score: float | None,
    scale: tuple[float, float],
    problems: list[str],
) -> None:
    low, high = scale
    if not 0 <= start < end < math.inf:
        problems.append(f"{where}, start and end: expected 0 ≤ start < end, found {start}, {end}")
    elif score is not None and not low <= score <= high:
        problems.append(
            f"{where}, score: expected {low:g} to {high:g}, found {score:g}; another scale is "
            'told by "scale" in scores.json'
        )
    else:
        share = None if score is None else (score - low) / (high - low)
        segments.append(Segment(start, end, share, where))


def _check_overlaps(segments: list[Segment], problems: list[str]) -> None:
    """Refuse two scores of one annotator for one moment; choices may overlap."""
    for before, after in itertools.pairwise(sorted(segments, key=lambda segment: segment.start)):
        scored = before.score is not None or after.score is not None
        # 1e-6: ends and starts that were computed.
        if scored and after.start < before.end - 1e-6:
            problems.append(
                f"{after.where}: expected to start at {before.end:g} s or later, where "
                f"{before.where} ends, found {after.start:g}; an annotator gives each moment one "
                "score"
            )
