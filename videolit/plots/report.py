"""A report as one HTML file that needs nothing else: no script, no font, no address."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from matplotlib.figure import Figure

from videolit.ops.files import atomic_path
from videolit.plots.clips import Frames, check_frames, choose_frames
from videolit.plots.theme import (
    PAGE_STYLE,
    RIGHT_SYMBOL,
    SCREEN_DPI,
    WRONG_SYMBOL,
    render,
    shows_frames,
)
from videolit.types import InputError

# The browser itself then refuses whatever would leave the file.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_QUALITY = 85
# Long side of a frame in a strip, in pixels: sharp at 120 px on most screens, about 5 kB.
_FRAME_SIDE = 176
_NUMBER = re.compile(r"[-+−<>≈]?\d[\d.,:\s±–%×-]*(?:[kMG]?B?|ms|s|min|h|px|fps)?")
_KINDS = {"info": ("i", "Note"), "warn": ("!", "Warning"), "good": (RIGHT_SYMBOL, "Good")}


class Report:
    """Collects the parts of a page in the order in which they are added.

    Every text is escaped: names of files and classes may hold anything.

    Args:
        title: Heading of the page.
        subtitle: Line beneath it, such as data set and date.
    """

    def __init__(self, title: str, subtitle: str | None = None) -> None:
        self.title = title
        self.subtitle = subtitle
        self._sections: list[tuple[str | None, list[str]]] = [(None, [])]

    def section(self, title: str, text: str | None = None) -> None:
        """Begin a section; what is added next belongs to it.

        Args:
            title: Its heading.
            text: An introduction; blank lines part its paragraphs.
        """
        self._sections.append((title, []))
        if text:
            self._add("".join(f"<p>{escape(part)}</p>" for part in re.split(r"\n\s*\n", text)))

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Add key numbers as tiles.

        Args:
            facts: Value by name; a pair ``(value, remark)`` adds a small line, such as
                ``{"test accuracy": ("87.5%", "95% interval 84.1 to 90.3")}``.
        """
        tiles = []
        for name, value in facts.items():
            value, remark = value if isinstance(value, tuple) else (value, None)
            small = f"<dd class=remark>{escape(_text(remark))}</dd>" if remark else ""
            tiles.append(
                f"<div><dt>{escape(name)}</dt><dd class=value>{escape(_text(value))}</dd>{small}"
                "</div>"
            )
        self._add(f"<dl class=facts>{''.join(tiles)}</dl>")

    def note(self, text: str, kind: Literal["info", "warn", "good"] = "info") -> None:
        """Add a sentence that must not be missed.

        Raises:
            InputError: If the kind is another one.
        """
        if kind not in _KINDS:
            raise InputError(f"kind must be one of {', '.join(_KINDS)}, got {kind!r}")
        symbol, name = _KINDS[kind]
        self._add(
            f'<p class="note {kind}" role=note><span class=symbol role=img aria-label="{name}">'
            f"{symbol}</span><span>{escape(text)}</span></p>"
        )

    def table(
        self,
        rows: Sequence[Mapping[str, Any]],
        caption: str | None = None,
        highlight: int | None = None,
    ) -> None:
        """Add a table whose columns are the keys of the rows, in order of appearance.

        Columns of numbers are aligned right, with equally many decimals; None and NaN become a
        dash. The first column names the row.

        Args:
            rows: One mapping per row; a missing key is an empty cell.
            caption: Line above the table.
            highlight: Index of the row to set apart, such as this model among others.

        Raises:
            InputError: If there is no row, or no row ``highlight``.
        """
        if not rows or (highlight is not None and not 0 <= highlight < len(rows)):
            raise InputError(
                f"a table needs rows, and highlight must be one of them: got {len(rows)} rows, "
                f"highlight {highlight}"
            )
        names = list(dict.fromkeys(name for row in rows for name in row))
        columns = [_column([row.get(name) for row in rows]) for name in names]
        marks = [' class="number"' if numeric else "" for _, numeric in columns]
        head = "".join(
            f"<th scope=col{mark}>{escape(name)}</th>"
            for name, mark in zip(names, marks, strict=True)
        )
        body = []
        for i in range(len(rows)):
            cells = [f"<th scope=row{marks[0]}>{escape(columns[0][0][i])}</th>"] + [
                f"<td{mark}>{escape(cells[i])}</td>"
                for (cells, _), mark in zip(columns[1:], marks[1:], strict=True)
            ]
            body.append(f"<tr{' class=highlight' if i == highlight else ''}>{''.join(cells)}</tr>")
        title = f"<caption>{escape(caption)}</caption>" if caption else ""
        self._add(
            # Focusable, so that a wide or long table scrolls by keyboard too.
            f'<div class=scroll tabindex=0 role=region aria-label="{escape(caption or "Table")}">'
            f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
            "</div>"
        )

    def details(self, details: Mapping[str, Any]) -> None:
        """Add the protocol: name and value per line, such as versions and hashes."""
        rows = "".join(
            f"<tr><th scope=row>{escape(name)}</th><td>{escape(_text(value))}</td></tr>"
            for name, value in details.items()
        )
        self._add(f"<table class=details><tbody>{rows}</tbody></table>")

    def figure(self, figure: Figure, caption: str, alt: str) -> None:
        """Add a matplotlib figure: drawings as SVG, those that show frames as JPEG.

        Args:
            figure: The figure.
            caption: Line beneath it.
            alt: What the figure shows, for those who cannot see it.
        """
        width, height = (round(inches * SCREEN_DPI) for inches in figure.get_size_inches())
        self._add(
            "<figure><div class=scroll tabindex=0 role=region "
            f'aria-label="{escape(caption)}"><img class=figure src="{_picture(figure)}" '
            f'width={width} height={height} style="--width:{width}px" alt="{escape(alt)}"></div>'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
        )

    def strip(
        self,
        frames: Frames,
        title: str,
        verdict: bool | None = None,
        *,
        predictions: Sequence[tuple[str, float]] = (),
        true: str | None = None,
        num_frames: int = 6,
    ) -> None:
        """Add a clip as frames in a row, with the model's answers.

        Args:
            frames: uint8 ``(T, H, W, 3)`` RGB.
            title: Name of the clip.
            verdict: Whether the model is right; None = unknown.
            predictions: Class and probability in [0, 1], the most probable first.
            true: The true class.
            num_frames: The most frames shown.

        Raises:
            InputError: If the frames have the wrong shape.
        """
        check_frames(frames)
        picks = choose_frames(len(frames), num_frames)
        images = "".join(_frame(frames[i], f"frame {i}") for i in picks)
        state = {True: "right", False: "wrong", None: "open"}[verdict]
        badge = {
            True: f"<span class=badge>{RIGHT_SYMBOL} right</span>",
            False: f"<span class=badge>{WRONG_SYMBOL} wrong</span>",
            None: "",
        }[verdict]
        bars = "".join(
            _bar(name, share, first=i == 0, is_true=name == true)
            for i, (name, share) in enumerate(predictions)
        )
        answers = f"<ol>{bars}</ol>" if bars else ""
        if true is not None and true not in [name for name, _ in predictions]:
            answers += f"<p class=true>true class: <b>{escape(true)}</b></p>"
        if answers:
            answers = f"<div>{answers}</div>"
        self._add(
            f'<figure class="strip {state}"><figcaption>{badge}<span>{escape(title)}</span>'
            f'</figcaption><div class="clip{" told" if answers else ""}"><div class=frames '
            f'style="--most:{len(picks)};--few:{-(-len(picks) // 2)}">{images}</div>'
            f"{answers}</div></figure>"
        )

    def gallery(self, title: str, images: Sequence[tuple[str, Frames]]) -> None:
        """Add pictures side by side, each with its name.

        Args:
            title: Heading of the row.
            images: Name and uint8 ``(H, W, 3)`` RGB each; sizes may differ.

        Raises:
            InputError: If there is no image or one has the wrong shape.
        """
        if not images:
            raise InputError("a gallery needs at least one image, got none")
        for name, image in images:
            check_frames(image[None], name)
        tiles = "".join(
            f"<figure>{_frame(image, escape(name))}<figcaption>{escape(name)}</figcaption></figure>"
            for name, image in images
        )
        self._add(f"<h3>{escape(title)}</h3><div class=gallery>{tiles}</div>")

    def html(self) -> str:
        """Return the page."""
        subtitle = f"<p class=subtitle>{escape(self.subtitle)}</p>" if self.subtitle else ""
        titles = [title for title, _ in self._sections if title is not None]
        links = "".join(f'<li><a href="#s{i + 1}">{escape(t)}</a>' for i, t in enumerate(titles))
        nav = f"<nav aria-label=Sections><ul>{links}</ul></nav>" if len(titles) > 2 else ""
        body = [part for _, parts in self._sections[:1] for part in parts]
        for i, (title, parts) in enumerate(self._sections[1:]):
            body.append(
                f"<section id=s{i + 1} aria-labelledby=h{i + 1}>"
                f"<h2 id=h{i + 1}>{escape(title or '')}</h2>\n" + "\n".join(parts) + "</section>"
            )
        return (
            "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
            f'<meta http-equiv=Content-Security-Policy content="{_POLICY}">'
            '<meta name=viewport content="width=device-width,initial-scale=1">'
            '<meta name=color-scheme content="light dark">'
            # A browser would ask the server for an icon.
            f'<link rel=icon href="data:,"><title>{escape(self.title)}</title>'
            f"<style>{PAGE_STYLE}</style></head>\n<body><header><h1>{escape(self.title)}</h1>"
            f"{subtitle}{nav}</header>\n<main>\n" + "\n".join(body) + "\n</main></body></html>\n"
        )

    def save(self, path: str | Path) -> Path:
        """Write the page to a file, as a whole or not at all; missing folders are made.

        Returns:
            The path.
        """
        path = Path(path)
        # Lone surrogates come from file names that are not UTF-8.
        with atomic_path(path) as part:
            part.write_bytes(self.html().encode("utf-8", errors="replace"))
        return path

    def _add(self, part: str) -> None:
        """Append HTML to the last section."""
        self._sections[-1][1].append(part)


