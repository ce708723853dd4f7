"""Where the bytes of prepared videos lie: a file, or a part of one."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Content(Protocol):
    """Bytes that can be read from anywhere."""

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes from ``offset`` on, fewer where the content ends.

        Raises:
            OSError: If they cannot be read.
        """

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

    def close(self) -> None:
        """Close the file."""
        self._file.close()
