"""Writing files so that no half-written one ever bears its final name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a name beside ``path`` to write to; it becomes ``path`` when all went well.

    The temporary name keeps the suffix, which many writers choose the format by, and lies in the
    same folder, so that the last step is a rename and not a copy. On any error it is removed and
    what stood under ``path`` before remains.

    Args:
        path: Final name; its folder is made if need be.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    part = final.with_name(f".{final.stem}.{os.getpid()}.part{final.suffix}")
    try:
        yield part
        with part.open("rb") as handle:
            os.fsync(handle.fileno())
        part.replace(final)
    finally:
        part.unlink(missing_ok=True)
