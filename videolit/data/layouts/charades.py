"""Charades (Sigurdsson et al. 2016, arXiv:1604.01753): several of 157 actions in each video."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from videolit.data.layouts.common import check_fold, find_folder, text_lines
from videolit.data.manifest import SEPARATOR
from videolit.data.rows import VIDEO_SUFFIXES
from videolit.types import InputError

_LISTS = {"train": "Charades_v1_train.csv", "test": "Charades_v1_test.csv"}
_CLASSES = "Charades_v1_classes.txt"
_FOLDERS = ("Charades_v1_480", "Charades_v1", "videos")


def charades(root: Path, fold: int) -> Iterator[tuple[str, tuple[str, ...] | str]]:
    """Yield the videos of the official train and test lists with all their actions.

    Expected are ``Charades_v1_train.csv`` and ``Charades_v1_test.csv`` (columns id, subject and
    actions), ``Charades_v1_classes.txt``, in the root or in ``Charades/`` (as the archive unpacks);
    and the videos ``<id>.mp4`` in ``Charades_v1_480/``, ``Charades_v1/`` or ``videos/``. The group
    of a video is its subject. The subjects of train and test overlap in none; videos without an
    action stay, as negatives. Times of the actions are not used: the task is video-level, as in
    the paper's section 6.

    Args:
        root: The folder of all of them.
        fold: 1: there is one split.

    Raises:
        InputError: If a list or the videos are missing.
    """
    check_fold(fold, [1], "Charades")
    lists = root if (root / _LISTS["train"]).is_file() else root / "Charades"
    if not (lists / _LISTS["train"]).is_file():
        raise InputError(f"{str(root)!r} has no {_LISTS['train']}, also not in Charades/")
    names = dict(line.split(" ", 1) for line in text_lines(lists / _CLASSES))
    folder = find_folder(root, _FOLDERS, "the videos of Charades")
    videos = {
        path.stem: path.relative_to(root).as_posix()
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in VIDEO_SUFFIXES
    }
    for split, name in _LISTS.items():
        if (lists / name).is_file():
            yield from _rows(lists / name, split, names, videos)


def _rows(
    path: Path, split: str, names: dict[str, str], videos: dict[str, str]
) -> Iterator[tuple[str, tuple[str, ...] | str]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        lacking = [c for c in ("id", "subject", "actions") if c not in (reader.fieldnames or ())]
        if lacking:
            raise InputError(f"{str(path)!r} lacks the columns {lacking}")
        for row in reader:
            where = f"{path.name}, line {reader.line_num}"
            # c092 11.90 21.20;c147 0.00 12.60
            codes = [part.split()[0] for part in (row["actions"] or "").split(";") if part.strip()]
            unknown = [code for code in codes if code not in names]
            if unknown:
                yield where, f"unknown action {unknown[0]!r}: it is not in {_CLASSES}"
            elif row["id"] not in videos:
                yield where, f"no video {row['id']}.mp4"
            else:
                # A class name may hold the separator's sign in no version of the list.
                labels = SEPARATOR.join(names[code] for code in codes)
                yield where, (videos[row["id"]], labels, "", "", split, row["subject"])
