"""``videolit predict --ckpt_path best.ckpt FILES``: names and probabilities, no YAML needed."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.fabric.utilities.exceptions import MisconfigurationException
from rich.console import Console
from rich.table import Table
from rich.text import Text

from videolit.callbacks.predictions import PredictionWriter
from videolit.commands import predict_long
from videolit.commands.quiet import quieten
from videolit.data.action import ActionDataModule
from videolit.data.index import DECODERS, Decoder
from videolit.tasks.action import ActionTask
from videolit.tasks.checkpoint import load_task
from videolit.tasks.sentiment import SentimentTask
from videolit.types import ClipSpec, InputError

# A table that fills the screen twice is no longer read; the files hold all rows.
MOST_ROWS = 40


def predict(
    checkpoint: str | Path,
    paths: str | Path | Sequence[str | Path],
    *,
    output: str | Path | None = None,
    batch_size: int = 4,
    num_workers: int | None = None,
    decoder: Decoder = "auto",
    accelerator: str = "auto",
    trust: bool = False,
    allow_outside_root: bool = False,
    progress: bool = False,
) -> list[dict[str, Any]]:
    """Predict videos with a checkpoint alone.

    Args:
        checkpoint: A ``.ckpt`` file of videolit.
        paths: Video files, folders of them, or lists (``.csv``, ``.jsonl``).
        output: Folder for ``predictions.jsonl`` and ``predictions.csv``; None = no files.
        batch_size: Videos at once.
        num_workers: Loading processes; None = the free cores, but none for a handful of files.
        decoder: See :class:`~videolit.data.reader.VideoReader`.
        accelerator: Lightning's: ``auto``, ``cpu``, ``gpu``.
        trust: Also run model code from outside videolit that the checkpoint names.
        allow_outside_root: Accept paths of a list that lie outside its folder.
        progress: Show a progress bar.

    Returns:
        One row per video, in the order given: ``path``, ``status``, and ``label``, ``probability``
        and ``probabilities`` (likeliest first) or ``error``.

    Raises:
        InputError: If the checkpoint cannot be used or there is nothing to predict.
    """
    task = load_task(checkpoint, trust=trust)
    if not isinstance(task, ActionTask):
        use = "sentiment" if isinstance(task, SentimentTask) else "summarize"
        raise InputError(
            f"{checkpoint}: a checkpoint of {type(task).__name__}, not of an action model: use it "
            f"by `videolit {use} --ckpt_path ... FILE`"
        )
    wanted = [paths] if isinstance(paths, str | Path) else list(paths)
    data = ActionDataModule(
        clip=task.clip_spec or ClipSpec(),
        predict_paths=[str(path) for path in wanted],
        batch_size=batch_size,
        num_workers=num_workers,
        decoder=decoder,
        allow_outside_root=allow_outside_root,
    )
    data.setup("predict")
    if num_workers is None and len(data.manifest("predict")) <= 2 * batch_size:
        data.num_workers = 0
    with tempfile.TemporaryDirectory() as scratch:
        writer = PredictionWriter(folder=str(output or scratch), quiet=True)
        try:
            trainer = pl.Trainer(
                accelerator=accelerator,
                devices=1,
                logger=False,
                enable_checkpointing=False,
                enable_model_summary=False,
                enable_progress_bar=progress,
                callbacks=[writer],
            )
        except (MisconfigurationException, ValueError) as problem:
            raise InputError(f"accelerator {accelerator!r}: {problem}") from problem
        trainer.predict(task, datamodule=data, return_predictions=False)
    return writer.rows


def main(argv: Sequence[str]) -> int:
    """Run the command; 0 = all predicted, 1 = some files could not be read."""
    parser = argparse.ArgumentParser(
        prog="videolit predict",
        description="Predict videos with a checkpoint: names and probabilities. No YAML needed.",
        epilog="To predict the test split of a configuration instead: "
        "videolit predict --config action/folder_r2plus1d --ckpt_path best.ckpt",
    )
    parser.add_argument(
        "--allow_outside_root",
        action="store_true",
        help="accept paths of a list that lie outside its folder",
    )
    parser.add_argument("paths", nargs="+", help="video files, folders, or lists (.csv, .jsonl)")
    parser.add_argument("--ckpt_path", required=True, help="a checkpoint that videolit wrote")
    parser.add_argument(
        "--output", "--out", default=None, help="folder for predictions.jsonl and .csv"
    )
    parser.add_argument("--top", type=int, default=3, help="classes per video in the table (3)")
    parser.add_argument("--batch_size", type=int, default=4, help="videos at once (4)")
    parser.add_argument("--num_workers", type=int, default=None, help="loading processes (auto)")
    parser.add_argument("--decoder", default="auto", choices=DECODERS)
    parser.add_argument("--accelerator", default="auto", help="auto, cpu, gpu, ... (auto)")
    parser.add_argument(
        "--trust", action="store_true", help="run model code from outside videolit, if it names any"
    )
    predict_long.add_options(parser)
    # Files may stand before, between and after the options.
    options = parser.parse_intermixed_args(argv)
    if options.top < 1:
        raise InputError(f"--top must be at least 1, got {options.top}")
    quieten()
    if options.window is not None:
        return predict_long.main(options)
    predict_long.refuse_options(options)
    rows = predict(
        options.ckpt_path,
        options.paths,
        output=options.output,
        batch_size=options.batch_size,
        num_workers=options.num_workers,
        decoder=options.decoder,
        accelerator=options.accelerator,
        trust=options.trust,
        allow_outside_root=options.allow_outside_root,
        progress=Console().is_terminal,
    )
    print_predictions(rows, top=options.top)
    if options.output is not None:
        print(f"Written to {Path(options.output) / 'predictions.jsonl'} and predictions.csv")
    return 1 if any(row["status"] == "error" for row in rows) else 0


def print_predictions(rows: Sequence[dict[str, Any]], *, top: int = 3) -> None:
    """Print rows as a table: file, likeliest class, the next ones, or the error."""
    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    table.add_column("file", no_wrap=True)
    table.add_column("prediction", no_wrap=True)
    table.add_column("")
    table.add_column("next" if top > 1 else "", overflow="fold")
    for row in rows[:MOST_ROWS]:
        # Text, not markup: a file may be called [red].
        file = Text(_tail(row["path"], max(console.width // 3, 24)))
        if row["status"] == "error":
            table.add_row(file, Text("error", "red"), "", Text(row["error"]))
            continue
        ranked = list(row["probabilities"].items())
        name, share = ranked[0]
        others = ", ".join(f"{other} {value:.2f}" for other, value in ranked[1:top])
        table.add_row(file, Text(name), f"{share:.2f}", Text(others))
    console.print(table)
    if len(rows) > MOST_ROWS:
        console.print(f"… and {len(rows) - MOST_ROWS} more; --output FOLDER keeps them all")
    bad = sum(row["status"] == "error" for row in rows)
    if bad:
        console.print(f"{bad} of {len(rows)} files could not be read.")


def _tail(path: str, width: int) -> str:
    """Shorten a path from its front, where files of one folder are alike."""
    shown = path.encode("utf-8", "replace").decode()
    return shown if len(shown) <= width else "…" + shown[1 - width :]
