"""Prepared videos: each frame a JPEG of its own, read without decoding its neighbours.

A prepared video is an ordinary QuickTime file of motion JPEG, which players open. Its own tables
say where each frame lies and when it is shown, so there is no index beside it that could disagree.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from videolit.data.sniff import access_failure
from videolit.data.storage import Content, FileContent
from videolit.types import InputError, VideoError

# Beside the manifest of a prepared set; tells it from any other folder.
MARK = "prepared.json"
# Added to the name of the source, so that two sources never share a prepared file.
SUFFIX = ".mov"
# Raise it whenever files written by an older version must not be read any more.
_FORMAT = 1
# Holds the tables of a clip of 20 s and more, so that one read is enough.
_HEAD = 16384
# A month at 50 frames per second; a damaged table may promise more.
_MOST_FRAMES = 1 << 27
# The "grey" flags carry the scale alone; colours are asked for by the other one.
_DECODING = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_COLOR_RGB,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_COLOR_RGB,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_COLOR_RGB,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedSpec:
    """How the videos of a prepared set are stored.

    Args:
        short_side: Of the frames, in pixels; smaller videos keep their size.
        quality: Of the JPEG files, 1 to 100 as libjpeg has it.
        fps: Most frames per second that are kept; None = all frames.

    Raises:
        InputError: If a number is out of its range.
    """

    short_side: int = 128
    quality: int = 90
    fps: float | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 16 <= self.short_side <= 4096:
            raise InputError(f"short side must be 16 to 4096 pixels, got {self.short_side}")
        if not 1 <= self.quality <= 100:
            raise InputError(f"quality must be 1 to 100, got {self.quality}")
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise InputError(f"fps must be above 0 and at most 1000, got {self.fps}")

    def describe(self) -> str:
        """Return the settings in a few words."""
        rate = "" if self.fps is None else f", at most {self.fps:g} fps"
        return f"short side {self.short_side}, JPEG quality {self.quality}{rate}"

    def to_json(self) -> dict[str, Any]:
        """Return the content of a set's ``prepared.json``."""
        return {"format": _FORMAT, **dataclasses.asdict(self)}


def prepared_spec(root: str | Path) -> PreparedSpec | None:
    """Return how a folder's videos are prepared, None if it is no prepared set.

    Raises:
        InputError: If a newer videolit wrote it, or its mark is damaged.
    """
    mark = Path(root, MARK)
    try:
        content = json.loads(mark.read_bytes())
        version = content.pop("format")
        if version != _FORMAT:
            raise InputError(
                f"{mark} is of format {version}, this videolit reads format {_FORMAT}: update "
                "videolit, or prepare the data again"
            )
        return PreparedSpec(**content)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{mark} is damaged ({error}): remove it and run videolit prepare again"
        ) from error


