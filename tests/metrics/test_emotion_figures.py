"""Figures of emotion classes against scikit-learn."""

import math

import numpy as np
import pytest
import sklearn.metrics
import torch

from videolit.metrics import (
    bootstrap_statistic,
    class_figures,
    count_confusion,
    emotion_figures,
    majority_accuracy,
    majority_scores,
    weighted_f1,
)
from videolit.types import InputError

CLASSES = 5


def guesses(seed=0, number=120):
    """Scores and labels that often agree; class 3 is answered and never true."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 0, 0, 0, 1, 2, 4], number)
    scores = rng.random((number, CLASSES))
    scores[np.arange(number), labels] += 0.6 * rng.random(number)
    return scores, labels


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_sklearns(seed):
    scores, labels = guesses(seed)
    said = scores.argmax(1)
    figures = emotion_figures(torch.tensor(scores), torch.tensor(labels), class_names="abcde")
    assert figures["war"] == pytest.approx(sklearn.metrics.accuracy_score(labels, said), abs=1e-6)
    present = np.unique(labels)
    recalls = sklearn.metrics.recall_score(
        labels, said, labels=present, average=None, zero_division=0
    )
    assert figures["uar"] == pytest.approx(recalls.mean())
    for average in ("weighted", "macro"):
        expected = sklearn.metrics.f1_score(labels, said, average=average)
        assert figures[f"{average}_f1"] == pytest.approx(expected)
    assert figures["chance_uar"] == 1 / 4
    assert figures["answered"] == len(np.unique(said))
    # Class "d" is never true: it has no recall, and an F1 of 0 as it is answered.
    assert math.isnan(figures["recall/d"])
    assert figures["f1/d"] == 0
    precision, recall, f1, samples = sklearn.metrics.precision_recall_fscore_support(
        labels, said, labels=range(CLASSES), zero_division=np.nan
    )
    confusion = count_confusion(true=labels, predicted=said, num_classes=CLASSES)
    found = class_figures(confusion)
    np.testing.assert_allclose(found["precision"], precision)
    np.testing.assert_allclose(found["recall"], recall)
    np.testing.assert_allclose(found["f1"], f1)
    assert found["samples"].tolist() == samples.tolist()
    assert found["answers"].tolist() == np.bincount(said, minlength=CLASSES).tolist()
    assert [figures[f"f1/{name}"] for name in "abc"] == pytest.approx(found["f1"][:3])


def test_weighted_f1_with_swapped_arguments_is_another_number():
    # 8 of the first class of which 6 are taken for the second, and 3 of the second, all right.
    true, said = [0] * 8 + [1] * 3, [0] * 2 + [1] * 6 + [1] * 3
    counts = count_confusion(true=true, predicted=said, num_classes=2)
    assert counts.tolist() == [[2, 6], [0, 3]]
    first, second = 4 / 10, 6 / 12
    assert weighted_f1(counts) == pytest.approx((8 * first + 3 * second) / 11)
    assert weighted_f1(counts.T) == pytest.approx((2 * first + 9 * second) / 11)
    assert weighted_f1(counts) == pytest.approx(
        sklearn.metrics.f1_score(true, said, average="weighted")
    )


def test_folds_pooled_and_averaged_are_two_figures():
    # One fold of 4 all right, one of 1 wrong.
    scores, labels = np.eye(2)[[0, 0, 1, 1, 1]], np.array([0, 0, 1, 1, 0])
    figures = emotion_figures(scores, labels, folds=["a"] * 4 + ["b"])
    assert figures["war"] == pytest.approx(4 / 5)
    assert figures["war_fold_mean"] == pytest.approx((1 + 0) / 2)
    assert figures["uar"] == pytest.approx((2 / 3 + 1) / 2)
    assert figures["uar_fold_mean"] == pytest.approx((1 + 0) / 2)
    with pytest.raises(InputError, match=r"5 samples need as many folds, got shape \(2,\)"):
        emotion_figures(scores, labels, folds=[0, 1])


def test_the_majority_is_that_of_training():
    _, labels = guesses()
    scores = majority_scores(torch.tensor([4, 4, 1, 1, 4, 0]), CLASSES, len(labels))
    figures = emotion_figures(scores, labels)
    assert figures["war"] == pytest.approx(majority_accuracy([1, 2, 0, 0, 3], labels), abs=1e-6)
    assert figures["uar"] == pytest.approx(figures["chance_uar"])
    assert figures["answered"] == 1
    assert scores[0].tolist() == pytest.approx([1 / 6, 2 / 6, 0, 0, 3 / 6])
    with pytest.raises(InputError, match="at least one training label"):
        majority_scores([], CLASSES, 3)


def test_what_cannot_be_counted_is_refused():
    scores, labels = guesses()
    with pytest.raises(InputError, match=r"true classes are in \[0, 5\), got -1 to 4"):
        emotion_figures(scores, np.where(labels == 1, -1, labels))
    with pytest.raises(InputError, match=r"predicted classes are in \[0, 2\), got 0 to 2"):
        count_confusion(true=[0, 1], predicted=[0, 2], num_classes=2)
    with pytest.raises(InputError, match="true classes are whole numbers, got float64"):
        emotion_figures(scores, labels + 0.5)
    with pytest.raises(InputError, match=r"got \(2,\) and \(1,\)"):
        count_confusion(true=[0, 1], predicted=[0], num_classes=2)
    with pytest.raises(InputError, match=r"scores \(N, K\) and labels \(N,\)"):
        emotion_figures(scores, labels[1:])
    with pytest.raises(InputError, match="5 classes need as many names, got 2"):
        emotion_figures(scores, labels, class_names=["a", "b"])
    scores[3, 2] = np.nan
    with pytest.raises(InputError, match="scores must be finite: row 3"):
        emotion_figures(scores, labels)


def test_no_sample_has_no_figure():
    figures = emotion_figures(np.empty((0, 3)), np.empty(0, int), folds=[], class_names="abc")
    assert figures.pop("answered") == 0
    assert all(math.isnan(value) for value in figures.values())


def test_intervals_of_recall_over_actors_hold_the_figure():
    scores, labels = guesses(number=240)
    actors = np.repeat(np.arange(12), 20)
    for name in ("uar", "weighted_f1"):
        low, high = bootstrap_statistic(
            lambda rows, name=name: emotion_figures(scores[rows], labels[rows])[name],
            240,
            groups=actors,
        )
        assert low < emotion_figures(scores, labels)[name] < high
        assert 0.02 < high - low < 0.4
