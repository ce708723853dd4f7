"""How every figure and the report look, and how it leaves the program.

All of it is set on the figure's own artists: rcParams are shared by the whole process, so changing
them, even for a moment, would reach the user's figures and other threads.
"""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ft2font import FT2Font
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text

from videolit.ops.files import atomic_path
from videolit.types import InputError

CARD = "#ffffff"
INK = "#1b2430"
MUTED = "#5a6675"
LINE = "#dfe4ea"
CELL = "#f6f8fa"
EMPTY = "#e6eaef"
VALIDATION = "#1f5fa6"
TRAINING = "#8b97a6"
# Told apart with red-green colour blindness too (blue-green against vermilion); a symbol always
# stands beside them.
RIGHT = "#0b7350"
WRONG = "#b83a17"
RIGHT_SYMBOL = "✓"
WRONG_SYMBOL = "✗"

RIGHT_MAP = LinearSegmentedColormap.from_list(
    "right", ["#ffffff", "#d3e3f3", "#8db9e0", "#3d7fc0", "#123f75"]
)
WRONG_MAP = LinearSegmentedColormap.from_list(
    "wrong", ["#fef1e4", "#fbd9bd", "#f8b685", "#e0762f", "#8f3208"]
)

# The first installed one draws; the others lend the characters that it lacks, such as class names
# in Chinese, Japanese or Korean. DejaVu Sans comes with matplotlib.
_FONTS = (
    "Inter",
    "Arial",
    "Liberation Sans",
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "PingFang SC",
    "Microsoft YaHei",
    "Hiragino Sans",
    "Apple SD Gothic Neo",
    "Malgun Gothic",
    "WenQuanYi Zen Hei",
)
# A sign of each of Chinese, Japanese and Korean.
_SCRIPTS = "\u4e2d\u3042\ud55c"

# CSS pixels per inch, and twice as many for screens of high density.
SCREEN_DPI = 96
SAVE_DPI = 192


class Figure(matplotlib.figure.Figure):
    """A matplotlib figure that a notebook shows when it ends a cell, without pyplot."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]] | None:
        """Return a drawing and its size on the screen, as IPython asks for it."""
        return None if shows_frames(self) else (render(self, "png"), self._screen_size())

    def _repr_jpeg_(self) -> tuple[bytes, dict[str, int]] | None:
        """Return frames and their size on the screen: as PNG they would take megabytes."""
        return (render(self, "jpeg", dpi=144), self._screen_size()) if shows_frames(self) else None

    def _screen_size(self) -> dict[str, int]:
        width, height = (round(inches * SCREEN_DPI) for inches in self.get_size_inches())
        return {"width": width, "height": height}


def shows_frames(figure: matplotlib.figure.Figure) -> bool:
    """Tell whether a figure holds colour images, and not only drawings."""
    return any(
        isinstance(image, AxesImage) and np.ndim(np.asarray(image.get_array())) == 3
        for image in figure.findobj(AxesImage)
    )


@functools.cache
def fonts() -> tuple[str, ...]:
    """Return the font families that draw, the preferred one first.

    These are the installed ones of the theme, and any others that write Chinese, Japanese or
    Korean where none of the theme does.
    """
    entries = font_manager.fontManager.ttflist
    installed = {entry.name for entry in entries}
    found = [name for name in _FONTS if name in installed]
    lacking = set(_SCRIPTS)
    for entry in entries:
        if entry.name in found:
            lacking -= _signs_of(entry.fname, lacking)
    for entry in entries:
        # matplotlib's last resort has a box for every sign.
        if lacking and entry.style == "normal" and not entry.name.startswith("Last Resort"):
            lent = _signs_of(entry.fname, lacking)
            if lent:
                found.append(entry.name)
                lacking -= lent
    return tuple(found)


def _signs_of(path: str, signs: set[str]) -> set[str]:
    """Return which of some signs a font file has."""
    try:
        font = FT2Font(path)
    except (OSError, RuntimeError):
        # matplotlib lists files that it cannot draw with.
        return set()
    return {sign for sign in signs if font.get_char_index(ord(sign))}


@contextlib.contextmanager
def themed_figure(width: float, height: float, *, constrained: bool = False) -> Iterator[Figure]:
    """Give an empty figure to draw on; what was drawn gets the theme when the block ends.

    Args:
        width: Width in inches.
        height: Height in inches.
        constrained: Let matplotlib place the axes so that nothing overlaps.

    Yields:
        The figure.
    """
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1) if constrained else None
    figure = Figure(figsize=(width, height), dpi=SCREEN_DPI, facecolor=CARD, layout=layout)
    yield figure
    for axes in figure.axes:
        _style_axes(axes)
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_fontfamily(list(fonts()))
        # A class may be called "$5 bill"; nothing here is a formula.
        text.set_parse_math(False)


def _style_axes(axes: Axes) -> None:
    """Set the colours of the axes' frame, ticks and titles."""
    axes.tick_params(colors=MUTED, labelfontfamily=list(fonts()))
    axes.xaxis.label.set(color=MUTED, size=9)
    axes.yaxis.label.set(color=MUTED, size=9)
    for spine in axes.spines.values():
        spine.set(edgecolor=LINE, linewidth=0.8)


