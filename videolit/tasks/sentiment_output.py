"""What a sentiment model returns for a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypedDict

from torch import Tensor

from videolit.tasks.sentiment_targets import Target
from videolit.types import SentimentBatch


class SentimentOutput(NamedTuple):
    """The numbers of a model's heads; M modalities in the order of :attr:`SentimentTask.names`.

    Attributes:
        fused: float ``(B, O)``, of all modalities together; see
            :meth:`~videolit.tasks.sentiment_targets.Answers.read`.
        own: float ``(B, M, O)``, of each modality alone.
        weights: float ``(B, M)``, each one's share; they sum to 1.
        present: bool ``(B, M)``, which of them a sample has.
    """

    fused: Tensor
    own: Tensor
    weights: Tensor
    present: Tensor


class SentimentPrediction(TypedDict):
    """What :meth:`SentimentTask.predict_step` returns for a batch, on the CPU.

    Attributes:
        modalities: M names, the order of what follows.
        probabilities: float32 ``(B, K)`` of the classes; None = the model knows none.
        score: float32 ``(B,)`` on the data's scale; None = the model tells none.
        affect: float32 ``(B, 2)``, valence and arousal on the data's scale; None likewise.
        own_probabilities: float32 ``(B, M, K)``, of each modality alone; it says nothing where the
            modality is not present.
        own_score: float32 ``(B, M)``.
        own_affect: float32 ``(B, M, 2)``.
        weights: float32 ``(B, M)``, each modality's share in the answer.
        present: bool ``(B, M)``.
        missing: why a modality is missing, by its name.
        index: int64 ``(B,)``.
        sample_mask: bool ``(B,)``; False = repeats another sample, or nothing could be read.
        video_id: names of the utterances.
        error: why nothing could be read, ``""`` when something could.
    """

    modalities: tuple[str, ...]
    probabilities: Tensor | None
    score: Tensor | None
    affect: Tensor | None
    own_probabilities: Tensor | None
    own_score: Tensor | None
    own_affect: Tensor | None
    weights: Tensor
    present: Tensor
    missing: list[dict[str, str]]
    index: Tensor
    sample_mask: Tensor
    video_id: list[str]
    error: list[str]


def prediction(
    modalities: tuple[str, ...],
    output: SentimentOutput,
    fused: Mapping[Target, Tensor],
    own: Mapping[Target, Tensor],
    batch: SentimentBatch,
) -> SentimentPrediction:
    """Return what the heads say in numbers of the data's scale, on the CPU.

    Args:
        modalities: Their names.
        output: Of the model.
        fused: What :meth:`~videolit.tasks.sentiment_targets.Answers.read` makes of the fused head.
        own: What it makes of the modalities' heads.
        batch: What the model was given.
    """
    together, alone = _shown(fused), _shown(own)
    return {
        "modalities": modalities,
        "probabilities": together.get("classes"),
        "score": together.get("score"),
        "affect": together.get("affect"),
        "own_probabilities": alone.get("classes"),
        "own_score": alone.get("score"),
        "own_affect": alone.get("affect"),
        "weights": output.weights.float().cpu(),
        "present": output.present.cpu(),
        "missing": batch["missing"],
        "index": batch["index"].cpu(),
        "sample_mask": batch["sample_mask"].cpu(),
        "video_id": batch["video_id"],
        "error": batch["error"],
    }


def _shown(found: Mapping[Target, Tensor]) -> dict[Target, Tensor]:
    """Return probabilities in the place of logits, all on the CPU."""
    return {
        name: (answer.softmax(-1) if name == "classes" else answer).cpu()
        for name, answer in found.items()
    }
