"""Every file of a data set looked at once: whether it can be read, what it is, what it shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from videolit.data.child import Child, ChildEnded
from videolit.data.duplicates import SIDE
from videolit.data.glance import sample_indices, unpack_pictures, unpack_thumbnail
from videolit.data.index import Decoder, VideoIndex
from videolit.data.pool import ChildPool
from videolit.data.sniff import access_failure, sniff
from videolit.data.verify import Verifier, choose_decoder, verified_index, why_ended
from videolit.types import VideoError

_SECONDS_PER_BYTE = 5e-6


def _no_pictures() -> NDArray[np.uint8]:
    return np.empty((0, SIDE, SIDE), np.uint8)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Checked:
    """What was found out about one file; of a file that cannot be read only path and reason.

    Attributes:
        path: The file, absolute.
        reason: Why it cannot be read; empty when it can.
        decoder: The decoder that will read it; ``""`` = not decided by a fast check.
        seconds: Its length.
        fps: Average frames per second.
        frames: Number of frames; by a fast check what the header promises.
        width: In pixels, after rotation.
        height: In pixels, after rotation.
        codec: FFmpeg's name of it.
        pix_fmt: FFmpeg's name of the pixel format.
        rotation: Counter-clockwise turn in degrees that shows a frame upright.
        audio: Whether there is sound.
        sha256: Of the file's bytes, in hexadecimal digits.
        pictures: uint8 ``(N, 16, 16)`` grey, see :mod:`videolit.data.duplicates`.
        thumbnail: uint8 ``(H, W, 3)`` RGB, a frame of the middle; None = not asked for.
    """

    path: str
    reason: str = ""
    decoder: str = ""
    seconds: float = 0.0
    fps: float = 0.0
    frames: int = 0
    width: int = 0
    height: int = 0
    codec: str = ""
    pix_fmt: str = ""
    rotation: int = 0
    audio: bool = False
    sha256: str = ""
    pictures: NDArray[np.uint8] = dataclasses.field(default_factory=_no_pictures)
    thumbnail: NDArray[np.uint8] | None = None


def check_files(
    paths: Sequence[str],
    *,
    decoder: Decoder = "auto",
    workers: int = 1,
    fast: bool = False,
    pictured: frozenset[str] = frozenset(),
    time_limit: float = 60.0,
) -> Iterator[Checked]:
    """Check files in parallel; full checks are remembered for training.

    Args:
        paths: Absolute paths.
        decoder: What training will use.
        workers: Threads, each with child processes of its own.
        fast: Decode first, middle and last frame only, and remember nothing.
        pictured: Paths of which a thumbnail is wanted.
        time_limit: Seconds that a small file may take; large ones get more.

    Yields:
        One result per file, in input order.
    """
    survey = _Survey(workers, decoder, fast, pictured, time_limit)
    early: dict[int, Checked] = {}
    waited_for = 0
    with survey.pool as pool:
        for place, checked in pool.run(survey.check, enumerate(paths)):
            early[place] = checked
            while waited_for in early:
                yield early.pop(waited_for)
                waited_for += 1


class _Survey:
    """What is done with each file."""

    def __init__(
        self,
        workers: int,
        decoder: Decoder,
        fast: bool,
        pictured: frozenset[str],
        time_limit: float,
    ) -> None:
        self._decoder = decoder
        self._fast = fast
        self._pictured = pictured
        self._limit = time_limit
        self.pool = ChildPool(workers, lambda: (Child("videolit.data.glance"), Verifier()))

    def check(self, job: tuple[int, str]) -> tuple[int, Checked]:
        """Check one file, in a thread of the pool."""
        place, path = job
        try:
            return place, self._look(path) if self._fast else self._verify(path)
        except VideoError as problem:
            return place, Checked(path=path, reason=problem.reason)

    def _verify(self, path: str) -> Checked:
        index = verified_index(
            path, self._decoder, time_limit=self._limit, verifier=self.pool.children[1]
        )
        wanted = index.num_frames // 2 if path in self._pictured else None
        reply = self._ask(
            path, index.container, fast=False, indices=sample_indices(index), thumbnail=wanted
        )
        return Checked(
            path=path,
            decoder=choose_decoder(index) if self._decoder == "auto" else self._decoder,
            **_described(index),
            sha256=reply["sha256"],
            pictures=unpack_pictures(reply["pictures"]),
            thumbnail=unpack_thumbnail(reply["thumbnail"]),
        )

    def _look(self, path: str) -> Checked:
        wanted = 0 if path in self._pictured else None
        reply = self._ask(path, sniff(path), fast=True, thumbnail=wanted)
        return Checked(
            path=path,
            **reply["record"],
            sha256=reply["sha256"],
            pictures=unpack_pictures(reply["pictures"]),
            thumbnail=unpack_thumbnail(reply["thumbnail"]),
        )

    def _ask(self, path: str, container: str, **request: Any) -> dict[str, Any]:  # noqa: ANN401
        try:
            limit = self._limit + Path(path).stat().st_size * _SECONDS_PER_BYTE
        except OSError as error:
            raise VideoError(path, access_failure(path, error)) from None
        request = {"path": path, "container": container, **request}
        try:
            reply = self.pool.ask(self.pool.children[0], request, limit)
        except ChildEnded as end:
            raise VideoError(path, why_ended(end, limit)) from None
        if reply is None:
            killed = "the process that checks it was killed twice; is there enough memory?"
            raise VideoError(path, killed)
        if "refused" in reply:
            raise VideoError(path, reply["refused"])
        return reply


def _described(index: VideoIndex) -> dict[str, Any]:
    return {
        "seconds": float(index.timestamps[-1]) + 1 / max(index.fps, 1e-6),
        "fps": index.fps,
        "frames": index.num_frames,
        "width": index.width,
        "height": index.height,
        "codec": index.codec,
        "pix_fmt": index.pix_fmt,
        "rotation": index.rotation,
        "audio": index.audio,
    }
