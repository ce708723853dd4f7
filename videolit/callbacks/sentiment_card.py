"""The evaluation card of a sentiment model: figures by their convention, beside constants."""

from __future__ import annotations

import collections
import csv
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from torch import Tensor

from videolit.callbacks.context import sentiment_data_of, sentiment_task_of
from videolit.callbacks.evaluation import LEAST_GROUPS, card_path, run_facts, write_card
from videolit.data.sentiment_records import SentimentSet
from videolit.metrics import (
    AffectFigures,
    SampleScores,
    bootstrap_statistic,
    count_confusion,
    file_concordance,
)
from videolit.ops.files import atomic_path
from videolit.plots import confusion_figure, confusion_table, per_class_table, save_figure
from videolit.tasks.sentiment import SentimentTask
from videolit.tasks.sentiment_output import SentimentPrediction
from videolit.tasks.sentiment_targets import Target, figures_of, notes_of
from videolit.types import AFFECT, SentimentBatch

# What the table shows of each target.
HEADLINES: dict[Target, tuple[str, ...]] = {
    "classes": ("weighted_f1", "uar", "war"),
    "score": ("mae", "corr", "acc2_has0", "acc2_non0", "acc2_sims", "mae_score", "corr_score"),
    "affect": ("ccc", "ccc_valence", "ccc_arousal", "mae_valence", "mae_arousal"),
}
# Figures that carry an interval.
_INTERVALS = ("weighted_f1", "uar", "mae", "mae_score", "ccc")
_RESAMPLES = 200


