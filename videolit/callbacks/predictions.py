"""Predictions as files: one row per input, in input order, an error row for a bad file."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from videolit.callbacks.context import data_of, task_of
from videolit.ops.files import atomic_path
from videolit.tasks.sentiment import SentimentTask
from videolit.tasks.sentiment_output import SentimentPrediction
from videolit.tasks.summary import SummaryTask
from videolit.types import AFFECT, InputError, SummaryTruth


class PredictionWriter(pl.Callback):
    """Write ``predictions.jsonl``, and of classes ``predictions.csv``.

    Each process appends its rows to a file of its own as they come; when all are done, the first
    process puts them together in input order.

    Args:
        folder: Where to write; None = the log folder.
        quiet: Do not say where the files are.

    Attributes:
        rows: After predicting, all rows, on the first process.
    """

    def __init__(self, folder: str | None = None, quiet: bool = False) -> None:
        self.folder = folder
        self.quiet = quiet
        self.rows: list[dict[str, Any]] = []
        self._target = Path()

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin this process's file."""
        # All processes agree on the log folder here, so all must ask.
        log_dir = trainer.log_dir or trainer.default_root_dir
        self._target = Path(self.folder or log_dir)
        if self._target.exists() and not self._target.is_dir():
            raise InputError(f"predictions go into a folder, but {self._target} is a file")
        self._target.mkdir(parents=True, exist_ok=True)
        self._shard(trainer.global_rank).write_text("")

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Mapping[str, Any],
        batch: Mapping[str, Any],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Append a batch's rows."""
        rows: Iterable[dict[str, Any]]
        match pl_module:
            case SummaryTask():
                rows = summary_rows(outputs, batch["truth"])
            case SentimentTask():
                found = cast("SentimentPrediction", outputs)
                rows = sentiment_rows(found, pl_module.class_names or ())
            case _:
                rows = prediction_rows(outputs, task_of(pl_module).class_names or ())
        with self._shard(trainer.global_rank).open("a") as handle:
            for row in rows:
                handle.write(json.dumps(row) + "\n")

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put all processes' rows together."""
        trainer.strategy.barrier("predictions")
        if not trainer.is_global_zero:
            return
        shards = [self._shard(rank) for rank in range(trainer.world_size)]
        found = {}
        for shard in shards:
            with shard.open() as handle:
                for line in handle:
                    row = json.loads(line)
                    found[row.pop("index")] = row
        if not isinstance(pl_module, SummaryTask | SentimentTask):
            manifest = data_of(trainer).manifest("predict")
            for index, row in found.items():
                # Several labelled parts of one file are told apart by their times.
                for name, time in (("start", manifest.start[index]), ("end", manifest.end[index])):
                    if not np.isnan(time):
                        row[name] = float(time)
        self.rows = [found[index] for index in sorted(found)]
        if isinstance(pl_module, SummaryTask | SentimentTask):
            write_rows(self.rows, self._target)
        else:
            write_predictions(self.rows, self._target)
        for shard in shards:
            shard.unlink()
        if not self.quiet:
            print(f"{len(self.rows)} predictions written to {self._target / 'predictions.jsonl'}")

    def _shard(self, rank: int) -> Path:
        return self._target / f".predictions.{rank}.part"


def prediction_rows(
    output: Mapping[str, Any], class_names: Sequence[str]
) -> Iterable[dict[str, Any]]:
    """Turn a batch of :class:`~videolit.tasks.action.ActionPrediction` into rows.

    Yields:
        ``index``, ``path``, ``status`` (``"ok"`` or ``"error"``); then ``label``, ``probability``
        and ``probabilities`` of all classes, likeliest first, or ``error``. ``true_label``, or
        ``true_labels`` of several, where the data knows it. Repeats of other samples give no row.
    """
    for position, error in enumerate(output["error"]):
        if not error and not output["sample_mask"][position]:
            continue
        row: dict[str, Any] = {
            "index": int(output["index"][position]),
            "path": output["video_id"][position],
            "status": "error" if error else "ok",
        }
        if error:
            row["error"] = error
        else:
            scores = output["scores"][position]
            order = torch.argsort(scores, descending=True, stable=True).tolist()
            ranked = {class_names[k]: round(float(scores[k]), 6) for k in order}
            row["label"], row["probability"] = next(iter(ranked.items()))
            row["probabilities"] = ranked
        if output["label"] is not None:
            truth = output["label"][position]
            if truth.ndim:
                row["true_labels"] = [class_names[k] for k in truth.nonzero().flatten().tolist()]
            else:
                row["true_label"] = class_names[int(truth)]
        yield row


