"""``videolit sentiment FILE``: the command around :func:`videolit.find_sentiment`."""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from videolit.commands.progress import video_progress
from videolit.commands.quiet import quieten
from videolit.commands.sentiment_terminal import print_sentiment, print_sentiments
from videolit.data.transcripts import SUFFIXES
from videolit.types import MODALITIES, InputError, VideoError

DESCRIPTION = """\
Tell sentiment or emotion over a video, a sound file or a transcript, window by window, with what a
trained model knows of picture, sound and words. Whatever is missing is left out, with its reason.

One file's answers go into FOLDER, those of several into FOLDER/<name of the file>/:
  sentiment.json  each window: its times, answers, what each modality says alone and how much it
                  counts (equally, where the fusion learns no weights), or why it is missing
  sentiment.csv   the same as a table
  sentiment.png   labels, numbers and weights over time
  sentiment.vtt   subtitles with the label, for any player
"""
HELP_OUT = (
    "(several: sentiments; one: sentiment_<name>, with the suffix, or a number, where that has "
    "the answers of another file)"
)
EXAMPLES = """\
examples
  videolit sentiment interview.mp4 --ckpt_path best.ckpt --text interview.srt
  videolit sentiment call.wav --ckpt_path best.ckpt --window 3 --hop 1 --out out
  videolit sentiment interview.srt --ckpt_path best.ckpt
  videolit sentiment my_videos --ckpt_path best.ckpt --text my_transcripts --out out
"""


def main(argv: Sequence[str]) -> int:
    """Run the command; 0 = all done, 1 = some files could not be used."""
    # Files may stand before, between and after the options.
    options = _parser().parse_intermixed_args(argv)
    quieten()
    sources = _sources(options.paths, options.text)
    alone = len(sources) == 1 and not any(Path(path).is_dir() for path in options.paths)
    out = Path(options.out or "sentiments") if options.out or not alone else None
    # Here: help and mistakes in the options must not wait for torch.
    from videolit.commands.sentiment import find_sentiment, load_sentiment
    from videolit.commands.sentiment_files import check_folder

    if out is not None:
        check_folder(out)
    model = load_sentiment(options.ckpt_path, accelerator=options.accelerator, trust=options.trust)
    rows: list[tuple[Path, Path, dict[str, Any] | str]] = []
    with video_progress() as progress:
        bar = progress.add_task("", total=None)
        stage = ""
        for number, (path, text) in enumerate(sources, 1):
            named = Path(cast("str", path or text))
            place = f" ({number} of {len(sources)})" if len(sources) > 1 else ""
            shown = named.name.encode("utf-8", "replace").decode() + place

            def show(now: str, share: float | None, shown: str = shown) -> None:
                nonlocal stage
                if f"{now}: {shown}" != stage:
                    # The time that is left is that of the stage.
                    stage = f"{now}: {shown}"
                    progress.reset(bar, total=None if share is None else 1.0, description=stage)
                if share is not None:
                    progress.update(bar, completed=share)

            if out is None:
                folder = _folder_of(named, "sentiment_")
            else:
                folder = out if alone else out / _folder_of(named, "", out)
            try:
                found: dict[str, Any] | str = find_sentiment(
                    model,
                    path,
                    text=text,
                    window=options.window,
                    hop=options.hop,
                    out=folder,
                    modalities=options.modalities,
                    batch_size=options.batch_size,
                    progressed=show,
                )
            except InputError as problem:
                if alone:
                    raise
                found = problem.reason if isinstance(problem, VideoError) else str(problem)
            rows.append((named, folder, found))
    problems = {found for _, _, found in rows if isinstance(found, str)}
    if len(problems) == 1 and all(isinstance(found, str) for _, _, found in rows):
        # One mistake in the options, and no table of it.
        raise InputError(problems.pop())
    console = Console()
    if alone:
        print_sentiment(console, cast("dict[str, Any]", rows[0][2]), rows[0][1])
    else:
        print_sentiments(console, rows, cast("Path", out))
    return int(any(isinstance(found, str) for _, _, found in rows))


def _sources(paths: Sequence[str], text: str | None) -> list[tuple[str | None, str | None]]:
    """Return the video or sound file and the transcript of each recording, either None.

    Raises:
        InputError: If there is nothing to look at, or a transcript belongs to no one file.
    """
    from videolit.data.layouts.affect_common import media_below

    files: list[str] = []
    for path in paths:
        below = [str(each) for each in media_below(Path(path))] if Path(path).is_dir() else [path]
        if not below:
            raise InputError(f"{path}: the folder has no video and no sound file")
        files += below
    files = list(dict.fromkeys(files))
    if not files:
        if text is None or Path(text).is_dir():
            raise InputError("nothing to look at: give a video, a sound file or a transcript")
        return [(None, text)]
    if text is not None and not Path(text).is_dir() and len(files) > 1:
        raise InputError(
            f"{text} is the transcript of one file, and there are {len(files)}: give --text a "
            "folder with a transcript for each, of the same name"
        )
    found: list[tuple[str | None, str | None]] = []
    for file in files:
        if Path(file).suffix.lower() in SUFFIXES:
            if text is not None:
                raise InputError(f"two transcripts, {file} and {text}: give a video or sound file")
            found.append((None, file))
        else:
            found.append((file, _transcript_of(Path(file), text)))
    return found


def _transcript_of(file: Path, text: str | None) -> str | None:
    """Return a file's transcript: the one that is given, or that of its name in a folder."""
    if text is None or not Path(text).is_dir():
        return text
    beside = (Path(text) / f"{file.stem}{suffix}" for suffix in SUFFIXES)
    return next((str(path) for path in beside if path.is_file()), None)


def _folder_of(path: Path, prefix: str, parent: Path = Path()) -> Path:
    """Return the name of the folder of a file's answers: one that is not of another file."""
    whole = f"{prefix}{path.name}"
    numbered = (f"{whole}_{number}" for number in itertools.count(2))
    for name in itertools.chain([f"{prefix}{path.stem}", whole], numbered):
        if _source_of(parent / name) in (None, str(path.absolute())):
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
    parser.add_argument(
        "paths", nargs="*", help="videos, sound files, transcripts, or folders of videos and sound"
    )
    parser.add_argument(
        "--ckpt_path", required=True, metavar="FILE", help="a checkpoint of SentimentTask"
    )
    parser.add_argument(
        "--text",
        metavar="FILE",
        help=f"what is said: {', '.join(SUFFIXES)}, best with times; for several files a folder of "
        "transcripts with their names",
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
