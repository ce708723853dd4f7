"""``videolit predict long.mp4 --window 2 --hop 1``: the command around ``find_actions``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from videolit.commands.progress import video_progress
from videolit.commands.timeline import find_actions
from videolit.types import InputError

# A table that fills the screen twice is no longer read; the files hold all segments.
_MOST_SHOWN = 40
# Left to the defaults of find_actions unless they are given.
_OPTIONS = ("start_at", "stay_at", "min_seconds", "merge_gap", "background")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of long videos to those of predict."""
    group = parser.add_argument_group(
        "long videos", "with --window: which actions happen when, instead of one answer per video"
    )
    group.add_argument("--window", type=float, help="seconds of a window that slides over each")
    group.add_argument("--hop", type=float, help="seconds between windows (half a window)")
    group.add_argument("--start-at", type=float, help="probability at which a segment starts (0.5)")
    group.add_argument("--stay-at", type=float, help="probability down to which it goes on (0.4)")
    group.add_argument("--min-seconds", type=float, help="shortest segment that is reported (0)")
    group.add_argument("--merge-gap", type=float, help="longest gap that is bridged, s (the hop)")
    group.add_argument(
        "--background",
        action="append",
        metavar="CLASS",
        help="a class that means that nothing happens, not reported; may be repeated",
    )


def refuse_options(options: argparse.Namespace) -> None:
    """Refuse the options of long videos where ``--window`` is missing.

    Raises:
        InputError: Names the option.
    """
    for name in ("hop", *_OPTIONS):
        if getattr(options, name) is not None:
            raise InputError(
                f"--{name.replace('_', '-')} is for long videos: give --window SECONDS too, or "
                "leave it out"
            )


def main(options: argparse.Namespace) -> int:
    """Run the command with what predict's parser read; 0 = all done, 1 = some files unreadable."""
    if options.num_workers is not None or options.decoder not in ("auto", "pyav"):
        raise InputError(
            "--window decodes each video in order, in this process and by pyav: leave "
            "--num_workers and --decoder out"
        )
    given = {n: getattr(options, n) for n in _OPTIONS if getattr(options, n) is not None}
    folder = options.output or "timelines"
    with video_progress() as progress:
        bar = progress.add_task("", total=None)

        def show(name: str, share: float | None) -> None:
            text = name.encode("utf-8", "replace").decode()
            if share is None:
                progress.reset(bar, total=None, description=f"checking {text}")
            else:
                progress.update(bar, total=1.0, completed=share, description=text)

        records = find_actions(
            options.ckpt_path,
            options.paths,
            window=options.window,
            hop=options.hop,
            output=folder,
            batch_size=options.batch_size,
            accelerator=options.accelerator,
            trust=options.trust,
            allow_outside_root=options.allow_outside_root,
            progressed=show,
            **given,
        )
    print_segments(records)
    print(f"Written to {folder}: .json, .csv, .vtt and .png of each video, and timelines.jsonl")
    if not options.background:
        print(
            "No --background was given: unless one of the model's classes means that nothing "
            "happens, it took everything for one of its actions."
        )
    return 1 if any(record["status"] == "error" for record in records) else 0


def print_segments(records: Sequence[dict[str, Any]]) -> None:
    """Print what was found, a line for each segment, or the error."""
    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    table.add_column("file", overflow="fold")
    for column in ("start", "end"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("found", overflow="fold")
    table.add_column("")
    lines = 0
    for record in records:
        # Text, not markup: a file may be called [red].
        file = Text(Path(record["source"]["path"]).name.encode("utf-8", "replace").decode())
        if record["status"] == "error":
            table.add_row(file, "", "", Text(f"error: {record['error']}", "red"), "")
            continue
        segments = record["segments"]
        if not segments:
            table.add_row(file, "", "", Text("no segment", "dim"), "")
        for segment in segments[: max(_MOST_SHOWN - lines, 0)]:
            cells = (f"{segment['start']:.2f}", f"{segment['end']:.2f}", Text(segment["name"]))
            table.add_row(file, *cells, f"{segment['probability']:.2f}")
            file = Text("")
        hidden = len(segments) - max(_MOST_SHOWN - lines, 0)
        if hidden > 0:
            table.add_row(file, "", "", Text(f"… and {hidden} more, in the files", "dim"), "")
        lines += len(segments)
    console.print(table)
    bad = sum(record["status"] == "error" for record in records)
    if bad:
        console.print(f"{bad} of {len(records)} files could not be read.")