class SentimentCard(pl.Callback):
    """After a test, write ``evaluation-<data>-<split hash>.json`` and the table of its utterances.

    Each figure stands under the name of its convention, with what that means in words, beside what
    a constant answer gets and what each modality gets alone. Intervals are of 95 %, percentile
    bootstrap over whole groups (speakers, films) where the split has at least five, over utterances
    otherwise.

    Attributes:
        card: The last test's card.
    """

    def __init__(self) -> None:
        self.card: dict[str, Any] = {}
        self._own: SampleScores | None = None
        self._reasons: collections.Counter[str] = collections.Counter()
        self._path: Path | None = None
        self._answers: dict[Target, tuple[Tensor, Tensor, Tensor]] = {}

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start over."""
        task = sentiment_task_of(pl_module)
        assert task.answers is not None
        width = len(task.names) * (sum(task.answers.sizes.values()) + 2)
        self._own = SampleScores(width, several=True).to(pl_module.device)
        self._reasons = collections.Counter()

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: SentimentBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep what each modality says alone, its share, and why one is missing."""
        assert self._own is not None
        found = cast("SentimentPrediction", outputs)
        keep = found["sample_mask"]
        parts = [found["weights"], found["present"].float()]
        for key in ("own_probabilities", "own_score", "own_affect"):
            own = found[key]
            if own is not None:
                parts.append(own.flatten(1))
        rows = torch.cat(parts, 1)[keep].to(pl_module.device)
        self._own.update(found["index"][keep].to(rows.device), torch.zeros_like(rows), rows)
        for missing, counts in zip(found["missing"], keep.tolist(), strict=True):
            if counts:
                self._reasons.update(f"{name}: {_general(why)}" for name, why in missing.items())

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Gather all processes' answers and make the card."""
        assert self._own is not None
        self._path = card_path(trainer, "evaluation")
        task, part = sentiment_task_of(pl_module), sentiment_data_of(trainer).part("test")
        metrics = task.split_figures("test")
        self._answers = {
            target: tuple(t.cpu() for t in metric.compute())  # type: ignore[misc] # three
            for target, metric in metrics.items()
        }
        index, _, rows = (t.cpu() for t in self._own.compute())
        weights, present, own = own_parts(task, rows)
        alone = figures_alone(task, self._answers, index, present, own)
        figures = {k: v for metric in metrics.values() for k, v in figures_of(metric).items()}
        figures |= _per_file(part, self._answers)
        self.card = {
            "format": 1,
            "metrics": figures,
            "intervals_95": self._intervals(task, part),
            "interval_over": "groups" if _groups(part) is not None else "utterances",
            "meaning": {
                name: note
                for target in metrics
                for name, note in notes_of(target, task.answers).items()
                if name in figures or name.endswith("_")
            },
            "alone": alone,
            "mean_weight": {
                name: float(weights[:, place].mean()) if len(weights) else None
                for place, name in enumerate(task.names)
            },
            "num_with": {n: int(present[:, place].sum()) for place, n in enumerate(task.names)},
            "missing": dict(self._reasons.most_common()),
            "num_scored": len(index),
            "num_known": {target: len(found[0]) for target, found in self._answers.items()},
        }

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the card and what belongs to it, and show its table."""
        if not trainer.is_global_zero:
            return
        assert self._path is not None
        task, data = sentiment_task_of(pl_module), sentiment_data_of(trainer)
        logged = {
            name.removeprefix("test/"): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("test/")
        }
        self.card["metrics"] = logged | self.card["metrics"]
        names = list(task.class_names or ())
        self.card |= {
            "num_seen_in_training": task.num_seen,
            **data.describe("test"),
            "classes": names,
            "score_range": task.score_range,
            "affect_range": task.affect_range,
            "convention": task.convention,
            **run_facts(trainer, task),
        }
        stem = self._path.stem.removeprefix("evaluation-")
        if "classes" in self._answers:
            _, label, scores = self._answers["classes"]
            counts = count_confusion(
                true=label, predicted=scores.argmax(1), num_classes=len(names)
            ).numpy()
            self.card |= {
                "per_class": per_class_table(counts, names),
                "confusion": counts.tolist(),
            }
            with atomic_path(self._path.with_name(f"confusion-{stem}.csv")) as part:
                part.write_text(confusion_table(counts, names))
            picture = self._path.with_name(f"confusion-{stem}.png")
            save_figure(confusion_figure(counts, names), picture)
        write_card(self._path, self.card)
        with atomic_path(self._path.with_name(f"samples-{stem}.csv")) as part:
            write_samples(part, data.part("test").ids, self._answers, names)
        for target in self._answers:
            print_whole(figures_table(self.card, target))
        if len(self.card["alone"]) > 1:
            print("A modality's own head answers from it without the fusion, where it is there.")
        print(headline(self.card))
        print(f"Written to {self._path}")

    def _intervals(self, task: SentimentTask, part: SentimentSet) -> dict[str, list[float]]:
        """Return the 95 % intervals of the headline figures."""
        assert task.answers is not None
        groups, found = _groups(part), {}
        for target, (index, label, scores) in self._answers.items():
            named = None if groups is None else [groups[row] for row in index.tolist()]
            for name in _INTERVALS:
                if len(index) and name in HEADLINES[target]:
                    metric = task.answers.figures()[target]
                    metric.sync_on_compute = False
                    figure = functools.partial(_resampled, metric, name, label, scores)
                    ends = bootstrap_statistic(
                        figure, len(index), groups=named, num_resamples=_RESAMPLES
                    )
                    if ends[0] == ends[0]:
                        found[name] = list(ends)
        return found


def _resampled(
    metric: SampleScores, name: str, label: Tensor, scores: Tensor, rows: NDArray[np.int64]
) -> float:
    chosen = torch.from_numpy(rows)
    metric.reset()
    metric.update(torch.arange(len(rows)), label[chosen], scores[chosen])
    return figures_of(metric).get(name, float("nan"))


def own_parts(task: SentimentTask, rows: Tensor) -> tuple[Tensor, Tensor, dict[Target, Tensor]]:
    """Return weights ``(N, M)``, what is present ``(N, M)`` and the modalities' own answers."""
    assert task.answers is not None
    count = len(task.names)
    weights, present, rest = rows[:, :count], rows[:, count : 2 * count] > 0.5, rows[:, 2 * count :]
    own: dict[Target, Tensor] = {}
    for target, size in task.answers.sizes.items():
        piece, rest = rest[:, : count * size], rest[:, count * size :]
        own[target] = piece.reshape(len(rows), count, size)
    return weights, present, own


def figures_alone(
    task: SentimentTask,
    answers: Mapping[Target, tuple[Tensor, Tensor, Tensor]],
    index: Tensor,
    present: Tensor,
    own: Mapping[Target, Tensor],
) -> dict[str, dict[str, float]]:
    """Return the headline figures of each modality's own head, where it is present.

    Args:
        task: The model.
        answers: Index, truth and answers of the samples whose truth is known, by target.
        index: int64 ``(N,)``, of all samples, ascending.
        present: bool ``(N, M)``.
        own: Answers ``(N, M, …)`` by target.
    """
    assert task.answers is not None
    found: dict[str, dict[str, float]] = {}
    for place, name in enumerate(task.names):
        found[name] = {"samples": float(present[:, place].sum())}
        for target, metric in task.answers.figures().items():
            metric.sync_on_compute = False
            rows, label, _ = answers[target]
            at = torch.searchsorted(index, rows)
            keep = present[at, place]
            if bool(keep.any()):
                said = own[target][at[keep], place]
                flat = target == "score" and not isinstance(metric, AffectFigures)
                metric.update(rows[keep], label[keep], said[:, 0] if flat else said)
                figures = figures_of(metric)
                found[name] |= {k: v for k, v in figures.items() if k in HEADLINES[target]}
    return found


