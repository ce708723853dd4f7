"""Frames of a video file by index or by time.

The frame at index i is frame i of *PyAV decoding in order from frame 0 with default flags,
rotation applied*, or an error; never a neighbour. Faster decoders are used only for files where
they were compared with that truth (:mod:`videolit.data.verify`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, cast

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import ArrayLike, NDArray

from videolit.data.index import Decoder, IndexCache, VideoIndex
from videolit.data.sniff import DEMUXERS
from videolit.data.verify import choose_decoder, verified_index
from videolit.types import InputError, VideoError

__all__ = ["Decoder", "FrameSource", "InOrderFrames", "VideoReader", "open_frames"]

Frames = NDArray[np.uint8]


# Decoders that decide about each packet by itself whether to skip its picture.
_SKIPPING_CODECS = ("h264", "hevc", "mpeg4", "mpeg2video")


class FrameSource(Protocol):
    """A decoder with one open file."""

    def read(self, indices: NDArray[np.int64]) -> Frames:
        """Return the frames at strictly increasing indices, uint8 ``(T, H, W, 3)`` RGB."""
        ...

    def __len__(self) -> int:
        """Return the number of frames, as this decoder counts them."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class VideoReader:
    """Reads RGB frames of one video file.

    A reader belongs to the process that opened it and uses one thread of it.

    Args:
        path: A video file; URLs and playlists are refused.
        decoder: ``"auto"`` takes the fastest decoder that is verified for the file. ``"pyav"``
            decodes in order from frame 0. ``"pyav_seek"``, which starts at key frames and leaves
            out what no wanted frame needs, ``"decord"`` and ``"torchcodec"`` are refused for files
            where they read other frames.
        cache: Where the file's verified record is kept; None = the shared folder, see
            :func:`videolit.data.index.shared_cache`.

    Attributes:
        path: The file, absolute.
        index: Its verified record.
        decoder: The decoder in use.
        num_frames: Number of frames.
        timestamps: Time of each frame in seconds, float64 ``(N,)``; the first frame is at 0.
        height: Height in pixels, after rotation.
        width: Width in pixels, after rotation.
        fps: Average frames per second.

    Raises:
        VideoError: If the file cannot be read, whole and as its header promises.
        InputError: If ``decoder`` is not known or not installed.
    """

    def __init__(
        self, path: str | Path, decoder: Decoder = "auto", *, cache: IndexCache | None = None
    ) -> None:
        self.path = str(Path(path).absolute())
        self.index = verified_index(path, decoder, cache)
        self.decoder: str = choose_decoder(self.index) if decoder == "auto" else decoder
        self.num_frames = self.index.num_frames
        self.timestamps = self.index.timestamps
        self.height = self.index.height
        self.width = self.index.width
        self.fps = self.index.fps
        self._asked = decoder
        self._process = os.getpid()
        self._closed = False
        self._sources: dict[str, FrameSource] = {}

    def read(self, indices: Sequence[int] | NDArray[np.int64]) -> Frames:
        """Return the frames at some indices, in the order asked; repeats are allowed.

        Args:
            indices: Integers in ``[0, num_frames)``.

        Returns:
            uint8 ``(T, H, W, 3)`` RGB.

        Raises:
            InputError: If an index is not an integer or lies outside the video.
            VideoError: If the file changed since it was checked.
        """
        self._check_usable()
        wanted = self._check_indices(indices)
        if wanted.size == 0:
            return np.empty((0, self.height, self.width, 3), dtype=np.uint8)
        if (np.diff(wanted) > 0).all():
            return self._read(wanted)
        unique, inverse = np.unique(wanted, return_inverse=True)
        return self._read(unique)[inverse]

    def _read(self, indices: NDArray[np.int64]) -> Frames:
        decoder = self.decoder
        try:
            if decoder not in self._sources:
                self._sources[decoder] = open_frames(decoder, self.path, self.index)
            frames = self._sources[decoder].read(indices)
            expected = (len(indices), self.height, self.width, 3)
            if frames.shape != expected:
                raise VideoError(
                    self.path,
                    f"expected frames of shape {expected}, {decoder} gave {frames.shape}; the "
                    "file changed since it was checked",
                )
            return frames
        except Exception as error:
            if self._asked == "auto" and decoder != "pyav":
                # The truth is always there to fall back on.
                self.decoder = "pyav"
                return self._read(indices)
            if isinstance(error, VideoError):
                raise
            raise VideoError(self.path, f"{decoder} failed: {one_line(error)}") from error

    def indices_at(self, seconds: ArrayLike) -> NDArray[np.int64]:
        """Return the index of the frame on screen at each time, clipped to the video.

        Args:
            seconds: Times in seconds from the first frame, finite.

        Raises:
            InputError: If a time is not finite.
        """
        times = np.atleast_1d(np.asarray(seconds, dtype=np.float64))
        if not np.isfinite(times).all():
            raise InputError(f"times must be finite, got {times[~np.isfinite(times)][0]}")
        on_screen = np.searchsorted(self.timestamps, times, side="right") - 1
        return np.clip(on_screen, 0, self.num_frames - 1).astype(np.int64)

    def read_at(self, seconds: ArrayLike) -> Frames:
        """Return the frames on screen at some times in seconds, as :meth:`read` does."""
        return self.read(self.indices_at(seconds))

    def iter_frames(self) -> Iterator[tuple[int, Frames]]:
        """Yield (index, frame) of all frames in order, uint8 ``(H, W, 3)``, in constant memory."""
        self._check_usable()
        with InOrderFrames(self.path, self.index.container) as source:
            for index in range(self.num_frames):
                self._check_usable()
                yield index, source.read(np.array([index]))[0]

    def close(self) -> None:
        """Close the file; reading afterwards is an error."""
        self._closed = True
        while self._sources:
            self._sources.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return self.num_frames

    def _check_usable(self) -> None:
        if os.getpid() != self._process:
            # Both processes would move one file position; some decoders then hang or abort.
            raise RuntimeError(
                f"{self.path}: this VideoReader was opened in process {self._process} and is used "
                f"in process {os.getpid()}; open a reader in the process that reads"
            )
        if self._closed:
            raise RuntimeError(f"{self.path}: this VideoReader is closed")

    def _check_indices(self, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        wanted = np.asarray(indices)
        if wanted.size == 0:
            return np.empty(0, dtype=np.int64)
        if wanted.ndim != 1 or wanted.dtype.kind not in "iu":
            raise InputError(
                f"frame indices must be a flat list of integers, got {wanted.dtype} of shape "
                f"{wanted.shape}"
            )
        wanted = wanted.astype(np.int64)
        outside = wanted[(wanted < 0) | (wanted >= self.num_frames)]
        if outside.size:
            raise InputError(
                f"{self.path}: frame indices must lie in 0..{self.num_frames - 1}, got {outside[0]}"
            )
        return wanted


def open_frames(decoder: str, path: str, index: VideoIndex) -> FrameSource:
    """Open a file with one decoder, without any check.

    Args:
        decoder: Anyone but ``"auto"``.
        path: Absolute path of a file that was sniffed.
        index: What a pass over it found.
    """
    if decoder == "pyav_seek":
        return _SeekingFrames(path, index)
    if decoder == "decord":
        return _DecordFrames(path)
    if decoder == "torchcodec":
        return _TorchcodecFrames(path)
    return InOrderFrames(path, index.container)


class InOrderFrames:
    """Frames by PyAV, decoded in order from frame 0.

    Args:
        path: Absolute path.
        container: What the file was sniffed as.
    """

    def __init__(self, path: str, container: str) -> None:
        self._path = path
        self._demuxers = DEMUXERS[container]
        # Kept, as a new one costs the set-up of the colour conversion for each frame.
        self._reformatter = VideoReformatter()
        self._open()

    def _open(self) -> None:
        self.file = av.open(
            self._path,
            # Names inside the file are nobody's business here and need not be UTF-8.
            metadata_errors="replace",
            options={"format_whitelist": self._demuxers, "protocol_whitelist": "file"},
        )
        # Disposition 0x400: a cover picture in a sound file.
        streams = [s for s in self.file.streams.video if not int(s.disposition) & 0x400]
        if not streams:
            self.file.close()
            raise VideoError(self._path, "no video stream (only sound, text or a cover picture)")
        self.stream: VideoStream = streams[0]
        if self.stream.codec_context is None:
            self.file.close()
            raise VideoError(self._path, "its video codec is unknown or not supported")
        self.stream.thread_type = "NONE"
        self.stream.codec_context.thread_count = 1
        self._decoded = self.file.decode(self.stream)
        self._last: av.VideoFrame | None = None
        self._position = -1

    def __len__(self) -> int:
        raise TypeError("the number of frames is known only after decoding all of them")

    def decode(self) -> Iterator[av.VideoFrame]:
        """Return the frames that are left, not yet converted."""
        return self._decoded

    def rgb(self, frame: av.VideoFrame) -> Frames:
        """Return a decoded frame as uint8 ``(H, W, 3)`` RGB, upright."""
        converted = self._reformatter.reformat(frame, format="rgb24", threads=1)
        image = cast(Frames, converted.to_ndarray())
        turns = quarter_turns(frame)
        return np.rot90(image, turns) if turns else image

    def read(self, indices: NDArray[np.int64]) -> Frames:
        """Return the frames at strictly increasing indices, uint8 ``(T, H, W, 3)`` RGB."""
        if indices[0] < self._position:
            # A new file, not a seek: only that is sure to decode as the first time.
            self.close()
            self._open()
        images: Frames | None = None
        for place, index in enumerate(indices):
            image = self.rgb(self._advance(int(index)))
            if images is None:
                images = np.empty((len(indices), *image.shape), dtype=np.uint8)
            if image.shape != images.shape[1:]:
                raise VideoError(self._path, f"the size changes at frame {index}")
            images[place] = image
        assert images is not None
        return images

    def _advance(self, index: int) -> av.VideoFrame:
        while self._position < index:
            try:
                self._last = next(self._decoded)
            except StopIteration:
                raise VideoError(
                    self._path,
                    f"ends after {self._position + 1} frames, frame {index} was asked; the file "
                    "changed since it was checked",
                ) from None
            except (av.FFmpegError, MemoryError) as error:
                raise VideoError(
                    self._path, f"damaged at frame {self._position + 1}: {one_line(error)}"
                ) from error
            self._position += 1
        assert self._last is not None
        return self._last

    def close(self) -> None:
        """Close the file."""
        self._last = None
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()


class _SeekingFrames(InOrderFrames):
    """Frames by PyAV, from the key frame before them, without those that nothing depends on.

    Pictures that no other one refers to, as most B-frames, are skipped where they are not wanted.
    That changes no other picture (nal_ref_idc in ISO/IEC 14496-10, 7.4.1; the like in other codecs)
    and saves about a third of the time of ordinary H.264.
    """

    def __init__(self, path: str, index: VideoIndex) -> None:
        times = np.asarray(index.pts, np.int64)
        if not index.own_times or (np.diff(times) <= 0).any():
            raise VideoError(path, "its frames cannot be told apart by their times")
        self._times = times
        self._keys = np.unique([0, *index.key_frames])
        super().__init__(path, index.container)

    def __len__(self) -> int:
        return len(self._times)

    def read(self, indices: NDArray[np.int64]) -> Frames:
        """Return the frames at strictly increasing indices, uint8 ``(T, H, W, 3)`` RGB."""
        starts = self._keys[np.searchsorted(self._keys, indices, side="right") - 1]
        images: list[Frames] = []
        for start in np.unique(starts).tolist():
            images += self._read_from(start, indices[starts == start])
        if len({image.shape for image in images}) > 1:
            raise VideoError(self._path, "its size changes")
        return np.stack(images)

    def _read_from(self, start: int, indices: NDArray[np.int64]) -> list[Frames]:
        """Return frames that follow a key frame, before the next one."""
        wanted = self._times[indices].tolist()
        missing = set(wanted)
        found: dict[int, Frames] = {}
        self.file.seek(int(self._times[start]), stream=self.stream)
        context = self.stream.codec_context
        skips = context.name in _SKIPPING_CODECS
        for packet in self.file.demux(self.stream):
            if skips:
                # None: nothing tells which frame it holds, or it is the end.
                needed = packet.pts is None or packet.pts in missing
                context.skip_frame = "DEFAULT" if needed else "NONREF"
            for frame in packet.decode():
                if (time := frame.pts) is not None and time in missing:
                    if frame.is_corrupt:
                        raise VideoError(self._path, "a frame is damaged when it is jumped to")
                    found[time] = self.rgb(frame)
                    missing.discard(time)
            if not missing:
                return [found[time] for time in wanted]
        gone = int(np.searchsorted(self._times, min(missing)))
        raise VideoError(self._path, f"frame {gone} does not come after the key frame before it")


class _DecordFrames:
    def __init__(self, path: str) -> None:
        # By default decord retries 10240 times at the end of some files, which can take minutes.
        # 128 is too few: of 50 ordinary files 6 then fail at [0, last]; with 512 none does.
        os.environ.setdefault("DECORD_EOF_RETRY_MAX", "2048")
        import decord

        decord.logging.set_level(decord.logging.QUIET)
        self._reader: Any = decord.VideoReader(path, ctx=decord.cpu(0), num_threads=1)

    def __len__(self) -> int:
        return len(self._reader)

    def read(self, indices: NDArray[np.int64]) -> Frames:
        batch = self._reader.get_batch(indices)
        # The caller may have switched decord's output to torch tensors.
        frames: Frames = batch.asnumpy() if hasattr(batch, "asnumpy") else np.asarray(batch)
        return frames

    def close(self) -> None:
        self._reader = None


class _TorchcodecFrames:
    def __init__(self, path: str) -> None:
        from torchcodec.decoders import VideoDecoder

        self._reader: Any = VideoDecoder(
            path, dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="exact"
        )

    def __len__(self) -> int:
        return len(self._reader)

    def read(self, indices: NDArray[np.int64]) -> Frames:
        frames: Frames = self._reader.get_frames_at(indices.tolist()).data.numpy()
        return frames

    def close(self) -> None:
        self._reader = None


def quarter_turns(frame: av.VideoFrame) -> int:
    """Return the counter-clockwise quarter turns that show a frame upright, 0 to 3."""
    return round(frame.rotation / 90) % 4


def one_line(error: BaseException) -> str:
    """Return an error's message in one line of at most 120 characters."""
    text = " ".join((getattr(error, "strerror", None) or str(error)).split())
    # decord puts time, file and line of its own source before what it has to say.
    text = re.sub(r"^(\[[\d:]+\] \S+:\d+: )(\[[^\]]*\] ?)?", "", text)
    return (text or type(error).__name__)[:120]
