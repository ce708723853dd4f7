"""The clips of a long video's windows, in one pass over it and in memory that a window bounds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from videolit.data.clips import Sample, collate
from videolit.data.focus import focus
from videolit.data.reader import VideoReader
from videolit.data.transforms import eval_crops
from videolit.ops.sampling import FrameChoice, choose_frames
from videolit.ops.windows import Windows
from videolit.types import ClipSpec, VideoBatch


class WindowClips:
    """Makes the clips of sliding windows as a test makes those of whole videos.

    The video is decoded once, in order. Frames that no window needs are not converted; the others
    are cut to the crops of the clip at once, which gives the same pixels as cutting the clip does,
    and are kept until the last window that needs them is done. So the frames that are held never
    exceed those of one window, however long the video is. With ``focus: motion`` whole frames are
    held: what moves in a window is known when all its frames are.

    Args:
        reader: The video.
        windows: Where the windows lie; frame numbers are the reader's.
        spec: What clips the model wants.

    Attributes:
        held: The frames that are kept now, by number: uint8 ``(num_crops, size, size, 3)``, or
            whole, ``(1, H, W, 3)``.
    """

    def __init__(self, reader: VideoReader, windows: Windows, spec: ClipSpec) -> None:
        self.reader = reader
        self.windows = windows
        self.spec = spec
        self.held: dict[int, NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.windows.start)

    def __iter__(self) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
        """Yield each window's clip.

        Yields:
            uint8 ``(V, T, size, size, 3)`` with the ``V`` views and crops, or ``(T, size, size,
            3)`` for one; and which frames are real, bool ``(V, T)`` or ``(T,)``.

        Raises:
            VideoError: If the file changed since it was checked.
        """
        last_use = np.full(self.reader.num_frames, -1, np.int64)
        for window in range(len(self)):
            for choice in self._choices(window):
                last_use[choice.indices] = window
        self.held.clear()
        frames = self.reader.iter_frames(np.flatnonzero(last_use >= 0))
        try:
            read = -1
            for window in range(len(self)):
                choices = self._choices(window)
                newest = max(int(choice.indices.max()) for choice in choices)
                while read < newest:
                    read, frame = next(frames)
                    whole = self.spec.focus == "motion"
                    self.held[read] = frame[None] if whole else eval_crops([frame], self.spec)[:, 0]
                yield self._clip(choices)
                for number in [n for n in self.held if last_use[n] <= window]:
                    del self.held[number]
        finally:
            frames.close()
            self.held.clear()

    def batches(self, size: int) -> Iterator[VideoBatch]:
        """Yield the windows' clips in batches; ``index`` is the number of the window.

        Args:
            size: Windows of a batch.
        """
        samples: list[Sample] = []
        for window, (video, mask) in enumerate(self):
            samples.append(
                {
                    "video": video,
                    "mask": mask,
                    "index": window,
                    "counts": True,
                    "video_id": self.reader.path,
                    "error": "",
                    "unread": [],
                }
            )
            if len(samples) == size or window == len(self) - 1:
                yield collate(samples)
                samples = []

    def _choices(self, window: int) -> list[FrameChoice]:
        """Return the frames of each view of a window, as numbers in the video."""
        first, stop = int(self.windows.first[window]), int(self.windows.stop[window])
        times, views = self.reader.timestamps[first:stop], self.spec.num_views
        chosen = [choose_frames(times, self.spec, view=v, num_views=views) for v in range(views)]
        return [FrameChoice(first + choice.indices, choice.real) for choice in chosen]

    def _clip(self, choices: list[FrameChoice]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Put the frames of a window together: each view's crops follow each other."""
        views = [np.stack([self.held[n] for n in c.indices.tolist()], axis=1) for c in choices]
        if self.spec.focus == "motion":
            views = [eval_crops(focus(frames[0]), self.spec) for frames in views]
        masks = np.repeat(np.stack([c.real for c in choices]), self.spec.num_crops, axis=0)
        clips = np.concatenate(views)
        return (clips[0], masks[0]) if len(clips) == 1 else (clips, masks)