def render(figure: matplotlib.figure.Figure, kind: str, *, dpi: int = SAVE_DPI) -> bytes:
    """Return a figure as the bytes of a file.

    Args:
        figure: Any matplotlib figure.
        kind: A format of matplotlib: ``"png"``, ``"jpeg"`` or ``"svg"``.
        dpi: Pixels per inch of what has pixels.
    """
    buffer = io.BytesIO()
    settings: dict[str, dict[str, Any]] = {
        "jpeg": {"pil_kwargs": {"quality": 85}},
        "svg": {"metadata": {"Date": None}},
    }
    figure.savefig(
        buffer,
        format=kind,
        dpi=dpi,
        facecolor=figure.get_facecolor(),
        **settings.get(kind, {}),
    )
    return buffer.getvalue()


def save_figure(figure: matplotlib.figure.Figure, path: str | Path) -> Path:
    """Write a figure to a file, as a whole or not at all.

    Args:
        figure: Any matplotlib figure.
        path: The file; its suffix ``.png`` or ``.svg`` sets the format. Missing folders are made.

    Returns:
        The path.

    Raises:
        InputError: If the suffix is another one.
    """
    path = Path(path)
    kind = path.suffix.lower().lstrip(".")
    if kind not in ("png", "svg"):
        raise InputError(f"{path}: a figure is saved as .png or .svg, got '{path.suffix}'")
    with atomic_path(path) as part:
        part.write_bytes(render(figure, kind))
    return path


