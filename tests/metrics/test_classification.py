"""Metrics against sklearn and scipy, in batches, and on two processes."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torchmetrics import MetricCollection

from videolit.metrics import (
    MeanClassAccuracy,
    SampleScores,
    bootstrap_interval,
    bootstrap_statistic,
    macro_f1,
    majority_accuracy,
    mean_class_accuracy,
)
from videolit.types import InputError

CLASSES = 5


def guesses(seed, number=83):
    """Scores and labels that agree half the time; class 3 never occurs."""
    rng = np.random.default_rng(seed)
    label = rng.choice([0, 0, 0, 1, 2, 4], number)
    scores = rng.random((number, CLASSES))
    scores[np.arange(number), label] += 0.5 * rng.random(number)
    return torch.tensor(scores, dtype=torch.float32), torch.tensor(label)


@pytest.mark.parametrize("seed", range(5))
def test_mean_class_accuracy_is_sklearns_balanced_accuracy(seed):
    # Imported here and not above, because the two processes below import this file.
    import sklearn.metrics

    scores, label = guesses(seed)
    predicted = scores.argmax(1)
    # sklearn warns that class 3 is predicted and never true; it leaves it out as well.
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        expected = sklearn.metrics.balanced_accuracy_score(label, predicted)
    confusion = sklearn.metrics.confusion_matrix(label, predicted, labels=range(CLASSES))
    assert float(mean_class_accuracy(torch.tensor(confusion))) == pytest.approx(expected)

    metric = MeanClassAccuracy(CLASSES)
    for part in torch.arange(len(label)).split(10):
        metric.update(scores[part], label[part])
    metric.update(scores[:0], label[:0])
    assert metric.confusion.tolist() == confusion.tolist()
    assert float(metric.compute()) == pytest.approx(expected)
    metric.reset()
    metric.update(predicted, label)
    assert float(metric.compute()) == pytest.approx(expected)


def test_mean_class_accuracy_by_hand():
    assert float(mean_class_accuracy(torch.tensor([[9, 1], [1, 1]]))) == pytest.approx(0.7)
    assert float(mean_class_accuracy(torch.tensor([[9, 1], [0, 0]]))) == pytest.approx(0.9)
    assert math.isnan(float(mean_class_accuracy(torch.zeros(2, 2, dtype=torch.int64))))


def test_metrics_in_a_collection():
    scores, label = guesses(0)
    collection = MetricCollection({"a": MeanClassAccuracy(CLASSES)})
    first, second = collection.clone(prefix="val/"), collection.clone(prefix="test/")
    first.update(scores, label)
    second.update(scores[:1], label[:1])
    assert set(first.compute()) == {"val/a"}
    assert float(first.compute()["val/a"]) != float(second.compute()["test/a"])


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_bootstrap_agrees_with_scipy(rate):
    import scipy.stats

    correct = np.random.default_rng(1).random(150) < rate
    low, high = bootstrap_interval(torch.tensor(correct), num_resamples=4000)
    reference = scipy.stats.bootstrap(
        (correct.astype(float),), np.mean, n_resamples=4000, method="percentile", rng=0
    ).confidence_interval
    # Quantiles of 4000 draws from a grid of 1/150.
    assert low == pytest.approx(reference.low, abs=0.011)
    assert high == pytest.approx(reference.high, abs=0.011)
    assert low < correct.mean() < high


def test_bootstrap_of_groups_is_wider():
    # 20 people; each one's 10 clips are all right or all wrong: there are 20 samples, not 200.
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(20), 10)
    correct = np.repeat(rng.random(20) < 0.5, 10)
    low, high = bootstrap_interval(correct)
    group_low, group_high = bootstrap_interval(correct, groups=[f"person{p}" for p in person])
    one_low, one_high = bootstrap_interval(correct[::10])
    assert (group_high - group_low) > 2.5 * (high - low)
    assert group_low == pytest.approx(one_low, abs=0.06)
    assert group_high == pytest.approx(one_high, abs=0.06)


def test_bootstrap_draws_whole_groups_of_any_size():
    # Two groups, 9 wrong and 1 right: a draw holds both, or one of them twice.
    correct = [0] * 9 + [1]
    groups = ["big"] * 9 + ["small"]
    assert bootstrap_interval(correct, groups=groups) == (0.0, 1.0)
    low, high = bootstrap_interval(correct, groups=groups, level=0.4)
    assert (low, high) == (0.0, pytest.approx(1.0)) or (low, high) == pytest.approx((0.1, 0.1))


def test_bootstrap_ends():
    assert bootstrap_interval(torch.ones(10)) == (1.0, 1.0)
    assert bootstrap_interval([1, 0, 1], seed=3) == bootstrap_interval([1, 0, 1], seed=3)
    assert all(math.isnan(end) for end in bootstrap_interval([]))
    narrow, wide = (bootstrap_interval([0, 1] * 50, level=level) for level in (0.5, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    with pytest.raises(InputError, match="3 samples need as many groups, got 2"):
        bootstrap_interval([1, 0, 1], groups=["a", "b"])


def test_majority():
    assert majority_accuracy([3, 7, 7], torch.tensor([1, 1, 2, 0])) == 0.5
    assert majority_accuracy([3, 1], [1, 1]) == 0.0
    assert math.isnan(majority_accuracy([3, 1], []))


def test_sample_scores_come_in_order_and_once():
    store = SampleScores(2)
    store.update(torch.tensor([4, 2]), torch.tensor([1, 0]), torch.tensor([[0.4, 0.6], [0.2, 0.8]]))
    store.update(
        torch.tensor([0, 4], dtype=torch.int64),
        torch.tensor([0, 1]),
        torch.tensor([[0.0, 1.0], [9.0, 9.0]]).to(torch.bfloat16),
    )
    index, label, scores = store.compute()
    assert index.tolist() == [0, 2, 4]
    assert label.tolist() == [0, 0, 1]
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, torch.tensor([[0.0, 1.0], [0.2, 0.8], [0.4, 0.6]]))
    store.reset()
    store.update(torch.tensor([7]), torch.tensor([0]), torch.tensor([[1.0, 0.0]]))
    # torchmetrics would squeeze these to scalars.
    for again in (store, pickle.loads(pickle.dumps(store)), store.clone()):
        assert [part.tolist() for part in again.compute()] == [[7], [0], [[1.0, 0.0]]]


def test_sample_scores_of_nothing():
    store = SampleScores(3)
    store.update(
        torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64), torch.empty(0, 3)
    )
    index, label, scores = store.compute()
    assert (index.shape, label.shape, scores.shape) == ((0,), (0,), (0, 3))
    assert index.dtype == label.dtype == torch.int64


def on_two_processes(rank, folder):
    """One of two processes: every metric on its share; shares with nothing in them included."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    scores, label = guesses(0)
    index = torch.arange(len(label))

    # Both have samples, one of them seen by both.
    mine = index[rank::2] if rank == 0 else torch.cat([index[rank::2], index[:1]])
    accuracy, store = MeanClassAccuracy(CLASSES), SampleScores(CLASSES)
    for part in mine.split(7):
        accuracy.update(scores[part], label[part])
        store.update(part, label[part], scores[part])
    found = store.compute()
    assert torch.equal(found[0], index)
    assert torch.equal(found[1], label)
    assert torch.equal(found[2], scores)
    counts = torch.zeros(CLASSES, CLASSES, dtype=torch.int64)
    seen = torch.cat([index, index[:1]])
    counts.index_put_((label[seen], scores[seen].argmax(1)), torch.tensor(1), accumulate=True)
    assert torch.equal(accuracy.compute(), mean_class_accuracy(counts))

    # The second process has none: not one update, then an empty one.
    for empty_update in (False, True):
        accuracy.reset()
        store.reset()
        if rank == 0 or empty_update:
            part = index if rank == 0 else index[:0]
            accuracy.update(scores[part], label[part])
            store.update(part, label[part], scores[part])
        found = store.compute()
        assert torch.equal(found[0], index)
        assert torch.equal(found[2], scores)
        assert float(accuracy.compute()) > 0
        # Synchronising gathers a copy: each process keeps its own share.
        assert sum(len(part) for part in store.index) == (len(index) if rank == 0 else 0)

    # No one has any.
    store.reset()
    assert store.compute()[2].shape == (0, CLASSES)
    (folder / f"done{rank}").touch()
    dist.destroy_process_group()


