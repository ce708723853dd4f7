"""Shots of a video: where its features change, and the frames that belong together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from videolit.ops.partition import Lengths, Scatter, cheapest_partitions, fixed_partitions
from videolit.types import InputError

# Prices of the first round, from that of the fewest change points to that of a cut at each second
# row; further rounds go where these leave something open.
_FIRST_PRICES = 6


def kernel_segments(
    features: NDArray[np.floating],
    *,
    max_segments: int | None = None,
    penalty: float = 1.0,
    min_length: int = 1,
    max_length: int | None = None,
) -> NDArray[np.int64]:
    """Cut a sequence where its features change: kernel temporal segmentation, exactly.

    Potapov et al., Category-Specific Video Summarization (ECCV 2014), section 3, with the linear
    kernel. Of all ways to cut N rows at m change points the one is returned that minimises::

        L(m) / N + g(m),    g(m) = penalty * m / (2 N) * (log(N / m) + 1),    g(0) = 0

    where L(m) is the sum of squared distances of rows to their segment's mean. For rows of norm 1
    ``penalty=1`` is usual; a larger one gives fewer segments. Where rows lie further than about
    ``penalty / 2`` (squared) from their segment's mean, every row on its own is the best: give
    ``max_segments`` or ``min_length`` there. The authors' program takes another N in g only where
    it is told that rows are subsampled.

    They solve every m, in ``O(N³)`` steps and ``O(N²)`` memory. But g is concave, so the minimum
    lies at a vertex of the lower convex hull of L, and those vertices are what minimises
    ``L(m) + price * m`` for some price. Such problems are quick; they are searched by bisection on
    the price (CROPS, Haynes et al. 2017), except where the bounds on L from the prices seen already
    exclude anything better. Memory is ``O(N D)``.

    Args:
        features: float ``(N, D)``, finite, one row per sampled frame; N and D at least 1.
        max_segments: The most segments; None for as many as rows. Where it leaves out the hull's
            next vertex, the search takes ``O(N² max_segments)`` steps.
        penalty: Weight of g, above 0.
        min_length: Rows of the shortest segment. Fewer rows than that are one segment.
        max_length: Rows of the longest segment; None for any.

    Returns:
        The segments' first rows, int64 ``(S,)``, ascending; the first is 0. Of equally good numbers
        of segments the smallest.

    Raises:
        InputError: If features are no finite matrix, or the limits fit no segmentation.
    """
    features = _checked(features, penalty)
    lengths, fewest, most = _limits(len(features), max_segments, min_length, max_length)
    if most == 1:
        return np.zeros(1, np.int64)
    search = _Search(Scatter(features), penalty, lengths, fewest, most)
    return search.run()


def segment_objective(
    features: NDArray[np.floating], starts: NDArray[np.int64], penalty: float = 1.0
) -> float:
    """Return what :func:`kernel_segments` minimises, ``L(m) / N + g(m)``, of any segmentation.

    Args:
        features: float ``(N, D)``, finite.
        starts: The segments' first rows, int64 ``(S,)``, ascending; the first is 0.
        penalty: Weight of g, above 0.

    Raises:
        InputError: If features are no finite matrix, or starts do not ascend from 0 below N.
    """
    features = _checked(features, penalty)
    _check_starts(starts, len(features))
    weight = _weights(len(features), penalty)
    total = Scatter(features).total(np.asarray(starts, np.int64))
    return (total + float(weight[len(starts) - 1])) / len(features)


class _Search:
    """The search for the best number of change points, m.

    Everything is N times the objective: scatter plus weight.
    """

    def __init__(
        self, scatter: Scatter, penalty: float, lengths: Lengths, fewest: int, most: int
    ) -> None:
        rows = scatter.num_rows
        self.scatter = scatter
        self.lengths = lengths
        self.most = most
        self.weight = _weights(rows, penalty)
        self.bound = np.zeros(rows)
        self.found: dict[int, NDArray[np.int64]] = {}
        self.cost: dict[int, float] = {}
        if fewest == 1:
            self._keep(np.zeros(1, np.int64))
        # The best m minimises L(m) + price * m at the price that is the slope of its own weight,
        # penalty / 2 * log(N / m): steeper than the slope of the fewest there is nothing to find.
        tried = np.geomspace(max(fewest - 1, 1), max(rows / 2, fewest), _FIRST_PRICES)
        slopes = penalty / 2 * np.log(rows / tried).clip(0)
        slopes[0] += penalty / 2
        self.first_prices = np.append(slopes, 0.0)

    def run(self) -> NDArray[np.int64]:
        """Return the best segmentation's starts."""
        prices = self.first_prices
        closed: set[tuple[int, int]] = set()
        while len(prices):
            self._try(prices)
            intervals = self._open_intervals() - closed
            closed |= intervals
            prices = np.array(
                [(self.cost[a] - self.cost[b]) / (b - a) for a, b in sorted(intervals)]
            ).clip(0)
        last = max((m for m in self.cost if m < self.most), default=-1)
        if self._open()[last + 1 :].any():
            # The hull's next vertex has too many segments. Before it the best may be off the hull.
            for starts in fixed_partitions(self.scatter, self.most, self.lengths):
                if starts is not None:
                    self._keep(starts)
        allowed = sorted(m for m in self.found if m < self.most)
        return self.found[min(allowed, key=lambda m: self.cost[m] + self.weight[m])]

    def _try(self, prices: NDArray[np.float64]) -> None:
        """Solve for some prices."""
        counts = np.arange(len(self.bound))
        answers = cheapest_partitions(self.scatter, prices, self.lengths)
        for price, starts in zip(prices.tolist(), answers, strict=True):
            m = self._keep(starts)
            # At this price no other number of change points comes out cheaper.
            np.maximum(self.bound, self.cost[m] + price * (m - counts), out=self.bound)

    def _keep(self, starts: NDArray[np.int64]) -> int:
        """Remember the best segmentation at its number of change points; return that number."""
        m = len(starts) - 1
        self.found[m] = starts
        self.cost[m] = self.bound[m] = self.scatter.total(starts)
        return m

    def _open(self) -> NDArray[np.bool_]:
        """Say of each allowed m whether it may be better than the best known one, ``(most,)``."""
        known = [self.cost[m] + self.weight[m] for m in self.cost if m < self.most]
        best = min(known, default=np.inf) - 2 * self.scatter.precision
        undecided = (self.bound + self.weight)[: self.most] < best
        undecided[[m for m in self.cost if m < self.most]] = False
        return undecided

    def _open_intervals(self) -> set[tuple[int, int]]:
        """Return the neighbours among the known m between which something is open."""
        known = np.array(sorted(self.cost))
        after = np.unique(np.searchsorted(known, np.flatnonzero(self._open())))
        after = after[(after > 0) & (after < len(known))]
        return {(int(known[i - 1]), int(known[i])) for i in after}