def _text(value: Any) -> str:  # noqa: ANN401
    """Return any value as people read it."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(part) for part in value)
    return str(value)


def _column(values: Sequence[Any]) -> tuple[list[str], bool]:
    """Return a column's cells, and whether they are numbers."""
    plain = [value.item() if isinstance(value, np.generic) else value for value in values]
    finite = [v for v in plain if isinstance(v, float) and math.isfinite(v)]
    decimals = 3 if all(abs(v) < 10 for v in finite) else 1
    cells = [
        f"{v:,.{decimals}f}" if isinstance(v, float) and math.isfinite(v) else _text(v)
        for v in plain
    ]
    told = [cell for cell in cells if cell != "–"]
    return cells, bool(told) and all(_NUMBER.fullmatch(cell) for cell in told)


def _bar(name: str, share: float, *, first: bool, is_true: bool) -> str:
    """Return one prediction; ``first`` = the model's answer."""
    kind = "right" if is_true else "wrong" if first else "other"
    mark = " <i>true</i>" if is_true else ""
    width = round(100 * min(1.0, max(0.0, share)), 1)
    return (
        f"<li class={kind}><span class=name>{escape(name)}{mark}</span><span>{share:.0%}</span>"
        f'<span class=bar style="--share:{width}%"></span></li>'
    )


