"""Shots that fit a budget, and the summary of a video from the scores of its sampled frames."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from videolit.types import InputError


def knapsack(
    values: NDArray[np.floating], weights: NDArray[np.integer], capacity: int
) -> NDArray[np.bool_]:
    """Choose the items of the largest total value within a capacity, exactly.

    The 0/1 knapsack by dynamic programming over items, in float64 and in the order of the published
    protocol of video summary (PGL-SUM, CSTA): an item is taken only where that is strictly better
    than what the items before it reach, so of equal choices the earlier items win, and items
    without a value above 0 are never taken.

    Args:
        values: float ``(S,)``, finite.
        weights: int ``(S,)``, each at least 1. Their common divisor is divided out, which changes
            nothing but the time, ``O(S capacity)``.
        capacity: The most that the chosen weights may add up to; none fits below 1.

    Returns:
        bool ``(S,)``.

    Raises:
        InputError: If the arguments do not fit each other.
    """
    values, weights = _checked_items(values, weights)
    chosen = np.zeros(len(values), np.bool_)
    room = min(int(capacity), int(weights.sum()))
    if room < 1:
        return chosen
    unit = int(np.gcd.reduce(weights))
    sizes = (weights // unit).tolist()
    room //= unit
    best = np.zeros(room + 1)
    taken = np.zeros((len(values), room + 1), np.bool_)
    for i, size in enumerate(sizes):
        if size > room:
            continue
        with_it = best[: room + 1 - size] + values[i]
        better = np.greater(with_it, best[size:], out=taken[i, size:])
        np.copyto(best[size:], with_it, where=better)
    for i in range(len(values) - 1, -1, -1):
        if taken[i, room]:
            chosen[i] = True
            room -= sizes[i]
    return chosen


def greedy(
    values: NDArray[np.floating], weights: NDArray[np.integer], capacity: int
) -> NDArray[np.bool_]:
    """Choose items by their value per weight, each that still fits.

    Args:
        values: float ``(S,)``, finite.
        weights: int ``(S,)``, each at least 1.
        capacity: The most that the chosen weights may add up to.

    Returns:
        bool ``(S,)``. Of equal ones the earlier comes first; items without a value above 0 are not
        taken.

    Raises:
        InputError: If the arguments do not fit each other.
    """
    values, weights = _checked_items(values, weights)
    chosen = np.zeros(len(values), np.bool_)
    left = int(capacity)
    for i in np.argsort(-(values / weights), kind="stable").tolist():
        if values[i] > 0 and weights[i] <= left:
            chosen[i] = True
            left -= int(weights[i])
    return chosen


def _checked_items(
    values: ArrayLike, weights: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return values and weights as arrays.

    Raises:
        InputError: If they do not fit each other.
    """
    value, weight = np.asarray(values, np.float64), np.asarray(weights)
    if value.ndim != 1 or value.shape != weight.shape:
        raise InputError(f"{value.shape} values need as many weights, got {weight.shape}")
    if len(weight) and not np.issubdtype(weight.dtype, np.integer):
        raise InputError(f"weights must be whole numbers of frames, got {weight.dtype}")
    if (weight < 1).any() or not np.isfinite(value).all():
        raise InputError("values must be finite and weights at least 1")
    return value, weight.astype(np.int64)


def frame_scores(
    scores: NDArray[np.floating], picks: NDArray[np.integer], num_frames: int
) -> NDArray[np.float32]:
    """Give each frame of a video the score of the last sampled frame up to it.

    Frames before the first pick score 0, as do those of picks beyond the scores. In published files
    the picks are 0, 15, 30, …; where the last of them is ``num_frames`` itself it only ends the one
    before, and its score is not used.

    Args:
        scores: float ``(T,)``, finite.
        picks: int ``(P,)``, ascending, P at least T and 1: the frame of each score.
        num_frames: Frames of the video; no pick lies above it.

    Returns:
        float32 ``(num_frames,)``.

    Raises:
        InputError: If the arguments do not fit each other.
    """
    values, frames = np.asarray(scores, np.float32), np.asarray(picks, np.int64)
    if values.ndim != 1 or frames.ndim != 1 or len(frames) < max(len(values), 1):
        raise InputError(
            f"scores {values.shape} need a pick each, at least one, got picks {frames.shape}"
        )
    if not np.isfinite(values).all():
        raise InputError("scores must be finite")
    if (np.diff(frames) <= 0).any() or frames[0] < 0 or frames[-1] > num_frames:
        raise InputError(
            f"picks must ascend from 0 or later to at most {num_frames}, the number of frames, "
            f"got {frames[0]} to {frames[-1]}"
        )
    every = np.zeros(num_frames, np.float32)
    ends = np.append(frames, num_frames)[1:]
    held = (ends - frames)[: len(values)]
    every[frames[0] : frames[0] + held.sum()] = np.repeat(values, held)
    return every


