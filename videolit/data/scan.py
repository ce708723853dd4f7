"""One pass over a long video: pictures at a steady rate, how much moves, its verified record."""

from __future__ import annotations

import array
import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from videolit.data.decoders import InOrderFrames, one_line, quarter_turns
from videolit.data.examine import examine, judge
from videolit.data.index import AUTO_CONTAINERS, AUTO_DECODER, VideoIndex
from videolit.data.sniff import sniff
from videolit.ops.windows import frame_seconds
from videolit.types import InputError, VideoError

# Motion is measured on grey pictures of this size (width, height), watchers see this width.
_GREY = (64, 36)
_WATCHED_WIDTH = 256
# Frames between two reports of progress.
_TELL = 50
# Timestamps are rounded to the container's clock, as in videolit.ops.sampling.
_CLOCK = 5e-4


class Step(NamedTuple):
    """A picture of the pass.

    Attributes:
        frame: Number of the frame in the video.
        time: Seconds from the first frame.
        image: uint8 ``(H, W, 3)`` RGB, upright, of the video's size.
    """

    frame: int
    time: float
    image: NDArray[np.uint8]


class FrameWatcher(Protocol):
    """Looks at every frame of the pass, as a detector of cuts does."""

    def see(self, frame: int, time: float, image: NDArray[np.uint8]) -> None:
        """Look at a frame: its number, its time in seconds, uint8 ``(h, w, 3)`` RGB, small."""
        ...


class VideoScan:
    """Decodes a video once, in order, in memory that does not grow with its length.

    Step k is the frame on screen at ``k / fps`` seconds, as in
    :func:`videolit.data.layouts.raw_summary.pick_frames`. Where the video has fewer frames than
    that, each frame is a step once. The pass is also the check that
    :class:`~videolit.data.reader.VideoReader` makes of a file, but in this process.

    Args:
        path: A video file.
        fps: Steps per second, above 0.

    Attributes:
        path: The file, absolute.
        fps: Steps per second asked for.
        has_audio: Whether there is sound beside the video.
        index: After :meth:`run`, the file's verified record.
        frames: int64 ``(T,)``, the frame of each step; after :meth:`run`.
        times: float64 ``(T,)``, the steps' seconds from the first frame; after :meth:`run`.
        motion: float32 ``(T,)`` in [0, 1]: how much the picture changes from frame to frame up to
            the next step, as the median over frames of the mean change of grey; after :meth:`run`.
            A cut is one frame and leaves no trace in it.
        changes: float32 ``(N,)`` in [0, 1], the mean change of grey of each frame from the one
            before, 0 for the first; after :meth:`run`.

    Raises:
        VideoError: If the file cannot be opened.
        InputError: If ``fps`` is not above 0.
    """

    index: VideoIndex

    def __init__(self, path: str | Path, fps: float = 2.0) -> None:
        if not (fps > 0 and math.isfinite(fps)):
            raise InputError(f"the steps per second must be above 0, got {fps}")
        self.path = str(Path(path).absolute())
        self.fps = fps
        self._container = sniff(path)
        try:
            with InOrderFrames(self.path, self._container) as source:
                self.has_audio = bool(source.file.streams.audio)
                self._expected = (source.file.duration or 0) / av.time_base
                stream = source.stream
                self._rate = float(stream.average_rate or stream.guessed_rate or 25)
        except VideoError:
            raise
        except (av.FFmpegError, OSError, ValueError) as error:
            # Says what is wrong with the file in the reader's words.
            examine(self.path, self._container, compare=False)
            raise VideoError(self.path, f"cannot be opened: {one_line(error)}") from error
        self.frames = np.empty(0, np.int64)
        self.times = np.empty(0)
        self.motion = np.empty(0, np.float32)
        self.changes = np.empty(0, np.float32)

    @property
    def expected(self) -> float:
        """Seconds that the header promises, sound included; 0 where it tells nothing sure."""
        return self._expected if self._container in AUTO_CONTAINERS else 0.0

    @property
    def duration(self) -> float:
        """Seconds of the video, its last frame included; after :meth:`run`."""
        times = self.index.timestamps
        return float(times[-1]) + frame_seconds(times, self.index.fps)

    @property
    def origin(self) -> float:
        """Time of the first frame in the container, in seconds; after :meth:`run`."""
        numerator, denominator = self.index.time_base
        return self.index.pts[0] * numerator / denominator if self.index.own_times else 0.0

    def run(
        self,
        on_step: Callable[[Step], None],
        *,
        watcher: FrameWatcher | None = None,
        progressed: Callable[[float], None] | None = None,
    ) -> None:
        """Make the pass.

        Args:
            on_step: Given each step in order.
            watcher: Shown every frame, at most 256 pixels wide.
            progressed: Told which share of the video is done, in [0, 1].

        Raises:
            VideoError: If the file is cut short, damaged, encrypted, has no video, or changes its
                size on the way.
        """
        seen = _Pass(self.fps, self._rate, on_step, watcher)

        def each(frame: av.VideoFrame) -> None:
            time = seen.see(frame)
            if progressed is not None and seen.count % _TELL == 0 and self._expected > 0:
                progressed(min(time / self._expected, 1.0))

        fast = self._container in AUTO_CONTAINERS
        truth = examine(self.path, self._container, compare=fast, each=each)
        seen.end()
        index = truth.index
        if fast and not index.edit_list:
            verdict = judge(AUTO_DECODER, self.path, truth)
            index = dataclasses.replace(index, verdicts={AUTO_DECODER: verdict})
        self.index = index
        self.frames = np.array(seen.frames, np.int64)
        self.times = index.timestamps[self.frames]
        self.changes = np.array(seen.changes, np.float32)
        self.motion = _medians(self.changes, self.frames)
        if progressed is not None:
            progressed(1.0)


