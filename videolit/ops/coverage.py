"""Which moments of a video stand for the rest of it: facility location, without any training.

A set of moments is as good as the video is covered by it: each part of the video counts by its
similarity to the moment that is most like it (facility location; for summaries, Lin and Bilmes
2011). The greedy choice is within 1 - 1/e of the best set (Nemhauser et al. 1978). Likeness fades
with distance in time, so that what comes back much later counts once more (the idea of TAC-SUM).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from videolit.types import InputError

Floats = NDArray[np.float32]

# The video is covered in at most so many parts, by at most so many moments: cost and memory are
# linear in its length, and a picture of a day in 512 parts is fine enough to rank moments by.
MOST_PARTS = 512
MOST_CHOSEN = 64
# Likeness at so many times its range is below 0.001, and counts as none.
_FADED = 8
_BLOCK, _BATCH = 1024, 256


def likeness(
    features: Floats,
    times: NDArray[np.float64],
    others: Floats,
    moments: NDArray[np.float64],
    context: float,
) -> Floats:
    """Return how alike moments of a video are, float32 ``(T, M)`` in [0, 1].

    Args:
        features: float ``(T, D)``.
        times: Seconds, ``(T,)``.
        others: float ``(M, D)``.
        moments: Seconds, ``(M,)``.
        context: Seconds over which half of the likeness fades to ``1/e`` of it.
    """
    looks, other_looks = unit(features), unit(others)
    alike = np.empty((len(features), len(others)), np.float32)
    for rows in _blocks(len(features)):
        cosine = np.clip(looks[rows] @ other_looks.T, 0, 1)
        apart = np.abs(times[rows, None] - moments[None]).astype(np.float32)
        alike[rows] = cosine**2 * (0.5 + 0.5 * np.exp(-apart / np.float32(context)))
    return alike


def coverage_scores(
    features: Floats, times: NDArray[np.float64], *, context: float = 60.0, near: float = 5.0
) -> Floats:
    """Return how much of the video each moment stands for, what was covered before not counted.

    Moments are chosen greedily. A moment's score is the largest, over those chosen, of the chosen
    one's gain times their likeness, which ends ``near`` seconds away; relative to the first gain.
    So it is 1 for the moment that covers most, and low for what another one stands for already.
    Deterministic; time and memory are linear in T.

    Args:
        features: float ``(T, D)``, finite, T at least 1.
        times: Seconds, float64 ``(T,)``, increasing.
        context: Seconds over which half of the likeness fades, for what a moment covers.
        near: Seconds over which the moments around a chosen one share its gain.

    Returns:
        float32 ``(T,)`` in [0, 1].

    Raises:
        InputError: If shapes do not fit, values are not finite, or seconds are not above 0.
    """
    features = _checked(features, times)
    if not (context > 0 and near > 0):
        raise InputError(f"context and near must be above 0 s, got {context} and {near}")
    means, moments, sizes = _parts(features, times)
    alike = likeness(features, times, means, moments, context)
    weights = (sizes / len(features)).astype(np.float32)
    covered = np.zeros(len(means), np.float32)
    scores = np.zeros(len(features), np.float32)
    looks = unit(features)
    gains = np.concatenate([alike[rows] @ weights for rows in _blocks(len(features))])
    first = float(gains.max())
    for _ in range(min(MOST_CHOSEN, len(features))):
        best = _largest_gain(gains, alike, covered, weights)
        gain = float(gains[best])
        # Less than a hundredth of the first: the rest is repetition.
        if gain <= 0.01 * first:
            break
        low, high = np.searchsorted(times, times[best] + np.array([-_FADED, _FADED]) * near)
        around = np.exp(-np.abs(times[low:high] - times[best]) / near).astype(np.float32)
        alike_to = np.clip(looks[low:high] @ looks[best], 0, 1) ** 2 * around
        share = np.float32(gain / first)
        scores[low:high] = np.maximum(scores[low:high], share * alike_to)
        covered = np.maximum(covered, alike[best])
    return scores


def _largest_gain(gains: Floats, alike: Floats, covered: Floats, weights: Floats) -> int:
    """Return the first moment of the largest gain, and bring gains up to date as far as needed.

    What is covered only grows, so a gain computed before is a bound of what it is now (Minoux
    1978): only moments whose bound is above the best found are computed anew.
    """
    fresh = np.zeros(len(gains), bool)
    while True:
        stale = np.where(fresh, -1.0, gains)
        top = np.argpartition(stale, -_BATCH)[-_BATCH:] if len(gains) > _BATCH else slice(None)
        gains[top] = np.maximum(alike[top] - covered, 0) @ weights
        fresh[top] = True
        best = float(gains[fresh].max())
        if fresh.all() or float(gains[~fresh].max()) < best:
            return int(np.flatnonzero(fresh & (gains == best))[0])


def _blocks(rows: int) -> list[slice]:
    """Return rows in blocks that a processor's cache holds."""
    return [slice(start, start + _BLOCK) for start in range(0, rows, _BLOCK)]


