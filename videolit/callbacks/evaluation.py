"""The evaluation card: every figure with all that decides it."""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import json
import math
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from videolit import __version__
from videolit.callbacks.context import data_of, task_of, video_data_of
from videolit.data.manifest import SEPARATOR
from videolit.metrics import (
    average_precision,
    bootstrap_interval,
    bootstrap_statistic,
    calibration_table,
    expected_calibration_error,
    macro_f1,
    mean_average_precision,
)
from videolit.ops.files import atomic_path
from videolit.plots import (
    confusion_figure,
    confusion_table,
    most_confused,
    per_class_table,
    save_figure,
)
from videolit.tasks.base import VideoTask

# What can change a figure: the version of each is on the card.
PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "albumentations", "av", "decord")


# Resampling fewer groups tells nothing: with one person left out it would be no interval at all.
LEAST_GROUPS = 5
# Files that the card names for each pair of confused classes.
EXAMPLES = 3


def card_path(trainer: pl.Trainer, kind: str, suffix: str = "json") -> Path:
    """Return where a result of the test split goes: ``<log_dir>/<kind>-<data>-<split hash>``.

    Every process must call it: the log folder is agreed between them.
    """
    folder = Path(trainer.log_dir or trainer.default_root_dir)
    data_module = video_data_of(trainer)
    assert data_module is not None
    about = data_module.describe("test")
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


