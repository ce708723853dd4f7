"""Frames and sound to one video file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from videolit.ops.files import atomic_path
from videolit.types import InputError

SUFFIXES = (".mp4", ".mov", ".mkv")
# Samples of an AAC frame (ISO/IEC 14496-3, AAC-LC).
_BLOCK = 1024
_SAMPLE_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)


def write_video_with_sound(
    path: str | Path,
    frames: Iterable[NDArray[np.uint8]] | NDArray[np.uint8],
    fps: float | Fraction,
    sound: NDArray[np.float32],
    sample_rate: int,
    *,
    options: Mapping[str, str] | None = None,
    bit_rate: int = 64_000,
) -> Path:
    """Encode frames as H.264 and mono sound as AAC into one file.

    The file appears under its name only when it is complete. Both begin at time 0: the silence that
    AAC needs before its first sample lies before it, where players and decoders skip it. One thread
    encodes; equal input gives equal bytes (with one version of PyAV on one kind of processor).

    Args:
        path: File to write: mp4, mov or mkv. Its folder is made if need be; a file that is there is
            replaced.
        frames: uint8 RGB ``(H, W, 3)`` each, of one even size, or one array ``(T, H, W, 3)``. An
            iterator is read frame by frame.
        fps: Frames per second.
        sound: float32 ``(N,)`` in [-1, 1].
        sample_rate: Samples per second, one that AAC has, as 16000 or 48000.
        options: Of the H.264 encoder, as ``{"crf": "18", "preset": "veryfast"}``.
        bit_rate: Of the sound, bits per second.

    Returns:
        ``path``.

    Raises:
        InputError: If frames, rates, sound or container cannot be used.
    """
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"cannot write {str(path)!r}: the suffix chooses the container; expected one of "
            f"{', '.join(SUFFIXES)}, got {target.suffix!r}"
        )
    if not math.isfinite(fps) or fps <= 0:
        raise InputError(f"fps must be a number above 0, got {fps}")
    if sample_rate not in _SAMPLE_RATES:
        raise InputError(
            f"AAC has no sample rate {sample_rate}; resample to one of "
            f"{', '.join(map(str, _SAMPLE_RATES))}"
        )
    samples = np.asarray(sound)
    if samples.ndim != 1 or samples.dtype.kind != "f" or samples.size == 0:
        raise InputError(
            "sound must be float32 of shape (N,), one channel in [-1, 1], got "
            f"{samples.dtype} {samples.shape}"
        )
    if not np.all(np.abs(samples) <= 1):
        raise InputError("sound must lie in [-1, 1], without NaN; divide it by its peak")
    with atomic_path(target) as part:
        try:
            _encode(part, frames, fps, samples.astype(np.float32), sample_rate, options, bit_rate)
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise  # A full disk is no mistake in the input.
            raise InputError(f"cannot write {str(path)!r}: {error}; check the options") from error
    return target


def _encode(
    part: Path,
    frames: Iterable[NDArray[np.uint8]],
    fps: float | Fraction,
    samples: NDArray[np.float32],
    sample_rate: int,
    options: Mapping[str, str] | None,
    bit_rate: int,
) -> None:
    # Some encoders store the rate in 16 bits; 1001 keeps 30000/1001 exact.
    rate = Fraction(fps).limit_denominator(1001)
    # Without "bitexact" the container carries the version of its writer or a random identifier.
    with av.open(str(part), "w", options={"fflags": "+bitexact"}) as file:
        # x264's "macroblock tree" reads memory that nobody wrote, unless the width is a multiple of
        # 128: the bytes would differ from run to run.
        settings = {"mbtree": "0", **(options or {})}
        picture = file.add_stream("libx264", rate=rate, options=settings)
        picture.pix_fmt = "yuv420p"
        picture.codec_context.thread_count = 1
        voice = file.add_stream("aac", rate=sample_rate)
        voice.codec_context.layout = "mono"
        voice.codec_context.bit_rate = bit_rate
        # The encoder writes its own version into the sound otherwise.
        voice.codec_context.flags |= av.codec.context.Flags.bitexact
        blocks = _blocks(samples, sample_rate)
        ahead = next(blocks, None)
        convert = VideoReformatter()
        size: tuple[int, ...] | None = None
        for index, image in enumerate(frames):
            if size is None:
                size = _check(image)
                picture.height, picture.width = size[:2]
            if image.shape != size or image.dtype != np.uint8:
                raise InputError(
                    f"all frames must be uint8 of one size, frame {index} is {image.dtype} "
                    f"{image.shape} and the first is {size}"
                )
            rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame = convert.reformat(rgb, format="yuv420p", threads=1)
            frame.pts, frame.time_base = index, 1 / rate
            file.mux(picture.encode(frame))
            # Sound and picture lie beside each other in the file, so that players need not seek.
            while ahead is not None and ahead[0] <= index / rate:
                file.mux(voice.encode(ahead[1]))
                ahead = next(blocks, None)
        if size is None:
            raise InputError(f"cannot write {part.name!r}: there are no frames")
        while ahead is not None:
            file.mux(voice.encode(ahead[1]))
            ahead = next(blocks, None)
        file.mux(picture.encode())
        file.mux(voice.encode())


def _blocks(
    samples: NDArray[np.float32], sample_rate: int
) -> Iterator[tuple[Fraction, av.AudioFrame]]:
    """Yield the time of each block in seconds, and the block."""
    for start in range(0, len(samples), _BLOCK):
        piece = np.ascontiguousarray(samples[None, start : start + _BLOCK])
        block = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
        block.sample_rate = sample_rate
        block.pts, block.time_base = start, Fraction(1, sample_rate)
        yield Fraction(start, sample_rate), block


def _check(image: NDArray[np.uint8]) -> tuple[int, ...]:
    """Return the size of the first frame, after checking it."""
    shape = np.shape(image)
    if len(shape) != 3 or shape[2] != 3 or image.dtype != np.uint8:
        raise InputError(
            f"frames must be uint8 RGB of shape (H, W, 3), frame 0 is {image.dtype} {shape}"
        )
    if shape[0] % 2 or shape[1] % 2 or 0 in shape:
        raise InputError(
            f"H.264 stores colour at half the size, which must be even, got {shape[1]}×{shape[0]}: "
            "crop or pad the frames by one pixel"
        )
    return shape
