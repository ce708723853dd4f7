"""Figures of sentiment scores in the conventions that papers use, each under its own name."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from videolit.metrics.affect import agreement, paired
from videolit.metrics.emotion import count_confusion, weighted_f1
from videolit.types import InputError

Convention = Literal["mosi", "mosei", "sims"]
_RANGE: dict[str, float] = {"mosi": 3.0, "mosei": 3.0, "sims": 1.0}

# Mean opinions as 0.7000001 are rounding of a file's float32, not another opinion.
_TOLERANCE = 1e-4

# CH-SIMS (Yu et al. 2020, section 5.2): right-closed bins between -1 and 1.
_SIMS_EDGES = {2: (0.0,), 3: (-0.1, 0.1), 5: (-0.7, -0.1, 0.1, 0.7)}

_ALL = "all samples"
_NOTES = {
    "mae": "mean absolute error, predictions as they are",
    "corr": "Pearson's correlation; 0 where either side is constant",
    "acc2_has0": f"negative (< 0) or not, {_ALL}",
    "f1_has0": f"F1 of acc2_has0, classes weighted by their true samples, {_ALL}",
    "acc2_non0": "positive (> 0) or not, samples of truth 0 left out",
    "f1_non0": "F1 of acc2_non0, classes weighted by their true samples, truth 0 left out",
    "acc2_mult": f"positive (> 0) or not, truth 0 counts as negative, {_ALL} (MulT's script)",
    "f1_mult": f"F1 of acc2_mult, classes weighted by their true samples, {_ALL}",
    "acc3_round": "clipped to [-1, 1], rounded, a half to the even number",
    "acc5_round": "clipped to [-2, 2], rounded, a half to the even number",
    "acc7_round": "clipped to [-3, 3], rounded, a half to the even number (MOSI's README, MulT)",
    "acc5_away": "clipped to [-2, 2], rounded away from 0",
    "acc7_away": "clipped to [-3, 3], rounded away from 0 (MOSEI's README)",
    "undefined": "1 if predictions or truth are constant, so that corr says nothing",
    "constant": "1 if all predictions are equal",
}
_SIMS_NOTES = {
    "mae": "mean absolute error, predictions clipped to [-1, 1]",
    "corr": "Pearson's correlation, predictions clipped to [-1, 1]; 0 where a side is constant",
    "acc2_sims": "positive (> 0) or not, truth 0 counts as negative",
    "f1_sims": "F1 of acc2_sims, classes weighted by their true samples",
    "acc3_sims": "split at -0.1 and 0.1, bins closed above",
    "acc5_sims": "split at -0.7, -0.1, 0.1 and 0.7, bins closed above",
    "undefined": _NOTES["undefined"],
    "constant": _NOTES["constant"],
}


def figure_notes(convention: Convention) -> dict[str, str]:
    """Return what each figure of :func:`regression_figures` means, for the file that holds them.

    Raises:
        InputError: If there is no such convention.
    """
    _require_convention(convention)
    return dict(_SIMS_NOTES if convention == "sims" else _NOTES)


def binary_classes(
    preds: ArrayLike | Tensor,
    target: ArrayLike | Tensor,
    rule: Literal["has0", "non0", "mult"],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split scores into two classes in one of three ways that differ by 2 to 3 points.

    Args:
        preds: float ``(N,)``.
        target: float ``(N,)``.
        rule: ``"has0"`` = negative or not, all samples (papers before 2019); ``"non0"`` = positive
            or not, samples of truth 0 left out; ``"mult"`` = positive or not, all samples, so that
            0 is negative (the evaluation of Tsai et al. 2019).

    Returns:
        Predicted and true class, int64 ``(M,)``, 1 = the upper one; M < N with ``"non0"``.

    Raises:
        InputError: As for :func:`agreement`.
    """
    said, true = paired(preds, target)
    if rule == "has0":
        return (said >= 0).astype(np.int64), (true >= 0).astype(np.int64)
    if rule == "non0":
        said, true = said[true != 0], true[true != 0]
    return (said > 0).astype(np.int64), (true > 0).astype(np.int64)


def score_levels(
    scores: ArrayLike | Tensor, most: int, rounding: Literal["round", "away"] = "round"
) -> NDArray[np.int64]:
    """Round scores to the classes of Acc-7, Acc-5 or Acc-3.

    Args:
        scores: float ``(N,)``.
        most: The outer classes, 3, 2 or 1: scores are clipped to ``[-most, most]``.
        rounding: ``"round"`` = to the nearest, a half to the even number, as MMSA, MulT and MOSI's
            README; ``"away"`` = away from 0, as MOSEI's README: (0, 1] is 1, and only 0 is 0. A
            distance below 1e-4 from a whole number is rounding of a file's float32 there.

    Returns:
        int64 ``(N,)`` in ``[-most, most]``.
    """
    clipped = np.clip(np.asarray(paired(scores, scores)[0]), -most, most)
    if rounding == "away":
        whole = np.ceil(np.abs(clipped) - _TOLERANCE)
        return (np.sign(clipped) * whole).astype(np.int64)
    return np.round(clipped).astype(np.int64)


