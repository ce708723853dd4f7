"""Metrics that torchmetrics lacks, each beside its pure function."""

from videolit.metrics.calibration import calibration_table, expected_calibration_error
from videolit.metrics.classification import (
    MajorityBaseline,
    MeanClassAccuracy,
    SampleScores,
    bootstrap_interval,
    bootstrap_statistic,
    macro_f1,
    majority_accuracy,
    mean_class_accuracy,
)
from videolit.metrics.multilabel import average_precision, f1_scores, mean_average_precision

__all__ = [
    "MajorityBaseline",
    "MeanClassAccuracy",
    "SampleScores",
    "average_precision",
    "bootstrap_interval",
    "bootstrap_statistic",
    "calibration_table",
    "expected_calibration_error",
    "f1_scores",
    "macro_f1",
    "majority_accuracy",
    "mean_average_precision",
    "mean_class_accuracy",
]
