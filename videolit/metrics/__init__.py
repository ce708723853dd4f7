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
from videolit.metrics.segments import SegmentMAP, segment_average_precision, segment_map

__all__ = [
    "MajorityBaseline",
    "MeanClassAccuracy",
    "SampleScores",
    "SegmentMAP",
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
    "segment_average_precision",
    "segment_map",
]
