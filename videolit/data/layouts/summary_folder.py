"""A folder of one's own videos, and a file with what people said about their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from videolit.data.hdf5 import natural_order
from videolit.data.layouts.raw_summary import frame_times_of, pick_frames
from videolit.data.rows import VIDEO_SUFFIXES
from videolit.data.score_files import Segment, raise_problems, read_score_file
from videolit.data.summary_records import SummaryRecord, SummarySet, folder_splits
from videolit.types import InputError

SCORE_FILES = ("scores.json", "scores.csv")
_SHOWN = 5


def summary_folder(
    root: Path,
    fps: float = 2.0,
    *,
    allow_unlabelled: bool = False,
    unread: dict[str, str] | None = None,
) -> SummarySet:
    """Read ``scores.json`` or ``scores.csv`` and the videos that it names.

    See :func:`videolit.data.score_files.read_score_file` for both schemas. A frame belongs to a
    segment when ``start <= time < end``; the times of the frames are those of the file, also where
    they are uneven. Videos with scores get ``user_scores``, where a chosen segment counts 1.
    Videos where all segments are chosen ones get ``user_summary``. The common score is the mean
    over the annotators.

    Where all videos lie in ``train/``, ``val/`` and ``test/``, this is the set's division.

    Args:
        root: The folder.
        fps: Steps per second.
        allow_unlabelled: Take videos of which the file says nothing, without scores.
        unread: Gets why a video cannot be read, by its name, and the set goes without it; None =
            that is an error.

    Raises:
        InputError: If a video is missing, is not in the file, or a row is wrong.
        VideoError: If a video cannot be read and ``unread`` is None.
    """
    files = [root / name for name in SCORE_FILES if (root / name).is_file()]
    if len(files) != 1:
        found = " and ".join(file.name for file in files) or "none"
        raise InputError(f"{str(root)!r}: expected scores.json or scores.csv, found {found}")
    path = files[0]
    annotations = read_score_file(path)
    there = {
        file.relative_to(root).as_posix()
        for file in root.rglob("*")
        if file.suffix.lower() in VIDEO_SUFFIXES and not file.name.startswith(".")
    }
    missing = [video for video in annotations if not (root / video).is_file()]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(annotations)} videos of {str(path)!r} are not below "
            f"{str(root)!r}: {_some(missing)}"
        )
    silent = sorted(there - set(annotations), key=natural_order)
    if silent and not allow_unlabelled:
        raise InputError(
            f"{str(path)!r} says nothing of {len(silent)} videos below {str(root)!r}: "
            f"{_some(silent)}; give them a row, take them away, or set allow_unlabelled"
        )
    problems: list[str] = []
    read = (
        _record(root, video, annotations.get(video, {}), fps, problems, unread)
        for video in sorted([*annotations, *silent], key=natural_order)
    )
    records = tuple(record for record in read if record is not None)
    raise_problems(path, problems)
    return SummarySet(
        name=root.resolve().name,
        records=records,
        splits=folder_splits([record.video_id for record in records]),
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + ", …" * (len(names) > _SHOWN)


def _record(
    root: Path,
    video: str,
    users: Mapping[str, Sequence[Segment]],
    fps: float,
    problems: list[str],
    unread: dict[str, str] | None,
) -> SummaryRecord | None:
    known = frame_times_of(root / video, video, unread)
    if known is None:
        return None
    times, rate = known
    picks = pick_frames(times, fps)
    rows = [_frame_scores(segments, times, 1 / rate, problems) for segments in users.values()]
    scores = np.stack(rows) if rows else None
    chosen = all(segment.score is None for segments in users.values() for segment in segments)
    at_picks = None if scores is None else scores[:, picks]
    return SummaryRecord(
        video_id=video,
        name=Path(video).stem,
        source=str(root / video),
        group=None,
        num_features=0,
        num_frames=len(times),
        fps=rate,
        picks=picks,
        gtscore=None if at_picks is None else at_picks.mean(axis=0, dtype=np.float32),
        user_scores=None if chosen else at_picks,
        user_summary=scores > 0 if scores is not None and chosen else None,
    )


def _frame_scores(
    segments: Sequence[Segment],
    times: NDArray[np.float64],
    frame_seconds: float,
    problems: list[str],
) -> NDArray[np.float32]:
    """Return one annotator's score of each frame, float32 ``(num_frames,)``."""
    scores = np.zeros(len(times), np.float32)
    length = times[-1] + frame_seconds
    for segment in segments:
        # People round up; a second beyond the end is still this video.
        if segment.start >= length or segment.end > length + 1:
            problems.append(
                f"{segment.where}: expected times within the video, which lasts {length:.2f} s, "
                f"found {segment.start:g} to {segment.end:g}"
            )
            continue
        # Times with few decimals mean the frame that they name.
        ends = np.array([segment.start, segment.end]) - min(frame_seconds / 4, 1e-3)
        first, stop = np.searchsorted(times, ends, side="left")
        scores[first:stop] = 1.0 if segment.score is None else segment.score
    return scores
