"""Figures per video, gathered over all processes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


class VideoFigures(Metric):
    """Some figures of each video, and their means over videos.

    A video that several processes saw, or one process twice, counts once: loaders for several
    processes repeat videos so that all have equally many.

    Args:
        names: What the figures are, as ``("tau", "rho", "f1")``.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    index: list[Tensor] | Tensor
    values: list[Tensor] | Tensor

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        for name in ("index", "values"):
            self.add_state(name, [], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        """Forget all videos."""
        super().reset()
        # torchmetrics gathers an empty list as float of shape (0,): a process without a video would
        # not fit the others. A first piece without rows has the right dtype and shape.
        self.index = [torch.empty(0, dtype=torch.int64, device=self.device)]
        self.values = [torch.empty(0, len(self.names), device=self.device)]

    def update(self, index: Tensor, values: Tensor) -> None:
        """Add a batch.

        Args:
            index: int64 ``(N,)``, the videos' positions in their split.
            values: float ``(N, K)``, a figure per name; NaN where a video has none.
        """
        assert isinstance(self.index, list)
        assert isinstance(self.values, list)
        assert values.shape == (len(index), len(self.names))
        self.index.append(index.to(self.device))
        self.values.append(values.detach().to(self.device, torch.float32))

    def compute(self) -> tuple[Tensor, Tensor]:
        """Return each video once, in the order of the index.

        Returns:
            Index int64 ``(N,)`` and values float32 ``(N, K)``.
        """
        index, values = dim_zero_cat(self.index), dim_zero_cat(self.values)
        order = torch.argsort(index, stable=True)
        ordered = index[order]
        first = torch.ones_like(ordered, dtype=torch.bool)
        first[1:] = ordered[1:] != ordered[:-1]
        kept = order[first]
        return index[kept], values[kept]

    def means(self) -> dict[str, float]:
        """Return the mean of each figure over the videos that have it; NaN where none has."""
        _, values = self.compute()
        return dict(zip(self.names, values.double().nanmean(0).tolist(), strict=True))

    def missing(self) -> dict[str, int]:
        """Return how many videos lack each figure, so that no mean hides them."""
        _, values = self.compute()
        return dict(zip(self.names, values.isnan().sum(0).tolist(), strict=True))

    def _wrap_compute(self, compute: Callable[..., Any]) -> Callable[..., Any]:
        """Undo torchmetrics' squeezing of results: one video is still a row."""
        squeezed = super()._wrap_compute(compute)

        @functools.wraps(compute)
        def compute_rows() -> tuple[Tensor, Tensor]:
            index, values = squeezed()
            return index.reshape(-1), values.reshape(-1, len(self.names))

        return compute_rows
