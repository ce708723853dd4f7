"""Metrics that torchmetrics lacks, each beside its pure function."""

from videolit.metrics.affect import (
    Agreement,
    affect_figures,
    agreement,
    file_concordance,
    mean_predictor,
    median_predictor,
)
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
from videolit.metrics.emotion import (
    class_figures,
    count_confusion,
    emotion_figures,
    majority_scores,
    weighted_f1,
)
from videolit.metrics.multilabel import average_precision, f1_scores, mean_average_precision
from videolit.metrics.segments import SegmentMAP, segment_average_precision, segment_map
from videolit.metrics.sentiment import (
    binary_classes,
    figure_notes,
    regression_figures,
    score_levels,
    sims_classes,
)
from videolit.metrics.sentiment_metrics import AffectFigures, EmotionFigures, SentimentFigures
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
    "AffectFigures",
    "Agreement",
    "EmotionFigures",
    "MajorityBaseline",
    "MeanClassAccuracy",
    "SampleScores",
    "SegmentMAP",
    "SentimentFigures",
    "VideoFigures",
    "affect_figures",
    "agreement",
    "average_precision",
    "binary_classes",
    "bootstrap_interval",
    "bootstrap_statistic",
    "calibration_table",
    "class_figures",
    "count_confusion",
    "emotion_figures",
    "expected_calibration_error",
    "f1_scores",
    "figure_notes",
    "file_concordance",
    "human_keyshot_f1",
    "human_leave_one_out",
    "keyshot_f1",
    "keyshot_scores",
    "macro_f1",
    "majority_accuracy",
    "majority_scores",
    "mean_average_precision",
    "mean_average_precision_chunks",
    "mean_class_accuracy",
    "mean_predictor",
    "median_predictor",
    "performance_over_random",
    "random_scores",
    "rank_correlation",
    "rank_correlations",
    "regression_figures",
    "score_levels",
    "segment_average_precision",
    "segment_map",
    "sims_classes",
    "undefined_correlations",
    "uniform_summary",
    "weighted_f1",
]
