"""Figures for notebooks, commands and reports, and the report page itself."""

from videolit.plots.calibration import reliability_figure
from videolit.plots.clips import ClipLabel, augmentation_grid, clip_grid, clip_strip
from videolit.plots.confusion import (
    confusion_figure,
    confusion_table,
    most_confused,
    per_class_table,
)
from videolit.plots.curves import read_history, training_curves
from videolit.plots.moods import sentiment_figure
from videolit.plots.report import Report
from videolit.plots.robustness import robustness_figure
from videolit.plots.storyboard import storyboard
from videolit.plots.summary import summary_figure
from videolit.plots.theme import save_figure
from videolit.plots.timeline import timeline_figure

__all__ = [
    "ClipLabel",
    "Report",
    "augmentation_grid",
    "clip_grid",
    "clip_strip",
    "confusion_figure",
    "confusion_table",
    "most_confused",
    "per_class_table",
    "read_history",
    "reliability_figure",
    "robustness_figure",
    "save_figure",
    "sentiment_figure",
    "storyboard",
    "summary_figure",
    "timeline_figure",
    "training_curves",
]