def run_facts(trainer: pl.Trainer, task: VideoTask) -> dict[str, Any]:
    """Return what a card says of the model and of how it was computed, as JSON types."""
    record, ckpt = task.record(), trainer.ckpt_path
    return {
        "model": {
            part: record[part]["class_path"].rpartition(".")[2]
            for part in ("task", *task.parts())
            if record[part] is not None
        },
        "parameters": sum(p.numel() for p in task.parameters()),
        "checkpoint": str(ckpt) if ckpt else None,
        "checkpoint_sha256": file_hash(ckpt) if ckpt else None,
        "trained_on": task.clip_spec.describe() if task.clip_spec is not None else None,
        "precision": str(trainer.precision),
        "devices": f"{trainer.world_size} × {task.device.type}",
        "versions": versions(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write_card(path: Path, card: Mapping[str, Any]) -> None:
    """Write a card as JSON."""
    with atomic_path(path) as part:
        text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
        # A file may have a name that is no UTF-8; JSON can only show its bytes.
        part.write_bytes(text.encode("utf-8", errors="backslashreplace"))


class EvaluationCard(pl.Callback):
    """After a test, write ``evaluation-<data>-<split hash>.json`` and what belongs to it.

    Beside the card: each sample's scores as a table and, where each sample has one label, the
    confusion matrix as a table and a picture. The accuracy (the mean average precision of several
    labels) carries a 95 % interval: percentile bootstrap over whole groups where the test split
    has at least five, over the samples otherwise.

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
        names = list(task.class_names or ())
        about, manifest = data_of(trainer).describe("test"), data_of(trainer).manifest("test")
        ids = [manifest.video_id(int(i)) for i in index]
        groups = _clusters([manifest.group(int(i)) for i in index])
        metrics = {
            name.removeprefix("test/"): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("test/")
        }
        of_labels = several_labels if task.multi_label else one_label
        figures, details = of_labels(label, scores, names, ids, groups)
        self.card = {
            "format": 2,
            "metrics": {**metrics, **figures.pop("metrics")},
            **figures,
            "interval_over": "groups" if groups is not None else "samples",
            "num_scored": len(index),
            "num_seen_in_training": task.num_seen,
            **about,
            "classes": names,
            **run_facts(trainer, task),
            "average_of_views": "probability",
            **details,
        }
        write_card(self._path, self.card)
        stem = self._path.stem.removeprefix("evaluation-")
        if not task.multi_label:
            counts = np.array(self.card["confusion"])
            with atomic_path(self._path.with_name(f"confusion-{stem}.csv")) as part:
                part.write_text(confusion_table(counts, names))
            picture = self._path.with_name(f"confusion-{stem}.png")
            save_figure(confusion_figure(counts, names), picture)
        with atomic_path(self._path.with_name(f"samples-{stem}.csv")) as part:
            write = _write_label_sets if task.multi_label else _write_samples
            write(part, ids, label, scores, names)
        print(summary(self.card))
        print(f"Written to {self._path}")


def one_label(
    label: Tensor,
    scores: Tensor,
    names: Sequence[str],
    ids: Sequence[str],
    groups: Sequence[str] | None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the figures and the details of a test in which each sample has one label.

    Args:
        label: int64 ``(N,)``.
        scores: float ``(N, K)``, rows sum to 1.
        names: K classes.
        ids: N files.
        groups: What to resample as a whole; None = samples.
    """
    sure, predicted = scores.max(-1)
    right = predicted == label
    counts = torch.zeros(len(names), len(names), dtype=torch.int64)
    counts.index_put_((label, predicted), torch.tensor(1), accumulate=True)
    calibration = calibration_table(sure, right)
    confused = most_confused(counts.numpy(), names)
    for row in confused:
        pair = (label == names.index(row["true"])) & (predicted == names.index(row["predicted"]))
        # The surest of these mistakes.
        order = torch.argsort(sure[pair], descending=True)[:EXAMPLES]
        row["examples"] = [ids[i] for i in pair.nonzero().flatten()[order].tolist()]
    figures = {
        "metrics": {
            "macro_f1": macro_f1(counts),
            "calibration_error": expected_calibration_error(calibration),
        },
        "accuracy_interval_95": list(bootstrap_interval(right, groups=groups)),
    }
    details = {
        "per_class": per_class_table(counts.numpy(), names),
        "most_confused": confused,
        "calibration": calibration,
        "confusion": counts.tolist(),
    }
    return figures, details


def several_labels(
    label: Tensor,
    scores: Tensor,
    names: Sequence[str],
    ids: Sequence[str],
    groups: Sequence[str] | None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the figures and the details of a test in which a sample has several labels, or none.

    Args:
        label: float ``(N, K)``, 1 where the sample has the label.
        scores: float ``(N, K)``, each in [0, 1].
        names: K classes.
        ids: N files.
        groups: What to resample as a whole; None = samples.
    """

    def resampled(rows: NDArray[np.int64]) -> float:
        chosen = torch.from_numpy(rows)
        return mean_average_precision(scores[chosen], label[chosen])

    precisions = average_precision(scores, label).tolist()
    said, true = scores >= 0.5, label > 0.5
    per_class = []
    for k, name in enumerate(names):
        both, answers, samples = (
            int(x.sum()) for x in (said[:, k] & true[:, k], said[:, k], true[:, k])
        )
        per_class.append(
            {
                "class": name,
                "samples": samples,
                "average precision": None if math.isnan(precisions[k]) else precisions[k],
                "recall": both / samples if samples else None,
                "precision": both / answers if answers else None,
                "f1": 2 * both / (answers + samples) if answers + samples else None,
            }
        )
    calibration = calibration_table(scores.flatten(), true.flatten())
    figures = {
        "metrics": {
            # What scores without knowledge get: the share of samples that have the label.
            "chance_map": float(true.double().mean(0)[true.any(0)].mean()),
            "calibration_error": expected_calibration_error(calibration),
        },
        "map_interval_95": list(bootstrap_statistic(resampled, len(ids), groups=groups)),
    }
    return figures, {"per_class": per_class, "calibration": calibration}


def summary(card: Mapping[str, Any]) -> str:
    """Return a card's headline in two or three lines."""
    metrics = card["metrics"]
    counted = f"{card['num_scored']} of {card['num_samples']} samples"
    if "map" in metrics:
        low, high = card["map_interval_95"]
        first = (
            f"Test mAP {metrics['map']:.3f} (95 % interval {low:.3f} to {high:.3f}) on {counted}; "
            f"chance {metrics['chance_map']:.3f}; macro F1 {metrics['macro_f1']:.3f}, micro F1 "
            f"{metrics['micro_f1']:.3f}."
        )
    else:
        low, high = card["accuracy_interval_95"]
        first = (
            f"Test accuracy {metrics['accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f}) on "
            f"{counted}; majority baseline {metrics['majority']:.3f}; mean class accuracy "
            f"{metrics['mean_class_accuracy']:.3f}, macro F1 {metrics['macro_f1']:.3f}."
        )
    return (
        f"{first} Calibration error {metrics['calibration_error']:.3f}.\n"
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


def _write_label_sets(
    path: Path, ids: Sequence[str], label: Tensor, scores: Tensor, names: Sequence[str]
) -> None:
    """Write one row per sample: file, its labels, and the probability of each class."""
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as handle:
        writer = csv.writer(handle)
        writer.writerow(["path", "labels", *names])
        for row, truth, probabilities in zip(ids, label, scores.tolist(), strict=True):
            held = SEPARATOR.join(names[k] for k in truth.nonzero().flatten().tolist())
            writer.writerow([row, held, *(f"{value:.4f}" for value in probabilities)])
