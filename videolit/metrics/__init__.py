"""Metrics that torchmetrics lacks, each beside its pure function."""

from videolit.metrics.classification import (
    MajorityBaseline,
    MeanClassAccuracy,
    SampleScores,
    bootstrap_interval,
    majority_accuracy,
    mean_class_accuracy,
)
from videolit.metrics.segments import SegmentMAP, segment_average_precision, segment_map

__all__ = [
    "MajorityBaseline",
    "MeanClassAccuracy",
    "SampleScores",
    "SegmentMAP",
    "bootstrap_interval",
    "majority_accuracy",
    "mean_class_accuracy",
    "segment_average_precision",
    "segment_map",
]
