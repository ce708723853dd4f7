"""Selection against all subsets and against the published protocol, cell by cell."""

import itertools

import numpy as np
import pytest

from videolit.ops.select import frame_scores, greedy, keyshot_summary, knapsack, shot_values
from videolit.types import InputError


def plain_knapsack(values, weights, capacity):
    """The published table of Python floats; items chosen."""
    table = [[0.0] * (capacity + 1) for _ in range(len(values) + 1)]
    for i in range(1, len(values) + 1):
        for room in range(1, capacity + 1):
            table[i][room] = table[i - 1][room]
            if weights[i - 1] <= room:
                with_it = values[i - 1] + table[i - 1][room - weights[i - 1]]
                table[i][room] = max(with_it, table[i - 1][room])
    chosen, room = [], capacity
    for i in range(len(values), 0, -1):
        if table[i][room] != table[i - 1][room]:
            chosen.append(i - 1)
            room -= weights[i - 1]
    return sorted(chosen)


def plain_summary(scores, picks, num_frames, change_points):
    """The published protocol with inclusive change points, frame by frame."""
    every = np.zeros(num_frames, np.float32)
    bounds = list(picks)
    if bounds[-1] != num_frames:
        bounds.append(num_frames)
    for i in range(len(bounds) - 1):
        every[bounds[i] : bounds[i + 1]] = scores[i] if i < len(scores) else 0
    values, weights = [], []
    for first, last in change_points:
        values.append(every[first : last + 1].mean().item())
        weights.append(last - first + 1)
    end = change_points[-1][1]
    summary = np.zeros(end + 1, np.int8)
    for i in plain_knapsack(values, weights, int((end + 1) * 0.15)):
        summary[change_points[i][0] : change_points[i][1] + 1] = 1
    return summary


def test_knapsack_reaches_the_best_of_all_subsets():
    rng = np.random.default_rng(0)
    for _ in range(60):
        size = int(rng.integers(1, 11))
        values, weights = rng.normal(0.5, 1, size), rng.integers(1, 20, size)
        capacity = int(rng.integers(0, 60))
        chosen = knapsack(values, weights, capacity)
        every = np.array(list(itertools.product([0, 1], repeat=size)))
        fits = every @ weights <= capacity
        assert weights[chosen].sum() <= capacity
        assert values[chosen].sum() == pytest.approx((every @ values)[fits].max(), abs=1e-12)


def test_knapsack_chooses_what_the_plain_table_chooses():
    rng = np.random.default_rng(1)
    for turn in range(150):
        size = int(rng.integers(1, 15))
        weights = rng.integers(1, 12, size) * (1, 3, 15)[turn % 3]
        # Many ties: few values, that add up inexactly.
        values = rng.choice([0.0, 0.1, 0.2, 0.3, -0.1], size)
        capacity = int(rng.integers(0, 1.2 * weights.sum()))
        chosen = np.flatnonzero(knapsack(values, weights, capacity)).tolist()
        assert chosen == plain_knapsack(values.tolist(), weights.tolist(), capacity)


def test_the_earlier_of_equal_shots_is_taken():
    assert knapsack(np.ones(3), np.array([5, 5, 5]), 5).tolist() == [True, False, False]
    # One long shot against two short ones of the same sum: what came first stays.
    assert knapsack(np.array([2.0, 1.0, 1.0]), np.array([4, 2, 2]), 4).tolist() == [1, 0, 0]
    assert knapsack(np.array([1.0, 1.0, 2.0]), np.array([2, 2, 4]), 4).tolist() == [1, 1, 0]


@pytest.mark.parametrize("choose", [knapsack, greedy])
def test_nothing_is_chosen_where_nothing_fits(choose):
    assert not choose(np.ones(2), np.array([5, 6]), 4).any()
    assert not choose(np.ones(2), np.array([5, 6]), -1).any()
    assert not choose(np.array([0.0, -1.0]), np.array([1, 1]), 4).any()
    assert choose(np.zeros(0), np.zeros(0, np.int64), 4).tolist() == []
    assert choose(np.ones(2), np.array([5, 6]), 10**12).all()


def test_greedy_goes_by_value_per_frame_and_fills_up():
    values, weights = np.array([3.0, 4.0, 1.0, 0.9, 1.0]), np.array([3, 2, 4, 3, 1])
    # 2 per frame, then 1 and 1 (the earlier first), then 0.3 before 0.25.
    assert greedy(values, weights, 5).tolist() == [True, True, False, False, False]
    assert greedy(values, weights, 9).tolist() == [True, True, False, True, True]
    assert greedy(values, weights, 4).tolist() == [False, True, False, False, True]


def test_items_that_fit_no_knapsack():
    with pytest.raises(InputError, match=r"\(2,\) values need as many weights, got \(3,\)"):
        knapsack(np.ones(2), np.ones(3, np.int64), 4)
    with pytest.raises(InputError, match="whole numbers of frames, got float64"):
        knapsack(np.ones(2), np.ones(2), 4)
    with pytest.raises(InputError, match="weights at least 1"):
        greedy(np.ones(2), np.array([1, 0]), 4)
    with pytest.raises(InputError, match="finite"):
        knapsack(np.array([1, np.nan]), np.array([1, 1]), 4)


