"""``videolit check DATA``: read every video once, so that training meets no broken one."""

from __future__ import annotations

import argparse
import collections
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from videolit.commands.check_report import Survey, imbalance, length_of, write_report
from videolit.data.duplicates import STEP
from videolit.data.index import DECODERS
from videolit.data.leaks import SHARED_GROUP, Finding, find_leaks
from videolit.data.listing import list_videos, read_manifest
from videolit.data.manifest import SHOWN, Manifest
from videolit.data.prepared import prepared_spec
from videolit.data.survey import Checked, check_files
from videolit.ops.cores import usable_cores
from videolit.types import InputError

DESCRIPTION = """\
Read every video of a data set once, in processes of their own with a time limit, and tell

  - which files cannot be read, and why: training then meets no broken file, and starts faster, as
    it does not check the files again;
  - what the splits share: the same file under two names, near-duplicate videos (re-encoded,
    rescaled, trimmed copies) and groups;
  - how many samples each class has.

Exit code: 0 = nothing wrong, 1 = broken files, or something shared between splits that the data
names, 2 = a mistake in the command or the data's list. The same recording twice within a split, or
where the data names no split, is a note.
"""

_MOST_THUMBNAILS = 60
# A fast check has three pictures of a video; else it is half a second.
_LEAST_SHARED = {True: 3, False: 6}


def main(argv: Sequence[str]) -> int:
    """Run the command; 0 = nothing wrong, 1 = broken files or leaks across splits."""
    options = _parser().parse_args(argv)
    if options.workers < 1:
        raise InputError(f"--workers must be at least 1, got {options.workers}")
    if options.time_limit <= 0:
        raise InputError(f"--time-limit must be above 0 seconds, got {options.time_limit:g}")
    if prepared_spec(options.data) is not None:
        raise InputError(f"{options.data} is a prepared set: videolit prepare --check verifies it")
    if options.out is not None:
        _refuse_as_out(options.data, options.out)
    manifest = _listing(options.data)
    console = Console()
    results = _check_all(console, manifest, options)
    good = [result for result in results if not result.reason]
    findings = find_leaks(
        manifest,
        {result.path: result.sha256 for result in good},
        {result.path: result.pictures for result in good},
        # Pictures of a fast check are no step apart; their offset is always 0.
        step=STEP,
        least=_LEAST_SHARED[options.fast],
    )
    survey = Survey(manifest, results, findings, list(_empty_parts(manifest, good)), options.fast)
    _tell(console, survey)
    if options.out is not None:
        write_report(options.out, options.data, survey)
        console.print(
            f"Written: {options.out}{os.sep}report.html, files.csv and quarantine.jsonl "
            f"(--data.exclude {Path(options.out, 'quarantine.jsonl')} leaves the files out).",
            highlight=False,
            soft_wrap=True,
        )
    return int(survey.is_wrong)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="videolit check",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", help="folder of class folders, a list (.csv, .jsonl), or videos")
    parser.add_argument(
        "--out",
        help="folder for report.html, files.csv and quarantine.jsonl, the list of broken files "
        "that --data.exclude accepts",
    )
    parser.add_argument(
        "--fast",
        action="store_true",
        help="decode only the first, middle and last frame: finds files that do not open or are "
        "cut short, not damage between; finds copies only if they are not trimmed; training "
        "checks the files itself later",
    )
    parser.add_argument(
        "--time-limit",
        type=float,
        default=60.0,
        help="seconds that a small file may take; large ones get more (60)",
    )
    parser.add_argument("--workers", type=int, default=usable_cores(), help="processes (all cores)")
    parser.add_argument(
        "--decoder",
        default="auto",
        choices=DECODERS,
        help="what training will use; --fast does not look at it (auto)",
    )
    return parser


def _refuse_as_out(data: str, out: str) -> None:
    """Refuse a file, and a folder that the next reading of the data would take for a class."""
    source, target = Path(data).resolve(), Path(out).resolve()
    if target.exists() and not target.is_dir():
        raise InputError(f"--out {out} is a file: give a folder")
    if source.is_dir() and source in target.parents:
        raise InputError(
            f"--out {out} lies inside the data {data} and would be taken for a class of it: give "
            "a folder beside it"
        )
    if target == source:
        raise InputError(f"--out {out} is the data itself: give a folder beside it")


