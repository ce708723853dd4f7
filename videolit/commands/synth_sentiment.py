"""``videolit synth sentiment OUT``: talking figures whose emotion no modality tells alone."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from videolit.commands.synth_options import synth_parser
from videolit.synth.emotions import EMOTIONS, MODALITIES, NEUTRAL, SHOWN, ceilings
from videolit.synth.talking import write_sentiment_set

DESCRIPTION = f"""\
Generate clips of three seconds (H.264 and AAC) of figures that talk with one of {len(EMOTIONS)}
emotions: {", ".join(EMOTIONS)}.

Face and body, voice, and words each show the emotion in {SHOWN:.0%} of the plain clips, none in
{NEUTRAL:.0%} and another one in the rest, independent of each other. A quarter of the clips is
irony: there a mocking voice turns joyful words into anger and angry words into joy, and words,
voice or face alone are right in half of them at best.

manifest.csv holds labels, scores, words and splits, truth.json what each modality shows. Speakers,
sentences, backgrounds and tempo of the test split are unseen in training. The same settings give
the same files; an interrupted run goes on where it stopped.
"""


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    parser = synth_parser("videolit synth sentiment", DESCRIPTION, "feelings", (1000, 200, 300))
    options = parser.parse_args(argv)
    begin = time.perf_counter()
    root = write_sentiment_set(
        Path(options.out),
        num_train=options.train,
        num_val=options.val,
        num_test=options.test,
        seed=options.seed,
        workers=(os.cpu_count() or 1) if options.workers is None else options.workers,
        progress=True,
    )
    took = time.perf_counter() - begin
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("best possible with")
    for name in ("all clips", "plain", "irony"):
        table.add_column(name, justify="right")
    for chosen, shares in ceilings().items():
        known = "all three" if chosen == MODALITIES else " and ".join(chosen)
        table.add_row(known, *(f"{shares[kind]:.3f}" for kind in ("all", "plain", "irony")))
    console = Console()
    console.print(table)
    console.print(
        "Expected accuracy of the best guess from what these modalities show.\n"
        f"Written: {options.train + options.val + options.test} in {root}{os.sep}, listed in "
        f"manifest.csv and truth.json ({took:.0f} s).",
        highlight=False,
        soft_wrap=True,
    )
    return 0
