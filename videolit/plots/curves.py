"""What training did, epoch by epoch."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

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

History = Mapping[str, Sequence[tuple[int, float]]]

# What is drawn, and how it is called.
TITLES = {
    "loss": "loss",
    "accuracy": "accuracy",
    "map": "mAP",
    "tau": "Kendall's τ",
    "weighted_f1": "weighted F1",
    "ccc": "CCC",
}


def read_history(csv_path: str | Path) -> dict[str, list[tuple[int, float]]]:
    """Read the ``metrics.csv`` of Lightning's CSVLogger.

    Its cells are mostly empty: each row holds only what was logged together. Rows without an
    epoch, as the learning rate's, belong to the epoch of the next row that has one. Where an epoch
    has several values, those of ``train/…`` are averaged (they are steps) and of all others the
    last one counts (they are measurements of the whole split).

    Args:
        csv_path: The file.

    Returns:
        For every column but ``epoch`` and ``step``, its (epoch, value) pairs in order of epochs,
        which count from 0 as in Lightning's checkpoint names. A loss that was NaN stays NaN.

    Raises:
        InputError: If the file is missing, has no epochs or a cell is not a number.
    """
    path = Path(csv_path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected the metrics.csv of a CSVLogger")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or "epoch" not in rows[0]:
        raise InputError(f"{path}: expected the metrics.csv of a CSVLogger, with a column 'epoch'")

    known = [_number(path, i, "epoch", row["epoch"]) for i, row in enumerate(rows)]
    epochs = _fill(known)
    if epochs is None:
        raise InputError(f"{path}: no row has an epoch; train for at least one epoch")
    values: dict[str, dict[int, list[float]]] = {}
    for i, (row, epoch) in enumerate(zip(rows, epochs, strict=True)):
        for name, cell in row.items():
            if name is None or name in ("epoch", "step"):
                continue
            value = _number(path, i, name, cell)
            if value is not None:
                values.setdefault(name, {}).setdefault(epoch, []).append(value)
    return {
        name: [
            (epoch, math.fsum(found) / len(found) if name.startswith("train") else found[-1])
            for epoch, found in sorted(series.items())
        ]
        for name, series in values.items()
    }


def _number(path: Path, row: int, name: str, cell: str | None) -> float | None:
    """Return a cell's number, None for an empty one."""
    if cell is None or not cell.strip():
        return None
    try:
        return float(cell)
    except ValueError:
        raise InputError(
            f"{path}, line {row + 2}: column '{name}' must hold numbers, got {cell!r}"
        ) from None


def _fill(known: Sequence[float | None]) -> list[int] | None:
    """Give each gap the next known epoch, the last known one at the end."""
    last = next((value for value in reversed(known) if value is not None), None)
    if last is None:
        return None
    filled = []
    for value in reversed(known):
        last = last if value is None else value
        filled.append(int(last))
    return filled[::-1]


def training_curves(
    history: History | str | Path,
    *,
    baseline: float | None = None,
    baseline_name: str = "majority class",
) -> Figure:
    """Draw the loss and the score of training and validation, with the best epoch marked.

    The score is what epochs are chosen by: accuracy, mean average precision (several labels a
    clip), Kendall's tau (summaries), weighted F1 or concordance (sentiment). The best epoch has the
    highest validation score, or the lowest validation loss where no score was logged; of equal ones
    the first.

    Args:
        history: Per metric its (epoch, value) pairs, as :func:`read_history` returns them, or the
            path of a ``metrics.csv``. Drawn are ``loss``, ``accuracy``, ``map``, ``tau``,
            ``weighted_f1`` and ``ccc`` of ``train/`` and ``val/``, as far as present; accuracies
            lie in [0, 1].
        baseline: Accuracy without looking at the video, in [0, 1], such as chance.
        baseline_name: What the baseline is.

    Raises:
        InputError: If there is nothing to draw, or as :func:`read_history`.
    """
    if isinstance(history, str | Path):
        history = read_history(history)
    panels = {
        metric: {split: _series(history, f"{split}/{metric}") for split in ("train", "val")}
        for metric in TITLES
    }
    panels = {metric: curves for metric, curves in panels.items() if any(curves.values())}
    if not panels:
        raise InputError(
            f"nothing to draw: expected {', '.join(TITLES)} of train/ or val/, got "
            f"{', '.join(history) or 'no metric'}"
        )
    best = _best(panels)
    with themed_figure(4.8 * len(panels), 3.3, constrained=True) as figure:
        for number, (metric, curves) in enumerate(panels.items()):
            axes = figure.add_subplot(1, len(panels), number + 1, facecolor=CARD)
            _draw_panel(axes, metric, curves, best)
            if metric == "accuracy" and baseline is not None:
                _draw_baseline(axes, baseline, baseline_name)
    return figure


