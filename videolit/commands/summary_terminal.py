"""What the terminal shows of summaries."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from videolit.plots.clock import clock

# A table that fills the screen twice is no longer read; summary.json has all segments.
_MOST_SHOWN = 40


def print_summary(console: Console, record: dict[str, Any], folder: Path) -> None:
    """Print which parts are kept, how much that is, what chose them, and where the files are.

    Args:
        console: Where to print.
        record: What :func:`videolit.commands.summarize.summarize` returned.
        folder: Where it wrote.
    """
    chosen = [segment for segment in record["segments"] if segment["selected"]]
    length = record["source"]["duration"]
    table = _table()
    for column in ("start", "end", "length", "score", "rank"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    for segment in chosen[:_MOST_SHOWN]:
        start, end = segment["start"], segment["end"]
        table.add_row(
            clock(start, length, tenths=True),
            clock(end, length, tenths=True),
            f"{end - start:.1f} s",
            f"{segment['score']:.2f}",
            f"{segment['rank']}",
            Text("asked for" if segment["kept"] else "", "dim"),
        )
    console.print(table)
    if len(chosen) > _MOST_SHOWN:
        console.print(f"… and {len(chosen) - _MOST_SHOWN} more, in summary.json", style="dim")
    console.print()
    console.print(f"{_share(record)}, {_shots(record)}", style="bold", highlight=False)
    print_line(console, "scores", _scores([record]))
    if sound := _sound(record):
        print_line(console, "sound", sound)
    pictures = sum(name.startswith("keyframes/") for name in record["files"])
    names = [name for name in record["files"] if not name.startswith("keyframes/")]
    # What one looks at comes first.
    names.sort(key=lambda name: (name != "summary.mp4", not name.endswith((".jpg", ".png")), name))
    print_line(console, "see", shown_text(folder / names.pop(0)))
    print_line(console, "beside", f"{', '.join(names)}, keyframes{os.sep} ({pictures})")


def print_summaries(
    console: Console, rows: Sequence[tuple[str, Path, dict[str, Any] | str]], out: Path
) -> None:
    """Print a line for each video.

    Args:
        console: Where to print.
        rows: The video, its folder, and its record, or why there is none.
        out: The folder of all folders.
    """
    table = _table()
    # Names fold first: what is kept of an hour needs 50 columns.
    table.add_column("video", overflow="fold", max_width=max(console.width - 52, 16))
    table.add_column("kept", overflow="fold")
    for path, folder, found in rows:
        name = Text(Path(shown_text(path)).name)
        if isinstance(found, str):
            table.add_row(name, Text(f"error: {shown_text(found)}", "red"))
            continue
        if folder.name != Path(path).stem:
            name.append(f" \N{RIGHTWARDS ARROW} {shown_text(folder.name)}{os.sep}", "dim")
        damaged = "; sound damaged" if found["source"]["audio_problem"] else ""
        table.add_row(name, f"{_share(found)}, {_shots(found)}{damaged}")
    console.print(table)
    console.print()
    good = [found for _, _, found in rows if not isinstance(found, str)]
    if good:
        print_line(console, "scores", _scores(good))
        print_line(
            console, "in", f"{shown_text(out)}{os.sep}, a folder for each video, by its name"
        )
    bad = len(rows) - len(good)
    if bad:
        console.print(f"{bad} of {len(rows)} videos could not be summarized.", highlight=False)


def _table() -> Table:
    return Table(box=None, pad_edge=False, show_edge=False, header_style="bold")


def print_line(console: Console, title: str, text: str) -> None:
    """Print a title and, beside it, a text that folds."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=6, no_wrap=True)
    grid.add_column(overflow="fold")
    # Text, not markup: a file may be called [red].
    grid.add_row(Text(title, "dim"), Text(text))
    console.print(grid)


def _share(record: dict[str, Any]) -> str:
    """Return as ``0:28 of 3:04 kept (15 %)``."""
    length = record["source"]["duration"]
    kept = sum(s["end"] - s["start"] for s in record["segments"] if s["selected"])
    tenths = length < 60
    whole = clock(length, length, tenths=tenths)
    return f"{clock(kept, length, tenths=tenths)} of {whole} kept ({100 * kept / length:.0f} %)"


def _shots(record: dict[str, Any]) -> str:
    shots = len({segment["shot"] for segment in record["segments"] if segment["selected"]})
    return f"{shots} of {record['num_shots']} shot{'s' * (record['num_shots'] > 1)}"


def _scores(records: Sequence[dict[str, Any]]) -> str:
    """Return what scored the moments of videos, one model for all."""
    about = records[0]["model"]
    if about["kind"] == "checkpoint":
        return f"{shown_text(about['checkpoint'])} ({about['temporal']})"
    made = about["features"]
    encoder = json.loads(made["encoder"])["class_path"].rpartition(".")[2]
    looks = "colour, layout, edges" if encoder == "AppearanceEncoder" else encoder
    heard = any(record["source"]["audio"] for record in records)
    return f"training-free: {looks}{', motion and sound' if heard else ' and motion'}"


def _sound(record: dict[str, Any]) -> str:
    """Return what is to be known of the sound, ``""`` if it is as one expects."""
    written, source = record["summary"], record["source"]
    problem = (written["problem"] if written else "") or source["audio_problem"]
    if problem:
        return f"damaged, silent where it cannot be decoded: {shown_text(problem)}"
    silent = written["audio"] == "none" if written else not source["audio"]
    return "the video has none" if silent else ""


def shown_text(name: str | Path) -> str:
    """Return a name that a terminal can show."""
    return str(name).encode("utf-8", "replace").decode()
