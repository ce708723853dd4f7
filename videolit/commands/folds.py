"""``videolit folds``: an honest cross-validation of a summary model, over seeds."""

from __future__ import annotations

import argparse
import contextlib
import gc
import hashlib
import json
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint
from rich.console import Console

from videolit.callbacks import OracleEpoch, SummaryCard
from videolit.callbacks.context import callbacks_of
from videolit.cli import resolve_configs
from videolit.commands.folds_table import fold_figures, results_table, write_folds
from videolit.commands.trainer import VideolitCLI, start
from videolit.data.summary import SummaryDataModule
from videolit.ops.files import atomic_path
from videolit.tasks.summary import SummaryTask
from videolit.types import InputError

DESCRIPTION = """\
Train a summary model on every fold with several seeds, choose the epoch of each by its validation
videos, and test it on the fold that it has not seen. Options of videolit fit may follow.

  videolit folds --config summary/tvsum_transformer --data.root eccv16_dataset_tvsum_google_pool5.h5
  videolit folds --config summary/tvsum_mlp --data.root tvsum.h5 --data.split_file splits.json

Prints mean and standard deviation over seeds beside random scores and people, and writes folds.json
(all of it) and folds.csv (a row for each training). Trainings that are done are kept in the folder:
the same command goes on where it stopped, also with more --seeds.

Most published numbers are those of the epoch with the best result on the test videos. --oracle adds
what such a choice would report, to compare; nothing is chosen by it.
"""
# What this command sets itself.
_TAKEN = {
    "--ckpt_path": "every training starts anew",
    "--data.fold": "all folds are trained",
    "--data.init_args.fold": "all folds are trained",
    "--seed_everything": "--seeds says how many seeds",
    "--trainer.default_root_dir": "--out names the folder",
    "--audit": "it belongs to videolit test",
    "--sanity": "it belongs to videolit fit",
}


class PlanCLI(VideolitCLI):
    """The command line of fit, up to the point where it would run."""

    def _run_subcommand(self, subcommand: str) -> None:
        """Leave running to the folds."""


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="videolit folds",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--config", action="append", required=True, help="as of videolit fit")
    parser.add_argument(
        "--folds", type=int, help="number of folds; a split file has its own (the configuration's)"
    )
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each fold (5)")
    parser.add_argument("--out", help="folder of all trainings (folds/<configuration>)")
    parser.add_argument(
        "--oracle", action="store_true", help="also the best test epoch, to compare with papers"
    )
    options, rest = parser.parse_known_args(list(argv))
    for argument in rest:
        name = argument.partition("=")[0]
        if name in _TAKEN:
            raise InputError(f"{name} cannot be given to folds: {_TAKEN[name]}")
    if options.seeds < 1:
        raise InputError(f"--seeds must be at least 1, got {options.seeds}")
    configs = resolve_configs([part for name in options.config for part in ("--config", name)])
    arguments = [*configs, *rest]
    if options.folds is not None:
        arguments += ["--data.num_folds", str(options.folds)]
    out = Path(options.out or Path("folds", Path(options.config[0]).stem))
    divisions = plan(arguments)
    if options.folds not in (None, divisions):
        raise InputError(
            f"--folds {options.folds} was asked for, and the data is divided already, into "
            f"{_count(divisions, 'fold')}: leave --folds out"
        )
    claim(out, arguments, configs[1::2], options.oracle)
    runs = []
    for seed in range(options.seeds):
        for fold in range(divisions):
            runs.append(run(out, arguments, fold, seed, options.oracle))
            _tell(runs[-1], divisions, options.seeds)
    found = fold_figures(runs)
    write_folds(out, found, runs, {"arguments": arguments, "num_folds": divisions})
    Console().print(results_table(found))
    print(
        f"Mean of {_count(divisions, 'fold')}, ± standard deviation over "
        f"{_count(options.seeds, 'seed')}; epochs chosen by {runs[0]['monitor']}.\n"
        f"Written to {out / 'folds.json'} and folds.csv"
    )
    return 1 if any(run["unreadable"] for run in runs) else 0


def plan(arguments: Sequence[str]) -> int:
    """Check a configuration before anything is trained, and return the number of divisions.

    Args:
        arguments: Options of fit.

    Raises:
        InputError: If it is none of a summary model, or keeps no checkpoint by validation.
    """
    cli = start("fit", [*arguments, "--trainer.logger", "false", *_QUIET], PlanCLI)
    model, data = cli.model, cli.datamodule
    if not isinstance(model, SummaryTask) or not isinstance(data, SummaryDataModule):
        raise InputError(
            f"folds trains summary models; this configuration has {type(model).__name__} and "
            f"{type(data).__name__}. Take one of summary/..."
        )
    _monitored(cli.trainer)
    if cli.trainer.world_size > 1:
        raise InputError(
            f"folds trains on one device each, got {cli.trainer.world_size}: set "
            "--trainer.devices 1"
        )
    data.setup("fit")
    return data.num_divisions


