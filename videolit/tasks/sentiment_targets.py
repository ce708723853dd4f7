"""What a sentiment model answers (classes, a score, valence and arousal) and how it is measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from videolit.metrics import (
    AffectFigures,
    EmotionFigures,
    SampleScores,
    SentimentFigures,
    affect_figures,
    emotion_figures,
    figure_notes,
    majority_scores,
    mean_predictor,
    median_predictor,
    regression_figures,
)
from videolit.ops.affect_losses import (
    concordance_loss,
    count_weights,
    masked_cross_entropy,
    multitask_loss,
    regression_loss,
)
from videolit.tasks.classes import label_order
from videolit.types import AFFECT, InputError, SentimentBatch, SentimentTargets

Target = Literal["classes", "score", "affect"]
Convention = Literal["emotion", "mosi", "mosei", "sims", "affect"]
Interval = tuple[float, float]

_CLASS_NOTES = {
    "war": "weighted average recall, which is accuracy",
    "uar": "recall averaged over the classes that occur",
    "weighted_f1": "F1 of each class, weighted by its true samples, all samples of the split",
    "macro_f1": "F1 averaged over the classes that occur as truth or answer",
    "chance_uar": "what any constant answer has as uar",
    "answered": "how many classes are answered at all",
    "majority_": "always the most frequent class of the training split",
}
_NUMBER_NOTES = {
    "ccc": "mean over valence and arousal of the concordance (Lin 1989) of all samples pooled",
    **{
        f"{figure}_{name}": f"{said} of {name}, all samples pooled"
        for name in (*AFFECT, "score")
        for figure, said in (
            ("ccc", "concordance correlation (Lin 1989)"),
            ("corr", "Pearson's correlation"),
            ("mae", "mean absolute error"),
            ("mse", "mean squared error"),
        )
    },
    **{f"ccc_file_{name}": f"mean over files of the concordance of {name}" for name in AFFECT},
    "mean_": "always the mean of the training split",
}
# Of figures that a constant answer cannot have, or that count.
_NO_BASELINE = ("corr", "ccc", "undefined", "constant", "count", "chance", "answered", "f1/", "rec")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answers:
    """The targets of a model, and the place of each in the numbers that a head returns.

    Args:
        weights: Weight of each target in the loss, at least 0.
        class_names: Names in label order; empty without classes.
        score_range: Lowest and highest score; None without.
        affect_range: Lowest and highest valence and arousal; None without.
        convention: Which published figures belong to the data.

    Raises:
        InputError: If a target is unknown, or what it needs to know of the data is not known.
    """

    weights: Mapping[str, float]
    class_names: Sequence[str] = ()
    score_range: Interval | None = None
    affect_range: Interval | None = None
    convention: Convention = "emotion"

    def __post_init__(self) -> None:
        """Check that the data has what is asked for."""
        strange = [name for name in self.weights if name not in get_args(Target)]
        if strange or not self.weights or min(self.weights.values()) < 0:
            raise InputError(
                "targets must be some of classes, score and affect, each with a weight of at least "
                f"0, got {dict(self.weights)}"
            )
        require_told(self.weights, self.class_names, self.score_range, self.affect_range)

    @property
    def sizes(self) -> dict[Target, int]:
        """How many numbers of a head belong to each target, in their order."""
        counts: dict[Target, int] = {"classes": len(self.class_names), "score": 1, "affect": 2}
        return {name: count for name, count in counts.items() if name in self.weights}

    def read(self, outputs: Tensor) -> dict[Target, Tensor]:
        """Return what the numbers of a head say.

        Args:
            outputs: float ``(..., O)``, O the sum of :attr:`sizes`.

        Returns:
            float32: ``classes``, logits ``(..., K)``; ``score`` ``(...)`` and ``affect``
            ``(..., 2)`` on the data's scale: 0 is its middle, ±1 are its ends.
        """
        parts = torch.split(outputs.float(), list(self.sizes.values()), -1)
        found: dict[Target, Tensor] = dict(zip(self.sizes, parts, strict=True))
        if "score" in found:
            assert self.score_range is not None
            found["score"] = _scaled(found["score"][..., 0], self.score_range)
        if "affect" in found:
            assert self.affect_range is not None
            found["affect"] = _scaled(found["affect"], self.affect_range)
        return found

    def figures(self) -> dict[Target, SampleScores]:
        """Return new metrics, one for each target."""
        found: dict[Target, SampleScores] = {}
        if "classes" in self.weights:
            found["classes"] = EmotionFigures(self.class_names)
        if "score" in self.weights:
            convention = self.score_convention
            found["score"] = (
                AffectFigures(("score",)) if convention is None else SentimentFigures(convention)
            )
        if "affect" in self.weights:
            found["affect"] = AffectFigures(AFFECT)
        return found

    @property
    def score_convention(self) -> Literal["mosi", "mosei", "sims"] | None:
        """The convention of figures of the score; None = errors and correlations only."""
        if self.convention in ("mosi", "mosei", "sims"):
            return self.convention
        # Of one's own data: by the scale.
        match self.score_range:
            case (-3, 3):
                return "mosi"
            case (-1, 1):
                return "sims"
        return None


def untold(
    weights: Mapping[str, float],
    class_names: Sequence[str],
    score_range: Interval | None,
    affect_range: Interval | None,
) -> list[str]:
    """Return targets of which the data tells nothing; arguments as of :class:`Answers`."""
    has = {
        "classes": len(class_names) > 0,
        "score": score_range is not None,
        "affect": affect_range is not None,
    }
    return [name for name in weights if not has.get(name, True)]


def require_told(
    weights: Mapping[str, float],
    class_names: Sequence[str],
    score_range: Interval | None,
    affect_range: Interval | None,
) -> None:
    """Refuse targets of which the data tells nothing; arguments as of :class:`Answers`.

    Raises:
        InputError: Names what is lacking and what there is.
    """
    known = (class_names, score_range, affect_range)
    if lacking := untold(weights, *known):
        every = dict.fromkeys(("classes", "score", "affect"), 1.0)
        there = ", ".join(name for name in every if name not in untold(every, *known)) or "nothing"
        raise InputError(
            f"the model is to learn {', '.join(lacking)}, and the data tells {there}: set "
            "--model.targets, or take other data"
        )


def _scaled(outputs: Tensor, bounds: Interval) -> Tensor:
    low, high = bounds
    return outputs * ((high - low) / 2) + (low + high) / 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnswerLoss:
    """The loss of each target.

    Args:
        score_loss: ``"l1"``, or ``"huber"``.
        huber_delta: Errors up to this, on the data's scale, count by their square.
        label_smoothing: Share of each label that is spread over all classes.

    Raises:
        InputError: If a setting is out of its range.
    """

    score_loss: Literal["l1", "huber"] = "l1"
    huber_delta: float = 1.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.score_loss not in ("l1", "huber") or not self.huber_delta > 0:
            raise InputError(
                "score_loss must be 'l1' or 'huber' and huber_delta above 0, got "
                f"{self.score_loss!r} and {self.huber_delta}"
            )
        if not 0 <= self.label_smoothing < 1:
            raise InputError(f"label_smoothing must lie in [0, 1), got {self.label_smoothing}")

    def __call__(
        self,
        found: Mapping[Target, Tensor],
        batch: SentimentBatch,
        label: Tensor,
        counted: Tensor,
        weights: Mapping[str, float],
        class_weights: Tensor | None,
    ) -> Tensor:
        """Return the weighted sum over targets, a scalar.

        Args:
            found: What :meth:`Answers.read` returns of a batch.
            batch: The truth.
            label: int64 ``(B,)``, the batch's labels in the order of the model's classes.
            counted: bool ``(B,)``, samples that count.
            weights: Weight of each target.
            class_weights: float ``(K,)``; None = all 1.
        """
        losses: dict[str, Tensor] = {}
        if "classes" in found:
            losses["classes"] = masked_cross_entropy(
                found["classes"],
                label,
                counted & (label >= 0),
                weight=class_weights,
                smoothing=self.label_smoothing,
            )
        if "score" in found:
            known = counted & ~batch["score"].isnan()
            delta = self.huber_delta if self.score_loss == "huber" else None
            losses["score"] = regression_loss(found["score"], batch["score"], known, delta=delta)
        if "affect" in found:
            known = counted[:, None] & ~batch["affect"].isnan()
            losses["affect"] = concordance_loss(found["affect"], batch["affect"], known)
        return multitask_loss(losses, weights)


def update_figures(
    figures: Mapping[Target, SampleScores],
    found: Mapping[Target, Tensor],
    batch: SentimentBatch,
    label: Tensor,
    counted: Tensor,
) -> None:
    """Add a batch's answers to the metrics of :meth:`Answers.figures`; arguments as above."""
    truth = {"classes": label, "score": batch["score"], "affect": batch["affect"]}
    known = {
        "classes": label >= 0,
        "score": ~batch["score"].isnan(),
        "affect": ~batch["affect"].isnan().all(1),
    }
    for name, answer in found.items():
        keep = counted & known[name]
        if bool(keep.any()):
            said = answer.softmax(-1) if name == "classes" else answer
            rows, target = said[keep], truth[name][keep]
            metric = figures[name]
            if name == "score" and isinstance(metric, AffectFigures):
                rows, target = rows[:, None], target[:, None]
            metric.update(batch["index"][keep], target, rows)


