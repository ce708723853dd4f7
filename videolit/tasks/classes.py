"""What tasks do with classes: whose label is whose, how much each counts, and their metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from videolit.metrics import MajorityBaseline, MeanClassAccuracy, SampleScores
from videolit.types import InputError


def label_order(names: Sequence[str], known: Sequence[str]) -> list[int]:
    """Return the position of each of the data's classes in those of the model.

    Args:
        names: The data's classes, in its label order.
        known: The model's classes, in its label order.

    Raises:
        InputError: If the data has a class that the model does not know.
    """
    places = {name: label for label, name in enumerate(known)}
    unknown = [name for name in names if name not in places]
    if unknown:
        missing = [name for name in known if name not in set(names)]
        raise InputError(
            f"the data has classes that the model was not trained for: {', '.join(unknown)}"
            + (f"; the model has {', '.join(missing)} instead" if missing else "")
            + ". Use the data's class names of training, or train again"
        )
    return [places[name] for name in names]


def loss_weights(
    chosen: Literal["balanced"] | list[float] | None, counts: Sequence[int], names: Sequence[str]
) -> Tensor | None:
    """Return the classes' weights in the loss.

    Args:
        chosen: ``"balanced"`` = inversely proportional to the counts, with mean 1; or a list.
        counts: Training samples of each class.
        names: The classes, for the error.

    Returns:
        float ``(K,)``; None = all equal.

    Raises:
        InputError: If a list has another length.
    """
    if chosen is None:
        return None
    if chosen == "balanced":
        inverse = 1 / torch.tensor(counts, dtype=torch.float32).clamp(min=1)
        return inverse / inverse.mean()
    if len(chosen) != len(counts):
        raise InputError(
            f"class_weights has {len(chosen)} numbers for {len(counts)} classes: "
            f"give one each, in the order {', '.join(names)}"
        )
    return torch.tensor(chosen, dtype=torch.float32)


def build_metrics(num_classes: int, *, several: bool) -> nn.ModuleDict:
    """Return the metrics of validation and test, by ``<split>_<name>``.

    Args:
        num_classes: K.
        several: Whether a sample has several labels, or none.

    Returns:
        ``loss`` of each split. With one label also ``scores`` and ``majority``, and the ``samples``
        of the test; with several the ``samples`` of both.
    """
    scores: dict[str, Metric | MetricCollection] = {
        "accuracy": MulticlassAccuracy(num_classes, average="micro", validate_args=False),
        "mean_class_accuracy": MeanClassAccuracy(num_classes),
    }
    if num_classes > 5:
        scores["top5_accuracy"] = MulticlassAccuracy(
            num_classes, top_k=5, average="micro", validate_args=False
        )
    # Each split has metrics of its own: none is reset by another's run.
    metrics = nn.ModuleDict()
    for split in ("val", "test"):
        metrics[f"{split}_loss"] = MeanMetric()
        if several:
            metrics[f"{split}_samples"] = SampleScores(num_classes, several=True)
            continue
        # Groups that share states form at the first update, which a process without a sample
        # never makes: the processes would then disagree on what to exchange.
        metrics[f"{split}_scores"] = MetricCollection(
            scores, prefix=f"{split}/", compute_groups=False
        ).clone()
        metrics[f"{split}_majority"] = MajorityBaseline(num_classes)
    if not several:
        metrics["test_samples"] = SampleScores(num_classes)
    return metrics
