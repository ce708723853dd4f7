"""What a summary keeps of a video, as a picture: the scores over time and the shots chosen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray

from videolit.plots.clock import clock, time_marks
from videolit.plots.lettering import shortened
from videolit.plots.summary_checks import (
    Floats,
    checked,
    checked_ranges,
    checked_shots,
    checked_times,
)
from videolit.plots.theme import CARD, CELL, EMPTY, INK, LINE, MUTED, Figure, themed_figure
from videolit.types import InputError

Ranges = Sequence[tuple[float, float]]

# Inches.
_WIDTH = 9.2
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.5, 0.36, 0.42, 0.6
_TITLE, _CHART, _STRIP, _GAP = 0.24, 1.6, 0.17, 0.07

_KEPT = "#2f74b5"
_ASKED = "#123f75"
_CURVE = "#46617f"
_OTHER = "#dde6f0"
_SPREAD = "#cdd8e4"
_HATCH = "#a3b0be"
_PEOPLE = "#d98a2b"
# Points of a curve: of more, two hours of video are nothing but zigzag.
_MOST_POINTS = 400
# More shots than that are too narrow to be told apart.
_MOST_SHOTS = 120
# Share of the time axis that is about two pixels of a saved picture.
_THINNEST = 0.0015


def summary_figure(
    times: ArrayLike,
    scores: ArrayLike,
    shots: ArrayLike,
    selected: ArrayLike,
    *,
    duration: float,
    title: str = "",
    users: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    budget: float | None = None,
    forced: Ranges = (),
    dropped: Ranges = (),
) -> Figure:
    """Draw a video's scores, filled where the summary keeps it, over a strip of what is kept.

    Up to 120 shots are told apart by soft bands and gaps in the strip; of more, only what is kept
    is marked. A curve of more than 400 steps is drawn by the means of groups of them, with the
    range of each group behind it. Kept parts too short to be seen are widened a little.

    Args:
        times: float ``(T,)`` seconds, ascending, in [0, ``duration``]: when each score holds.
        scores: float ``(T,)`` in [0, 1].
        shots: float ``(S, 2)`` seconds, start and end of each shot, in order and without overlap.
        selected: bool ``(S,)``, which shots the summary keeps.
        duration: Length of the video in seconds, above 0.
        title: Such as the name of the file.
        users: float ``(U, T)`` in [0, 1], what annotators said; drawn are their mean and the range
            between their quartiles.
        truth: float ``(T,)`` in [0, 1], what the scores should have been.
        budget: Share of the video that was allowed, in (0, 1]; the headline tells it.
        forced: Start and end, in seconds, of what was kept because the user asked for it.
        dropped: Start and end, in seconds, of what was left out because the user asked for it.

    Raises:
        InputError: If a shape differs, or a value is NaN or out of its range.
    """
    moments = checked_times(times, duration)
    curve = checked("scores", scores, (len(moments),))
    parts, chosen = checked_shots(shots, selected, duration)
    asked = [checked_ranges(*pair, duration) for pair in (("forced", forced), ("dropped", dropped))]
    people = None if users is None else checked("users", users, (None, len(moments)))
    true = None if truth is None else checked("truth", truth, (len(moments),))
    if budget is not None and not 0 < budget <= 1:
        raise InputError(f"budget is a share of the video in (0, 1], got {budget:g}")
    shown = _widened(_merged(parts[chosen]), duration)
    height = _TOP + _TITLE * bool(title) + _CHART + _GAP + _STRIP + _BOTTOM
    with themed_figure(_WIDTH, height) as figure:
        chart, strip = _panels(figure)
        key: list[Artist] = [
            Line2D([], [], color=_CURVE, linewidth=1.4, label="score"),
            Patch(facecolor=_KEPT, label="kept"),
        ]
        _draw_shots(chart, strip, parts)
        _draw_scores(chart, moments, curve, shown, duration)
        _fill(strip, shown, _KEPT, zorder=2)
        key += _draw_asked(chart, strip, *asked)
        if people is None and len(moments) > _MOST_POINTS:
            key.append(_draw_spread(chart, moments, curve, duration))
        if people is not None:
            key += _draw_people(chart, moments, people, duration)
        if true is not None:
            key.append(_draw_truth(chart, moments, true, duration))
        peak = max(float(np.max(v)) for v in (curve, people, true) if v is not None)
        _set_scales(chart, strip, peak, duration)
        _write(figure, title, _headline(parts, chosen, duration, budget), key)
    return figure


def _panels(figure: Figure) -> tuple[Axes, Axes]:
    """Return the axes of the curve and of the strip beneath it."""
    left, width = _LEFT / _WIDTH, (_WIDTH - _LEFT - _RIGHT) / _WIDTH
    height = figure.get_figheight()
    foot = _BOTTOM + _STRIP + _GAP
    chart = figure.add_axes((left, foot / height, width, _CHART / height), facecolor=CARD)
    strip = figure.add_axes((left, _BOTTOM / height, width, _STRIP / height), facecolor=EMPTY)
    return chart, strip


def _merged(ranges: Floats) -> Floats:
    """Return ranges ``(N, 2)`` in order with those that touch made one."""
    if not len(ranges):
        return ranges
    apart = ranges[1:, 0] > ranges[:-1, 1] + 1e-6
    starts = ranges[np.concatenate([[True], apart]), 0]
    ends = ranges[np.concatenate([apart, [True]]), 1]
    return np.stack([starts, ends], 1)


def _widened(ranges: Floats, duration: float) -> Floats:
    """Return ranges that can be seen, each about its old middle and within the video."""
    if not len(ranges):
        return ranges
    lengths = ranges[:, 1] - ranges[:, 0]
    # Of hundreds of short parts, two pixels each would tell of a longer summary than there is.
    least = min(_THINNEST * duration, 1.3 * float(lengths.mean()))
    middle, half = ranges.mean(1), np.maximum(lengths, least) / 2
    return np.stack([np.maximum(middle - half, 0), np.minimum(middle + half, duration)], 1)


def _draw_shots(chart: Axes, strip: Axes, shots: Floats) -> None:
    """Draw every second shot as a band, and gaps between the shots of the strip."""
    if len(shots) > _MOST_SHOTS:
        return
    _fill(chart, shots[1::2], CELL, zorder=0)
    for start in shots[1:, 0]:
        strip.axvline(start, color=CARD, linewidth=0.8, zorder=4)


def _fill(axes: Axes, ranges: Floats, color: str, *, zorder: float, hatch: str = "") -> None:
    """Fill the whole height of ranges of time."""
    corners = [[(a, 0), (a, 1), (b, 1), (b, 0)] for a, b in ranges.tolist()]
    axes.add_collection(
        PolyCollection(
            corners,
            facecolor="none" if hatch else color,
            edgecolor=color if hatch else "none",
            linewidth=0,
            hatch=hatch,
            zorder=zorder,
            transform=axes.get_xaxis_transform(),
        ),
        autolim=False,
    )


def _draw_scores(chart: Axes, times: Floats, scores: Floats, kept: Floats, duration: float) -> None:
    """Draw the curve, the area beneath it, and the kept parts of the area."""
    x, y = _line(times, scores, duration)
    chart.fill_between(x, 0, y, color=_OTHER, linewidth=0, zorder=1.5)
    areas = []
    for start, end in kept.tolist():
        inner = (x > start) & (x < end)
        over = np.concatenate([[start], x[inner], [end]])
        height = np.interp(over, x, y)
        areas.append(np.stack([np.r_[start, over, end], np.r_[0, height, 0]], 1))
    chart.add_collection(
        PolyCollection(areas, facecolor=_KEPT, edgecolor="none", linewidth=0, zorder=2)
    )
    width = 0.9 if len(times) > _MOST_POINTS else 1.2
    chart.plot(x, y, color=_CURVE, linewidth=width, zorder=3, solid_joinstyle="round")


def _draw_spread(chart: Axes, times: Floats, scores: Floats, duration: float) -> Patch:
    """Draw the range of the scores of each point of the curve; return its entry of the key."""
    x = _to_ends(_means(times), duration)
    low, high = (np.pad(_grouped(scores, how), 1, mode="edge") for how in (np.minimum, np.maximum))
    chart.fill_between(x, low, high, color=_SPREAD, linewidth=0, zorder=1)
    seconds = duration / len(_starts(len(times)))
    return Patch(facecolor=_SPREAD, lw=0, label=f"lowest to highest within {seconds:.2g} s")


def _draw_asked(chart: Axes, strip: Axes, forced: Floats, dropped: Floats) -> list[Artist]:
    """Mark what the user asked to keep or to leave out; return entries of the key."""
    key: list[Artist] = []
    if len(forced):
        _fill(strip, forced, _ASKED, zorder=3)
        key.append(Patch(facecolor=_ASKED, label="kept as asked"))
    if len(dropped):
        for axes in (chart, strip):
            _fill(axes, dropped, _HATCH, zorder=2.5, hatch="/////")
        label = "left out as asked"
        key.append(Patch(facecolor="none", edgecolor=_HATCH, hatch="/////", lw=0, label=label))
    return key


def _draw_people(chart: Axes, times: Floats, users: Floats, duration: float) -> list[Artist]:
    """Draw the annotators' mean and quartiles; return entries of the key."""
    low, high = np.quantile(users, (0.25, 0.75), axis=0)
    x, bottom = _line(times, low, duration)
    chart.fill_between(
        x, bottom, _line(times, high, duration)[1], color=_PEOPLE, alpha=0.22, lw=0, zorder=4
    )
    count = f"{len(users)} annotator{'' if len(users) == 1 else 's'}"
    line = _draw_line(chart, *_line(times, users.mean(0), duration), f"mean of {count}")
    return [line, Patch(facecolor=_PEOPLE, alpha=0.3, lw=0, label="their quartiles")]


