"""The order of samples: a pure function of seed and epoch, shared out over processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import DistributedSampler

from videolit.types import InputError


class SampleKey(NamedTuple):
    """What a data set needs to make one sample, anywhere and at any time.

    Attributes:
        epoch: Epoch of training, 0 when evaluating.
        index: Position in the split.
        counts: False for a repeat that only fills up the last round of the processes.
    """

    epoch: int
    index: int  # type: ignore[assignment] # tuple.index() is of no use here
    counts: bool


class ClipSampler(DistributedSampler[SampleKey]):
    """Yield the keys of one process's samples.

    It is a ``DistributedSampler`` so that Lightning leaves it in place and tells it the epoch.
    Unlike that one it marks the samples that it repeats, so that a metric can leave them out.

    Args:
        num_samples: Samples in the split.
        num_replicas: Processes.
        rank: This process.
        shuffle: New order in each epoch; the order of the split otherwise.
        seed: Decides the order together with the epoch.

    Attributes:
        skip: How many of this process's keys the next pass leaves out: it resumes an epoch.

    Raises:
        InputError: If there is no sample.
    """

    def __init__(
        self,
        num_samples: int,
        *,
        num_replicas: int = 1,
        rank: int = 0,
        shuffle: bool,
        seed: int = 0,
    ) -> None:
        if num_samples < 1:
            raise InputError("the split holds no sample")
        super().__init__(
            range(num_samples),  # type: ignore[arg-type]
            num_replicas=num_replicas,
            rank=rank,
            shuffle=shuffle,
            seed=seed,
        )
        self.skip = 0

    def __iter__(self) -> Iterator[SampleKey]:
        """Yield every ``num_replicas``-th key, as many on every process."""
        count = len(self.dataset)  # type: ignore[arg-type]
        order = torch.arange(count)
        if self.shuffle:
            # NumPy's generator, as everywhere in the data: its streams are stable by contract.
            generator = np.random.Generator(np.random.PCG64([self.seed, self.epoch]))
            order = torch.from_numpy(generator.permutation(count))
        epoch = self.epoch if self.shuffle else 0
        begin, self.skip = self.rank + self.skip * self.num_replicas, 0
        for position in range(begin, self.total_size, self.num_replicas):
            yield SampleKey(epoch, int(order[position % count]), position < count)
