"""Videos of figures that perform ten named actions, with known ground truth.

Three pairs of actions differ only in the direction of time: ``stand_up`` is ``sit_down`` played
backwards, and every random draw (onset, camera, distractors, sway) is as likely backwards, so the
rendered frames of both have the same distribution and no model without a sense of order can tell
them apart. (In the files each frame also carries traces of its predecessors, as in any inter-coded
video: of the strength of the sensor's noise, so the ceiling is exact for rendered frames and a
close estimate for files.) ``point_left`` and ``point_right`` are mirror images: left and right of
the picture. A stool stands behind the figure in every clip, whatever the action.
"""

from __future__ import annotations

import csv
import functools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from videolit.data.writer import write_video
from videolit.ops.files import atomic_path
from videolit.synth import figures, scenes
from videolit.synth.figures import Body, Style
from videolit.synth.runs import claim, spread
from videolit.types import InputError

Split = Literal["train", "val", "test"]
Interval = tuple[float, float]

ACTIONS = (
    "bow",
    "jump",
    "lower_arms",
    "point_left",
    "point_right",
    "raise_arms",
    "sit_down",
    "stand_up",
    "straighten_up",
    "wave",
)
# The second is the first played backwards.
TIME_PAIRS = (("sit_down", "stand_up"), ("raise_arms", "lower_arms"), ("bow", "straighten_up"))
# The second is the first in a mirror.
MIRROR_PAIRS = (("point_left", "point_right"),)

_REVERSED = {second: first for first, second in TIME_PAIRS}
_MIRRORED = {second: first for first, second in MIRROR_PAIRS}
_RATES = (12, 13, 14, 15)
# Drawn at twice the size and averaged: smooth edges and movements below one pixel.
_SCALE = 2
# Quality of a phone's video at this size; a key frame each second.
ENCODER = {"preset": "veryfast", "subq": "1", "refs": "1", "crf": "23", "g": "15"}
# Increase when equal settings give other files than before.
_VERSION = 1


class Pool(NamedTuple):
    """What a split draws from.

    Attributes:
        performers: Number of bodies; each belongs to one split.
        first: Number of the first one.
        walls: Kinds of background.
        hues: Of clothes, in [0, 1).
        builds: Proportions of bodies, 1 = average.
        seconds: Length of the movement from beginning to end.
    """

    performers: int
    first: int
    walls: tuple[str, ...]
    hues: tuple[Interval, ...]
    builds: tuple[Interval, ...]
    seconds: tuple[Interval, ...]


_SEEN = Pool(
    performers=48,
    first=0,
    walls=("gradient", "clouds", "blobs", "planks"),
    hues=((0.0, 0.1), (0.2, 0.45), (0.55, 0.8), (0.9, 1.0)),
    builds=((0.92, 1.08),),
    seconds=((0.85, 1.35),),
)
POOLS: dict[Split, Pool] = {
    "train": _SEEN,
    # Other performers, the same ranges: models are chosen without a look at what is unseen.
    "val": _SEEN._replace(performers=12, first=100),
    "test": Pool(
        performers=20,
        first=200,
        walls=("tiles", "pictures", "discs"),
        hues=((0.1, 0.2), (0.45, 0.55), (0.8, 0.9)),
        builds=((0.84, 0.92), (1.08, 1.16)),
        seconds=((0.65, 0.85), (1.35, 1.6)),
    ),
}


def single_frame_ceiling(
    classes: Sequence[str] = ACTIONS, pairs: Iterable[tuple[str, str]] = TIME_PAIRS
) -> float:
    """Return the best expected accuracy of a model that does not know the order of frames.

    Such a model sees the same in both members of a pair, so it is right in half of their clips at
    best; classes are taken as equally frequent.

    Args:
        classes: Names of the classes.
        pairs: Classes that differ only in the direction of time.

    Returns:
        Accuracy in [0, 1]: 0.7 for the ten actions.
    """
    both = sum(first in classes and second in classes for first, second in pairs)
    return (len(classes) - both) / len(classes)


def performer_name(split: Split, number: int) -> str:
    """Return the name of a performer, the group of a clip: ``p203``."""
    return f"p{POOLS[split].first + number % POOLS[split].performers:03d}"


