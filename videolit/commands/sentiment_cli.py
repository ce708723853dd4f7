"""``videolit sentiment FILE``: the command around :func:`videolit.find_sentiment`."""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from videolit.commands.progress import video_progress
from videolit.commands.quiet import quieten
from videolit.commands.sentiment_terminal import print_sentiment
from videolit.data.transcripts import SUFFIXES
from videolit.types import MODALITIES, InputError

DESCRIPTION = """\
Tell sentiment or emotion over a video, a sound file or a transcript, window by window, with what a
trained model knows of picture, sound and words. Whatever is missing is left out, with its reason.

Into FOLDER go:
  sentiment.json  each window: its times, answers, what each modality says alone and how much it
                  counts (equally, where the fusion learns no weights), or why it is missing
  sentiment.csv   the same as a table
  sentiment.png   labels, numbers and weights over time
  sentiment.vtt   subtitles with the label, for any player
"""
HELP_OUT = (
    "(sentiment_<name>; with the suffix, or a number, where that has the answers of another file)"
)
EXAMPLES = """\
examples
  videolit sentiment interview.mp4 --ckpt_path best.ckpt --text interview.srt
  videolit sentiment call.wav --ckpt_path best.ckpt --window 3 --hop 1 --out out
  videolit sentiment interview.srt --ckpt_path best.ckpt
"""


def main(argv: Sequence[str]) -> int:
    """Run the command; 0 = done."""
    # The file may stand before, between and after the options.
    options = _parser().parse_intermixed_args(argv)
    quieten()
    path, text = options.path, options.text
    if path is not None and Path(path).suffix.lower() in SUFFIXES:
        if text is not None:
            raise InputError(f"two transcripts, {path} and {text}: give a video or sound file")
        path, text = None, path
    if path is None and text is None:
        raise InputError("nothing to look at: give a video, a sound file or a transcript")
    name = Path(path or text)
    out = Path(options.out) if options.out else _default_folder(name)
    # Here: help and mistakes in the options must not wait for torch.
    from videolit.commands.sentiment import find_sentiment

    with video_progress() as progress:
        bar = progress.add_task("", total=None)
        shown = name.name.encode("utf-8", "replace").decode()
        stage = ""

        def show(now: str, share: float | None) -> None:
            nonlocal stage
            if now != stage:
                # The time that is left is that of the stage.
                total = None if share is None else 1.0
                progress.reset(bar, total=total, description=f"{now}: {shown}")
                stage = now
            if share is not None:
                progress.update(bar, completed=share)

        record = find_sentiment(
            options.ckpt_path,
            path,
            text=text,
            window=options.window,
            hop=options.hop,
            out=out,
            modalities=options.modalities,
            batch_size=options.batch_size,
            accelerator=options.accelerator,
            trust=options.trust,
            progressed=show,
        )
    print_sentiment(Console(), record, out)
    return 0


def _default_folder(path: Path) -> Path:
    """Return the folder of a file's answers: one that is not of another file."""
    whole = f"sentiment_{path.name}"
    numbered = (f"{whole}_{number}" for number in itertools.count(2))
    for name in itertools.chain([f"sentiment_{path.stem}", whole], numbered):
        if _source_of(Path(name)) in (None, str(path.absolute())):
            return Path(name)
    raise AssertionError("numbers do not end")


def _source_of(folder: Path) -> str | None:
    """Return which file a folder's answers are of; None = it has none that can be read."""
    try:
        source = json.loads((folder / "sentiment.json").read_bytes())["source"]
        return str(source["path"] or source["transcript"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="videolit sentiment",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", nargs="?", help="a video, a sound file, or a transcript")
    parser.add_argument(
        "--ckpt_path", required=True, metavar="FILE", help="a checkpoint of SentimentTask"
    )
    parser.add_argument(
        "--text", metavar="FILE", help=f"what is said: {', '.join(SUFFIXES)}, best with times"
    )
    parser.add_argument(
        "--window",
        type=float,
        default=4.0,
        metavar="S",
        help="seconds of a window, about as long as the training's utterances (4)",
    )
    parser.add_argument(
        "--hop", type=float, metavar="S", help="seconds from one window to the next (half a window)"
    )
    parser.add_argument("--out", "--output", metavar="FOLDER", help=HELP_OUT)
    parser.add_argument(
        "--modalities",
        type=_modalities,
        metavar="LIST",
        help="which to use, as video,sound (all that model and file have)",
    )
    parser.add_argument(
        "--batch_size", type=int, default=8, metavar="N", help="windows at once (8)"
    )
    parser.add_argument("--accelerator", default="auto", help="auto, cpu, gpu, ... (auto)")
    parser.add_argument(
        "--trust", action="store_true", help="run model code from outside videolit, if it names any"
    )
    return parser


def _modalities(text: str) -> list[str]:
    """Read names with commas between; an argparse type."""
    names = [name for name in text.replace(" ", "").split(",") if name]
    strange = [name for name in names if name not in MODALITIES]
    if strange or not names:
        raise argparse.ArgumentTypeError(
            f"expected some of {', '.join(MODALITIES)}, with commas between, found {text!r}"
        )
    return names
