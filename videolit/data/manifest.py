"""The samples of a data set: which videos there are, with labels, groups and splits.

A manifest is columns, not a list of Python objects: a million rows load in seconds and forked
workers share them.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import os
from array import array
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from videolit.data.shards import Shards
from videolit.types import InputError

SPLITS = ("train", "val", "test")
# A message lists so many things that are wrong, then their number.
SHOWN = 20


@dataclasses.dataclass(frozen=True, eq=False)
class Names:
    """Strings in one block of bytes; a selection shares the block.

    Attributes:
        block: All strings, UTF-8 with bytes that are none as ``surrogateescape`` has them.
        begin: int64 ``(N,)``, where each string begins.
        end: int64 ``(N,)``, where it ends.
    """

    block: bytes
    begin: NDArray[np.int64]
    end: NDArray[np.int64]

    @classmethod
    def pack(cls, block: bytes, ends: array[int] | NDArray[np.int64]) -> Names:
        """Build from strings that follow each other, and where each of them ends."""
        end = np.array(ends, np.int64)
        return cls(block, np.concatenate([np.zeros(1, np.int64), end])[:-1], end)

    def __len__(self) -> int:
        return len(self.begin)

    def __getitem__(self, index: int) -> str:
        return self.raw(index).decode("utf-8", "surrogateescape")

    def raw(self, index: int) -> bytes:
        """Return one string as bytes."""
        return self.block[self.begin[index] : self.end[index]]


# What separates the names of several labels in one cell.
SEPARATOR = ";"


@dataclasses.dataclass(frozen=True, eq=False)
class LabelSets:
    """Several labels of each sample, or none; a selection shares the codes.

    Attributes:
        codes: int64, all labels, those of a sample in a row.
        begin: int64 ``(N,)``, where each sample's labels begin.
        end: int64 ``(N,)``, where they end.
    """

    codes: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]

    def __getitem__(self, index: int) -> NDArray[np.int64]:
        return self.codes[self.begin[index] : self.end[index]]

    def select(self, rows: NDArray[np.int64 | np.bool_]) -> LabelSets:
        """Return the labels of some samples."""
        return LabelSets(self.codes, self.begin[rows], self.end[rows])

    def counts(self, num_classes: int) -> NDArray[np.int64]:
        """Return int64 ``(K,)``, the samples that have each label."""
        lengths = self.end - self.begin
        # Where each label of each sample lies: without a loop over a million samples.
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        places = np.repeat(self.begin, lengths) + within
        return np.bincount(self.codes[places], minlength=num_classes).astype(np.int64)


@dataclasses.dataclass(frozen=True, eq=False)
class Manifest:
    """The samples of a data set, one row each.

    Attributes:
        root: Absolute folder that the paths are relative to.
        paths: ``(N,)`` paths with ``/``: relative below ``root``, absolute outside of it.
        labels: int64 ``(N,)``, positions in ``class_names``; -1 = no label. With ``sets`` the
            rarest label of each sample, which stands for it where samples are divided.
        class_names: The ``K`` classes, in label order.
        start: float64 ``(N,)``, seconds; nan = from the file's beginning.
        end: float64 ``(N,)``, seconds; nan = to the file's end.
        groups: int64 ``(N,)``, positions in ``group_names``; -1 = a group of its own.
        group_names: What must not be torn apart: people, scenes, source videos.
        splits: int8 ``(N,)``, positions in ``SPLITS``; -1 = not given.
        suffix: What the files' names have beyond their paths: the paths of a prepared set are
            those of its source, so that samples keep their names, groups and splits.
        shards: Where the videos lie in tar files; None = each is a file of its own.
        sets: The labels of each sample, where it can have several; None = one each.
    """

    root: str
    paths: Names
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    groups: NDArray[np.int64]
    group_names: Names
    splits: NDArray[np.int8]
    suffix: str = ""
    shards: Shards | None = None
    sets: LabelSets | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def video_id(self, index: int) -> str:
        """Return the path relative to ``root``, or absolute where it lies outside of it."""
        return self.paths[index]

    def path(self, index: int) -> str:
        """Return the absolute path; ``os.fsencode`` gives the bytes of a name that is no UTF-8."""
        return os.path.join(self.root, self.paths[index] + self.suffix)  # noqa: PTH118 - no Path per sample

    def place(self, index: int) -> str:
        """Return where the video lies, for a message: its path, or its tar file and name."""
        if self.shards is None:
            return self.path(index)
        return f"{self.shards.place(index)} ({self.video_id(index)})"

    def label_name(self, index: int) -> str:
        """Return the class, ``""`` without one, or several with ``;`` between them."""
        if self.sets is not None:
            return SEPARATOR.join(self.class_names[code] for code in self.sets[index].tolist())
        label = self.labels[index]
        return self.class_names[label] if label >= 0 else ""

    def group(self, index: int) -> str:
        """Return the group, ``""`` without one."""
        group = int(self.groups[index])
        return self.group_names[group] if group >= 0 else ""

    def class_counts(self) -> NDArray[np.int64]:
        """Return int64 ``(K,)``, the rows of each class."""
        if self.sets is not None:
            return self.sets.counts(len(self.class_names))
        labelled = self.labels[self.labels >= 0]
        return np.bincount(labelled, minlength=len(self.class_names)).astype(np.int64)

    def select(self, rows: str | Sequence[int] | NDArray[np.integer | np.bool_]) -> Manifest:
        """Return some rows: those of a split by name, a bool mask, or positions in their order.

        Raises:
            InputError: If the split is none of train, val and test.
        """
        if isinstance(rows, str):
            if rows not in SPLITS:
                raise InputError(f"unknown split {rows!r}: expected {', '.join(SPLITS)}")
            rows = np.flatnonzero(self.splits == SPLITS.index(rows))
        chosen = np.asarray(rows)
        if chosen.dtype != np.bool_:
            chosen = chosen.astype(np.int64)
        columns = ("labels", "start", "end", "groups", "splits")
        return dataclasses.replace(
            self,
            paths=Names(self.paths.block, self.paths.begin[chosen], self.paths.end[chosen]),
            shards=None if self.shards is None else self.shards.select(chosen),
            sets=None if self.sets is None else self.sets.select(chosen),
            **{name: getattr(self, name)[chosen] for name in columns},
        )

    def keys(self) -> Iterator[bytes]:
        """Yield what tells each row from all others: its path below the root, start and end."""
        times = zip(self.start.tolist(), self.end.tolist(), strict=True)
        return (
            b"%b\0%b" % (self.paths.raw(i), repr(time).encode()) for i, time in enumerate(times)
        )

    def hash(self) -> str:
        """Return 16 hexadecimal digits that tell which samples these are.

        They depend on path below the root, label name, start and end of each row; neither on the
        order of the rows nor on where the root lies.
        """
        times = zip(self.start.tolist(), self.end.tolist(), strict=True)
        rows = sorted(
            b"%b\0%b\0%b"
            % (
                self.paths.raw(i),
                self.label_name(i).encode("utf-8", "surrogateescape"),
                repr(time).encode(),
            )
            for i, time in enumerate(times)
        )
        return hashlib.sha256(b"\0\n".join(rows)).hexdigest()[:16]


def number_names(names: Iterable[bytes]) -> NDArray[np.int64]:
    """Return a number for each name, ``(N,)``: 64 bits of its hash, the same at any time."""
    digests = b"".join(hashlib.blake2b(name, digest_size=8).digest() for name in names)
    return np.frombuffer(digests, np.int64).copy()


def rarest(sets: LabelSets, num_classes: int) -> NDArray[np.int64]:
    """Return the rarest label of each sample, int64 ``(N,)``, -1 where it has none."""
    counts = sets.counts(num_classes)
    order = np.lexsort((np.arange(num_classes), counts))
    rank = np.empty(num_classes + 1, np.int64)
    rank[order] = np.arange(num_classes)
    # One more code, behind all ranks, for samples without a label.
    rank[num_classes] = num_classes
    lengths = sets.end - sets.begin
    codes = np.append(sets.codes, num_classes)
    found = np.full(len(lengths), num_classes, np.int64)
    for place in range(int(lengths.max(initial=0))):
        here = codes[np.where(place < lengths, sets.begin + place, len(codes) - 1)]
        found = np.where(rank[here] < rank[found], here, found)
    return np.where(found == num_classes, -1, found)


def close_to(name: str, known: Sequence[str]) -> str:
    """Return what follows "unknown x": names that resemble it, or else the known ones."""
    close = difflib.get_close_matches(name, known, n=3)
    if not close:
        close = [k for k in known if k.lower() == name.lower()]
    if close:
        return f"; did you mean {' or '.join(map(repr, close))}?"
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"; known: {', '.join(map(repr, known[:SHOWN]))}{more}"
