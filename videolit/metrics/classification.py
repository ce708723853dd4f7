"""Scores of classification that torchmetrics lacks, each beside its pure function."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from videolit.types import InputError


def mean_class_accuracy(confusion: Tensor) -> Tensor:
    """Average the recall over the classes that occur.

    Args:
        confusion: int ``(K, K)``, samples by true class (row) and predicted class (column).

    Returns:
        float32 scalar in [0, 1]; NaN without a sample.
    """
    samples = confusion.sum(1)
    occurs = samples > 0
    return (confusion.diagonal()[occurs] / samples[occurs]).mean()


def macro_f1(confusion: Tensor) -> float:
    """Average F1 over the classes that occur as truth or as answer.

    Args:
        confusion: int ``(K, K)``, samples by true class (row) and predicted class (column).

    Returns:
        In [0, 1]; NaN without a sample.
    """
    either = confusion.sum(0) + confusion.sum(1)
    occurs = either > 0
    return float((2 * confusion.diagonal()[occurs] / either[occurs]).mean())


class MeanClassAccuracy(Metric):
    """Recall averaged over the classes that occur; see :func:`mean_class_accuracy`.

    Args:
        num_classes: K.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    confusion: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        counts = torch.zeros(num_classes, num_classes, dtype=torch.int64)
        self.add_state("confusion", counts, dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count a batch.

        Args:
            preds: Scores, float ``(N, K)``, or predicted classes, int64 ``(N,)``.
            target: int64 ``(N,)``.
        """
        if preds.ndim == 2:
            preds = preds.argmax(1)
        cells = target * self.num_classes + preds
        counts = torch.bincount(cells, minlength=self.num_classes**2)
        self.confusion += counts.view(self.num_classes, self.num_classes)

    def compute(self) -> Tensor:
        """Return a float32 scalar in [0, 1]."""
        return mean_class_accuracy(self.confusion)


class MajorityBaseline(Metric):
    """Accuracy of always answering the most frequent class of the samples themselves.

    No constant answer does better, so it is the baseline that an accuracy must exceed.

    Args:
        num_classes: K.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    counts: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.add_state("counts", torch.zeros(num_classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, target: Tensor) -> None:
        """Count the true classes of a batch, int64 ``(N,)``."""
        self.counts += torch.bincount(target, minlength=self.num_classes)

    def compute(self) -> Tensor:
        """Return a float32 scalar in [0, 1]; NaN without a sample."""
        return self.counts.max() / self.counts.sum()


def bootstrap_interval(
    correct: ArrayLike | Tensor,
    *,
    groups: Sequence[Any] | ArrayLike | None = None,
    num_resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Return a percentile bootstrap interval of a mean (Efron and Tibshirani 1993, chapter 13).

    Args:
        correct: ``(N,)``, right or wrong, or a number per sample.
        groups: ``(N,)``, what samples have in common, as the person filmed. Whole groups are drawn
            then, because samples of one group say little more than one of them does.
        num_resamples: Draws.
        seed: Seed of the draws.
        level: Share of the draws inside the interval, in (0, 1).

    Returns:
        Lower and upper end; NaN without a sample.

    Raises:
        InputError: If there are not as many groups as samples.
    """
    values = np.asarray(correct, dtype=np.float64)
    if groups is not None and len(np.asarray(groups)) != len(values):
        raise InputError(
            f"{len(values)} samples need as many groups, got {len(np.asarray(groups))}"
        )
    if len(values) == 0:
        return float("nan"), float("nan")
    number = np.arange(len(values))
    if groups is not None:
        number = np.unique(np.asarray(groups), return_inverse=True)[1]
    sums, sizes = np.bincount(number, values), np.bincount(number)
    rng = np.random.default_rng(seed)
    means = np.empty(num_resamples)
    for turn in range(num_resamples):
        drawn = rng.integers(len(sums), size=len(sums))
        means[turn] = sums[drawn].sum() / sizes[drawn].sum()
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_statistic(
    statistic: Callable[[NDArray[np.int64]], float],
    num_samples: int,
    *,
    groups: Sequence[Any] | ArrayLike | None = None,
    num_resamples: int = 200,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Return a percentile bootstrap interval of any figure; see :func:`bootstrap_interval`.

    Args:
        statistic: Of positions of samples, int64 ``(M,)``, some of them repeated, to the figure.
            Draws where it is NaN are left out.
        num_samples: N.
        groups: ``(N,)``, what samples have in common: whole groups are drawn.
        num_resamples: Draws.
        seed: Seed of the draws.
        level: Share of the draws inside the interval, in (0, 1).

    Returns:
        Lower and upper end; NaN without a draw that has a figure.
    """
    number = np.arange(num_samples)
    if groups is not None:
        number = np.unique(np.asarray(groups), return_inverse=True)[1]
    order = np.argsort(number, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(number))[:-1]) if num_samples else []
    rng = np.random.default_rng(seed)
    found = [
        statistic(np.concatenate([parts[i] for i in rng.integers(len(parts), size=len(parts))]))
        for _ in range(num_resamples if parts else 0)
    ]
    known = [value for value in found if not math.isnan(value)]
    if not known:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def majority_accuracy(train_counts: ArrayLike, test_labels: ArrayLike | Tensor) -> float:
    """Return the accuracy of always answering the most frequent class of training.

    Args:
        train_counts: ``(K,)``, training samples of each class; the first of equal ones is answered.
        test_labels: int ``(N,)``.

    Returns:
        In [0, 1]; NaN without a test sample.
    """
    labels = np.asarray(test_labels)
    if len(labels) == 0:
        return float("nan")
    return float((labels == np.argmax(np.asarray(train_counts))).mean())


class SampleScores(Metric):
    """The scores of each sample, gathered over all processes.

    A sample that several processes saw, or one process twice, is kept once.

    Args:
        num_classes: K.
        several: Whether a sample has several labels, or none.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    index: list[Tensor] | Tensor
    label: list[Tensor] | Tensor
    scores: list[Tensor] | Tensor

    def __init__(self, num_classes: int, *, several: bool = False) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.several = several
        for name in ("index", "label", "scores"):
            self.add_state(name, [], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        """Forget all samples."""
        super().reset()
        # torchmetrics gathers an empty list as float of shape (0,): a process without a sample
        # would not fit the others. A first piece without rows has the right dtype and shape.
        self.index = [torch.empty(0, dtype=torch.int64, device=self.device)]
        self.label = [torch.empty(0, dtype=torch.int64, device=self.device)]
        if self.several:
            self.label = [torch.empty(0, self.num_classes, device=self.device)]
        self.scores = [torch.empty(0, self.num_classes, device=self.device)]

    def update(self, index: Tensor, label: Tensor, scores: Tensor) -> None:
        """Add a batch.

        Args:
            index: int64 ``(N,)``, the samples' positions in their split.
            label: int64 ``(N,)``, or float ``(N, K)`` of several labels.
            scores: float ``(N, K)``.
        """
        assert isinstance(self.index, list)
        assert isinstance(self.label, list)
        assert isinstance(self.scores, list)
        self.index.append(index)
        self.label.append(label)
        self.scores.append(scores.detach().float())

    def compute(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return what was added, each sample once, in the order of the index.

        Returns:
            Index int64 ``(N,)``, label int64 ``(N,)`` or float ``(N, K)``, scores float32
            ``(N, K)``.
        """
        index, label = dim_zero_cat(self.index), dim_zero_cat(self.label)
        scores = dim_zero_cat(self.scores)
        order = torch.argsort(index, stable=True)
        ordered = index[order]
        first = torch.ones_like(ordered, dtype=torch.bool)
        first[1:] = ordered[1:] != ordered[:-1]
        kept = order[first]
        return index[kept], label[kept], scores[kept]

    def _wrap_compute(self, compute: Callable[..., Any]) -> Callable[..., Any]:
        """Undo torchmetrics' squeezing of results: one sample is still a row."""
        squeezed = super()._wrap_compute(compute)

        @functools.wraps(compute)
        def compute_rows() -> tuple[Tensor, Tensor, Tensor]:
            index, label, scores = squeezed()
            rows = (-1, self.num_classes)
            label = label.reshape(rows if self.several else -1)
            return index.reshape(-1), label, scores.reshape(rows)

        return compute_rows
