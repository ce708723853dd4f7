"""Where the bytes of prepared videos lie: a file, a part of one, or a part of a remote object.

What is read from a remote store is kept in a local folder, in blocks, up to a number of bytes.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from videolit.ops.files import atomic_path
from videolit.types import InputError, StorageError

# Of a remote object: large against the cost of a request, small against a video.
BLOCK = 1 << 20
# Tries of one request, and the first of the pauses between them in seconds; each is twice as long.
_TRIES = 6
_PAUSE = 0.5
# How much of the cache stays when room is made.
_KEPT = 0.9


class Content(Protocol):
    """Bytes that can be read from anywhere."""

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes from ``offset`` on, fewer where the content ends.

        Raises:
            OSError: If they cannot be read.
        """

    def expect(self, parts: Sequence[tuple[int, int]]) -> None:
        """Make ready to read some parts, as (offset, size)."""

    def close(self) -> None:
        """Give back what was opened."""


class FileContent:
    """A local file, or a part of it.

    Args:
        path: The file.
        begin: Where the part begins.
        size: Its bytes; None = up to the file's end.

    Raises:
        OSError: If it cannot be opened.
    """

    def __init__(self, path: str | Path, begin: int = 0, size: int | None = None) -> None:
        # Unbuffered: frames are read whole, and from anywhere.
        self._file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - closed by close()
        self._begin = begin
        self._size = size

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of the part."""
        if self._size is not None:
            size = max(min(size, self._size - offset), 0)
        self._file.seek(self._begin + offset)
        return self._file.read(size)

    def expect(self, parts: Sequence[tuple[int, int]]) -> None:
        """Do nothing: the system reads ahead."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Remote(NamedTuple):
    """A folder of a remote store, and where what was read of it is kept.

    Attributes:
        url: The folder, as ``s3://bucket/folder``.
        cache: Local folder.
        limit: Most bytes in the local folder; 0 = nothing is kept.
        version: Tells this content of the folder from what lay there before.
    """

    url: str
    cache: str
    limit: int
    version: str = ""

    def content(self, name: str, begin: int, size: int) -> RemoteContent:
        """Return a part of an object."""
        return RemoteContent(self, name, begin, size)


class RemoteContent:
    """A part of a remote object, fetched in blocks; blocks that were fetched before are local.

    Args:
        remote: Where the object lies.
        name: Its name in that folder.
        begin: Where the part begins.
        size: Its bytes.
    """

    def __init__(self, remote: Remote, name: str, begin: int, size: int) -> None:
        self._url = f"{remote.url.rstrip('/')}/{name}"
        self._key = f"{remote.version}\n{self._url}"
        self._cache = BlockCache(remote.cache, remote.limit) if remote.limit else None
        self._begin, self._end = begin, begin + size
        self._blocks: dict[int, BinaryIO | bytes] = {}

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of the part.

        Raises:
            StorageError: If the store does not give them.
        """
        first = self._begin + offset
        last = min(first + size, self._end)
        if first >= last:
            return b""
        numbers = range(first // BLOCK, (last - 1) // BLOCK + 1)
        self._fetch(numbers)
        found = []
        for number in numbers:
            begin = max(first - number * BLOCK, 0)
            end = min(last - number * BLOCK, BLOCK)
            block = self._blocks[number]
            if isinstance(block, bytes):
                found.append(block[begin:end])
            else:
                block.seek(begin)
                found.append(block.read(end - begin))
        return b"".join(found)

    def expect(self, parts: Sequence[tuple[int, int]]) -> None:
        """Fetch what lies in some parts, in as few requests as there are gaps."""
        numbers: set[int] = set()
        for offset, size in parts:
            first = self._begin + offset
            last = min(first + size, self._end)
            numbers.update(range(first // BLOCK, (last - 1) // BLOCK + 1))
        self._fetch(sorted(numbers))

    def _fetch(self, numbers: Sequence[int]) -> None:
        """Open or fetch blocks."""
        missing = []
        for number in numbers:
            if number not in self._blocks:
                # The end of the object is not known, but that of the part is.
                least = min(BLOCK, self._end - number * BLOCK)
                kept = self._cache.open(self._key, number, least) if self._cache else None
                if kept is None:
                    missing.append(number)
                else:
                    self._blocks[number] = kept
        for run in _runs(missing):
            begin, end = run[0] * BLOCK, (run[-1] + 1) * BLOCK
            content = fetch(self._url, begin, end, least=min(end, self._end) - begin)
            for place, number in enumerate(run):
                block = content[place * BLOCK : (place + 1) * BLOCK]
                self._blocks[number] = block
                # Of the object's last block only a part may have come, which is all there is.
                if self._cache is not None:
                    self._cache.keep(self._key, number, block)

    def close(self) -> None:
        """Close the blocks."""
        for block in self._blocks.values():
            if not isinstance(block, bytes):
                block.close()
        self._blocks.clear()


class BlockCache:
    """Blocks of remote objects in a local folder that several processes share.

    The least recently used go first when there is no room. The folder never holds more than the
    limit: room is made before a block is written.

    Args:
        folder: The folder.
        limit: Most bytes in it.
    """

    def __init__(self, folder: str | Path, limit: int) -> None:
        self.folder = Path(folder)
        self.limit = limit

    def open(self, key: str, number: int, least: int = 0) -> BinaryIO | None:
        """Return a block that is kept and has so many bytes, to be read and closed, or None."""
        path = self._path(key, number)
        try:
            file = path.open("rb", buffering=0)
        except OSError:
            return None
        if os.fstat(file.fileno()).st_size < least:
            file.close()
            return None
        # It was used now.
        with contextlib.suppress(OSError):
            os.utime(path)
        return file

    def keep(self, key: str, number: int, block: bytes) -> None:
        """Keep a block, if there is room for it; a full disk costs speed and nothing else."""
        if len(block) > self.limit:
            return
        path = self._path(key, number)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._counted() as count:
                used = _number_in(count)
                if used is None or used + len(block) > self.limit:
                    used = self._make_room(len(block))
                # Counted first: if this is killed in between, the count is too high, not too low.
                count.seek(0)
                count.write(b"%020d" % (used + len(block)))
                with atomic_path(path) as part:
                    part.write_bytes(block)

    def _path(self, key: str, number: int) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()[:24]
        return self.folder / name[:2] / f"{name}-{number:06d}.block"

    @contextlib.contextmanager
    def _counted(self) -> Iterator[BinaryIO]:
        """Give the file that counts the bytes in use, to one process at a time."""
        handle = os.open(self.folder / "bytes", os.O_RDWR | os.O_CREAT, 0o644)
        with os.fdopen(handle, "r+b", buffering=0) as file:
            with contextlib.suppress(ImportError):  # not on Windows
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX)
            yield file

    def _make_room(self, size: int) -> int:
        """Remove the blocks that were not used for longest; return the bytes that remain."""
        blocks = []
        for path in self.folder.glob("*/*"):
            with contextlib.suppress(OSError):
                stat = path.stat()
                blocks.append((stat.st_mtime_ns, stat.st_size, path))
        used = sum(block[1] for block in blocks)
        most = max(min(int(self.limit * _KEPT), self.limit - size), 0)
        for _, bytes_of, path in sorted(blocks, key=lambda block: block[0]):
            if used <= most:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                used -= bytes_of
        return used


def is_remote(place: str | Path) -> bool:
    """Tell whether a place is an address such as ``s3://bucket/folder``."""
    return "://" in str(place)


