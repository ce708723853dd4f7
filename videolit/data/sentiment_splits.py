"""Train, val and test of a sentiment set, and folds: no speaker, film or file in two of them."""

from __future__ import annotations

import dataclasses
import hashlib
from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from videolit.data.hdf5 import natural_order
from videolit.data.manifest import SPLITS, Manifest, Names
from videolit.data.sentiment_leaks import refuse_leaks
from videolit.data.sentiment_records import SentimentSet
from videolit.data.split import split_manifest
from videolit.types import InputError


@dataclasses.dataclass(frozen=True, eq=False)
class SentimentSplits:
    """The three parts of a sentiment set; any of them may be empty until it is required.

    Attributes:
        data: The whole set.
        train: int64, the positions to learn from.
        val: Those to choose a model by.
        test: Those to measure the chosen model with.
        why_empty: For each split, why it would have no utterance.
    """

    data: SentimentSet
    train: NDArray[np.int64]
    val: NDArray[np.int64]
    test: NDArray[np.int64]
    why_empty: tuple[str, str, str]

    def part(self, split: str) -> SentimentSet:
        """Return the utterances of a split.

        Args:
            split: ``"train"``, ``"val"`` or ``"test"``.

        Raises:
            InputError: If it is empty: why, and what to do.
        """
        if split not in SPLITS:
            raise InputError(f"unknown split {split!r}: expected {', '.join(SPLITS)}")
        rows: NDArray[np.int64] = getattr(self, split)
        if not len(rows):
            why = self.why_empty[SPLITS.index(split)]
            raise InputError(f"{self.data.root}: the {split} split is empty: {why}")
        return self.data.select(rows)


def split_sentiment(
    data: SentimentSet,
    *,
    val_fraction: float = 0.15,
    test_fraction: float = 0.15,
    seed: int = 0,
    val_groups: Sequence[str] | None = None,
    test_groups: Sequence[str] | None = None,
    allow_leaks: bool = False,
) -> SentimentSplits:
    """Divide a set into train, val and test.

    Published splits stay as they are; a missing val is divided off train. Without published splits
    whole groups (actors, speakers, films) are divided, by names and seed only. See
    :func:`videolit.data.split.split_manifest`.

    Args:
        data: The set.
        val_fraction: Share of val in what is divided, in [0, 1).
        test_fraction: Share of test, likewise; both together below 1.
        seed: Chooses among equally good divisions.
        val_groups: Groups that make up val, instead of a share.
        test_groups: Groups that make up test, as in leave-one-speaker-out.
        allow_leaks: Accept a group, a speaker or files of equal bytes in two splits, as some
            published splits have them. The same part of one file never is.

    Raises:
        InputError: If the settings contradict the data, or something leaks.
    """
    manifest = _manifest(data)
    parts = split_manifest(
        manifest,
        val_fraction=val_fraction,
        test_fraction=test_fraction,
        seed=seed,
        val_groups=val_groups,
        test_groups=test_groups,
        # Refused below, with speakers and files, in the words of this set.
        allow_group_overlap=True,
    )
    # Each row begins at another byte of the block: that tells which row it was.
    begins = manifest.paths.begin
    rows = [np.searchsorted(begins, getattr(parts, split).paths.begin) for split in SPLITS]
    codes = np.full(len(data), -1, np.int8)
    for code, chosen in enumerate(rows):
        codes[chosen] = code
    if not allow_leaks:
        refuse_leaks(data, codes)
    train, val, test = (chosen.astype(np.int64) for chosen in rows)
    return SentimentSplits(data, train, val, test, parts.why_empty)


def all_unlabelled(data: SentimentSet) -> SentimentSplits:
    """Return a set of which nobody said anything: there is only what can be predicted."""
    why = (
        "none of the utterances has a label, score, valence or arousal (columns of a table, or "
        "folders by label); " + "".join(f"{note}; " for note in data.notes)
    ) + "videolit predict does without"
    none = np.zeros(0, np.int64)
    return SentimentSplits(data, none, none, np.arange(len(data)), (why, why, why))


