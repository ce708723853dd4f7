"""What fits into a summary: choices against brute force, ranges to keep and to drop, splitting."""

import itertools

import numpy as np
import pytest

from videolit.ops.budget import carve, check_ranges, choose, split_to_fit
from videolit.types import InputError


def total(pieces):
    return float((pieces[:, 1] - pieces[:, 0]).sum())


@pytest.mark.parametrize("seed", range(12))
def test_the_choice_is_the_best_that_fits(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 11))
    values, lengths = rng.random(count), rng.integers(5, 400, count) / 100
    budget = float(rng.uniform(0.2, lengths.sum() * 1.1))
    chosen = choose(values, lengths, budget)
    assert chosen.dtype == bool
    assert lengths[chosen].sum() <= budget + 1e-9
    best = max(
        ((values * lengths)[list(some)].sum() for n in range(count + 1)
         for some in itertools.combinations(range(count), n)
         if lengths[list(some)].sum() <= budget + 1e-9),
    )  # fmt: skip
    assert (values * lengths)[chosen].sum() == pytest.approx(best, abs=1e-4)


def test_lengths_between_hundredths_never_exceed_the_budget():
    rng = np.random.default_rng(0)
    for _ in range(50):
        lengths = rng.uniform(0.01, 3, 20)
        budget = float(rng.uniform(0.1, 20))
        for rank in ("knapsack", "greedy"):
            chosen = choose(rng.random(20), lengths, budget, rank=rank)
            assert lengths[chosen].sum() <= budget + 1e-9


def test_a_budget_of_hours_is_counted_more_coarsely_and_still_kept():
    lengths = np.random.default_rng(0).uniform(60, 600, 40)
    chosen = choose(np.linspace(0.1, 1, 40), lengths, 7200.0)
    assert lengths[chosen].sum() <= 7200
    assert lengths[chosen].sum() > 7000


def test_pieces_worth_nothing_fill_what_is_left():
    assert choose(np.zeros(3), np.ones(3), 2.0).sum() == 2
    assert choose(np.array([0.0, 1.0, 0.0]), np.ones(3), 3.0).all()
    assert not choose(np.ones(2), np.full(2, 3.0), 2.0).any()


def test_greedy_takes_the_highest_that_still_fits():
    values, lengths = np.array([0.9, 0.8, 0.1, 0.7]), np.array([3.0, 2.0, 1.0, 2.0])
    assert choose(values, lengths, 4.0, rank="greedy").tolist() == [True, False, True, False]
    assert choose(values, lengths, 4.0).tolist() == [False, True, False, True]


def test_diversity_leaves_out_what_looks_like_what_is_chosen():
    values, lengths = np.array([1.0, 0.95, 0.6, 0.5]), np.ones(4)
    looks = np.array([[1, 0, 0], [1, 0.02, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    given = {"features": looks, "rank": "greedy"}
    assert choose(values, lengths, 2.0, **given).tolist() == [True, True, False, False]
    assert choose(values, lengths, 2.0, diversity=0.9, **given).tolist() == [
        True, False, True, False,
    ]  # fmt: skip
    # A diversity makes the choice greedy, whatever else is asked for.
    assert choose(values, lengths, 3.0, features=looks, diversity=1.0).tolist() == [
        True, False, True, True,
    ]  # fmt: skip
    # Only the piece most alike counts, and what is opposite is no copy.
    opposite = np.array([[1, 0, 0], [-1, 0, 0]], np.float32)
    assert choose(values[:2], lengths[:2], 2.0, features=opposite, diversity=1.0).all()


def test_ranges_are_joined_in_order_and_cut_to_the_video():
    assert check_ranges([(8, 99), (0, 2), (1, 3), (3, 4)], "keep", 10.0) == [(0, 4), (8, 10)]
    assert check_ranges([], "keep", 10.0) == []
    for start, end in ((-1, 2), (3, 3), (5, 4), (10, 12), (0, float("inf")), (float("nan"), 2)):
        with pytest.raises(InputError, match=r"drop must be seconds.*\(0 to 10\.00\)"):
            check_ranges([(start, end)], "drop", 10.0)


def test_carved_pieces_are_shots_cut_where_ranges_begin_and_end():
    shots = np.array([[0, 4], [4, 10]], float)
    pieces, forced, owner = carve(shots, keep=[(3, 5)], drop=[(8, 10)])
    assert pieces.tolist() == [[0, 3], [3, 4], [4, 5], [5, 8]]
    assert forced.tolist() == [False, True, True, False]
    assert owner.tolist() == [0, 0, 1, 1]
    same, forced, owner = carve(shots)
    assert same.tolist() == shots.tolist()
    assert not forced.any()
    assert owner.tolist() == [0, 1]


def test_what_is_kept_wins_over_what_is_dropped():
    pieces, forced, _ = carve(np.array([[0.0, 10.0]]), keep=[(2, 4)], drop=[(0, 10)])
    assert pieces.tolist() == [[2, 4]]
    assert forced.tolist() == [True]


@pytest.mark.parametrize("seed", range(8))
def test_carving_covers_what_is_not_dropped_once(seed):
    rng = np.random.default_rng(seed)
    bounds = np.unique(rng.uniform(0, 60, 9).round(1))
    shots = np.stack([[0, *bounds], [*bounds, 60]], 1)
    keep = check_ranges([sorted(rng.uniform(0, 60, 2).round(1)) for _ in range(2)], "keep", 60)
    drop = check_ranges([sorted(rng.uniform(0, 60, 2).round(1)) for _ in range(3)], "drop", 60)
    pieces, forced, owner = carve(shots, keep, drop)
    moments = np.arange(0.05, 60, 0.1)
    inside = ((pieces[:, 0] <= moments[:, None]) & (moments[:, None] < pieces[:, 1])).sum(1)
    kept = np.array([any(a <= t < b for a, b in keep) for t in moments])
    dropped = np.array([any(a <= t < b for a, b in drop) for t in moments])
    assert inside.tolist() == (kept | ~dropped).astype(int).tolist()
    assert total(pieces[forced]) == pytest.approx(sum(b - a for a, b in keep))
    assert (pieces[:, 0] >= shots[owner, 0]).all()
    assert (pieces[:, 1] <= shots[owner, 1]).all()


def test_everything_dropped_leaves_no_piece():
    pieces, forced, owner = carve(np.array([[0.0, 5.0]]), drop=[(0, 5)])
    assert pieces.shape == (0, 2)
    assert forced.shape == owner.shape == (0,)
    assert split_to_fit(pieces, 1.0).shape == (0, 2)


def test_pieces_are_split_only_where_none_fits():
    pieces = np.array([[0.0, 5.0], [5.0, 7.0]])
    assert split_to_fit(pieces, 2.0) is pieces
    parts = split_to_fit(pieces, 1.5)
    assert (parts[:, 1] - parts[:, 0] <= 1.5 + 1e-9).all()
    assert total(parts) == pytest.approx(7)
    assert (parts[1:, 0] == parts[:-1, 1]).all()
    assert len(parts) == 4 + 2
    # Bounds of the pieces stay bounds.
    assert 5.0 in parts[:, 0]
