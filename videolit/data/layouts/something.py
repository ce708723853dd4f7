"""Something-Something V2 (Goyal et al. 2017, arXiv:1706.04261): 174 actions, 220847 clips."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from videolit.data.layouts.common import find_folder
from videolit.types import InputError

_LISTS = {"train": "train", "val": "validation"}


def something(root: Path, fold: int) -> Iterator[tuple[str, tuple[str, ...] | str]]:
    """Yield the clips of train and validation; the labels of test are not public.

    Expected are ``something-something-v2-{train,validation}.json`` (or ``labels/train.json`` and
    ``labels/validation.json``) and ``20bn-something-something-v2/<id>.webm`` (or ``videos/``).
    A label is the template without its brackets. Labels that name left and right are exchanged
    when a clip is mirrored, as its classes demand.

    Args:
        root: The folder of all of them.
        fold: 1: there is one split.

    Raises:
        InputError: If a folder or list is missing or is no such list.
    """
    if fold != 1:
        raise InputError(f"Something-Something has one split, got fold {fold}")
    videos = find_folder(root, ("20bn-something-something-v2", "videos"), "the clips, <id>.webm")
    for split, word in _LISTS.items():
        names = (f"something-something-v2-{word}.json", f"labels/{word}.json")
        path = next((root / name for name in names if (root / name).is_file()), None)
        if path is None:
            raise InputError(f"{str(root)!r} has no {' or '.join(names)}")
        for number, entry in enumerate(_entries(path), 1):
            where = f"{path.name}, entry {number}"
            try:
                label = entry["template"].replace("[", "").replace("]", "")
                yield where, (f"{videos.name}/{entry['id']}.webm", label, "", "", split, "")
            except (KeyError, TypeError, AttributeError):
                yield where, "has no id and template"


def _entries(path: Path) -> list[Any]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {str(path)!r}: {error}") from error
    if not isinstance(entries, list):
        raise InputError(f"{str(path)!r} is no list of clips")
    return entries
