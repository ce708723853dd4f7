"""``videolit prepare DATA --out DIR``: store videos so that training reads any frame at once."""

from __future__ import annotations

import argparse
import collections
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from videolit.data.layouts import LAYOUTS
from videolit.data.ledger import read_ledger
from videolit.data.listing import read_manifest
from videolit.data.manifest import Manifest
from videolit.data.prepare import Outcome, check_prepared, prepare, renew
from videolit.data.prepared import PreparedSpec, prepared_spec
from videolit.data.shards import read_index
from videolit.ops.cores import usable_cores
from videolit.types import InputError

DESCRIPTION = """\
Store each video of a data set as small JPEG frames, so that training reads any frame at once
instead of decoding all before it. The prepared set takes the place of the data:

  videolit prepare my_videos --out prepared
  videolit fit --config action/folder_r2plus1d --data.root prepared

Samples, labels, groups, splits and frames stay the same; only pixels differ, by compression. An
interrupted run goes on where it stopped; a later run prepares what is new or changed. Videos that
cannot be read are listed and left out (exit code 1).

On clusters, a few large files are kinder to the file system than many small ones, and can lie in an
object store:

  videolit prepare my_videos --out shards --shards 1GB
  aws s3 sync shards s3://bucket/shards
  videolit fit --config action/folder_r2plus1d --data.root s3://bucket/shards
"""


