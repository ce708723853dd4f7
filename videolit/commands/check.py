"""``videolit check DATA``: read every video once, so that training meets no broken one."""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from videolit.data.index import Decoder
from videolit.data.listing import list_videos, read_manifest
from videolit.data.manifest import Manifest
from videolit.data.prepared import prepared_spec
from videolit.data.verify import choose_decoder, verified_index
from videolit.ops.cores import usable_cores
from videolit.types import InputError, VideoError


class Checked(NamedTuple):
    """What was found out about one file.

    Attributes:
        path: The file.
        reason: Why it cannot be read; empty when it can.
        decoder: The decoder that will read it.
        seconds: Its length.
    """

    path: str
    reason: str
    decoder: str
    seconds: float


def check_files(
    paths: Sequence[str], *, decoder: Decoder = "auto", workers: int = 1
) -> Iterator[Checked]:
    """Verify files in parallel and remember the results for training.

    Args:
        paths: Absolute paths.
        decoder: What training will use.
        workers: Processes.

    Yields:
        One result per file, in input order.
    """
    # Forking a process that has threads can hang; the server forks from a clean one.
    context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        jobs = ((path, decoder) for path in paths)
        yield from pool.map(_check, jobs, chunksize=4)


def _check(job: tuple[str, Decoder]) -> Checked:
    path, decoder = job
    try:
        index = verified_index(path, decoder)
    except VideoError as problem:
        return Checked(path, problem.reason, "", 0.0)
    chosen = choose_decoder(index) if decoder == "auto" else decoder
    times = index.timestamps
    return Checked(path, "", chosen, float(times[-1]) + 1 / max(index.fps, 1e-6))


def main(argv: Sequence[str]) -> int:
    """Run the command; 0 = all videos can be read, 1 = some cannot."""
    parser = argparse.ArgumentParser(
        prog="videolit check",
        description="Read every video of a data set once, in processes of their own, and list "
        "those that cannot be read. Training then starts faster and meets no broken file.",
    )
    parser.add_argument("data", help="folder of class folders, a list (.csv, .jsonl), or videos")
    parser.add_argument("--workers", type=int, default=usable_cores(), help="processes (all cores)")
    parser.add_argument(
        "--decoder", default="auto", choices=["auto", "decord", "pyav", "torchcodec"]
    )
    options = parser.parse_args(argv)
    if options.workers < 1:
        raise InputError(f"--workers must be at least 1, got {options.workers}")
    if prepared_spec(options.data) is not None:
        raise InputError(f"{options.data} is a prepared set: videolit prepare --check verifies it")
    manifest = _listing(options.data)
    paths = [manifest.path(row) for row in range(len(manifest))]
    # A file with several labelled parts is read once.
    paths = list(dict.fromkeys(paths))
    console = Console()
    results = []
    with Progress(
        TextColumn("checking"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as progress:
        bar = progress.add_task("", total=len(paths))
        for result in check_files(paths, decoder=options.decoder, workers=options.workers):
            results.append(result)
            progress.advance(bar)
    return _report(console, manifest, [*results, *_empty_parts(manifest, results)])


def _empty_parts(manifest: Manifest, results: Sequence[Checked]) -> Iterator[Checked]:
    """Yield the rows whose part of the file begins after its end."""
    length = {result.path: result.seconds for result in results if not result.reason}
    for row in np.flatnonzero(~np.isnan(manifest.start)):
        path, start = manifest.path(int(row)), float(manifest.start[row])
        if path in length and start >= length[path]:
            why = f"labelled from {start:g} s on, but it lasts {length[path]:.2f} s"
            yield Checked(path, why, "", 0.0)


def _listing(data: str) -> Manifest:
    """Read a data set; a folder without classes is a heap of videos."""
    try:
        return read_manifest(data, allow_outside_root=True)
    except InputError:
        # A video by itself is a data set of one.
        if not Path(data).is_file() or Path(data).suffix.lower() in (".csv", ".jsonl"):
            raise
        return list_videos([data])


def _report(console: Console, manifest: Manifest, results: Sequence[Checked]) -> int:
    bad = [result for result in results if result.reason]
    good = [result for result in results if not result.reason]
    hours = sum(result.seconds for result in good) / 3600
    length = f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"
    decoders = collections.Counter(result.decoder for result in good)
    kinds = ", ".join(f"{count} by {name}" for name, count in decoders.most_common())
    console.print(
        f"{len(good)} of {len(results)} videos can be used ({length}): {kinds or 'none'}."
    )
    counts = manifest.class_counts()
    if len(counts):
        order = counts.argsort()
        least, most = order[0], order[-1]
        names = manifest.class_names
        console.print(
            f"{len(counts)} classes, {counts[least]} ({names[least]}) to {counts[most]} "
            f"({names[most]}) samples each."
        )
    if not bad:
        return 0
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("cannot be used", overflow="fold")
    table.add_column("why", overflow="fold")
    for result in bad:
        # Text, not markup: a file may be called [red].
        table.add_row(Text(os.path.relpath(result.path)), Text(result.reason))
    console.print(table)
    console.print("Repair these files or take them out of the data: training refuses them.")
    return 1
