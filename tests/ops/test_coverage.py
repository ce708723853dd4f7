"""What stands for a video: the greedy choice against brute force, edges, and what it costs."""

import itertools

import numpy as np
import pytest

from videolit.ops import coverage
from videolit.ops.coverage import (
    MOST_CHOSEN,
    MOST_PARTS,
    coverage_scores,
    importance,
    likeness,
    ranks,
    unit,
)
from videolit.types import InputError


def looks(steps, seed=0, size=8):
    return np.abs(np.random.default_rng(seed).standard_normal((steps, size))).astype(np.float32)


def seconds(steps):
    return np.arange(steps) / 2


def alike_by_loop(features, times, context):
    count = len(features)
    found = np.zeros((count, count))
    for i, j in itertools.product(range(count), repeat=2):
        a, b = features[i].astype(float), features[j].astype(float)
        cosine = min(max(a @ b / np.sqrt((a @ a) * (b @ b)), 0), 1)
        fade = np.exp(-abs(times[i] - times[j]) / context)
        found[i, j] = cosine**2 * (0.5 + 0.5 * fade)
    return found


def scores_by_loop(features, times, context):
    """Facility location by its definition: sets are worth what they cover, chosen greedily."""
    alike = alike_by_loop(features, times, context)

    def worth(chosen):
        return np.mean([max((alike[m, t] for m in chosen), default=0) for t in range(len(times))])

    chosen, scores, first = [], np.zeros(len(times)), None
    while len(chosen) < MOST_CHOSEN:
        gains = [worth([*chosen, t]) - worth(chosen) for t in range(len(times))]
        best = int(np.argmax(gains))
        first = first or gains[best]
        if gains[best] <= 0.01 * first:
            break
        scores = np.maximum(scores, gains[best] / first * alike[best])
        chosen.append(best)
    return scores


def test_likeness_is_the_squared_cosine_and_fades_to_half():
    features, times = looks(9), seconds(9)
    found = likeness(features, times, features, times, 3.0)
    np.testing.assert_allclose(found, alike_by_loop(features, times, 3.0), atol=1e-6)
    np.testing.assert_allclose(np.diag(found), 1, atol=1e-6)
    far = likeness(features[:1], times[:1], features[:1], np.array([1e6]), 3.0)
    assert float(far[0, 0]) == pytest.approx(0.5)
    opposite = likeness(features[:1], times[:1], -features[:1], times[:1], 3.0)
    assert float(opposite[0, 0]) == 0


@pytest.mark.parametrize("steps", [1, 3, 7, 12])  # two steps cover each other equally: a tie
@pytest.mark.parametrize("context", [1.0, 60.0])
def test_scores_are_those_of_the_greedy_choice_by_definition(steps, context):
    features, times = looks(steps, seed=steps), seconds(steps)
    found = coverage_scores(features, times, context=context)
    expected = scores_by_loop(features, times, context)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 9, 60, 61, MOST_PARTS, MOST_PARTS + 1, 20_000])
def test_scores_lie_in_0_to_1_and_repeat_exactly(steps):
    features, times = looks(steps), seconds(steps)
    found = coverage_scores(features, times)
    assert found.dtype == np.float32
    assert found.shape == (steps,)
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(found, coverage_scores(features.copy(), times.copy()))
    mixed = importance(features, times, motion=features[:, 0], loudness=-features[:, 1])
    assert np.isfinite(mixed).all()
    assert 0 <= mixed.min() <= mixed.max() <= 1


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_features_that_never_change_are_fine(value):
    found = coverage_scores(np.full((40, 8), value, np.float32), seconds(40))
    assert np.isfinite(found).all()
    # Nothing is known of features of length 0: nothing stands for anything.
    assert (found > 0.4).all() if value else (found == 0).all()
    mixed = importance(
        np.full((40, 8), value, np.float32), seconds(40), motion=np.zeros(40, np.float32)
    )
    assert np.isfinite(mixed).all()


def test_what_comes_back_counts_less_than_its_longest_run():
    base = np.eye(4, dtype=np.float32)
    # 30 steps of one scene, 20 of another, then 6 of the first again, soon.
    scenes = np.repeat([0, 1, 0], [30, 20, 6])
    found = coverage_scores(base[scenes], seconds(len(scenes)))
    assert int(found.argmax()) < 30
    assert found[50:].max() < found[:30].max()
    # The same at the end as something new would be worth more, for as long a piece.
    new = coverage_scores(base[np.repeat([0, 1, 2], [30, 20, 15])], seconds(65))
    again = coverage_scores(base[np.repeat([0, 1, 0], [30, 20, 15])], seconds(65), context=1e9)
    assert new[50:].min() > 0
    order = ranks(new)[50:].mean() - ranks(new)[30:50].mean()
    assert order < 0, "the shorter scene stands for less"
    # Time does not matter there: it is as good as the rest of its scene.
    np.testing.assert_allclose(again[50:], again[:30].max(), atol=1e-5)


def test_work_grows_no_faster_than_the_video(monkeypatch):
    done = []
    real = coverage.likeness

    def counted(features, times, others, moments, context):
        done.append(len(features) * len(others))
        return real(features, times, others, moments, context)

    monkeypatch.setattr(coverage, "likeness", counted)
    work = []
    for steps in (1000, 2000, 8000):
        done.clear()
        coverage_scores(looks(steps), seconds(steps))
        work.append(sum(done) / steps)
    # Quadratic work would be above it from 8,000 steps on.
    assert max(work) <= MOST_PARTS + MOST_CHOSEN


def test_ranks_share_ties():
    values = np.array([3.0, 1, 1, 2, 3, 3])
    expected = [np.mean([(v > w) + 0.5 * (v == w) for w in values]) for v in values]
    np.testing.assert_allclose(ranks(values), expected, atol=1e-7)


def test_unit_leaves_nothing_as_nothing():
    found = unit(np.array([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(found, [[0.6, 0.8], [0, 0]], atol=1e-7)


def test_importance_counts_coverage_twice_and_leaves_out_what_does_not_change():
    features, times = looks(30), seconds(30)
    stands_for = ranks(coverage_scores(features, times))
    motion = np.random.default_rng(1).random(30).astype(np.float32)
    loudness = np.linspace(-60, -10, 30, dtype=np.float32)
    np.testing.assert_allclose(importance(features, times), stands_for, atol=1e-6)
    np.testing.assert_allclose(
        importance(features, times, motion=motion, loudness=loudness),
        (2 * stands_for + ranks(motion) + ranks(loudness)) / 4,
        atol=1e-6,
    )
    still = np.full(30, 0.2, np.float32)
    np.testing.assert_allclose(
        importance(features, times, motion=still, loudness=loudness),
        (2 * stands_for + ranks(loudness)) / 3,
        atol=1e-6,
    )


def test_wrong_input_is_refused():
    features, times = looks(4), seconds(4)
    with pytest.raises(InputError, match=r"features \(T, D\) and T times.*got \(4, 8\) and \(3,\)"):
        coverage_scores(features, times[:3])
    with pytest.raises(InputError, match="T at least 1"):
        coverage_scores(features[:0], times[:0])
    with pytest.raises(InputError, match="finite"):
        coverage_scores(np.full((4, 8), np.nan, np.float32), times)
    with pytest.raises(InputError, match="context must be above 0 seconds, got 0"):
        coverage_scores(features, times, context=0)
