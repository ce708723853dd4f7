"""The decoders, each as a source of frames by their numbers; nothing is checked here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, Protocol, Self, cast

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from videolit.data.index import VideoIndex
from videolit.data.sniff import DEMUXERS
from videolit.types import VideoError

Frames = NDArray[np.uint8]

# The reason of a VideoError where nothing is broken: there is no picture to be had.
NO_PICTURE = "no video stream (only sound, text or a cover picture)"

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
            raise VideoError(self._path, NO_PICTURE)
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
