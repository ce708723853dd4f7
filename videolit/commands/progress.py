"""The bar of commands that go through videos one after the other."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


def video_progress() -> Progress:
    """Return a bar with a text that may change, on standard error; none where that is no screen."""
    console = Console(stderr=True)
    return Progress(
        # Not markup: a file may be called [red].
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
