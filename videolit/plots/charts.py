"""What a data set is made of, as figures: bars of its classes, histograms of its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

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

# Beside those of the curves a third one; they differ in lightness too, for any kind of eye.
_COLORS = (VALIDATION, TRAINING, "#d98a2b", "#cfd6de")
_MOST_BARS = 40
_LONGEST_NAME = 24


def class_bars(counts: Mapping[str, ArrayLike], class_names: Sequence[str]) -> Figure:
    """Draw how many samples each class has, the largest class on top.

    Of more than 40 classes the 20 largest and the 20 smallest are drawn.

    Args:
        counts: For each part of the data, such as a split, the samples of each class: ``(K,)``.
        class_names: The ``K`` classes.

    Raises:
        InputError: If there is no class or part, or their numbers differ.
    """
    parts = {name: np.asarray(values) for name, values in counts.items()}
    if not parts or not class_names or any(len(v) != len(class_names) for v in parts.values()):
        raise InputError(
            f"class_bars needs a count of each of the {len(class_names)} classes in at least one "
            f"part, got {[len(v) for v in parts.values()]}"
        )
    total = np.sum(list(parts.values()), axis=0)
    order = np.argsort(-total, kind="stable")
    if len(order) > _MOST_BARS:
        order = np.concatenate([order[: _MOST_BARS // 2], order[-_MOST_BARS // 2 :]])
    names = [_short(class_names[i]) for i in order]
    legend = 0.35 if len(parts) > 1 else 0.0
    with themed_figure(9.2, 0.75 + legend + 0.26 * len(order), constrained=True) as figure:
        axes = figure.add_subplot(facecolor=CARD)
        left = np.zeros(len(order))
        places = np.arange(len(order))
        for (name, values), color in zip(parts.items(), _COLORS, strict=False):
            axes.barh(places, values[order], left=left, height=0.72, color=color, label=name)
            left += values[order]
        for place, value in zip(places, total[order], strict=True):
            axes.annotate(
                f"{value:,}",
                (value, place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                size=8.5,
                color=INK,
            )
        axes.set_yticks(places, names)
        axes.set_ylim(len(order) - 0.4, -0.6)
        axes.set_xlim(0, 1.08 * max(1, total.max()))
        _clean(axes, "x")
        axes.set_xlabel("samples")
        axes.tick_params(axis="y", labelcolor=INK)
        if legend:
            axes.legend(
                loc="lower left",
                bbox_to_anchor=(0, 1.0),
                ncols=len(parts),
                frameon=False,
                fontsize=8.5,
                labelcolor=MUTED,
                borderaxespad=0.2,
            )
    return figure


def histograms(values: Mapping[str, ArrayLike]) -> Figure:
    """Draw the distribution of some numbers, side by side.

    Args:
        values: By name with unit, such as ``{"duration, s": …}``, finite numbers ``(N,)``.

    Raises:
        InputError: If there is nothing to draw.
    """
    shown = {name: np.asarray(v, np.float64) for name, v in values.items()}
    if not shown or any(v.size == 0 for v in shown.values()):
        raise InputError(f"histograms needs numbers under each name, got none in {list(shown)}")
    with themed_figure(3.1 * len(shown), 2.7, constrained=True) as figure:
        for place, (name, numbers) in enumerate(shown.items()):
            axes = figure.add_subplot(1, len(shown), place + 1, facecolor=CARD)
            low, high = float(numbers.min()), float(numbers.max())
            if high - low < 1e-6 * max(1.0, abs(high)):
                # One value: a bar of its own width, not one over the whole picture.
                low, high = 0.0, 2 * abs(high) or 1.0
            axes.hist(numbers, bins=24, range=(low, high), color=VALIDATION, rwidth=0.9)
            _clean(axes, "y")
            axes.xaxis.set_major_locator(MaxNLocator(5))
            axes.set_title(name, loc="left", size=10, weight="bold", color=INK)
            axes.set_ylabel("files" if place == 0 else "")
    return figure


def _clean(axes: Axes, grid: str) -> None:
    """Leave a grid of one direction, whole numbers on it, and no frame."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    if grid == "x":
        axes.spines["bottom"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.xaxis.grid(True, color=LINE, linewidth=0.7)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.grid(True, color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=8.5)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
