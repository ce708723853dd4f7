"""The report of a test as one HTML file: figures, curves, confusions, and clips to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from videolit.callbacks.audit import TemporalAudit
from videolit.callbacks.context import callbacks_of, task_of
from videolit.callbacks.evaluation import EvaluationCard, card_path
from videolit.plots import (
    Report,
    confusion_figure,
    read_history,
    reliability_figure,
    training_curves,
)
from videolit.plots.clips import choose_frames
from videolit.types import InputError, VideoBatch

# Pairs of confused classes of which a clip is kept during a test; rarer ones give way.
MOST_PAIRS = 40
# Frames of a clip on the page.
SHOWN_FRAMES = 6


class ShownClip(NamedTuple):
    """A clip for the report.

    Attributes:
        frames: uint8 ``(T, H, W, 3)`` RGB.
        name: Its file.
        label: Its true class.
        ranked: Classes and probabilities, likeliest first.
    """

    frames: NDArray[np.uint8]
    name: str
    label: str
    ranked: list[tuple[str, float]]

    @property
    def right(self) -> bool:
        """Whether the likeliest class is the true one."""
        return self.ranked[0][0] == self.label


class TestReport(pl.Callback):
    """Write ``report-<data>-<split hash>.html`` after a test.

    Args:
        num_clips: Clips shown of those that the model got wrong (the surest of its mistakes), as
            many of those that it got right (one per class first), and as many of its most frequent
            mistakes, one each.
    """

    # Not a test class, whatever pytest makes of the name.
    __test__ = False

    def __init__(self, num_clips: int = 6) -> None:
        self.num_clips = num_clips
        self._wrong: list[ShownClip] = []
        self._right: dict[str, ShownClip] = {}
        # Of a pair of true and predicted class: how often so far, and its surest clip.
        self._pairs: dict[tuple[str, str], int] = {}
        self._confused: dict[tuple[str, str], ShownClip] = {}
        self._path: Path | None = None

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start over."""
        self._wrong, self._right = [], {}
        self._pairs, self._confused = {}, {}
        self._path = card_path(trainer, "report", "html")

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: VideoBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the clips that are worth a look."""
        if not trainer.is_global_zero:
            return
        assert isinstance(outputs, Mapping)
        names = task_of(pl_module).class_names or []
        if task_of(pl_module).multi_label:
            # Which of several labels was missed is in the table of samples.
            return
        for row, counts in enumerate(batch["sample_mask"].tolist()):
            if not counts:
                continue
            scores = outputs["scores"][row]
            best, label = int(scores.argmax()), names[int(outputs["label"][row])]
            sure = float(scores[best])
            right = names[best] == label
            if right and (label in self._right or len(self._right) >= self.num_clips):
                continue
            full = len(self._wrong) >= self.num_clips
            surer = not full or sure > self._wrong[-1].ranked[0][1]
            if not right:
                new = self._note_pair((label, names[best]), sure)
                if not surer and not new:
                    continue
            video = batch["video"][row]
            view = video[0] if video.ndim == 5 else video
            # Only what the page shows: many of these clips are kept until the end.
            shown = view[choose_frames(len(view), SHOWN_FRAMES)]
            frames = shown.movedim(1, -1).cpu().numpy()
            order = scores.argsort(descending=True)[:3].tolist()
            ranked = [(names[k], float(scores[k])) for k in order]
            clip = ShownClip(frames.copy(), batch["video_id"][row], label, ranked)
            if right:
                self._right[label] = clip
            else:
                if new:
                    self._confused[label, names[best]] = clip
                if not surer:
                    continue
                self._wrong.append(clip)
                self._wrong.sort(key=lambda shown: -shown.ranked[0][1])
                del self._wrong[self.num_clips :]

    def _note_pair(self, pair: tuple[str, str], sure: float) -> bool:
        """Count a mistake; return whether its clip is one to keep for the pair."""
        self._pairs[pair] = self._pairs.get(pair, 0) + 1
        if pair in self._confused:
            return sure > self._confused[pair].ranked[0][1]
        if len(self._confused) >= MOST_PAIRS:
            rarest = min(self._confused, key=lambda kept: self._pairs[kept])
            if self._pairs[rarest] >= self._pairs[pair]:
                return False
            del self._confused[rarest]
        return True

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the page."""
        if not trainer.is_global_zero:
            return
        assert self._path is not None
        callbacks = callbacks_of(trainer)
        cards = [c.card for c in callbacks if isinstance(c, EvaluationCard)]
        if not cards:
            raise InputError("TestReport shows what EvaluationCard finds: add both to callbacks")
        card = cards[0]
        audit = next((c.result for c in callbacks if isinstance(c, TemporalAudit)), None)
        report = Report(
            f"Test of {Path(card['checkpoint'] or 'a model').name} on {card['data']}",
            f"{card['model']['encoder']} + {card['model']['temporal']}, {card['created'][:10]}",
        )
        add_headline(report, card, audit)
        history = None
        if card["checkpoint"]:
            # Lightning's layout: <run>/checkpoints/best.ckpt beside <run>/metrics.csv.
            history = Path(card["checkpoint"]).parent.parent / "metrics.csv"
        add_details(report, card, history)
        if "most_confused" in card:
            add_confused(report, card, self._confused, self.num_clips)
            report.section("Clips that it got wrong", "The surest of its mistakes.")
            add_clips(report, self._wrong)
            report.section("Clips that it got right")
            add_clips(report, list(self._right.values()))
        add_protocol(report, card)
        report.save(self._path)
        print(f"Report to look at: {self._path}")


