"""One video to one prepared video: the work of a child process of ``videolit prepare``.

The frames come from the same pass that verifies a file, so what is stored is the truth that the
raw data would be read by, and what is refused is what training would refuse.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import heapq
import math
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, cast

import av
import cv2
import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import Stream
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from videolit.data.child import Answer, limit_memory, memory_limit, serve
from videolit.data.decoders import one_line, quarter_turns
from videolit.data.examine import examine
from videolit.data.index import VideoIndex
from videolit.data.prepared import PreparedSpec
from videolit.data.sniff import DEMUXERS, sniff
from videolit.ops.files import atomic_path
from videolit.types import VideoError

# Sound that a QuickTime file holds as it is; any other becomes ALAC, which loses nothing.
_COPIED_SOUND = ("aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le")
# The file's time unit is at most this long, as FFmpeg has it too.
_LEAST_TIMESCALE = 10_000
_MEMORY_SPOOL = 64 << 20
# No fault of the video.
_FATAL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


def convert(source: str, target: Path, spec: PreparedSpec) -> dict[str, Any]:
    """Write one prepared video, which appears under its name only when it is complete.

    Args:
        source: Absolute path of the video.
        target: File to write.
        spec: Size, quality and rate.

    Returns:
        What was written, as JSON types: ``frames``, ``seconds``, ``height``, ``width``, ``bytes``,
        ``sha256`` of the file, and what became of the ``audio``.

    Raises:
        VideoError: If the video cannot be read.
        OSError: If the file cannot be written.
    """
    container = sniff(source)
    with tempfile.SpooledTemporaryFile(_MEMORY_SPOOL) as spool:
        frames = _Frames(cast(IO[bytes], spool), spec)
        index = examine(source, container, compare=False, each=frames.add).index
        kept = _kept(index, spec.fps)
        with atomic_path(target) as part:
            sound = _write(part, frames, index, kept, source, container)
            digest = hashlib.sha256()
            with part.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
            size = part.stat().st_size
    return {
        "frames": len(kept),
        "seconds": float(index.timestamps[-1]) + 1 / max(index.fps, 1e-6),
        "height": frames.height,
        "width": frames.width,
        "bytes": size,
        "sha256": digest.hexdigest(),
        "audio": sound,
    }


# When it is due, in seconds, and the packet.
_TimedPacket = tuple[float, "av.Packet[Any]"]


class _Frames:
    """The frames of a video as JPEG files, one behind the other in a temporary file.

    Args:
        spool: The temporary file.
        spec: Size and quality.
    """

    def __init__(self, spool: IO[bytes], spec: PreparedSpec) -> None:
        self.spool = spool
        self.spec = spec
        self.height = self.width = 0
        self.ends = [0]
        # Kept, as a new one costs the set-up of the conversion for each frame.
        self._reformatter = VideoReformatter()

    def add(self, frame: av.VideoFrame) -> None:
        """Scale and compress a decoded frame."""
        scale = min(1.0, self.spec.short_side / min(frame.height, frame.width))
        # Scaled on the way to RGB: two passes over the full size would cost twice as much.
        small = self._reformatter.reformat(
            frame,
            width=max(1, round(frame.width * scale)),
            height=max(1, round(frame.height * scale)),
            format="bgr24",
            interpolation="AREA",
            threads=1,
        )
        image = cast(NDArray[np.uint8], small.to_ndarray())
        turns = quarter_turns(frame)
        if turns:
            image = np.ascontiguousarray(np.rot90(image, turns))
        self.height, self.width = image.shape[:2]
        _, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self.spec.quality])
        self.spool.write(content.data)
        self.ends.append(self.ends[-1] + len(content))

    def get(self, index: int) -> bytes:
        """Return a frame's JPEG."""
        self.spool.seek(self.ends[index])
        return self.spool.read(self.ends[index + 1] - self.ends[index])


def _kept(index: VideoIndex, fps: float | None) -> list[int]:
    """Return the frames on screen at each multiple of ``1 / fps``; all of them without a rate."""
    times = index.timestamps
    if fps is None or index.num_frames == 1:
        return list(range(index.num_frames))
    # The last frame is shown for a while, too.
    end = times[-1] + 1 / index.fps
    asked = np.arange(max(1, math.ceil(end * fps - 1e-6))) / fps
    # A frame that begins at that very time is on screen then, whatever the rounding.
    on_screen = np.searchsorted(times, asked + 1e-6, side="right") - 1
    return [int(i) for i in np.unique(on_screen)]


def _write(
    part: Path,
    frames: _Frames,
    index: VideoIndex,
    kept: list[int],
    source: str,
    container: str,
) -> str:
    """Write the file and say what became of the sound: ``""`` where there is none."""
    if not index.audio:
        _mux(part, frames, index, kept, None, None)
        return ""
    failed = ""
    for copied in (True, False):
        try:
            with _open_sound(source, container) as (file, stream):
                if not copied or stream.codec_context.name in _COPIED_SOUND:
                    _mux(part, frames, index, kept, (file, stream), copied)
                    return "copied" if copied else "alac"
        except (av.FFmpegError, ValueError, MemoryError) as error:
            if isinstance(error, OSError) and error.errno in _FATAL:
                raise
            failed = one_line(error)
    # Broken sound does not make a video unfit for tasks that only look at it.
    _mux(part, frames, index, kept, None, None)
    return f"lost: {failed}"


