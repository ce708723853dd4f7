"""Reading HDF5 files that others wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from videolit.types import InputError


@contextmanager
def open_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """Open a file for reading.

    Raises:
        InputError: If it is not there or cannot be read, also while it is open.
    """
    if not Path(path).is_file():
        raise InputError(f"no file {str(path)!r}")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError) as error:  # all three, for files that are damaged
        reason = str(error.args[0] if error.args else error).splitlines()[0]
        hint = "; another process is writing it" if "lock" in reason else ""
        raise InputError(f"cannot read {str(path)!r} as HDF5: {reason}{hint}") from error


def video_groups(file: h5py.File) -> list[str]:
    """Return the names of the groups with ``features``, ``video_2`` before ``video_10``.

    A name with ``/``, as a path below a folder has, is a group within groups.
    """
    found: list[str] = []

    def visit(name: str, item: object) -> None:
        # A folder of videos may be called features.
        if isinstance(item, h5py.Group) and item.get("features", getclass=True) is h5py.Dataset:
            found.append(name)

    file.visititems(visit)
    return sorted(found, key=natural_order)


def read_array(group: h5py.Group, key: str) -> NDArray[np.generic] | None:
    """Return a data set's values, None where the group has none of that name."""
    values = group.get(key)
    return np.asarray(values[()]) if isinstance(values, h5py.Dataset) else None


def read_number(group: h5py.Group, key: str) -> float | None:
    """Return a single number, None where the group has none of that name.

    Raises:
        InputError: If it is not a single number.
    """
    values = read_array(group, key)
    if values is None:
        return None
    if values.size != 1 or values.dtype.kind not in "iufb":
        raise InputError(
            f"{group.file.filename}, {group.name.lstrip('/')}, {key}: expected one number, found "
            f"{values.dtype} of shape {values.shape}"
        )
    return float(values.item())


def read_text(group: h5py.Group, key: str) -> str:
    """Return a string, ``""`` where the group has none of that name."""
    values = read_array(group, key)
    if values is None or values.size != 1:
        return ""
    value = values.item()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def natural_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts ``video_2`` before ``video_10``.

    HDF5 gives names in the order of their letters; annotations are in the order of the numbers.
    """
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)
