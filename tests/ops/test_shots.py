"""Segmentation against brute force and the authors' plain dynamic programme; shots and limits."""

import itertools
import math

import numpy as np
import pytest

from videolit.ops.partition import Lengths, Scatter, cheapest_partitions, fixed_partitions
from videolit.ops.shots import (
    kernel_segments,
    limit_shots,
    segment_objective,
    shots_from_starts,
    uniform_shots,
)
from videolit.types import InputError


def scenes(rows, width, noise, seed, mean=8):
    """Rows of norm 1 around centres that change after a drawn time."""
    rng = np.random.default_rng(seed)
    features, begin = np.zeros((rows, width)), 0
    while begin < rows:
        stop = begin + 1 + int(rng.exponential(mean))
        features[begin:stop] = rng.normal(size=width)
        begin = stop
    features += noise * rng.normal(size=features.shape)
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def plain(features, penalty, most=None, shortest=1, longest=None):
    """The published way: the kernel, its summed squares, and a programme over m; ``O(N³)``."""
    rows = len(features)
    kernel = features.astype(np.float64) @ features.T.astype(np.float64)
    area = np.zeros((rows + 1, rows + 1))
    area[1:, 1:] = kernel.cumsum(0).cumsum(1)
    diagonal = np.append(0, np.cumsum(np.diag(kernel)))
    i, j = np.arange(rows + 1)[:, None], np.arange(rows + 1)[None]
    square = np.diag(area)[j] + np.diag(area)[i] - area - area.T
    scatter = diagonal[j] - diagonal[i] - square / np.maximum(j - i, 1)
    scatter[(j - i < shortest) | (j - i > (longest or rows))] = np.inf
    cost, found = scatter[0], (np.inf, 0)
    for m in range(most or rows):
        if m:
            cost = (cost[:, None] + scatter).min(axis=0)
        extra = penalty * m / (2 * rows) * (math.log(rows / m) + 1) if m else 0
        if cost[rows] / rows + extra < found[0] - 1e-12:
            found = (cost[rows] / rows + extra, m)
    return found


def objective(features, starts, penalty):
    """The objective by its definition, mean by mean."""
    rows, m = len(features), len(starts) - 1
    parts = np.split(features.astype(np.float64), starts[1:])
    scatter = sum(((part - part.mean(0)) ** 2).sum() for part in parts)
    return scatter / rows + (penalty * m / (2 * rows) * (math.log(rows / m) + 1) if m else 0)


@pytest.mark.parametrize("penalty", [0.3, 1, 3])
@pytest.mark.parametrize("noise", [0.1, 0.5, 2])
def test_kernel_segments_reach_the_least_objective(noise, penalty):
    for seed in range(12):
        rows = int(np.random.default_rng(seed).integers(1, 41))
        features = scenes(rows, 6, noise, seed) * (1 + seed % 3)
        starts = kernel_segments(features, penalty=penalty)
        best, m = plain(features, penalty)
        assert objective(features, starts, penalty) == pytest.approx(best, abs=1e-9)
        assert segment_objective(features, starts, penalty) == pytest.approx(best, abs=1e-9)
        assert len(starts) - 1 == m


def test_kernel_segments_reach_the_least_objective_of_all_segmentations():
    for seed in range(6):
        features = 2 * scenes(9, 3, 0.6, seed, mean=3)
        every = [
            objective(features, np.array([0, *cuts]), 1)
            for m in range(9)
            for cuts in itertools.combinations(range(1, 9), m)
        ]
        assert len(every) == 2**8
        found = objective(features, kernel_segments(features), 1)
        assert found == pytest.approx(min(every), abs=1e-9)


@pytest.mark.parametrize(
    ("rows", "width", "noise", "penalty"),
    [(150, 32, 0.3, 1), (250, 400, 0.5, 1), (250, 8, 0.2, 0.3), (200, 16, 1, 3)],
)
def test_kernel_segments_equal_the_plain_programme(rows, width, noise, penalty):
    features = scenes(rows, width, noise, 1, mean=12)
    starts = kernel_segments(features, penalty=penalty)
    best, m = plain(features, penalty)
    assert objective(features, starts, penalty) == pytest.approx(best, abs=1e-9)
    assert len(starts) - 1 == m
    assert 1 < len(starts) < rows


