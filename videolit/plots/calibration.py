"""The reliability diagram: how often answers of a given confidence are right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from videolit.plots.theme import CARD, INK, LINE, MUTED, TRAINING, VALIDATION, Figure, themed_figure
from videolit.types import InputError


def reliability_figure(table: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw accuracy over confidence, and how many answers have that confidence.

    Args:
        table: Rows of :func:`videolit.metrics.calibration_table`.

    Raises:
        InputError: If there is no answer.
    """
    if not table:
        raise InputError("a reliability diagram needs answers, got none")
    total = sum(row["samples"] for row in table)
    middles = [(row["low"] + row["high"]) / 2 for row in table]
    width = min(row["high"] - row["low"] for row in table) * 0.9
    with themed_figure(5.2, 4.6, constrained=True) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3.4, 1]})
        upper.set_facecolor(CARD)
        lower.set_facecolor(CARD)
        upper.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=3)
        upper.bar(
            middles, [row["accuracy"] for row in table], width, color=VALIDATION, label="accuracy"
        )
        # The gap between what is claimed and what is true.
        for middle, row in zip(middles, table, strict=True):
            upper.plot(
                [middle, middle],
                [row["accuracy"], row["confidence"]],
                color=TRAINING,
                linewidth=2,
                solid_capstyle="butt",
                zorder=4,
            )
        upper.set_ylim(0, 1)
        upper.set_xlim(0, 1)
        upper.set_ylabel("right", color=INK)
        lower.bar(middles, [row["samples"] / total for row in table], width, color=LINE)
        lower.set_ylabel("answers", color=INK)
        lower.set_xlabel("confidence", color=INK)
        for axes in (upper, lower):
            axes.spines[["top", "right", "left"]].set_visible(False)
            axes.yaxis.grid(True, color=LINE, linewidth=0.7)
            axes.set_axisbelow(True)
            axes.tick_params(length=0, labelsize=8.5)
            axes.yaxis.set_major_formatter(_percent)
        upper.xaxis.set_major_formatter(_percent)
    return figure


def _percent(value: float, position: int | None = None) -> str:
    return f"{value:.0%}"
