"""``videolit synth summary OUT``: long videos with known importance and simulated annotators."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from videolit.commands.synth_options import synth_parser
from videolit.synth.actions import Split
from videolit.synth.summaries import plan_set, write_summary_set

DESCRIPTION = """\
Generate long videos with sound (one to two minutes of H.264 and AAC), each a series of shots, and
the scores that eight simulated annotators give to every two seconds of them.

Important is what is worth more in itself (a frame tells), what the video shows for the first time,
what comes within 8 seconds after a bell, and what the camera comes nearer to. scores.json holds
the scores, truth.json the shots and the importance without noise. The same settings give the same
files; an interrupted run goes on where it stopped.
"""
_MEANING = {
    "rule": "the importance without noise: no model does better but by chance",
    "without order": "all but whether the camera comes nearer",
    "bell and event": "what the picture and the last seconds tell",
    "event": "what a single frame tells",
    "annotators": "each with each other",
    "random": "",
}


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    parser = synth_parser("videolit synth summary", DESCRIPTION, "highlights", (40, 10, 20))
    options = parser.parse_args(argv)
    # Here: help must not wait for torch.
    from videolit.synth.ceilings import ceilings

    begin = time.perf_counter()
    root = write_summary_set(
        Path(options.out),
        num_train=options.train,
        num_val=options.val,
        num_test=options.test,
        seed=options.seed,
        workers=(os.cpu_count() or 1) if options.workers is None else options.workers,
        progress=True,
    )
    took = time.perf_counter() - begin
    counts: dict[Split, int] = {"train": options.train, "val": options.val, "test": options.test}
    plans = plan_set(counts, seed=options.seed)
    judged = [plan for plan in plans if plan.split == "test"] or plans
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("known")
    for name in ("tau", "rho"):
        table.add_column(name, justify="right")
    table.add_column("")
    for name, (tau, rho) in ceilings(judged).items():
        table.add_row(name, f"{tau:.3f}", f"{rho:.3f}", _MEANING[name])
    console = Console()
    console.print(table)
    console.print(
        f"Rank correlation with each annotator, mean over the {len(judged)} "
        f"{'test ' if options.test else ''}videos.\n"
        f"Written: {len(plans)} in {root}{os.sep}, told in scores.json and truth.json "
        f"({took:.0f} s).",
        highlight=False,
        soft_wrap=True,
    )
    return 0
