"""The evaluation card: every figure with all that decides it."""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import json
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from videolit import __version__
from videolit.callbacks.context import data_of, task_of
from videolit.metrics import bootstrap_interval
from videolit.ops.files import atomic_path
from videolit.plots import confusion_figure, confusion_table, per_class_table, save_figure

# What can change a figure: the version of each is on the card.
PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "albumentations", "av", "decord")


# Resampling fewer groups tells nothing: with one person left out it would be no interval at all.
LEAST_GROUPS = 5


def card_path(trainer: pl.Trainer, kind: str, suffix: str = "json") -> Path:
    """Return where a result of the test split goes: ``<log_dir>/<kind>-<data>-<split hash>``.

    Every process must call it: the log folder is agreed between them.
    """
    folder = Path(trainer.log_dir or trainer.default_root_dir)
    about = data_of(trainer).describe("test")
    data = re.sub(r"[^\w.-]+", "_", about["data"])
    return folder / f"{kind}-{data}-{about['split_hash']}.{suffix}"


def versions() -> dict[str, str]:
    """Return the versions of videolit, Python and the packages that can change a figure."""
    found = {"videolit": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def file_hash(path: str | Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


class EvaluationCard(pl.Callback):
    """After a test, write ``evaluation-<data>-<split hash>.json`` and what belongs to it.

    Beside the card: the confusion matrix as a table and a picture, and each sample's scores as a
    table. The accuracy carries a 95 % interval: percentile bootstrap over whole groups where the
    test split has at least five, over the samples otherwise.

    Attributes:
        card: The last test's card, on the first process.
        samples: The last test's index, label and scores of each sample, in order.
    """

    def __init__(self) -> None:
        self.card: dict[str, Any] = {}
        self.samples: tuple[Tensor, Tensor, Tensor] | None = None
        self._path: Path | None = None

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Gather the scores of all processes."""
        self._path = card_path(trainer, "evaluation")
        index, label, scores = task_of(pl_module).test_samples.compute()
        self.samples = index.cpu(), label.cpu(), scores.cpu()

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the card."""
        if not trainer.is_global_zero:
            return
        assert self.samples is not None
        assert self._path is not None
        task = task_of(pl_module)
        index, label, scores = self.samples
        names, record = list(task.class_names or ()), task.record()
        about, manifest = data_of(trainer).describe("test"), data_of(trainer).manifest("test")
        predicted = scores.argmax(-1)
        counts = torch.zeros(len(names), len(names), dtype=torch.int64)
        counts.index_put_((label, predicted), torch.tensor(1), accumulate=True)
        groups = _clusters([manifest.group(int(i)) for i in index])
        low, high = bootstrap_interval(predicted == label, groups=groups)
        metrics = {
            name.removeprefix("test/"): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("test/")
        }
        ckpt = trainer.ckpt_path
        self.card = {
            "format": 1,
            "metrics": metrics,
            "accuracy_interval_95": [low, high],
            "interval_over": "groups" if groups is not None else "samples",
            "num_scored": len(index),
            "num_seen_in_training": task.num_seen,
            **about,
            "classes": names,
            "model": {
                part: record[part]["class_path"].rpartition(".")[2]
                for part in ("task", "encoder", "temporal")
            },
            "parameters": sum(p.numel() for p in task.parameters()),
            "checkpoint": str(ckpt) if ckpt else None,
            "checkpoint_sha256": file_hash(ckpt) if ckpt else None,
            "trained_on": task.clip_spec.describe() if task.clip_spec is not None else None,
            "precision": str(trainer.precision),
            "devices": f"{trainer.world_size} × {task.device.type}",
            "average_of_views": "probability",
            "versions": versions(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "per_class": per_class_table(counts.numpy(), names),
            "confusion": counts.tolist(),
        }
        with atomic_path(self._path) as part:
            part.write_text(json.dumps(self.card, indent=2, ensure_ascii=False) + "\n")
        stem = self._path.stem.removeprefix("evaluation-")
        with atomic_path(self._path.with_name(f"confusion-{stem}.csv")) as part:
            part.write_text(confusion_table(counts.numpy(), names))
        picture = self._path.with_name(f"confusion-{stem}.png")
        save_figure(confusion_figure(counts.numpy(), names), picture)
        ids = [manifest.video_id(int(i)) for i in index]
        with atomic_path(self._path.with_name(f"samples-{stem}.csv")) as part:
            _write_samples(part, ids, label, scores, names)
        print(self.summary())
        print(f"Written to {self._path}")

    def summary(self) -> str:
        """Return the card's headline in one or two lines."""
        card = self.card
        metrics = card["metrics"]
        low, high = card["accuracy_interval_95"]
        return (
            f"Test accuracy {metrics['accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f}) on "
            f"{card['num_scored']} of {card['num_samples']} samples; majority baseline "
            f"{metrics['majority']:.3f}; mean class accuracy "
            f"{metrics['mean_class_accuracy']:.3f}.\n"
            f"Protocol: {card['protocol']}; decoder {card['decoder']}."
        )


def _clusters(groups: list[str]) -> list[str] | None:
    """Return the groups to resample as a whole, None where there are none or too few."""
    return groups if all(groups) and len(set(groups)) >= LEAST_GROUPS else None


def _write_samples(
    path: Path, ids: Sequence[str], label: Tensor, scores: Tensor, names: Sequence[str]
) -> None:
    """Write one row per sample: file, truth, prediction, its probability."""
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as handle:
        writer = csv.writer(handle)
        writer.writerow(["path", "label", "predicted", "probability", "right"])
        for row, truth, probabilities in zip(ids, label.tolist(), scores, strict=True):
            best = int(probabilities.argmax())
            writer.writerow(
                [row, names[truth], names[best], f"{probabilities[best]:.4f}", int(best == truth)]
            )
