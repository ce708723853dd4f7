"""Train, val and test of a manifest: as the data names them, by named groups, or seeded.

Groups (people, scenes, source videos) are never torn apart: clips of one person in train and test
measure how well the person is remembered. The choice depends on names and seed only, neither on
the order of the rows nor on a library's random numbers.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from videolit.data.divide import TEST, TRAIN, VAL, divide
from videolit.data.manifest import SPLITS, Manifest, close_to
from videolit.types import InputError

_SHOWN = 20


@dataclasses.dataclass(frozen=True, eq=False)
class Splits:
    """The three parts of a data set; any of them may be empty until it is required.

    Attributes:
        train: Samples to learn from.
        val: Samples to choose a model by.
        test: Samples to measure the chosen model with.
        why_empty: For each split, why it would have no sample.
    """

    train: Manifest
    val: Manifest
    test: Manifest
    why_empty: tuple[str, str, str]

    def require(self, *names: str) -> None:
        """Refuse empty splits and, with ``"train"``, classes that nothing could be learned of.

        Args:
            names: Of train, val and test, what is about to be used.

        Raises:
            InputError: One message with all that is wrong.
        """
        problems = [
            f"the {name} split is empty: {why}"
            for name, why in zip(SPLITS, self.why_empty, strict=True)
            if name in names and not len(getattr(self, name))
        ]
        if "train" in names and len(self.train):
            counts = [getattr(self, name).class_counts().tolist() for name in SPLITS]
            absent = [label for label, count in enumerate(counts[TRAIN]) if count == 0]
            for label in absent[:_SHOWN]:
                held = [f"{counts[s][label]} in {SPLITS[s]}" for s in (1, 2) if counts[s][label]]
                name = self.train.class_names[label]
                problems.append(
                    f"class {name!r} has no training sample ({', '.join(held) or 'none anywhere'})"
                )
            if len(absent) > _SHOWN:
                problems.append(f"and {len(absent) - _SHOWN} more classes without one")
            if absent:
                problems.append(
                    "each class needs a training sample: add some, remove the class, or hold out "
                    "other groups (val_groups, test_groups, seed)"
                )
        if problems:
            raise InputError(f"{self.train.root}: " + "\n  ".join(problems))


def split_manifest(
    manifest: Manifest,
    *,
    val_fraction: float = 0.15,
    test_fraction: float = 0.15,
    seed: int = 0,
    val_groups: Sequence[str] | None = None,
    test_groups: Sequence[str] | None = None,
    allow_group_overlap: bool = False,
) -> Splits:
    """Divide a manifest into train, val and test.

    Splits that the data names stay as they are. A missing val is split off the samples that have
    no split, or else off train; a missing test only off samples that have no split, so that named
    training samples never become test samples unless ``test_groups`` says so.

    Without groups every class is divided on its own, and each class of at least 3 samples is in
    all three splits. With groups whole groups are divided, sizes and classes as near to the
    fractions as they allow. Segments of one file count as a group.

    Args:
        manifest: All samples.
        val_fraction: Share of val in the samples that are divided, in [0, 1).
        test_fraction: Share of test, likewise; both together below 1.
        seed: Chooses among equally good divisions; few uneven groups may have only one.
        val_groups: Groups that make up val, instead of a share.
        test_groups: Groups that make up test, as in leave-one-person-out.
        allow_group_overlap: Accept named splits that share groups, as some published splits do.

    Raises:
        InputError: If the settings contradict the data, groups are unknown or too few, or the
            same group or file is in two splits.
    """
    if not (0 <= val_fraction < 1 and 0 <= test_fraction < 1 and val_fraction + test_fraction < 1):
        raise InputError(
            "val_fraction and test_fraction must be at least 0 and below 1 together, got "
            f"{val_fraction} and {test_fraction}"
        )
    codes = manifest.splits.copy()
    given = [bool((codes == split).any()) for split in range(3)]
    free = codes < 0
    if free.any() and given[TRAIN]:
        rows = np.flatnonzero(free)
        raise InputError(
            f"{len(rows)} of {len(manifest)} samples have no split though others are named train, "
            f"the first is {manifest.video_id(int(rows[0]))!r}: name the split of all samples, or "
            "only those of val and test"
        )
    from_train = not free.any()
    pool = codes == TRAIN if from_train else free
    codes[pool] = TRAIN
    shares: dict[int, float] = {}
    settings = ((VAL, val_groups, val_fraction), (TEST, test_groups, test_fraction))
    _name_groups(manifest, codes, pool, given, settings)
    for split, named, fraction in settings:
        if named is None and fraction > 0 and not given[split]:
            if split == TEST and from_train:
                continue
            shares[split] = fraction
    rows = np.flatnonzero(pool & (codes == TRAIN))
    if shares and len(rows):
        codes[rows] = divide(manifest, rows, shares, seed)
    _refuse_leaks(manifest, codes, allow_group_overlap)
    parts = dataclasses.replace(manifest, splits=codes)
    return Splits(
        train=parts.select("train"),
        val=parts.select("val"),
        test=parts.select("test"),
        why_empty=_reasons(manifest, given, from_train, settings),
    )


_Settings = tuple[tuple[int, Sequence[str] | None, float], ...]


def _name_groups(
    manifest: Manifest,
    codes: NDArray[np.int8],
    pool: NDArray[np.bool_],
    given: Sequence[bool],
    settings: _Settings,
) -> None:
    """Write the splits of the groups that the user named into ``codes``."""
    present = set(np.unique(manifest.groups).tolist()) - {-1}
    known = {manifest.group_names[code]: code for code in sorted(present)}
    problems = []
    taken: dict[str, str] = {}
    for split, named, _ in settings:
        option = f"{SPLITS[split]}_groups"
        if named is None:
            continue
        if given[split]:
            raise InputError(
                f"{option} is set, but the data names its {SPLITS[split]} samples itself: leave "
                f"{option} out, or remove the split from the data"
            )
        if named and not known:
            raise InputError(
                f"{option} is set, but the data has no groups: add a column 'group' to the "
                "manifest, or set group_pattern"
            )
        for group in map(str, named):
            if group not in known:
                problems.append(f"{option}: no group {group!r}{close_to(group, sorted(known))}")
            elif taken.get(group, option) != option:
                problems.append(f"group {group!r} is in {taken[group]} and in {option}")
            else:
                taken[group] = option
                codes[pool & (manifest.groups == known[group])] = split
    if problems:
        raise InputError("\n".join(problems))


def _refuse_leaks(manifest: Manifest, codes: NDArray[np.int8], allow_group_overlap: bool) -> None:
    """Refuse a group, or the same part of a file, in two splits."""
    problems = []
    if not allow_group_overlap:
        named = manifest.groups >= 0
        where: dict[int, list[str]] = defaultdict(list)
        for pair in np.unique(manifest.groups[named] * 3 + codes[named]).tolist():
            where[pair // 3].append(SPLITS[pair % 3])
        for group, splits in where.items():
            if len(splits) > 1:
                name = manifest.group_names[group]
                problems.append(f"group {name!r} is in {' and '.join(splits)}")
        if problems:
            problems.insert(0, "allow_group_overlap accepts groups in several splits, not files")
    first: dict[bytes, int] = {}
    repeated: dict[int, list[int]] = {}
    for row in range(len(manifest)):
        if (earlier := first.setdefault(manifest.paths.raw(row), row)) != row:
            repeated.setdefault(earlier, [earlier]).append(row)
    overlaps = (overlap(manifest, codes, rows) for rows in repeated.values())
    problems += [overlap for overlap in overlaps if overlap]
    if problems:
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise InputError(
            f"{manifest.root}: the splits share samples, so that scores would be too good\n  "
            + "\n  ".join(problems[:_SHOWN] + more)
        )


def overlap(manifest: Manifest, codes: NDArray[np.int8], rows: Sequence[int]) -> str:
    """Say which two splits hold the same part of one file, ``""`` when none do.

    Args:
        manifest: The samples.
        codes: int8 ``(N,)``, the split of each sample.
        rows: The samples of the file.
    """
    begin = np.nan_to_num(manifest.start[rows], nan=0.0)
    end = np.nan_to_num(manifest.end[rows], nan=math.inf)
    ends: dict[int, float] = {}
    for i in np.argsort(begin, kind="stable").tolist():
        split = int(codes[rows[i]])
        for other, latest in ends.items():
            if other != split and begin[i] < latest:
                name = manifest.video_id(rows[i])
                return f"the same part of {name!r} is in {SPLITS[other]} and {SPLITS[split]}"
        ends[split] = max(ends.get(split, 0.0), float(end[i]))
    return ""


def _reasons(
    manifest: Manifest, given: Sequence[bool], from_train: bool, settings: _Settings
) -> tuple[str, str, str]:
    """Say for each split why it may have no sample and what to do."""
    train = (
        "the data names no training samples" if any(given) else "all samples were held out"
    ) + ": add samples to train, or hold out less (val_groups, test_groups, the fractions)"
    reasons = [train]
    for split, named, fraction in settings:
        name = SPLITS[split]
        if named is not None:
            why = f"{name}_groups names no group: name at least one"
        elif split == TEST and from_train:
            why = (
                "the data names its splits and none of its samples is test: add a folder test or "
                "rows of split test, or set test_groups"
            )
        elif fraction == 0:
            why = f"{name}_fraction is 0: set it above 0, or name {name} samples in the data"
        else:
            why = (
                f"{len(manifest)} samples are too few to spare a share of {fraction:g}: add "
                f"samples, set a larger {name}_fraction, or name the {name} samples in the data"
            )
        reasons.append(why)
    return reasons[0], reasons[1], reasons[2]
