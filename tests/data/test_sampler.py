import pytest

from videolit.data.sampler import ClipSampler
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
