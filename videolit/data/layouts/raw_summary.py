"""What data sets of raw videos with annotations of every frame have in common."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from videolit.data.reader import VideoReader
from videolit.data.rows import VIDEO_SUFFIXES
from videolit.types import InputError, VideoError

# Timestamps are rounded to the container's clock, as in videolit.ops.sampling.
_CLOCK = 5e-4


def videos_by_stem(folder: Path) -> dict[str, Path]:
    """Return the videos in a folder by their names without the ending."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES)
    return {path.stem: path for path in paths}


def frame_times(path: Path) -> tuple[NDArray[np.float64], float]:
    """Return the time of each frame in seconds, float64 ``(N,)``, and the frames per second.

    Every frame of a video is decoded the first time; then the verified record tells.

    Raises:
        VideoError: If the file cannot be read.
    """
    with VideoReader(path) as reader:
        return reader.timestamps, reader.fps


def frame_times_of(
    path: Path, video_id: str, unread: dict[str, str] | None
) -> tuple[NDArray[np.float64], float] | None:
    """Return :func:`frame_times`, or None where the file cannot be read and that is taken note of.

    Args:
        path: The video.
        video_id: Its name in the set.
        unread: Gets the reason by that name; None = raise it.

    Raises:
        VideoError: If the file cannot be read and ``unread`` is None.
    """
    try:
        return frame_times(path)
    except VideoError as problem:
        if unread is None:
            raise
        unread[video_id] = problem.reason
        return None


def pick_frames(timestamps: NDArray[np.float64], fps: float) -> NDArray[np.int64]:
    """Return the frames on screen at even times: the steps of a raw video.

    Args:
        timestamps: float64 ``(N,)``, the time of each frame in seconds; the first is at 0.
        fps: Steps per second. Videos with fewer frames per second have a step at each frame.

    Returns:
        int64 ``(T,)``, increasing, from frame 0; the steps are at 0, 1 / fps, 2 / fps, … s.

    Raises:
        InputError: If ``fps`` is not above 0.
    """
    if not fps > 0:
        raise InputError(f"fps, the steps per second, must be above 0, got {fps}")
    times = np.arange(int(np.floor((timestamps[-1] + _CLOCK) * fps)) + 1) / fps
    return np.unique(np.searchsorted(timestamps, times + _CLOCK, side="right") - 1).astype(np.int64)


def fit_frames(
    where: str, columns: NDArray[np.uint8], num_frames: int, fps: float
) -> NDArray[np.uint8]:
    """Return annotations for each frame that decodes, ``(U, num_frames)``.

    Decoders differ by some frames at the end of a video. Up to a second of annotations is cut
    off, or the last one is held.

    Args:
        where: File and video, for the message.
        columns: ``(U, N)``, annotations of N frames.
        num_frames: Frames that decode.
        fps: Frames per second.

    Raises:
        InputError: If they differ by more than a second.
    """
    annotated = columns.shape[1]
    if annotated == 0 or abs(annotated - num_frames) > fps:
        raise InputError(
            f"{where}: expected annotations of the {num_frames} frames of the video, found "
            f"{annotated}; this is another version of the video"
        )
    return columns[:, np.minimum(np.arange(num_frames), annotated - 1)]
