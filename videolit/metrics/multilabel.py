"""Scores where a sample has several labels, or none."""

from __future__ import annotations

import torch
from torch import Tensor

from videolit.types import InputError


def average_precision(scores: Tensor, target: Tensor) -> Tensor:
    """Return the average precision of each class.

    The sum over thresholds of precision × the recall that each adds, without interpolation, as in
    scikit-learn and in Charades' own evaluation; samples of equal score share one threshold.

    Args:
        scores: float ``(N, K)``.
        target: ``(N, K)``, 1 where the sample has the label, else 0.

    Returns:
        float64 ``(K,)`` in [0, 1]; NaN for a class without a positive sample.

    Raises:
        InputError: If the shapes differ or a score is NaN.
    """
    if scores.ndim != 2 or scores.shape != target.shape:
        raise InputError(
            f"expected scores and targets as (N, K), got {tuple(scores.shape)} and "
            f"{tuple(target.shape)}"
        )
    if torch.isnan(scores).any():
        raise InputError("scores are NaN: the model's weights are no numbers any more")
    found = torch.full((scores.shape[1],), torch.nan, dtype=torch.float64, device=scores.device)
    for label in range(scores.shape[1]):
        order = torch.argsort(scores[:, label], descending=True, stable=True)
        ranked, hits = scores[order, label], target[order, label].double()
        if hits.sum() == 0:
            continue
        last = torch.ones_like(ranked, dtype=torch.bool)
        last[:-1] = ranked[1:] != ranked[:-1]
        taken = torch.arange(1, len(ranked) + 1, dtype=torch.float64, device=scores.device)[last]
        right = hits.cumsum(0)[last]
        gained = torch.diff(right, prepend=right.new_zeros(1))
        found[label] = (gained * right / taken).sum() / hits.sum()
    return found


def mean_average_precision(scores: Tensor, target: Tensor) -> float:
    """Return the mean of :func:`average_precision` over the classes that have a positive sample.

    Args:
        scores: float ``(N, K)``.
        target: ``(N, K)``, 1 where the sample has the label, else 0.

    Returns:
        In [0, 1]; NaN if no class has a positive sample.
    """
    return float(average_precision(scores, target).nanmean())


def f1_scores(scores: Tensor, target: Tensor, threshold: float = 0.5) -> tuple[float, float]:
    """Return micro and macro F1 of all answers above a threshold.

    Args:
        scores: float ``(N, K)``.
        target: ``(N, K)``, 1 where the sample has the label, else 0.
        threshold: A class is answered where its score is at least this.

    Returns:
        Micro F1 (of all decisions together), and the mean F1 of the classes that occur in answers
        or labels; each in [0, 1], NaN if none occurs.
    """
    said, true = scores >= threshold, target > 0.5
    both, either = (said & true).sum(0).double(), (said.sum(0) + true.sum(0)).double()
    occurs = either > 0
    micro = 2 * both.sum() / either.sum()
    return float(micro), float((2 * both[occurs] / either[occurs]).mean())
