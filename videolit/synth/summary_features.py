"""Features of videos that were never made, with the importance of the planted rule.

For quick tests of models on stored features: the same shots, rule and annotators as the videos of
:mod:`videolit.synth.summaries`, but each step's feature vector is drawn directly.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from videolit.ops.files import atomic_path
from videolit.synth import importance
from videolit.synth.importance import BELL_SECONDS, EVENTS, Shot
from videolit.types import InputError

FRAME_RATE = 30
# A feature of every 15th frame, as in the published files (Zhang et al. 2016, section 4.1).
STEP = 15
_BUDGET = 0.15


def write_feature_set(
    path: str | Path,
    *,
    num_train: int,
    num_val: int,
    num_test: int,
    seed: int,
    num_steps: tuple[int, int] = (120, 240),
    num_features: int = 32,
    num_users: int = 8,
    noise: float = 0.5,
) -> Path:
    """Write features and annotations as HDF5 in the schema of the published summary sets.

    Groups ``video_1``, ``video_2``, … hold ``features`` float32 ``(T, D)``, ``picks`` (frames 0,
    15, 30, …), ``n_steps``, ``n_frames``, ``fps`` (30), ``change_points`` int ``(S, 2)`` whose last
    frame is inclusive, ``n_frame_per_seg``, ``user_scores`` float32 ``(U, T)`` in [0, 1],
    ``user_summary`` uint8 ``(U, n_frames)``, ``gtscore`` float32 ``(T,)`` (the annotators' mean,
    stretched to [0, 1]), ``importance`` float32 ``(T,)`` without noise, and ``video_name``.
    ``<stem>_splits.json`` beside it lists the groups of each split: ``[{"train_keys": [...],
    "val_keys": [...], "test_keys": [...]}]``.

    A feature is the sum of a vector of the event, one of the place (equal in replays), one of the
    bell while it rings, one times how near the camera is (-1 to 1), and noise. The splits draw
    other places and noise; the vectors of events and of the bell are those of the set.

    Args:
        path: File to write, ``.h5``.
        num_train: Videos of the training split.
        num_val: Videos of the validation split.
        num_test: Videos of the test split.
        seed: Of everything; equal settings give equal values.
        num_steps: Least and most steps ``T``, two per second.
        num_features: Length ``D`` of a feature.
        num_users: Annotators ``U``.
        noise: Its standard deviation, where the vectors' elements have 1.

    Returns:
        ``path``.

    Raises:
        InputError: If a setting is out of range.
    """
    target = Path(path)
    counts = {"train": num_train, "val": num_val, "test": num_test}
    if target.suffix not in (".h5", ".hdf5"):
        raise InputError(f"give a file that ends in .h5, got {str(path)!r}")
    if min(counts.values()) < 0 or sum(counts.values()) < 1:
        raise InputError(f"give at least one video and no fewer than 0 of a split, got {counts}")
    if not 20 <= num_steps[0] <= num_steps[1]:
        raise InputError(f"num_steps must be (least, most), from 20 steps on, got {num_steps}")
    if num_features < 1 or num_users < 1 or noise < 0:
        raise InputError(
            "num_features and num_users must be at least 1 and noise at least 0, got "
            f"{num_features}, {num_users} and {noise}"
        )
    base = np.random.default_rng([seed, 0]).standard_normal((len(EVENTS) + 2, num_features))
    keys: dict[str, list[str]] = {f"{split}_keys": [] for split in counts}
    with atomic_path(target) as part, h5py.File(part, "w") as file:
        number = 0
        for place, (split, count) in enumerate(counts.items()):
            for index in range(count):
                number += 1
                generator = np.random.default_rng([seed, 1 + place, index])
                steps = int(generator.integers(num_steps[0], num_steps[1] + 1))
                group = file.create_group(f"video_{number}")
                keys[f"{split}_keys"].append(f"video_{number}")
                group["video_name"] = f"{split}/{index:03d}"
                _fill(group, generator, base, steps, num_users, noise)
    with atomic_path(target.with_name(f"{target.stem}_splits.json")) as part:
        part.write_text(json.dumps([keys], indent=1) + "\n", encoding="utf-8")
    return target


def _fill(
    group: h5py.Group,
    generator: np.random.Generator,
    base: NDArray[np.float64],
    steps: int,
    num_users: int,
    noise: float,
) -> None:
    """Write all of one video but its name."""
    num_frames = steps * STEP
    picks = np.arange(steps) * STEP
    shots = importance.plan_shots(generator, num_frames, FRAME_RATE)
    true = importance.frame_importance(shots, FRAME_RATE)
    pieces = importance.simulate_annotators(generator, true, FRAME_RATE, num_users)
    scores = importance.at_frames(pieces, picks, FRAME_RATE)
    mean = scores.mean(axis=0)
    bounds = np.array([(shot.start, shot.stop - 1) for shot in shots])
    whole = importance.at_frames(pieces, np.arange(num_frames), FRAME_RATE)
    group["features"] = _features(generator, shots, picks, base, noise).astype(np.float32)
    group["picks"] = picks
    group["n_steps"] = steps
    group["n_frames"] = num_frames
    group["fps"] = float(FRAME_RATE)
    group["change_points"] = bounds
    group["n_frame_per_seg"] = bounds[:, 1] - bounds[:, 0] + 1
    group["user_scores"] = scores.astype(np.float32)
    group["user_summary"] = np.stack([_selected(user, bounds) for user in whole])
    spread = max(float(np.ptp(mean)), 1e-9)
    group["gtscore"] = ((mean - mean.min()) / spread).astype(np.float32)
    group["importance"] = true[picks].astype(np.float32)


def _features(
    generator: np.random.Generator,
    shots: Sequence[Shot],
    picks: NDArray[np.int64],
    base: NDArray[np.float64],
    noise: float,
) -> NDArray[np.float64]:
    """Return the feature of each step, ``(T, D)``."""
    *events, bell, near = base
    vectors = dict(zip(EVENTS, events, strict=True))
    features = noise * generator.standard_normal((len(picks), base.shape[1]))
    places: list[NDArray[np.float64]] = []
    for shot in shots:
        place = np.asarray(0.5 * generator.standard_normal(base.shape[1]))
        places.append(place if shot.replay_of is None else places[shot.replay_of])
        inside = (picks >= shot.start) & (picks < shot.stop)
        nearness = 2 * (picks[inside] - shot.start) / (shot.stop - shot.start) - 1
        features[inside] += vectors[shot.event] + places[-1]
        features[inside] += np.outer(nearness if shot.nearer else -nearness, near)
        if shot.bell is not None:
            rings = (picks >= shot.bell) & (picks < shot.bell + BELL_SECONDS * FRAME_RATE)
            features[rings] += bell
    return features


def _selected(scores: NDArray[np.float64], bounds: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the shots of an annotator's best mean scores that fit the budget, ``(n_frames,)``."""
    room = _BUDGET * len(scores)
    chosen = np.zeros(len(scores), np.uint8)
    values = [float(scores[first : last + 1].mean()) for first, last in bounds]
    for number in np.argsort(values)[::-1]:
        first, last = bounds[number]
        if last + 1 - first <= room:
            chosen[first : last + 1] = 1
            room -= last + 1 - first
    return chosen
