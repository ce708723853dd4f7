"""What happens when in a long video, as a picture: a lane for each class that occurs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from videolit.ops.segments import Segment
from videolit.plots.clock import time_marks
from videolit.plots.theme import CARD, CELL, INK, LINE, MUTED, VALIDATION, Figure, themed_figure

_WIDTH = 11.0
_LANE = 0.38
_CURVE = "#b9d0e8"
_LONGEST_NAME = 26
_LONGEST_TITLE = 80
# Points of a curve; more of them than the picture has pixels cannot be seen.
_MOST_POINTS = 2000
# Share of the time axis below which a segment would be less than two pixels of the screen.
_THINNEST = 0.002


def timeline_figure(
    segments: Sequence[Segment],
    class_names: Sequence[str],
    edges: NDArray[np.float64],
    values: NDArray[np.float64],
    *,
    title: str = "",
    start_at: float | None = None,
) -> Figure:
    """Draw segments as bars over the score curves, a lane for each class with a segment.

    Lanes are ordered by the first segment of their class, and the number at the right is the time
    that its segments take together. Segments that are too short to be seen are widened to a mark.

    Args:
        segments: What was found.
        class_names: The ``K`` classes.
        edges: float ``(M + 1,)`` seconds, ascending.
        values: float ``(M, K)`` in [0, 1], scores between neighbouring edges; NaN = not known.
        title: Such as the name of the file.
        start_at: Score at which a segment starts, drawn as a line; None = no line.
    """
    lanes = list(dict.fromkeys(segment.label for segment in segments))
    begin, finish = float(edges[0]), float(edges[-1])
    height = 0.95 + _LANE * max(len(lanes), 1)
    with themed_figure(_WIDTH, height, constrained=True) as figure:
        axes = figure.add_subplot(facecolor=CARD)
        for lane, label in enumerate(lanes):
            own = [segment for segment in segments if segment.label == label]
            draw_lane(axes, lane, own, edges, values[:, label], start_at)
        if not lanes:
            axes.text(
                (begin + finish) / 2,
                0.5,
                "no segment found",
                ha="center",
                va="center",
                color=MUTED,
                bbox={"facecolor": CARD, "edgecolor": "none"},
            )
        axes.set_ylim(max(len(lanes), 1) + 0.06, -0.06)
        axes.set_yticks(
            [lane + 0.5 for lane in range(len(lanes))],
            [_short(class_names[k], _LONGEST_NAME) for k in lanes],
        )
        time_marks(axes, begin, finish)
        axes.xaxis.grid(True, color=LINE, linewidth=0.7)
        axes.set_axisbelow(True)
        if title:
            axes.set_title(
                _short(title, _LONGEST_TITLE), loc="left", size=11, weight="bold", color=INK, pad=8
            )
        found = f"{len(segments)} segment{'' if len(segments) == 1 else 's'}"
        axes.set_title(found, loc="right", size=9, color=MUTED, pad=8)
        if lanes:
            line = "" if start_at is None else f" · dotted: {start_at:g}, where a segment starts"
            axes.set_xlabel(f"dark: segments · pale: score of the class{line} · right: time in all")
        axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
        axes.tick_params(length=0, labelsize=8.5)
        axes.tick_params(axis="y", labelcolor=INK, labelsize=9.5, pad=8)
    return figure


def draw_lane(
    axes: Axes,
    lane: int,
    segments: Sequence[Segment],
    edges: NDArray[np.float64],
    curve: NDArray[np.float64],
    start_at: float | None,
) -> None:
    """Draw one class: its curve above, its segments as a bar below.

    Args:
        axes: Of time; lanes are one apart, the first at the top, from 0.
        lane: Place of the class.
        segments: Those of the class.
        edges: float ``(M + 1,)`` seconds, ascending.
        curve: float ``(M,)`` in [0, 1], the class's score between neighbouring edges; NaN = not
            known.
        start_at: Score that is drawn as a line; None = no line.
    """
    begin, span = float(edges[0]), float(edges[-1] - edges[0])
    top, base, foot = lane + 0.08, lane + 0.66, lane + 0.92
    axes.add_patch(Rectangle((begin, top), span, foot - top, color=CELL, linewidth=0, zorder=0))
    times, heights = thinned(edges, np.nan_to_num(curve))
    axes.fill_between(
        times, base, base - (base - top) * heights, step="post", color=_CURVE, linewidth=0, zorder=1
    )
    if start_at is not None:
        line = base - (base - top) * start_at
        axes.plot(
            [begin, begin + span], [line, line], color=MUTED, lw=0.5, ls=(0, (2, 4)), zorder=2
        )
    bars = []
    for segment in segments:
        width = max(segment.end - segment.start, _THINNEST * span)
        left = min((segment.start + segment.end - width) / 2, begin + span - width)
        bars.append(Rectangle((max(left, begin), base), width, foot - base))
    axes.add_collection(PatchCollection(bars, facecolor=VALIDATION, linewidth=0, zorder=3))
    total = sum(segment.end - segment.start for segment in segments)
    axes.annotate(
        _length(total),
        (1, lane + 0.5),
        xycoords=("axes fraction", "data"),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        size=8.5,
        color=MUTED,
    )


def thinned(
    edges: NDArray[np.float64], curve: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return left edges and heights of a curve of steps, the last one twice.

    Of more than 2,000 steps, the highest of each group is kept.
    """
    group = -(-len(curve) // _MOST_POINTS)
    starts = np.arange(0, len(curve), group)
    heights = np.maximum.reduceat(curve, starts)
    return np.append(edges[starts], edges[-1]), np.append(heights, heights[-1])


def _length(seconds: float) -> str:
    """Return a duration in few characters."""
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
