"""What the terminal shows of the sentiment of a recording."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from videolit.commands.sentiment_moments import mean_weights
from videolit.commands.summary_terminal import print_line, shown_text
from videolit.plots.clock import clock
from videolit.types import AFFECT

# A table that fills the screen twice is no longer read; the files hold all windows.
_MOST_SHOWN = 40


def print_sentiment(console: Console, record: Mapping[str, Any], folder: Path) -> None:
    """Print when which label holds, each label's share, what is missing and where the files are.

    Args:
        console: Where to print.
        record: What :func:`videolit.commands.sentiment.find_sentiment` returned.
        folder: Where it wrote.
    """
    length, stretches = record["source"]["duration"], record["stretches"]
    numbers = [n for n in ("probability", "score", *AFFECT) if stretches and n in stretches[0]]
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for column in ("start", "end"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("label", overflow="fold")
    for column in numbers:
        table.add_column(column, justify="right", no_wrap=True)
    for part in stretches[:_MOST_SHOWN]:
        table.add_row(
            *(clock(part[side], length, tenths=True) for side in ("start", "end")),
            # Text, not markup: a class may be called [red].
            Text(part["label"]),
            *(f"{part[n]:.2f}" if n == "probability" else f"{part[n]:+.2f}" for n in numbers),
        )
    if stretches:
        console.print(table)
        if len(stretches) > _MOST_SHOWN:
            more = len(stretches) - _MOST_SHOWN
            console.print(f"… and {more} more, in sentiment.json", style="dim", highlight=False)
        console.print()
    said = ", ".join(f"{name} {share:.0%}" for name, share in record["shares"].items())
    console.print(Text(said or "nothing to go by in any window", "bold"))
    print_line(console, "of", _windows(record))
    print_line(console, "by", _weights(record))
    for name in record["model"]["modalities"]:
        for why in missing_of(record, name):
            print_line(console, name, why)
    for note in record["notes"]:
        print_line(console, "note", shown_text(note))
    names = [name for name in record["files"] if name != "sentiment.png"]
    print_line(console, "see", shown_text(folder / "sentiment.png"))
    print_line(console, "beside", ", ".join(names))


def print_sentiments(
    console: Console, rows: Sequence[tuple[Path, Path, dict[str, Any] | str]], out: Path
) -> None:
    """Print a line for each recording: its labels by their share of the time.

    Args:
        console: Where to print.
        rows: The file, its folder, and its record, or why there is none.
        out: The folder of all folders.
    """
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("file", overflow="fold", max_width=max(console.width - 40, 16))
    table.add_column("labels", overflow="fold")
    for path, folder, found in rows:
        name = Text(Path(shown_text(path)).name)
        if isinstance(found, str):
            table.add_row(name, Text(f"error: {shown_text(found)}", "red"))
            continue
        if folder.name != path.stem:
            name.append(f" \N{RIGHTWARDS ARROW} {shown_text(folder.name)}{os.sep}", "dim")
        said = ", ".join(f"{label} {share:.0%}" for label, share in found["shares"].items())
        lacking = [each for each in found["model"]["modalities"] if found["missing"][each]]
        told = Text(said or "nothing to go by in any window")
        if lacking:
            told.append(f"; {', '.join(lacking)} missing in places", "dim")
        table.add_row(name, told)
    console.print(table)
    console.print()
    bad = sum(isinstance(found, str) for _, _, found in rows)
    if bad < len(rows):
        print_line(console, "in", f"{shown_text(out)}{os.sep}, a folder for each file, by its name")
    if bad:
        console.print(f"{bad} of {len(rows)} files could not be used.", highlight=False)


def missing_of(record: Mapping[str, Any], name: str) -> list[str]:
    """Return why a modality is missing, a line for each reason, at most three."""
    count, reasons = len(record["windows"]), record["missing"][name]
    if sum(reasons.values()) == count:
        lines = [why if found == count else f"{why} ({found})" for why, found in reasons.items()]
    else:
        lines = [f"missing in {found} of {count} windows: {why}" for why, found in reasons.items()]
    more = [f"… and {len(lines) - 3} other reasons, in sentiment.json"] * (len(lines) > 3)
    return [shown_text(line) for line in lines[:3] + more]


def _windows(record: Mapping[str, Any]) -> str:
    source, settings, count = record["source"], record["settings"], len(record["windows"])
    length = clock(source["duration"], source["duration"], tenths=source["duration"] < 60)
    if count == 1:
        return f"one window of {length}"
    return f"{count} windows of {settings['window']:g} s, {settings['hop']:g} s apart, in {length}"


def _weights(record: Mapping[str, Any]) -> str:
    """Return which modalities are used, each with its mean weight if the model learnt weights."""
    weights = mean_weights(record)
    said = [name for name, weight in weights.items() if weight]
    if record["model"]["weights"] == "learnt":
        said = [f"{name} {weights[name]:.0%}" for name in said]
    return f"{', '.join(said) or 'nothing'} ({shown_text(record['model']['checkpoint'])})"