def _series(history: History, name: str) -> list[tuple[int, float]]:
    """Return a metric's pairs, under whichever name Lightning gave them."""
    # With on_step and on_epoch both set, Lightning appends these endings.
    for key in (f"{name}_epoch", name, f"{name}_step"):
        if history.get(key):
            return list(history[key])
    return []


def _best(panels: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]]) -> int | None:
    """Return the best epoch by the validation score, else by validation loss."""
    for metric, sign in (*((score, -1) for score in TITLES if score != "loss"), ("loss", 1)):
        points = [
            (sign * value, epoch)
            for epoch, value in panels.get(metric, {}).get("val", ())
            if not math.isnan(value)
        ]
        if points:
            return min(points)[1]
    return None


def _draw_baseline(axes: Axes, value: float, name: str) -> None:
    """Draw a horizontal line with its name, below the line where there is room."""
    axes.set_ylim(top=max(axes.get_ylim()[1], 1.1 * value))
    below = value > 0.1 * axes.get_ylim()[1]
    axes.axhline(value, color=MUTED, linewidth=1, linestyle=(0, (1, 2)), zorder=1)
    axes.annotate(
        f"{name} {value:.1%}",
        (1, value),
        xycoords=("axes fraction", "data"),
        xytext=(-2, -4 if below else 3),
        textcoords="offset points",
        ha="right",
        va="top" if below else "bottom",
        size=8,
        color=MUTED,
    )


def _draw_panel(
    axes: Axes, metric: str, curves: Mapping[str, Sequence[tuple[int, float]]], best: int | None
) -> None:
    """Draw one metric of both splits."""
    looks = {"train": ("training", TRAINING, (0, (4, 1.5))), "val": ("validation", VALIDATION, "-")}
    for split, points in curves.items():
        if not points:
            continue
        name, color, style = looks[split]
        axes.plot(
            np.array([epoch for epoch, _ in points]),
            np.array([value for _, value in points]),
            color=color,
            linestyle=style,
            linewidth=2,
            label=name,
            marker="o" if len(points) < 3 else "",
        )
    if best is not None:
        axes.axvline(best, color=LINE, linewidth=1.2, zorder=0)
        measured = dict(curves["val"]).get(best)
        if measured is not None:
            axes.plot(
                [best], [measured], "o", color=VALIDATION, markersize=7, mec=CARD, mew=1.5, zorder=5
            )
            value = f"{measured:.1%}" if metric == "accuracy" else f"{measured:.3g}"
            axes.text(
                0,
                1.03,
                f"{value} at the best epoch, {best}",
                transform=axes.transAxes,
                size=8.5,
                color=VALIDATION,
            )
    _set_scales(axes, metric, [point for points in curves.values() for point in points])
    axes.grid(True, axis="y", color=LINE, linewidth=0.7)
    axes.grid(False, axis="x")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, labelsize=8.5)
    axes.set_xlabel("epoch")
    axes.set_title(TITLES[metric], loc="left", size=11, weight="bold", color=INK, pad=24)
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.02, 1.08),
        ncols=2,
        frameon=False,
        fontsize=8.5,
        labelcolor=MUTED,
        handlelength=1.8,
        borderaxespad=0.3,
        columnspacing=1.2,
    )


def _set_scales(axes: Axes, metric: str, points: Sequence[tuple[int, float]]) -> None:
    """Begin the values at 0 and keep the epochs whole."""
    finite = [value for _, value in points if math.isfinite(value)]
    top = max(finite, default=1.0)
    if metric == "accuracy":
        axes.set_ylim(0, min(1.02, 1.3 * top) if top > 0 else 1)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    elif min(finite, default=0.0) >= 0 and top > 0:
        axes.set_ylim(0, 1.08 * top)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    epochs = [epoch for epoch, _ in points]
    first, last = min(epochs), max(epochs)
    room = max(0.2, 0.02 * (last - first))
    axes.set_xlim(first - room, last + room)
    if last - first < 6:
        axes.set_xticks(range(first, last + 1))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