def test_kernel_segments_find_the_scenes():
    features = np.repeat(np.eye(4, dtype=np.float32)[[0, 1, 2, 0, 3]], [30, 7, 20, 13, 9], axis=0)
    assert kernel_segments(features).tolist() == [0, 30, 37, 57, 70]


def test_kernel_segments_do_not_depend_on_an_offset():
    features = scenes(120, 16, 0.5, 3)
    assert (kernel_segments(features + 100.0) == kernel_segments(features)).all()


@pytest.mark.parametrize("block", [1, 3, 128])
def test_kernel_segments_keep_to_their_limits_exactly(block, monkeypatch):
    monkeypatch.setattr("videolit.ops.partition._BLOCK", block)
    cases = itertools.product([(1, None), (4, None), (1, 6), (3, 7), (5, 40)], [None, 2, 5, 9])
    solved = refused = 0
    for seed, ((shortest, longest), most) in enumerate(cases):
        rows = int(np.random.default_rng(seed).integers(20, 60))
        features = 2 * scenes(rows, 5, (0.3, 1.5)[seed % 2], seed, mean=5)
        best, m = plain(features, 1, most, shortest, longest)
        limits = {"max_segments": most, "min_length": shortest, "max_length": longest}
        if math.isinf(best):
            with pytest.raises(InputError, match="cannot be cut into segments"):
                kernel_segments(features, **limits)
            refused += 1
            continue
        starts = kernel_segments(features, **limits)
        assert objective(features, starts, 1) == pytest.approx(best, abs=1e-9)
        assert len(starts) - 1 == m
        sizes = np.diff(np.append(starts, rows))
        assert sizes.min() >= shortest
        assert sizes.max() <= (longest or rows)
        solved += 1
    assert solved >= 14
    assert refused >= 2


def test_kernel_segments_are_the_same_without_kept_products(monkeypatch):
    features = scenes(300, 24, 0.5, 5)
    kept = kernel_segments(features)
    monkeypatch.setattr("videolit.ops.partition._KEPT_ROWS", 0)
    assert (kernel_segments(features) == kept).all()


def test_forgetting_starts_changes_no_partition(monkeypatch):
    monkeypatch.setattr("videolit.ops.partition._BLOCK", 1)
    for seed in range(10):
        features = 3 * scenes(60, 5, 0.4, seed, mean=5)
        scatter, lengths = Scatter(features), Lengths((1, 4, 9)[seed % 3], 60 if seed % 2 else 25)
        exact = [
            (k, scatter.total(starts))
            for k, starts in enumerate(fixed_partitions(scatter, 60, lengths), 1)
            if starts is not None
        ]
        for price in (0.2, 1.0, 4.0):
            (starts,) = cheapest_partitions(scatter, np.array([price]), lengths)
            found = scatter.total(starts) + price * len(starts)
            assert found == pytest.approx(min(c + price * k for k, c in exact), abs=1e-9)


def test_kernel_segments_of_one_and_two_rows():
    assert kernel_segments(np.ones((1, 3))).tolist() == [0]
    assert kernel_segments(np.ones((2, 3))).tolist() == [0]
    assert kernel_segments(np.array([[0.0], [9.0]])).tolist() == [0, 1]
    assert kernel_segments(np.array([[0.0], [9.0]]), min_length=5).tolist() == [0]
    assert kernel_segments(np.array([[0.0], [9.0]]), max_segments=1).tolist() == [0]


@pytest.mark.parametrize("value", [0.0, 0.1, 1e4])
def test_constant_features_are_one_segment(value):
    assert kernel_segments(np.full((300, 7), value, np.float32)).tolist() == [0]


