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
    novelty_scores,
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


def scores_by_loop(features, times, context, near):
    """Facility location by its definition: sets are worth what they cover, chosen greedily."""
    alike = alike_by_loop(features, times, context)
    looks_alike = 2 * alike_by_loop(features, times, 1e-9) - np.eye(len(times))

    def worth(chosen):
        return np.mean([max((alike[m, t] for m in chosen), default=0) for t in range(len(times))])

    chosen, scores, first = [], np.zeros(len(times)), None
    while len(chosen) < MOST_CHOSEN:
        gains = [worth([*chosen, t]) - worth(chosen) for t in range(len(times))]
        best = int(np.argmax(gains))
        first = first or gains[best]
        if gains[best] <= 0.01 * first:
            break
        around = np.exp(-np.abs(times - times[best]) / near)
        scores = np.maximum(scores, gains[best] / first * looks_alike[best] * around)
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
@pytest.mark.parametrize(("context", "near"), [(1.0, 5.0), (60.0, 1.0)])
def test_scores_are_those_of_the_greedy_choice_by_definition(steps, context, near):
    features, times = looks(steps, seed=steps), seconds(steps)
    found = coverage_scores(features, times, context=context, near=near)
    expected = scores_by_loop(features, times, context, near)
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
    assert found.max() == pytest.approx(value, abs=1e-5)
    novel = novelty_scores(np.full((40, 8), value, np.float32), seconds(40))
    assert (novel[:8] == 1).all()
    np.testing.assert_allclose(novel[8:], 1 - value, atol=1e-6)
    mixed = importance(
        np.full((40, 8), value, np.float32), seconds(40), motion=np.zeros(40, np.float32)
    )
    assert np.isfinite(mixed).all()


def test_what_comes_back_counts_less_than_its_longest_run():
    base = np.eye(4, dtype=np.float32)
    # 30 steps of one scene, 20 of another, then 16 of the first again, or of something new.
    again, new = (base[np.repeat([0, 1, last], [30, 20, 16])] for last in (0, 2))
    times = seconds(66)
    scores = coverage_scores(again, times)
    assert int(scores.argmax()) < 30
    assert scores[50:].max() < scores[:30].max()
    assert scores[50:].max() < coverage_scores(new, times)[50:].max()
    assert novelty_scores(again, times)[50:].max() == 0
    assert novelty_scores(new, times)[50:58].min() == 1
    assert importance(again, times)[50:].mean() < importance(new, times)[50:].mean()


@pytest.mark.parametrize(("steps", "most"), [(1, 512), (30, 512), (30, 10), (31, 7)])
def test_novelty_is_what_was_not_seen_before(monkeypatch, steps, most):
    monkeypatch.setattr(coverage, "MOST_PARTS", most)
    features, times = looks(steps), seconds(steps)
    edges = np.linspace(0, steps, min(steps, most) + 1).round().astype(int)
    expected = []
    for now in range(steps):
        seen = [0.0]
        for a, b in zip(edges[:-1], edges[1:], strict=True):
            if times[b - 1] <= times[now] - 4.0:
                part = features[a:b].mean(0)
                seen.append(
                    part @ features[now] / np.linalg.norm(part) / np.linalg.norm(features[now])
                )
        expected.append(1 - max(seen))
    np.testing.assert_allclose(novelty_scores(features, times), expected, atol=1e-5)


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


def test_importance_is_the_mean_rank_of_what_changes():
    features, times = looks(30), seconds(30)
    known = [ranks(coverage_scores(features, times)), ranks(novelty_scores(features, times))]
    motion = np.random.default_rng(1).random(30).astype(np.float32)
    loudness = np.linspace(-60, -10, 30, dtype=np.float32)
    still = np.full(30, 0.2, np.float32)
    for more, expected in (
        ({}, known),
        ({"motion": motion, "loudness": loudness}, [*known, ranks(motion), ranks(loudness)]),
        ({"motion": still, "loudness": loudness}, [*known, ranks(loudness)]),
    ):
        found = importance(features, times, **more)
        np.testing.assert_allclose(found, np.mean(expected, axis=0), atol=1e-6)
    assert importance(features[:1], times[:1]).tolist() == [0.5]


def test_wrong_input_is_refused():
    features, times = looks(4), seconds(4)
    with pytest.raises(InputError, match=r"features \(T, D\) and T times.*got \(4, 8\) and \(3,\)"):
        coverage_scores(features, times[:3])
    with pytest.raises(InputError, match="T at least 1"):
        coverage_scores(features[:0], times[:0])
    with pytest.raises(InputError, match="finite"):
        coverage_scores(np.full((4, 8), np.nan, np.float32), times)
    with pytest.raises(InputError, match="context and near must be above 0 s, got 0 and 5.0"):
        coverage_scores(features, times, context=0)
    with pytest.raises(InputError, match="context and near must be above 0 s, got 60.0 and 0"):
        coverage_scores(features, times, near=0)
    with pytest.raises(InputError, match="T at least 1"):
        novelty_scores(features[:0], times[:0])
