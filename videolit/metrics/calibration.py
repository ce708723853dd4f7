"""Are probabilities what they say? Bins of confidence, and their expected error."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from videolit.types import InputError


def calibration_table(
    confidence: ArrayLike | Tensor, correct: ArrayLike | Tensor, num_bins: int = 15
) -> list[dict[str, Any]]:
    """Sort answers into bins of equal width by their confidence (Guo et al. 2017, section 2).

    Args:
        confidence: float ``(N,)`` in [0, 1], the probability of each answer.
        correct: ``(N,)``, whether it was right.
        num_bins: M; bin m holds confidences in ((m - 1) / M, m / M], the first one 0 as well.

    Returns:
        A row for each bin that holds answers: ``low`` and ``high`` (its borders), ``samples``,
        ``confidence`` and ``accuracy`` (their means).

    Raises:
        InputError: If lengths differ, a confidence is no probability, or there is no bin.
    """
    sure = np.asarray(confidence, np.float64)
    right = np.asarray(correct, np.float64)
    if sure.ndim != 1 or sure.shape != right.shape or num_bins < 1:
        raise InputError(
            f"calibration needs as many answers as confidences and at least one bin, got "
            f"{sure.shape}, {right.shape} and {num_bins} bins"
        )
    # float32 probabilities may exceed 1 by their rounding.
    if sure.size and not (sure.min() >= 0 and sure.max() <= 1 + 1e-5):
        raise InputError(
            f"confidences must lie in [0, 1], got {sure.min():.3g} to {sure.max():.3g}"
        )
    places = np.clip(np.ceil(sure * num_bins).astype(int) - 1, 0, num_bins - 1)
    rows = []
    for place in np.unique(places).tolist():
        inside = places == place
        rows.append(
            {
                "low": place / num_bins,
                "high": (place + 1) / num_bins,
                "samples": int(inside.sum()),
                "confidence": float(sure[inside].mean()),
                "accuracy": float(right[inside].mean()),
            }
        )
    return rows


def expected_calibration_error(table: list[dict[str, Any]]) -> float:
    """Return the mean gap between confidence and accuracy, weighted by the samples of the bins.

    Guo et al. 2017, equation 5.

    Args:
        table: What :func:`calibration_table` returns.

    Returns:
        In [0, 1]; NaN without a sample.
    """
    total = sum(row["samples"] for row in table)
    if not total:
        return float("nan")
    gaps = (row["samples"] * abs(row["accuracy"] - row["confidence"]) for row in table)
    return float(sum(gaps) / total)
