"""What the samples of a data set share though they should not: files, recordings, groups."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from videolit.data.duplicates import Pictures, connected, near_duplicates
from videolit.data.manifest import SPLITS, Manifest
from videolit.data.split import overlap

SAME_FILE = "the same file"
NEAR_COPY = "near-duplicate videos"
SHARED_GROUP = "a shared group"


class Finding(NamedTuple):
    """Samples that belong together.

    Attributes:
        kind: ``SAME_FILE``, ``NEAR_COPY`` or ``SHARED_GROUP``.
        videos: Their paths in the data set; of a group the first of each split.
        splits: The splits in which they are, as the data names them; empty when it names none.
        labels: Their classes.
        groups: Their groups, or ``""`` where a video has none.
        detail: How alike they are, or the group's name.
    """

    kind: str
    videos: tuple[str, ...]
    splits: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    detail: str = ""

    @property
    def crosses_splits(self) -> bool:
        """Whether scores on one split would profit from another one."""
        return len(self.splits) > 1

    @property
    def may_be_parted(self) -> bool:
        """Whether a seeded split may part them: the data names no split, and no common group."""
        return not self.splits and not (len(self.groups) == 1 and self.groups[0])


def find_leaks(
    manifest: Manifest,
    sha256: Mapping[str, str],
    pictures: Mapping[str, Pictures],
    *,
    step: float,
    least: int,
) -> list[Finding]:
    """Return files, recordings and groups that several samples share.

    Args:
        manifest: The data set; it need not be one that training would accept.
        sha256: Hash of the bytes of each file that can be read, by absolute path.
        pictures: Pictures of the same files, see :func:`near_duplicates`.
        step: Seconds between pictures.
        least: Pictures that two near duplicates share.

    Returns:
        Those across splits first. A recording whose files have equal bytes is told once.
    """
    rows: dict[str, list[int]] = collections.defaultdict(list)
    for row in range(len(manifest)):
        if manifest.path(row) in sha256:
            rows[manifest.path(row)].append(row)
    equal: dict[str, list[str]] = collections.defaultdict(list)
    for path in rows:
        equal[sha256[path]].append(path)
    findings = [
        _finding(manifest, SAME_FILE, paths, rows)
        for paths in equal.values()
        # Parts of one file may be in several splits unless they overlap, as in training.
        if len(paths) > 1 or overlap(manifest, manifest.splits, rows[paths[0]])
    ]
    # One of each set of equal files.
    chosen = [paths[0] for paths in equal.values()]
    pairs = near_duplicates([pictures[path] for path in chosen], step=step, least=least)
    for members in connected([(pair.first, pair.second) for pair in pairs]):
        inside = [pair.likeness for pair in pairs if pair.first in members]
        least_like, most_like = min(inside), max(inside)
        told = f"{least_like:.2f}" + (f" to {most_like:.2f}" if most_like > least_like else "")
        paths = [path for i in members for path in equal[sha256[chosen[i]]]]
        findings.append(_finding(manifest, NEAR_COPY, paths, rows, f"likeness {told}"))
    findings += _groups(manifest)
    return sorted(findings, key=lambda finding: not finding.crosses_splits)


def _finding(
    manifest: Manifest,
    kind: str,
    paths: Sequence[str],
    rows: Mapping[str, list[int]],
    detail: str = "",
) -> Finding:
    all_rows = [row for path in paths for row in rows[path]]
    return Finding(
        kind,
        tuple(manifest.video_id(rows[path][0]) for path in paths),
        _splits(manifest, all_rows),
        tuple(dict.fromkeys(name for r in all_rows if (name := manifest.label_name(r)))),
        tuple(dict.fromkeys(manifest.group(row) for row in all_rows)),
        detail,
    )


def _splits(manifest: Manifest, rows: Sequence[int]) -> tuple[str, ...]:
    codes = np.unique(manifest.splits[list(rows)]).tolist()
    return tuple(SPLITS[code] for code in codes if code >= 0)


def _groups(manifest: Manifest) -> list[Finding]:
    """Return the groups that lie in several named splits."""
    first: dict[int, dict[int, int]] = collections.defaultdict(dict)
    for row, (group, split) in enumerate(
        zip(manifest.groups.tolist(), manifest.splits.tolist(), strict=True)
    ):
        if group >= 0 and split >= 0:
            first[group].setdefault(split, row)
    return [
        Finding(
            SHARED_GROUP,
            tuple(manifest.video_id(found[split]) for split in sorted(found)),
            tuple(SPLITS[split] for split in sorted(found)),
            tuple(dict.fromkeys(manifest.label_name(row) for row in found.values())),
            (manifest.group_names[group],),
            f"group {manifest.group_names[group]!r}",
        )
        for group, found in first.items()
        if len(found) > 1
    ]
