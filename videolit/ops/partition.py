"""Rows cut into segments of the least scatter, exactly: the core of :mod:`videolit.ops.shots`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Ends that are solved together: one matrix product gives the scatter of all of them.
_BLOCK = 128
# Up to this many rows the scatter of all segments is kept: 34 MB.
_KEPT_ROWS = 2048


class Lengths(NamedTuple):
    """How many rows a segment may have, both inclusive."""

    shortest: int
    longest: int


class Scatter:
    """Sum of squared distances to the segment's mean, of every segment of some rows.

    Segment ``[i, j)`` has scatter ``q_j - q_i - |s_j - s_i|² / (j - i)``, where q and s are running
    sums of the squared norms and of the rows. So no N×N kernel is needed. The rows are centred
    first: scatter does not change, and the sums stay small.

    Args:
        features: float ``(N, D)``, finite, N at least 1.
    """

    def __init__(self, features: NDArray[np.floating]) -> None:
        rows, width = features.shape
        self.num_rows = rows
        sums = np.zeros((rows + 1, width))
        np.subtract(features, features.mean(axis=0, dtype=np.float64), out=sums[1:])
        self._squares = np.zeros(rows + 1)
        np.cumsum(np.einsum("nd,nd->n", sums[1:], sums[1:]), out=self._squares[1:])
        np.cumsum(sums, axis=0, out=sums)
        self._norms = np.einsum("nd,nd->n", sums, sums)
        self._sums = sums
        self._products = sums @ sums.T if rows <= _KEPT_ROWS else None
        # What the sums round to: differences below it say nothing.
        self.precision = 1e-13 * (float(self._norms.max()) + float(self._squares[-1]))

    def __call__(self, ends: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the scatter of all segments ``[start, end)``.

        Args:
            ends: int64 ``(E,)``, ascending without gaps.
            starts: int64 ``(C,)``.

        Returns:
            float64 ``(E, C)``, at least 0; 0 where the end is not above the start.
        """
        stretch = slice(int(ends[0]), int(ends[-1]) + 1)
        if self._products is not None:
            products: NDArray[np.float64] = self._products[stretch, starts]
        else:
            products = self._sums[stretch] @ self._sums[starts].T
        length = np.maximum(ends[:, None] - starts, 1)
        products *= 2
        products -= self._norms[ends][:, None]
        products -= self._norms[starts]
        products /= length
        products += self._squares[ends][:, None]
        products -= self._squares[starts]
        products[ends[:, None] <= starts] = 0
        np.maximum(products, 0, out=products)
        return products

    def total(self, starts: NDArray[np.int64]) -> float:
        """Return the scatter of the segments that begin at ``starts``, int64 ``(S,)``, summed."""
        ends = np.append(starts[1:], self.num_rows)
        gaps = self._sums[ends] - self._sums[starts]
        within = np.diff(self._squares[np.append(starts, self.num_rows)])
        return float((within - np.einsum("sd,sd->s", gaps, gaps) / (ends - starts)).clip(0).sum())


def cheapest_partitions(
    scatter: Scatter, prices: NDArray[np.float64], lengths: Lengths
) -> list[NDArray[np.int64]]:
    """Minimise scatter plus a price per segment, for several prices at once.

    Optimal partitioning (Jackson et al. 2005), where a start is forgotten as soon as it can be the
    best of no later end (PELT, Killick et al. 2012, theorem 3.1). Splitting a segment never raises
    its scatter, so start t is beaten for good once ``best[t] + scatter(t, e)`` exceeds ``best[e]``:
    from then on beginning at e is better. Where segments have a shortest length, one that begins at
    e ends no sooner than that, so t is kept that much longer. The longest length takes nothing from
    this: a segment from e is shorter than one from t.

    Args:
        scatter: Of N rows.
        prices: float64 ``(R,)``, at least 0.
        lengths: Of segments; a partition must exist.

    Returns:
        For each price the starts of the segments, int64 ``(S,)``.
    """
    rows = len(prices)
    best = np.full((rows, scatter.num_rows + 1), np.inf)
    best[:, 0] = 0
    back = _solve(scatter, best, prices, lengths, shift=0)
    return [_trace(back, row, 0) for row in range(rows)]


