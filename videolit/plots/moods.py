"""Sentiment over time as a picture: which label when, scores, and what the answers rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.patches import Rectangle
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from videolit.ops.segments import Segment
from videolit.plots.clock import time_marks
from videolit.plots.lettering import shortened, text_width
from videolit.plots.theme import (
    CARD,
    CELL,
    EMPTY,
    INK,
    LINE,
    MUTED,
    VALIDATION,
    WRONG,
    Figure,
    themed_figure,
)
from videolit.plots.timeline import draw_lane, thinned

Floats = NDArray[np.float64]
Interval = tuple[float, float]

# Inches.
_WIDTH = 11.0
_RIGHT, _TOP, _BOTTOM = 0.75, 0.55, 0.62
_NARROWEST, _WIDEST, _BESIDE = 0.75, 2.4, 0.22
_LANE, _ROW, _CHART, _GAP = 0.38, 0.27, 0.95, 0.2
# Points.
_NAME = 9.5
# Of more steps a thick line is a band.
_MANY = 400
_WEIGHT = "#8fb0d3"
_FILL = "#d3e3f3"
_HATCH = "#b4bfcb"


def sentiment_figure(
    edges: Floats,
    labels: NDArray[np.int64],
    names: Sequence[str],
    *,
    probabilities: Floats | None = None,
    numbers: Mapping[str, tuple[Floats, Interval]] | None = None,
    weights: Floats | None = None,
    means: Sequence[float] | None = None,
    used: Floats,
    modalities: Sequence[str],
    reasons: Mapping[str, str] | None = None,
    title: str = "",
    footer: str = "",
) -> Figure:
    """Draw a lane for each label that holds, curves of the numbers, and what the answers rest on.

    Args:
        edges: float ``(M + 1,)`` seconds, ascending; all else holds between neighbouring ones, and
            NaN is not known.
        labels: int64 ``(M,)``, which name holds; -1 = not known.
        names: The ``K`` labels.
        probabilities: float ``(M, K)`` in [0, 1]; None = bars without curves.
        numbers: Curves by name, float ``(M,)`` each, with their lowest and highest value; those
            whose range is equal share a chart, at most three. What lies beyond is drawn at the
            edge, with a triangle.
        weights: float ``(M, N)`` in [0, 1], each modality's share in the answers; None = there are
            none to tell of, and where a modality is used is all that is drawn.
        means: ``N`` mean weights in [0, 1], written beside the rows; None = not written.
        used: float ``(M, N)`` in [0, 1]; 0 = the modality is missing.
        modalities: The ``N`` names.
        reasons: Why a modality is missing in all windows.
        title: Such as the name of the file.
        footer: What stands below, at the left.
    """
    lanes = [int(k) for k in dict.fromkeys(labels.tolist()) if k >= 0]
    charts = _charts(numbers or {})
    heights = [_LANE * max(len(lanes), 1), *(_CHART for _ in charts), _ROW * len(modalities)]
    height = _TOP + sum(heights) + _GAP * (len(heights) - 1) + _BOTTOM
    with themed_figure(_WIDTH, height) as figure:
        widest = max(text_width(name, _NAME) for name in [*modalities, *(names[k] for k in lanes)])
        left = min(max(widest / 72 + _BESIDE, _NARROWEST), _WIDEST)
        panels = _panels(figure, heights, left)
        _draw_labels(panels[0], edges, labels, lanes, names, probabilities)
        for axes, (bounds, curves) in zip(panels[1:-1], charts, strict=True):
            _draw_numbers(axes, edges, curves, bounds)
        _draw_modalities(panels[-1], edges, weights, means, used, modalities, reasons or {})
        for axes in panels:
            time_marks(axes, float(edges[0]), float(edges[-1]))
            axes.xaxis.grid(True, color=LINE, linewidth=0.7)
            axes.set_axisbelow(True)
            axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
            axes.tick_params(length=0, labelsize=8.5)
            axes.tick_params(axis="y", pad=8)
            axes.tick_params(axis="x", labelbottom=axes is panels[-1])
        room = 72 * (_WIDTH - left - _RIGHT)
        head, foot = shortened(title, room, 11, weight="bold"), shortened(footer, room, 8.5)
        place = left / _WIDTH
        figure.text(place, 1 - 0.28 / height, head, size=11, color=INK, weight="bold", va="center")
        figure.text(place, 0.17 / height, foot, size=8.5, color=MUTED, va="center")
    return figure


def _charts(
    numbers: Mapping[str, tuple[Floats, Interval]],
) -> list[tuple[Interval, dict[str, Floats]]]:
    """Return the curves by their range."""
    found: dict[Interval, dict[str, Floats]] = {}
    for name, (curve, bounds) in numbers.items():
        found.setdefault(bounds, {})[name] = curve
    return list(found.items())


def _panels(figure: Figure, heights: Sequence[float], left: float) -> list[Axes]:
    """Return axes below each other, in inches of height."""
    whole = figure.get_figheight()
    foot, found = whole - _TOP, []
    width = (_WIDTH - left - _RIGHT) / _WIDTH
    for height in heights:
        foot -= height
        found.append(
            figure.add_axes((left / _WIDTH, foot / whole, width, height / whole), facecolor=CARD)
        )
        foot -= _GAP
    return found


def _draw_labels(
    axes: Axes,
    edges: Floats,
    labels: NDArray[np.int64],
    lanes: Sequence[int],
    names: Sequence[str],
    probabilities: Floats | None,
) -> None:
    """Draw where each label holds, and its probability."""
    for lane, label in enumerate(lanes):
        curve = np.zeros(len(labels)) if probabilities is None else probabilities[:, label]
        bars = [
            Segment(float(edges[first]), float(edges[stop]), label, 0.0, 0.0)
            for first, stop in _runs(labels == label)
        ]
        draw_lane(axes, lane, bars, edges, curve, None)
    if not lanes:
        _note(axes, 0.5, edges, "nothing to go by in any window")
    axes.set_ylim(max(len(lanes), 1) + 0.04, -0.04)
    room = 72 * (_WIDEST - _BESIDE)
    axes.set_yticks(
        [lane + 0.5 for lane in range(len(lanes))],
        [shortened(names[k], room, _NAME) for k in lanes],
    )
    axes.tick_params(axis="y", labelcolor=INK, labelsize=_NAME)


def _draw_numbers(
    axes: Axes, edges: Floats, curves: Mapping[str, Floats], bounds: Interval
) -> None:
    """Draw curves of one scale, each named at its end."""
    low, high = bounds
    middle = (low + high) / 2
    axes.axhline(middle, color=MUTED, linewidth=0.6, zorder=1)
    alone = len(curves) == 1
    ends: list[tuple[float, str, str]] = []
    space = 0.06 * (high - low)
    for place, (name, curve) in enumerate(curves.items()):
        colour = (VALIDATION, WRONG, INK)[place]
        # What a head answers may lie beyond the scale: triangles tell where.
        line = np.clip(curve, low, high)
        # Those of two curves at one time stand beside each other.
        aside = axes.transData + ScaledTranslation(place / 9, 0, axes.figure.dpi_scale_trans)
        for mask, at, sign in ((curve > high, high + space, "^"), (curve < low, low - space, "v")):
            axes.plot(
                [float(edges[first] + edges[stop]) / 2 for first, stop in _runs(mask)],
                [at] * len(_runs(mask)),
                sign,
                color=colour,
                markersize=5,
                markeredgewidth=0,
                clip_on=False,
                transform=aside,
                zorder=4,
            )
        width = 0.9 if len(line) > _MANY else 1.5
        axes.stairs(line, edges, baseline=None, color=colour, linewidth=width, zorder=3)
        if alone:
            axes.stairs(line, edges, baseline=middle, fill=True, color=_FILL, zorder=2)
        known = line[~np.isnan(line)]
        ends.append((float(known[-1]) if len(known) else middle, name, colour))
    below = -np.inf
    for end, name, colour in sorted(ends):
        # Names of curves that end together stand above each other.
        below = at = max(end, below + 0.17 * (high - low))
        axes.annotate(
            name,
            (1, at),
            xycoords=("axes fraction", "data"),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            size=8.5,
            color=colour,
            annotation_clip=False,
        )
    axes.set_ylim(low - space, high + space)
    axes.set_yticks([low, middle, high], [f"{value:g}" for value in (low, middle, high)])


def _draw_modalities(
    axes: Axes,
    edges: Floats,
    weights: Floats | None,
    means: Sequence[float] | None,
    used: Floats,
    modalities: Sequence[str],
    reasons: Mapping[str, str],
) -> None:
    """Draw a row for each modality: its weight, else all of the row; hatched where missing."""
    begin, span = float(edges[0]), float(edges[-1] - edges[0])
    for row, name in enumerate(modalities):
        top, foot = row + 0.1, row + 0.9
        axes.add_patch(Rectangle((begin, top), span, foot - top, color=CELL, linewidth=0, zorder=0))
        there = np.nan_to_num(used[:, row]) > 0
        area = there.astype(np.float64) if weights is None else np.nan_to_num(weights[:, row])
        times, share = thinned(edges, area)
        axes.fill_between(
            times, foot, foot - (foot - top) * share, step="post", color=_WEIGHT, lw=0, zorder=1
        )
        gaps = [
            Rectangle((float(edges[first]), top), float(edges[stop] - edges[first]), foot - top)
            for first, stop in _runs(~there)
        ]
        axes.add_collection(
            PatchCollection(
                gaps, facecolor=EMPTY, edgecolor=_HATCH, hatch="////", linewidth=0, zorder=2
            )
        )
        if not there.any():
            _note(axes, row + 0.5, edges, reasons.get(name, "missing"))
            continue
        if weights is None:
            beside = "used" if there.all() else "in part"
        else:
            beside = "" if means is None else f"{means[row]:.0%}"
        axes.annotate(
            beside,
            (1, row + 0.5),
            xycoords=("axes fraction", "data"),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            size=8.5,
            color=MUTED,
        )
    axes.set_ylim(len(modalities) + 0.05, -0.05)
    axes.set_yticks([row + 0.5 for row in range(len(modalities))], list(modalities))
    axes.tick_params(axis="y", labelcolor=INK, labelsize=_NAME)


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return first and stop of each run of True."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return list(zip(steps[::2].tolist(), steps[1::2].tolist(), strict=True))


def _note(axes: Axes, at: float, edges: Floats, text: str) -> None:
    """Write in the middle of a row."""
    axes.text(
        float(edges[0] + edges[-1]) / 2,
        at,
        shortened(text, 72 * (_WIDTH - _WIDEST - _RIGHT), 8.5),
        ha="center",
        va="center",
        size=8.5,
        color=MUTED,
        zorder=4,
        bbox={"facecolor": CARD, "edgecolor": "none", "pad": 1.5},
    )
