"""Kinetics-400, -600 and -700 (Kay et al. 2017, arXiv:1705.06950; Carreira et al. 2018, 2019)."""

from __future__ import annotations

import csv
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from videolit.data.rows import VIDEO_SUFFIXES
from videolit.types import InputError

_COLUMNS = ("label", "youtube_id", "time_start", "time_end")
_LISTS = {
    "train": ("train.csv", "kinetics_train.csv", "train_400.csv"),
    "val": ("val.csv", "validate.csv", "kinetics_val.csv"),
    "test": ("test.csv", "kinetics_test.csv"),
}
_SHOWN = 5


def kinetics(root: Path, fold: int) -> Iterator[tuple[str, tuple[str, ...] | str]]:
    """Yield the clips that are there; those that are not are counted in a warning.

    Many of the videos have left the web, so every copy of the data has its own gaps. Expected are
    lists ``train.csv``, ``val.csv`` (or ``validate.csv``) and ``test.csv``, in the root or in
    ``annotations/``, with the columns label, youtube_id, time_start and time_end; and videos
    ``<id>_<start>_<end>.mp4``, with six digits of seconds, or ``<id>.mp4``, in
    ``<split>/<label>/``, ``<split>/`` or ``<label>/``, with or without ``videos/`` before it.
    Rows without a label, as in the test list of some versions, are left out.

    Args:
        root: The folder of all of them.
        fold: 1: there is one split.

    Raises:
        InputError: If there is no list, a column is missing, or there is no video of a list.
    """
    if fold != 1:
        raise InputError(f"Kinetics has one split, got fold {fold}")
    lists = {
        split: path
        for split, names in _LISTS.items()
        for path in [_first(root, names)]
        if path is not None
    }
    if "train" not in lists and "val" not in lists:
        raise InputError(
            f"{str(root)!r} has neither train.csv nor val.csv, also not in annotations/"
        )
    videos = _videos(root)
    for split, path in lists.items():
        found, missing = 0, []
        for where, label, stems in _rows(path):
            match = next((videos[stem] for stem in stems if stem in videos), None)
            if match is None:
                missing.append(stems[0])
            else:
                found += 1
                yield where, (match, label, "", "", split, "")
        if missing:
            if not found:
                raise InputError(
                    f"none of the {len(missing)} videos of {str(path)!r} is below {str(root)!r}: "
                    f"the first is {missing[0]}.mp4"
                )
            some = ", ".join(missing[:_SHOWN])
            warnings.warn(
                f"{len(missing)} of {found + len(missing)} videos of {path.name} are not there: "
                f"{some}{', …' * (len(missing) > _SHOWN)}",
                stacklevel=2,
            )


def _first(root: Path, names: tuple[str, ...]) -> Path | None:
    candidates = [folder / name for name in names for folder in (root, root / "annotations")]
    return next((path for path in candidates if path.is_file()), None)


def _videos(root: Path) -> dict[str, str]:
    """Return the path of each video below the root, by its name without the ending."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            stem, ending = os.path.splitext(name)  # noqa: PTH122 - half a million of them
            if ending.lower() in VIDEO_SUFFIXES:
                found[stem] = os.path.relpath(os.path.join(folder, name), root)  # noqa: PTH118
    return found


def _rows(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Yield (line, label, names that the video may have) of a list."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        lacking = [name for name in _COLUMNS[1:] if name not in (reader.fieldnames or ())]
        if lacking:
            raise InputError(f"{str(path)!r} lacks the columns {lacking}")
        for row in reader:
            label = (row.get("label") or "").strip()
            if not label:
                continue
            name = row["youtube_id"].strip()
            where = f"{path.name}, line {reader.line_num}"
            try:
                start, end = (int(float(row[key])) for key in _COLUMNS[2:])
            except (TypeError, ValueError):
                yield where, label, [name]
                continue
            yield where, label, [f"{name}_{start:06d}_{end:06d}", name]
