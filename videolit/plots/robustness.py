"""What missing modalities and lost steps cost a model: bars of the subsets, curves of the rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from videolit.plots.theme import (
    CARD,
    INK,
    LINE,
    MUTED,
    TRAINING,
    VALIDATION,
    Figure,
    themed_figure,
)
from videolit.types import InputError

# One each, told apart by lightness and sign too; all together comes last.
_COLORS = (VALIDATION, "#d98a2b", TRAINING)
_SIGNS = ("o", "s", "^")


def robustness_figure(
    subsets: Mapping[tuple[str, ...], float | None],
    curves: Mapping[str, Sequence[tuple[float, float]]],
    figure_name: str,
    baseline: float | None = None,
    *,
    rises: bool = True,
) -> Figure:
    """Draw a figure for each subset of modalities, and over the rate of lost steps.

    Args:
        subsets: The figure with some modalities only; None = no sample has any of them.
        curves: Rates in [0, 1] with their figures, of each modality whose steps are lost, and of
            all of them under another name.
        figure_name: Such as ``weighted_f1``.
        baseline: What a constant answer gets; None = no line.
        rises: Whether higher is better.

    Raises:
        InputError: If there is no subset or no curve.
    """
    if not subsets or not any(len(points) for points in curves.values()):
        raise InputError(
            f"robustness_figure needs subsets and curves, got {len(subsets)} and {len(curves)}"
        )
    names = list(dict.fromkeys(name for chosen in subsets for name in chosen))
    height = max(3.1, 1.3 + 0.36 * len(subsets))
    with themed_figure(9.2, height, constrained=True) as figure:
        grid = figure.add_gridspec(1, 3, width_ratios=(0.22 * len(names) + 0.1, 2.1, 3.2))
        bars = figure.add_subplot(grid[1], facecolor=CARD)
        dots = figure.add_subplot(grid[0], facecolor=CARD, sharey=bars)
        _draw_dots(dots, list(subsets), names)
        _draw_bars(bars, list(subsets.values()), baseline)
        _title(bars, f"{figure_name} with only these")
        lines = figure.add_subplot(grid[2], facecolor=CARD)
        _draw_curves(lines, curves, names, baseline)
        better = f"{'higher' if rises else 'lower'} is better"
        _title(lines, f"{figure_name} with steps lost ({better})")
        bars.set_xlabel(better)
        lines.set_xlabel("share of steps lost")
        for axes in (bars, lines):
            axes.spines[["top", "right", "left"]].set_visible(False)
            axes.set_axisbelow(True)
            axes.tick_params(length=0, labelsize=8.5)
    return figure


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", size=10, weight="bold", color=INK)


def _draw_dots(axes: Axes, subsets: Sequence[tuple[str, ...]], names: Sequence[str]) -> None:
    """Draw which modalities each row has."""
    for row, chosen in enumerate(subsets):
        places = [names.index(name) for name in chosen]
        axes.plot([min(places), max(places)], [row, row], color=INK, linewidth=1.2)
        for place, name in enumerate(names):
            color = INK if name in chosen else LINE
            axes.plot(place, row, "o", markersize=7, color=color, clip_on=False)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_xticks(range(len(names)), list(names), rotation=90)
    axes.tick_params(length=0, labelsize=8.5, labelleft=False)
    axes.spines[:].set_visible(False)


def _draw_bars(axes: Axes, values: Sequence[float | None], baseline: float | None) -> None:
    """Draw the figure of each row."""
    known = [0.0 if value is None else value for value in values]
    axes.barh(range(len(values)), known, height=0.66, color=VALIDATION)
    for row, value in enumerate(values):
        axes.annotate(
            "–" if value is None else f"{value:.3f}",
            # In a column beside the bars, where neither bar nor line reaches.
            (1, row),
            xycoords=("axes fraction", "data"),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            size=8.5,
            color=INK,
        )
    if baseline is not None:
        axes.axvline(baseline, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.set_xlim(min(0.0, *known), 1.03 * max(*known, baseline or 0, 1e-3))
    axes.tick_params(labelleft=False)
    axes.xaxis.grid(True, color=LINE, linewidth=0.7)


def _draw_curves(
    axes: Axes,
    curves: Mapping[str, Sequence[tuple[float, float]]],
    names: Sequence[str],
    baseline: float | None,
) -> None:
    """Draw the figure over the share of steps that are lost."""
    for scope, points in curves.items():
        place = names.index(scope) if scope in names else -1
        color = INK if place < 0 else _COLORS[place % len(_COLORS)]
        sign = "D" if place < 0 else _SIGNS[place % len(_SIGNS)]
        rates, values = np.array(points, np.float64).T
        axes.plot(rates, values, marker=sign, markersize=4.5, color=color, label=scope)
    if baseline is not None:
        axes.axhline(
            baseline, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="constant answer"
        )
    axes.set_xlim(-0.03, 0.93)
    axes.yaxis.grid(True, color=LINE, linewidth=0.7)
    # Below, since curves and the constant may go anywhere; the distance is in letters, so that it
    # does not depend on the height.
    axes.legend(
        frameon=False,
        fontsize=8.5,
        labelcolor=MUTED,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        borderaxespad=4.4,
        ncols=len(curves) + 1,
        columnspacing=1.1,
        handlelength=1.6,
    )