def figures_of(metric: SampleScores) -> dict[str, float]:
    """Return the figures of a metric's samples, without those that no sample tells."""
    assert isinstance(metric, EmotionFigures | SentimentFigures | AffectFigures)
    return {name: value for name, value in metric.figures().items() if value == value}


def notes_of(target: Target, answers: Answers | None) -> dict[str, str]:
    """Return what the figures of a target mean, for the file that holds them."""
    if target == "score" and answers is not None and answers.score_convention is not None:
        return figure_notes(answers.score_convention)
    return dict(_CLASS_NOTES if target == "classes" else _NUMBER_NOTES)


def class_weights_of(
    chosen: float | list[float] | None, counts: Sequence[int], names: Sequence[str]
) -> Tensor | None:
    """Return the classes' weights in the loss, float ``(K,)``, None = all equal.

    Args:
        chosen: A power, see :func:`~videolit.ops.affect_losses.count_weights`; or a weight each.
        counts: Training samples of each class.
        names: The classes, for the error.

    Raises:
        InputError: If a list has another length.
    """
    if chosen is None:
        return None
    if isinstance(chosen, list):
        if len(chosen) != len(names):
            raise InputError(
                f"class_weights has {len(chosen)} numbers for {len(names)} classes: give one each, "
                f"in the order {', '.join(names)}"
            )
        return torch.tensor(chosen, dtype=torch.float32)
    return count_weights(counts, chosen)