def group_folds(
    data: SentimentSet, num_folds: int, seed: int | None = None
) -> tuple[tuple[str, ...], ...]:
    """Return the groups of each fold: every group is in one of them.

    Args:
        data: A set whose utterances have groups.
        num_folds: How many, at least 2 and at most the number of groups.
        seed: None = neighbours in the order of their names, the longer folds last: of 91 actors
            five folds of 18, 18, 18, 18 and 19. A number = an order that depends on names and seed
            only.

    Raises:
        InputError: If an utterance has no group, or there are too few groups.
    """
    alone = sum(not utterance.group for utterance in data.utterances)
    if alone:
        raise InputError(
            f"{data.root}: {alone} of {len(data)} utterances have no group, so folds could not "
            "keep speakers apart: name them (columns group or speaker)"
        )
    names = sorted({utterance.group for utterance in data.utterances}, key=natural_order)
    if not 2 <= num_folds <= len(names):
        raise InputError(
            f"{data.root}: expected 2 to {len(names)} folds, as there are groups, got {num_folds}"
        )
    if seed is not None:
        names.sort(key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())
    size, longer = divmod(len(names), num_folds)
    folds = []
    begin = 0
    for fold in range(num_folds):
        end = begin + size + (fold >= num_folds - longer)
        folds.append(tuple(names[begin:end]))
        begin = end
    return tuple(folds)


def sentiment_folds(
    data: SentimentSet,
    num_folds: int,
    *,
    fold_seed: int | None = None,
    val_fraction: float = 0.15,
    seed: int = 0,
    allow_leaks: bool = False,
) -> tuple[SentimentSplits, ...]:
    """Return a cross-validation over groups: each group is in the test of one fold.

    Validation is divided off the rest by groups, so that the test chooses nothing.

    Args:
        data: A set without published splits whose utterances have groups.
        num_folds: How many.
        fold_seed: The order of the groups, see :func:`group_folds`.
        val_fraction: Share of val in what is not test.
        seed: Chooses among equally good divisions into train and val.
        allow_leaks: As in :func:`split_sentiment`.

    Raises:
        InputError: As those do.
    """
    return tuple(
        split_sentiment(
            data,
            val_fraction=val_fraction,
            test_fraction=0.0,
            seed=seed,
            test_groups=groups,
            allow_leaks=allow_leaks,
        )
        for groups in group_folds(data, num_folds, fold_seed)
    )


def _manifest(data: SentimentSet) -> Manifest:
    """Return the utterances as the rows that splits are made of."""
    root = Path(data.root).absolute()
    home = root if root.is_dir() else root.parent
    names = [_below(utterance.path, home) or utterance.id for utterance in data.utterances]
    groups = sorted({utterance.group for utterance in data.utterances} - {""})
    codes = {name: code for code, name in enumerate(groups)} | {"": -1}
    nan = float("nan")
    return Manifest(
        root=str(home),
        paths=_pack(names),
        labels=data.labels(),
        class_names=data.class_names,
        start=np.array([nan if u.start is None else u.start for u in data.utterances]),
        end=np.array([nan if u.end is None else u.end for u in data.utterances]),
        groups=np.array([codes[utterance.group] for utterance in data.utterances], np.int64),
        group_names=_pack(groups),
        splits=np.array(
            [-1 if u.split is None else SPLITS.index(u.split) for u in data.utterances], np.int8
        ),
    )


def _below(path: str | None, home: Path) -> str:
    if path is None:
        return ""
    place = Path(path)
    return place.relative_to(home).as_posix() if place.is_relative_to(home) else path


def _pack(names: Sequence[str]) -> Names:
    parts = [name.encode("utf-8", "surrogateescape") for name in names]
    ends = array("q", np.cumsum([len(part) for part in parts]).astype(np.int64).tolist())
    return Names.pack(b"".join(parts), ends)
