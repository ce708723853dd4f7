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
from videolit.metrics.summary import (
    keyshot_f1,
    keyshot_scores,
    mean_average_precision_chunks,
    rank_correlation,
    rank_correlations,
    undefined_correlations,
)
from videolit.metrics.summary_baselines import (
    human_keyshot_f1,
    human_leave_one_out,
    performance_over_random,
    random_scores,
    uniform_summary,
)
from videolit.metrics.summary_metrics import VideoFigures

__all__ = [
    "MajorityBaseline",
    "MeanClassAccuracy",
    "SampleScores",
    "SegmentMAP",
    "VideoFigures",
    "average_precision",
    "bootstrap_interval",
    "bootstrap_statistic",
    "calibration_table",
    "expected_calibration_error",
    "f1_scores",
    "human_keyshot_f1",
    "human_leave_one_out",
    "keyshot_f1",
    "keyshot_scores",
    "macro_f1",
    "majority_accuracy",
    "mean_average_precision",
    "mean_average_precision_chunks",
    "mean_class_accuracy",
    "performance_over_random",
    "random_scores",
    "rank_correlation",
    "rank_correlations",
    "segment_average_precision",
    "segment_map",
    "undefined_correlations",
    "uniform_summary",
]
