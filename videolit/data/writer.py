"""Frames to a video file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from videolit.ops.files import atomic_path
from videolit.types import InputError

# Pixel format where it is not given: RGB as it is for the lossless codec, 4:2:0 for the others.
CODECS = {
    "libx264": "yuv420p",
    "libx265": "yuv420p",
    "libvpx-vp9": "yuv420p",
    "libsvtav1": "yuv420p",
    "libaom-av1": "yuv420p",
    "mpeg4": "yuv420p",
    "mjpeg": "yuvj420p",
    "ffv1": "bgr0",
}
SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".ts")

# These encoders choose their threads, and with them their bytes, by the machine's cores.
_ONE_THREAD = {
    "libx265": ("x265-params", "pools=none:frame-threads=1:log-level=error"),
    "libsvtav1": ("svtav1-params", "lp=1"),
}


def write_video(
    path: str | Path,
    frames: Iterable[NDArray[np.uint8]] | NDArray[np.uint8],
    fps: float | Fraction,
    *,
    codec: str = "libx264",
    options: Mapping[str, str] | None = None,
    pix_fmt: str | None = None,
) -> Path:
    """Encode frames to a video file, which appears under its name only when it is complete.

    One thread encodes; equal input gives equal bytes (with one version of PyAV).

    Args:
        path: File to write; its suffix (mp4, mov, mkv, webm, avi, ts) chooses the container. Its
            folder is made if need be; a file that is there is replaced.
        frames: uint8 RGB ``(H, W, 3)`` each, all of one size, or one array ``(T, H, W, 3)``. An
            iterator is read frame by frame.
        fps: Frames per second.
        codec: Encoder, one of ``CODECS``.
        options: Of the encoder, as ``{"crf": "18", "preset": "veryfast", "g": "12"}``; FFmpeg
            ignores names that the encoder does not know.
        pix_fmt: How pixels are stored, as ``"yuv444p"``; None = 4:2:0, or RGB for ffv1.

    Returns:
        ``path``.

    Raises:
        InputError: If frames, rate, codec, container or options cannot be used.
    """
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"cannot write {str(path)!r}: the suffix chooses the container; expected one of "
            f"{', '.join(SUFFIXES)}, got {target.suffix!r}"
        )
    if not math.isfinite(fps) or fps <= 0:
        raise InputError(f"fps must be a number above 0, got {fps}")
    layout = _pixel_format(codec, pix_fmt)
    settings = dict(options or {})
    if codec in _ONE_THREAD:
        name, value = _ONE_THREAD[codec]
        settings[name] = f"{settings[name]}:{value}" if name in settings else value
    checked = _checked(frames)
    first = next(checked, None)
    if first is None:
        raise InputError(f"cannot write {str(path)!r}: there are no frames")
    height, width = first.shape[:2]
    _check_size(height, width, layout)
    with atomic_path(target) as part:
        try:
            _encode(part, first, checked, fps, codec, layout, settings)
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise  # A full disk is no mistake in the input.
            raise InputError(
                f"cannot write {str(path)!r} with {codec} ({layout}, {width}×{height}, options "
                f"{dict(options or {})}): {error}; check the options"
            ) from error
    return target


def _encode(
    part: Path,
    first: NDArray[np.uint8],
    others: Iterator[NDArray[np.uint8]],
    fps: float | Fraction,
    codec: str,
    layout: str,
    settings: dict[str, str],
) -> None:
    # Some encoders store the rate in 16 bits; 1001 keeps 30000/1001 exact.
    rate = Fraction(fps).limit_denominator(1001)
    # Without "bitexact" some containers carry a random identifier.
    with av.open(str(part), "w", options={"fflags": "+bitexact"}) as file:
        try:
            stream = cast(VideoStream, file.add_stream(codec, rate=rate, options=settings))
        except ValueError as error:
            raise InputError(
                f"{part.suffix} files cannot hold {codec}: mp4 and mkv hold most codecs, webm "
                "libvpx-vp9, libsvtav1 and libaom-av1"
            ) from error
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = layout
        stream.codec_context.thread_count = 1
        # Kept, as a new one costs the set-up of the colour conversion for each frame.
        convert = VideoReformatter()
        for index, image in enumerate(_chain(first, others)):
            rgb = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame = convert.reformat(rgb, format=layout, threads=1)
            frame.pts = index
            frame.time_base = 1 / rate
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


def _chain(
    first: NDArray[np.uint8], others: Iterator[NDArray[np.uint8]]
) -> Iterator[NDArray[np.uint8]]:
    yield first
    yield from others


def _pixel_format(codec: str, pix_fmt: str | None) -> str:
    """Return the pixel format to use, after checking the codec and what it can store."""
    if codec not in CODECS:
        raise InputError(f"unknown codec {codec!r}; expected one of {', '.join(CODECS)}")
    try:
        encoder = av.codec.Codec(codec, "w")
    except ValueError as error:
        raise InputError(
            f"the FFmpeg in this PyAV {av.__version__} has no encoder {codec!r}; take another codec"
        ) from error
    layout = CODECS[codec] if pix_fmt is None else pix_fmt
    known = [form.name for form in encoder.video_formats or ()]
    if known and layout not in known:
        raise InputError(f"{codec} cannot store pix_fmt {layout!r}; expected one of {known}")
    return layout


def _checked(frames: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """Yield contiguous frames; refuse one that is none or has another size than the first."""
    shape: tuple[int, ...] | None = None
    for index, frame in enumerate(frames):
        image = np.asarray(frame)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            hint = (
                "; scale values in [0, 1] by 255 and round"
                if image.dtype.kind == "f"
                else "; move the colour axis to the end"
                if image.ndim == 3 and image.shape[0] == 3
                else ""
            )
            raise InputError(
                f"frames must be uint8 RGB of shape (H, W, 3), frame {index} is {image.dtype} "
                f"{image.shape}{hint}"
            )
        if shape is not None and image.shape != shape:
            raise InputError(
                f"all frames must have one size, frame {index} is {image.shape} and the first is "
                f"{shape}; resize or pad them"
            )
        shape = image.shape
        yield np.ascontiguousarray(image)


def _check_size(height: int, width: int, layout: str) -> None:
    """Refuse a size that the colour subsampling cannot halve."""
    form = av.VideoFormat(layout, width, height)
    for name, length, chroma in (
        ("width", width, form.chroma_width()),
        ("height", height, form.chroma_height()),
    ):
        if chroma != length and length % 2:
            raise InputError(
                f"pix_fmt {layout!r} stores colour at half the {name}, which must be even, got "
                f"{width}×{height}: crop or pad the frames by one pixel, or use pix_fmt 'yuv444p'"
            )
