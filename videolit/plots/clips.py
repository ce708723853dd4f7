"""Clips as pictures: frames in a row, one clip under the other."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from videolit.plots.theme import (
    INK,
    LINE,
    MUTED,
    RIGHT,
    RIGHT_SYMBOL,
    WRONG,
    WRONG_SYMBOL,
    Figure,
    themed_figure,
)
from videolit.types import InputError

Frames = NDArray[np.uint8]

# Inches.
_WIDTH = 9.6
_MARGIN = 0.14
_GAP = 0.05
_LABELS = 1.75
_MAX_TILE = 2.1


@dataclasses.dataclass(frozen=True)
class ClipLabel:
    """What a model said about a clip, and what is true.

    Attributes:
        predicted: Name of the predicted class.
        true: Name of the true class; None = unknown.
        confidence: Probability of the predicted class, in [0, 1].
    """

    predicted: str
    true: str | None = None
    confidence: float | None = None


def choose_frames(total: int, num_frames: int) -> list[int]:
    """Return at most ``num_frames`` frame numbers spread evenly, the first and last among them."""
    return [int(i) for i in np.linspace(0, total - 1, min(total, num_frames)).round()]


def check_frames(frames: Frames, name: str = "frames") -> None:
    """Refuse what is not a clip of at least one frame.

    Args:
        frames: uint8 ``(T, H, W, 3)`` RGB.
        name: What to call it in the message.

    Raises:
        InputError: If shape or dtype differ.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape or frames.dtype != np.uint8:
        raise InputError(
            f"{name} must be uint8 (T, H, W, 3) with at least one frame, got {frames.dtype} "
            f"{tuple(frames.shape)}; a batch's video is (T, C, H, W): use "
            "video.permute(0, 2, 3, 1).numpy()"
        )


def clip_strip(
    frames: Frames,
    *,
    num_frames: int = 8,
    title: str | None = None,
    times: Sequence[float] | NDArray[np.floating] | None = None,
) -> Figure:
    """Draw frames of one clip in a row, each with its time or number.

    Args:
        frames: uint8 ``(T, H, W, 3)`` RGB.
        num_frames: The most frames shown; they are spread evenly over the clip.
        title: Heading.
        times: Time of every frame, ``(T,)``, in seconds; without it the frames are numbered.

    Raises:
        InputError: If the frames or times have the wrong shape.
    """
    check_frames(frames)
    if times is not None and len(times) != len(frames):
        raise InputError(f"times must have one entry per frame: {len(times)} for {len(frames)}")
    picks = choose_frames(len(frames), num_frames)
    captions = [f"frame {i}" if times is None else f"{times[i]:.2f} s" for i in picks]
    width, height = _tile(frames, len(picks), _WIDTH - 2 * _MARGIN)
    head = 0.32 if title else 0.0
    with themed_figure(
        2 * _MARGIN + len(picks) * (width + _GAP) - _GAP, 2 * _MARGIN + head + height + 0.2
    ) as figure:
        _draw_row(figure, frames, picks, _MARGIN, _MARGIN + head, (width, height), captions)
        if title:
            _write(figure, _MARGIN, _MARGIN + 0.12, title, size=11, weight="bold")
    return figure


def clip_grid(
    clips: Sequence[Frames], labels: Sequence[str | ClipLabel], *, num_frames: int = 6
) -> Figure:
    """Draw one clip per row, with its name or the model's verdict at the left.

    Args:
        clips: uint8 ``(T, H, W, 3)`` RGB each; lengths and sizes may differ.
        labels: One per clip; a :class:`ClipLabel` is coloured and marked right or wrong.
        num_frames: The most frames of a row.

    Raises:
        InputError: If there is no clip, a clip has the wrong shape, or the numbers differ.
    """
    if not clips or len(clips) != len(labels):
        raise InputError(
            f"clip_grid needs as many labels as clips and at least one clip, got {len(clips)} "
            f"clips and {len(labels)} labels"
        )
    return _draw_grid(clips, labels, num_frames, divide=False)


def augmentation_grid(
    original: Frames, augmented: Sequence[Frames], *, num_frames: int = 6
) -> Figure:
    """Draw a clip and, beneath it, what augmentation made of it, frame by frame.

    Args:
        original: uint8 ``(T, H, W, 3)`` RGB.
        augmented: Clips of the same kind, whatever their size.
        num_frames: The most frames of a row.

    Raises:
        InputError: If there is no augmented clip or a clip has the wrong shape.
    """
    if not augmented:
        raise InputError("augmentation_grid needs at least one augmented clip, got none")
    labels = ["original", *(f"augmented {i + 1}" for i in range(len(augmented)))]
    return _draw_grid([original, *augmented], labels, num_frames, divide=True)


