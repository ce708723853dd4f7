import numpy as np
import pytest

from videolit.data.sampler import ClipSampler, class_weights, resample
from videolit.types import InputError


def keys(count, epoch=0, **settings):
    sampler = ClipSampler(count, **{"shuffle": True, **settings})
    sampler.set_epoch(epoch)
    return list(sampler)


def test_each_epoch_is_a_new_order_of_all_samples():
    first, second = keys(20, 0), keys(20, 1)
    assert sorted(key.index for key in first) == list(range(20))
    assert [key.index for key in first] != [key.index for key in second]
    assert {key.epoch for key in second} == {1}
    assert first == keys(20, 0)
    assert [key.index for key in keys(20, seed=1)] != [key.index for key in first]


def test_without_shuffle_the_order_and_the_epoch_stay():
    assert [key.index for key in keys(5, 3, shuffle=False)] == [0, 1, 2, 3, 4]
    assert {key.epoch for key in keys(5, 3, shuffle=False)} == {0}


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9])
@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("shuffle", [True, False])
def test_processes_share_out_every_sample_once_and_run_equally_long(count, processes, shuffle):
    parts = [
        keys(count, 4, num_replicas=processes, rank=rank, shuffle=shuffle)
        for rank in range(processes)
    ]
    assert len({len(part) for part in parts}) == 1
    counted = [key.index for part in parts for key in part if key.counts]
    assert sorted(counted) == list(range(count))


def test_two_processes_see_together_what_one_sees():
    one = keys(8, 2)
    two = [keys(8, 2, num_replicas=2, rank=rank) for rank in range(2)]
    assert [key for pair in zip(*two, strict=True) for key in pair] == one


def test_no_sample_is_an_error():
    with pytest.raises(InputError, match="no sample"):
        keys(0)


def test_balanced_classes_are_drawn_equally_often():
    labels = np.array([0] * 80 + [1] * 15 + [2] * 5)
    weights = class_weights(labels, 1.0)
    assert weights.mean() == pytest.approx(1)
    totals = np.zeros(3)
    for epoch in range(3):
        chosen = [key.index for key in keys(100, epoch, weights=weights)]
        assert len(chosen) == 100
        counts = np.bincount(labels[chosen], minlength=3)
        assert np.abs(counts - 100 / 3).max() <= 2
        # No sample is drawn more often than its share asks for, by one.
        assert np.bincount(chosen, minlength=100).max() <= np.ceil(weights.max())
        totals += counts
    assert [key.index for key in keys(100, 0, weights=weights)] != sorted(chosen)
    # What is left out differs from epoch to epoch.
    first, second = ({key.index for key in keys(100, e, weights=weights)} for e in (0, 1))
    assert first != second


def test_half_balance_is_the_square_root():
    labels = np.array([0] * 90 + [1] * 10)
    weights = class_weights(labels, 0.5)
    assert weights[0] / weights[-1] == pytest.approx((90**-0.5) / (10**-0.5))
    assert (class_weights(labels, 0.0) == 1).all()


@pytest.mark.parametrize("offset", [0.0, 0.5, 0.999999])
def test_equal_weights_draw_each_sample_once(offset):
    order = np.random.default_rng(0).permutation(50)
    assert sorted(resample(np.ones(50), order, offset)) == list(range(50))


def test_processes_share_out_a_weighted_epoch():
    weights = class_weights(np.array([0] * 9 + [1] * 3), 1.0)
    one = keys(12, 2, weights=weights)
    two = [keys(12, 2, num_replicas=2, rank=rank, weights=weights) for rank in range(2)]
    assert [key for pair in zip(*two, strict=True) for key in pair] == one
