"""Agreement of numbers against scipy, torchmetrics and sums by hand."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

from videolit.metrics import (
    affect_figures,
    agreement,
    bootstrap_interval,
    bootstrap_statistic,
    file_concordance,
    mean_predictor,
    median_predictor,
)
from videolit.types import InputError


def drawn(seed=0, number=300, columns=2):
    """Truth of several files, and predictions that follow it shifted, shrunk and with noise."""
    rng = np.random.default_rng(seed)
    files = rng.integers(0, 12, number)
    target = rng.normal(size=(12, columns))[files] + 0.5 * rng.normal(size=(number, columns))
    preds = 0.3 + 0.6 * target + 0.4 * rng.normal(size=(number, columns))
    return preds, target, np.array([f"film{one}" for one in files])


def test_agreement_by_hand():
    found = agreement([1, 2, 4], [2, 2, 5])
    # Means 7/3 and 3, variances 14/9 and 2, covariance 5/3.
    assert found.mae == pytest.approx(2 / 3)
    assert found.mse == pytest.approx(2 / 3)
    assert found.corr == pytest.approx((5 / 3) / math.sqrt(14 / 9 * 2))
    assert found.ccc == pytest.approx(2 * (5 / 3) / (14 / 9 + 2 + 4 / 9))
    assert found.undefined is False


@pytest.mark.parametrize("seed", range(3))
def test_agreement_against_independent_implementations(seed):
    from torchmetrics.functional import concordance_corrcoef

    preds, target, _ = drawn(seed)
    found = agreement(torch.tensor(preds[:, 0]), target[:, 0])
    assert found.corr == pytest.approx(scipy.stats.pearsonr(preds[:, 0], target[:, 0])[0])
    # torchmetrics divides variances by N - 1 but not the squared shift.
    number = len(preds)
    shift = (preds[:, 0].mean() - target[:, 0].mean()) ** 2
    cov = np.cov(preds[:, 0], target[:, 0])
    theirs = 2 * cov[0, 1] / (cov[0, 0] + cov[1, 1] + shift)
    reference = concordance_corrcoef(torch.tensor(preds[:, 0]), torch.tensor(target[:, 0]))
    assert theirs == pytest.approx(float(reference), abs=1e-6)
    small = (number - 1) / number
    ours = 2 * small * cov[0, 1] / (small * (cov[0, 0] + cov[1, 1]) + shift)
    assert found.ccc == pytest.approx(ours, abs=1e-12)


def test_concordance_punishes_shift_and_scale_where_correlation_does_not():
    target = np.linspace(-1, 1, 50)
    perfect = agreement(target, target)
    assert (perfect.corr, perfect.ccc) == (pytest.approx(1), pytest.approx(1))
    assert perfect.mae == 0
    for other in (target + 1, 0.2 * target):
        found = agreement(other, target)
        assert found.corr == pytest.approx(1)
        assert found.ccc < 0.6
    assert agreement(-target, target).ccc == pytest.approx(-1)


def test_a_constant_agrees_with_nothing_and_is_told():
    # 0.1 has a variance above 0 after rounding.
    flat, target = np.full(7, 0.1), np.arange(7.0)
    for one, two in ((flat, target), (target, flat), (flat, flat), ([3.0], [2.0])):
        found = agreement(one, two)
        assert (found.corr, found.ccc, found.undefined) == (0, 0, True)
    assert agreement(flat, target).mae == pytest.approx(np.abs(flat - target).mean())
    tiny = agreement([0, 1e-200], target[:2])
    assert (tiny.corr, tiny.ccc, tiny.undefined) == (0, 0, True)
    assert all(math.isnan(value) for value in agreement([], [])[:4])


def test_numbers_that_are_none_are_refused():
    with pytest.raises(InputError, match="predictions must be finite: row 1 has nan, 2 numbers"):
        agreement([0, math.nan, math.inf], [0, 1, 2])
    with pytest.raises(InputError, match="targets must be finite: row 0 has inf"):
        agreement([0.0, 1], torch.tensor([math.inf, 0]))
    with pytest.raises(InputError, match=r"as \(N,\), got \(2,\) and \(2, 1\)"):
        agreement([0, 1], [[0], [1]])


def test_concordance_per_file_is_the_mean_of_each_files_own():
    preds, target, files = drawn()
    files[0] = "one sample"
    each = [
        agreement(preds[files == one, 0], target[files == one, 0]).ccc for one in np.unique(files)
    ]
    mean, constant = file_concordance(preds[:, 0], target[:, 0], list(files))
    assert mean == pytest.approx(np.mean(each))
    assert constant == 1
    assert 0.0 in each
    assert math.isnan(file_concordance([], [], [])[0])
    with pytest.raises(InputError, match=r"300 samples need as many files, got shape \(299,\)"):
        file_concordance(preds[:, 0], target[:, 0], files[1:])


def test_telling_files_apart_is_worth_nothing_per_file():
    files = np.repeat(np.arange(10), 20)
    level = np.arange(10.0)[files]
    rng = np.random.default_rng(0)
    preds, target = level + rng.normal(size=200), level + rng.normal(size=200)
    figures = affect_figures(preds[:, None], target[:, None], ["mood"], files=files)
    assert figures["ccc_mood"] > 0.8
    assert abs(figures["ccc_file_mood"]) < 0.2


def test_affect_figures_are_those_of_each_column():
    preds, target, files = drawn()
    figures = affect_figures(preds, target, files=files)
    for column, name in enumerate(("valence", "arousal")):
        found = agreement(preds[:, column], target[:, column])
        assert figures[f"mae_{name}"] == found.mae
        assert figures[f"mse_{name}"] == found.mse
        assert figures[f"corr_{name}"] == found.corr
        assert figures[f"ccc_{name}"] == found.ccc
        by_file = file_concordance(preds[:, column], target[:, column], files)
        assert figures[f"ccc_file_{name}"] == by_file[0]
        assert figures[f"undefined_files_{name}"] == 0
        assert figures[f"count_{name}"] == 300
    assert figures["ccc"] == pytest.approx((figures["ccc_valence"] + figures["ccc_arousal"]) / 2)
    assert figures["ccc_file"] == pytest.approx(
        (figures["ccc_file_valence"] + figures["ccc_file_arousal"]) / 2
    )
    assert figures["undefined"] == 0
    assert "ccc_file" not in affect_figures(preds, target)
    constant = affect_figures(mean_predictor(target, 300), target)
    assert (constant["undefined"], constant["ccc"]) == (2, 0)


def test_missing_truth_is_left_out_and_missing_answers_are_not():
    preds, target, files = drawn()
    mask = np.random.default_rng(1).random(target.shape) < 0.7
    hidden = np.where(mask, target, np.nan)
    figures = affect_figures(preds, hidden, files=files, mask=mask)
    rows = mask[:, 1]
    assert figures["ccc_arousal"] == agreement(preds[rows, 1], target[rows, 1]).ccc
    assert (
        figures["ccc_file_arousal"]
        == file_concordance(preds[rows, 1], target[rows, 1], files[rows])[0]
    )
    assert figures["count_arousal"] == rows.sum()
    with pytest.raises(InputError, match="targets must be finite"):
        affect_figures(preds, hidden)
    # Of a sample without a truth, too.
    preds[np.argmin(mask[:, 0]), 0] = np.nan
    with pytest.raises(InputError, match="predictions of valence must be finite"):
        affect_figures(preds, hidden, mask=mask)
    with pytest.raises(InputError, match=r"\(N, 1\), one column for each of mood; got \(300, 2\)"):
        affect_figures(preds, target, ["mood"])
    with pytest.raises(InputError, match="as many files"):
        affect_figures(target, target, files=files[1:])


def test_constant_answers_come_from_training_and_are_the_best_constants_there():
    rng = np.random.default_rng(0)
    train = rng.exponential(size=(101, 2))
    train[0, 1] = np.nan
    mean, median = mean_predictor(train, 3), median_predictor(train, 3)
    assert mean.shape == median.shape == (3, 2)
    for column in range(2):
        known = train[~np.isnan(train[:, column]), column]
        grid = np.linspace(0, 3, 2001)[:, None]
        squared = ((known - grid) ** 2).mean(1)
        absolute = np.abs(known - grid).mean(1)
        assert ((known - mean[0, column]) ** 2).mean() <= squared.min()
        assert np.abs(known - median[0, column]).mean() <= absolute.min() + 1e-12
    assert mean_predictor(torch.tensor([1.0, 2, 6]), 2).tolist() == [3, 3]
    assert median_predictor([1.0, 2, 6], 2).tolist() == [2, 2]
    for nothing in ([], [[0.0, np.nan]]):
        with pytest.raises(InputError, match="at least one training target"):
            mean_predictor(nothing, 2)


def test_intervals_over_speakers_are_wider_than_over_clips():
    # Speakers differ in how well they are understood; clips of one speaker do not.
    rng = np.random.default_rng(0)
    speakers = np.repeat(np.arange(15), 12)
    target = rng.normal(size=180)
    preds = target + rng.normal(size=180) * rng.choice([0.1, 2.0], 15)[speakers]
    error = np.abs(preds - target)
    for interval in (
        lambda groups: bootstrap_interval(error, groups=groups),
        lambda groups: bootstrap_statistic(
            lambda rows: agreement(preds[rows], target[rows]).ccc, 180, groups=groups
        ),
    ):
        (low, high), (group_low, group_high) = interval(None), interval(speakers)
        assert group_high - group_low > 1.3 * (high - low)
    assert group_low < agreement(preds, target).ccc < group_high