def claim(out: Path, arguments: Sequence[str], configs: Sequence[str], oracle: bool) -> None:
    """Make the folder, or see that it holds trainings of the same settings.

    Args:
        out: The folder.
        arguments: Options of fit.
        configs: The configuration files among them.
        oracle: Whether the best test epoch is measured too.

    Raises:
        InputError: If the folder is of other settings.
    """
    settings = {
        "arguments": list(arguments),
        "configs": [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in configs],
        "oracle": oracle,
    }
    path = out / "settings.json"
    if path.is_file():
        if json.loads(path.read_text()) != settings:
            raise InputError(
                f"{out} holds trainings of other settings ({path}): name another folder with --out"
            )
        return
    out.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as part:
        part.write_text(json.dumps(settings, indent=2) + "\n")


_QUIET = ("--trainer.enable_progress_bar", "false")


def run(
    out: Path, arguments: Sequence[str], fold: int, seed: int, oracle: bool = False
) -> dict[str, Any]:
    """Train and test one fold with one seed, unless that is done already.

    The seed decides weights and dropout; the division into training, validation and test videos,
    and their order, stay.

    Args:
        out: The folder of all trainings; what a training prints goes into its ``log.txt``.
        arguments: Options of fit.
        fold: From 0.
        seed: Of the training.
        oracle: Whether to measure the test videos after each epoch.

    Returns:
        ``fold``, ``seed``, ``monitor`` and its ``best`` value, ``checkpoint``, ``card`` (the
        evaluation card), ``videos`` (the figures of each test video), ``oracle``, ``unreadable``,
        ``seconds``.
    """
    folder = out / f"fold-{fold}-seed-{seed}"
    done = folder / "result.json"
    if done.is_file():
        result: dict[str, Any] = json.loads(done.read_text())
        return {**result, "kept": True}
    begun = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    own = [
        *("--data.fold", str(fold), "--seed_everything", str(seed)),
        *("--trainer.default_root_dir", str(folder)),
        *_QUIET,
    ]
    trust = ["--trust"] if "--trust" in arguments else []
    with quiet(folder / "log.txt"):
        fit = start("fit", [*arguments, *own, *(["--oracle"] if oracle else [])], VideolitCLI)
        keeper = _monitored(fit.trainer)
        best, monitor, value = keeper.best_model_path, keeper.monitor, keeper.best_model_score
        if not best:
            raise InputError(
                f"fold {fold}, seed {seed} kept no checkpoint: {monitor} was never logged"
            )
        oracles = [c.result for c in callbacks_of(fit.trainer) if isinstance(c, OracleEpoch)]
        config = Path(best).parent.parent / "config.yaml"
        test = start(
            "test", ["--config", str(config), "--ckpt_path", best, *_QUIET, *trust], VideolitCLI
        )
        (card,) = (c for c in callbacks_of(test.trainer) if isinstance(c, SummaryCard))
    result = {
        "fold": fold,
        "seed": seed,
        "monitor": monitor,
        "best": float(value) if value is not None else None,
        "checkpoint": best,
        "card": card.card,
        "videos": card.videos,
        "oracle": oracles[0] if oracles else None,
        "unreadable": test.code != 0,
        "seconds": round(time.perf_counter() - begun, 1),
    }
    with atomic_path(done) as part:
        part.write_text(json.dumps(result) + "\n")
    del fit, test, keeper
    # Trainer, task and callbacks refer to each other in circles.
    gc.collect()
    return result


def _monitored(trainer: pl.Trainer) -> ModelCheckpoint:
    """Return what chooses the epoch.

    Raises:
        InputError: If nothing does, or not by the validation videos.
    """
    keeper = trainer.checkpoint_callback
    if not isinstance(keeper, ModelCheckpoint) or not str(keeper.monitor).startswith("val/"):
        raise InputError(
            "folds tests the epoch that validation chooses: the first ModelCheckpoint of "
            "trainer.callbacks must have monitor val/tau and mode max"
        )
    return keeper


@contextlib.contextmanager
def quiet(log: Path) -> Iterator[None]:
    """Send what a training prints into a file; warnings and errors stay."""
    remarks = [logging.getLogger(f"lightning.{name}") for name in ("pytorch", "fabric")]
    levels = [logger.level for logger in remarks]
    for logger in remarks:
        logger.setLevel(logging.WARNING)
    try:
        with log.open("a") as handle, contextlib.redirect_stdout(handle):
            yield
    finally:
        for logger, level in zip(remarks, levels, strict=True):
            logger.setLevel(level)


def _tell(run: dict[str, Any], folds: int, seeds: int) -> None:
    metrics = run["card"]["metrics"]
    figures = ", ".join(f"{n} {metrics[n]:.3f}" for n in ("tau", "rho", "f1") if n in metrics)
    how = "done before" if run.get("kept") else f"{run['seconds']:.0f} s"
    print(
        f"seed {run['seed'] + 1} of {seeds}, fold {run['fold'] + 1} of {folds}: {figures} ({how})",
        flush=True,
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
