"""The division into train, val and test that lies beside a file of features."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from videolit.types import InputError

_PARTS = ("train", "val", "test")


def division_file(path: Path) -> Path:
    """Return where the division of a file of features lies, ``<name>_splits.json`` beside it."""
    return path.with_name(f"{path.stem}_splits.json")


def read_division(path: Path, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the videos of each part.

    Args:
        path: JSON, ``{"train_keys": […], "val_keys": […], "test_keys": […]}``, also in a list.
        names: The videos of the set.

    Returns:
        The names for ``"train"``, ``"val"`` and ``"test"``; empty where there is no such file, or
        it has no ``val_keys`` or several splits: then it is a file of folds, and the one to use
        must be named.

    Raises:
        InputError: If it cannot be read, or names videos that the set has not.
    """
    if not path.is_file():
        return {}
    try:
        table = json.loads(path.read_text(encoding="utf-8-sig"))
        if isinstance(table, list):
            table = table[0] if len(table) == 1 else {}
        if "val_keys" not in table:
            return {}
        division = {part: tuple(map(str, table[f"{part}_keys"])) for part in _PARTS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"cannot read {str(path)!r}: {error!r}; expected train_keys, val_keys and test_keys"
        ) from error
    known = set(names)
    missing = [name for part in division.values() for name in part if name not in known]
    if missing:
        raise InputError(
            f"{str(path)!r} names {missing[0]!r}, and the data set has no such video "
            f"({len(missing)} such)"
        )
    return division
