"""A contact sheet: one picture of each shot that a summary keeps, with its time."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import IdentityTransform
from numpy.typing import NDArray

from videolit.plots.clips import choose_frames
from videolit.plots.lettering import shortened, text_width
from videolit.plots.theme import CARD, EMPTY, INK, LINE, MUTED, SCREEN_DPI, themed_figure
from videolit.types import InputError

Picture = NDArray[np.uint8]

_MOST_PICTURES = 60
# Height to width that a sheet comes near to if the columns are free: a page held sideways.
_SHEET = 0.5
# All of it in pixels of a sheet 1600 wide.
_FULL = 1600
_MARGIN, _GAP, _HEAD, _FOOT = 36, 22, 58, 52
_TITLE, _SMALL = 30, 18
_SMALLEST_CELL = 230
_SMALLEST_CAPTION, _LARGEST_CAPTION = 13, 24


@dataclasses.dataclass(frozen=True)
class _Text:
    """A line of text: where it begins or ends, its words, its size in pixels and its looks."""

    x: float
    words: str
    size: float
    color: str = INK
    weight: str = "normal"
    ends: bool = False


def storyboard(
    images: Sequence[Picture],
    captions: Sequence[str],
    *,
    columns: int | None = None,
    width: int = 1600,
    title: str = "",
    footer: str = "",
) -> Picture:
    """Lay out pictures in rows, each whole in a cell of the same shape, with its caption below.

    The cells have the median proportions of the pictures; what differs gets bars at its sides. Of
    more than 60 pictures, 60 spread evenly are shown, and the footer says so.

    Args:
        images: uint8 ``(H, W, 3)`` RGB each, at least one; sizes may differ.
        captions: One line per picture. What follows two spaces or more stands at the right, in
            grey: ``"0:42–0:51  score 0.83"``.
        columns: Pictures in a row; None = as many as make a sheet somewhat wider than high.
        width: Pixels of a full sheet, at least 320. A few pictures that would be very high, such
            as one upright picture, make a narrower one.
        title: Heading.
        footer: Such as how much of the video is shown.

    Returns:
        uint8 ``(H, W, 3)`` RGB.

    Raises:
        InputError: If there is no picture, one has another layout, numbers differ, or the sheet
            has no room for the columns.
    """
    _check(images, captions, columns, width)
    picks = choose_frames(len(images), _MOST_PICTURES)
    if len(picks) < len(images):
        footer = " · ".join(filter(None, [footer, f"{len(picks)} of {len(images)} pictures shown"]))
    shapes = [images[i].shape for i in picks]
    aspect = float(np.clip(np.median([shape[1] / shape[0] for shape in shapes]), 0.4, 3.0))
    scale = width / _FULL
    margin, gap = round(_MARGIN * scale), round(_GAP * scale)
    if columns is None:
        columns = _columns(len(picks), aspect, (_FULL + _GAP) // (_SMALLEST_CELL + _GAP))
    columns = min(columns, len(picks))
    room = (width - 2 * margin + gap) // columns - gap
    if room < 40:
        raise InputError(f"{columns} columns leave {room} pixels each in a width of {width}")
    # A single upright picture as wide as the sheet would fill several screens.
    cell = min(room, round(0.6 * width * aspect)), min(round(room / aspect), round(0.6 * width))
    sheet = width if cell[0] == room else 2 * margin + columns * (cell[0] + gap) - gap
    lines = [_split(captions[i]) for i in picks]
    size = _caption_size(lines, cell[0], scale)
    blank = _blank(margin, sheet)

    bands = [blank]
    inner = sheet - 2 * margin
    if title:
        text = shortened(title, inner, _TITLE * scale, weight="bold")
        head = _Text(margin, text, _TITLE * scale, weight="bold")
        bands.append(_band(sheet, round(_HEAD * scale), [head], at=0.3))
    for first in range(0, len(picks), columns):
        row = _blank(cell[1], sheet)
        texts: list[_Text] = []
        for place, i in enumerate(picks[first : first + columns]):
            left = margin + place * (cell[0] + gap)
            row[:, left : left + cell[0]] = _framed(images[i], cell)
            texts += _caption(lines[first + place], left, cell[0], size)
        height = round(1.7 * size) + gap
        bands += [row, _band(sheet, height, texts, at=size / height)]
    if footer:
        text = shortened(footer, inner, _SMALL * scale)
        foot = _Text(margin, text, _SMALL * scale, MUTED)
        bands.append(_band(sheet, round(_FOOT * scale), [foot], at=0.25))
    else:
        bands.append(blank[gap:])
    return np.concatenate(bands)


def _check(
    images: Sequence[Picture], captions: Sequence[str], columns: int | None, width: int
) -> None:
    """Refuse what cannot be laid out."""
    if not images or len(images) != len(captions):
        raise InputError(
            "storyboard needs at least one picture and a caption for each, got "
            f"{len(images)} pictures and {len(captions)} captions"
        )
    for number, image in enumerate(images):
        if image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape or image.dtype != np.uint8:
            raise InputError(
                f"picture {number} must be uint8 (H, W, 3) RGB, got {image.dtype} "
                f"{tuple(image.shape)}"
            )
    if width < 320 or (columns is not None and columns < 1):
        raise InputError(
            f"a storyboard is at least 320 pixels wide and has at least one column, got width "
            f"{width} and {columns} columns"
        )


def _columns(number: int, aspect: float, most: int) -> int:
    """Return how many pictures a row gets: near the wanted shape, the last row rather full."""
    ideal = math.sqrt(number / (_SHEET * aspect))

    def cost(count: int) -> float:
        empty = -number % count / count
        return abs(math.log(count / ideal)) + 0.9 * empty

    return min(range(1, min(number, most) + 1), key=cost)


def _framed(image: Picture, cell: tuple[int, int]) -> Picture:
    """Return a picture as large as it can be in a cell ``(width, height)`` with a thin frame."""
    width, height = cell[0] - 2, cell[1] - 2
    factor = min(width / image.shape[1], height / image.shape[0])
    size = max(1, round(factor * image.shape[1])), max(1, round(factor * image.shape[0]))
    # Averaging over areas is sharp without the moiré of interpolation, but only makes smaller.
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    # The frame keeps slides, which are white, from melting into the sheet.
    framed = _filled(cell[1], cell[0], LINE)
    framed[1:-1, 1:-1] = _rgb(EMPTY)
    top, left = 1 + (height - size[1]) // 2, 1 + (width - size[0]) // 2
    shrunk = cv2.resize(image, size, interpolation=how)
    framed[top : top + size[1], left : left + size[0]] = shrunk
    return framed


def _split(caption: str) -> tuple[str, str]:
    """Return what stands at the left and at the right of a caption."""
    left, *right = re.split(r"\s{2,}|\t", caption.strip(), maxsplit=1)
    return left, " ".join(right)


def _caption_size(lines: Sequence[tuple[str, str]], cell: int, scale: float) -> float:
    """Return one size of text, in pixels, that fits all captions unless it were too small."""
    least = _SMALLEST_CAPTION * scale
    size = min(max(0.056 * cell, least), _LARGEST_CAPTION * scale)
    widest = max(text_width(f"{left}   {right}".rstrip(), size) for left, right in lines)
    return max(least, size * min(1.0, cell / max(widest, 1.0)))


def _caption(line: tuple[str, str], left: float, cell: int, size: float) -> list[_Text]:
    """Return a caption's texts; where both have no room, the right one is cut."""
    words, rest = shortened(line[0], cell, size), ""
    if line[1]:
        room = cell - text_width(words, size) - size
        rest = shortened(line[1], room, size) if room > 2 * size else ""
    texts = [_Text(left, words, size), _Text(left + cell, rest, size, MUTED, ends=True)]
    return [text for text in texts if text.words]


def _band(width: int, height: int, texts: Sequence[_Text], *, at: float) -> Picture:
    """Return lines of text on a white band, their middle at a share of its height."""
    inches = 1 / SCREEN_DPI
    # Half a pixel more: the size in pixels is rounded down.
    with themed_figure((width + 0.5) * inches, (height + 0.5) * inches) as figure:
        for text in texts:
            figure.text(
                text.x,
                (1 - at) * height,
                text.words,
                transform=IdentityTransform(),
                size=72 * text.size * inches,
                color=text.color,
                weight=text.weight,
                ha="right" if text.ends else "left",
                va="center_baseline",
            )
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba(), np.uint8)  # type: ignore[no-untyped-call]
    return pixels[..., :3]


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue


def _filled(height: int, width: int, color: str) -> Picture:
    return np.full((height, width, 3), _rgb(color), np.uint8)


def _blank(height: int, width: int) -> Picture:
    return _filled(height, width, CARD)
