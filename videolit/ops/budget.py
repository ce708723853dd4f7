"""Which parts of a video fit into a summary: shots, a budget, what must or must not be in it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from videolit.ops.coverage import unit
from videolit.ops.select import knapsack
from videolit.types import InputError

Floats = NDArray[np.float64]
Ranges = Sequence[tuple[float, float]]
Rank = Literal["knapsack", "greedy"]

# Lengths are counted in hundredths of a second, or coarser where a budget has more than so many.
_UNIT = 0.01
_MOST_UNITS = 50_000
# Shorter pieces than a frame of 120 per second are no pieces.
_LEAST = 1 / 120


def check_ranges(ranges: Ranges, name: str, duration: float) -> list[tuple[float, float]]:
    """Return ranges in order, joined where they overlap and cut to the video.

    Args:
        ranges: Start and end of each in seconds.
        name: What they are, for errors.
        duration: Seconds of the video.

    Raises:
        InputError: If one does not end after it starts, or lies outside of the video.
    """
    joined: list[tuple[float, float]] = []
    for start, end in sorted((float(a), float(b)) for a, b in ranges):
        if not (0 <= start < end and np.isfinite(end)) or start >= duration:
            raise InputError(
                f"{name} must be seconds start-end within the video (0 to {duration:.2f}), got "
                f"{start:g}-{end:g}"
            )
        end = min(end, duration)
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def carve(
    shots: Floats, keep: Ranges = (), drop: Ranges = ()
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
    """Cut shots at the ends of ranges that must, or must not, be in the summary.

    Args:
        shots: float ``(S, 2)``, start and end in seconds.
        keep: What must be in it; it wins over ``drop``.
        drop: What must not.

    Returns:
        Pieces ``(P, 2)`` in seconds, without what is dropped; which must be in it, bool ``(P,)``;
        and the shot of each, int64 ``(P,)``.
    """
    edges = np.array([time for part in (*keep, *drop) for time in part])
    pieces, forced, owner = [], [], []
    for number, (start, end) in enumerate(shots.tolist()):
        inside = np.unique(edges[(edges > start + _LEAST) & (edges < end - _LEAST)]).tolist()
        bounds = [start, *inside, end]
        for first, last in itertools.pairwise(bounds):
            middle = (first + last) / 2
            kept = any(a <= middle < b for a, b in keep)
            if kept or not any(a <= middle < b for a, b in drop):
                pieces.append((first, last))
                forced.append(kept)
                owner.append(number)
    return np.array(pieces).reshape(-1, 2), np.array(forced, bool), np.array(owner, np.int64)


def split_to_fit(pieces: Floats, budget: float) -> Floats:
    """Cut pieces evenly where none of them is as short as the budget.

    Args:
        pieces: float ``(P, 2)`` in seconds.
        budget: Seconds, above 0.

    Returns:
        Pieces ``(Q, 2)``, of which one at least fits; the same where one did.
    """
    lengths = pieces[:, 1] - pieces[:, 0]
    if len(pieces) == 0 or lengths.min() <= budget + 1e-9:
        return pieces
    parts = []
    for start, end in pieces.tolist():
        bounds = np.linspace(start, end, int(np.ceil((end - start) / budget - 1e-9)) + 1)
        parts.append(np.stack([bounds[:-1], bounds[1:]], 1))
    return np.concatenate(parts)


def choose(
    values: Floats,
    lengths: Floats,
    budget: float,
    *,
    rank: Rank = "knapsack",
    features: NDArray[np.float32] | None = None,
    diversity: float = 0.0,
) -> NDArray[np.bool_]:
    """Choose pieces of the most value per second that fit into a budget.

    Args:
        values: float ``(P,)`` at least 0, the mean score of each piece.
        lengths: float ``(P,)``, seconds of each, above 0.
        budget: Seconds.
        rank: ``"knapsack"``: the largest sum of score times length, exactly (in hundredths of a
            second, rounded up). ``"greedy"``: the highest score first, each that still fits.
        features: float ``(P, D)``, what the pieces look like; with ``diversity``.
        diversity: In [0, 1]: how much a piece loses when one like it is chosen: its value times
            ``1 - diversity * cosine``. Above 0 the choice is greedy.

    Returns:
        bool ``(P,)``, together at most the budget.
    """
    if diversity > 0 or rank == "greedy":
        return _greedy(values, lengths, budget, features, diversity)
    step = max(_UNIT, budget / _MOST_UNITS)
    weights = np.maximum(np.ceil(lengths / step - 1e-6), 1).astype(np.int64)
    # A value of 0 would never be taken, even where there is room.
    totals = (values + 1e-6) * lengths
    return knapsack(totals, weights, int(np.floor(budget / step + 1e-6)))


def _greedy(
    values: Floats,
    lengths: Floats,
    budget: float,
    features: NDArray[np.float32] | None,
    diversity: float,
) -> NDArray[np.bool_]:
    chosen = np.zeros(len(values), bool)
    looks = unit(features) if features is not None and diversity > 0 else None
    alike = np.zeros(len(values))
    left = budget
    while True:
        free = ~chosen & (lengths <= left + 1e-9)
        if not free.any():
            return chosen
        worth = np.where(free, values * (1 - diversity * alike), -np.inf)
        best = int(worth.argmax())
        chosen[best] = True
        left -= float(lengths[best])
        if looks is not None:
            alike = np.maximum(alike, np.clip(looks @ looks[best], 0, 1))