def _per_file(
    part: SentimentSet, answers: Mapping[Target, tuple[Tensor, Tensor, Tensor]]
) -> dict[str, float]:
    """Return the concordance per file, where files have several utterances."""
    if "affect" not in answers:
        return {}
    index, truth, said = answers["affect"]
    utterances = part.utterances
    files = np.array([utterances[row].path or utterances[row].id for row in index.tolist()])
    if len(set(files.tolist())) in (0, len(files)):
        return {}
    found = {}
    for column, name in enumerate(AFFECT):
        known = ~truth[:, column].isnan()
        figure, _ = file_concordance(
            said[known, column], truth[known, column], files[known.numpy()]
        )
        found[f"ccc_file_{name}"] = figure
    return found


@functools.lru_cache(maxsize=1)
def _groups(part: SentimentSet) -> list[str] | None:
    """Return the group of each utterance, None where there are too few to resample."""
    groups = [utterance.group for utterance in part.utterances]
    return groups if all(groups) and len(set(groups)) >= LEAST_GROUPS else None


def _general(why: str) -> str:
    """Return a reason without the numbers that make it another one for each file."""
    return why.split(":")[0] if "cannot be read" in why else why.split(" between ")[0]


def figures_table(card: Mapping[str, Any], target: Target) -> Table:
    """Return a target's headline figures: of the model, each modality's own head, and constants."""
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    metrics, alone = card["metrics"], card["alone"]
    columns = [name for name in HEADLINES[target] if name in metrics]
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    rows = [("model", metrics)]
    if len(alone) > 1:
        rows += [(f"{name}'s own head", alone[name]) for name in alone]
    for label, prefix in (
        ("most frequent class", "majority_"),
        ("training mean", "mean_"),
        ("training median", "median_"),
    ):
        rows.append((label, {name: metrics.get(f"{prefix}{name}") for name in columns}))
    for label, found in rows:
        cells = [found.get(name) for name in columns]
        if any(cell is not None for cell in cells):
            table.add_row(label, *("–" if cell is None else f"{cell:.3f}" for cell in cells))
    return table


def print_whole(table: Table) -> None:
    """Print a table of columns that do not wrap; lines too long for the terminal wrap there.

    Rich would cut the cells instead, and a figure that is cut is lost or a wrong one.
    """
    console = Console()
    least = Measurement.get(console, console.options.update(max_width=10_000), table).maximum
    console.width = max(console.width, least)
    console.print(table)


def headline(card: Mapping[str, Any]) -> str:
    """Return what decides a card's figures in a few lines."""
    lines = [
        f"{card['num_scored']} of {card['num_samples']} utterances; split: {card['division']}."
    ]
    if card["intervals_95"]:
        ends = "; ".join(f"{n} {a:.3f} to {b:.3f}" for n, (a, b) in card["intervals_95"].items())
        lines.append(f"95 % intervals over {card['interval_over']}: {ends}.")
    lacking = {n: card["num_scored"] - have for n, have in card["num_with"].items()}
    if any(lacking.values()):
        said = ", ".join(f"{n} of {count}" for n, count in lacking.items() if count)
        lines.append(f"Missing: {said} utterances.")
    lines.append(f"Protocol: {card['protocol']}.")
    return "\n".join(lines)


def write_samples(
    path: Path,
    ids: Sequence[str],
    answers: Mapping[Target, tuple[Tensor, Tensor, Tensor]],
    names: Sequence[str],
) -> None:
    """Write one row per utterance: truth and answer of each target."""
    rows: dict[int, dict[str, str]] = collections.defaultdict(dict)
    for target, (index, label, said) in answers.items():
        for row, truth, answer in zip(index.tolist(), label.tolist(), said.tolist(), strict=True):
            if target == "classes":
                best = int(np.argmax(answer))
                rows[row] |= {
                    "label": names[truth],
                    "predicted": names[best],
                    "probability": f"{answer[best]:.4f}",
                }
                continue
            names_of: tuple[str, ...] = ("score",) if target == "score" else AFFECT
            for name, one, two in zip(names_of, truth, answer, strict=True):
                rows[row] |= {f"true_{name}": f"{one:.4f}", name: f"{two:.4f}"}
    columns = list(dict.fromkeys(key for cells in rows.values() for key in cells))
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as handle:
        writer = csv.DictWriter(handle, ["utterance", *columns], restval="")
        writer.writeheader()
        for row in sorted(rows):
            writer.writerow({"utterance": ids[row], **rows[row]})
