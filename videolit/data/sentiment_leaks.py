"""What two splits of a sentiment set must not share: groups, speakers, files of equal bytes."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from videolit.data.manifest import SHOWN, SPLITS
from videolit.data.sentiment_records import SentimentSet
from videolit.types import InputError

# What most files of equal size already differ in.
_HEAD = 1 << 16


def refuse_leaks(data: SentimentSet, codes: NDArray[np.int8]) -> None:
    """Refuse groups, speakers and files of equal bytes in two splits.

    Args:
        data: The set.
        codes: int8 ``(N,)``, the split of each utterance, a position in ``SPLITS``; -1 = none.

    Raises:
        InputError: If there are any, with all of them.
    """
    utterances = list(zip(data.utterances, codes.tolist(), strict=True))
    problems = _shared("group", ((each.group, code) for each, code in utterances))
    if not data.shared_speakers:
        # Where the speaker is the group, it is told once.
        speakers = ((u.speaker, c) for u, c in utterances if u.speaker != u.group)
        problems += _shared("speaker", speakers)
    problems += _equal_files(data, codes)
    if problems:
        more = f"\n  and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise InputError(
            f"{data.root}: the splits share what they should not, so that figures would be too "
            "good\n  " + "\n  ".join(problems[:SHOWN]) + f"{more}\n"
            "keep them in one split (column group), or set allow_leaks and say so beside the "
            "figures"
        )


def _shared(what: str, named: Iterable[tuple[str, int]]) -> list[str]:
    where: dict[str, set[int]] = defaultdict(set)
    for name, code in named:
        if name and code >= 0:
            where[name].add(code)
    return [
        f"{what} {name!r} is in {' and '.join(SPLITS[code] for code in sorted(found))}"
        for name, found in sorted(where.items())
        if len(found) > 1
    ]


def _equal_files(data: SentimentSet, codes: NDArray[np.int8]) -> list[str]:
    """Return which files of different splits have the same bytes."""
    split_of: dict[str, int] = {}
    for utterance, code in zip(data.utterances, codes.tolist(), strict=True):
        if utterance.path is not None and code >= 0:
            split_of.setdefault(utterance.path, code)
    alike: list[list[str]] = [list(split_of)]
    for key in (_size, _head, _content):
        alike = [
            same
            for paths in alike
            for same in _by(key, paths)
            if len({split_of[path] for path in same}) > 1
        ]
    return [
        f"files of equal bytes: {' and '.join(f'{path} in {SPLITS[split_of[path]]}' for path in p)}"
        for p in alike
    ]


def _by(key: Callable[[str], object], paths: Iterable[str]) -> Iterable[list[str]]:
    found: dict[object, list[str]] = defaultdict(list)
    for path in paths:
        found[key(path)].append(path)
    return found.values()


def _size(path: str) -> object:
    try:
        # Empty and missing files are told with their reason when they are read.
        return Path(path).stat().st_size or path
    except OSError:
        return path


def _head(path: str) -> object:
    with Path(path).open("rb") as file:
        return file.read(_HEAD)


def _content(path: str) -> object:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
