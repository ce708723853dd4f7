"""The Trainer verbs: fit, validate, test, predict, through LightningCLI."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonargparse
import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

import videolit.data.transforms
import videolit.encoders
import videolit.fusion
import videolit.tasks
import videolit.temporal  # noqa: F401 - imported so that short names of its classes are found
from videolit.callbacks import (
    ChanceWarning,
    DataWait,
    EvaluationCard,
    OracleEpoch,
    PredictionWriter,
    RunProgress,
    RunSummary,
    SanityChecks,
    SentimentAudit,
    SentimentCard,
    SummaryAudit,
    SummaryCard,
    TemporalAudit,
    TestReport,
)
from videolit.callbacks.context import callbacks_of
from videolit.commands.device_errors import device_advice
from videolit.commands.parser_errors import PlainParser, plain_error
from videolit.commands.quiet import quieten
from videolit.commands.run_folders import claim_run
from videolit.data.module import VideoDataModule
from videolit.data.sentiment import SentimentDataModule
from videolit.data.summary import SummaryDataModule
from videolit.encoders import IdentityEncoder
from videolit.ops.cores import usable_cores
from videolit.tasks.action import ActionTask
from videolit.tasks.base import VideoTask
from videolit.tasks.checkpoint import check_checkpoint_file
from videolit.tasks.sentiment import SentimentTask
from videolit.tasks.summary import SummaryTask
from videolit.types import InputError, StorageError

# What a configuration may name without --trust: whatever it imports runs.
ALLOWED_IMPORTS = ["videolit", "lightning.pytorch", "torch.optim"]


class RunConfig(SaveConfigCallback):
    """Write the whole configuration of a training into its run folder."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Write it at the start of fit; other verbs leave the configuration of a training alone."""
        if stage == "fit" and trainer.loggers:
            super().setup(trainer, pl_module, stage)


def _experiment(config: Path) -> str:
    """Return the name that runs of a configuration share; that of a run belongs to its runs."""
    folder = config.absolute().parent
    own = config.name == "config.yaml" and folder.name.startswith(("fit_", "test_"))
    return folder.parent.name if own else config.stem


