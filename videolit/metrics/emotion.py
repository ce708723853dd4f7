"""Figures of emotion classes: weighted F1, weighted and unweighted recall, per class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from videolit.metrics.affect import require_finite
from videolit.metrics.classification import macro_f1, mean_class_accuracy
from videolit.metrics.ranks import plain_array
from videolit.types import InputError


def count_confusion(
    *, true: ArrayLike | Tensor, predicted: ArrayLike | Tensor, num_classes: int
) -> Tensor:
    """Count samples by true and predicted class.

    Arguments go by name only: weighted F1 with the two swapped has got into several papers'
    tables, and nothing in the numbers shows it.

    Args:
        true: int ``(N,)`` in [0, K).
        predicted: int ``(N,)`` in [0, K).
        num_classes: K.

    Returns:
        int64 ``(K, K)``, true class (row) and predicted class (column).

    Raises:
        InputError: If shapes differ, or a class is not a whole number in [0, K).
    """
    rows, columns = plain_array(true), plain_array(predicted)
    if rows.ndim != 1 or rows.shape != columns.shape:
        raise InputError(f"expected classes as (N,), got {rows.shape} and {columns.shape}")
    if len(rows) == 0:
        return torch.zeros(num_classes, num_classes, dtype=torch.int64)
    for what, classes in (("true", rows), ("predicted", columns)):
        if classes.dtype.kind not in "iub":
            raise InputError(f"{what} classes are whole numbers, got {classes.dtype}")
        whole = classes.astype(np.int64)
        if whole.min() < 0 or whole.max() >= num_classes:
            raise InputError(
                f"{what} classes are in [0, {num_classes}), got {whole.min()} to {whole.max()}"
            )
    cells = rows.astype(np.int64) * num_classes + columns.astype(np.int64)
    counts = np.bincount(cells, minlength=num_classes**2)
    return torch.from_numpy(counts.reshape(num_classes, num_classes))


def weighted_f1(confusion: Tensor) -> float:
    """Average F1 over classes, each weighted by its true samples.

    Args:
        confusion: int ``(K, K)``, samples by true class (row) and predicted class (column). Of the
            transpose it is another number.

    Returns:
        In [0, 1]; NaN without a sample.
    """
    counts = confusion.double()
    samples, either = counts.sum(1), counts.sum(0) + counts.sum(1)
    f1 = 2 * counts.diagonal() / either.clamp(min=1)
    return float((f1 * samples).sum() / samples.sum())


def class_figures(confusion: Tensor) -> dict[str, NDArray[np.float64]]:
    """Return precision, recall and F1 of each class.

    Args:
        confusion: int ``(K, K)``, samples by true class (row) and predicted class (column).

    Returns:
        float64 ``(K,)`` each, in [0, 1]: ``recall``, NaN for a class that never is true;
        ``precision``, NaN for one that is never answered; ``f1``, NaN for one that is neither; and
        the counts ``samples`` and ``answers``.
    """
    counts = confusion.double().cpu()
    samples, answers, hits = counts.sum(1), counts.sum(0), counts.diagonal()
    return {
        "recall": (hits / samples).numpy(),
        "precision": (hits / answers).numpy(),
        "f1": (2 * hits / (samples + answers)).numpy(),
        "samples": samples.numpy(),
        "answers": answers.numpy(),
    }


def emotion_figures(
    scores: ArrayLike | Tensor,
    labels: ArrayLike | Tensor,
    *,
    class_names: Sequence[str] | None = None,
    folds: Sequence[Any] | ArrayLike | None = None,
) -> dict[str, float]:
    """Return the figures of emotion classes.

    Args:
        scores: float ``(N, K)``; the largest is the answer, the first of equal ones.
        labels: int ``(N,)`` in [0, K).
        class_names: K names, for ``f1/NAME`` and ``recall/NAME`` of each class, NaN as in
            :func:`class_figures`.
        folds: ``(N,)``, the fold of cross-validation each sample was tested in.

    Returns:
        ``war`` (weighted average recall, which is accuracy), ``uar`` (recall averaged over the
        classes that occur), ``weighted_f1``, ``macro_f1`` (over the classes that occur as truth or
        answer), ``chance_uar`` (1 / classes that occur: what any constant answer has), and
        ``answered``, how many classes are answered at all: 1 = a constant. Predictions of all folds
        are pooled; with ``folds`` also ``war_fold_mean`` and ``uar_fold_mean``, which are other
        numbers. NaN without a sample.

    Raises:
        InputError: If shapes do not fit, a score is not finite, or a label is not in [0, K).
    """
    said, true = plain_array(scores), plain_array(labels)
    if said.ndim != 2 or true.shape != said.shape[:1]:
        raise InputError(
            f"expected scores (N, K) and labels (N,), got {said.shape} and {true.shape}"
        )
    num_classes = said.shape[1]
    if class_names is not None and len(class_names) != num_classes:
        raise InputError(f"{num_classes} classes need as many names, got {len(class_names)}")
    require_finite(said, "scores")
    predicted = said.argmax(axis=1)
    confusion = count_confusion(true=true, predicted=predicted, num_classes=num_classes)
    occurring = int((confusion.sum(1) > 0).sum())
    figures = _recalls(confusion) | {
        "weighted_f1": weighted_f1(confusion),
        "macro_f1": macro_f1(confusion.double()),
        "chance_uar": 1 / occurring if occurring else float("nan"),
        "answered": float((confusion.sum(0) > 0).sum()),
    }
    if folds is not None:
        named = np.asarray(folds)
        if named.shape != true.shape:
            raise InputError(f"{len(true)} samples need as many folds, got shape {named.shape}")
        each = [
            _recalls(
                count_confusion(
                    true=true[named == fold],
                    predicted=predicted[named == fold],
                    num_classes=num_classes,
                )
            )
            for fold in np.unique(named)
        ]
        for name in ("war", "uar"):
            found = [one[name] for one in each]
            figures[f"{name}_fold_mean"] = float(np.mean(found)) if found else float("nan")
    if class_names is not None:
        by_class = class_figures(confusion)
        for number, name in enumerate(class_names):
            figures[f"f1/{name}"] = float(by_class["f1"][number])
            figures[f"recall/{name}"] = float(by_class["recall"][number])
    return figures


def majority_scores(
    train_labels: ArrayLike | Tensor, num_classes: int, num_samples: int
) -> NDArray[np.float64]:
    """Answer the most frequent class of training, whatever the sample.

    Args:
        train_labels: int ``(M,)`` in [0, K), of TRAINING; the first of equally frequent classes is
            answered.
        num_classes: K.
        num_samples: N, test samples.

    Returns:
        float64 ``(N, K)``: each class's share of training, for :func:`emotion_figures`.

    Raises:
        InputError: If there is no training label or one is not in [0, K).
    """
    labels = plain_array(train_labels)
    if len(labels) == 0:
        raise InputError("the most frequent class of training needs at least one training label")
    counts = count_confusion(true=labels, predicted=labels, num_classes=num_classes).diagonal()
    return np.repeat(counts.double().numpy()[None] / len(labels), num_samples, axis=0)


def _recalls(confusion: Tensor) -> dict[str, float]:
    return {
        "war": float(confusion.diagonal().sum() / confusion.sum()),
        "uar": float(mean_class_accuracy(confusion.double())),
    }