def test_two_processes(tmp_path):
    mp.spawn(on_two_processes, (tmp_path,), nprocs=2)
    assert sorted(file.name for file in tmp_path.glob("done*")) == ["done0", "done1"]


def test_macro_f1_is_sklearns():
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(0)
    true, said = rng.integers(0, 4, 200), rng.integers(0, 5, 200)
    counts = torch.zeros(6, 6, dtype=torch.int64)
    counts.index_put_(
        (torch.from_numpy(true), torch.from_numpy(said)), torch.tensor(1), accumulate=True
    )
    # Class 4 is answered and never true, class 5 neither.
    assert macro_f1(counts) == pytest.approx(f1_score(true, said, average="macro"))
    assert math.isnan(macro_f1(torch.zeros(3, 3, dtype=torch.int64)))


@pytest.mark.parametrize("grouped", [False, True])
def test_the_bootstrap_of_any_statistic_agrees_with_that_of_the_mean(grouped):
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 6) if grouped else None
    right = (rng.random(120) < np.repeat(rng.random(20), 6)).astype(float)
    expected = bootstrap_interval(right, groups=groups, num_resamples=4000)
    found = bootstrap_statistic(
        lambda rows: float(right[rows].mean()), 120, groups=groups, num_resamples=4000
    )
    assert found == pytest.approx(expected, abs=0.02)


def test_draws_without_a_figure_are_left_out():
    figures = iter([float("nan"), 0.5] * 100)
    assert bootstrap_statistic(lambda rows: next(figures), 3) == (0.5, 0.5)
    assert all(map(math.isnan, bootstrap_statistic(lambda rows: float("nan"), 3)))
    assert all(map(math.isnan, bootstrap_statistic(lambda rows: 1.0, 0)))