def shot_values(scores: NDArray[np.floating], shots: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the mean score of each shot.

    The mean is taken in the dtype of the scores, shot by shot, as the published protocol does, so
    that shots of equal scores tie in the same way.

    Args:
        scores: float ``(N,)``, one per frame.
        shots: int ``(S, 2)``: first frame and the frame after the last one, within N.

    Returns:
        float64 ``(S,)``.

    Raises:
        InputError: If a shot holds no frame, or one that is not there.
    """
    spans = _checked_shots(shots, len(scores))
    # Sum and division as in ndarray.mean, at half the time. reduceat adds in another order.
    sums = np.array([np.add.reduce(scores[first:stop]) for first, stop in spans.tolist()])
    means: NDArray[np.floating] = sums / (spans[:, 1] - spans[:, 0]).astype(sums.dtype)
    return means.astype(np.float64)


def _checked_shots(shots: ArrayLike, num_frames: int) -> NDArray[np.int64]:
    """Return shots as an array.

    Raises:
        InputError: If a shot holds no frame, or one that is not there.
    """
    spans = np.asarray(shots, np.int64)
    if spans.ndim != 2 or spans.shape[1] != 2 or len(spans) == 0:
        raise InputError(f"shots must be (S, 2), at least one of them, got {spans.shape}")
    wrong = (spans[:, 1] <= spans[:, 0]) | (spans[:, 0] < 0) | (spans[:, 1] > num_frames)
    if wrong.any():
        first, stop = spans[int(np.flatnonzero(wrong)[0])].tolist()
        raise InputError(
            f"shots are first frame and the frame after the last one, within {num_frames} frames; "
            f"got {first} to {stop}"
        )
    return spans


def keyshot_summary(
    scores: NDArray[np.floating],
    picks: NDArray[np.integer],
    num_frames: int,
    shots: NDArray[np.integer],
    *,
    ratio: float = 0.15,
    method: Literal["knapsack", "greedy"] = "knapsack",
    capacity: Literal["last_shot", "num_frames", "rounded"] = "last_shot",
    values: Literal["mean", "int1000"] = "mean",
) -> NDArray[np.bool_]:
    """Choose whole shots of the highest mean score, up to a share of the video.

    The defaults are the protocol of PGL-SUM, CA-SUM and CSTA: frames take the score of the last
    pick (:func:`frame_scores`), a shot's value is the mean of its frames' scores, its weight the
    number of its frames, and a knapsack maximises the sum of the means. The other options are what
    other programs do, for comparison with their numbers.

    Args:
        scores: float ``(T,)``, finite.
        picks: int ``(P,)``, ascending: the frame of each score.
        num_frames: Frames of the video, N.
        shots: int ``(S, 2)``, ascending: first frame and the frame after the last one.
        ratio: Share of the video that the summary may take, in (0, 1].
        method: ``knapsack``, or ``greedy`` by value per frame.
        capacity: Of what the share is taken. ``last_shot``: the frames up to the end of the last
            shot, rounded down. ``num_frames``: all frames, rounded down (vsumm-reinforce, VASNet,
            DSNet). ``rounded``: all frames, rounded to the nearest (A2Summ).
        values: ``mean``, or ``int1000``: the mean times 1000 without its decimals (VASNet, DSNet,
            A2Summ), where flat scores tie. Those programs leave ties to a solver.

    Returns:
        bool ``(num_frames,)``. Without a shot that fits nothing is chosen.

    Raises:
        InputError: If the arguments do not fit each other, or an option is none of these.
    """
    if not 0 < ratio <= 1:
        raise InputError(f"ratio must be above 0 and at most 1, got {ratio:g}")
    for name, option, options in (
        ("method", method, ("knapsack", "greedy")),
        ("capacity", capacity, ("last_shot", "num_frames", "rounded")),
        ("values", values, ("mean", "int1000")),
    ):
        if option not in options:
            raise InputError(f"{name} must be one of {', '.join(options)}, got {option!r}")
    spans = _checked_shots(shots, num_frames)
    value = shot_values(frame_scores(scores, picks, num_frames), spans)
    if values == "int1000":
        value = np.trunc(1000 * value)
    total = int(spans[-1, 1]) if capacity == "last_shot" else num_frames
    budget = round(total * ratio) if capacity == "rounded" else math.floor(total * ratio)
    choose = knapsack if method == "knapsack" else greedy
    chosen = choose(value, spans[:, 1] - spans[:, 0], budget)
    summary = np.zeros(num_frames, np.bool_)
    for first, stop in spans[chosen].tolist():
        summary[first:stop] = True
    return summary