def _medians(changes: NDArray[np.float32], frames: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the median change between each step and the next, ``(T,)``."""
    ends = [*frames[1:].tolist(), len(changes) - 1]
    between = [changes[a + 1 : b + 1] for a, b in zip(frames.tolist(), ends, strict=True)]
    return np.array([np.median(part) if len(part) else 0 for part in between], np.float32)


class _Pass:
    """What is known while the frames come."""

    def __init__(
        self,
        fps: float,
        rate: float,
        on_step: Callable[[Step], None],
        watcher: FrameWatcher | None,
    ) -> None:
        self.count = 0
        self.frames: list[int] = []
        self._fps, self._rate = fps, rate
        self._on_step, self._watcher = on_step, watcher
        # A frame is known to be on screen until when only once the next one comes.
        self._held: tuple[int, float, av.VideoFrame] | None = None
        self._first: int | None = None
        self._before: NDArray[np.int16] | None = None
        self.changes = array.array("f")
        # Kept, as new ones cost the set-up of the conversion for each frame.
        self._grey, self._small, self._rgb = (VideoReformatter() for _ in range(3))

    def see(self, frame: av.VideoFrame) -> float:
        """Look at the next frame, and return its time."""
        time = self._time(frame)
        image = self._grey.reformat(frame, *_GREY, format="gray", threads=1).to_ndarray()
        now = image.astype(np.int16)
        before = now if self._before is None else self._before
        self.changes.append(float(np.abs(now - before).mean()) / 255)
        self._before = now
        if self._watcher is not None:
            share = min(1.0, _WATCHED_WIDTH / frame.width)
            width, height = (max(1, round(s * share)) for s in (frame.width, frame.height))
            small = self._small.reformat(frame, width, height, format="rgb24", threads=1)
            self._watcher.see(self.count, time, np.asarray(small.to_ndarray(), np.uint8))
        if self._held is not None and self._tick(self._held[1]) < self._tick(time):
            self._step(*self._held)
        self._held = (self.count, time, frame)
        self.count += 1
        return time

    def end(self) -> None:
        """Take the last frame where a step falls on its beginning."""
        assert self._held is not None
        time = self._held[1]
        if self._tick(time) <= math.floor((time + _CLOCK) * self._fps):
            self._step(*self._held)
        self._held = None

    def _tick(self, time: float) -> int:
        """Return the number of the first step at or after a time."""
        return math.ceil((time - _CLOCK) * self._fps)

    def _step(self, number: int, time: float, frame: av.VideoFrame) -> None:
        self.frames.append(number)
        rgb = self._rgb.reformat(frame, format="rgb24", threads=1).to_ndarray()
        upright = np.rot90(np.asarray(rgb, np.uint8), quarter_turns(frame))
        self._on_step(Step(number, time, upright))

    def _time(self, frame: av.VideoFrame) -> float:
        if self.count == 0:
            self._first = frame.pts
        if frame.pts is None or self._first is None or not frame.time_base:
            return self.count / self._rate
        return float((frame.pts - self._first) * frame.time_base)
