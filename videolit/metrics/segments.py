"""How well actions are found in time: mean average precision of segments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from videolit.ops.segments import temporal_iou
from videolit.types import InputError

# Columns of a row: which video, which class, start and end in seconds, and the score of a finding.
_TRUE, _FOUND = 4, 5


def segment_average_precision(
    found: ArrayLike, truth: ArrayLike, thresholds: Sequence[float] = (0.5,)
) -> NDArray[np.float64]:
    """Return the average precision of one class at each tIoU threshold.

    The definition of ActivityNet (Caba Heilbron et al. 2015, and the evaluation code of its
    challenge), which most results on THUMOS14 use too. Findings are taken by falling score, of
    equal ones by video, then the first. Each looks at the true segments of its video by falling
    intersection over union (tIoU) and takes the first that no earlier finding took; it is right if
    their tIoU is at least the threshold, else, or if none is left, wrong. Precision is made to fall
    with recall (each value becomes the highest at that recall or a larger one, as in PASCAL VOC
    2011), and the area under it is the result.

    Args:
        found: float ``(N, 4)``: video, start, end, score.
        truth: float ``(M, 3)``: video, start, end.
        thresholds: In (0, 1].

    Returns:
        float64, one value in [0, 1] for each threshold; NaN without a true segment.
    """
    predicted = np.asarray(found, np.float64).reshape(-1, 4)
    true = np.asarray(truth, np.float64).reshape(-1, 3)
    if len(true) == 0:
        return np.full(len(thresholds), np.nan)
    # Not by their order alone, which differs with the number of processes.
    predicted = predicted[np.lexsort((predicted[:, 0], -predicted[:, 3]))]
    rows = {video: np.flatnonzero(true[:, 0] == video) for video in np.unique(true[:, 0])}
    right = np.zeros((len(thresholds), len(predicted)), bool)
    taken = np.zeros((len(thresholds), len(true)), bool)
    for place, (video, start, end, _) in enumerate(predicted):
        near = rows.get(video)
        if near is None:
            continue
        overlap = temporal_iou(np.array([[start, end]]), true[near, 1:])[0]
        order = np.argsort(-overlap, kind="stable")
        for level, threshold in enumerate(thresholds):
            for choice in order[overlap[order] >= threshold]:
                if not taken[level, near[choice]]:
                    taken[level, near[choice]] = right[level, place] = True
                    break
    hits = np.cumsum(right, axis=1)
    precision = hits / np.arange(1, len(predicted) + 1)
    highest = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    # Recall rises by one true segment with each right finding and stays with a wrong one.
    area: NDArray[np.float64] = np.sum(highest * right, axis=1) / len(true)
    return area


def segment_map(
    found: ArrayLike, truth: ArrayLike, thresholds: Sequence[float] = (0.5,)
) -> NDArray[np.float64]:
    """Return the mean over the classes of :func:`segment_average_precision`.

    Args:
        found: float ``(N, 5)``: video, class, start, end, score.
        truth: float ``(M, 4)``: video, class, start, end. Only classes that occur here count.
        thresholds: In (0, 1], as 0.5; ActivityNet's average is over 0.5, 0.55, …, 0.95.

    Returns:
        float64, one value in [0, 1] for each threshold; NaN without a true segment.

    Raises:
        InputError: If a threshold is out of its range, or rows have other columns.
    """
    _check_thresholds(thresholds)
    predicted, true = _table(found, _FOUND, "found"), _table(truth, _TRUE, "truth")
    classes = np.unique(true[:, 1])
    if len(classes) == 0:
        return np.full(len(thresholds), np.nan)
    each = [
        segment_average_precision(
            predicted[predicted[:, 1] == label][:, [0, 2, 3, 4]],
            true[true[:, 1] == label][:, [0, 2, 3]],
            thresholds,
        )
        for label in classes
    ]
    mean: NDArray[np.float64] = np.mean(each, axis=0)
    return mean


class SegmentMAP(Metric):
    """Mean average precision of segments over all videos; see :func:`segment_map`.

    Args:
        thresholds: Of tIoU, in (0, 1].

    Raises:
        InputError: If a threshold is out of its range.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    found: list[Tensor] | Tensor
    truth: list[Tensor] | Tensor

    def __init__(self, thresholds: Sequence[float] = (0.5,)) -> None:
        super().__init__()
        _check_thresholds(thresholds)
        self.thresholds = tuple(thresholds)
        self.add_state("found", [], dist_reduce_fx="cat")
        self.add_state("truth", [], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        """Forget all segments."""
        super().reset()
        # A process without a video must still have as many columns as the others.
        self.found = [torch.empty(0, _FOUND, dtype=torch.float64, device=self.device)]
        self.truth = [torch.empty(0, _TRUE, dtype=torch.float64, device=self.device)]

    def update(self, found: Tensor, truth: Tensor) -> None:
        """Add videos, each of them once over all calls and processes.

        Args:
            found: float ``(N, 5)``: video, class, start, end, score.
            truth: float ``(M, 4)``: video, class, start, end.
        """
        assert isinstance(self.found, list)
        assert isinstance(self.truth, list)
        for rows, columns, name in ((found, _FOUND, "found"), (truth, _TRUE, "truth")):
            _table(rows.detach().cpu(), columns, name)
        self.found.append(found.detach().to(torch.float64).reshape(-1, _FOUND))
        self.truth.append(truth.detach().to(torch.float64).reshape(-1, _TRUE))

    def compute(self) -> Tensor:
        """Return float32, one value in [0, 1] for each threshold; NaN without a true segment."""
        found, truth = (dim_zero_cat(rows).cpu().numpy() for rows in (self.found, self.truth))
        return torch.tensor(segment_map(found, truth, self.thresholds), dtype=torch.float32)


def _table(rows: ArrayLike, columns: int, name: str) -> NDArray[np.float64]:
    """Return rows as float64 ``(N, columns)``; refuse what is none."""
    table = np.asarray(rows, np.float64)
    if table.size == 0:
        return np.empty((0, columns))
    if table.ndim != 2 or table.shape[1] != columns:
        raise InputError(
            f"{name} must have {columns} columns (video, class, start, end"
            f"{', score' if columns == _FOUND else ''}), got shape {table.shape}"
        )
    if (table[:, 3] < table[:, 2]).any():
        raise InputError(f"{name} has a segment that ends before it starts")
    return table


def _check_thresholds(thresholds: Sequence[float]) -> None:
    if not thresholds or not all(0 < threshold <= 1 for threshold in thresholds):
        raise InputError(f"tIoU thresholds lie above 0 and at most at 1, got {list(thresholds)}")
