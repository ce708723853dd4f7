"""Rank correlations against scipy, pair counting, and the annotators of TVSum."""

import itertools

import h5py
import numpy as np
import pytest
import torch
from scipy.stats import kendalltau, spearmanr

from videolit.metrics import (
    human_leave_one_out,
    rank_correlation,
    rank_correlations,
    undefined_correlations,
)
from videolit.types import InputError


def drawn(rng, levels, shape):
    """Numbers of so many levels; all different without."""
    return rng.normal(size=shape) if levels is None else rng.integers(1, levels + 1, shape) * 1.0


@pytest.mark.parametrize("levels", [2, 5, 30, None])
@pytest.mark.parametrize("user_levels", [2, 5, 30, None])
def test_correlations_are_scipys_with_ties_in_either(levels, user_levels):
    rng = np.random.default_rng(0)
    for length in (2, 3, 7, 64, 65, 301):
        one, many = drawn(rng, levels, length), drawn(rng, user_levels, (4, length))
        tau, rho = rank_correlations(one, many)
        constant = (np.ptp(many, axis=1) == 0) | (np.ptp(one) == 0)
        for user in range(4):
            if constant[user]:
                assert (tau[user], rho[user]) == (0, 0)
                continue
            assert tau[user] == pytest.approx(kendalltau(one, many[user])[0], abs=1e-12)
            assert rho[user] == pytest.approx(spearmanr(one, many[user])[0], abs=1e-12)
        assert undefined_correlations(one, many) == constant.sum()
        assert rank_correlation(one, many) == pytest.approx((tau.mean(), rho.mean()), abs=1e-15)


def test_tau_counts_pairs():
    rng = np.random.default_rng(1)
    one, two = rng.integers(0, 4, 25), rng.integers(0, 3, 25)
    signs = [
        (np.sign(one[i] - one[j]), np.sign(two[i] - two[j]))
        for i, j in itertools.combinations(range(25), 2)
    ]
    products = sum(a * b for a, b in signs)
    scale = np.sqrt(sum(abs(a) for a, _ in signs)) * np.sqrt(sum(abs(b) for _, b in signs))
    tau, _ = rank_correlations(one, two[None])
    assert tau[0] == pytest.approx(products / scale, abs=1e-12)


def test_the_order_of_frames_and_the_scale_of_scores_say_nothing():
    rng = np.random.default_rng(2)
    one, many = rng.normal(size=90), rng.integers(1, 6, (5, 90))
    order = rng.permutation(90)
    expected = rank_correlation(one, many)
    assert rank_correlation(np.exp(3 * one[order]), many[:, order]) == pytest.approx(expected)
    turned = rank_correlation(-one, many)
    assert turned == pytest.approx((-expected[0], -expected[1]))
    assert rank_correlation(many[0], many[:1]) == pytest.approx((1, 1))


def test_a_constant_counts_as_zero_and_is_counted():
    many = np.array([[1, 2, 3], [2, 2, 2]])
    assert rank_correlation([1, 2, 3], many) == pytest.approx((0.5, 0.5))
    assert undefined_correlations([1, 2, 3], many) == 1
    assert rank_correlation([7, 7, 7], many) == (0, 0)
    assert undefined_correlations([7, 7, 7], many) == 2
    # One frame has no order.
    assert rank_correlation([1], [[3]]) == (0, 0)
    assert undefined_correlations([1], [[3]]) == 1


def test_each_protocol_takes_its_own_mean():
    rng = np.random.default_rng(3)
    one, many = rng.normal(size=60), rng.integers(1, 6, (7, 60))
    singly = rank_correlation(one, many)
    mean = rank_correlation(one, many, protocol="mean_score")
    expected = (kendalltau(one, many.mean(0))[0], spearmanr(one, many.mean(0))[0])
    assert mean == pytest.approx(expected, abs=1e-12)
    assert mean != pytest.approx(singly, abs=1e-3)
    chosen, users = one > 1, many > 3
    found = rank_correlation(chosen[:50], users, protocol="summary_vs_mean")
    padded = np.append(chosen[:50], np.zeros(10))
    expected = (kendalltau(padded, users.mean(0))[0], spearmanr(padded, users.mean(0))[0])
    assert found == pytest.approx(expected, abs=1e-12)
    with pytest.raises(InputError, match="protocol must be one of"):
        rank_correlation(one, many, protocol="B")


def test_tensors_are_taken_as_arrays_are():
    rng = np.random.default_rng(4)
    one, many = rng.integers(0, 9, 40), rng.integers(1, 6, (3, 40))
    expected = rank_correlation(one, many)
    scores = torch.tensor(one, dtype=torch.bfloat16, requires_grad=True)
    assert rank_correlation(scores, torch.from_numpy(many)) == expected


def test_people_are_compared_with_each_other_singly():
    many = np.random.default_rng(5).integers(1, 6, (4, 50))
    pairs = list(itertools.combinations(many, 2))
    expected = (
        np.mean([kendalltau(a, b)[0] for a, b in pairs]),
        np.mean([spearmanr(a, b)[0] for a, b in pairs]),
    )
    assert human_leave_one_out(many) == pytest.approx(expected, abs=1e-12)
    with pytest.raises(InputError, match=r"two or more, got \(1, 50\)"):
        human_leave_one_out(many[:1])


def test_correlations_say_what_is_wrong():
    with pytest.raises(InputError, match=r"at the same frames, got \(3,\) and \(2, 4\)"):
        rank_correlation(np.ones(3), np.ones((2, 4)))
    with pytest.raises(InputError, match=r"got \(3,\) and \(3,\)"):
        rank_correlation(np.ones(3), np.ones(3))
    with pytest.raises(InputError, match=r"got \(0,\) and \(2, 0\)"):
        rank_correlation(np.ones(0), np.ones((2, 0)))
    with pytest.raises(InputError, match="finite"):
        rank_correlation([1, np.nan], np.ones((2, 2)))


@pytest.fixture(scope="module")
def tvsum(real_data):
    """Each 15th score of the 20 annotators of every video."""
    path = real_data / "tvsum" / "ydata-tvsum50.mat"
    if not path.is_file():
        pytest.skip(f"no {path}")
    with h5py.File(path) as file:
        return [file[cell][:, ::15] for cell in file["tvsum50/user_anno"][:, 0]]


@pytest.mark.real
def test_people_agree_on_tvsum_as_published(tvsum):
    """Otani et al. (CVPR 2019) print 0.177 and 0.204."""
    assert len(tvsum) == 50
    tau, rho = np.mean([human_leave_one_out(users) for users in tvsum], axis=0)
    assert tau == pytest.approx(0.1774, abs=5e-5)
    assert rho == pytest.approx(0.2042, abs=5e-5)


@pytest.mark.real
def test_scores_that_know_nothing_agree_with_nobody_on_tvsum(tvsum):
    rng = np.random.default_rng(0)
    found = [rank_correlation(rng.random(users.shape[1]), users) for users in tvsum]
    assert np.abs(np.mean(found, axis=0)).max() < 0.02
    assert sum(undefined_correlations(np.arange(users.shape[1]), users) for users in tvsum) == 0
