"""Frames of a video file by index or by time.

The frame at index i is frame i of *PyAV decoding in order from frame 0 with default flags,
rotation applied*, or an error; never a neighbour. Faster decoders are used only for files where
they were compared with that truth (:mod:`videolit.data.verify`).
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from videolit.data.decoders import Frames, FrameSource, InOrderFrames, one_line, open_frames
from videolit.data.index import Decoder, IndexCache
from videolit.data.verify import choose_decoder, verified_index
from videolit.types import InputError, VideoError

__all__ = ["Decoder", "VideoReader"]


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

    def iter_frames(
        self, indices: Sequence[int] | NDArray[np.int64] | None = None
    ) -> Generator[tuple[int, Frames], None, None]:
        """Yield (index, frame) in order, uint8 ``(H, W, 3)``, in constant memory.

        Args:
            indices: Which frames, strictly ascending; those between are decoded but not converted.
                None = all.

        Raises:
            InputError: If an index lies outside the video, or they do not ascend.
            VideoError: If the file changed since it was checked.
        """
        self._check_usable()
        wanted = np.arange(self.num_frames) if indices is None else self._check_indices(indices)
        if (np.diff(wanted) <= 0).any():
            raise InputError("iter_frames reads in order: give strictly ascending indices")
        with InOrderFrames(self.path, self.index.container) as source:
            for index in wanted.tolist():
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
