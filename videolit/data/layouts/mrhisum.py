"""Mr. HiSum (Sul et al., NeurIPS 2023 Datasets and Benchmarks): what viewers replay most."""

from __future__ import annotations

import csv
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from videolit.data.hdf5 import natural_order, open_hdf5, read_array
from videolit.data.layouts.summary_division import read_division
from videolit.data.summary_records import SummaryRecord, SummarySet
from videolit.types import InputError

_SPLIT_FILES = ("mr_hisum_split.json", "mrsum_split.json")
# The same quantity: README and code of the authors name it differently.
_SUMMARY_KEYS = ("gt_summary", "gtsummary")


def mrhisum(path: Path) -> SummarySet:
    """Read ``mr_hisum.h5``, with ``mr_hisum_split.json`` and ``metadata.csv`` where they are.

    A group for each of 31892 videos of YouTube-8M has ``features`` ``(T, 1024)``, one row for each
    second, ``gtscore`` ``(T,)`` in [0, 1], ``change_points`` ``(S, 2)`` and ``gt_summary`` (or
    ``gtsummary``) ``(T,)``. Frames are seconds here: ``fps`` is 1 and the picks are 0, 1, 2, ….
    The features are YouTube-8M's and not in the download: the authors' ``preprocess.py`` adds
    them. There is one annotation, made of many viewers: ``user_summary`` has one row.

    The authors take the length of a shot as ``last - first`` and its mean score over ``first`` to
    ``last``, both ends included, so that their shots overlap by a second in the means. Here a
    shot is ``[first, last)`` for both, where the next one begins at ``last``; where it begins at
    ``last + 1``, the ends are inclusive.

    Args:
        path: The file.

    Raises:
        InputError: If a file cannot be read or a value is outside of the schema.
    """
    titles = _titles(path.with_name("metadata.csv"))
    with open_hdf5(path) as file:
        names = sorted(file, key=natural_order)
        records = tuple(_record(path, name, file[name], titles.get(name, "")) for name in names)
    divisions = [read_division(path.with_name(name), names) for name in _SPLIT_FILES]
    if not records:
        raise InputError(f"{str(path)!r} has no video")
    return SummarySet(
        name="mrhisum",
        records=records,
        splits=next((division for division in divisions if division), {}),
        notes=(
            "Scores are replays by viewers, one value for each second; the only published set "
            "here with a validation split of its own.",
        ),
    )


def _record(path: Path, video_id: str, group: h5py.Group, title: str) -> SummaryRecord:
    where = f"{path}, {video_id}"
    scores = read_array(group, "gtscore")
    if scores is None:
        raise InputError(f"{where}, gtscore: expected a score for each second, found none")
    gtscore = scores.astype(np.float32)
    features = group.get("features")
    if not isinstance(features, h5py.Dataset):
        raise InputError(
            f"{where}, features: there are none; the download has only annotations. Add them from "
            "YouTube-8M with the authors' preprocess/preprocess.py"
        )
    if features.ndim != 2 or len(features) != len(gtscore):
        raise InputError(
            f"{where}, features: expected one row for each of the {len(gtscore)} seconds of "
            f"gtscore, found shape {features.shape}"
        )
    arrays = (read_array(group, key) for key in _SUMMARY_KEYS)
    summary = next((array for array in arrays if array is not None), None)
    if summary is not None and not ((summary == 0) | (summary == 1)).all():
        raise InputError(f"{where}, gt_summary: expected 0 and 1 only")
    chosen = None if summary is None else summary.ravel().astype(np.bool_)
    return SummaryRecord(
        video_id=video_id,
        name=title,
        source=str(path),
        group=video_id,
        num_features=int(features.shape[1]),
        num_frames=len(gtscore),
        fps=1.0,
        picks=np.arange(len(gtscore), dtype=np.int64),
        gtscore=gtscore,
        user_summary=None if chosen is None else chosen[None],
        shots=_shots(where, read_array(group, "change_points"), len(gtscore)),
        gtsummary=chosen,
    )


def _shots(
    where: str, points: NDArray[np.generic] | None, num_frames: int
) -> NDArray[np.int64] | None:
    if points is None:
        return None
    shots = points.astype(np.int64)
    if shots.ndim != 2 or shots.shape[1] != 2 or len(shots) == 0:
        raise InputError(f"{where}, change_points: expected shape (shots, 2), found {points.shape}")
    if len(shots) == 1:
        inclusive = shots[0, 1] == num_frames - 1
    else:
        inclusive = bool((shots[1:, 0] == shots[:-1, 1] + 1).all())
    return shots + np.array([0, 1]) if inclusive else shots


def _titles(path: Path) -> dict[str, str]:
    """Return YouTube's id of each video; they have no titles."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        lacking = {"video_id", "youtube_id"} - set(reader.fieldnames or ())
        if lacking:
            raise InputError(f"{str(path)!r} lacks the columns {sorted(lacking)}")
        return {row["video_id"]: row["youtube_id"] for row in reader}
