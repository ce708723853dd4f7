"""Which classes are taken for which: the confusion matrix as figure, CSV and table per class."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike, NDArray

from videolit.plots.theme import (
    CARD,
    CELL,
    EMPTY,
    INK,
    MUTED,
    RIGHT_MAP,
    WRONG_MAP,
    Figure,
    themed_figure,
)
from videolit.types import InputError

# Side of the matrix in inches: at most, at least, and per class between.
_MOST, _LEAST, _CELL = 7.6, 2.7, 0.6
# Side of a mistake in points: at least.
_SMALLEST = 3.2


def confusion_figure(
    counts: ArrayLike, class_names: Sequence[str], *, normalize: bool = True
) -> Figure:
    """Draw the confusion matrix: a row per true class, a column per predicted one.

    Right answers (the diagonal) are blue and mistakes orange, so that few mistakes still stand
    out; the orange darkens with the square root of the share. Rows of classes without samples are
    grey. Numbers are written where they fit, names thinned where they do not.

    Args:
        counts: Whole numbers ``(K, K)``; entry ``[i, j]`` counts samples of class i predicted as j.
        class_names: K names.
        normalize: Show percent of each true class instead of counts.

    Raises:
        InputError: If counts and names do not fit each other.
    """
    table = _check(counts, class_names)
    size = len(table)
    samples = table.sum(axis=1, keepdims=True)
    empty = np.broadcast_to(samples == 0, table.shape)
    values = table / np.maximum(samples, 1) if normalize else table.astype(float)
    diagonal = np.eye(size, dtype=bool)

    side = min(_MOST, max(_LEAST, _CELL * size))
    cell = 72 * side / size
    longest = min(24, max(len(name) for name in class_names))
    label_size = min(9.5, 0.72 * cell)
    names = 0.075 * longest + 0.5
    with themed_figure(side + names + 0.4, side + names + 0.5, constrained=True) as figure:
        axes = figure.add_subplot(facecolor=CELL)
        top = 1.0 if normalize else max(1.0, float(values.max()))
        right = axes.imshow(
            np.ma.array(values, mask=~diagonal | empty),
            cmap=RIGHT_MAP,
            norm=Normalize(0, top),
            interpolation="none",
        )
        wrong = axes.imshow(
            np.ma.array(values, mask=diagonal | empty | (values == 0)),
            cmap=WRONG_MAP,
            norm=PowerNorm(0.5, 0, top),
            interpolation="none",
            zorder=1,
        )
        if cell < _SMALLEST:
            _enlarge(axes, np.where(diagonal, 0, values), top)
        if _numbers_fit(table, cell, normalize):
            _write_numbers(axes, table, values, cell, normalize, (right, wrong))
        else:
            _draw_scales(figure, axes, right, wrong, normalize)
        _name_axes(axes, class_names, cell, label_size)
        if size <= 30:
            edges = np.arange(size + 1) - 0.5
            axes.set_xticks(edges, minor=True)
            axes.set_yticks(edges, minor=True)
            axes.grid(True, which="minor", color=CARD, linewidth=min(1.5, cell / 20))
        axes.grid(False, which="major")
        axes.tick_params(which="both", length=0)
        total = int(table.sum())
        share = f"{np.trace(table) / total:.1%} right" if total else "no samples"
        axes.set_title(
            f"{share} of {total:,} samples" if total else share,
            loc="left",
            size=11,
            weight="bold",
            color=INK,
            pad=10,
            y=1,
        )
        for row in np.flatnonzero(samples == 0).tolist():
            axes.axhspan(row - 0.5, row + 0.5, color=EMPTY, linewidth=0, zorder=0)
            if cell > 15:
                axes.text(
                    0,
                    row,
                    "no samples",
                    ha="center",
                    va="center",
                    size=min(8, cell / 6),
                    color=MUTED,
                )
        axes.set_xlabel("predicted class", labelpad=8)
        axes.set_ylabel(f"true class{', % of its samples' if normalize else ''}", labelpad=8)
    return figure


def confusion_table(counts: ArrayLike, class_names: Sequence[str]) -> str:
    """Return the confusion matrix as CSV text: a row per true class, a column per predicted one.

    Raises:
        InputError: If counts and names do not fit each other.
    """
    table = _check(counts, class_names)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["true class", *class_names])
    for name, row in zip(class_names, table.tolist(), strict=True):
        writer.writerow([name, *row])
    return text.getvalue()


def per_class_table(counts: ArrayLike, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row per class, in label order.

    Args:
        counts: Whole numbers ``(K, K)``, rows true, columns predicted.
        class_names: K names.

    Returns:
        Rows with ``class``, ``samples`` (int), ``recall``, ``precision`` and ``f1`` (in [0, 1];
        None where the class has no samples or was never predicted, ``f1`` where both) and ``most
        confused with``: the class that took most of its samples, with their number, or None
        without mistakes.

    Raises:
        InputError: If counts and names do not fit each other.
    """
    table = _check(counts, class_names)
    rows: list[dict[str, Any]] = []
    for i, name in enumerate(class_names):
        samples, predicted = int(table[i].sum()), int(table[:, i].sum())
        mistakes = table[i].copy()
        mistakes[i] = 0
        worst = int(mistakes.argmax())
        rows.append(
            {
                "class": name,
                "samples": samples,
                "recall": float(table[i, i] / samples) if samples else None,
                "precision": float(table[i, i] / predicted) if predicted else None,
                "f1": float(2 * table[i, i] / (samples + predicted))
                if samples + predicted
                else None,
                "most confused with": (
                    f"{class_names[worst]} ({mistakes[worst]})" if mistakes[worst] else None
                ),
            }
        )
    return rows


