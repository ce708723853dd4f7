"""From the scores of sliding windows to segments of time: pure functions.

1. The score of a class at a moment is the mean of its scores in the windows that cover the moment.
   It is constant between two neighbouring edges of windows.
2. Hysteresis, per class, forwards in time: a segment starts at the first moment whose score reaches
   ``start_at``, and goes on while the score is at least ``stay_at``.
3. Segments of a class that lie at most ``merge_gap`` seconds apart become one, gap included.
4. What is then shorter than ``min_seconds`` is dropped.

Segments of different classes do not know of each other and may overlap.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from videolit.types import InputError

# Sums of times such as 0.1 + 0.2 are not exact.
_ROUNDING = 1e-9


class Segment(NamedTuple):
    """A part of a video in which one class was found.

    Attributes:
        start: Seconds.
        end: Seconds, above ``start``.
        label: Position of the class in the columns of the scores.
        probability: Mean score from start to end, over time.
        peak: Highest score of a moment in it.
    """

    start: float
    end: float
    label: int
    probability: float
    peak: float


def moment_scores(
    start: NDArray[np.float64], end: NDArray[np.float64], scores: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average the scores of the windows that cover each moment.

    A window covers the moments from its start, included, to its end, excluded.

    Args:
        start: float ``(N,)`` seconds, ascending.
        end: float ``(N,)`` seconds, ascending, each above its start.
        scores: float ``(N, K)``.

    Returns:
        The edges of the windows, float64 ``(M + 1,)`` seconds, ascending without repeats, and the
        scores between each two of them, float64 ``(M, K)``; NaN where no window covers.
    """
    bounds = np.unique(np.concatenate([start, end]))
    # The same edge from two sums, as 3 * 0.1 and 0.1 + 0.2, is one.
    edges = bounds[np.concatenate([[True], np.diff(bounds) > _ROUNDING])]
    # Both bounds ascend, so the windows that cover a moment are neighbours.
    middle = (edges[:-1] + edges[1:]) / 2
    begin = np.searchsorted(end, middle, side="right")
    stop = np.searchsorted(start, middle, side="right")
    exact = np.asarray(scores, np.float64)
    values = np.full((len(middle), exact.shape[1]), np.nan)
    for row, (a, b) in enumerate(zip(begin.tolist(), stop.tolist(), strict=True)):
        if b > a:
            values[row] = exact[a:b].mean(0)
    return edges, values


def find_segments(
    edges: NDArray[np.float64],
    values: NDArray[np.float64],
    *,
    start_at: float = 0.5,
    stay_at: float = 0.4,
    min_seconds: float = 0.0,
    merge_gap: float = 0.0,
) -> list[Segment]:
    """Cut score curves into segments, as the head of this module defines.

    Args:
        edges: float64 ``(M + 1,)`` seconds, ascending.
        values: float64 ``(M, K)`` in [0, 1], the scores between neighbouring edges; NaN, where
            nothing is known, ends a segment.
        start_at: Score at which a segment starts, in (0, 1].
        stay_at: Score down to which it goes on, in (0, ``start_at``].
        min_seconds: Shortest segment that is kept.
        merge_gap: Longest gap between two segments of a class that is bridged.

    Returns:
        The segments of all classes, by start, then end, then label.

    Raises:
        InputError: If a threshold is out of its range.
    """
    check_thresholds(start_at, stay_at, min_seconds, merge_gap)
    found = []
    for label in range(values.shape[1]):
        curve = values[:, label]
        for a, b in _merged(_hysteresis(curve, start_at, stay_at), edges, merge_gap):
            first, last = float(edges[a]), float(edges[b])
            if last - first < min_seconds - _ROUNDING:
                continue
            known = ~np.isnan(curve[a:b])
            inside = curve[a:b][known]
            mean = float(np.average(inside, weights=np.diff(edges[a : b + 1])[known]))
            found.append(Segment(first, last, label, mean, float(inside.max())))
    return sorted(found, key=lambda segment: segment[:3])


def _hysteresis(curve: NDArray[np.float64], start_at: float, stay_at: float) -> list[list[int]]:
    """Return [begin, end) of each run that starts at one threshold and stays at another."""
    runs: list[list[int]] = []
    inside = False
    for place, score in enumerate(curve.tolist()):
        if not inside and score >= start_at:
            runs.append([place, place])
            inside = True
        # A NaN is not at least anything.
        inside = inside and score >= stay_at
        if inside:
            runs[-1][1] = place + 1
    return runs


def _merged(runs: list[list[int]], edges: NDArray[np.float64], merge_gap: float) -> list[list[int]]:
    """Join neighbouring runs whose gap is short."""
    joined: list[list[int]] = []
    for run in runs:
        if joined and edges[run[0]] - edges[joined[-1][1]] <= merge_gap + _ROUNDING:
            joined[-1][1] = run[1]
        else:
            joined.append(run)
    return joined


def check_thresholds(
    start_at: float, stay_at: float, min_seconds: float = 0.0, merge_gap: float = 0.0
) -> None:
    """Refuse settings of :func:`find_segments` that cannot be meant.

    Raises:
        InputError: If one is out of its range.
    """
    if not 0 < start_at <= 1:
        raise InputError(f"--start-at is a probability above 0 and at most 1, got {start_at:g}")
    if not 0 < stay_at <= start_at:
        raise InputError(
            f"--stay-at must be above 0 and at most --start-at ({start_at:g}), got {stay_at:g}"
        )
    for name, seconds in (("min-seconds", min_seconds), ("merge-gap", merge_gap)):
        if not (np.isfinite(seconds) and seconds >= 0):
            raise InputError(f"--{name} must be at least 0 seconds, got {seconds:g}")


def temporal_iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over union of each two segments of time.

    Args:
        a: float ``(N, 2)``, start and end in seconds.
        b: float ``(M, 2)``.

    Returns:
        float64 ``(N, M)`` in [0, 1]; 0 for two segments without length.
    """
    shared = np.minimum(a[:, None, 1], b[None, :, 1]) - np.maximum(a[:, None, 0], b[None, :, 0])
    shared = np.maximum(shared, 0.0)
    union = np.diff(a, axis=1) + np.diff(b, axis=1).T - shared
    overlap: NDArray[np.float64] = shared / np.where(union > 0, union, 1.0)
    return overlap
