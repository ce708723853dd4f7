"""Windows that slide over a long video: a pure function of its timestamps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from videolit.types import InputError

# Timestamps are rounded to the container's clock, as in videolit.ops.sampling.
_CLOCK = 5e-4
# A rest below this share of a window says nothing new: codecs fill their last frame with silence.
_REST = 0.05


class Windows(NamedTuple):
    """Where windows lie; both bounds ascend.

    Attributes:
        start: float64 ``(N,)``, seconds.
        end: float64 ``(N,)``, seconds, above ``start``.
        first: int64 ``(N,)``, each window's first frame.
        stop: int64 ``(N,)``, the frame after its last one; above ``first``.
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    first: NDArray[np.int64]
    stop: NDArray[np.int64]


def frame_seconds(timestamps: NDArray[np.float64], fps: float = 25.0) -> float:
    """Return how long a frame is shown, in seconds: the median step, ``1 / fps`` of one frame."""
    steps = np.diff(timestamps)
    median = float(np.median(steps)) if len(steps) else 0.0
    return median if median > 0 else 1 / fps


def slide(
    timestamps: NDArray[np.float64], window: float, hop: float, *, fps: float = 25.0
) -> Windows:
    """Slide a window over a video, from its first frame to the end of its last one.

    Window k covers the time from ``k * hop`` to ``k * hop + window`` after the first frame. Where
    the last of them ends before the video does, one more ends with the video. A video that is not
    longer than a window gets a single one, from its beginning to its end. So every moment is
    covered, and all windows of a video are of one length.

    The frames of a window are those that begin within it; where none does, as in a recording of a
    screen at rest, the one on screen.

    Args:
        timestamps: float64 ``(F,)`` seconds, ascending, at least one: the video or a part of it.
        window: Length of a window in seconds, at least that of a frame.
        hop: Seconds from one window to the next, at least a frame and at most ``window``: moments
            between two windows would never be looked at.
        fps: Frames per second, used only where there is a single frame.

    Raises:
        InputError: If window or hop are out of their range.
    """
    frame = frame_seconds(timestamps, fps)
    check_window(window, hop)
    for name, length in (("window", window), ("hop", hop)):
        if length < frame - _CLOCK:
            raise InputError(
                f"--{name} {length:g} s is shorter than a frame of this video ({frame:.3g} s): "
                f"give at least that"
            )
    begin = float(timestamps[0])
    finish = float(timestamps[-1]) + frame
    count = max(int((finish - begin - window + _CLOCK) // hop) + 1, 0)
    start: NDArray[np.float64] = begin + hop * np.arange(count, dtype=np.float64)
    if count == 0 or start[-1] + window < finish - _CLOCK:
        start = np.append(start, max(finish - window, begin))
    return place_frames(timestamps, start, np.minimum(start + window, finish))


def slide_time(
    duration: float, window: float, hop: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slide a window over a stretch of time from its beginning.

    Window k covers the time from ``k * hop`` to ``k * hop + window``. Where the last of them ends
    before ``duration``, by more than a twentieth of a window, a shorter one follows if it has at
    least half of a window's length. What is not longer than a window gets a single one, however
    short.

    Args:
        duration: Seconds, above 0.
        window: Length of a window in seconds.
        hop: Seconds from one window to the next, at most ``window``.

    Returns:
        Start and end of the windows, float64 ``(N,)`` seconds each, ascending, N at least 1.

    Raises:
        InputError: If window or hop are out of their range.
    """
    check_window(window, hop)
    whole = max(int((duration - window + _CLOCK) // hop) + 1, 0)
    start: NDArray[np.float64] = hop * np.arange(whole + 1, dtype=np.float64)
    covered = whole > 0 and start[whole - 1] + window >= duration - _REST * window
    if covered or (whole > 0 and duration - start[whole] < window / 2 - _CLOCK):
        start = start[:whole]
    return start, np.minimum(start + window, duration)


def place_frames(
    timestamps: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> Windows:
    """Find the frames of windows: those that begin within each, else the one on screen.

    Args:
        timestamps: float64 ``(F,)`` seconds, ascending, at least one.
        start: float64 ``(N,)`` seconds, ascending.
        end: float64 ``(N,)`` seconds, each above its start.
    """
    first = np.searchsorted(timestamps, start - _CLOCK)
    stop = np.searchsorted(timestamps, end - _CLOCK)
    on_screen = np.maximum(np.searchsorted(timestamps, start + _CLOCK, side="right") - 1, 0)
    empty = stop <= first
    first = np.where(empty, on_screen, first).astype(np.int64)
    return Windows(start, end, first, np.where(empty, first + 1, stop).astype(np.int64))


def check_window(window: float, hop: float) -> None:
    """Refuse windows that fit no video.

    Raises:
        InputError: If a length is not a positive number, or windows leave moments out.
    """
    for name, length in (("window", window), ("hop", hop)):
        if not (np.isfinite(length) and length > 0):
            raise InputError(f"--{name} must be a number of seconds above 0, got {length:g}")
    if hop > window:
        raise InputError(
            f"--hop {hop:g} is larger than --window {window:g}: what happens between two windows "
            f"would never be looked at; give a hop of at most {window:g}"
        )