def make_body(split: Split, number: int) -> Body:
    """Return a performer of a split; the same one for the same number, whatever the data's seed."""
    pool = POOLS[split]
    number = pool.first + number % pool.performers
    generator = np.random.default_rng(number)
    torso, arm, leg, shoulder, head, girth = (_draw(generator, pool.builds) for _ in range(6))
    clothes = [
        scenes.colour(_draw(generator, pool.hues), *generator.uniform((0.25, 0.3), (0.75, 0.95)))
        for _ in range(3)
    ]
    return Body(
        torso=torso,
        arm=arm,
        leg=leg,
        shoulder=shoulder,
        head=head,
        girth=1 + 1.5 * (girth - 1),
        sleeve=bool(generator.random() < 0.5),
        skin=scenes.SKINS[int(generator.integers(len(scenes.SKINS)))],
        hair=scenes.HAIRS[int(generator.integers(len(scenes.HAIRS)))],
        top=clothes[0],
        trousers=clothes[1],
        shoes=clothes[2],
    )


def render_action(
    action: str,
    *,
    seed: int,
    split: Split = "train",
    size: tuple[int, int] = (128, 96),
    performer: int | None = None,
    noise: bool = True,
    fps: int | None = None,
) -> NDArray[np.uint8]:
    """Return the frames of one clip; equal arguments give equal frames.

    With ``noise=False``, ``stand_up`` is exactly ``sit_down`` of the same seed in reverse, and so
    for all ``TIME_PAIRS``; the ``MIRROR_PAIRS`` are each other's mirror images.

    Args:
        action: One of ``ACTIONS``.
        seed: Of everything that varies between clips.
        split: Whose bodies, backgrounds and speeds to draw from.
        size: Width and height in pixels.
        performer: Number of the performer in the split; None = drawn.
        noise: With the noise of a sensor.
        fps: Frames per second; None = drawn from 12 to 15.

    Returns:
        uint8 ``(T, H, W, 3)`` RGB, 20 to 32 frames.

    Raises:
        InputError: If there is no such action or split, or the size is too small.
    """
    return _render(action, seed, split, size, performer, noise, fps)[0]


def _render(
    action: str,
    seed: int,
    split: Split,
    size: tuple[int, int],
    performer: int | None,
    noise: bool,
    fps: int | None = None,
) -> tuple[NDArray[np.uint8], int]:
    """Return frames and frames per second; see :func:`render_action`."""
    if action not in ACTIONS:
        raise InputError(f"there is no action {action!r}; expected one of {', '.join(ACTIONS)}")
    if split not in POOLS:
        raise InputError(f"there is no split {split!r}; expected one of {', '.join(POOLS)}")
    if min(size) < 32:
        raise InputError(f"size must be at least 32×32 to show a figure, got {size[0]}×{size[1]}")
    scene_seed, noise_seed = np.random.SeedSequence(seed).spawn(2)
    # All draws come before the action is looked at: a clip of another action is the same scene.
    generator = np.random.default_rng(scene_seed)
    pool = POOLS[split]
    drawn, other = (int(n) for n in generator.integers(pool.performers, size=2))
    body = make_body(split, drawn if performer is None else performer)
    style = Style(
        yaw=float(generator.uniform(-0.8, 0.8)),
        amplitude=float(generator.random()),
        side=float(generator.choice([-1.0, 1.0])),
        azimuth=float(generator.uniform(0.0, 0.6)),
        rest=float(generator.uniform(-1, 1)),
        uneven=float(generator.uniform(-1, 1)),
    )
    fps = int(generator.choice(_RATES if fps is None else (fps,) * len(_RATES)))
    times, progress, phase = figures.timing(
        _base(action), generator, fps, _draw(generator, pool.seconds)
    )
    sway = figures.sway(generator, times)
    joints = figures.pose(_base(action), progress, phase, sway, body, style)
    scene = scenes.Scene.make(
        generator,
        (size[0] * _SCALE, size[1] * _SCALE),
        wall=str(generator.choice(pool.walls)),
        body=body,
        style=style,
        bystander=make_body(split, other),
        num_frames=len(times),
    )
    large = scene.render(figures.project(joints, style.yaw), body)
    small = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in large]
    frames = np.stack(small).astype(np.uint8)
    if action in _REVERSED:
        frames = frames[::-1]
    if action in _MIRRORED:
        frames = frames[:, :, ::-1]
    frames = np.ascontiguousarray(frames)
    if noise:
        scenes.add_noise(frames, np.random.default_rng(noise_seed))
    return frames, fps