def sims_classes(scores: ArrayLike | Tensor, classes: Literal[2, 3, 5]) -> NDArray[np.int64]:
    """Sort scores into the classes of CH-SIMS, clipped to [-1, 1], bins closed above.

    Scores and edges are compared in float32, in which labels are kept: 0.1 is no more than 0.1.

    Args:
        scores: float ``(N,)``.
        classes: 2, 3 or 5.

    Returns:
        int64 ``(N,)``, 0 = the most negative class.
    """
    clipped = np.clip(paired(scores, scores)[0], -1, 1).astype(np.float32)
    edges = np.asarray(_SIMS_EDGES[classes], np.float32)
    return np.searchsorted(edges, clipped, side="left").astype(np.int64)


def regression_figures(
    preds: ArrayLike | Tensor, target: ArrayLike | Tensor, convention: Convention = "mosi"
) -> dict[str, float]:
    """Return all figures of sentiment scores in the conventions of a dataset.

    No key leaves open how it was computed; :func:`figure_notes` tells it in words. ``"mosi"`` and
    ``"mosei"`` have the same figures: papers on both give Acc-7 by rounding, MOSEI's own README
    rounds away from 0.

    Args:
        preds: float ``(N,)``, on the scale of the targets.
        target: float ``(N,)``, in [-3, 3] for MOSI and MOSEI, in [-1, 1] for CH-SIMS.
        convention: The dataset's.

    Returns:
        Figures by name. Shares are in [0, 1]; a figure without a sample is NaN. ``corr`` is 0 where
        either side is constant; ``undefined`` and ``constant`` (1 or 0) say so.

    Raises:
        InputError: If shapes differ, a number is not finite, a target is outside the range, or
            there is no such convention.
    """
    _require_convention(convention)
    said, true = paired(preds, target)
    most = _RANGE[convention]
    if len(true) and np.abs(true).max() > most + _TOLERANCE:
        row = int(np.abs(true).argmax())
        raise InputError(
            f"convention {convention!r} has scores in [-{most:g}, {most:g}], target {row} is "
            f"{true[row]:g}: choose the convention of the dataset or rescale"
        )
    if convention == "sims":
        return _sims_figures(said, true)
    found = agreement(said, true)
    figures = {"mae": found.mae, "corr": found.corr}
    rules: tuple[Literal["has0", "non0", "mult"], ...] = ("has0", "non0", "mult")
    for rule in rules:
        one, two = binary_classes(said, true, rule)
        figures[f"acc2_{rule}"] = _share_equal(one, two)
        figures[f"f1_{rule}"] = weighted_f1(count_confusion(true=two, predicted=one, num_classes=2))
    for outer in (1, 2, 3):
        levels = score_levels(said, outer), score_levels(true, outer)
        figures[f"acc{2 * outer + 1}_round"] = _share_equal(*levels)
    for outer in (2, 3):
        levels = score_levels(said, outer, "away"), score_levels(true, outer, "away")
        figures[f"acc{2 * outer + 1}_away"] = _share_equal(*levels)
    return figures | _degenerate(said, found.undefined)


def _sims_figures(said: NDArray[np.float64], true: NDArray[np.float64]) -> dict[str, float]:
    said, true = np.clip(said, -1, 1), np.clip(true, -1, 1)
    found = agreement(said, true)
    figures = {"mae": found.mae, "corr": found.corr}
    sizes: tuple[Literal[2, 3, 5], ...] = (2, 3, 5)
    for size in sizes:
        one, two = sims_classes(said, size), sims_classes(true, size)
        figures[f"acc{size}_sims"] = _share_equal(one, two)
        if size == 2:
            counts = count_confusion(true=two, predicted=one, num_classes=2)
            figures["f1_sims"] = weighted_f1(counts)
    return figures | _degenerate(said, found.undefined)


def _degenerate(said: NDArray[np.float64], undefined: bool) -> dict[str, float]:
    return {
        "undefined": float(undefined),
        "constant": float(len(said) > 0 and np.ptp(said) == 0),
    }


def _share_equal(one: NDArray[np.int64], two: NDArray[np.int64]) -> float:
    return float((one == two).mean()) if len(one) else float("nan")


def _require_convention(convention: str) -> None:
    if convention not in _RANGE:
        raise InputError(f"no convention {convention!r}: choose one of {', '.join(_RANGE)}")