def main(argv: Sequence[str]) -> int:
    """Run the command; 0 = all videos are prepared, 1 = some cannot be."""
    parser = argparse.ArgumentParser(
        prog="videolit prepare",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", help="folder of class folders, or a list (.csv, .jsonl)")
    parser.add_argument("--out", help="folder of the prepared set")
    parser.add_argument(
        "--short-side",
        type=int,
        default=PreparedSpec.short_side,
        help="of the frames in pixels, at least the `resize` of the clips to be trained on; "
        "smaller videos keep their size (128)",
    )
    parser.add_argument(
        "--quality", type=int, default=PreparedSpec.quality, help="of JPEG, 1 to 100 (90)"
    )
    parser.add_argument(
        "--fps", type=float, default=None, help="most frames per second to keep (all)"
    )
    parser.add_argument(
        "--shards",
        nargs="?",
        const="1GB",
        default=None,
        metavar="SIZE",
        help="store the videos in tar files of about this size, in WebDataset's layout, for "
        "clusters and object stores (1GB)",
    )
    parser.add_argument(
        "--layout", default=None, help=f"DATA is a published set: {', '.join(LAYOUTS)}"
    )
    parser.add_argument("--fold", type=int, default=1, help="which of its official splits (1)")
    parser.add_argument("--workers", type=int, default=usable_cores(), help="processes (all cores)")
    parser.add_argument(
        "--allow_outside_root",
        action="store_true",
        help="accept paths of a list that lie outside its folder",
    )
    parser.add_argument(
        "--check", action="store_true", help="verify the prepared set DATA instead; needs no --out"
    )
    options = parser.parse_args(argv)
    if options.workers < 1:
        raise InputError(f"--workers must be at least 1, got {options.workers}")
    console = Console()
    if options.check:
        return _check(console, options.data)
    if options.out is None:
        raise InputError("--out DIR is missing: the folder of the prepared set")
    spec = PreparedSpec(short_side=options.short_side, quality=options.quality, fps=options.fps)
    _refuse_inside(options.data, options.out)
    manifest = read_manifest(
        options.data,
        allow_outside_root=options.allow_outside_root,
        layout=options.layout,
        fold=options.fold,
    )
    begin = time.perf_counter()
    outcomes = []
    with _progress(console) as progress:
        count = len({manifest.video_id(row) for row in range(len(manifest))})
        bar = progress.add_task("preparing", total=count)
        packing = progress.add_task("packing", total=None, visible=False)
        for outcome in prepare(
            manifest,
            options.out,
            spec,
            workers=options.workers,
            shard_bytes=None if options.shards is None else _size(options.shards),
            on_shard=lambda done, total: progress.update(
                packing, completed=done, total=total, visible=True
            ),
        ):
            outcomes.append(outcome)
            progress.advance(bar)
    _summary(console, manifest, outcomes, options.out, spec, time.perf_counter() - begin)
    return int(any("error" in outcome.entry for outcome in outcomes))


def _refuse_inside(data: str, out: str) -> None:
    """Refuse an output folder that the next reading of the data would take for a class."""
    source, target = Path(data).resolve(), Path(out).resolve()
    if source.is_dir() and (target == source or source in target.parents):
        raise InputError(
            f"--out {out} lies inside the data {data}: its videos would be taken for a part of the "
            "data; give a folder beside it"
        )


def _summary(
    console: Console,
    manifest: Manifest,
    outcomes: Sequence[Outcome],
    out: str,
    spec: PreparedSpec,
    seconds: float,
) -> None:
    good = [outcome for outcome in outcomes if "error" not in outcome.entry]
    bad = {o.video_id: o.entry["error"] for o in outcomes if "error" in o.entry}
    new = sum(not outcome.skipped for outcome in good)
    length = sum(outcome.entry["seconds"] for outcome in good)
    before = sum(outcome.entry["source"][0] for outcome in good)
    after = sum(outcome.entry["bytes"] for outcome in good)
    console.print(
        f"{len(good)} of {len(outcomes)} videos are prepared in {out}{os.sep} ({new} of them now, "
        f"in {_duration(seconds)}): {_duration(length)} of video, {_bytes(before)} before, "
        f"{_bytes(after)} now{_in_shards(out)}; {spec.describe()}.",
        highlight=False,
    )
    sounds = collections.Counter(_kind(outcome.entry) for outcome in good)
    told = ", ".join(f"{count} {kind}" for kind, count in sounds.items() if kind != "no sound")
    if told:
        console.print(f"Sound: {told}.", highlight=False)
    _table(
        console,
        "sound was lost",
        {o.video_id: o.entry["audio"] for o in good if o.entry["audio"].startswith("lost")},
    )
    if bad:
        _table(console, "cannot be prepared", bad)
        left = {
            manifest.label_name(r) for r in range(len(manifest)) if manifest.video_id(r) not in bad
        }
        gone = sorted(set(manifest.class_names) - left)
        if gone:
            console.print(
                f"No video is left of the class{'es' * (len(gone) > 1)} {', '.join(gone)}: the "
                "prepared set does not have it.",
                highlight=False,
            )
    console.print(
        f"Next: videolit fit --config action/folder_r2plus1d --data.root {out}",
        highlight=False,
        soft_wrap=True,
    )


def _in_shards(out: str) -> str:
    places = read_index(out)
    if places is None:
        return ""
    count = len({place.shard for place in places.values()})
    return f" in {count} tar file{'s' * (count > 1)}"


def _check(console: Console, root: str) -> int:
    spec = prepared_spec(root)
    bad, good = {}, 0
    with _progress(console) as progress:
        bar = progress.add_task("checking", total=len(read_ledger(Path(root))))
        for name, problem in check_prepared(root):
            progress.advance(bar)
            if problem:
                bad[name] = problem
            else:
                good += 1
    assert spec is not None
    console.print(f"{good} of {good + len(bad)} videos are as they were written.", highlight=False)
    if bad:
        _table(console, "damaged", bad)
        renew(root, bad)
        console.print("The next videolit prepare with the same data and --out renews them.")
    return int(bool(bad))


def _size(text: str) -> int:
    """Read a number of bytes, as 500MB or 1GB."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip().upper())
    size = float(found[1]) * 1000 ** " KMGT".index(found[2] or " ") if found else 0.0
    if size < 1:
        raise InputError(f"--shards must be a size such as 500MB or 1GB, got {text!r}")
    return int(size)


class _Rate(ProgressColumn):
    """Videos per second."""

    def render(self, task: Task) -> Text:
        """Return the rate as text."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} videos/s")


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def _table(console: Console, title: str, rows: dict[str, str]) -> None:
    if not rows:
        return
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column(title, overflow="fold")
    table.add_column("why", overflow="fold")
    for name, reason in rows.items():
        # Text, not markup: a file may be called [red].
        table.add_row(Text(name), Text(reason))
    console.print(table)


def _kind(entry: dict[str, Any]) -> str:
    sound = entry["audio"].partition(":")[0]
    return str({"": "no sound", "alac": "recoded without loss (ALAC)"}.get(sound, sound))


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.1f} min"


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
