"""Generated long videos with cuts, sound, planted importance and simulated annotators."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from videolit.data.sound_writer import write_video_with_sound
from videolit.ops.files import atomic_path
from videolit.synth import importance, places, soundtrack
from videolit.synth.actions import ENCODER, Split
from videolit.synth.importance import BELL_SECONDS, PIECE, Shot
from videolit.synth.runs import claim, spread
from videolit.synth.soundtrack import SAMPLE_RATE
from videolit.types import InputError

FRAME_RATE = 15
# Increase when equal settings give other files than before.
_VERSION = 1


class Plan(NamedTuple):
    """A video before it is drawn.

    Attributes:
        path: Its file, relative to the folder of the set.
        split: Whose bodies, patterns and hues it shows.
        seed: Of its pictures and sound.
        shots: What it shows.
        importance: Of each frame, without noise, ``(T,)`` in [0, 1].
        scores: What annotators say of each piece of two seconds, ``(U, P)``.
    """

    path: str
    split: Split
    seed: int
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
    progress: bool = False,
) -> Path:
    """Write long videos (H.264 with AAC sound, 15 frames per second) and what is said of them.

    The rule of importance is that of :mod:`videolit.synth.importance`. Half of the repeats replay
    a place with the same people from another camera; the others show another place of the kind.
    The bell is seen and heard; sound is louder the nearer the camera is, so it tells what the
    picture tells. The test split has unseen bodies, patterns, hues and noise.

    ``scores.json`` says for each video ``{"train/000.mp4": {"users": {"u0": [[start, end, score],
    …], …}}}``, in seconds from the first frame and scores 0, 0.25, 0.5, 0.75, 1 for pieces of two
    seconds. ``truth.json`` says the shots (``start`` and ``end`` in seconds, ``event``, ``first``,
    ``nearer``, ``bell`` in seconds or null, ``replay_of`` a number of a shot or null) and the
    noiseless ``importance`` as ``[[start, end, value], …]``. Both come last. The files depend on
    the settings alone, not on the number of workers. An interrupted run goes on where it stopped;
    a complete one returns at once.

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
        progress: Show a progress bar.

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
    record = {
        "version": _VERSION,
        **{str(split): count for split, count in counts.items()},
        "seed": seed,
        "seconds": list(seconds),
        "num_users": num_users,
        "size": list(size),
    }
    claim(root, record, "videos to summarise")
    plans = plan_set(counts, seed=seed, seconds=seconds, num_users=num_users)
    missing = [plan for plan in plans if not (root / plan.path).exists()]
    spread(
        functools.partial(_write, root, size), missing, workers=workers, chunk=1, progress=progress
    )
    for name, told in (("truth.json", _truth), ("scores.json", _scores)):
        if missing or not (root / name).exists():
            text = json.dumps({plan.path: told(plan) for plan in plans}, indent=1)
            with atomic_path(root / name) as part:
                part.write_text(text + "\n", encoding="utf-8")
    return root


def plan_set(
    counts: Mapping[Split, int],
    *,
    seed: int = 0,
    seconds: tuple[float, float] = (60.0, 120.0),
    num_users: int = 8,
) -> list[Plan]:
    """Return what the videos of a set show and what is said of them, without drawing them.

    Args:
        counts: Videos of each split.
        seed: As in :func:`write_summary_set`, and so for the other settings.
        seconds: Least and most seconds of a video.
        num_users: Annotators.
    """
    plans = []
    for split, count in counts.items():
        place = ("train", "val", "test").index(split)
        for number in range(count):
            words = np.random.SeedSequence([seed, place, number]).generate_state(2, np.uint64)
            generator = np.random.default_rng(int(words[0]))
            num_frames = round(generator.uniform(*seconds) * FRAME_RATE)
            shots = importance.plan_shots(generator, num_frames, FRAME_RATE)
            true = importance.frame_importance(shots, FRAME_RATE)
            said = importance.simulate_annotators(generator, true, FRAME_RATE, num_users)
            path = f"{split}/{number:03d}.mp4"
            plans.append(Plan(path, split, int(words[1]), shots, true, said))
    return plans


def _write(root: Path, size: tuple[int, int], plan: Plan) -> str:
    seeds = np.random.SeedSequence(plan.seed).generate_state(2 * len(plan.shots), np.uint64)
    place_seeds = [int(word) for word in seeds[::2]]
    view_seeds = [int(word) for word in seeds[1::2]]
    for number, shot in enumerate(plan.shots):
        if shot.replay_of is not None:
            place_seeds[number] = place_seeds[shot.replay_of]
    ring = round(BELL_SECONDS * FRAME_RATE)

    def frames() -> Iterator[NDArray[np.uint8]]:
        for shot, place_seed, view_seed in zip(plan.shots, place_seeds, view_seeds, strict=True):
            bell = None if shot.bell is None else shot.bell - shot.start
            yield from places.render_shot(
                shot.event,
                place_seed=place_seed,
                view_seed=view_seed,
                split=plan.split,
                size=size,
                num_frames=shot.stop - shot.start,
                fps=FRAME_RATE,
                nearer=shot.nearer,
                bell=None if bell is None else (bell, bell + ring),
            )

    sound = _sound(plan.shots, view_seeds)
    write_video_with_sound(
        root / plan.path, frames(), FRAME_RATE, sound, SAMPLE_RATE, options=ENCODER
    )
    return plan.path


def _sound(shots: Sequence[Shot], seeds: Sequence[int]) -> NDArray[np.float32]:
    """Return the sound of a video, float32 ``(N,)`` in [-1, 1]."""
    at = [round(shot.start * SAMPLE_RATE / FRAME_RATE) for shot in shots]
    at.append(round(shots[-1].stop * SAMPLE_RATE / FRAME_RATE))
    pieces = [
        soundtrack.shot_sound(
            shot.event,
            seed=seed,
            num_samples=stop - start,
            nearness=(0.0, 1.0) if shot.nearer else (1.0, 0.0),
        )
        for shot, seed, start, stop in zip(shots, seeds, at[:-1], at[1:], strict=True)
    ]
    sound = np.concatenate(pieces)
    bell = soundtrack.bell_sound(round(BELL_SECONDS * SAMPLE_RATE))
    for shot in shots:
        if shot.bell is not None:
            start = round(shot.bell * SAMPLE_RATE / FRAME_RATE)
            sound[start : start + len(bell)] += bell
    return sound


def _scores(plan: Plan) -> dict[str, object]:
    end = len(plan.importance) / FRAME_RATE
    users = {
        f"u{user}": [
            [PIECE * piece, round(min(PIECE * (piece + 1), end), 6), score]
            for piece, score in enumerate(scores.tolist())
        ]
        for user, scores in enumerate(plan.scores)
    }
    return {"users": users}


def _truth(plan: Plan) -> dict[str, object]:
    edges = np.flatnonzero(np.diff(plan.importance, prepend=-1.0, append=-1.0))
    return {
        "shots": [
            {
                "start": _seconds(shot.start),
                "end": _seconds(shot.stop),
                "event": shot.event,
                "first": shot.first,
                "nearer": shot.nearer,
                "bell": None if shot.bell is None else _seconds(shot.bell),
                "replay_of": shot.replay_of,
            }
            for shot in plan.shots
        ],
        "importance": [
            [_seconds(start), _seconds(stop), round(float(plan.importance[start]), 4)]
            for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        ],
    }


def _seconds(frame: int) -> float:
    return round(frame / FRAME_RATE, 6)