def _draw_grid(
    clips: Sequence[Frames], labels: Sequence[str | ClipLabel], num_frames: int, *, divide: bool
) -> Figure:
    """Draw labelled rows; ``divide`` sets the first one apart by a line."""
    for number, frames in enumerate(clips):
        check_frames(frames, f"clip {number}")
    left = _MARGIN + _LABELS
    room = _WIDTH - left - _MARGIN
    picks = [choose_frames(len(frames), num_frames) for frames in clips]
    columns = max(len(row) for row in picks)
    tiles = [_tile(frames, columns, room) for frames in clips]
    # A row holds its label's four lines, however flat its frames are.
    heights = [
        max(height, 0.5 if isinstance(label, str) else 0.66)
        for (_, height), label in zip(tiles, labels, strict=True)
    ]
    gap = 0.12
    apart = 0.16 if divide else 0.0
    right = left + max(columns * (width + _GAP) - _GAP for width, _ in tiles)
    total = 2 * _MARGIN + sum(heights) + gap * (len(clips) - 1) + apart
    with themed_figure(right + _MARGIN, total) as figure:
        top = _MARGIN
        for row, frames in enumerate(clips):
            centred = top + (heights[row] - tiles[row][1]) / 2
            _draw_row(figure, frames, picks[row], left, centred, tiles[row])
            _draw_label(figure, labels[row], top + heights[row] / 2, left, heights[row])
            top += heights[row] + gap
            if divide and row == 0:
                y = 1 - (top + (apart - gap) / 2) / total
                x = (_MARGIN / (right + _MARGIN), right / (right + _MARGIN))
                figure.add_artist(_line(x, (y, y), LINE, 1.0))
                top += apart
    return figure


def _draw_label(
    figure: Figure, label: str | ClipLabel, middle: float, right: float, height: float
) -> None:
    """Write a row's label around the height ``middle``, left of ``right`` (inches)."""
    if isinstance(label, str):
        _write(figure, _MARGIN, middle, _wrap(label, 20), size=10)
        return
    heading, color = label.predicted, INK
    below = "" if label.confidence is None else f"{label.confidence:.0%}"
    if label.true is not None:
        is_right = label.predicted == label.true
        heading = f"{RIGHT_SYMBOL if is_right else WRONG_SYMBOL} {heading}"
        color = RIGHT if is_right else WRONG
        if not is_right:
            below = f"{below}, true: {label.true}" if below else f"true: {label.true}"
        width, total = figure.get_size_inches()
        x = (right - 0.1) / width
        span = (1 - (middle - height / 2) / total, 1 - (middle + height / 2) / total)
        figure.add_artist(_line((x, x), span, color, 3.0))
    heading = _wrap(heading, 18)
    if not below:
        _write(figure, _MARGIN, middle, heading, size=10, weight="bold", color=color)
        return
    below = _wrap(below, 23)
    # The two texts share the row by their numbers of lines.
    split = middle + 0.07 * (heading.count("\n") - below.count("\n"))
    _write(figure, _MARGIN, split, heading, size=10, weight="bold", color=color, va="bottom")
    _write(figure, _MARGIN, split + 0.05, below, size=8.5, color=MUTED, va="top")


def _draw_row(
    figure: Figure,
    frames: Frames,
    picks: Sequence[int],
    left: float,
    top: float,
    tile: tuple[float, float],
    captions: Sequence[str] = (),
) -> None:
    """Draw the picked frames in a row whose upper left corner is ``(left, top)``, in inches."""
    total_width, total_height = figure.get_size_inches()
    width, height = tile
    for column, index in enumerate(picks):
        x = left + column * (width + _GAP)
        axes = figure.add_axes(
            (
                x / total_width,
                1 - (top + height) / total_height,
                width / total_width,
                height / total_height,
            )
        )
        axes.imshow(frames[index], aspect="auto", interpolation="antialiased")
        axes.set(xticks=[], yticks=[])
        if captions:
            _write(figure, x, top + height + 0.12, captions[column], size=8, color=MUTED)


def _tile(frames: Frames, columns: int, room: float) -> tuple[float, float]:
    """Return width and height of a frame, in inches, so that ``columns`` of them fill the room."""
    ratio = frames.shape[1] / frames.shape[2]
    width = min((room + _GAP) / columns - _GAP, _MAX_TILE)
    height = min(width * ratio, _MAX_TILE)
    return height / ratio, height


def _write(
    figure: Figure,
    x: float,
    y: float,
    text: str,
    *,
    size: float,
    color: str = INK,
    weight: str = "normal",
    va: str = "center",
) -> None:
    """Write text that begins at ``x`` and stands at ``y``, in inches from the upper left."""
    width, height = figure.get_size_inches()
    figure.text(x / width, 1 - y / height, text, size=size, color=color, weight=weight, va=va)


def _line(x: tuple[float, float], y: tuple[float, float], color: str, width: float) -> Line2D:
    """Return a line in fractions of the figure."""
    return Line2D(x, y, color=color, linewidth=width, solid_capstyle="butt")


def _wrap(text: str, width: int) -> str:
    """Return the text in at most two lines, cut with an ellipsis where it is longer."""
    return "\n".join(textwrap.wrap(text, width, max_lines=2, placeholder="…"))