def _draw_truth(chart: Axes, times: Floats, truth: Floats, duration: float) -> Line2D:
    """Draw the true curve; return its entry of the key."""
    line = _draw_line(chart, *_line(times, truth, duration), "truth")
    line.set(linestyle=(0, (3, 1.5)), color=INK)
    return line


def _draw_line(chart: Axes, x: Floats, y: Floats, label: str) -> Line2D:
    """Draw a curve that stands out from light and dark areas."""
    (line,) = chart.plot(x, y, color=_PEOPLE, linewidth=1.4, zorder=5, label=label)
    line.set_path_effects([withStroke(linewidth=2.8, foreground=CARD)])
    return line


def _line(times: Floats, values: Floats, duration: float) -> tuple[Floats, Floats]:
    """Return points of a curve from 0 to the end, its first and last value held."""
    if len(times) > _MOST_POINTS:
        times, values = _means(times), _means(values)
    return _to_ends(times, duration), np.pad(values, 1, mode="edge")


def _to_ends(times: Floats, duration: float) -> Floats:
    return np.concatenate([[0.0], times, [duration]])


def _starts(length: int) -> NDArray[np.intp]:
    return np.arange(0, length, -(-length // _MOST_POINTS))


def _grouped(values: Floats, how: np.ufunc) -> Floats:
    reduced: Floats = how.reduceat(values, _starts(len(values)))
    return reduced


def _means(values: Floats) -> Floats:
    sizes = np.diff(np.append(_starts(len(values)), len(values)))
    return _grouped(values, np.add) / sizes


def _set_scales(chart: Axes, strip: Axes, peak: float, duration: float) -> None:
    """Put the marks of both axes."""
    for axes in (chart, strip):
        time_marks(axes, 0, duration)
        axes.tick_params(length=0, labelsize=8.5)
        axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    # Scores of a regression may all be low; a scale that begins at 0 keeps the picture honest.
    top = next(top for top in (0.1, 0.2, 0.5, 1.0) if peak <= top * (1 + 1e-6))
    chart.set_ylim(0, 1.04 * top)
    chart.set_yticks([0, top / 2, top])
    chart.grid(True, color=LINE, linewidth=0.7)
    chart.set_axisbelow(True)
    chart.tick_params(axis="x", labelbottom=False)
    strip.set_ylim(0, 1)
    strip.set_yticks([])


def _headline(
    shots: Floats, selected: NDArray[np.bool_], duration: float, budget: float | None
) -> str:
    """Return how much is kept, in words."""
    seconds = float((shots[selected, 1] - shots[selected, 0]).sum())
    share = seconds / duration
    percent = f"{share:.0%}"
    if 0 < share < 0.005:
        percent = "<1%"
    elif 0.995 <= share < 1 - 1e-6:
        percent = ">99%"
    allowed = "" if budget is None else f" (budget {100 * budget:.3g}%)"
    whole = f"{duration:.1f} s" if duration < 60 else clock(duration, duration)
    part = f"{seconds:.1f} s" if seconds < 10 or duration < 60 else clock(seconds, seconds)
    count = f"{selected.sum():,} of {len(shots):,} shot{'' if len(shots) == 1 else 's'}"
    if not selected.any():
        return f"nothing kept of {whole}{allowed}, {count}"
    return f"{part} of {whole} kept, {percent}{allowed}, {count}"


def _write(figure: Figure, title: str, headline: str, key: Sequence[Artist]) -> None:
    """Write the title and what is kept above, and the key below."""
    height = figure.get_figheight()
    left = _LEFT / _WIDTH
    if title:
        short = shortened(title, 72 * (_WIDTH - _LEFT - _RIGHT), 11, weight="bold")
        figure.text(left, 1 - 0.22 / height, short, size=11, weight="bold", color=INK, va="center")
    below = 0.22 + _TITLE * bool(title)
    figure.text(left, 1 - below / height, headline, size=9.5, color=INK, va="center")
    figure.legend(
        handles=list(key),
        loc="center left",
        bbox_to_anchor=(left, 0.2 / height),
        ncols=len(key),
        frameon=False,
        fontsize=8.5,
        labelcolor=MUTED,
        handlelength=1.4,
        handletextpad=0.5,
        columnspacing=1.6,
        borderaxespad=0,
        borderpad=0,
    )