def fixed_partitions(
    scatter: Scatter, most: int, lengths: Lengths
) -> list[NDArray[np.int64] | None]:
    """Minimise scatter for each number of segments.

    Takes ``O(N² most)`` steps: nothing can be forgotten here.

    Args:
        scatter: Of N rows.
        most: The largest number of segments, K.
        lengths: Of segments.

    Returns:
        For 1 to K segments their starts, int64 ``(S,)``; None where no such partition exists.
    """
    best = np.full((most + 1, scatter.num_rows + 1), np.inf)
    best[0, 0] = 0
    back = _solve(scatter, best, np.zeros(most + 1), lengths, shift=1)
    exists = np.isfinite(best[:, -1])
    return [_trace(back, k, 1) if exists[k] else None for k in range(1, most + 1)]


def _solve(
    scatter: Scatter,
    best: NDArray[np.float64],
    prices: NDArray[np.float64],
    lengths: Lengths,
    *,
    shift: int,
) -> NDArray[np.int32]:
    """Fill ``best`` end by end; return each end's best last start, int32 like ``best``.

    Row r of ``best`` builds on row ``r - shift`` of it; with a shift row 0 is given.
    """
    back = np.zeros(best.shape, np.int32)
    rows = best.shape[0] - shift
    known, target = best[:rows], best[shift:]
    price = prices[shift:]
    old = np.zeros(0, np.int64)
    forget = np.full(scatter.num_rows + 1, np.iinfo(np.int64).max)
    for first in range(0, scatter.num_rows, _BLOCK):
        last = min(first + _BLOCK, scatter.num_rows)
        ends = np.arange(first + 1, last + 1)
        old = old[(forget[old] > first + 1) & (first + 1 - old <= lengths.longest)]
        starts = np.concatenate([old, np.arange(first, last)])
        cost = scatter(ends, starts)
        final = cost[-1].copy()
        size = ends[:, None] - starts
        cost[(size < lengths.shortest) | (size > lengths.longest)] = np.inf
        early, late = cost[:, : len(old)], cost[:, len(old) :]
        # Starts before the block are solved: all ends at once.
        value = np.full((rows, len(ends)), np.inf)
        start = np.zeros((rows, len(ends)), np.int64)
        if len(old):
            for row in range(rows):
                sums = early + known[row, old]
                choice = sums.argmin(axis=1)
                value[row] = np.take_along_axis(sums, choice[:, None], axis=1)[:, 0]
                start[row] = old[choice]
        # Starts within it are ends of it too: one end after the other.
        within = known[:, first:last]
        every = np.arange(rows)
        for i, end in enumerate(ends):
            sums = within[:, : i + 1] + late[i, : i + 1]
            choice = sums.argmin(axis=1)
            nearest = sums[every, choice]
            nearer = nearest < value[:, i]
            target[:, end] = np.where(nearer, nearest, value[:, i]) + price
            back[shift:, end] = np.where(nearer, choice + first, start[:, i])
        if shift == 0:
            beaten = known[:, starts] + final > known[:, last, None] + scatter.precision
            beaten |= np.isinf(known[:, starts])
            forget[starts[beaten.all(axis=0)]] = np.minimum(
                forget[starts[beaten.all(axis=0)]], last + lengths.shortest
            )
        old = starts
    return back


def _trace(back: NDArray[np.int32], row: int, shift: int) -> NDArray[np.int64]:
    """Follow the best last starts from the end to row 0's beginning."""
    starts: list[int] = []
    end = back.shape[1] - 1
    while end > 0:
        end = int(back[row, end])
        row -= shift
        starts.append(end)
    return np.array(starts[::-1], np.int64)