def _base(action: str) -> str:
    return _REVERSED.get(action, _MIRRORED.get(action, action))


def _draw(generator: np.random.Generator, intervals: Sequence[Interval]) -> float:
    """Draw from a union of intervals, evenly."""
    widths = np.array([high - low for low, high in intervals])
    low, high = intervals[int(generator.choice(len(intervals), p=widths / widths.sum()))]
    return float(generator.uniform(low, high))


class _Job(NamedTuple):
    path: str
    action: str
    split: Split
    performer: int
    seed: int
    size: tuple[int, int]


def write_actions(
    root: str | Path,
    *,
    num_train: int,
    num_val: int,
    num_test: int,
    seed: int = 0,
    size: tuple[int, int] = (128, 96),
    workers: int | None = None,
    progress: bool = False,
) -> Path:
    """Write the data set as H.264 files, ``<split>/<action>/<performer>_<nnn>.mp4``.

    ``manifest.csv`` (path, label, split, group = performer) comes last. The files depend on the
    settings alone, not on the number of workers. An interrupted run goes on where it stopped; a
    complete one returns at once.

    Args:
        root: Folder to write to, empty or of an earlier run with the same settings.
        num_train: Training clips, spread evenly over the actions.
        num_val: Validation clips.
        num_test: Test clips: performers, backgrounds and speeds unseen in training.
        seed: Of all clips.
        size: Width and height in pixels, even.
        workers: Processes; None = one per core. Scripts that use more than one need the usual
            ``if __name__ == "__main__"``.
        progress: Show a progress bar.

    Returns:
        ``root``.

    Raises:
        InputError: If a setting is out of range, or the folder holds something else.
    """
    root = Path(root)
    counts: dict[Split, int] = {"train": num_train, "val": num_val, "test": num_test}
    for split, count in counts.items():
        if count < 0 or 0 < count < len(ACTIONS):
            raise InputError(
                f"num_{split} must be 0 or at least {len(ACTIONS)}, a clip of each, got {count}"
            )
    if min(size) < 32 or size[0] % 2 or size[1] % 2:
        raise InputError(f"size must be even and at least 32×32, got {size[0]}×{size[1]}")
    if seed < 0:
        raise InputError(f"seed must be at least 0, got {seed}")
    if workers is not None and workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    settings = {str(split): count for split, count in counts.items()}
    record = {"version": _VERSION, **settings, "seed": seed, "size": list(size)}
    claim(root, record, "actions")
    jobs = _jobs(counts, seed, size)
    open_jobs = [job for job in jobs if not (root / job.path).exists()]
    if open_jobs:
        spread(
            functools.partial(_write, root),
            open_jobs,
            workers=workers or os.cpu_count() or 1,
            chunk=8,
            progress=progress,
        )
    if open_jobs or not (root / "manifest.csv").exists():
        with (
            atomic_path(root / "manifest.csv") as part,
            part.open("w", newline="", encoding="utf-8") as file,
        ):
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["path", "label", "split", "group"])
            for job in jobs:
                group = performer_name(job.split, job.performer)
                table.writerow([job.path, job.action, job.split, group])
    return root


def _jobs(counts: dict[Split, int], seed: int, size: tuple[int, int]) -> list[_Job]:
    """Return all clips of a data set; performers and actions are spread evenly."""
    jobs = []
    for part, (split, count) in enumerate(counts.items()):
        for number in range(count):
            take, label = divmod(number, len(ACTIONS))
            # Another order of performers for each action, so that small sets use them all.
            performer = (take + label * 5) % POOLS[split].performers
            action = ACTIONS[label]
            path = f"{split}/{action}/{performer_name(split, performer)}_{take:03d}.mp4"
            words = np.random.SeedSequence([seed, part, label, take]).generate_state(2, np.uint64)
            jobs.append(_Job(path, action, split, performer, int(words[0]), size))
    return jobs


def _write(root: Path, job: _Job) -> str:
    frames, fps = _render(job.action, job.seed, job.split, job.size, job.performer, noise=True)
    write_video(root / job.path, frames, fps, options=ENCODER)
    return job.path
