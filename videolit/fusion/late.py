"""Fusion of predictions: each modality decides by itself, and the surer one counts more."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from videolit.fusion.base import Fusion, Stream, share


class LateFusion(Fusion):
    """A mean of the modalities' own predictions, by weights that are learnt for each sample.

    A small network tells from a modality's vector how far to trust it; a softmax over those
    present makes the weights. With one modality the result is that one's prediction. Each modality
    shows by its weight how much it decided, but what only two together tell is out of reach.

    Args:
        in_features: Feature size of each modality by its name.
        num_features: Size of the modalities' vectors.
        modality_dropout: Probability that a modality is dropped in training.
        dropout: Probability of dropping a feature.

    Raises:
        InputError: If a number is out of its range.
    """

    is_late = True
    has_weights = True

    def __init__(
        self,
        in_features: Mapping[str, int],
        num_features: int = 128,
        modality_dropout: float = 0.2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(in_features, num_features, modality_dropout, dropout)
        self.trust = nn.ModuleList(_score(num_features) for _ in self.names)

    def fuse(self, steps: list[Stream], parts: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Weigh what is kept; see :meth:`Fusion.fuse`."""
        scores = [network(parts[:, place]) for place, network in enumerate(self.trust)]
        weights = share(torch.cat(scores, 1), kept)
        return (parts * weights[:, :, None]).sum(1), weights


def _score(size: int) -> nn.Sequential:
    network = nn.Sequential(nn.Linear(size, max(size // 4, 1)), nn.Tanh())
    last = nn.Linear(max(size // 4, 1), 1)
    # All modalities count the same at first.
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return network.append(last)
