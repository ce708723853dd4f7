"""The child's work on one file: the pass over all its frames, and a fast decoder's comparison.

It may hang or abort, as decoders do, so only child processes call it: those of
:mod:`videolit.data.verify` and :mod:`videolit.data.convert`.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from videolit.data.decoders import FrameSource, InOrderFrames, one_line, open_frames, quarter_turns
from videolit.data.index import VideoIndex
from videolit.data.sniff import Layout, read_layout
from videolit.types import VideoError

_MAX_KEY_FRAMES = 32
_NUM_RANDOM = 16
_GRID = 128
# Another build of a codec and another colour conversion differ by less than 1 (measured on 10-bit
# video, of 255); the next frame of a video that moves differs by more.
_MAX_ERROR = 2.0
_BATCH_BYTES = 64 << 20

Grid = NDArray[np.int16]


@dataclasses.dataclass
class Truth:
    """What a fast decoder is compared with.

    Attributes:
        index: The record of the pass.
        keys: Key frames around which frames are compared.
        random: Other frames that are compared.
        grids: Frames thinned to about 128 × 128 pixels, by index.
        error: The first error that the decoder reported and went on from, ``""`` if none.
    """

    index: VideoIndex
    keys: list[int]
    random: list[int]
    grids: dict[int, Grid]
    error: str = ""

    @property
    def tested(self) -> list[int]:
        """All frames that are compared, in order."""
        count = self.index.num_frames
        near = {key + step for key in self.keys for step in (-1, 0, 1)}
        return sorted(i for i in near | {*self.random, count - 1} if 0 <= i < count)


@dataclasses.dataclass
class _Packets:
    """The file before decoding.

    Attributes:
        total: Packets in the file.
        shown: Those that the edit list does not cut.
        keys: Key frames among these.
        broken: The last packet is incomplete.
        promised: Packets that the header promises, 0 where it does not.
        exact: The promise is a count, not computed from the duration.
    """

    total: int = 0
    shown: int = 0
    keys: int = 0
    broken: bool = False
    promised: int = 0
    exact: bool = True


def examine(
    path: str,
    container: str,
    *,
    compare: bool = True,
    each: Callable[[av.VideoFrame], None] | None = None,
) -> Truth:
    """Decode every frame of a file in order.

    Args:
        path: Absolute path of a sniffed file.
        container: What it was sniffed as.
        compare: Keep the frames that :func:`judge` needs.
        each: Called with every frame, in order.

    Raises:
        VideoError: If the file is cut short, damaged, encrypted, has no video, or changes its
            size on the way.
    """
    layout = read_layout(path, container)
    try:
        packets = _demux(path, container, layout)
        # FFmpeg conceals damage that is not too bad and only logs it.
        with av.logging.Capture() as messages:
            truth = _decode(path, container, packets, compare, each)
        errors = [text for level, _, text in messages if level <= av.logging.ERROR]
        return dataclasses.replace(truth, error=" ".join(errors[0].split()) if errors else "")
    except MemoryError:
        raise VideoError(path, "needs more memory than a check may use") from None
    except av.FFmpegError as error:
        if _looks_encrypted(path):
            raise VideoError(path, "encrypted: its frames cannot be decoded") from None
        if layout.cut:
            raise VideoError(path, "cut short: none of its frames can be decoded") from None
        raise VideoError(path, f"cannot be decoded: {one_line(error)}") from None


def _demux(path: str, container: str, layout: Layout) -> _Packets:
    found = _Packets()
    with InOrderFrames(path, container) as source:
        stream = source.stream
        if container in ("mp4", "mov") and not layout.fragmented:
            found.promised = len(stream.index_entries)
        elif layout.cut and stream.frames:
            found.promised, found.exact = stream.frames, False
        elif layout.cut and stream.average_rate and source.file.duration:
            found.promised = int(source.file.duration / av.time_base * stream.average_rate)
            found.exact = False
        for packet in source.file.demux(stream):
            if packet.size == 0:
                continue
            found.total += 1
            found.broken = packet.is_corrupt
            found.shown += not packet.is_discard
            found.keys += packet.is_keyframe and not packet.is_discard
    return found


def _decode(
    path: str,
    container: str,
    packets: _Packets,
    compare: bool,
    each: Callable[[av.VideoFrame], None] | None,
) -> Truth:
    chosen = set(np.linspace(0, packets.keys - 1, min(packets.keys, _MAX_KEY_FRAMES)).astype(int))
    # Seeded, so that two checks of a file agree.
    random = np.random.default_rng(0).integers(0, max(packets.shown, 1), _NUM_RANDOM)
    kept = {int(i) + step for i in random for step in (-1, 0, 1)}
    grids: dict[int, Grid] = {}
    times: list[int | None] = []
    key_frames: list[int] = []
    keys: list[int] = []
    recent: collections.deque[tuple[int, av.VideoFrame]] = collections.deque(maxlen=3)
    first: av.VideoFrame | None = None
    with InOrderFrames(path, container) as source:
        try:
            for index, frame in enumerate(source.decode()):
                first = frame if first is None else first
                _check_same_size(path, index, first, frame)
                times.append(frame.pts)
                if each is not None:
                    each(frame)
                if compare:
                    recent.append((index, frame))
                if frame.key_frame:
                    if compare and len(key_frames) in chosen:
                        keys.append(index)
                        kept.update((index, index + 1, index + 2))
                        _keep(source, recent, grids)
                    key_frames.append(index)
                if compare and index in kept:
                    _keep(source, [(index, frame)], grids)
        except MemoryError:
            # PyAV's kind of it is an FFmpegError too.
            raise
        except av.FFmpegError as error:
            _check_complete(path, len(times), packets)
            if not times:
                raise
            raise VideoError(
                path,
                f"damaged at frame {len(times)} of about {packets.shown}: {one_line(error)}",
            ) from None
        _check_complete(path, len(times), packets)
        if first is None:
            raise VideoError(path, "no frame can be decoded")
        _keep(source, recent, grids)
        stream = source.stream
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        base = stream.time_base or first.time_base or Fraction(1, 90_000)
        turned = quarter_turns(first) % 2 == 1
        pts = _clean_times(times, float(rate * base))
        record = VideoIndex(
            container=container,
            codec=str(stream.codec_context.name),
            pix_fmt=first.format.name,
            height=first.width if turned else first.height,
            width=first.height if turned else first.width,
            rotation=90 * quarter_turns(first),
            fps=float(rate),
            audio=bool(source.file.streams.audio),
            edit_list=packets.shown < packets.total,
            time_base=(base.numerator, base.denominator),
            pts=pts,
            own_times=list(pts) == times,
            key_frames=tuple(key_frames),
        )
    span = float(record.timestamps[-1])
    if span > 0:
        record = dataclasses.replace(record, fps=(record.num_frames - 1) / span)
    return Truth(record, keys, sorted({int(i) for i in random if i < record.num_frames}), grids)


def _check_same_size(path: str, index: int, first: av.VideoFrame, frame: av.VideoFrame) -> None:
    if (frame.width, frame.height) != (first.width, first.height):
        raise VideoError(
            path,
            f"size changes from {first.width}×{first.height} to {frame.width}×{frame.height} "
            f"at frame {index}",
        )
    if frame.rotation != first.rotation:
        raise VideoError(
            path, f"rotation changes from {first.rotation} to {frame.rotation} at frame {index}"
        )


def _check_complete(path: str, decoded: int, packets: _Packets) -> None:
    least = packets.promised if packets.exact else int(0.98 * packets.promised)
    if decoded and (packets.total < least or (packets.broken and decoded < packets.promised)):
        raise VideoError(
            path,
            f"cut short or damaged: only {decoded} of about {packets.promised} frames can be "
            "decoded",
        )


def _clean_times(times: list[int | None], frames_per_unit: float) -> tuple[int, ...]:
    """Return the times, or evenly spaced ones where the container gave none or disordered ones."""
    known = [time for time in times if time is not None]
    if len(known) == len(times) and all(a <= b for a, b in itertools.pairwise(known)):
        return tuple(known)
    return tuple(round(i / frames_per_unit) for i in range(len(times)))


def _keep(
    source: InOrderFrames, frames: Iterable[tuple[int, av.VideoFrame]], grids: dict[int, Grid]
) -> None:
    for index, frame in frames:
        if index not in grids:
            grids[index] = _thin(source.rgb(frame))


def _thin(image: NDArray[np.uint8]) -> Grid:
    rows, columns = (math.ceil(side / _GRID) for side in image.shape[:2])
    return image[rows // 2 :: rows, columns // 2 :: columns].astype(np.int16)


def _looks_encrypted(path: str) -> bool:
    with Path(path).open("rb") as file:
        head = file.read(4096)
    # Matroska's ContentEncryption element; consulted only after decoding failed.
    return head.startswith(b"\x1aE\xdf\xa3") and b"\x50\x35" in head


def judge(decoder: str, path: str, truth: Truth) -> str:
    """Compare a fast decoder with the truth, in the ways in which the reader uses it.

    Returns:
        ``""`` if it gave the same frames, else why it is not trusted with the file, in one line.
    """
    index = truth.index
    count = index.num_frames
    if truth.error:
        # How damage is concealed depends on the version, and shows in single frames only.
        return f"{decoder} conceals this file's damage in its own way ({truth.error[:80]})"
    last = truth.random[-1:] if truth.random else [count - 1]
    # Decoders seek only when a key frame lies between two frames asked, and go wrong in different
    # ways in each case: reading on across a key frame, jumping to one, to the frame after it,
    # over several, and back.
    readings = [
        [truth.tested, truth.keys],
        [truth.random or [0], [min(key + 1, count - 1) for key in truth.keys], last, [0]],
    ]
    wrong: set[int] = set()
    try:
        for reading in readings:
            source = open_frames(decoder, path, index)
            try:
                if len(source) != count:
                    return f"{decoder} counts {len(source)} frames, the file holds {count}"
                for indices in reading:
                    # The same decoder and conversion give the same pixels.
                    most = 0.0 if decoder == "pyav_seek" else _MAX_ERROR
                    problem = _compare(source, sorted(set(indices)), truth, wrong, most)
                    if problem:
                        return f"{decoder} {problem}"
            finally:
                source.close()
    except Exception as error:
        why = error.reason if isinstance(error, VideoError) else one_line(error)
        return f"{decoder} cannot read this file: {why}"
    if wrong:
        return f"{decoder} reads other frames than the file holds, first at frame {min(wrong)}"
    return ""


def _compare(
    source: FrameSource, indices: list[int], truth: Truth, wrong: set[int], most: float
) -> str:
    shape = (truth.index.height, truth.index.width, 3)
    step = max(1, _BATCH_BYTES // math.prod(shape))
    for start in range(0, len(indices), step):
        part = indices[start : start + step]
        frames = source.read(np.array(part, dtype=np.int64))
        if frames.shape != (len(part), *shape):
            return f"gives frames of shape {frames.shape[1:]}, expected {shape}"
        wrong.update(
            i for i, frame in zip(part, frames, strict=True) if _differs(i, frame, truth, most)
        )
    return ""


def _differs(index: int, frame: NDArray[np.uint8], truth: Truth, most: float) -> bool:
    seen = _thin(frame)
    error = float(np.abs(seen - truth.grids[index]).mean())
    neighbours = (truth.grids.get(index + step) for step in (-1, 1))
    return error > most or any(
        near is not None and float(np.abs(seen - near).mean()) < error for near in neighbours
    )