def add_headline(
    report: Report, card: Mapping[str, Any], audit: Mapping[str, Any] | None = None
) -> None:
    """Add the key numbers of a test, and what the audit says."""
    metrics = card["metrics"]
    facts: dict[str, Any] = {
        "macro F1": f"{metrics['macro_f1']:.3f}",
        "calibration error": f"{metrics['calibration_error']:.3f}",
        "samples": (f"{card['num_scored']}", f"of {card['num_samples']}"),
        "parameters": f"{card['parameters'] / 1e6:.2f} M",
    }
    if "map" in metrics:
        low, high = card["map_interval_95"]
        facts = {
            "test mAP": (f"{metrics['map']:.3f}", f"95 % interval {low:.3f} to {high:.3f}"),
            "chance": f"{metrics['chance_map']:.3f}",
            "micro F1": f"{metrics['micro_f1']:.3f}",
            **facts,
        }
    else:
        low, high = card["accuracy_interval_95"]
        facts = {
            "test accuracy": (
                f"{metrics['accuracy']:.1%}",
                f"95 % interval {low:.1%} to {high:.1%}",
            ),
            "mean class accuracy": f"{metrics['mean_class_accuracy']:.1%}",
            "majority baseline": f"{metrics['majority']:.1%}",
            **facts,
        }
    report.facts(facts)
    if card["num_scored"] < card["num_samples"]:
        report.note("Not all samples were scored: these figures are no result.", "warn")
    if card["num_seen_in_training"]:
        report.note(
            f"{card['num_seen_in_training']} of these samples were used in training or to choose "
            "the model: this accuracy is no result.",
            "warn",
        )
    if audit:
        sentence = audit["sentence"]
        report.note(sentence[0].upper() + sentence[1:], "info")


def add_details(
    report: Report, card: Mapping[str, Any], history: Path | None, *, of: str = ""
) -> None:
    """Add curves, confusion matrix and per-class table; ``of`` names the model in the headings."""
    ending = f": {of}" if of else ""
    if history is not None and history.is_file():
        report.section(f"Training{ending}")
        try:
            baseline = card["metrics"].get("majority")
            figure = training_curves(read_history(history), baseline=baseline)
            report.figure(
                figure,
                "Loss and score of each epoch.",
                "Curves of training and validation loss and score over the epochs",
            )
        except InputError as problem:
            report.note(f"No curves: {problem}", "warn")
    if "confusion" in card:
        report.section(f"Confusions{ending}")
        report.figure(
            confusion_figure(np.array(card["confusion"]), card["classes"]),
            "Rows are true classes, columns predicted ones; shares of each row.",
            "Confusion matrix",
        )
    else:
        report.section(f"Classes{ending}")
    report.table(card["per_class"], caption="Each class")
    report.section(f"Calibration{ending}", "Is an answer of 80 % right in 80 % of the cases?")
    error = card["metrics"]["calibration_error"]
    report.figure(
        reliability_figure(card["calibration"]),
        "Share of right answers by confidence. Dashed: as sure as right; thick lines: the gaps. "
        f"Expected calibration error {error:.3f} ({len(card['calibration'])} bins with answers).",
        "Reliability diagram: accuracy over confidence, and the number of answers",
    )


def add_confused(
    report: Report,
    card: Mapping[str, Any],
    clips: Mapping[tuple[str, str], ShownClip],
    most: int,
) -> None:
    """Add the mistakes made most often, with a clip of each."""
    report.section("Most confused", "The mistakes made most often, with the surest clip of each.")
    rows = card["most_confused"][:most]
    if not rows:
        report.note("No clip was taken for another class.", "info")
        return
    report.table(
        [{**row, "examples": ", ".join(row["examples"])} for row in rows],
        caption="True class and the class it was taken for",
    )
    add_clips(
        report,
        [clips[pair] for row in rows if (pair := (row["true"], row["predicted"])) in clips],
    )


def add_clips(report: Report, clips: Sequence[ShownClip]) -> None:
    """Add clips as frame strips with their predictions."""
    if not clips:
        report.note("None.", "info")
    for clip in clips:
        report.strip(clip.frames, clip.name, clip.right, predictions=clip.ranked, true=clip.label)


def add_protocol(report: Report, card: Mapping[str, Any]) -> None:
    """Add all that decides the figures."""
    report.section("Protocol", "The same weights give other figures under another protocol.")
    report.details(
        {
            "data": f"{card['data']}, split {card['split']}, hash {card['split_hash']}",
            "clips": card["protocol"],
            "average of views": card["average_of_views"],
            "decoder": card["decoder"],
            "interval": f"percentile bootstrap over {card['interval_over']}",
            "checkpoint": card["checkpoint"] or "weights in memory",
            "checkpoint SHA-256": card["checkpoint_sha256"] or "none",
            "precision": card["precision"],
            "devices": card["devices"],
            **card["versions"],
        }
    )
