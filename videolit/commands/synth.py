"""``videolit synth [summary | sentiment] OUT``: real video files of figures, actions by default."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from videolit.commands.synth_options import synth_parser
from videolit.synth.actions import ACTIONS, TIME_PAIRS, single_frame_ceiling, write_actions

DESCRIPTION = f"""\
Generate a data set of H.264 files in which figures perform {len(ACTIONS)} actions:
{", ".join(ACTIONS)}.

Three pairs ({", ".join("/".join(pair) for pair in TIME_PAIRS)}) differ only in the
direction of time, so a model that ignores the order of frames cannot exceed {
    single_frame_ceiling():.2f}.
Performers, backgrounds and speeds of the test split are unseen in training. The same settings give
the same files; an interrupted run goes on where it stopped.

videolit synth summary OUT generates long videos with scores of what is important in them
instead; videolit synth sentiment OUT talking figures with an emotion.
"""


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    if argv and argv[0] == "summary":
        from videolit.commands import synth_summary

        return synth_summary.main(argv[1:])
    if argv and argv[0] == "sentiment":
        from videolit.commands import synth_sentiment

        return synth_sentiment.main(argv[1:])
    parser = synth_parser("videolit synth", DESCRIPTION, "actions", (1000, 150, 300))
    options = parser.parse_args(argv)
    begin = time.perf_counter()
    root = write_actions(
        Path(options.out),
        num_train=options.train,
        num_val=options.val,
        num_test=options.test,
        seed=options.seed,
        workers=options.workers,
        progress=True,
    )
    seconds = time.perf_counter() - begin
    console = Console()
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("split")
    for name in ("videos", "performers", "MB"):
        table.add_column(name, justify="right")
    for split in ("train", "val", "test"):
        files = list((root / split).rglob("*.mp4"))
        performers = {file.name.partition("_")[0] for file in files}
        size = sum(file.stat().st_size for file in files) / 1e6
        table.add_row(split, str(len(files)), str(len(performers)), f"{size:.1f}")
    console.print(table)
    console.print(
        f"{len(ACTIONS)} actions in {root}{os.sep}, listed in manifest.csv ({seconds:.0f} s).",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        f"Next: videolit fit --config action/folder_r2plus1d --data.root {options.out}\n"
        "or, on a laptop: --config action/small_r2plus1d",
        highlight=False,
        soft_wrap=True,
    )
    return 0