def constants_of(
    targets: SentimentTargets, names: Sequence[str], known: Sequence[str]
) -> dict[str, list[float]]:
    """Return what a constant answer needs to know of the training split, as JSON types.

    Args:
        targets: What the split is said to be.
        names: The data's classes, in its label order.
        known: The model's classes, in its label order; none = it learns no classes.

    Returns:
        ``counts`` of the model's classes; ``mean`` and ``median`` of the score; ``affect``, the
        means of valence and arousal; what the split does not tell is left out.
    """
    found: dict[str, list[float]] = {}
    labels = targets.labels[targets.labels >= 0]
    if len(labels) and known:
        own = np.asarray(label_order(names, known), np.int64)[labels]
        found["counts"] = np.bincount(own, minlength=len(known)).tolist()
    if not np.isnan(targets.scores).all():
        for name, answer in (("mean", mean_predictor), ("median", median_predictor)):
            found[name] = answer(targets.scores, 1).tolist()
    if not np.isnan(targets.affect).all(axis=0).any():
        found["affect"] = mean_predictor(targets.affect, 1)[0].tolist()
    return found


def baseline_figures(
    target: Target, metric: SampleScores, constants: Mapping[str, Sequence[float]]
) -> dict[str, float]:
    """Return what constant answers get on the samples of a metric.

    Args:
        target: Which.
        metric: With the samples of a split.
        constants: What :func:`constants_of` returns.

    Returns:
        Of classes ``majority_war``, …: always the most frequent class of training. Of numbers
        ``mean_mae``, …: always the training mean; and ``median_mae``, the least that a constant
        can get.
    """
    _, truth, _ = metric.compute()
    count = len(truth)
    if count == 0:
        return {}
    if target == "classes" and "counts" in constants:
        counts = np.asarray(constants["counts"], np.int64)
        said = majority_scores(np.repeat(np.arange(len(counts)), counts), len(counts), count)
        return _named("majority", emotion_figures(said, truth))
    if target == "affect" and "affect" in constants:
        said = np.repeat(np.asarray(constants["affect"], np.float64)[None], count, axis=0)
        return _named("mean", affect_figures(said, truth, mask=~truth.isnan()))
    if target == "score" and "mean" in constants:
        found: dict[str, float] = {}
        for name in ("mean", "median"):
            said = np.full(count, constants[name][0])
            if isinstance(metric, SentimentFigures):
                figures = regression_figures(said, truth[:, 0], metric.convention)
            else:
                figures = affect_figures(said[:, None], truth, ("score",))
            named = _named(name, figures)
            if name == "median":
                named = {key: value for key, value in named.items() if "mae" in key}
            found |= named
        return found
    return {}


def _named(prefix: str, figures: Mapping[str, float]) -> dict[str, float]:
    return {
        f"{prefix}_{name}": value
        for name, value in figures.items()
        if value == value and not name.startswith(_NO_BASELINE)
    }