# The report's page; light and dark follow the reader's system, figures keep a white card.
PAGE_STYLE = """
:root{--page:#f4f6f8;--card:#fff;--ink:#1b2430;--muted:#566272;--line:#dfe4ea;--soft:#eef2f6;
--accent:#1f5fa6;--right:#0b7350;--wrong:#b83a17;--warn:#8a5a00}
@media(prefers-color-scheme:dark){:root{--page:#10141a;--card:#191f28;--ink:#e7ebf0;
--muted:#a3afbd;--line:#2e3744;--soft:#232b36;--accent:#86bbf5;--right:#55d1a3;--wrong:#ff9c7a;
--warn:#f0c067}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
header,main{max-width:64rem;margin:0 auto;padding:0 clamp(1rem,4vw,2rem)}
header{padding-top:clamp(1.5rem,5vw,3rem)}main{padding-bottom:4rem}
h1{font-size:clamp(1.6rem,5vw,2.2rem);line-height:1.2;margin:0;letter-spacing:-.015em}
h2{font-size:1.3rem;line-height:1.3;margin:3rem 0 .75rem;letter-spacing:-.01em}
h1,h2,p,figcaption,caption,dd,td,tbody th,li{overflow-wrap:anywhere}
p{margin:.75rem 0;max-width:44rem}.subtitle{color:var(--muted);margin:.4rem 0 0}
a{color:var(--accent)}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.35rem 1.1rem;margin:1.1rem 0 0;padding:0;
font-size:.9rem}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(10.5rem,1fr));gap:.75rem;
margin:1.5rem 0}
.facts div,.scroll,.details,.strip{background:var(--card);border:1px solid var(--line);
border-radius:.6rem}
.facts div{padding:.8rem 1rem}
dt{color:var(--muted);font-size:.85rem}dd{margin:0}
.value{font-size:1.7rem;font-weight:650;line-height:1.25;letter-spacing:-.02em}
.remark{color:var(--muted);font-size:.85rem}
.note{display:flex;gap:.75rem;max-width:none;padding:.8rem 1rem;margin:1rem 0;
background:var(--card);border:1px solid var(--line);border-left:4px solid var(--tone);
border-radius:.6rem;--tone:var(--accent)}
.note.warn{--tone:var(--warn)}.note.good{--tone:var(--right)}
.symbol{flex:none;width:1.45em;height:1.45em;border-radius:50%;display:grid;place-items:center;
font-weight:700;font-size:.85rem;line-height:1;margin-top:.1rem;color:var(--card);
background:var(--tone)}
.scroll{overflow:auto;margin:1rem 0;max-height:36rem}
table{border-collapse:collapse;width:100%;font-size:.92rem}
caption{text-align:left;color:var(--muted);padding:.7rem 1rem .2rem;font-size:.88rem}
th,td{padding:.5rem .8rem;text-align:left;border-bottom:1px solid var(--line);
vertical-align:top}
tbody tr:last-child>*{border-bottom:0}
thead th{position:sticky;top:0;background:var(--card);color:var(--muted);font-weight:600;
font-size:.85rem;vertical-align:bottom;box-shadow:inset 0 -1px var(--line);border:0}
tbody th{font-weight:500;min-width:8.5rem}td{min-width:8rem}.number{min-width:0}
th:first-child,.details td{padding-left:1rem}td:last-child,th:last-child{padding-right:1rem}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
thead .number{white-space:normal}
.highlight>*{background:var(--soft);font-weight:650}
.highlight>th{box-shadow:inset 3px 0 var(--accent)}
.details{border-collapse:separate;border-spacing:0;margin:1rem 0}
.details th{width:32%;color:var(--muted)}
.details td{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.85rem}
figure{margin:1.25rem 0}figcaption{color:var(--muted);font-size:.9rem}
figure>.scroll{background:#fff;max-height:none;margin:0 0 .5rem;padding:.75rem}
@media(prefers-color-scheme:dark){figure>.scroll{filter:brightness(.92)}}
.figure{display:block;max-width:100%;height:auto;margin:0 auto}
.strip{padding:.85rem 1rem 1rem;border-left:4px solid var(--tone);--tone:var(--line)}
.strip.right{--tone:var(--right)}.strip.wrong{--tone:var(--wrong)}
.strip figcaption{display:flex;gap:.75rem;align-items:baseline;color:var(--ink);
margin-bottom:.6rem}
.badge{flex:none;color:var(--tone);font-weight:700}
.clip{display:grid;gap:.75rem 1.25rem;align-items:center}
.told{grid-template-columns:minmax(0,1fr) 15rem}
.frames{display:grid;grid-template-columns:repeat(var(--most),1fr);gap:3px}
.frames img{width:100%;height:auto;display:block;border-radius:2px}
ol{list-style:none;margin:0;padding:0;font-size:.88rem}
li.right,li.wrong,li.other{display:grid;grid-template-columns:1fr auto;gap:0 .75rem;
margin:.2rem 0;line-height:1.4;font-variant-numeric:tabular-nums}
li.right,li.wrong{font-weight:600}
.bar{grid-column:1/-1;height:.35rem;border-radius:1rem;background:linear-gradient(var(--tone),
var(--tone)) 0/var(--share) 100% no-repeat var(--soft);--tone:var(--muted)}
li.right .bar{--tone:var(--right)}li.wrong .bar{--tone:var(--wrong)}
i{font-style:normal;font-weight:600;font-size:.75rem;color:var(--right);
border:1px solid currentColor;border-radius:1rem;padding:0 .4rem;margin-left:.25rem}
.true{font-size:.88rem;margin:.4rem 0 0}
h3{font-size:1rem;margin:1.25rem 0 .5rem;overflow-wrap:anywhere}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:.6rem}
.gallery figure{margin:0;background:var(--card);border:1px solid var(--line);
border-radius:.6rem;overflow:hidden}
.gallery img{width:100%;height:8rem;object-fit:contain;display:block;background:#000}
.gallery figcaption{padding:.3rem .55rem .4rem;font-size:.78rem;line-height:1.35}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
@media screen and (max-width:48rem){.told{grid-template-columns:minmax(0,1fr)}
.frames{grid-template-columns:repeat(var(--few),1fr)}
.figure{max-width:none;width:min(var(--width),42rem)}.details *{min-width:0}}
@media print{:root{--page:#fff;--card:#fff;--ink:#000;--muted:#444;--line:#bbb;--soft:#eee;
--accent:#1f5fa6;--right:#0b7350;--wrong:#b83a17;--warn:#8a5a00}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
body{font-size:10pt}nav{display:none}header,main{max-width:none;padding:0}
table{font-size:9pt}th,td{padding:.3rem .45rem}tbody th,td{min-width:0}h2{margin-top:1.5rem}
.told{grid-template-columns:minmax(0,1fr) 12rem}.scroll{overflow:visible;max-height:none}
thead th{position:static}h2{break-after:avoid}
figure>.scroll{filter:none}figure,.facts div,.note,tr{break-inside:avoid}}
"""
