"""What several published data sets need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from videolit.types import InputError


def find_folder(root: Path, names: Sequence[str], what: str) -> Path:
    """Return the first of some folders below the root that exists.

    Raises:
        InputError: If none does.
    """
    for name in names:
        if (root / name).is_dir():
            return root / name
    expected = " or ".join(repr(f"{name}/") for name in names)
    raise InputError(f"{str(root)!r} has no {expected}: {what}")


def text_lines(path: Path) -> list[str]:
    """Return the lines of a list that are not blank.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror}") from error
    return [line.strip() for line in lines if line.strip()]


def check_fold(fold: int, known: Iterable[int], name: str) -> None:
    """Refuse a split that does not exist.

    Raises:
        InputError: If it is not known.
    """
    numbers = list(known)
    if fold not in numbers:
        raise InputError(f"{name} has the splits {', '.join(map(str, numbers))}, got fold {fold}")