def _weights(rows: int, penalty: float) -> NDArray[np.float64]:
    """Return N g(m) of all m below N, float64 ``(N,)``."""
    counts = np.arange(rows, dtype=np.float64)
    weights: NDArray[np.float64] = penalty / 2 * counts * (np.log(rows / np.maximum(counts, 1)) + 1)
    return weights


def _checked(features: NDArray[np.floating], penalty: float) -> NDArray[np.floating]:
    """Return features as they can be computed with.

    Raises:
        InputError: If they are no finite matrix, or the penalty is not above 0.
    """
    features = np.asarray(features)
    if features.ndim != 2 or 0 in features.shape:
        raise InputError(
            f"features must be (rows, width), at least one of each, got {features.shape}"
        )
    if not np.isfinite(features).all():
        row = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
        raise InputError(f"features must be finite; row {row} has a NaN or an infinite value")
    if not (np.isfinite(penalty) and penalty > 0):
        raise InputError(f"penalty must be a number above 0, got {penalty:g}")
    return features


def _limits(
    rows: int, max_segments: int | None, min_length: int, max_length: int | None
) -> tuple[Lengths, int, int]:
    """Return the allowed lengths, and the fewest and the most segments that they allow.

    Raises:
        InputError: If nothing is allowed.
    """
    longest = rows if max_length is None else max_length
    if min_length < 1 or (max_segments is not None and max_segments < 1):
        raise InputError(
            f"min_length and max_segments must be at least 1, got {min_length} and {max_segments}"
        )
    shortest = min(min_length, rows)
    fewest, most = -(-rows // max(longest, 1)), rows // shortest
    if max_segments is not None:
        most = min(most, max_segments)
    if longest < shortest or fewest > most:
        raise InputError(
            f"{rows} rows cannot be cut into segments of {min_length} to {max_length} rows"
            + (f", at most {max_segments} of them" if max_segments is not None else "")
            + ": give a larger max_length, or a smaller min_length"
        )
    return Lengths(shortest, longest), fewest, most


def shots_from_starts(
    starts: NDArray[np.int64], picks: NDArray[np.int64], num_frames: int
) -> NDArray[np.int64]:
    """Turn segments of sampled frames into shots of all frames.

    A shot begins at the first sampled frame of its segment; the first at frame 0, and the last goes
    on to the end.

    Args:
        starts: The segments' first rows, int64 ``(S,)``, ascending; the first is 0.
        picks: int64 ``(T,)``, ascending: the frame of each row.
        num_frames: Frames of the video, above the last pick.

    Returns:
        int64 ``(S, 2)``: first frame and the frame after the last one, of ``[0, num_frames)``.

    Raises:
        InputError: If the arguments do not fit each other.
    """
    picks = np.asarray(picks, np.int64)
    _check_starts(starts, len(picks))
    if picks[0] < 0 or (np.diff(picks) <= 0).any() or picks[-1] >= num_frames:
        raise InputError(
            f"picks must ascend within the video's {num_frames} frames, got {picks[0]} to "
            f"{picks[-1]}"
        )
    bounds = np.append(picks[np.asarray(starts, np.int64)], num_frames)
    bounds[0] = 0
    return np.stack([bounds[:-1], bounds[1:]], axis=1)


def uniform_shots(num_frames: int, length: int) -> NDArray[np.int64]:
    """Cut a video into shots of equal length; the last one holds what is left.

    Args:
        num_frames: Frames of the video, at least 1.
        length: Frames of a shot, at least 1.

    Returns:
        int64 ``(S, 2)``: first frame and the frame after the last one.

    Raises:
        InputError: If one of them is below 1.
    """
    if num_frames < 1 or length < 1:
        raise InputError(f"num_frames and length must be at least 1, got {num_frames} and {length}")
    first = np.arange(0, num_frames, length, dtype=np.int64)
    return np.stack([first, np.minimum(first + length, num_frames)], axis=1)


def limit_shots(shots: NDArray[np.int64], shortest: int, longest: int) -> NDArray[np.int64]:
    """Merge shots that are too short, then cut those that are too long.

    The shortest shot, the first of equal ones, goes to the shorter one of its neighbours, until all
    are long enough or one is left. Too long ones are cut evenly.

    Args:
        shots: int64 ``(S, 2)``, first frame and the frame after the last one, each beginning where
            the one before ends; S at least 1.
        shortest: Frames of the shortest shot, at least 1.
        longest: Frames of the longest shot, at least twice ``shortest``, so that halves are not
            too short.

    Returns:
        int64 ``(S', 2)``, over the same frames. A video that is shorter than ``shortest`` is one
        shot.

    Raises:
        InputError: If shots leave frames out, or the limits do not fit each other.
    """
    shots = np.asarray(shots, np.int64)
    if shots.ndim != 2 or shots.shape[1:] != (2,) or len(shots) == 0:
        raise InputError(f"shots must be (S, 2), at least one of them, got {shots.shape}")
    if (shots[:, 1] <= shots[:, 0]).any() or (shots[1:, 0] != shots[:-1, 1]).any():
        raise InputError("shots must hold frames, and each begin where the one before ends")
    if shortest < 1 or longest < 2 * shortest:
        raise InputError(
            f"shots of {shortest} to {longest} frames: the shortest must be at least 1, the "
            f"longest at least twice the shortest"
        )
    bounds = np.append(shots[:, 0], shots[-1, 1])
    sizes = np.diff(bounds)
    while len(sizes) > 1 and sizes.min() < shortest:
        i = int(sizes.argmin())
        # The bound that falls: before the shot, or after it.
        after = i == 0 or (i + 1 < len(sizes) and sizes[i + 1] < sizes[i - 1])
        bounds = np.delete(bounds, i + 1 if after else i)
        sizes = np.diff(bounds)
    parts = -(-sizes // longest)
    cuts = [
        first + size * np.arange(count) // count
        for first, size, count in zip(bounds[:-1], sizes, parts, strict=True)
    ]
    first = np.concatenate(cuts)
    return np.stack([first, np.append(first[1:], bounds[-1])], axis=1)


def _check_starts(starts: NDArray[np.int64], rows: int) -> None:
    """Refuse starts that are no segmentation.

    Raises:
        InputError: If they do not ascend from 0, or reach beyond the rows.
    """
    starts = np.asarray(starts)
    if starts.ndim != 1 or len(starts) == 0 or starts[0] != 0 or (np.diff(starts) <= 0).any():
        raise InputError("starts must be (S,), ascending, and begin with 0")
    if starts[-1] >= rows:
        raise InputError(f"starts must lie within the {rows} rows, got {starts[-1]}")
