"""What the pictures of a summary are given: shapes and ranges, or a message."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from videolit.types import InputError

Floats = NDArray[np.float64]


def checked_times(times: ArrayLike, duration: float) -> Floats:
    """Return the times of scores, float64 ``(T,)`` seconds, in a video of ``duration`` seconds.

    Raises:
        InputError: If they do not ascend or lie outside of the video, or if its length is none.
    """
    if not (np.isfinite(duration) and duration > 0):
        raise InputError(f"duration must be a number of seconds above 0, got {duration}")
    moments = checked("times", times, (None,), duration)
    if (np.diff(moments) <= 0).any():
        raise InputError("times must ascend without repeats; sort them with their scores")
    return moments


def checked(
    name: str, values: ArrayLike, shape: tuple[int | None, ...], most: float = 1.0
) -> Floats:
    """Return values, float64, of a shape whose None is any length above 0.

    Raises:
        InputError: If the shape differs, or a value is NaN or outside of [0, ``most``].
    """
    array = np.asarray(values, np.float64)
    fits = array.ndim == len(shape) and all(
        have == want or (want is None and have > 0)
        for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        expected = ", ".join("any" if want is None else str(want) for want in shape)
        raise InputError(f"{name} must have the shape ({expected}), got {array.shape}")
    # NaN compares with nothing. A video's last frame may end a rounding after its stated length.
    outside = array[~((array >= 0) & (array <= most * (1 + 1e-6)))]
    if len(outside):
        raise InputError(
            f"{name} must lie in [0, {most:g}], got {outside[0]:g} ({len(outside)} of "
            f"{array.size} values are outside)"
        )
    return array


def checked_ranges(name: str, ranges: ArrayLike, duration: float) -> Floats:
    """Return starts and ends, float64 ``(N, 2)`` seconds, of which there may be none.

    Raises:
        InputError: If they lie outside of the video, or one does not end after it starts.
    """
    array = np.asarray(ranges, np.float64)
    if array.size == 0:
        return np.zeros((0, 2))
    array = checked(name, array, (None, 2), duration)
    if (array[:, 1] <= array[:, 0]).any():
        raise InputError(
            f"{name} must end after they start: the end is where the next part starts, not the "
            "last frame before it"
        )
    return array


def checked_shots(
    shots: ArrayLike, selected: ArrayLike, duration: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return shots, float64 ``(S, 2)`` seconds, and which of them are kept, bool ``(S,)``.

    Raises:
        InputError: If there is no shot, shots overlap, or the numbers differ.
    """
    parts = checked_ranges("shots", shots, duration)
    chosen = np.asarray(selected)
    if not len(parts) or chosen.shape != (len(parts),) or chosen.dtype != np.bool_:
        raise InputError(
            "selected must be bool (S,), one for each of at least one shot, got "
            f"{chosen.dtype} {chosen.shape} for {len(parts)} shots"
        )
    if (parts[1:, 0] < parts[:-1, 1] - 1e-6).any():
        raise InputError("shots must be in order and must not overlap")
    return parts, chosen
