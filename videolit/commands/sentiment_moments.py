"""From windows that overlap to moments that do not, and to stretches of one label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from videolit.ops.segments import moment_scores
from videolit.types import AFFECT

Floats = NDArray[np.float64]
Interval = tuple[float, float]

POLARITIES = ("negative", "neutral", "positive")
# Scores that are rounded to 0 on the scale of CMU-MOSI, -3 to 3 (Zadeh et al. 2016,
# arXiv:1606.06259), as a share of half of the scale.
_NEUTRAL = 0.5 / 3


class Moments(NamedTuple):
    """What holds between neighbouring edges of windows: the mean of the windows that cover it.

    Windows without any modality count for nothing; a moment that no other covers is NaN.

    Attributes:
        edges: ``(M + 1,)`` seconds, ascending.
        probabilities: ``(M, K)`` of the classes; K may be 0.
        score: ``(M,)``; None = the model tells none.
        affect: ``(M, 2)``, valence and arousal; None likewise.
        weights: ``(M, N)``, each modality's share in the answers.
        used: ``(M, N)``, the share of the windows that have the modality.
        labels: ``(M,)`` int64, which name holds; -1 = not known.
        names: What labels count: the classes, or :data:`POLARITIES`.
    """

    edges: Floats
    probabilities: Floats
    score: Floats | None
    affect: Floats | None
    weights: Floats
    used: Floats
    labels: NDArray[np.int64]
    names: tuple[str, ...]


def polarity(value: float, bounds: Interval) -> str:
    """Return which of :data:`POLARITIES` a score or a valence is.

    Neutral is what lies within a sixth of half of the scale from its middle: what is rounded to 0
    on a scale from -3 to 3.
    """
    return POLARITIES[int(_polarities(np.array([value]), bounds)[0])]


def _polarities(values: Floats, bounds: Interval) -> NDArray[np.int64]:
    half = (bounds[1] - bounds[0]) / 2
    off = (values - (bounds[0] + bounds[1]) / 2) / half
    return (off >= -_NEUTRAL).astype(np.int64) + (off > _NEUTRAL)


def label_source(model: Mapping[str, Any]) -> str:
    """Return what labels are made of: ``"classes"``, ``"score"``, or ``"valence"``."""
    if model["classes"]:
        return "classes"
    return "score" if model["score_range"] else "valence"


def moments_of(record: Mapping[str, Any]) -> Moments:
    """Return the moments of a record.

    Args:
        record: As :func:`videolit.commands.sentiment.find_sentiment` describes it.
    """
    model, known = record["model"], [w for w in record["windows"] if w["label"] is not None]
    classes, modalities = model["classes"], model["modalities"]
    columns = [
        *([window["probabilities"][name] for window in known] for name in classes),
        *([window[name] for window in known] for name in _numbers(model)),
        *([w["modalities"][name].get("weight", 0.0) for w in known] for name in modalities),
        *([float(w["modalities"][name]["used"]) for w in known] for name in modalities),
    ]
    start, end = (np.array([window[side] for window in known]) for side in ("start", "end"))
    if known:
        edges, values = moment_scores(start, end, np.array(columns, np.float64).T)
    else:
        edges = np.array([0.0, record["source"]["duration"]])
        values = np.full((1, len(columns)), np.nan)
    numbers, count = _numbers(model), len(modalities)
    parts = np.split(values, np.cumsum([len(classes), len(numbers), count]), 1)
    named = dict(zip(numbers, parts[1].T, strict=True))
    source = label_source(model)
    lost = np.isnan(values).any(1)
    if source == "classes":
        labels = np.nan_to_num(parts[0]).argmax(1)
    else:
        bounds = model["score_range" if source == "score" else "affect_range"]
        labels = _polarities(np.nan_to_num(named[source]), bounds)
    return Moments(
        edges,
        parts[0],
        named.get("score"),
        np.stack([named[name] for name in AFFECT], 1) if "valence" in named else None,
        parts[2],
        parts[3],
        np.where(lost, -1, labels).astype(np.int64),
        tuple(classes) if source == "classes" else POLARITIES,
    )


def stretches_of(moments: Moments) -> list[dict[str, Any]]:
    """Return the stretches in which one label holds, in order.

    Returns:
        Each with ``start`` and ``end`` in seconds, ``label``, and the means over its time:
        ``probability`` of the label, ``score``, ``valence`` and ``arousal``, as far as told.
    """
    labels, lengths = moments.labels, np.diff(moments.edges)
    changes = np.flatnonzero(np.diff(labels)) + 1
    found = []
    for first, stop in zip([0, *changes.tolist()], [*changes.tolist(), len(labels)], strict=True):
        label = int(labels[first])
        if label < 0:
            continue
        part: dict[str, Any] = {
            "start": rounded(moments.edges[first]),
            "end": rounded(moments.edges[stop]),
            "label": moments.names[label],
        }
        columns: dict[str, Floats] = {}
        if moments.probabilities.shape[1]:
            columns["probability"] = moments.probabilities[:, label]
        if moments.score is not None:
            columns["score"] = moments.score
        if moments.affect is not None:
            columns |= dict(zip(AFFECT, moments.affect.T, strict=True))
        for name, values in columns.items():
            part[name] = rounded(np.average(values[first:stop], weights=lengths[first:stop]))
        found.append(part)
    return found


def shares_of(stretches: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, float]:
    """Return each label's share of the time that has one, largest first, without those at 0."""
    seconds = dict.fromkeys(names, 0.0)
    for part in stretches:
        seconds[part["label"]] += part["end"] - part["start"]
    total = sum(seconds.values())
    ranked = sorted(seconds.items(), key=lambda item: -item[1])
    return {name: rounded(length / total) for name, length in ranked if length}


def mean_weights(record: Mapping[str, Any]) -> dict[str, float]:
    """Return each modality's mean weight, 0 in a window without it.

    Windows that have no modality at all count for nothing, so the weights sum to 1; where all are
    such windows, they are 0.

    Args:
        record: As :func:`videolit.commands.sentiment.find_sentiment` describes it.
    """
    known = [each["modalities"] for each in record["windows"] if each["label"] is not None]
    return {
        name: sum(own[name].get("weight", 0.0) for own in known) / max(len(known), 1)
        for name in record["model"]["modalities"]
    }


def rounded(value: float) -> float:
    """Return a number as files have it."""
    return round(float(value), 6)


def _numbers(model: Mapping[str, Any]) -> list[str]:
    """Return which numbers a model tells."""
    return ["score"] * bool(model["score_range"]) + list(AFFECT) * bool(model["affect_range"])
