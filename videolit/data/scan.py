"""One pass over a long video: pictures at a steady rate, how much moves, and all frames' times."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from videolit.data.decoders import InOrderFrames, one_line
from videolit.data.sniff import sniff
from videolit.ops.cores import usable_cores
from videolit.ops.windows import frame_seconds
from videolit.types import InputError, VideoError

# Motion is measured on grey pictures of this size (width, height), detectors see this width.
_GREY = (64, 36)
_DETECTOR_WIDTH = 256


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

    Step k is the first frame at or after ``k / fps`` seconds. Where the video has fewer frames than
    that, each frame is a step once.

    Args:
        path: A video file.
        fps: Steps per second, above 0.
        watcher: Shown every frame, at most 256 pixels wide.

    Attributes:
        path: The file, absolute.
        fps: Steps per second asked for.
        expected: Seconds that the container promises, 0 where it does not say.
        size: Height and width after rotation; known after the first step.
        frames: int64 ``(T,)``, the frame of each step so far.
        times: float64 ``(T,)``, the steps' seconds from the first frame.
        motion: float32 ``(T,)`` in [0, 1]: how much the picture changes from frame to frame up to
            the next step, as the median over frames of the mean change of grey. A cut is one frame
            and leaves no trace in it.
        timestamps: After the pass: seconds of all frames, float64 ``(N,)``; the first is at 0.
        origin: After the pass: the first frame's time in the container, in seconds.
        has_audio: Whether there is sound beside the video.

    Raises:
        VideoError: If the file cannot be read.
        InputError: If ``fps`` is not above 0.
    """

    def __init__(
        self, path: str | Path, fps: float = 2.0, *, watcher: FrameWatcher | None = None
    ) -> None:
        if not fps > 0:
            raise InputError(f"the steps per second must be above 0, got {fps}")
        self.path = str(Path(path).absolute())
        self.fps = fps
        self._watcher = watcher
        self._container = sniff(path)
        with self._open() as source:
            self.has_audio = bool(source.file.streams.audio)
            self.expected = (source.file.duration or 0) / av.time_base
        self.size = (0, 0)
        self._frames: list[int] = []
        self._times: list[float] = []
        self._motion: list[float] = []
        self.timestamps: NDArray[np.float64] = np.empty(0)
        self.origin = 0.0

    @property
    def frames(self) -> NDArray[np.int64]:
        """The frame of each step so far."""
        return np.array(self._frames, np.int64)

    @property
    def times(self) -> NDArray[np.float64]:
        """The steps' seconds from the first frame."""
        return np.array(self._times, np.float64)

    @property
    def motion(self) -> NDArray[np.float32]:
        """How much the picture changes from each step on."""
        return np.array(self._motion, np.float32)

    @property
    def duration(self) -> float:
        """Seconds of the video, its last frame included; after the pass."""
        return float(self.timestamps[-1]) + frame_seconds(self.timestamps)

    @property
    def rate(self) -> float:
        """Average frames per second; after the pass."""
        return len(self.timestamps) / self.duration

    def __iter__(self) -> Iterator[Step]:
        """Yield the steps in order.

        Raises:
            VideoError: If a frame cannot be decoded, the size changes or there is no frame.
        """
        self._frames, self._times, self._motion = [], [], []
        with self._open() as source:
            yield from self._steps(source)

    def _open(self) -> InOrderFrames:
        try:
            source = InOrderFrames(self.path, self._container)
        except (av.FFmpegError, OSError, ValueError) as error:
            if isinstance(error, VideoError):
                raise
            raise VideoError(self.path, f"cannot be opened: {one_line(error)}") from error
        # Frames come in order with any number of threads.
        source.stream.thread_type = "AUTO"
        source.stream.codec_context.thread_count = usable_cores()
        return source

    def _steps(self, source: InOrderFrames) -> Iterator[Step]:
        grey, small = VideoReformatter(), VideoReformatter()
        pts: list[int | None] = []
        base = float(source.stream.time_base or 0)
        rate = float(source.stream.average_rate or source.stream.guessed_rate or 25)
        before: NDArray[np.int16] | None = None
        changes: list[float] = []
        frames = source.decode()
        while True:
            number = len(pts)
            try:
                frame = next(frames, None)
            except (av.FFmpegError, MemoryError) as error:
                raise VideoError(
                    self.path, f"damaged at frame {number}: {one_line(error)}"
                ) from error
            if frame is None:
                break
            self._check_size(number, frame)
            pts.append(frame.pts)
            first, own = pts[0], frame.pts
            known = own is not None and first is not None and base > 0
            time = (own - first) * base if known else number / rate  # type: ignore[operator]
            image = grey.reformat(frame, *_GREY, format="gray", threads=1).to_ndarray()
            now = image.astype(np.int16)
            if before is not None:
                changes.append(float(np.abs(now - before).mean()) / 255)
            before = now
            if self._watcher is not None:
                height, width = frame.height, frame.width
                share = min(1.0, _DETECTOR_WIDTH / width)
                shown = small.reformat(
                    frame,
                    max(1, round(width * share)),
                    max(1, round(height * share)),
                    format="rgb24",
                    threads=1,
                )
                self._watcher.see(number, time, np.asarray(shown.to_ndarray(), np.uint8))
            # A rounding of the container's times must not move a step by a frame.
            if time >= self._due() - 1e-4:
                if self._frames:
                    self._motion.append(float(np.median(changes)) if changes else 0.0)
                    changes = []
                self._frames.append(number)
                self._times.append(time)
                yield Step(number, time, source.rgb(frame))
        if not pts:
            raise VideoError(self.path, "no frame can be decoded")
        self._motion.append(float(np.median(changes)) if changes else 0.0)
        given = [p for p in pts if p is not None]
        if base > 0 and len(given) == len(pts) and all(np.diff(given) >= 0):
            self.timestamps = (np.array(given, np.float64) - given[0]) * base
            self.origin = given[0] * base
        else:
            self.timestamps = np.arange(len(pts)) / rate

    def _due(self) -> float:
        """Return the time from which on a frame is the next step."""
        if not self._times:
            return 0.0
        return (math.floor(self._times[-1] * self.fps + 1e-4) + 1) / self.fps

    def _check_size(self, number: int, frame: av.VideoFrame) -> None:
        turned = round(frame.rotation / 90) % 2 == 1
        size = (frame.width, frame.height) if turned else (frame.height, frame.width)
        if number == 0:
            self.size = size
        elif size != self.size:
            raise VideoError(
                self.path,
                f"the size changes at frame {number}, from {self.size[1]}×{self.size[0]} to "
                f"{size[1]}×{size[0]}",
            )