def _check_all(console: Console, manifest: Manifest, options: argparse.Namespace) -> list[Checked]:
    # A file with several labelled parts is read once.
    paths = list(dict.fromkeys(manifest.path(row) for row in range(len(manifest))))
    pictured = _pictured(manifest) if options.out is not None else frozenset()
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
        for result in check_files(
            paths,
            decoder=options.decoder,
            workers=options.workers,
            fast=options.fast,
            pictured=pictured,
            time_limit=options.time_limit,
        ):
            results.append(result)
            progress.advance(bar)
    return results


def _pictured(manifest: Manifest) -> frozenset[str]:
    """Return a few files of each class, spread over it."""
    labels = np.unique(manifest.labels)
    each = min(6, max(1, _MOST_THUMBNAILS // len(labels)))
    chosen: list[str] = []
    for label in labels[:_MOST_THUMBNAILS]:
        rows = np.flatnonzero(manifest.labels == label)
        # The middles of equal parts: the first of each group of files would look alike.
        places = (np.arange(each) + 0.5) * len(rows) / each
        chosen += [manifest.path(int(row)) for row in rows[np.unique(places.astype(int))]]
    return frozenset(chosen)


def _empty_parts(manifest: Manifest, good: Sequence[Checked]) -> Iterator[Checked]:
    """Yield the rows whose part of the file begins after its end."""
    length = {result.path: result.seconds for result in good}
    for row in np.flatnonzero(~np.isnan(manifest.start)):
        path, start = manifest.path(int(row)), float(manifest.start[row])
        if path in length and start >= length[path]:
            why = f"labelled from {start:g} s on, but it lasts {length[path]:.2f} s"
            yield Checked(path=path, reason=why)


def _listing(data: str) -> Manifest:
    """Read a data set; a folder without classes is a heap of videos."""
    try:
        return read_manifest(data, allow_outside_root=True)
    except InputError:
        # A video by itself is a data set of one.
        if not Path(data).is_file() or Path(data).suffix.lower() in (".csv", ".jsonl"):
            raise
        return list_videos([data])


def _tell(console: Console, survey: Survey) -> None:
    """Print the summary, then all that is wrong."""
    good = survey.good
    bad = [*survey.bad, *survey.empty_parts]
    kinds = collections.Counter(result.decoder for result in good if result.decoder)
    decoders = ", ".join(f"{count} by {name}" for name, count in kinds.most_common())
    told = f": {decoders}" if decoders else ""
    console.print(
        f"{len(good)} of {len(good) + len(bad)} videos can be used "
        f"({length_of(good)}){told or (': none' if not good else '')}.",
        highlight=False,
    )
    if survey.fast:
        console.print(
            "Fast check: of each file only the first, middle and last frame were decoded. It is "
            "no verification; training checks each file itself when it first reads it.",
            highlight=False,
        )
    if len(survey.manifest.class_counts()):
        console.print(imbalance(survey.manifest), highlight=False)
    if bad:
        table = _table("cannot be used", "why")
        for result in bad:
            # Text, not markup: a file may be called [red].
            table.add_row(Text(os.path.relpath(result.path)), Text(result.reason))
        console.print(table)
        console.print(
            "Repair these files or leave them out (--data.exclude with the quarantine.jsonl of "
            "--out): training stops when more than --data.max_bad_fraction cannot be read."
        )
    leaks = [finding for finding in survey.findings if finding.crosses_splits]
    notes = [finding for finding in survey.findings if not finding.crosses_splits]
    _tell_findings(console, "shared between splits", leaks)
    if leaks:
        console.print(
            "Scores on these splits would be too good: move what belongs together into one split, "
            "or remove the copies."
        )
    _tell_findings(console, "the same recording", notes)
    if any(finding.may_be_parted for finding in notes):
        console.print(
            "The data names no split for these, and no common group: a seeded split may part them. "
            "Give copies one group, or remove them."
        )
    if any(len(finding.labels) > 1 for finding in notes):
        console.print(
            "Some of them have different labels; look at these: a label is wrong, or the match is."
        )


def _tell_findings(console: Console, title: str, findings: Sequence[Finding]) -> None:
    if not findings:
        return
    table = _table(title, "what", "where")
    for finding in findings[:SHOWN]:
        names = list(finding.videos[:4])
        if len(finding.videos) > 4:
            names.append(f"and {len(finding.videos) - 4} more")
        what = finding.kind + (f" ({finding.detail})" if finding.detail else "")
        if finding.kind != SHARED_GROUP and len(finding.labels) > 1:
            what += f"; labels {', '.join(finding.labels)}"
        table.add_row(Text("\n".join(names)), Text(what), Text(" and ".join(finding.splits)))
    console.print(table)
    if len(findings) > SHOWN:
        console.print(f"and {len(findings) - SHOWN} more; --out DIR lists them all.")


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold")
    return table