class PreparedVideo:
    """Reads RGB frames of one prepared video; the counterpart of ``VideoReader``.

    Args:
        path: A file that ``videolit prepare`` wrote.
        content: Its bytes, where they lie in a larger file; closed with this object.

    Attributes:
        path: The file.
        num_frames: Number of frames.
        timestamps: Time of each frame in seconds, float64 ``(N,)``; the first frame is at 0.
        height: Height in pixels.
        width: Width in pixels.
        fps: Average frames per second.

    Raises:
        VideoError: If it is no such file, or damaged.
    """

    def __init__(self, path: str | Path, content: Content | None = None) -> None:
        self.path = str(path)
        self._file = content
        try:
            if self._file is None:
                self._file = FileContent(path)
            tables = _Tables(_movie_box(self._file))
        except OSError as error:
            self.close()
            raise VideoError(self.path, access_failure(self.path, error)) from None
        except (struct.error, ValueError, IndexError, KeyError) as error:
            self.close()
            raise VideoError(
                self.path,
                f"not a file that videolit prepare wrote, or damaged ({error}); run it again",
            ) from None
        self._offsets, self._sizes = tables.offsets, tables.sizes
        self.timestamps = tables.seconds
        self.height, self.width = tables.height, tables.width
        self.num_frames = len(tables.sizes)
        span = float(self.timestamps[-1])
        self.fps = (self.num_frames - 1) / span if span > 0 else 25.0

    def read(self, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the frames at some indices, in the order asked; repeats are allowed.

        Args:
            indices: Integers in ``[0, num_frames)``.

        Returns:
            uint8 ``(T, H, W, 3)`` RGB.

        Raises:
            InputError: If an index lies outside the video.
            VideoError: If a frame cannot be read.
        """
        return np.stack(self.frames(indices))

    def frames(
        self, indices: Sequence[int] | NDArray[np.int64], shrink: int = 1
    ) -> list[NDArray[np.uint8]]:
        """Return frames as :meth:`read` does, one by one, and smaller on request.

        Args:
            indices: Integers in ``[0, num_frames)``.
            shrink: 1, 2, 4 or 8: the JPEG decoder makes only every so many pixels, averaged, and
                does less work.

        Returns:
            ``T`` frames, uint8 ``(ceil(H / shrink), ceil(W / shrink), 3)`` RGB.
        """
        if self._file is None:
            raise RuntimeError(f"{self.path}: this PreparedVideo is closed")
        wanted = np.asarray(indices, dtype=np.int64)
        inside = (wanted >= 0) & (wanted < self.num_frames)
        if not inside.all():
            raise InputError(
                f"{self.path}: frame indices must lie in 0..{self.num_frames - 1}, "
                f"got {wanted[~inside][0]}"
            )
        shape = (-(-self.height // shrink), -(-self.width // shrink), 3)
        places = list(
            zip(self._offsets[wanted].tolist(), self._sizes[wanted].tolist(), strict=True)
        )
        self._file.expect(places)
        images = []
        for index, (offset, size) in enumerate(places):
            content = self._file.read(offset, size)
            image: Any = None
            if len(content) == size:
                image = cv2.imdecode(np.frombuffer(content, np.uint8), _DECODING[shrink])
            if image is None or image.shape != shape:
                raise VideoError(
                    self.path,
                    f"frame {wanted[index]} is damaged; run videolit prepare again to renew the "
                    "file",
                )
            images.append(image)
        return images

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __len__(self) -> int:
        return self.num_frames

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Tables:
    """Where the frames of the video track lie, and when they are shown (ISO/IEC 14496-12)."""

    def __init__(self, movie: bytes) -> None:
        track = next((t for t in _children(movie, b"trak") if _handler(t) == b"vide"), b"")
        media = _child(track, b"mdia")
        header = _child(media, b"mdhd")
        timescale = struct.unpack_from(">I", header, 20 if header[0] == 1 else 12)[0]
        table = _child(_child(media, b"minf"), b"stbl")
        self.height, self.width = _size(_child(table, b"stsd"))
        self.sizes = _sample_sizes(_child(table, b"stsz"))
        self.offsets = _sample_offsets(table, self.sizes)
        counts, deltas = _columns(_child(table, b"stts"), 2)
        if not len(self.sizes) or timescale < 1:
            raise ValueError("its tables disagree")
        ticks = _repeat(deltas, counts, len(self.sizes))
        units = np.concatenate([np.zeros(1, np.int64), np.cumsum(ticks)[:-1]])
        self.seconds: NDArray[np.float64] = units / timescale


def _movie_box(file: Content) -> bytes:
    """Return the content of the box that holds all tables; it follows the first box."""
    head = file.read(0, _HEAD)
    begin = struct.unpack_from(">I", head)[0]
    size, kind = struct.unpack_from(">I4s", head, begin)
    if kind != b"moov":
        raise ValueError("its tables do not come first")
    content = head[begin + 8 : begin + size]
    if len(content) < size - 8:
        content += file.read(begin + 8 + len(content), size - 8 - len(content))
    if len(content) < size - 8:
        raise ValueError("cut short")
    return content


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    offset = 0
    while offset + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, offset)
        if size < 8 or offset + size > len(content):
            raise ValueError("a box without end")
        yield kind, content[offset + 8 : offset + size]
        offset += size


def _children(content: bytes, kind: bytes) -> Iterator[bytes]:
    return (inner for name, inner in _boxes(content) if name == kind)


def _child(content: bytes, kind: bytes) -> bytes:
    for inner in _children(content, kind):
        return inner
    raise ValueError(f"it has no {kind.decode()} box")


def _handler(track: bytes) -> bytes:
    return _child(_child(track, b"mdia"), b"hdlr")[8:12]


def _columns(box: bytes, width: int) -> NDArray[np.int64]:
    """Return the columns of a table of 32-bit numbers, int64 ``(width, N)``."""
    count = struct.unpack_from(">I", box, 4)[0]
    rows = np.frombuffer(box, ">u4", count * width, 8).reshape(count, width)
    return rows.T.astype(np.int64)


def _repeat(values: NDArray[np.int64], counts: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Repeat values; a damaged table must not ask for more memory than there is."""
    if counts.min(initial=0) < 0 or counts.sum() != total:
        raise ValueError("its tables disagree")
    return np.repeat(values, counts)


def _size(description: bytes) -> tuple[int, int]:
    """Return height and width of the one sample description."""
    kind = description[12:16]
    if kind != b"jpeg":
        raise ValueError(f"its video is {kind!r}, not JPEG")
    width, height = struct.unpack_from(">HH", description, 8 + 32)
    return height, width


def _sample_sizes(box: bytes) -> NDArray[np.int64]:
    one, count = struct.unpack_from(">II", box, 4)
    if one:
        if count > _MOST_FRAMES:
            raise ValueError(f"{count} frames")
        return np.full(count, one, np.int64)
    return np.frombuffer(box, ">u4", count, 12).astype(np.int64)


def _sample_offsets(table: bytes, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each frame begins in the file: frames of a chunk follow each other."""
    wide = next(_children(table, b"co64"), None)
    if wide is None:
        chunks = _columns(_child(table, b"stco"), 1)[0]
    else:
        count = struct.unpack_from(">I", wide, 4)[0]
        chunks = np.frombuffer(wide, ">u8", count, 8).astype(np.int64)
    first, per_chunk, _ = _columns(_child(table, b"stsc"), 3)
    repeats = np.diff(np.append(first, len(chunks) + 1))
    counts = _repeat(per_chunk, repeats, len(chunks))
    if counts.sum() != len(sizes):
        raise ValueError("its tables disagree")
    ends = np.cumsum(sizes)
    begins = ends - sizes
    first_of_chunk = np.cumsum(counts) - counts
    offsets: NDArray[np.int64] = np.repeat(chunks - begins[first_of_chunk], counts) + begins
    return offsets