def test_kernel_segments_say_what_is_wrong():
    features = np.ones((10, 2))
    with pytest.raises(InputError, match=r"\(rows, width\), at least one of each, got \(0, 2\)"):
        kernel_segments(np.ones((0, 2)))
    with pytest.raises(InputError, match="at least one of each"):
        kernel_segments(np.ones(5))
    broken = features.copy()
    broken[4, 1] = np.nan
    with pytest.raises(InputError, match="row 4 has a NaN"):
        kernel_segments(broken)
    with pytest.raises(InputError, match="penalty must be a number above 0, got 0"):
        kernel_segments(features, penalty=0)
    with pytest.raises(InputError, match="at least 1, got 0 and None"):
        kernel_segments(features, min_length=0)
    with pytest.raises(
        InputError, match="10 rows cannot be cut into segments of 1 to 4 rows, at m"
    ):
        kernel_segments(features, max_length=4, max_segments=2)
    with pytest.raises(InputError, match="10 rows cannot be cut into segments of 4 to 4 rows: giv"):
        kernel_segments(features, min_length=4, max_length=4)
    with pytest.raises(InputError, match="begin with 0"):
        segment_objective(features, np.array([1, 3]))
    with pytest.raises(InputError, match="within the 10 rows, got 10"):
        segment_objective(features, np.array([0, 10]))


def test_shots_begin_at_the_picked_frames():
    picks = np.array([3, 15, 30, 45, 60])
    shots = shots_from_starts(np.array([0, 2, 3]), picks, 70)
    assert shots.tolist() == [[0, 30], [30, 45], [45, 70]]
    assert shots.dtype == np.int64
    with pytest.raises(InputError, match="ascend within the video's 60 frames, got 3 to 60"):
        shots_from_starts(np.array([0, 2]), picks, 60)
    with pytest.raises(InputError, match="within the 5 rows, got 7"):
        shots_from_starts(np.array([0, 7]), picks, 70)


def test_uniform_shots_cover_the_video():
    assert uniform_shots(10, 4).tolist() == [[0, 4], [4, 8], [8, 10]]
    assert uniform_shots(3, 9).tolist() == [[0, 3]]
    with pytest.raises(InputError, match="at least 1, got 10 and 0"):
        uniform_shots(10, 0)


def test_limit_shots_merges_then_cuts():
    def shots(*sizes):
        bounds = np.cumsum([5, *sizes])
        return np.stack([bounds[:-1], bounds[1:]], axis=1)

    def sizes(*given, shortest=4, longest=10):
        limited = limit_shots(shots(*given), shortest, longest)
        assert limited[0, 0] == 5
        assert (limited[1:, 0] == limited[:-1, 1]).all()
        return np.diff(limited, axis=1)[:, 0].tolist()

    assert sizes(4, 10, 5) == [4, 10, 5]
    assert sizes(6, 2, 5) == [6, 7]
    assert sizes(5, 2, 6) == [7, 6]
    assert sizes(5, 2, 5) == [7, 5]
    assert sizes(2, 5) == [7]
    assert sizes(5, 2) == [7]
    assert sizes(3) == [3]
    assert sizes(21) == [7, 7, 7]
    assert sizes(11) == [5, 6]
    assert sizes(1, 1, 1, 1, 20) == [4, 10, 10]


def test_limit_shots_keeps_both_limits():
    rng = np.random.default_rng(0)
    for _ in range(50):
        bounds = np.append(0, np.cumsum(rng.integers(1, 40, size=rng.integers(1, 30))))
        limited = limit_shots(np.stack([bounds[:-1], bounds[1:]], axis=1), 8, 16)
        lengths = np.diff(limited, axis=1)
        assert limited[-1, 1] == bounds[-1]
        assert lengths.max() <= 16
        assert lengths.min() >= min(8, bounds[-1])


def test_limit_shots_says_what_is_wrong():
    with pytest.raises(InputError, match="longest at least twice the shortest"):
        limit_shots(np.array([[0, 9]]), 5, 9)
    with pytest.raises(InputError, match="begin where the one before ends"):
        limit_shots(np.array([[0, 9], [10, 12]]), 1, 9)
    with pytest.raises(InputError, match=r"\(S, 2\), at least one of them, got \(0, 2\)"):
        limit_shots(np.zeros((0, 2)), 1, 9)
