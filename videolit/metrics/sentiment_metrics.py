"""Figures of sentiment, emotion and affect, gathered over all processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from videolit.metrics.affect import affect_figures
from videolit.metrics.classification import SampleScores
from videolit.metrics.emotion import emotion_figures
from videolit.metrics.sentiment import Convention, figure_notes, regression_figures


class SentimentFigures(SampleScores):
    """Figures of sentiment scores; see :func:`videolit.metrics.regression_figures`.

    A sample that several processes saw, or one process twice, counts once: loaders for several
    processes repeat samples so that all have equally many.

    Args:
        convention: The dataset's, ``"mosi"``, ``"mosei"`` or ``"sims"``.
    """

    def __init__(self, convention: Convention = "mosi") -> None:
        figure_notes(convention)
        super().__init__(1, several=True)
        self.convention: Convention = convention

    def update(self, index: Tensor, label: Tensor, scores: Tensor) -> None:
        """Add a batch.

        Args:
            index: int64 ``(N,)``, the samples' positions in their split.
            label: float ``(N,)``, the true scores.
            scores: float ``(N,)``, the predicted ones.
        """
        super().update(index, label.float().reshape(-1, 1), scores.reshape(-1, 1))

    def figures(self) -> dict[str, float]:
        """Return the figures of all samples of all processes.

        Raises:
            InputError: If a number is not finite or a true score is outside the convention's range.
        """
        _, target, preds = self.compute()
        return regression_figures(preds[:, 0], target[:, 0], self.convention)


class EmotionFigures(SampleScores):
    """Figures of emotion classes; see :func:`videolit.metrics.emotion_figures`.

    Args:
        class_names: K names.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        super().__init__(len(class_names))
        self.class_names = tuple(class_names)

    def figures(self, folds: Sequence[Any] | ArrayLike | None = None) -> dict[str, float]:
        """Return the figures of all samples of all processes, those of each class included.

        Args:
            folds: ``(N,)``, each sample's fold, in the order of the index.

        Raises:
            InputError: If a score is not finite or a label is not in [0, K).
        """
        _, label, scores = self.compute()
        return emotion_figures(scores, label, class_names=self.class_names, folds=folds)


class AffectFigures(SampleScores):
    """Figures of continuous targets; see :func:`videolit.metrics.affect_figures`.

    Args:
        names: K names.
    """

    def __init__(self, names: Sequence[str] = ("valence", "arousal")) -> None:
        super().__init__(len(names), several=True)
        self.names = tuple(names)

    def update(
        self, index: Tensor, label: Tensor, scores: Tensor, mask: Tensor | None = None
    ) -> None:
        """Add a batch.

        Args:
            index: int64 ``(N,)``, the samples' positions in their split.
            label: float ``(N, K)``, the true values.
            scores: float ``(N, K)``, the predicted ones.
            mask: bool ``(N, K)``, where the truth is known; None = where it is not NaN.
        """
        label = label.float()
        if mask is not None:
            label = torch.where(mask, label, torch.nan)
        super().update(index, label, scores)

    def figures(self, files: Sequence[Any] | ArrayLike | None = None) -> dict[str, float]:
        """Return the figures of all samples of all processes.

        Args:
            files: ``(N,)``, each sample's file, in the order of the index.

        Raises:
            InputError: If a prediction or a known truth is not finite.
        """
        _, target, preds = self.compute()
        return affect_figures(preds, target, self.names, files=files, mask=~target.isnan())