def most_confused(
    counts: ArrayLike, class_names: Sequence[str], most: int = 10
) -> list[dict[str, Any]]:
    """Return the mistakes made most often: a true class taken for another one.

    Args:
        counts: Whole numbers ``(K, K)``, rows true, columns predicted.
        class_names: K names.
        most: Rows at most.

    Returns:
        Rows with ``true``, ``predicted``, ``samples`` and ``share`` (of the samples of the true
        class, in (0, 1]), the most frequent first; of equally frequent ones the larger share.
    """
    table = _check(counts, class_names)
    sizes = table.sum(1)
    pairs = [
        (int(table[i, j]), float(table[i, j] / sizes[i]), i, j)
        for i, j in zip(*np.nonzero(table), strict=True)
        if i != j
    ]
    pairs.sort(key=lambda pair: (-pair[0], -pair[1], pair[2], pair[3]))
    return [
        {"true": class_names[i], "predicted": class_names[j], "samples": count, "share": share}
        for count, share, i, j in pairs[:most]
    ]


def _check(counts: ArrayLike, class_names: Sequence[str]) -> NDArray[np.int64]:
    """Return the counts as int64 ``(K, K)``, or say why not."""
    table = np.asarray(counts)
    size = len(class_names)
    if table.shape != (size, size) or size == 0:
        raise InputError(
            f"the confusion matrix of {size} class names must have the shape ({size}, {size}) and "
            f"at least one class, got {table.shape}"
        )
    whole = table.astype(np.int64)
    if (whole != table).any() or (whole < 0).any():
        raise InputError(
            "the confusion matrix must hold counts (whole numbers from 0): pass it before it is "
            "normalised"
        )
    return whole


def _numbers_fit(table: NDArray[np.int64], cell: float, normalize: bool) -> bool:
    """Return whether numbers of at least 6.5 points fit into cells of ``cell`` points."""
    digits = 3 if normalize else len(str(int(table.max())))
    return 0.9 * cell >= 0.6 * 6.5 * digits and cell >= 15


def _write_numbers(
    axes: Axes,
    table: NDArray[np.int64],
    values: NDArray[np.float64],
    cell: float,
    normalize: bool,
    images: tuple[AxesImage, AxesImage],
) -> None:
    """Write each cell's share or count, zeros left out."""
    digits = 3 if normalize else len(str(int(table.max())))
    size = min(11.0, 0.9 * cell / (0.6 * digits), 0.45 * cell)
    for i, j in zip(*np.nonzero(table), strict=True):
        red, green, blue, _ = images[int(i != j)].to_rgba(values[i, j])
        # Perceived lightness, weights of ITU-R BT.601.
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
        share = values[i, j]
        text = f"{table[i, j]}" if not normalize else _percent(share)
        if normalize and cell > 60:
            text += f"%\n({table[i, j]})"
        axes.text(j, i, text, ha="center", va="center", size=size, color=CARD if dark else INK)


def _percent(share: float) -> str:
    """Return whole percent that never round a mistake away, nor a class to perfection."""
    if 0 < share < 0.005:
        return "<1"
    return str(min(99, round(100 * share)) if share < 1 else 100)


def _enlarge(axes: Axes, values: NDArray[np.float64], top: float) -> None:
    """Draw mistakes as points that can be seen where a cell is a speck, the largest on top."""
    rows, columns = np.nonzero(values)
    order = np.argsort(values[rows, columns])
    rows, columns = rows[order], columns[order]
    axes.scatter(
        columns,
        rows,
        s=_SMALLEST**2,
        c=values[rows, columns],
        cmap=WRONG_MAP,
        norm=PowerNorm(0.5, 0, top),
        marker="s",
        linewidths=0,
        rasterized=True,
        zorder=2,
    )


def _draw_scales(
    figure: Figure, axes: Axes, right: AxesImage, wrong: AxesImage, normalize: bool
) -> None:
    """Draw what the colours mean, above the matrix, where no numbers say it."""
    for left, image, name in ((0.57, right, "right"), (0.82, wrong, "wrong")):
        place = axes.inset_axes((left, 1.014, 0.17, 0.014))
        bar = figure.colorbar(image, cax=place, orientation="horizontal")
        bar.outline.set_visible(False)
        place.xaxis.set_ticks_position("top")
        place.tick_params(labelsize=7.5, length=0, pad=2, labelcolor=MUTED)
        if normalize:
            ticks = [0, 0.5, 1] if image is right else [0, 0.1, 0.5, 1]
            bar.set_ticks(ticks, labels=[f"{100 * t:g}{'%' if t == 1 else ''}" for t in ticks])
        place.text(
            -0.04,
            0.5,
            name,
            transform=place.transAxes,
            ha="right",
            va="center",
            size=8.5,
            color=MUTED,
        )


def _name_axes(axes: Axes, class_names: Sequence[str], cell: float, size: float) -> None:
    """Write the class names beside the matrix; thinned where a line is taller than a row."""
    step = 1
    if size < 5:
        size = 6.5
        step = math.ceil(1.25 * size / cell)
    places = list(range(0, len(class_names), step))
    names = [_short(class_names[i]) for i in places]
    flat = max(len(name) for name in names) * 0.55 * size < 0.95 * cell
    axes.set_yticks(places, names, size=size)
    axes.set_xticks(places, names, size=size)
    if not flat:
        steep = cell * step < 24
        for label in axes.get_xticklabels():
            label.set(
                rotation=90 if steep else 40,
                rotation_mode="anchor",
                ha="right",
                va="center" if steep else "top",
            )


def _short(name: str, most: int = 24) -> str:
    """Return the name, cut with an ellipsis where it would push the matrix aside."""
    return name if len(name) <= most else name[: most - 1] + "…"
