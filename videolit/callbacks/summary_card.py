"""The evaluation card of a summary model: its figures beside those of no model and of people."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor

from videolit.callbacks.context import summary_data_of, summary_task_of
from videolit.callbacks.evaluation import card_path, run_facts, write_card
from videolit.data.summary_samples import truth_of
from videolit.metrics import VideoFigures, bootstrap_interval, undefined_correlations
from videolit.metrics.summary_video import (
    BASELINES,
    FIGURES,
    RANDOM_DRAWS,
    correlation_protocol,
)
from videolit.ops.files import atomic_path
from videolit.ops.select import keyshot_summary
from videolit.types import SummaryBatch, SummaryTruth

# Figures with an interval over videos.
_INTERVALS = ("tau", "rho", "f1")
_PROTOCOLS = {
    "annotators": "the scores with each annotator's, mean over annotators (Otani et al. 2019)",
    "summary_vs_mean": "the 0/1 summary with the mean of the annotators' summaries, every frame",
    "mean_score": "the scores with the annotators' common score",
}


class SummaryCard(pl.Callback):
    """After a test, write ``evaluation-<data>-<split hash>.json`` and the table of its videos.

    Rank correlations (tau-b, rho) come first: keyshot F1 hardly tells a model from random scores
    (Otani et al., CVPR 2019), so random scores, evenly spread shots and people stand beside it,
    computed by the same code on the same videos. Intervals are of 95 %, percentile bootstrap over
    videos.

    Attributes:
        card: The last test's card, on the first process.
        videos: Each video of the last test: ``video``, ``steps``, the figures of the model and the
            baselines; None where the data does not tell.
    """

    def __init__(self) -> None:
        self.card: dict[str, Any] = {}
        self.videos: list[dict[str, Any]] = []
        self._counts: VideoFigures | None = None
        self._protocols: set[str] = set()
        self._path: Path | None = None

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start over."""
        self._counts = VideoFigures(("undefined", "correlations")).to(pl_module.device)

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: SummaryBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count correlations that constant scores leave undefined."""
        assert isinstance(outputs, Mapping)
        assert self._counts is not None
        for row, truth in enumerate(batch["truth"]):
            if bool(batch["sample_mask"][row]):
                steps = int(batch["mask"][row].sum())
                scores = outputs["scores"][row, :steps].double().cpu().numpy()
                counts = torch.tensor([undefined_of(scores, truth)], dtype=torch.float32)
                self._counts.update(batch["index"][row : row + 1], counts)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Gather the figures of all processes."""
        self._path = card_path(trainer, "evaluation")
        task, records = summary_task_of(pl_module), summary_data_of(trainer).records("test")
        assert self._counts is not None
        found: dict[int, dict[str, Any]] = {}
        for figures in (task.test_figures, task.baselines, self._counts):
            index, values = figures.compute()
            for number, row in zip(index.tolist(), values.double().tolist(), strict=True):
                record = records[number]
                cells = found.setdefault(
                    number, {"video": record.video_id, "steps": record.num_steps}
                )
                named = zip(figures.names, row, strict=True)
                cells |= {name: None if math.isnan(x) else x for name, x in named}
        self.videos = [found[number] for number in sorted(found)]
        self._protocols = {
            protocol
            for number in found
            if (protocol := correlation_protocol(truth_of(records[number], "mean"))) is not None
        }

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the card and show its table."""
        if not trainer.is_global_zero:
            return
        assert self._path is not None
        task = summary_task_of(pl_module)
        metrics = {name: mean_of(self.videos, name) for name in (*FIGURES, "loss", *BASELINES)}
        known = {name: mean for name, mean in metrics.items() if mean is not None}
        undefined, pairs = (
            int(sum(video[name] for video in self.videos)) for name in ("undefined", "correlations")
        )
        self.card = {
            "format": 1,
            "metrics": known,
            "intervals_95": {
                name: list(bootstrap_interval(values))
                for name in _INTERVALS
                if (values := [v[name] for v in self.videos if v[name] is not None])
            },
            "interval_over": "videos",
            "correlation": sorted(self._protocols),
            "undefined_correlations": undefined,
            "correlations": pairs,
            # Performance over random (Apostolidis et al., ACM MM 2020).
            "f1_over_random": known["f1"] / known["random_f1"]
            if known.get("random_f1") and "f1" in known
            else None,
            "random_draws": RANDOM_DRAWS,
            "num_scored": len(self.videos),
            "num_without": {
                name: lacking
                for name in FIGURES
                if name in known and (lacking := sum(v[name] is None for v in self.videos))
            },
            "num_seen_in_training": task.num_seen,
            **summary_data_of(trainer).describe("test"),
            **run_facts(trainer, task),
        }
        write_card(self._path, self.card)
        table = self._path.with_name(f"{self._path.stem.replace('evaluation', 'videos', 1)}.csv")
        write_videos(table, self.videos)
        if undefined:
            rank_zero_warn(
                f"{undefined} of {pairs} rank correlations are undefined and count as 0: the "
                "scores of the model, or of an annotator, are the same at all steps of a video"
            )
        Console().print(figures_table(known, "model"))
        print(headline(self.card))
        print(f"Written to {self._path}")


def undefined_of(scores: NDArray[np.float64], truth: SummaryTruth) -> tuple[int, int]:
    """Return how many of a video's rank correlations are undefined, and how many there are.

    Args:
        scores: float ``(T,)``, finite.
        truth: What the annotators said.
    """
    match correlation_protocol(truth):
        case "annotators":
            assert truth.user_scores is not None
            return undefined_correlations(scores, truth.user_scores), len(truth.user_scores)
        case "summary_vs_mean":
            assert truth.user_summary is not None
            assert truth.shots is not None
            summary = keyshot_summary(scores, truth.picks, truth.num_frames, truth.shots)
            users = truth.user_summary
            return undefined_correlations(summary, users, protocol="summary_vs_mean"), 1
        case "mean_score":
            assert truth.gtscore is not None
            common = truth.gtscore[None]
            return undefined_correlations(scores, common, protocol="mean_score"), 1
    return 0, 0


def mean_of(videos: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """Return the mean of a figure over the videos that have it, None where none has."""
    values = [video[name] for video in videos if video.get(name) is not None]
    return math.fsum(values) / len(values) if values else None


def figures_table(metrics: Mapping[str, float], model: str) -> Table:
    """Return tau, rho and keyshot F1 of a model, of no model and of people as a table.

    Args:
        metrics: Means by the names of ``FIGURES`` and ``BASELINES``; what is not there is ``–``.
        model: What the first row is called.
    """
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("")
    columns = [name for name in FIGURES if name in metrics and name not in ("precision", "recall")]
    for name in columns:
        table.add_column(name, justify="right")
    for label, prefix in (
        (model, ""),
        ("random", "random_"),
        ("evenly spread shots", "uniform_"),
        ("people, each with the others", "human_"),
    ):
        cells = [metrics.get(f"{prefix}{name}") for name in columns]
        if any(cell is not None for cell in cells):
            table.add_row(label, *("–" if cell is None else f"{cell:.3f}" for cell in cells))
    return table


def headline(card: Mapping[str, Any]) -> str:
    """Return what decides a card's figures in a few lines."""
    ends = "; ".join(
        f"{name} {low:.3f} to {high:.3f}" for name, (low, high) in card["intervals_95"].items()
    )
    lines = [f"{card['num_scored']} of {card['num_samples']} videos; {card['division']}."]
    if ends:
        lines.append(f"95 % intervals over videos: {ends}.")
    lines += [f"tau and rho: {_PROTOCOLS[name]}." for name in card["correlation"]]
    if card["f1_over_random"] is not None:
        lines.append(
            f"F1 over annotators: {card['f1_over_annotators']}; it is "
            f"{card['f1_over_random']:.2f} times that of random scores."
        )
    return "\n".join(lines)


def write_videos(path: Path, videos: Sequence[Mapping[str, Any]]) -> None:
    """Write one row per video with its figures; an empty cell where the data does not tell."""
    columns = ["video", "steps", *FIGURES, "loss", *BASELINES]
    with (
        atomic_path(path) as part,
        part.open("w", newline="", encoding="utf-8", errors="surrogateescape") as handle,
    ):
        writer = csv.writer(handle)
        writer.writerow(columns)
        for video in videos:
            cells = [video.get(name) for name in columns]
            writer.writerow([f"{c:.5f}" if isinstance(c, float) else c for c in cells])
