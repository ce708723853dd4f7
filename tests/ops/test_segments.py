import numpy as np
import pytest

from videolit.ops.segments import Segment, find_segments, moment_scores, temporal_iou
from videolit.types import InputError


def windows(seconds, window, hop):
    start = np.arange(0, seconds - window + 1e-9, hop)
    return start, start + window


def test_a_moments_score_is_the_mean_of_the_windows_that_cover_it():
    scores = np.array([[0.0], [0.5], [1.0]])
    edges, values = moment_scores(*windows(4, 2, 1), scores)
    assert edges.tolist() == [0, 1, 2, 3, 4]
    assert values[:, 0].tolist() == [0, 0.25, 0.75, 1.0]
    # A last window that does not fit the grid, and a hole.
    start, end = np.array([0, 1, 1.5, 7.0]), np.array([2, 3, 3.5, 9.0])
    edges, values = moment_scores(start, end, np.array([[0.1], [0.3], [0.8], [0.6]]))
    assert edges.tolist() == [0, 1, 1.5, 2, 3, 3.5, 7, 9]
    np.testing.assert_allclose(values[:, 0], [0.1, 0.2, 0.4, 0.55, 0.8, np.nan, 0.6])


def test_scores_equal_brute_force_at_random_moments():
    generator = np.random.default_rng(0)
    for hop in (0.1, 0.3, 0.7, 2.0):
        start, end = windows(20, 2.0, hop)
        scores = generator.random((len(start), 3))
        edges, values = moment_scores(start, end, scores)
        # 0.1 + 0.2 and 0.3 are one edge.
        assert np.diff(edges).min() > 0.01
        for moment in generator.uniform(0, end[-1], 200):
            expected = scores[(start <= moment) & (moment < end)].mean(0)
            place = np.searchsorted(edges, moment, side="right") - 1
            np.testing.assert_allclose(values[place], expected, rtol=1e-12)


def cut(curve, **settings):
    """Segments of one class whose score changes every second."""
    edges = np.arange(len(curve) + 1, dtype=np.float64)
    values = np.array(curve, np.float64)[:, None]
    return [s[:2] for s in find_segments(edges, values, **{"stay_at": 0.3, **settings})]


def test_hysteresis():
    curve = [0.4, 0.5, 0.3, 0.45, 0.29, 0.4, 0.49, 0.6, 0.2]
    assert cut(curve) == [(1, 4), (7, 8)]
    assert cut(curve, stay_at=0.5) == [(1, 2), (7, 8)]
    assert cut(curve, start_at=0.4) == [(0, 4), (5, 8)]
    assert cut(curve, start_at=0.61) == []
    # Open at both ends, and whole.
    assert cut([0.9, 0.1, 0.9]) == [(0, 1), (2, 3)]
    assert cut([0.5, 0.5]) == [(0, 2)]
    assert cut([0.9, np.nan, 0.4, 0.9]) == [(0, 1), (3, 4)]


def test_gaps_are_merged_before_short_ones_are_dropped():
    curve = [0.9, 0.1, 0.9, 0.1, 0.1, 0.9, 0.9, 0.1]
    assert cut(curve) == [(0, 1), (2, 3), (5, 7)]
    assert cut(curve, merge_gap=1) == [(0, 3), (5, 7)]
    assert cut(curve, merge_gap=2) == [(0, 7)]
    assert cut(curve, min_seconds=2) == [(5, 7)]
    assert cut(curve, min_seconds=3, merge_gap=1) == [(0, 3)]
    # Short gaps in a row join all of them.
    assert cut([0.9, 0.1] * 4, merge_gap=1) == [(0, 7)]


def test_probability_is_the_mean_over_time_and_peak_the_highest_moment():
    edges = np.array([0.0, 1.0, 1.5, 4.0, 5.0])
    values = np.array([[0.6, 0.0], [1.0, 0.0], [0.4, 0.5], [0.0, 0.8]])
    first, second = find_segments(edges, values)
    assert first[:3] == (0.0, 4.0, 0)
    assert first.probability == pytest.approx((0.6 + 0.5 + 2.5 * 0.4) / 4)
    assert first.peak == 1.0
    assert second == Segment(1.5, 5.0, 1, pytest.approx((2.5 * 0.5 + 0.8) / 3.5), 0.8)
    # What is not known does not count.
    (merged,) = find_segments(edges, np.array([[0.6], [np.nan], [0.8], [0.0]]), merge_gap=1)
    assert merged.probability == pytest.approx((0.6 + 2.5 * 0.8) / 3.5)


def by_frames(curve, start_at, stay_at, min_seconds, merge_gap):
    """The definition, moment by moment: which of them lie in a segment."""
    on = np.zeros(len(curve), bool)
    for t, score in enumerate(curve):
        on[t] = score >= (stay_at if t and on[t - 1] else start_at)
    for a in range(len(on)):
        for b in range(a + 1, len(on)):
            if on[a] and on[b] and not on[a + 1 : b].any() and b - a - 1 <= merge_gap:
                on[a:b] = True
    runs, t = [], 0
    while t < len(on):
        if on[t]:
            end = t
            while end < len(on) and on[end]:
                end += 1
            if end - t >= min_seconds:
                runs.append((t, end))
            t = end
        t += 1
    return runs


def test_segments_equal_brute_force_on_random_curves():
    generator = np.random.default_rng(1)
    several = 0
    for _ in range(300):
        curve = generator.random(generator.integers(1, 40)).round(1)
        low, high = np.sort(generator.uniform(0.05, 1, 2)).round(1).clip(0.1)
        settings = [high, low, *generator.integers(0, 4, 2)]
        names = ("start_at", "stay_at", "min_seconds", "merge_gap")
        found = cut(curve, **dict(zip(names, map(float, settings), strict=True)))
        assert found == by_frames(curve, *settings)
        several += len(found) > 1
    assert several > 50


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start_at": 0}, "--start-at is a probability above 0 and at most 1, got 0"),
        ({"start_at": 0.4, "stay_at": 0.5}, r"at most --start-at \(0.4\), got 0.5"),
        ({"stay_at": 0}, "--stay-at must be above 0"),
        ({"min_seconds": -1}, "--min-seconds must be at least 0 seconds, got -1"),
        ({"merge_gap": float("inf")}, "--merge-gap must be"),
    ],
)
def test_thresholds_out_of_range(settings, message):
    with pytest.raises(InputError, match=message):
        cut([0.5], **settings)


def test_intersection_over_union():
    a = np.array([[0.0, 2.0], [1.0, 1.0]])
    b = np.array([[1.0, 3.0], [2.0, 4.0], [0.0, 2.0], [0.5, 1.0], [1.0, 1.0]])
    np.testing.assert_allclose(temporal_iou(a, b), [[1 / 3, 0, 1, 0.25, 0], [0, 0, 0, 0, 0]])
    assert temporal_iou(a[:0], b).shape == (0, 5)