@contextlib.contextmanager
def _open_sound(source: str, container: str) -> Iterator[tuple[InputContainer, AudioStream]]:
    options = {"format_whitelist": DEMUXERS[container], "protocol_whitelist": "file"}
    with av.open(source, metadata_errors="replace", options=options) as file:
        stream = file.streams.audio[0]
        if stream.codec_context is None:
            raise ValueError("its sound codec is unknown or not supported")
        yield file, stream


def _mux(
    part: Path,
    frames: _Frames,
    index: VideoIndex,
    kept: list[int],
    sound: tuple[InputContainer, AudioStream] | None,
    copied: bool | None,
) -> None:
    numerator, denominator = index.time_base
    finer = -(-_LEAST_TIMESCALE // denominator)
    timescale = denominator * finer
    options = {
        # The tables first: a reader then needs the head of the file only.
        "movflags": "+faststart",
        "video_track_timescale": str(timescale),
        "fflags": "+bitexact",
    }
    with av.open(str(part), "w", format="mov", options=options) as file:
        unit = Fraction(1, timescale)
        stream = file.add_mux_stream(
            "mjpeg",
            rate=Fraction(index.fps).limit_denominator(1001),
            width=frames.width,
            height=frames.height,
            time_base=unit,
        )
        ticks = _increasing([index.pts[i] * numerator * finer for i in kept])
        pictures = _picture_packets(frames, kept, ticks, unit, stream)
        if sound is None:
            for _, packet in pictures:
                file.mux(packet)
            return
        sounds = (_copied_packets if copied else _encoded_packets)(file, *sound)
        for _, packet in heapq.merge(pictures, sounds, key=lambda item: item[0]):
            file.mux(packet)


def _increasing(ticks: list[int]) -> list[int]:
    """Move frames that share a time with the one before by one unit: a file cannot hold them."""
    for i in range(1, len(ticks)):
        ticks[i] = max(ticks[i], ticks[i - 1] + 1)
    return ticks


def _picture_packets(
    frames: _Frames, kept: list[int], ticks: list[int], unit: Fraction, stream: Stream
) -> Iterator[_TimedPacket]:
    durations = np.diff(ticks).tolist()
    # The last one is shown as long as the one before; a single one for as long as one of 25 fps.
    durations.append(durations[-1] if durations else round(1 / unit / 25))
    for index, tick, duration in zip(kept, ticks, durations, strict=True):
        packet = av.Packet(frames.get(index))
        packet.stream = stream
        packet.time_base = unit
        packet.pts = packet.dts = tick
        packet.duration = duration
        packet.is_keyframe = True
        yield float(tick * unit), packet


def _copied_packets(
    file: OutputContainer, source: InputContainer, stream: AudioStream
) -> Iterator[_TimedPacket]:
    out = file.add_stream_from_template(stream)
    # Names and titles of the source are nobody's business here, and need not be UTF-8.
    out.metadata.clear()
    time = 0.0
    for packet in source.demux(stream):
        if packet.dts is None or packet.size == 0:
            continue
        time = max(time, float(packet.dts * packet.time_base))
        packet.stream = out
        yield time, packet


def _encoded_packets(
    file: OutputContainer, source: InputContainer, stream: AudioStream
) -> Iterator[_TimedPacket]:
    rate = stream.codec_context.sample_rate
    out = file.add_stream("alac", rate=rate)
    out.codec_context.layout = stream.codec_context.layout
    out.codec_context.format = "s16p"
    resampler = AudioResampler(format="s16p", layout=out.codec_context.layout, rate=rate)
    fifo = av.AudioFifo()
    position = 0

    def packets(last: bool) -> Iterator[_TimedPacket]:
        nonlocal position
        size = out.codec_context.frame_size or 4096
        while fifo.samples >= (1 if last else size):
            frame = fifo.read(min(size, fifo.samples))
            assert frame is not None
            frame.pts, frame.time_base = position, Fraction(1, rate)
            position += frame.samples
            for packet in out.encode(frame):
                yield position / rate, packet

    for decoded in source.decode(stream):
        if position == fifo.samples == 0 and decoded.time is not None:
            position = round(decoded.time * rate)
        for piece in resampler.resample(decoded):
            # The queue counts samples itself.
            piece.pts = None
            fifo.write(piece)
        yield from packets(last=False)
    yield from packets(last=True)
    for packet in out.encode(None):
        yield position / rate, packet


def file_hash(path: str | Path, begin: int = 0, size: int | None = None) -> str:
    """Return the SHA-256 of a file or a part of it, in hexadecimal digits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        file.seek(begin)
        left = Path(path).stat().st_size - begin if size is None else size
        while left > 0 and (piece := file.read(min(left, 1 << 20))):
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest()


def main() -> None:
    """Be the child."""
    memory_bytes = memory_limit()
    av.logging.set_level(av.logging.ERROR)
    cv2.setNumThreads(1)

    def handle(request: dict[str, Any], answer: Answer) -> None:
        limit_memory(memory_bytes)
        source = request["source"]
        try:
            digest = file_hash(source)
            if digest == request["known"]:
                answer({"unchanged": digest})
                return
            written = convert(source, Path(request["target"]), PreparedSpec(**request["spec"]))
            answer({"written": {"source_sha256": digest, **written}})
        except VideoError as error:
            answer({"refused": error.reason})
        except MemoryError:
            answer({"refused": "needs more memory than a conversion may use"})
        except Exception as error:
            fatal = isinstance(error, OSError) and error.errno in _FATAL
            why = (
                one_line(error)
                if isinstance(error, OSError)
                else f"{type(error).__name__}: {error}"
            )
            answer({"fatal" if fatal else "refused": f"cannot be prepared: {why}"[:250]})

    serve(handle)


if __name__ == "__main__":
    main()
