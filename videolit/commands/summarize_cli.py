"""``videolit summarize FILES``: the command around :func:`videolit.summarize`."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from rich.console import Console

from videolit.commands.progress import video_progress
from videolit.commands.quiet import quieten
from videolit.commands.shots import MAX_SHOT, MIN_SHOT, Shots
from videolit.commands.summary_settings import Settings
from videolit.commands.summary_terminal import print_summaries, print_summary
from videolit.data.listing import list_videos
from videolit.ops.budget import Rank
from videolit.types import InputError, VideoError

if TYPE_CHECKING:
    from videolit.commands.summarize import Model

DESCRIPTION = """\
Make a short video of a long one, with sound. Moments are scored, shots are found, and the best
shots that fit are kept. Without a checkpoint nothing needs to be trained: what stands for much of
the rest of the video scores high.

One video's files go into FOLDER, several videos' into FOLDER/<name of the video>/:
  summary.mp4     what is kept, H.264 and AAC, to watch in any player or browser
  storyboard.jpg  a picture of each part, and keyframes/ in full size
  scores.png      scores over time, shots, what is kept
  summary.json    every shot with its times, score and rank; settings and model
  chapters.vtt, summary.edl, concat.txt    for players, editing programs and ffmpeg
"""
EXAMPLES = """\
times are seconds, m:ss or h:mm:ss, as 90, 1:30 or 1:02:03.5

examples
  videolit summarize talk.mp4 --seconds 1:00 --keep 0-5 --drop 58:00-1:02:30
  videolit summarize talk.mp4 --ckpt_path best.ckpt --out out
  videolit summarize my_videos --ratio 0.1 --shots adaptive --out out