def fetch(url: str, begin: int | None = None, end: int | None = None, *, least: int = 0) -> bytes:
    """Return an object or a part of it; a request that fails is made again.

    Args:
        url: The object.
        begin: First byte; None = the whole object.
        end: End of the part, which may lie behind that of the object.
        least: Fewer bytes are a failure, too.

    Raises:
        StorageError: If the store does not give it.
        InputError: If the package for such addresses is not installed.
    """
    said = ""
    for attempt in range(_TRIES):
        if attempt:
            if attempt == 1:
                warnings.warn(f"cannot read {url}: {said}; trying again", stacklevel=2)
            time.sleep(_PAUSE * 2 ** (attempt - 1))
        try:
            content: bytes = _file_system(os.getpid(), url.partition("://")[0]).cat_file(
                url, start=begin, end=end
            )
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            # Trying again does not help.
            raise StorageError(f"cannot read {url}: {_reason(error)}") from error
        except InputError:
            raise
        except Exception as error:
            said = _reason(error)
            continue
        if len(content) >= least:
            return content
        said = f"it ends after {len(content)} bytes, {least} were expected"
    raise StorageError(f"cannot read {url}: {said} ({_TRIES} tries)")


@functools.lru_cache(maxsize=8)
def _file_system(process: int, protocol: str) -> Any:  # noqa: ANN401 - fsspec has no types
    """Return the file system of an address; a forked process needs its own."""
    import fsspec

    try:
        return fsspec.filesystem(protocol)
    except ImportError as error:
        extra = "pip install 'videolit[s3]'" if protocol in ("s3", "s3a") else str(error)
        raise InputError(f"reading {protocol}:// needs another package: {extra}") from error
    except ValueError as error:
        raise InputError(f"cannot read {protocol}:// addresses: {error}") from error


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__


def _runs(numbers: Sequence[int]) -> Iterator[list[int]]:
    """Yield ascending numbers in groups without gaps."""
    run: list[int] = []
    for number in numbers:
        if run and number != run[-1] + 1:
            yield run
            run = []
        run.append(number)
    if run:
        yield run


def _number_in(file: BinaryIO) -> int | None:
    try:
        return int(file.read())
    except ValueError:
        return None
