"""Metrics that torchmetrics lacks, each beside its pure function."""

from videolit.metrics.classification import (
    MajorityBaseline,
    MeanClassAccuracy,
    SampleScores,
    bootstrap_interval,
    majority_accuracy,
    mean_class_accuracy,
)

__all__ = [
    "MajorityBaseline",
    "MeanClassAccuracy",
    "SampleScores",
    "bootstrap_interval",
    "majority_accuracy",
    "mean_class_accuracy",
]
