"""Prepared videos in large tar files, for clusters and object stores.

The files have WebDataset's layout, so that its readers open them, too: the files of one video
follow each other and share a name up to the first dot. An index says where each video lies, so that
any frame can be read without unpacking: locally, or by a range request from a remote store.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from videolit.data.prepared import MARK, PreparedVideo
from videolit.data.storage import FileContent, Remote, fetch
from videolit.ops.files import atomic_path
from videolit.types import InputError, StorageError

# Where each video lies, and the first digits of its SHA-256.
INDEX = "shards.csv"
_COLUMNS = ["path", "shard", "offset", "size", "sha256"]


class Place(NamedTuple):
    """Where a video lies.

    Attributes:
        shard: Name of the tar file.
        offset: First byte of the video.
        size: Its bytes.
        sha256: The first 16 hexadecimal digits of its SHA-256.
    """

    shard: str
    offset: int
    size: int
    sha256: str


@dataclasses.dataclass(frozen=True, eq=False)
class Shards:
    """Where the videos of a manifest lie, one row each.

    Attributes:
        home: The folder of the tar files, local or remote.
        names: The tar files.
        shard: int32 ``(N,)``, positions in ``names``.
        offset: int64 ``(N,)``, first byte of each video.
        size: int64 ``(N,)``, bytes of each video.
    """

    home: str | Remote
    names: tuple[str, ...]
    shard: NDArray[np.int32]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]

    def select(self, rows: NDArray[Any]) -> Shards:
        """Return some rows."""
        columns = ("shard", "offset", "size")
        return dataclasses.replace(self, **{name: getattr(self, name)[rows] for name in columns})

    def place(self, row: int) -> str:
        """Return the path or address of the tar file that holds a row's video."""
        home = self.home if isinstance(self.home, str) else self.home.url
        return f"{home.rstrip('/')}/{self.names[self.shard[row]]}"

    def open(self, row: int, name: str) -> PreparedVideo:
        """Open the video of a row.

        Args:
            row: The row.
            name: What the video is called.

        Raises:
            VideoError: If it is damaged.
            StorageError: If a remote store does not give it.
            InputError: If a local tar file is missing.
        """
        begin, size = int(self.offset[row]), int(self.size[row])
        path = f"{self.place(row)} ({name})"
        if isinstance(self.home, Remote):
            return PreparedVideo(path, self.home.content(self.names[self.shard[row]], begin, size))
        try:
            return PreparedVideo(path, FileContent(self.place(row), begin, size))
        except OSError as error:
            raise StorageError(f"cannot read {self.place(row)}: {error.strerror}") from error


def read_index(folder: str | Path) -> dict[str, Place] | None:
    """Return where each video of a prepared set lies, None if they are files of their own.

    Raises:
        InputError: If the index is damaged.
    """
    index = Path(folder, INDEX)
    try:
        with index.open(encoding="utf-8", errors="surrogateescape", newline="") as lines:
            rows = csv.reader(lines)
            if next(rows, None) != _COLUMNS:
                raise ValueError(f"its first line is not {','.join(_COLUMNS)}")
            # One string for each shard, not one for each row.
            names: dict[str, str] = {}
            return {
                path: Place(names.setdefault(shard, shard), int(offset), int(size), digits)
                for path, shard, offset, size, digits in rows
            }
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{index} is damaged ({error}): run videolit prepare again") from error


def align(videos: Sequence[str], index: Mapping[str, Place], home: str | Remote) -> Shards:
    """Return the places of videos, all of which are in the index, in the order given."""
    places = [index[name] for name in videos]
    names = sorted({place.shard for place in places})
    code = {name: number for number, name in enumerate(names)}
    return Shards(
        home=home,
        names=tuple(names),
        shard=np.array([code[place.shard] for place in places], np.int32),
        offset=np.array([place.offset for place in places], np.int64),
        size=np.array([place.size for place in places], np.int64),
    )


def write_index(folder: Path, places: Mapping[str, Place]) -> None:
    """Write where each video of a prepared set lies."""
    with (
        atomic_path(folder / INDEX) as part,
        part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows((name, *place) for name, place in places.items())


def version_of(folder: str | Path) -> str:
    """Return what tells the content of a set of shards from any other."""
    return hashlib.sha256(Path(folder, INDEX).read_bytes()).hexdigest()[:24]


def mirror(url: str, cache: str | Path) -> Path:
    """Copy what lists a remote prepared set to a local folder, anew each time.

    Args:
        url: The set's folder.
        cache: Folder of all such copies.

    Returns:
        The local folder, with the set's mark, manifest and index.

    Raises:
        InputError: If there is no such set of shards.
        StorageError: If the store cannot be read.
    """
    folder = Path(cache) / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:24]
    for name in (MARK, "manifest.csv", INDEX):
        try:
            content = fetch(f"{url.rstrip('/')}/{name}")
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                raise InputError(
                    f"{url} has no {name}: expected a folder that `videolit prepare --shards` "
                    "wrote, copied whole"
                ) from error
            raise
        with atomic_path(folder / name) as part:
            part.write_bytes(content)
    return folder
