"""The verified record of a video file, and where it is kept."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Decoder = Literal["auto", "pyav", "pyav_seek", "decord", "torchcodec"]
DECODERS: tuple[Decoder, ...] = get_args(Decoder)

# What ``auto`` takes for files of these containers, when it is verified. Jumping is measured to go
# wrong in most others.
AUTO_DECODER = "pyav_seek"
AUTO_CONTAINERS = ("mp4", "mov", "mkv", "webm")

# Raise it whenever records written by an older version must not be used any more.
_FORMAT = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoIndex:
    """What one pass over all frames of a file found.

    Attributes:
        container: As :func:`videolit.data.sniff.sniff` names it.
        codec: FFmpeg's name of the codec, as ``h264``.
        pix_fmt: FFmpeg's name of the pixel format, as ``yuv420p``.
        height: Height in pixels, after rotation.
        width: Width in pixels, after rotation.
        rotation: Counter-clockwise turn in degrees that shows a decoded frame upright: 0, 90,
            180 or 270.
        fps: Average frames per second.
        audio: Whether there is sound beside the video.
        edit_list: Whether the container cuts away some of the coded frames.
        time_base: Seconds per unit of ``pts``, as a fraction (numerator, denominator).
        pts: Time of each frame in units of ``time_base``; not decreasing.
        own_times: Whether these are the times of the file, and not even ones in the place of
            missing or disordered ones.
        key_frames: Indices of the frames that decode without another one.
        verdicts: For each decoder that was compared with the truth, ``""`` if it gave the same
            frames, else why it is not trusted with this file.
    """

    container: str
    codec: str
    pix_fmt: str
    height: int
    width: int
    rotation: int
    fps: float
    audio: bool
    edit_list: bool
    time_base: tuple[int, int]
    pts: tuple[int, ...]
    own_times: bool
    key_frames: tuple[int, ...]
    verdicts: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def num_frames(self) -> int:
        """Number of frames that decode."""
        return len(self.pts)

    @property
    def timestamps(self) -> NDArray[np.float64]:
        """Time of each frame in seconds, float64 ``(N,)``; the first frame is at 0."""
        pts = np.asarray(self.pts, dtype=np.float64)
        seconds: NDArray[np.float64] = (pts - pts[0]) * self.time_base[0] / self.time_base[1]
        return seconds

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> VideoIndex:
        """Build the record from :meth:`to_json`'s output, also after a trip through JSON."""
        numerator, denominator = record["time_base"]
        return cls(
            **{
                **record,
                "time_base": (numerator, denominator),
                "pts": tuple(record["pts"]),
                "key_frames": tuple(record["key_frames"]),
            }
        )


class IndexCache:
    """Remembers what was found out about files, refusals too.

    An entry belongs to one absolute path, size and modification time, and to the versions of the
    decoders: when one of them changes the file is checked again.

    Args:
        folder: Where entries are stored; None keeps them in memory only.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = None if folder is None else Path(folder).expanduser().absolute()
        self._memory: dict[str, VideoIndex | str] = {}
        self._warned = False

    def get(self, path: str, stat: os.stat_result) -> VideoIndex | str | None:
        """Return a file's record, the reason why it was refused, or None if it is unknown."""
        key = _key(path, stat)
        if self.folder is None or key in self._memory:
            return self._memory.get(key)
        try:
            entry = json.loads(self._file(key).read_bytes())
            if entry["key"] != key:
                return None
            refused = entry.get("refused")
            return str(refused) if refused is not None else VideoIndex.from_json(entry["index"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, path: str, stat: os.stat_result, found: VideoIndex | str) -> None:
        """Store a file's record, or the reason why it was refused.

        A folder that cannot be written is warned of once; entries then stay in memory.
        """
        key = _key(path, stat)
        if self.folder is None:
            self._memory[key] = found
            return
        entry: dict[str, Any] = {"key": key, "path": path}
        entry |= {"refused": found} if isinstance(found, str) else {"index": found.to_json()}
        try:
            _write(self._file(key), json.dumps(entry).encode("ascii"))
        except OSError as error:
            self._memory[key] = found
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"cannot write the index cache {self.folder} ({error.strerror}): files are "
                    "checked again in each process; set VIDEOLIT_CACHE to a folder that can be "
                    "written",
                    stacklevel=2,
                )

    def _file(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / key[:2] / f"{key}.json"


def cache_folder(part: str = "") -> str:
    """Return ``$VIDEOLIT_CACHE``, by default ``~/.cache/videolit``, or a folder in it."""
    folder = os.environ.get("VIDEOLIT_CACHE") or "~/.cache/videolit"
    return os.path.join(os.path.expanduser(folder), part)  # noqa: PTH111, PTH118 - as it is given


def shared_cache() -> IndexCache:
    """Return the cache in :func:`cache_folder`."""
    return _cache_in(cache_folder())


@functools.lru_cache(maxsize=8)
def _cache_in(folder: str) -> IndexCache:
    return IndexCache(folder)


@functools.lru_cache(maxsize=8)
def installed_version(package: str) -> str:
    """Return a package's version, ``""`` if it is not installed."""
    if importlib.util.find_spec(package) is None:
        return ""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _key(path: str, stat: os.stat_result) -> str:
    versions = [installed_version(package) for package in ("av", "decord", "torchcodec")]
    parts = [str(_FORMAT), *versions, str(stat.st_size), str(stat.st_mtime_ns), path]
    return hashlib.sha256(os.fsencode("\n".join(parts))).hexdigest()


def _write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
