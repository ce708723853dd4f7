"""Generated long videos with cuts, sound, planted importance and simulated annotators."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from videolit.data.sound_writer import write_video_with_sound
from videolit.ops.files import atomic_path
from videolit.synth import importance, places, soundtrack
from videolit.synth.actions import ENCODER, Split
from videolit.synth.importance import BELL_SECONDS, PIECE, Shot
from videolit.synth.soundtrack import SAMPLE_RATE
from videolit.types import InputError

FRAME_RATE = 15
# Increase when equal settings give other files than before.
_VERSION = 1


class Summarised(NamedTuple):
    """A planned video.

    Attributes:
        shots: What it shows.
        importance: Of each frame, without noise, ``(T,)`` in [0, 1].
        scores: What annotators say of each piece of two seconds, ``(U, P)``.
    """

    shots: list[Shot]
    importance: NDArray[np.float64]
    scores: NDArray[np.float64]


def write_summary_set(
    folder: str | Path,
    *,
    num_train: int,
    num_val: int,
    num_test: int,
    seed: int = 0,
    seconds: tuple[float, float] = (60.0, 120.0),
    num_users: int = 8,
    size: tuple[int, int] = (96, 72),
    workers: int = 1,
) -> Path:
    """Write long videos (H.264 with AAC sound, 15 frames per second) and what is said of them.

    The rule of importance is that of :mod:`videolit.synth.importance`. Half of the repeats replay
    a place with the same people from another camera; the others show another place of the kind.
    The bell is seen and heard; sound is louder the nearer the camera is, so it tells what the
    picture tells. The test split has unseen bodies, patterns, hues and noise.

    ``scores.json`` says for each video ``{"train/000.mp4": {"users": {"u0": [[start, end, score],
    …], …}}}``, in seconds from the first frame and scores 0, 0.25, 0.5, 0.75, 1 for pieces of two
    seconds; ``truth.json`` says the shots (``start`` and ``end`` in seconds, ``event``, ``first``,
    ``nearer``, ``bell`` in seconds or null, ``replay_of``) and the noiseless ``importance`` of
    each piece. Both come last. The files depend on the settings alone, not on the number of
    workers. An interrupted run goes on where it stopped; a complete one returns at once.

    Args:
        folder: Folder to write to, new, empty or of an earlier run with the same settings.
        num_train: Training videos.
        num_val: Validation videos.
        num_test: Test videos.
        seed: Of everything.
        seconds: Least and most seconds of a video, at least 10.
        num_users: Annotators.
        size: Width and height in pixels, even.
        workers: Processes. Scripts that use more than one need the usual
            ``if __name__ == "__main__"``.

    Returns:
        ``folder``.

    Raises:
        InputError: If a setting is out of range, or the folder holds something else.
    """
    root = Path(folder)
    counts: dict[Split, int] = {"train": num_train, "val": num_val, "test": num_test}
    if min(counts.values()) < 0 or sum(counts.values()) < 1:
        raise InputError(f"give at least one video and no fewer than 0 of a split, got {counts}")
    if seed < 0 or num_users < 1 or workers < 1:
        raise InputError(
            "seed must be at least 0, num_users and workers at least 1, got "
            f"{seed}, {num_users} and {workers}"
        )
    if not 10 <= seconds[0] <= seconds[1]:
        raise InputError(f"seconds must be (least, most), at least 10, got {seconds}")
    if min(size) < 32 or size[0] % 2 or size[1] % 2:
        raise InputError(f"size must be even and at least 32×32, got {size[0]}×{size[1]}")
