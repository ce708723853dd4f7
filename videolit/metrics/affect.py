"""How well predicted numbers agree with true ones: valence, arousal, any score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from videolit.metrics.ranks import plain_array
from videolit.types import InputError


class Agreement(NamedTuple):
    """How well N predictions agree with N true values.

    Attributes:
        mae: Mean absolute error.
        mse: Mean squared error.
        corr: Pearson's correlation in [-1, 1]; 0 where either side is constant.
        ccc: Concordance correlation coefficient in [-1, 1]; 0 where either side is constant.
        undefined: Either side is constant, so that ``corr`` says nothing.
    """

    mae: float
    mse: float
    corr: float
    ccc: float
    undefined: bool


def agreement(preds: ArrayLike | Tensor, target: ArrayLike | Tensor) -> Agreement:
    """Return errors and correlations of predictions.

    Variances divide by N, as Lin (1989, "A concordance correlation coefficient to evaluate
    reproducibility", section 2) defines the concordance coefficient, ``2 cov / (var_p + var_t +
    (mean_p - mean_t)²)``. A constant has no covariance with anything, so that its concordance is 0,
    also where both sides are the same constant.

    Args:
        preds: float ``(N,)``.
        target: float ``(N,)``, of any scale.

    Returns:
        In float64; NaN throughout without a sample.

    Raises:
        InputError: If shapes differ or a number is not finite.
    """
    said, true = paired(preds, target)
    if len(said) == 0:
        nan = float("nan")
        return Agreement(nan, nan, nan, nan, undefined=True)
    error = said - true
    mae, mse = float(np.abs(error).mean()), float((error**2).mean())
    # The spread and not the variance: rounding leaves a constant's variance a little above 0.
    if np.ptp(said) == 0 or np.ptp(true) == 0:
        return Agreement(mae, mse, 0.0, 0.0, undefined=True)
    apart, true_apart = said - said.mean(), true - true.mean()
    spread, true_spread = (apart**2).mean(), (true_apart**2).mean()
    together = (apart * true_apart).mean()
    scale = np.sqrt(spread) * np.sqrt(true_spread)
    # The spread of numbers that differ by less than 1e-160 has no square.
    if scale == 0:
        return Agreement(mae, mse, 0.0, 0.0, undefined=True)
    corr = float(np.clip(together / scale, -1, 1))
    shift = said.mean() - true.mean()
    ccc = float(2 * together / (spread + true_spread + shift**2))
    return Agreement(mae, mse, corr, ccc, undefined=False)


def file_concordance(
    preds: ArrayLike | Tensor, target: ArrayLike | Tensor, files: Sequence[Any] | ArrayLike
) -> tuple[float, int]:
    """Return the mean over files of the concordance of each file's samples.

    Unlike the concordance of all samples together, this gives nothing for telling files apart.

    Args:
        preds: float ``(N,)``.
        target: float ``(N,)``.
        files: ``(N,)``, the file that each sample is of.

    Returns:
        The mean in [-1, 1], NaN without a file; and the number of files in which one side is
        constant, as where there is one sample. They count as 0.

    Raises:
        InputError: If there are not as many files as samples, or as for :func:`agreement`.
    """
    said, true = paired(preds, target)
    named = np.asarray(files)
    if named.shape != said.shape:
        raise InputError(f"{len(said)} samples need as many files, got shape {named.shape}")
    if len(said) == 0:
        return float("nan"), 0
    number = np.unique(named, return_inverse=True)[1]
    order = np.argsort(number, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(number))[:-1])
    each = [agreement(said[part], true[part]) for part in parts]
    return float(np.mean([one.ccc for one in each])), sum(one.undefined for one in each)


def affect_figures(
    preds: ArrayLike | Tensor,
    target: ArrayLike | Tensor,
    names: Sequence[str] = ("valence", "arousal"),
    *,
    files: Sequence[Any] | ArrayLike | None = None,
    mask: ArrayLike | Tensor | None = None,
) -> dict[str, float]:
    """Return the figures of several continuous targets, of all samples pooled and per file.

    Args:
        preds: float ``(N, K)``.
        target: float ``(N, K)``; anything where ``mask`` is False, NaN included.
        names: K names, for the keys.
        files: ``(N,)``, the file that each sample is of, for the concordance per file.
        mask: bool ``(N, K)``, where the truth is known; None = everywhere.

    Returns:
        For each name ``mae_``, ``mse_``, ``corr_`` and ``ccc_NAME`` of the pooled samples (see
        :func:`agreement`) and ``count_NAME``, the samples with a truth; with ``files`` also
        ``ccc_file_NAME`` (:func:`file_concordance`) and ``undefined_files_NAME``, the files that
        count as 0. Over the names ``ccc``, the mean of the pooled concordances, ``ccc_file``, and
        ``undefined``, for how many names the predictions or the truth are constant.

    Raises:
        InputError: If shapes differ, a prediction is not finite, or a known truth is not.
    """
    said, true = plain_array(preds), plain_array(target)
    known = np.ones(true.shape, bool) if mask is None else plain_array(mask).astype(bool)
    if said.ndim != 2 or said.shape[1] != len(names) or not said.shape == true.shape == known.shape:
        raise InputError(
            f"expected predictions, targets and mask as (N, {len(names)}), one column for each of "
            f"{', '.join(names)}; got {said.shape}, {true.shape} and {known.shape}"
        )
    named = None if files is None else np.asarray(files)
    if named is not None and named.shape != said.shape[:1]:
        raise InputError(f"{len(said)} samples need as many files, got shape {named.shape}")
    figures: dict[str, float] = {}
    undefined, pooled, by_file = 0, [], []
    for column, name in enumerate(names):
        rows = known[:, column]
        # Also where no truth is known: a model that answers NaN has broken down.
        require_finite(said[:, column], f"predictions of {name}")
        one, two = said[rows, column], true[rows, column]
        found = agreement(one, two)
        figures |= {
            f"mae_{name}": found.mae,
            f"mse_{name}": found.mse,
            f"corr_{name}": found.corr,
            f"ccc_{name}": found.ccc,
            f"count_{name}": int(rows.sum()),
        }
        undefined += found.undefined
        pooled.append(found.ccc)
        if named is not None:
            mean, constant = file_concordance(one, two, named[rows])
            figures |= {f"ccc_file_{name}": mean, f"undefined_files_{name}": constant}
            by_file.append(mean)
    figures["ccc"] = float(np.mean(pooled))
    if named is not None:
        figures["ccc_file"] = float(np.mean(by_file))
    figures["undefined"] = undefined
    return figures


def mean_predictor(train_target: ArrayLike | Tensor, num_samples: int) -> NDArray[np.float64]:
    """Answer the mean of the training targets, whatever the sample: the least squared error.

    Args:
        train_target: float ``(M,)`` or ``(M, K)``, of TRAINING; NaN where a target is missing.
        num_samples: N, test samples.

    Returns:
        float64 ``(N,)`` or ``(N, K)``.

    Raises:
        InputError: If there is no known target.
    """
    known = _known_targets(train_target)
    return np.repeat(np.nanmean(known, axis=0)[None], num_samples, axis=0)


def median_predictor(train_target: ArrayLike | Tensor, num_samples: int) -> NDArray[np.float64]:
    """Answer the median of the training targets, whatever the sample: the least absolute error.

    Where the mean absolute error is judged, this is the constant to beat; see
    :func:`mean_predictor` for arguments and errors.
    """
    known = _known_targets(train_target)
    return np.repeat(np.nanmedian(known, axis=0)[None], num_samples, axis=0)


def paired(
    preds: ArrayLike | Tensor, target: ArrayLike | Tensor
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return predictions and truth as float64 ``(N,)``.

    Raises:
        InputError: If they are not of one shape ``(N,)``, or a number is not finite.
    """
    said, true = plain_array(preds), plain_array(target)
    if said.ndim != 1 or said.shape != true.shape:
        raise InputError(
            f"expected predictions and targets as (N,), got {said.shape} and {true.shape}"
        )
    require_finite(said, "predictions")
    require_finite(true, "targets")
    return said.astype(np.float64), true.astype(np.float64)


def require_finite(values: NDArray[np.generic], what: str) -> None:
    """Refuse numbers that are none.

    Raises:
        InputError: If one is NaN or infinite; names the first row.
    """
    bad = ~np.isfinite(values.astype(np.float64))
    if bad.any():
        row = int(np.argwhere(bad)[0, 0])
        raise InputError(
            f"{what} must be finite: row {row} has {values[row]}, {int(bad.sum())} numbers in all "
            f"are not. Predictions that are NaN come from a model whose weights are no numbers any "
            f"more; missing targets are left out or masked"
        )


def _known_targets(train_target: ArrayLike | Tensor) -> NDArray[np.float64]:
    known = plain_array(train_target).astype(np.float64)
    if np.isnan(known).all(axis=0).any():
        raise InputError("a constant answer needs at least one training target of each kind")
    return known
