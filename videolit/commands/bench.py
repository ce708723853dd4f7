"""Behind ``videolit bench``: what loading, model and training cost, on the user's data."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from typing import Any, cast

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint
from rich.console import Console
from rich.table import Table

from videolit.callbacks import DataWait
from videolit.callbacks.context import callbacks_of
from videolit.cli import resolve_configs
from videolit.commands.bench_data import DataFigures, measure_data
from videolit.commands.bench_model import ModelFigures, measure_model
from videolit.commands.quiet import quieten
from videolit.commands.trainer import VideolitCLI
from videolit.data.action import ActionDataModule
from videolit.ops.files import atomic_path
from videolit.tasks.action import ActionTask
from videolit.types import InputError

# Classes of a model that is measured without data.
_CLASSES = 10


class BenchCLI(VideolitCLI):
    """The command line of fit, up to the point where it would run."""

    def _run_subcommand(self, subcommand: str) -> None:
        """Leave running to the measurement."""


def measure(options: argparse.Namespace, rest: list[str]) -> int:
    """Measure what the options ask for, with the configuration of the options of fit.

    Args:
        options: Of ``videolit bench``, checked.
        rest: Options of fit.

    Raises:
        InputError: If the configuration is none of actions.
    """
    quieten()
    with tempfile.TemporaryDirectory(prefix="videolit_bench_") as folder:
        if options.what == "train":
            rest += ["--trainer.max_steps", str(options.steps + _WARM_UP)]
            # An epoch has at least one step.
            rest += ["--trainer.max_epochs", str(options.steps + _WARM_UP)]
            rest += ["--trainer.limit_val_batches", "0"]
        rest += ["--trainer.default_root_dir", folder]
        cli = BenchCLI(["fit", *resolve_configs(rest)])
        data, task = cli.datamodule, cli.model
        if not isinstance(data, ActionDataModule) or not isinstance(task, ActionTask):
            raise InputError("bench measures ActionTask with ActionDataModule")
        console = Console()
        figures: dict[str, Any]
        if options.what == "data":
            found = measure_data(data, most_workers=options.max_workers, seconds=options.seconds)
            _show_data(console, found)
            figures = found.to_json()
        elif options.what == "model":
            if data.root is not None:
                data.setup("fit")
            names = list(data.class_names) or [f"class {i}" for i in range(_CLASSES)]
            models = measure_model(
                task, names, data.clip_spec, data.batch_size, cli.trainer, seconds=options.seconds
            )
            _show_model(console, models, task, data)
            figures = models.to_json()
        else:
            figures = _train(console, cli)
    if options.json is not None:
        with atomic_path(options.json) as part:
            part.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def _show_data(console: Console, found: DataFigures) -> None:
    console.print(
        f"{found.samples} training samples, {found.protocol}, batches of {found.batch_size}; "
        f"{found.source}",
        highlight=False,
    )
    stages = _table("one process", "ms a clip", "clips/s", "share")
    total = sum(found.stages.values())
    for name, seconds in found.stages.items():
        share = f"{seconds / total:.0%}"
        stages.add_row(name, f"{seconds * 1e3:.2f}", f"{1 / seconds:.0f}", share)
    console.print(stages)
    loader = _table("loading processes", "clips/s", "per process", "MB/s of batches")
    for workers, rate in found.rates.items():
        each = f"{rate / max(workers, 1):.0f}"
        megabytes = f"{rate * found.clip_bytes / 1e6:.0f}"
        loader.add_row(str(workers), f"{rate:.0f}", each, megabytes)
    console.print(loader)
    console.print(found.advice(), highlight=False)


def _show_model(
    console: Console, found: ModelFigures, task: ActionTask, data: ActionDataModule
) -> None:
    parts = f"{type(task.encoder).__name__} + {type(task.temporal).__name__}"
    console.print(
        f"{parts}: {found.parameters / 1e6:.2f} M parameters, {found.flops / 1e9:.2f} GFLOPs a "
        f"clip ({found.flops / 2e9:.2f} G multiply-adds) at {data.clip_spec.describe()}, on "
        f"{found.device}",
        highlight=False,
    )
    table = _table(
        "precision", "latency, 1 clip", f"clips/s, batch of {found.batch_size}", "training", "peak"
    )
    for name, row in found.rows.items():
        table.add_row(
            name,
            f"{row.latency * 1e3:.1f} ms",
            f"{row.throughput:.0f}",
            f"{row.training:.0f} clips/s",
            f"{row.peak_bytes / 2**20:.0f} MiB",
        )
    console.print(table)
    console.print(
        "Peak: memory of the device during a training step"
        if found.device != "cpu"
        else "Peak: memory of the whole process, PyTorch included",
        highlight=False,
    )


_WARM_UP = 5


class _Steps(pl.Callback):
    """Times the steps after the first few."""

    def __init__(self) -> None:
        self.begin = self.end = 0.0
        self.count = 0
        self.clips = 0

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401 - Lightning's
        batch: Any,  # noqa: ANN401 - Lightning's
        batch_idx: int,
    ) -> None:
        """Note the time."""
        if pl_module.device.type == "cuda":
            import torch

            torch.cuda.synchronize()
        if trainer.global_step <= _WARM_UP:
            self.begin = time.perf_counter()
        else:
            self.end = time.perf_counter()
            self.count += 1
            self.clips += len(batch["index"])


def _train(console: Console, cli: BenchCLI) -> dict[str, Any]:
    trainer = cli.trainer
    steps = _Steps()
    callbacks = callbacks_of(trainer)
    # Nothing is validated, and nothing is worth keeping.
    callbacks[:] = [c for c in callbacks if not isinstance(c, ModelCheckpoint)] + [steps]
    trainer.fit(cli.model, datamodule=cli.datamodule)
    seconds = steps.end - steps.begin
    wait = next(c.overall for c in callbacks if isinstance(c, DataWait))
    figures = {
        "steps": steps.count,
        "steps_per_second": steps.count / seconds,
        "clips_per_second": steps.clips * trainer.world_size / seconds,
        "data_wait": wait,
        "loading_processes": cast(ActionDataModule, cli.datamodule).worker_count(),
        "devices": f"{trainer.world_size} × {trainer.strategy.root_device.type}",
        "precision": str(trainer.precision),
    }
    waited = "unknown, an epoch has too few steps" if wait is None else f"{wait:.0%}"
    console.print(
        f"{figures['steps_per_second']:.2f} steps/s, {figures['clips_per_second']:.1f} clips/s "
        f"over {steps.count} steps on {figures['devices']}, precision {figures['precision']}, "
        f"{figures['loading_processes']} loading processes; waiting for data: {waited}",
        highlight=False,
    )
    if wait is not None and wait > 0.1:
        console.print("videolit bench data says which part of loading is slow, and what to do.")
    return figures


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table
