"""Files that turn out to be unreadable during a run: named once, counted, kept in a list."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from videolit.data.manifest import SHOWN, Manifest
from videolit.data.rows import file_rows
from videolit.types import InputError, Unread

QUARANTINE = "quarantine.jsonl"


class Unreadable:
    """What a process could not read so far.

    Args:
        limit: Largest share of all samples that may be unreadable before :meth:`add` stops the
            run; None = it never does.
    """

    def __init__(self, limit: float | None = None) -> None:
        self.limit = limit
        self.found: dict[str, Unread] = {}

    def add(self, files: Sequence[Unread], total: int, folder: str | None) -> bool:
        """Take note of files, each once.

        Args:
            files: What could not be read.
            total: Number of samples that the run uses.
            folder: Where ``quarantine.jsonl`` is kept; None = nowhere.

        Returns:
            Whether any of them is new.

        Raises:
            InputError: If more than the accepted share cannot be read.
        """
        new = [file for file in files if file["path"] not in self.found]
        for file in new:
            self.found[file["path"]] = file
            warnings.warn(f"cannot read {file['path']}: {file['reason']}", stacklevel=2)
            if folder is not None:
                _append(Path(folder, QUARANTINE), file)
        if new and self.limit is not None and len(self.found) > self.limit * total:
            raise InputError(self.describe(total))
        return bool(new)

    def describe(self, total: int) -> str:
        """Return what is wrong with the data and what to do."""
        bad = list(self.found.values())
        lines = "".join(f"\n  {file['path']}: {file['reason']}" for file in bad[:SHOWN])
        more = f"\n  and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        accepted = (
            ""
            if self.limit is None
            else f", more than the {self.limit:.1%} that max_bad_fraction accepts"
        )
        return (
            f"{len(bad)} of {total} samples cannot be read{accepted}:{lines}{more}\n"
            "`videolit check DATA` finds all such files at once. Repair them, take them out of "
            f"the data (--data.exclude with a {QUARANTINE} does so), or accept more of them "
            "(--data.max_bad_fraction)"
        )


def exclude_files(manifest: Manifest, source: str) -> Manifest:
    """Leave files out of a data set.

    Args:
        manifest: The data set.
        source: A ``.jsonl`` or ``.csv`` list with the column ``path``, as a run's
            ``quarantine.jsonl``: relative to the data's root, or absolute.

    Raises:
        InputError: If the list cannot be read or names no file of the data.
    """
    names = set()
    for where, cells in file_rows(source, ("path",)):
        if isinstance(cells, str):
            raise InputError(f"{source}, {where}: {cells}")
        names.add(cells[0])
    if not names:
        return manifest
    keep = np.array(
        [
            manifest.video_id(row) not in names and manifest.path(row) not in names
            for row in range(len(manifest))
        ]
    )
    if keep.all():
        raise InputError(
            f"none of the {len(names)} files in {source} is in {manifest.root}: is it the list of "
            "other data?"
        )
    return manifest.select(keep)


def _append(path: Path, file: Unread) -> None:
    """Add a line in one write: several processes may do so at once."""
    line = json.dumps(file).encode("ascii") + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(handle, line)
        finally:
            os.close(handle)
    except OSError as error:
        warnings.warn(f"cannot write {path}: {error.strerror}", stacklevel=2)