class VideolitCLI(LightningCLI):
    """LightningCLI with videolit's callbacks, run folders and last words.

    Args:
        arguments: The command line, the verb first.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self.run_folder: Path | None = None
        self.code = 0
        try:
            super().__init__(
                VideoTask,
                pl.LightningDataModule,
                subclass_mode_model=True,
                subclass_mode_data=True,
                seed_everything_default=0,
                save_config_callback=RunConfig,
                save_config_kwargs={"overwrite": True},
                trainer_defaults={
                    "callbacks": [],
                    "default_root_dir": "runs",
                    "enable_model_summary": False,
                    "plugins": {"class_path": "videolit.callbacks.AtomicCheckpointIO"},
                },
                args=list(arguments),
                parser_class=PlainParser,
            )
        except BaseException:
            # A start that failed leaves no empty folder behind.
            if self.run_folder is not None:
                with contextlib.suppress(OSError):
                    self.run_folder.rmdir()
            raise

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the options beside model, data and trainer."""
        parser.add_argument(
            "--audit",
            action="store_true",
            help="test again on videos whose time was changed; sentiment: without some modalities, "
            "and with steps lost (test only)",
        )
        parser.add_argument(
            "--oracle",
            action="store_true",
            help="also measure the test split after each epoch, to compare with papers; nothing is "
            "chosen by it (fit only)",
        )
        parser.add_argument(
            "--sanity",
            action="store_true",
            help="before training: first loss, one batch by heart, shuffled labels (fit only)",
        )
        parser.add_argument(
            "--allow_missing",
            action="store_true",
            help="accept a figure of fewer samples than the split has (validate and test)",
        )

    def instantiate_trainer(self, **settings: Any) -> pl.Trainer:  # noqa: ANN401 - Lightning's
        """Log to CSV and TensorBoard, in a folder of this run, unless the user chose loggers."""
        chosen = self.config[self.subcommand]
        self.trainer_defaults["callbacks"] = default_callbacks(self.model)
        if chosen.trainer.enable_progress_bar is not False:
            self.trainer_defaults["callbacks"].append(RunProgress())
        if chosen.trainer.logger in (None, True) and not chosen.trainer.fast_dev_run:
            name = _experiment(Path(str(chosen.config[0]))) if chosen.config else "run"
            parent = Path(chosen.trainer.default_root_dir or "runs")
            version = claim_run(parent / name, str(self.subcommand))
            self.run_folder = parent / name / version
            # Not in the configuration: whoever uses the one of this run gets a folder of his own.
            settings["logger"] = [
                kind(save_dir=parent, name=name, version=version)
                for kind in (CSVLogger, TensorBoardLogger)
            ]
        trainer: pl.Trainer = super().instantiate_trainer(**settings)
        return trainer

    def _run_subcommand(self, subcommand: str) -> None:
        """Run the verb; a loading process that ended is told by its file, not by a traceback."""
        try:
            super()._run_subcommand(subcommand)
        except InputError as problem:
            # From a loading process it comes with the process's own traceback.
            _, where, told = str(problem).rpartition("videolit.types.InputError: ")
            if where:
                raise InputError(told.strip()) from problem
            raise
        except StorageError as problem:
            # From a loading process it comes with the process's own traceback.
            last = str(problem).strip().splitlines()[-1]
            raise InputError(last.removeprefix("videolit.types.StorageError: ")) from problem
        except RuntimeError as problem:
            data = self.datamodule
            told = data.explain(problem) if isinstance(data, VideoDataModule) else ""
            told = told or device_advice(problem)
            if told:
                raise InputError(told) from problem
            raise

    def before_fit(self) -> None:
        """Leave the loading processes their cores when the model is computed on the CPU too."""
        trainer, data = self.trainer, self.datamodule
        if self.config[self.subcommand].oracle:
            if not isinstance(self.model, SummaryTask):
                raise InputError("--oracle compares summary models with papers; leave it out")
            callbacks_of(trainer).insert(0, OracleEpoch())
        if self.config[self.subcommand].sanity:
            if not isinstance(self.model, ActionTask):
                raise InputError(
                    "--sanity checks action models (first loss, shuffled labels). Whether a "
                    "summary model can learn, --trainer.overfit_batches 1 shows: train/loss must "
                    "fall to almost nothing"
                )
            callbacks_of(trainer).insert(0, SanityChecks())
        on_cpu = trainer.strategy.root_device.type == "cpu"
        if on_cpu and isinstance(data, VideoDataModule) and "OMP_NUM_THREADS" not in os.environ:
            # The share of the cores that this process has, as the DataModule counts it.
            self.datamodule.trainer = trainer
            if isinstance(data, SummaryDataModule | SentimentDataModule):
                # Features need no processes: that is known when their list is read.
                data.setup("fit")
            share = usable_cores() // trainer.num_devices - data.worker_count()
            # More threads than free cores can be many times slower than one.
            torch.set_num_threads(max(share, 1))

    def before_validate(self) -> None:
        """Refuse to evaluate random weights."""
        self._require_checkpoint()

    def before_predict(self) -> None:
        """Keep no predictions in memory: the writer has them."""
        self._require_checkpoint()
        self.config_init[self.subcommand]["return_predictions"] = False

    def before_test(self) -> None:
        """Attach the audit where it is asked for."""
        self._require_checkpoint()
        # The evaluation card says it better than Lightning's table.
        self.config_init[self.subcommand]["verbose"] = False
        if self.config[self.subcommand].audit:
            # Before the report or card, which shows its result.
            callbacks_of(self.trainer).insert(0, audit_of(self.model))

    def after_fit(self) -> None:
        """Say where the best checkpoint is and what to do with it."""
        keeper = self.trainer.checkpoint_callback
        if not isinstance(keeper, ModelCheckpoint) or not keeper.best_model_path:
            return
        if self.trainer.is_global_zero:
            score, best = keeper.best_model_score, keeper.best_model_path
            value = f" ({keeper.monitor} {float(score):.3f})" if score is not None else ""
            config = Path(best).parent.parent / "config.yaml"
            print(
                f"\nBest checkpoint{value}: {best}\n"
                f"Use it:   {self._use(best, config)}\n"
                f"Test it:  videolit test --config {config} --ckpt_path {best} --audit"
            )

    def _use(self, best: str, config: Path) -> str:
        """Return the command that uses a checkpoint."""
        task = self.model
        if isinstance(task, SummaryTask | SentimentTask) and not made_from_files(task):
            # Nobody knows what made published features: new files cannot be given any.
            return f"videolit predict --config {config} --ckpt_path {best}"
        if isinstance(task, SummaryTask):
            return f"videolit summarize --ckpt_path {best} FILES"
        if isinstance(task, SentimentTask):
            return f"videolit sentiment --ckpt_path {best} FILE"
        return f"videolit predict --ckpt_path {best} FILES"

    def after_validate(self) -> None:
        """Tell of samples that are missing in the figures."""
        self._tell_missing()

    def after_test(self) -> None:
        """Tell of samples that are missing in the figures."""
        self._tell_missing()

    def _tell_missing(self) -> None:
        """Make a figure of fewer samples than there are an error, unless that is accepted."""
        data = self.datamodule
        bad = data.unreadable.found if isinstance(data, VideoDataModule) else {}
        if bad and not self.config[self.subcommand].allow_missing:
            self.code = 1
            print(
                f"videolit: error: {len(bad)} file(s) could not be read, and the figures above are "
                "of the other samples only. `videolit check DATA` lists such files; "
                "--allow_missing accepts this result",
                file=sys.stderr,
            )

    def _require_checkpoint(self) -> None:
        """Refuse to go on with random weights."""
        path = self.config[self.subcommand].ckpt_path
        if path is None and not self.config[self.subcommand].trainer.fast_dev_run:
            raise InputError(
                f"{self.subcommand} needs --ckpt_path: without a checkpoint the weights are random"
            )


