"""How wide a text will be, before it is drawn."""

from __future__ import annotations

import warnings

from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

from videolit.plots.theme import fonts


def text_width(text: str, size: float, *, weight: str = "normal", dpi: float = 72) -> float:
    """Return the width of one line of text in pixels, in the fonts of the theme.

    Args:
        text: Without line breaks; nothing in it is a formula.
        size: Points.
        weight: ``"normal"`` or ``"bold"``.
        dpi: Pixels per inch; at 72 a point is a pixel.
    """
    font = FontProperties(family=list(fonts()), size=size, weight=weight)
    renderer = RendererAgg(1, 1, dpi)  # type: ignore[no-untyped-call]
    with warnings.catch_warnings():
        # A character that no font has: who draws the text is told so.
        warnings.simplefilter("ignore", UserWarning)
        width, _, _ = renderer.get_text_width_height_descent(text, font, ismath=False)  # type: ignore[no-untyped-call]
    return float(width)


def shortened(text: str, room: float, size: float, *, weight: str = "normal") -> str:
    """Return the text, cut with an ellipsis if it is wider than ``room`` points.

    Args:
        text: Line breaks become spaces.
        room: Points, at least as wide as an ellipsis.
        size: Points.
        weight: ``"normal"`` or ``"bold"``.
    """
    text = " ".join(text.splitlines())
    if text_width(text, size, weight=weight) <= room:
        return text
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if text_width(text[:middle].rstrip() + "…", size, weight=weight) <= room:
            fits = middle
        else:
            too_long = middle
    return text[:fits].rstrip() + "…"