def _frame(frame: Frames, alt: str) -> str:
    """Return a frame as a small JPEG; ``alt`` is escaped already."""
    height, width = frame.shape[:2]
    scale = min(1.0, _FRAME_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = frame
    if scale < 1:
        small = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
    return f'<img src="{_jpeg(small[..., ::-1])}" width={size[0]} height={size[1]} alt="{alt}">'


def _picture(figure: Figure) -> str:
    """Return a figure as a data URI."""
    if shows_frames(figure):
        png = np.frombuffer(render(figure, "png"), np.uint8)
        return _jpeg(np.asarray(cv2.imdecode(png, cv2.IMREAD_COLOR), np.uint8))
    svg = render(figure, "svg")
    # Without the prologue, which names the address of a document type.
    return _data_uri("svg+xml", svg[svg.index(b"<svg") :])


def _jpeg(image: Frames) -> str:
    """Return a BGR image as a data URI."""
    settings = [
        cv2.IMWRITE_JPEG_QUALITY,
        _QUALITY,
        # Without colour subsampling coloured letters stay sharp.
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    done, data = cv2.imencode(".jpg", np.ascontiguousarray(image), settings)
    assert done
    return _data_uri("jpeg", data.tobytes())


def _data_uri(kind: str, data: bytes) -> str:
    """Return an image of a kind as an address that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
