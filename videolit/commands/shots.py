"""The shots of a video that was described: by its features, by its cuts, or of equal length."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from videolit.data.scenes import CutWatcher
from videolit.ops.shots import kernel_segments, limit_shots, shots_from_starts, uniform_shots

if TYPE_CHECKING:
    # Imports torch, and the help of commands must not wait for it.
    from videolit.commands.feature_source import Described

Shots = Literal["kts", "adaptive", "content", "uniform"]

# Seconds; shorter ones are no views of anything, and longer ones take a summary's whole budget.
MIN_SHOT = 1.0
MAX_SHOT = 20.0
_UNIFORM_SECONDS = 5.0
# Of the 394 cuts of 24 generated training videos 88 % are found, to the frame, and 80 % of what is
# found is a cut; with 1 it is 90 % and 55 %, with 2 it is 85 % and 93 %.
_PENALTY = 1.5


def find_shots(
    found: Described,
    shots: Shots = "kts",
    *,
    min_shot: float = MIN_SHOT,
    max_shot: float = MAX_SHOT,
    watcher: CutWatcher | None = None,
) -> NDArray[np.int64]:
    """Return the shots of a video.

    Args:
        found: The video, described.
        shots: ``"kts"``: kernel temporal segmentation of the features, each boundary moved to the
            frame between two steps where the picture changes most. ``"adaptive"`` and
            ``"content"``: cuts that PySceneDetect found. ``"uniform"``: every 5 seconds.
        min_shot: Shortest shot in seconds.
        max_shot: Longest shot in seconds, at least twice the shortest.
        watcher: What saw the frames; with ``"adaptive"`` and ``"content"``.

    Returns:
        int64 ``(S, 2)``: first frame and the frame after the last one, from 0 to the end.
    """
    scan = found.scan
    count = scan.index.num_frames
    if shots == "kts":
        steps = len(scan.frames)
        # A slow video has fewer steps than were asked for.
        fps = min(scan.fps, scan.index.fps)
        shortest = min(max(math.ceil(min_shot * fps), 1), steps)
        longest = max(math.floor(max_shot * fps), 2 * shortest)
        starts = kernel_segments(
            scaled(found.features), min_length=shortest, max_length=longest, penalty=_PENALTY
        )
        return _at_cuts(shots_from_starts(starts, scan.frames, count), scan.frames, scan.changes)
    times = np.round(1000 * np.append(scan.index.timestamps, scan.duration)).astype(np.int64)
    if shots == "uniform":
        length = min(max(_UNIFORM_SECONDS, min_shot), max_shot)
        spans = uniform_shots(int(times[-1]), round(1000 * length))
    else:
        assert watcher is not None
        bounds = times[[0, *watcher.starts, count]]
        spans = np.stack([bounds[:-1], bounds[1:]], 1)
    # In milliseconds, so that a variable frame rate does not matter.
    spans = limit_shots(spans, round(1000 * min_shot), round(1000 * max_shot))
    first = np.unique(np.searchsorted(times[:-1], spans[:, 0]))
    first = first[first < count]
    return np.stack([first, np.append(first[1:], count)], 1)


def scaled(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return features of zero mean and a mean squared length of 1, float64 ``(T, D)``.

    The penalty of :func:`~videolit.ops.shots.kernel_segments` is a share of the video's variance
    then, whatever made the features.
    """
    centred = features.astype(np.float64) - features.mean(0, dtype=np.float64)
    size = math.sqrt(float(np.square(centred).sum(1).mean()))
    found: NDArray[np.float64] = centred / size if size > 0 else centred
    return found


def _at_cuts(
    shots: NDArray[np.int64], frames: NDArray[np.int64], changes: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Move each boundary between two steps to the frame where the picture changes most."""
    starts = shots[:, 0].copy()
    for number in range(1, len(starts)):
        step = int(np.searchsorted(frames, starts[number]))
        before = int(frames[step - 1])
        between = changes[before + 1 : starts[number] + 1]
        starts[number] = before + 1 + int(between.argmax())
    return np.stack([starts, np.append(starts[1:], shots[-1, 1])], 1)