def summary_rows(
    output: Mapping[str, Any], truth: Sequence[SummaryTruth]
) -> Iterable[dict[str, Any]]:
    """Turn a batch of :class:`~videolit.tasks.summary.SummaryPrediction` into rows.

    Args:
        output: The batch's predictions.
        truth: What the batch tells of each video: the frames of its steps.

    Yields:
        ``index``, ``path``, ``status`` (``"ok"`` or ``"error"``); then ``scores`` in [0, 1] and
        ``picks``, the frame of each, or ``error``. Repeats of other videos give no row.
    """
    for position, error in enumerate(output["error"]):
        if not error and not output["sample_mask"][position]:
            continue
        row: dict[str, Any] = {
            "index": int(output["index"][position]),
            "path": output["video_id"][position],
            "status": "error" if error else "ok",
        }
        if error:
            row["error"] = error
        else:
            scores = output["scores"][position][output["mask"][position]]
            row["scores"] = [round(score, 6) for score in scores.tolist()]
            row["picks"] = truth[position].picks.tolist()
        yield row


def sentiment_rows(
    output: SentimentPrediction, class_names: Sequence[str]
) -> Iterable[dict[str, Any]]:
    """Turn a batch of a sentiment task's predictions into rows.

    Yields:
        ``index``, ``path``, ``status`` (``"ok"`` or ``"error"``); then ``label``, ``probability``
        and ``probabilities`` of all classes, likeliest first, ``score``, ``valence`` and
        ``arousal``, as far as the model tells them; ``modalities``, the same of each modality that
        is there and its ``weight``; and ``missing``, why others are not; or ``error``. Repeats of
        other utterances give no row.
    """
    for position, error in enumerate(output["error"]):
        if not error and not output["sample_mask"][position]:
            continue
        row: dict[str, Any] = {
            "index": int(output["index"][position]),
            "path": output["video_id"][position],
            "status": "error" if error else "ok",
        }
        if error:
            yield {**row, "error": error}
            continue
        fused = (output["probabilities"], output["score"], output["affect"])
        row |= said_of([None if t is None else t[position] for t in fused], class_names)
        own = (output["own_probabilities"], output["own_score"], output["own_affect"])
        row["modalities"] = {
            name: {
                "weight": round(float(output["weights"][position, place]), 6),
                **said_of([None if t is None else t[position, place] for t in own], class_names),
            }
            for place, name in enumerate(output["modalities"])
            if bool(output["present"][position, place])
        }
        row["missing"] = output["missing"][position]
        yield row


def said_of(answer: Sequence[Tensor | None], class_names: Sequence[str]) -> dict[str, Any]:
    """Return one answer as JSON types.

    Args:
        answer: Probabilities float ``(K,)``, score float ``()`` and affect float ``(2,)``; None =
            not told.
        class_names: K names.
    """
    found: dict[str, Any] = {}
    probabilities, score, affect = answer
    if probabilities is not None:
        order = torch.argsort(probabilities, descending=True, stable=True).tolist()
        ranked = {class_names[k]: round(float(probabilities[k]), 6) for k in order}
        found["label"], found["probability"] = next(iter(ranked.items()))
        found["probabilities"] = ranked
    if score is not None:
        found["score"] = round(float(score), 6)
    if affect is not None:
        found |= {name: round(float(x), 6) for name, x in zip(AFFECT, affect, strict=True)}
    return found


def write_rows(rows: Sequence[Mapping[str, Any]], folder: str | Path) -> None:
    """Write rows to ``predictions.jsonl``."""
    with atomic_path(Path(folder) / "predictions.jsonl") as part, part.open("w") as handle:
        for row in rows:
            handle.write(json.dumps(row) + "\n")


def write_predictions(rows: Sequence[Mapping[str, Any]], folder: str | Path) -> None:
    """Write rows to ``predictions.jsonl`` (all) and ``predictions.csv`` (the three likeliest)."""
    target = Path(folder)
    write_rows(rows, target)
    with (
        atomic_path(target / "predictions.csv") as part,
        part.open("w", newline="", encoding="utf-8", errors="surrogateescape") as handle,
    ):
        writer = csv.writer(handle)
        columns = [f"{name}_{place}" for place in (2, 3) for name in ("label", "probability")]
        writer.writerow(
            ["path", "status", "label", "probability", *columns, "error", "start", "end"]
        )
        for row in rows:
            best = [
                cell for pair in list(row.get("probabilities", {}).items())[:3] for cell in pair
            ]
            cells = best + [""] * (6 - len(best))
            ending = [row.get(name, "") for name in ("error", "start", "end")]
            writer.writerow([row["path"], row["status"], *cells, *ending])
