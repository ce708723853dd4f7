"""Where a clip moves: a square cut around it, so that what acts fills the picture.

Made for cameras at rest. A person six metres away is a few pixels of a small clip; cut out, the
person is as large as one nearby.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

# Lines of the map of motion: enough to find a person, few enough to cost nothing.
_LINES = 60
# Motion below this share of the strongest is noise: compression, shadows, flicker.
_NOISE = 0.2
# Half of the square's side, in standard deviations of the motion around its centre.
_REACH = 3.0
# Smallest side of the square, as a share of the frame's height.
_LEAST = 0.3


def focus(frames: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Cut a clip to the square around its motion.

    Args:
        frames: ``T`` frames, uint8 ``(H, W, 3)`` RGB.

    Returns:
        ``T`` views of the frames, uint8 ``(S, S, 3)``; the frames themselves where nothing moves.
    """
    rows, columns = motion_square(frames)
    return [frame[rows, columns] for frame in frames]


def motion_square(frames: Sequence[NDArray[np.uint8]]) -> tuple[slice, slice]:
    """Find the square around a clip's motion.

    The motion at a pixel is the root mean square of its grey changes from frame to frame, after the
    median change of the whole frame (exposure, flicker) is taken away. The square lies around the
    motion's centre and reaches three standard deviations of its wider direction; it is at least 0.3
    of the frame's height, at most the frame's shorter side, and moved to lie within the frame.

    Args:
        frames: ``T`` frames, uint8 ``(H, W, 3)`` RGB.

    Returns:
        Rows and columns of the square; all of them where nothing moves.
    """
    height, width = frames[0].shape[:2]
    everything = slice(0, height), slice(0, width)
    if len(frames) < 2:
        return everything
    motion = _motion(
        frames, min(_LINES, height), max(round(min(_LINES, height) * width / height), 1)
    )
    if motion.max() <= 0:
        return everything
    lines, columns = motion.shape
    y, y_spread = _moments(motion.sum(1), height / lines)
    x, x_spread = _moments(motion.sum(0), width / columns)
    side = max(2 * _REACH * max(y_spread, x_spread), _LEAST * height)
    side = max(1, round(min(side, height, width)))
    top = min(max(round(y - side / 2), 0), height - side)
    left = min(max(round(x - side / 2), 0), width - side)
    return slice(top, top + side), slice(left, left + side)


def _motion(frames: Sequence[NDArray[np.uint8]], lines: int, columns: int) -> NDArray[np.float32]:
    """Return how much each part of the picture changes, ``(lines, columns)``, noise at zero."""
    small = np.stack(
        [
            cv2.resize(
                cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY),
                (columns, lines),
                interpolation=cv2.INTER_AREA,
            )
            for frame in frames
        ]
    ).astype(np.float32)
    change = np.diff(small, axis=0)
    change = np.abs(change - np.median(change, axis=(1, 2), keepdims=True))
    for step in change:
        cv2.GaussianBlur(step, (0, 0), 1.0, dst=step)
    motion = np.sqrt((change**2).mean(0))
    found: NDArray[np.float32] = np.maximum(motion - _NOISE * motion.max(), 0)
    return found


def _moments(weights: NDArray[np.float32], step: float) -> tuple[float, float]:
    """Return mean and standard deviation of places ``step`` pixels apart."""
    places = (np.arange(len(weights)) + 0.5) * step
    share = weights.astype(np.float64) / weights.sum()
    mean = float(share @ places)
    return mean, float(np.sqrt(share @ (places - mean) ** 2))