def test_frames_take_the_score_of_the_last_pick():
    scores = np.array([0.1, 0.2, 0.3])
    found = frame_scores(scores, np.array([0, 2, 5]), 8)
    assert found.dtype == np.float32
    assert found.tolist() == np.float32([0.1, 0.1, 0.2, 0.2, 0.2, 0.3, 0.3, 0.3]).tolist()
    # Before the first pick, and where picks outnumber scores, there is no score.
    assert (
        frame_scores(scores[:1], np.array([2, 4]), 6).tolist()
        == np.float32([0, 0, 0.1, 0.1, 0, 0]).tolist()
    )
    # A last pick at the end is no frame.
    assert frame_scores(scores, np.array([0, 1, 2]), 2).tolist() == np.float32([0.1, 0.2]).tolist()


def test_scores_that_fit_no_picks():
    with pytest.raises(InputError, match=r"scores \(3,\) need a pick each, .* got picks \(2,\)"):
        frame_scores(np.ones(3), np.array([0, 1]), 4)
    with pytest.raises(InputError, match="at most 4, the number of frames, got 0 to 5"):
        frame_scores(np.ones(2), np.array([0, 5]), 4)
    with pytest.raises(InputError, match="scores must be finite"):
        frame_scores(np.array([np.nan]), np.array([0]), 4)


def test_shot_values_are_means_and_stop_before_the_stop():
    values = shot_values(np.float32([0, 0, 6, 1, 1]), np.array([[0, 3], [3, 5]]))
    assert values.tolist() == [2, 1]
    assert values.dtype == np.float64
    for shot in ([3, 3], [-1, 2], [4, 6]):
        with pytest.raises(InputError, match=f"within 5 frames; got {shot[0]} to {shot[1]}"):
            shot_values(np.zeros(5), np.array([shot]))
    with pytest.raises(InputError, match=r"at least one of them, got \(0, 2\)"):
        shot_values(np.zeros(5), np.zeros((0, 2), np.int64))


@pytest.mark.parametrize("levels", [None, 3, 1])
def test_keyshot_summaries_are_the_published_ones(levels):
    rng = np.random.default_rng(2)
    some = 0
    for turn in range(30):
        num_frames = int(rng.integers(100, 400))
        picks = np.arange(0, num_frames, 15)
        scores = rng.random(len(picks)).astype(np.float32)
        if levels:
            scores = (rng.integers(1, levels + 1, len(picks)) / 10).astype(np.float32)
        if turn % 3 == 0:
            scores = scores[:-1]
        # The files' shots may end before the video does.
        end = num_frames - int(rng.integers(0, 3))
        cuts = np.sort(rng.choice(np.arange(1, end), int(rng.integers(3, 15)), replace=False))
        bounds = np.array([0, *cuts, end])
        shots = np.stack([bounds[:-1], bounds[1:]], axis=1)
        summary = keyshot_summary(scores, picks, num_frames, shots)
        published = plain_summary(scores, picks, num_frames, (shots - [0, 1]).tolist())
        assert summary.dtype == np.bool_
        assert summary.shape == (num_frames,)
        assert (summary[:end] == published).all()
        assert not summary[end:].any()
        some += summary.any()
    assert some > 20


def test_the_options_of_keyshot_summaries():
    # 110 frames, of which shots cover 104: 15 % are 16.5 and 15.6, 14.4 % of all 15.84.
    picks, shots = np.arange(110), np.array([[0, 16], [16, 31], [31, 104]])
    scores = np.concatenate([np.full(16, 0.9), np.full(15, 0.8), np.full(79, 0.1)])

    def chosen(**options):
        summary = keyshot_summary(scores, picks, 110, shots, **options)
        return [int(summary[first]) for first, _ in shots]

    assert chosen() == [0, 1, 0]
    assert chosen(capacity="num_frames") == [1, 0, 0]
    assert chosen(capacity="num_frames", ratio=0.3) == [1, 1, 0]
    assert chosen(capacity="num_frames", ratio=0.144) == [0, 1, 0]
    assert chosen(capacity="rounded", ratio=0.144) == [1, 0, 0]
    # By value per frame the first shot is first, until the second has the same mean.
    assert chosen(capacity="num_frames", method="greedy") == [1, 0, 0]
    scores[16:31] = 0.9
    assert chosen(capacity="num_frames") == [1, 0, 0]
    assert chosen(capacity="num_frames", method="greedy") == [0, 1, 0]
    # Without their fourth decimal the two tie, and the first is taken.
    scores[:16], scores[16:31] = 0.9001, 0.9004
    assert chosen(capacity="num_frames") == [0, 1, 0]
    assert chosen(capacity="num_frames", values="int1000") == [1, 0, 0]
    with pytest.raises(InputError, match="ratio must be above 0 and at most 1, got 15"):
        chosen(ratio=15)
    with pytest.raises(InputError, match="method must be one of knapsack, greedy, got 'best'"):
        chosen(method="best")
