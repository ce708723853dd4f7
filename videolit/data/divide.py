"""How samples, or whole groups of them, are shared out to train, val and test."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from videolit.data.manifest import SPLITS, Manifest
from videolit.types import InputError

TRAIN, VAL, TEST = range(3)
_SHOWN = 20


def divide(
    manifest: Manifest, rows: NDArray[np.int64], shares: Mapping[int, float], seed: int
) -> NDArray[np.int8]:
    """Share samples out to splits; whole groups stay together.

    Args:
        manifest: All samples.
        rows: Those to divide.
        shares: Fractions of the splits beside train.
        seed: Chooses among equally good divisions.

    Returns:
        int8 ``(len(rows),)``, the split of each row, an index of ``SPLITS``.

    Raises:
        InputError: If there are fewer groups than splits.
    """
    numbers: dict[bytes, int] = {}
    grouped = manifest.groups[rows].tolist()
    units = np.empty(len(rows), np.int64)
    for i, (row, group) in enumerate(zip(rows.tolist(), grouped, strict=True)):
        # A row without group belongs with the other segments of its file only.
        name = (
            b"g" + manifest.group_names.raw(group) if group >= 0 else b"f" + manifest.paths.raw(row)
        )
        units[i] = numbers.setdefault(name, len(numbers))
    if len(numbers) <= len(shares) and max(grouped) >= 0:
        names = sorted({manifest.group_names[g] for g in grouped if g >= 0})
        raise InputError(
            f"{len(numbers)} group{'s' * (len(numbers) > 1)} ({', '.join(names[:_SHOWN])}) cannot "
            f"fill the splits train, {', '.join(SPLITS[s] for s in shares)}: whole groups stay "
            "together. Record more groups, set a fraction to 0, or leave the groups out"
        )
    # By name, so that data is divided the same whatever order its classes are asked for in.
    ranks = np.argsort(np.argsort(np.array(manifest.class_names, dtype=object)))
    labels = np.append(ranks, -1)[manifest.labels[rows]]
    if len(numbers) == len(rows):
        return _by_class(labels, _shuffled(numbers, seed, 0), shares)
    counts: list[Counter[int]] = [Counter() for _ in numbers]
    for unit, label in zip(units.tolist(), labels.tolist(), strict=True):
        counts[unit][label] += 1
    # Several starting orders cost little where there are few groups, and few groups need them.
    tries = max(1, min(200, 2000 // len(numbers)))
    best = min(
        (_by_group(counts, _shuffled(numbers, seed, k), shares) for k in range(tries)),
        key=lambda result: result[0],
    )
    return np.array(best[1], np.int8)[units]


def _shuffled(numbers: Mapping[bytes, int], seed: int, attempt: int) -> list[int]:
    """Return the numbers in an order that depends on names and seed only."""
    salt = f"{seed}/{attempt}/".encode()
    digests = ((hashlib.sha256(salt + name).digest(), number) for name, number in numbers.items())
    return [number for _, number in sorted(digests)]


def _by_class(
    labels: NDArray[np.int64], order: Sequence[int], shares: Mapping[int, float]
) -> NDArray[np.int8]:
    """Give each class's samples, in their order, to the splits; the rest is train."""
    members: dict[int, list[int]] = defaultdict(list)
    listed = labels.tolist()
    for sample in order:
        members[listed[sample]].append(sample)
    classes = sorted(members)
    number = {c: len(members[c]) for c in classes}
    result = np.zeros(len(labels), np.int8)
    for later, (split, share) in zip(range(len(shares))[::-1], shares.items(), strict=True):
        quota = {}
        for c in classes:
            least = int(number[c] > len(shares))
            # One sample remains for train and one for each split that follows.
            most = len(members[c]) - 1 - later * least
            quota[c] = max(min(max(math.floor(number[c] * share), least), most), 0)
        # What rounding down left over goes where it is missed most.
        short = round(len(labels) * share) - sum(quota.values())
        for _, c in sorted((quota[c] - number[c] * share, c) for c in classes):
            most = len(members[c]) - 1 - later * int(number[c] > len(shares))
            if short > 0 and quota[c] < min(most, number[c] * share):
                quota[c] += 1
                short -= 1
            result[members[c][: quota[c]]] = split
            members[c] = members[c][quota[c] :]
    return result


def _by_group(
    counts: Sequence[Counter[int]], order: Sequence[int], shares: Mapping[int, float]
) -> tuple[float, list[int]]:
    """Place groups one by one where they fit best, then move single ones while that helps.

    The misfit is that of a chi-square test, sum of (count - wanted)² / wanted, over classes and
    over sizes, with sizes weighing as much as all classes together.

    Args:
        counts: For each group, its samples of each class.
        order: The order in which to place them.
        shares: Fractions of the splits beside train.

    Returns:
        The misfit, and the split of each group.
    """
    totals: Counter[int] = Counter()
    for count in counts:
        totals.update(count)
    size = sum(totals.values())
    shares = {TRAIN: 1 - sum(shares.values()), **shares}
    held: dict[int, Counter[int]] = {split: Counter() for split in shares}
    sizes = dict.fromkeys(shares, 0)
    # An empty split is worse than any misfit, a class without training samples comes next.
    bad_class, bad_split = 10.0 * size, 10.0 * size * (len(totals) + 1)

    def misfit(split: int, label: int, count: int) -> float:
        wanted = shares[split] * totals[label]
        lost = bad_class if count == 0 and split == TRAIN else 0.0
        return (count - wanted) ** 2 / wanted + lost

    def size_misfit(split: int, count: int) -> float:
        wanted = shares[split] * size
        lost = bad_split if count == 0 else 0.0
        return len(totals) * (count - wanted) ** 2 / wanted + lost

    def change(group: int, split: int, sign: int) -> float:
        """Return what it does to the misfit to put a group into a split (1) or take it out (-1)."""
        now, count = sizes[split], sign * sum(counts[group].values())
        total = size_misfit(split, now + count) - size_misfit(split, now)
        for label, number in sorted(counts[group].items()):
            now = held[split][label]
            total += misfit(split, label, now + sign * number) - misfit(split, label, now)
        return total

    def put(group: int, split: int, sign: int) -> None:
        sizes[split] += sign * sum(counts[group].values())
        for label, number in counts[group].items():
            held[split][label] += sign * number

    place = [TRAIN] * len(counts)
    for group in order:
        place[group] = min(shares, key=lambda split: change(group, split, 1))
        put(group, place[group], 1)
    for _ in range(10):
        moved = False
        for group in order:
            put(group, place[group], -1)
            best = min(shares, key=lambda split: change(group, split, 1))
            # The margin keeps rounding errors from moving a group back and forth.
            if change(group, best, 1) < change(group, place[group], 1) - 1e-6:
                place[group], moved = best, True
            put(group, place[group], 1)
        if not moved:
            break
    total = sum(size_misfit(split, sizes[split]) for split in shares)
    total += sum(misfit(s, label, held[s][label]) for s in shares for label in sorted(totals))
    return total, place