"""
_STAGES = {"looking": "looking at", "writing": "writing", "pictures": "pictures of"}


def main(argv: Sequence[str]) -> int:
    """Run the command; 0 = all done, 1 = some videos could not be summarized."""
    # Files may stand before, between and after the options.
    options = _parser().parse_intermixed_args(argv)
    quieten()
    settings = Settings(
        ratio=options.ratio,
        seconds=options.seconds,
        shots=options.shots,
        min_shot=options.min_shot,
        max_shot=options.max_shot,
        rank=options.rank,
        diversity=options.diversity,
        keep=tuple(options.keep),
        drop=tuple(options.drop),
    )
    settings.check()
    _refuse(options)
    paths = whole_videos(options.paths, allow_outside_root=options.allow_outside_root)
    alone = len(paths) == 1 and not Path(options.paths[0]).is_dir()
    out = Path(options.out or (f"summary_{Path(paths[0]).stem}" if alone else "summaries"))
    if out.exists() and not out.is_dir():
        raise InputError(f"summaries go into a folder, but {out} is a file: give another --out")
    # Here: help and mistakes in the options must not wait for torch.
    from videolit.commands.summarize import summarize

    model = _model(options)
    rows: list[tuple[str, Path, dict[str, Any] | str]] = []
    taken: set[str] = set()
    with video_progress() as progress:
        bar = progress.add_task("")
        stage = ""
        for number, path in enumerate(paths, 1):
            name = Path(path).name.encode("utf-8", "replace").decode()
            place = f" ({number} of {len(paths)})" if len(paths) > 1 else ""

            def show(now: str, share: float, name: str = name + place) -> None:
                nonlocal stage
                text = f"{_STAGES.get(now, now)} {name}"
                if text != stage:
                    # The time that is left is that of the stage.
                    progress.reset(bar, total=1.0, description=text)
                    stage = text
                progress.update(bar, completed=share)

            folder = out if alone else _claim(out, path, taken)
            try:
                found: dict[str, Any] | str = summarize(
                    path,
                    folder,
                    settings=settings,
                    model=model,
                    video=not options.no_video,
                    progressed=show,
                )
            except InputError as problem:
                if alone:
                    raise
                found = problem.reason if isinstance(problem, VideoError) else str(problem)
            rows.append((path, folder, found))
    console = Console()
    if alone:
        found = rows[0][2]
        assert not isinstance(found, str)
        print_summary(console, found, out)
    else:
        print_summaries(console, rows, out)
    return int(any(isinstance(found, str) for _, _, found in rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="videolit summarize",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="+", help="videos, folders, or lists (.csv, .jsonl)")
    parser.add_argument("--out", metavar="FOLDER", help="(summary_<name>; several: summaries)")
    parser.add_argument("--no-video", action="store_true", help="everything but summary.mp4")
    length = parser.add_argument_group("length").add_mutually_exclusive_group()
    length.add_argument("--ratio", type=float, metavar="R", help="share of the video (0.15)")
    length.add_argument("--seconds", type=seconds, metavar="T", help="in place of a share")
    choice = parser.add_argument_group("what is kept")
    choice.add_argument(
        "--keep",
        type=time_range,
        action="append",
        default=[],
        metavar="T-T",
        help="must be in the summary, as 1:20-1:25.5; may be repeated",
    )
    choice.add_argument(
        "--drop",
        type=time_range,
        action="append",
        default=[],
        metavar="T-T",
        help="must not; may be repeated",
    )
    choice.add_argument(
        "--diversity",
        type=float,
        metavar="X",
        help="0 to 1: how much a shot loses when one like it is kept (0.5; a checkpoint: 0)",
    )
    choice.add_argument(
        "--rank",
        default="knapsack",
        choices=get_args(Rank),
        help="the largest sum of scores that fits, or the highest score first (knapsack)",
    )
    shots = parser.add_argument_group("shots")
    shots.add_argument(
        "--shots",
        default="kts",
        choices=get_args(Shots),
        help="where the features change, cuts of two kinds, or equal lengths (kts)",
    )
    shots.add_argument(
        *("--min-shot", "--min_shot"),
        type=seconds,
        default=MIN_SHOT,
        metavar="T",
        help=f"shortest ({MIN_SHOT:g} s)",
    )
    shots.add_argument(
        *("--max-shot", "--max_shot"),
        type=seconds,
        default=MAX_SHOT,
        metavar="T",
        help=f"longest ({MAX_SHOT:g} s)",
    )
    model = parser.add_argument_group("model")
    model.add_argument("--ckpt_path", metavar="FILE", help="a checkpoint of SummaryTask")
    model.add_argument(
        "--encoder",
        metavar="CLASS",
        help="of videolit.encoders: what training-free scores look at, as TorchvisionFrameEncoder",
    )
    model.add_argument("--encoder_args", metavar="JSON", help="its arguments, a JSON object")
    model.add_argument(
        "--fps", type=float, metavar="N", help="moments per second, without a checkpoint (2)"
    )
    model.add_argument("--accelerator", default="auto", help="auto, cpu, gpu, ... (auto)")
    model.add_argument(
        "--trust", action="store_true", help="run model code from outside videolit, if it names any"
    )
    parser.add_argument(
        "--allow_outside_root",
        action="store_true",
        help="accept paths of a list that lie outside its folder",
    )
    return parser


def _refuse(options: argparse.Namespace) -> None:
    """Refuse options that contradict each other.

    Raises:
        InputError: Names them.
    """
    if options.ckpt_path is not None:
        for name in ("encoder", "encoder_args", "fps"):
            if getattr(options, name) is not None:
                raise InputError(
                    f"--{name} is for training-free scores, and a checkpoint has its own: leave "
                    f"--{name} out, or --ckpt_path"
                )
    if options.encoder_args is not None and options.encoder is None:
        raise InputError("--encoder_args needs the encoder's name: --encoder CLASS")


def _model(options: argparse.Namespace) -> Model:
    from videolit.commands.feature_source import source_of
    from videolit.commands.summarize import load_model, settings_from_json

    source = None
    if options.ckpt_path is None:
        source = source_of(
            options.encoder,
            settings_from_json(options.encoder_args or "{}"),
            fps=2.0 if options.fps is None else options.fps,
            trust=options.trust,
        )
    return load_model(
        options.ckpt_path, source, accelerator=options.accelerator, trust=options.trust
    )


def whole_videos(paths: Sequence[str], *, allow_outside_root: bool = False) -> list[str]:
    """Return the videos that are named, each once; see :func:`~videolit.data.listing.list_videos`.

    Raises:
        InputError: If there are none, or a list names parts of videos.
    """
    manifest = list_videos(paths, allow_outside_root=allow_outside_root)
    parts = np.flatnonzero(~np.isnan(manifest.end) | (manifest.start > 0))
    if len(parts):
        raise InputError(
            f"{manifest.video_id(int(parts[0]))}: the list names a part of it, and only whole "
            "videos are looked at: leave the columns start and end out"
        )
    return [manifest.path(row) for row in range(len(manifest))]


def _claim(out: Path, path: str, taken: set[str]) -> Path:
    """Return the folder of a video: its name, with a number where another video has that."""
    stem, number = Path(path).stem, 1
    while True:
        name = stem if number == 1 else f"{stem}-{number}"
        # Some file systems take A and a for one.
        if name.casefold() not in taken and _is_free(out / name, path):
            taken.add(name.casefold())
            return out / name
        number += 1


def _is_free(folder: Path, path: str) -> bool:
    """Tell whether no summary lies there, or one of the same video."""
    if folder.exists() and not folder.is_dir():
        return False
    try:
        known = json.loads((folder / "summary.json").read_bytes())
        return bool(known["source"]["path"] == str(Path(path).absolute()))
    except FileNotFoundError:
        return True
    except (OSError, ValueError, KeyError, TypeError):
        return False


def seconds(text: str) -> float:
    """Read a time as 90, 1:30 or 1:02:03.5; an argparse type.

    Raises:
        argparse.ArgumentTypeError: If it is none.
    """
    found = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?)", text.strip())
    hours, minutes, rest = (float(part or 0) for part in found.groups()) if found else (0, 0, -1)
    if rest < 0 or (":" in text and rest >= 60) or (hours and minutes >= 60):
        raise argparse.ArgumentTypeError(
            f"expected a time as 90, 1:30 or 1:02:03.5, found {text!r}"
        )
    return 3600 * hours + 60 * minutes + rest


def time_range(text: str) -> tuple[float, float]:
    """Read a start and a later end, as 1:20-1:25.5; an argparse type.

    Raises:
        argparse.ArgumentTypeError: If it is none.
    """
    start, dash, end = text.replace("\u2013", "-").partition("-")
    if not dash:
        raise argparse.ArgumentTypeError(
            f"expected a start and an end as 1:20-1:25.5, found {text!r}"
        )
    first, last = seconds(start), seconds(end)
    if not first < last:
        raise argparse.ArgumentTypeError(f"expected an end after the start, found {text!r}")
    return first, last
