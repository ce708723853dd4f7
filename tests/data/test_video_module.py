"""The parent of the DataModules: what it does for a subclass that defines the least."""

import numpy as np
import pytest
import torch

from videolit.data.loader import Watch
from videolit.data.module import VideoDataModule
from videolit.types import InputError


class Numbers:
    """A data set whose samples are their own positions."""

    def __init__(self, count):
        self.count, self.watch = count, Watch()

    def __len__(self):
        return self.count

    def __getitem__(self, key):
        return key.index

    def place(self, index):
        return f"number {index}"


class Least(VideoDataModule):
    def dataset(self, split):
        return Numbers({"train": 20, "val": 5, "test": 7, "predict": 7}[split])

    @staticmethod
    def collate(samples):
        return torch.tensor(samples)

    def names(self, split):
        return (f"{split} {row}".encode() for row in range(len(self.dataset(split))))


class Weighted(Least):
    def sample_weights(self, split):
        return np.r_[np.ones(1), np.zeros(19)] if split == "train" else None


@pytest.mark.parametrize("workers", [0, 2])
def test_training_is_shuffled_and_the_rest_in_order_in_the_sizes_asked_for(workers):
    data = Least(batch_size=8, eval_batch_size=3, num_workers=workers, seed=1)
    batches = list(data.train_dataloader())
    assert [len(batch) for batch in batches] == [8, 8, 4]
    assert torch.cat(batches).tolist() != list(range(20))
    assert sorted(torch.cat(batches).tolist()) == list(range(20))
    for loader in (data.test_dataloader(), data.predict_dataloader()):
        assert [batch.tolist() for batch in loader] == [[0, 1, 2], [3, 4, 5], [6]]
    assert len(next(iter(Least(batch_size=8, num_workers=0).val_dataloader()))) == 5


def test_weights_decide_how_often_training_draws_a_sample():
    data = Weighted(batch_size=20, num_workers=0)
    assert next(iter(data.train_dataloader())).tolist() == [0] * 20


def test_a_name_has_the_same_number_wherever_it_stands():
    data = Least(batch_size=1)
    train, test = data.sample_ids("train"), data.sample_ids("test")
    assert train.dtype == torch.int64
    assert len(set(train.tolist()) | set(test.tolist())) == 27
    assert torch.equal(train, Least(batch_size=3).sample_ids("train"))


def test_an_error_that_is_no_loading_process_has_no_file():
    data = Least(batch_size=1, num_workers=0)
    data.train_dataloader()
    assert data.explain(RuntimeError("out of memory")) == ""


def test_what_a_subclass_forgot_is_named():
    data = VideoDataModule(batch_size=1)
    for ask, what in (
        (data.dataset, "dataset"),
        (data.names, "names"),
        (data.describe, "describe"),
    ):
        with pytest.raises(NotImplementedError, match=f"VideoDataModule must define {what}"):
            ask("train")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"batch_size": 1, "eval_batch_size": 0}, "eval_batch_size must be at least 1"),
        ({"batch_size": 1, "num_workers": -1}, "num_workers must be at least 0"),
        ({"batch_size": 1, "max_bad_fraction": 1.5}, r"max_bad_fraction must lie in \[0, 1\]"),
    ],
)
def test_numbers_out_of_range_are_refused(settings, told):
    with pytest.raises(InputError, match=told):
        Least(**settings)
