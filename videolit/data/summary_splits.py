"""Dividing a summary data set: published split files, and folds of one's own."""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

from videolit.data.hdf5 import natural_order
from videolit.data.layouts.common import text_lines
from videolit.data.summary_records import SummarySet
from videolit.types import InputError

_SETS = ("summe", "tvsum", "ovp", "youtube")


class Fold(NamedTuple):
    """One division of a data set.

    Attributes:
        train: Videos to train with.
        test: Videos to test with; none of them in ``train``.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]


def read_summary_splits(path: str | Path, data: SummarySet) -> tuple[Fold, ...]:
    """Read a published split file of a data set.

    Known are lists of ``{train_keys, test_keys}`` in JSON (VASNet, PGL-SUM, CA-SUM, MSVA) and YAML
    (DSNet), and CSTA's text, ``TVSum/split0/video_2,video_3/video_1`` with the videos to train
    before those to test. Keys may have the HDF5 file before them, as
    ``../data/eccv16_dataset_tvsum_google_pool5.h5/video_1``. The authors of these files choose the
    epoch by the videos to test with; take those for validation off ``train``
    (:func:`inner_validation`).

    Most of the published files are random divisions of which some videos are never in the test:
    PGL-SUM's tests 34 of TVSum's 50. A warning tells, as numbers of different files do not compare.

    Args:
        path: The file.
        data: The data set.

    Raises:
        InputError: If the file is none of these, divides another data set or several, names videos
            that the set has not, or has a video in both parts.
    """
    file = Path(path)
    folds = tuple(
        _fold(f"{file}, split {number}", parts, data)
        for number, parts in enumerate(_parts(file), 1)
    )
    if not folds:
        raise InputError(f"{str(path)!r} has no split")
    tests = Counter(video for fold in folds for video in fold.test)
    if len(tests) < len(data) or max(tests.values()) > 1:
        warnings.warn(
            f"{file.name} is no cross-validation: its {len(folds)} splits test {len(tests)} of "
            f"{len(data)} videos, up to {max(tests.values())} times; compare only with numbers of "
            "this file",
            stacklevel=2,
        )
    return folds


def videos_in_tests(folds: Iterable[Fold]) -> tuple[str, ...]:
    """Return the videos that any of the folds tests, in the order of their names."""
    return tuple(sorted({video for fold in folds for video in fold.test}, key=natural_order))


def make_folds(ids: Iterable[str], num_folds: int = 5, seed: int = 0) -> list[Fold]:
    """Divide videos for a cross-validation: each is tested once.

    Args:
        ids: The videos; their order does not matter.
        num_folds: Number of folds; their tests differ by at most one video.
        seed: Equal seeds and videos give equal folds.

    Raises:
        InputError: If there are fewer than two folds, or fewer videos than folds.
    """
    videos = sorted(set(ids), key=natural_order)
    if not 2 <= num_folds <= len(videos):
        raise InputError(
            f"num_folds must be 2 to {len(videos)}, the number of videos, got {num_folds}"
        )
    order = np.random.default_rng(seed).permutation(len(videos))
    folds = []
    for part in np.array_split(order, num_folds):
        chosen = set(part.tolist())
        test = tuple(video for place, video in enumerate(videos) if place in chosen)
        train = tuple(video for place, video in enumerate(videos) if place not in chosen)
        folds.append(Fold(train, test))
    return folds


def inner_validation(
    train_ids: Iterable[str], fraction: float = 0.2, seed: int = 0, fold: int = 0
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Divide videos for validation off those to train with, so that the test chooses nothing.

    Args:
        train_ids: The videos to train with; their order does not matter.
        fraction: Share for validation, rounded, at least one video.
        seed: Equal seeds, folds and videos give equal divisions.
        fold: Which fold it is, so that each draws anew.

    Returns:
        The videos to train with and those to validate with.

    Raises:
        InputError: If ``fraction`` is not between 0 and 1, or nothing is left to train with.
    """
    videos = sorted(set(train_ids), key=natural_order)
    if not 0 < fraction < 1:
        raise InputError(f"fraction must be between 0 and 1, got {fraction}")
    count = max(1, round(fraction * len(videos)))
    if count >= len(videos):
        raise InputError(
            f"{len(videos)} videos cannot be divided: {count} for validation leave none to train"
        )
    order = np.random.default_rng([seed, fold]).permutation(len(videos))
    chosen = set(order[:count].tolist())
    train = tuple(video for place, video in enumerate(videos) if place not in chosen)
    return train, tuple(video for place, video in enumerate(videos) if place in chosen)


def _parts(path: Path) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the keys to train and to test with."""
    if path.suffix.lower() == ".txt":
        for number, line in enumerate(text_lines(path), 1):
            fields = line.rsplit("/", 2)
            if len(fields) != 3:
                raise InputError(
                    f"{path}, line {number}: expected <set>/<split>/<train>/<test>, found {line!r}"
                )
            prefix = fields[0].split("/")[0]
            train, test = ([f"{prefix}/{key}" for key in part.split(",")] for part in fields[1:])
            yield train, test
        return
    try:
        text = path.read_text(encoding="utf-8-sig")
        splits = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
        # One split alone stands in no list.
        for split in [splits] if isinstance(splits, dict) else splits:
            yield (
                [str(key) for key in split["train_keys"]],
                [str(key) for key in split["test_keys"]],
            )
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())
        raise InputError(
            f"cannot read {str(path)!r} as splits: {reason}; expected a list of objects with "
            "train_keys and test_keys (.json, .yml), or CSTA's text (.txt)"
        ) from error


def _fold(where: str, parts: tuple[Sequence[str], Sequence[str]], data: SummarySet) -> Fold:
    known = set(data.ids)
    train, test = (tuple(_video(where, key, known, data.name) for key in part) for part in parts)
    both = sorted(set(train) & set(test), key=natural_order)
    if both:
        raise InputError(f"{where}: {both[0]} is in train and in test ({len(both)} such videos)")
    if not train or not test:
        raise InputError(f"{where}: expected videos in train and in test, found none in one")
    return Fold(train, test)


def _video(where: str, key: str, known: set[str], name: str) -> str:
    if key in known:
        return key
    before, _, video = key.rpartition("/")
    named = re.search("|".join(_SETS), before.lower())
    if named and name in _SETS and named[0] != name:
        raise InputError(
            f"{where}: {key!r} is a video of {named[0]}, and the data set is {name}; files that "
            "train with several sets (augmented, transfer) cannot be used"
        )
    if video not in known:
        raise InputError(
            f"{where}: expected videos of {name}, found {key!r}; it has "
            f"{', '.join(sorted(known, key=natural_order)[:3])}, …"
        )
    return video
