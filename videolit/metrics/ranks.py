"""Rank correlations of one sequence with many, ties included."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor


class RankCorrelations(NamedTuple):
    """Correlations of one sequence with each of U others.

    Attributes:
        tau: Kendall's tau-b, float64 ``(U,)`` in [-1, 1].
        rho: Spearman's rho, float64 ``(U,)`` in [-1, 1].
        undefined: bool ``(U,)``: one of the two sequences is constant. Both correlations are 0
            there, not NaN: a constant says nothing of the order.
    """

    tau: NDArray[np.float64]
    rho: NDArray[np.float64]
    undefined: NDArray[np.bool_]


def correlate_ranks(one: NDArray[np.floating], many: NDArray[np.floating]) -> RankCorrelations:
    """Correlate the ranks of one sequence with those of others.

    Tau-b (Kendall 1945) counts pairs in the other order as inversions after sorting by ``one``
    (Knight 1966), for all others together: one step per bit of the number of levels, ``O(U T log
    T)``. Rho is Pearson's correlation of the ranks, equal values sharing their mean rank.

    Args:
        one: float ``(T,)``, finite.
        many: float ``(U, T)``, finite.
    """
    others, length = many.shape
    level, shared = _levels(np.asarray(one)[None])
    levels, many_shared = _levels(many)
    pairs = length * (length - 1) // 2
    ties = int((shared * (shared - 1)).sum()) // 2
    many_ties = (many_shared * (many_shared - 1)).sum(axis=1) // 2

    # Sorted by level of the one, then of the other: pairs that tie in the one are in order.
    width = int(levels.max(initial=0)) + 1
    keys = np.sort(level * width + levels, axis=1)
    both_ties = np.zeros(others, np.int64)
    row, last = np.nonzero(np.diff(keys, axis=1, append=-1))
    runs = np.diff(last, prepend=-1)
    first_of_row = np.diff(row, prepend=-1) > 0
    runs[first_of_row] = last[first_of_row] + 1
    np.add.at(both_ties, row, runs * (runs - 1) // 2)
    swapped = _inversions(keys % width, width)

    agreement = pairs - ties - many_ties + both_ties - 2 * swapped
    scale = np.sqrt(float(pairs - ties)) * np.sqrt((pairs - many_ties).astype(np.float64))
    rank, ranks = _centred_ranks(level, shared), _centred_ranks(levels, many_shared)
    spread = np.sqrt((rank**2).sum(axis=1)) * np.sqrt((ranks**2).sum(axis=1))
    undefined = scale == 0
    tau = agreement / np.where(undefined, 1, scale)
    rho = (ranks @ rank[0]) / np.where(undefined, 1, spread)
    for values in (tau, rho):
        values[undefined] = 0
        np.clip(values, -1, 1, out=values)
    return RankCorrelations(tau, rho, undefined)


def plain_array(values: ArrayLike | Tensor) -> NDArray[np.generic]:
    """Return an array, or a tensor of any device, as an array of NumPy."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        # NumPy has no bfloat16.
        return (values.double() if values.is_floating_point() else values).numpy()
    return np.asarray(values)


def _levels(values: NDArray[np.floating]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the distinct values of each row, ascending.

    Returns:
        Each value's level, int64 ``(U, T)``, and how many values each level has, int64 ``(U, T)``,
        0 beyond the levels of a row.
    """
    rows, length = values.shape
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    rises = np.zeros((rows, length), np.int64)
    rises[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    level = np.empty((rows, length), np.int64)
    np.put_along_axis(level, order, rises.cumsum(axis=1), axis=1)
    cells = level + length * np.arange(rows)[:, None]
    return level, np.bincount(cells.ravel(), minlength=rows * length).reshape(rows, length)


def _centred_ranks(level: NDArray[np.int64], shared: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return twice the ranks minus their mean, float64 ``(U, T)``: whole numbers, so exact."""
    length = level.shape[1]
    twice = 2 * shared.cumsum(axis=1) - shared - length
    return np.take_along_axis(twice, level, axis=1).astype(np.float64)


def _inversions(levels: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """Count the pairs of each row in which the larger level comes first.

    The numbers are sorted bit by bit from the highest, stably: among those that agree in all higher
    bits, each 0 is passed by the ones before it.

    Args:
        levels: int64 ``(U, T)``, in [0, ``width``).
        width: Above every level.

    Returns:
        int64 ``(U,)``.
    """
    rows, length = levels.shape
    bits = max(width - 1, 1).bit_length()
    # One row after the other, the row's number above the highest bit.
    numbers = (levels + (np.arange(rows)[:, None] << bits)).ravel()
    below = np.zeros((rows << bits) + 1, np.int64)
    np.cumsum(np.bincount(numbers, minlength=rows << bits), out=below[1:])
    place = np.arange(rows * length)
    count = np.zeros(rows, np.int64)
    for bit in range(bits - 1, -1, -1):
        group = numbers >> (bit + 1) << (bit + 1)
        start, middle = below[group], below[group + (1 << bit)]
        zero = (numbers >> bit & 1) == 0
        zeros = np.cumsum(zero) - zero
        zeros -= zeros[start]
        ones = place - start - zeros
        count += (ones * zero).reshape(rows, length).sum(axis=1)
        moved = np.where(zero, start + zeros, middle + ones)
        ordered = np.empty_like(numbers)
        ordered[moved] = numbers
        numbers = ordered
    return count
