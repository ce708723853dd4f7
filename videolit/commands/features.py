"""``videolit features VIDEOS --out features.h5``: features of a set, to train summaries on."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from rich.console import Console
from rich.table import Table
from rich.text import Text

from videolit.commands.feature_set import RawLayout, Written, write_features
from videolit.commands.progress import video_progress
from videolit.commands.quiet import quieten
from videolit.types import InputError

if TYPE_CHECKING:
    from videolit.commands.feature_source import FeatureSource

DESCRIPTION = """\
Describe every half second of a set of videos by numbers, and store these with the shots and what
people said about the videos, so that models of video summary train on them in minutes:

  videolit features my_videos --out features.h5
  videolit fit --config summary/features_transformer --data.root features.h5

VIDEOS is a folder with scores.json or scores.csv, TVSum or SumMe as their authors distribute them,
or any folder or list (.csv, .jsonl) of videos, to train without labels. The file is HDF5 in the
schema of eccv16_dataset_*.h5. An interrupted run goes on where it stopped; a later run adds what is
new. Videos that cannot be read are listed and left out (exit code 1).
"""
EXAMPLES = """\
examples
  videolit features my_videos --out plain.h5
  videolit features tvsum --out resnet.h5 --encoder TorchvisionFrameEncoder \\
      --encoder_args '{"name": "resnet50", "weights": "DEFAULT"}'
  videolit features my_videos --out actions.h5 --ckpt_path action.ckpt
"""


def main(argv: Sequence[str]) -> int:
    """Run the command; 0 = all videos are there, 1 = some cannot be read."""
    options = _parser().parse_args(argv)
    quieten()
    source = _source(options)
    begin = time.perf_counter()
    with video_progress() as progress:
        bar = progress.add_task("checking the videos", total=None)

        def show(done: float, total: int, name: str) -> None:
            text = name.encode("utf-8", "replace").decode()
            place = f"{min(int(done) + 1, total)} of {total}"
            progress.update(bar, total=total, completed=done, description=f"{text} ({place})")

        written = write_features(
            options.root,
            options.out,
            source,
            layout=options.layout,
            allow_unlabelled=options.allow_unlabelled,
            progressed=show,
        )
    _print(Console(), options.out, source, written, time.perf_counter() - begin)
    return int(bool(written.unread))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="videolit features",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("root", metavar="VIDEOS", help="a folder, or a list (.csv, .jsonl)")
    parser.add_argument("--out", required=True, metavar="FILE", help="the file, as features.h5")
    parser.add_argument(
        "--encoder",
        metavar="CLASS",
        help="of videolit.encoders, as TorchvisionFrameEncoder (colour, layout and edges: no "
        "weights are needed)",
    )
    parser.add_argument("--encoder_args", metavar="JSON", help="its arguments, a JSON object")
    parser.add_argument(
        "--ckpt_path", metavar="FILE", help="take the encoder of a checkpoint, as of an ActionTask"
    )
    parser.add_argument("--fps", type=float, default=2.0, help="steps per second (2)")
    parser.add_argument("--size", type=int, help="side of the pictures (224, or the checkpoint's)")
    parser.add_argument(
        *("--no-signals", "--no_signals"),
        action="store_true",
        help="without the two columns of motion and loudness",
    )
    parser.add_argument(
        "--layout", choices=get_args(RawLayout), help="how annotations lie there (what there is)"
    )
    parser.add_argument(
        *("--allow_unlabelled", "--allow-unlabelled"),
        action="store_true",
        help="take videos of which scores.json or scores.csv says nothing",
    )
    parser.add_argument("--accelerator", default="auto", help="auto, cpu, gpu, ... (auto)")
    parser.add_argument(
        "--trust", action="store_true", help="run model code from outside videolit, if it names any"
    )
    return parser


def _source(options: argparse.Namespace) -> FeatureSource:
    if options.encoder_args is not None and options.encoder is None:
        raise InputError("--encoder_args needs the encoder's name: --encoder CLASS")
    # Here: help and mistakes in the options must not wait for torch.
    from videolit.commands.feature_source import source_of
    from videolit.commands.summarize import load_model, settings_from_json
    from videolit.encoders import IdentityEncoder

    source = source_of(
        options.encoder,
        settings_from_json(options.encoder_args or "{}"),
        checkpoint=options.ckpt_path,
        fps=options.fps,
        size=options.size,
        signals=not options.no_signals,
        trust=options.trust,
    )
    if isinstance(source.encoder, IdentityEncoder):
        raise InputError(
            f"{options.ckpt_path} was trained on stored features and has no encoder of pictures: "
            "name the checkpoint or the encoder that its features came from"
        )
    # The training-free model puts the encoder on its device.
    return load_model(None, source, accelerator=options.accelerator).source


def _print(
    console: Console, out: str, source: FeatureSource, written: Written, seconds: float
) -> None:
    total = written.new + written.before
    size = f", {written.num_features} numbers for each step" if written.num_features else ""
    console.print(
        Text(
            f"{total} of {total + len(written.unread)} videos are in {out} ({written.new} of them "
            f"now, in {seconds:.0f} s): {source.fps:g} steps per second{size}."
        )
    )
    if written.unread:
        table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
        table.add_column("cannot be read", overflow="fold")
        table.add_column("why", overflow="fold")
        for name, reason in written.unread.items():
            # Text, not markup: a file may be called [red].
            table.add_row(*(Text(t.encode("utf-8", "replace").decode()) for t in (name, reason)))
        console.print(table)
    if total:
        # Without scores nothing can be learnt from people, and no epoch be chosen by them.
        config = "features_transformer" if written.labelled else "features_dsn"
        console.print(
            Text(
                f"Next: videolit fit --config summary/{config} --data.root {out}"
                + (
                    f" --model.encoder.init_args.num_features {written.num_features}"
                    if written.num_features
                    else ""
                )
            ),
            soft_wrap=True,
        )