def novelty_scores(features: Floats, times: NDArray[np.float64], *, gap: float = 4.0) -> Floats:
    """Return how little each moment resembles all that was shown before.

    1 minus the largest cosine with the parts of the video that ended ``gap`` seconds before; what
    is nearer belongs to the same scene. Time and memory are linear in T.

    Args:
        features: float ``(T, D)``, finite, T at least 1.
        times: Seconds, float64 ``(T,)``, increasing.
        gap: Seconds.

    Returns:
        float32 ``(T,)`` in [0, 1]; 1 where nothing was shown before.

    Raises:
        InputError: If shapes do not fit or values are not finite.
    """
    features = _checked(features, times)
    means, _, sizes = _parts(features, times)
    ends = np.asarray(times)[np.cumsum(sizes) - 1]
    looks, shown = unit(features), unit(means)
    novelty = np.empty(len(features), np.float32)
    for rows in _blocks(len(features)):
        cosine = np.clip(looks[rows] @ shown.T, 0, 1)
        before = ends[None] <= np.asarray(times)[rows, None] - gap
        novelty[rows] = 1 - np.where(before, cosine, 0).max(1)
    return novelty


def _checked(features: Floats, times: NDArray[np.float64]) -> Floats:
    features = np.asarray(features, np.float32)
    if features.ndim != 2 or len(features) != len(times) or len(features) < 1:
        raise InputError(
            f"expected features (T, D) and T times, T at least 1, got {features.shape} and "
            f"{np.shape(times)}"
        )
    if not np.isfinite(features).all():
        raise InputError("features must be finite: some are NaN or infinite")
    return features


def _parts(
    features: Floats, times: NDArray[np.float64]
) -> tuple[Floats, NDArray[np.float64], NDArray[np.int64]]:
    """Return mean feature ``(M, D)``, mean time and number of steps of parts of equal length."""
    steps = len(features)
    edges = np.linspace(0, steps, min(steps, MOST_PARTS) + 1).round().astype(np.int64)
    sizes = np.diff(edges)
    sums = np.add.reduceat(features, edges[:-1], axis=0)
    means = (sums / sizes[:, None]).astype(np.float32)
    return means, np.add.reduceat(times, edges[:-1]) / sizes, sizes


def ranks(values: NDArray[np.floating]) -> Floats:
    """Return the share of values below each one, ties shared, float32 ``(T,)`` in [0, 1]."""
    order = np.sort(values)
    low = np.searchsorted(order, values, side="left")
    high = np.searchsorted(order, values, side="right")
    return ((low + high) / (2 * len(values))).astype(np.float32)


def unit(features: NDArray[np.floating]) -> Floats:
    """Return features of length 1; those of length 0 stay as they are."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return (features / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def importance(
    features: Floats,
    times: NDArray[np.float64],
    *,
    motion: Floats | None = None,
    loudness: Floats | None = None,
    context: float = 60.0,
) -> Floats:
    """Return how much each moment matters, by what needs no training.

    The mean of up to four ranks: how much the moment stands for (:func:`coverage_scores`), how new
    it is (:func:`novelty_scores`), how much moves in it, and how loud it is. A signal that does not
    change tells nothing and is left out.

    Args:
        features: float ``(T, D)``.
        times: Seconds, float64 ``(T,)``, increasing.
        motion: float ``(T,)``; None = unknown.
        loudness: float ``(T,)``; None = no sound.
        context: As for :func:`coverage_scores`.

    Returns:
        float32 ``(T,)`` in [0, 1].

    Raises:
        InputError: As :func:`coverage_scores`.
    """
    signals = [coverage_scores(features, times, context=context), novelty_scores(features, times)]
    signals += [signal for signal in (motion, loudness) if signal is not None]
    parts = [ranks(signal) for signal in signals if float(np.ptp(signal)) > 0]
    if not parts:
        return np.full(len(times), 0.5, np.float32)
    mixed: Floats = np.stack(parts).mean(axis=0).astype(np.float32)
    return mixed
