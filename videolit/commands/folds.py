"""Behind ``videolit folds``: an honest cross-validation of a summary model, over seeds."""

from __future__ import annotations

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
from videolit.commands.folds_table import fold_figures, results_table, write_folds
from videolit.commands.trainer import VideolitCLI, start
from videolit.data.summary import SummaryDataModule
from videolit.ops.files import atomic_path
from videolit.tasks.summary import SummaryTask
from videolit.types import InputError


class PlanCLI(VideolitCLI):
    """The command line of fit, up to the point where it would run."""

    def _run_subcommand(self, subcommand: str) -> None:
        """Leave running to the folds."""


def cross_validate(
    arguments: Sequence[str],
    configs: Sequence[str],
    out: Path,
    *,
    folds: int | None,
    seeds: int,
    oracle: bool,
) -> int:
    """Train and test every fold with every seed, and tell and write what came of it.

    Args:
        arguments: Options of fit.
        configs: The configuration files among them.
        out: Folder of all trainings.
        folds: How many there must be; None = as many as the data has.
        seeds: Trainings of each fold.
        oracle: Whether the best test epoch is measured too.

    Returns:
        0, or 1 if some videos cannot be read.

    Raises:
        InputError: If the configuration or the folder does not fit.
    """
    divisions = plan(arguments)
    if folds not in (None, divisions):
        raise InputError(
            f"--folds {folds} was asked for, and the data is divided already, into "
            f"{_count(divisions, 'fold')}: leave --folds out"
        )
    claim(out, arguments, configs, oracle)
    runs = []
    for seed in range(seeds):
        for fold in range(divisions):
            runs.append(run(out, arguments, fold, seed, oracle))
            _tell(runs[-1], divisions, seeds)
    found = fold_figures(runs)
    write_folds(out, found, runs, {"arguments": arguments, "num_folds": divisions})
    Console().print(results_table(found))
    print(
        f"Mean of {_count(divisions, 'fold')}, ± standard deviation over "
        f"{_count(seeds, 'seed')}; epochs chosen by {runs[0]['monitor']}.\n"
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