def default_callbacks(task: pl.LightningModule) -> list[pl.Callback]:
    """Return what watches every run of a task, beside what the configuration adds."""
    common = [DataWait(), PredictionWriter(), RunSummary()]
    match task:
        case ActionTask():
            return [ChanceWarning(), EvaluationCard(), TestReport(), *common]
        case SummaryTask():
            return [SummaryCard(), *common]
        case SentimentTask():
            return [SentimentCard(), *common]
    return common


def audit_of(task: pl.LightningModule) -> pl.Callback:
    """Return what tests a task again on changed videos."""
    match task:
        case SummaryTask():
            return SummaryAudit()
        case SentimentTask():
            return SentimentAudit()
    return TemporalAudit()


def run_verb(verb: str, arguments: Sequence[str]) -> int:
    """Run a Trainer verb.

    Args:
        verb: ``fit``, ``validate``, ``test`` or ``predict``.
        arguments: The rest of the command line, with configurations as files.

    Returns:
        Exit code: 0 = done, 1 = some files could not be read for a validation or test.
    """
    return start(verb, arguments, VideolitCLI).code


def made_from_files(task: SummaryTask | SentimentTask) -> bool:
    """Return whether a model's input can be made from a video or sound file."""
    if isinstance(task, SummaryTask):
        return task.clip_spec is not None or task.feature_record is not None
    encoders = (task.encoder, task.sound, task.text)
    return not any(isinstance(encoder, IdentityEncoder) for encoder in encoders)


def start(verb: str, arguments: Sequence[str], kind: type[VideolitCLI]) -> VideolitCLI:
    """Build what a Trainer verb needs, run it and return both; see :func:`run_verb`."""
    rest = [argument for argument in arguments if argument != "--trust"]
    for option, home in (("--audit", "test"), ("--sanity", "fit"), ("--oracle", "fit")):
        if option in rest and verb != home:
            raise InputError(f"{option} belongs to {home}, not to {verb}")
    if len(rest) == len(arguments):
        jsonargparse.set_parsing_settings(
            import_path_denylist=["*"], import_path_allowlist=ALLOWED_IMPORTS
        )
    quieten()
    # Before Lightning reads the file to see which settings it holds.
    for before, argument in itertools.pairwise(["", *rest]):
        given = argument if before == "--ckpt_path" else argument.partition("--ckpt_path=")[2]
        if given and given not in ("last", "best", "hpc", "null"):
            check_checkpoint_file(given)
    try:
        return kind([verb, *rest])
    except MisconfigurationException as problem:
        # Lightning's word for settings that contradict each other or the machine.
        raise InputError(str(problem)) from problem
    except ValueError as problem:
        # An object that its class refuses arrives as an error of the parser.
        if "Union subtypes" in str(problem):
            raise plain_error(str(problem), problem) from problem
        raise
