"""The order of samples: a pure function of seed and epoch, shared out over processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
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
        weights: float ``(num_samples,)``, how often each sample is drawn, relative to the others;
            an epoch keeps its length. None = each once. Only with ``shuffle``.

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
        weights: NDArray[np.float64] | None = None,
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
        self.weights = weights

    def __iter__(self) -> Iterator[SampleKey]:
        """Yield every ``num_replicas``-th key, as many on every process."""
        count = len(self.dataset)  # type: ignore[arg-type]
        order = torch.arange(count)
        if self.shuffle:
            # NumPy's generator, as everywhere in the data: its streams are stable by contract.
            generator = np.random.Generator(np.random.PCG64([self.seed, self.epoch]))
            chosen = generator.permutation(count)
            if self.weights is not None:
                chosen = generator.permutation(resample(self.weights, chosen, generator.random()))
            order = torch.from_numpy(chosen)
        epoch = self.epoch if self.shuffle else 0
        begin, self.skip = self.rank + self.skip * self.num_replicas, 0
        for position in range(begin, self.total_size, self.num_replicas):
            yield SampleKey(epoch, int(order[position % count]), position < count)


def resample(
    weights: NDArray[np.float64], order: NDArray[np.int64], offset: float
) -> NDArray[np.int64]:
    """Draw as many samples as there are, with expected counts in proportion to the weights.

    Systematic resampling: a sample whose share is c is drawn floor(c) or ceil(c) times, so that
    none is drawn more often than its weight asks for by one.

    Args:
        weights: float ``(N,)``, not negative, with a positive sum.
        order: int64 ``(N,)``, a permutation: who stands beside whom decides who is drawn together.
        offset: In [0, 1), drawn once.

    Returns:
        int64 ``(N,)`` positions.
    """
    edges = np.cumsum(weights[order])
    marks = (np.arange(len(order)) + offset) * (edges[-1] / len(order))
    places = np.minimum(np.searchsorted(edges, marks, side="right"), len(order) - 1)
    drawn: NDArray[np.int64] = order[places]
    return drawn


def class_weights(labels: NDArray[np.int64], balance: float) -> NDArray[np.float64]:
    """Return how often each sample is drawn for classes to be balanced.

    A class of n samples is drawn in proportion to ``n ** (1 - balance)`` (Kang et al. 2020,
    equation 1, with q = 1 - balance).

    Args:
        labels: int64 ``(N,)``, the class of each sample; -1 = none, drawn like a class of its own.
        balance: 0 = as the classes are, 1 = all equally often.

    Returns:
        float64 ``(N,)`` with mean 1.
    """
    _, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    weights = counts[places].astype(np.float64) ** -balance
    mean: NDArray[np.float64] = weights / weights.mean()
    return mean
