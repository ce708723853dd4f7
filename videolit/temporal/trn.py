"""Relations between steps."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import torch
from torch import Tensor, nn

from videolit.ops.checks import check_dropout, check_least
from videolit.temporal.base import TemporalModel


class TRN(TemporalModel):
    """A temporal relation network over several scales (Zhou et al. 2018, arXiv:1711.08496).

    A relation of scale k looks at k steps in their order (equation 2); here the means over the
    tuples of each scale are averaged, so that clips of any length have one scale of values, and a
    scale of one step stands for clips too short for another. Which tuples are looked at depends on
    the number of real steps only.

    Args:
        in_features: D, the size of the encoder's features.
        hidden_size: Size of what is made of each step, and of each relation.
        num_scales: Largest number of steps of a relation, from 1.
        max_tuples: Tuples of a scale at most; of more possible ones as many are drawn, always the
            same.
        dropout: Probability of dropping a feature of a relation.

    Raises:
        InputError: If a number is out of its range.
    """

    def __init__(
        self,
        in_features: int,
        hidden_size: int = 128,
        num_scales: int = 8,
        max_tuples: int = 16,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(in_features, hidden_size)
        check_least(("num_scales", num_scales, 1), ("max_tuples", max_tuples, 1))
        check_dropout(dropout)
        self.hidden_size = hidden_size
        self.num_scales = num_scales
        self.max_tuples = max_tuples
        self.dropout = dropout
        self.enter = nn.Linear(in_features, hidden_size)
        self.relations = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                nn.Linear(steps * hidden_size, hidden_size),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(hidden_size, hidden_size),
            )
            for steps in range(1, num_scales + 1)
        )

    def run(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return each step in the size of the relations, ``(B, T, num_features)``."""
        found: Tensor = self.enter(features)
        return found

    def pool(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return the mean of the relations of all scales, ``(B, num_features)``."""
        lengths = mask.sum(1)
        pooled = sequence.new_zeros(len(sequence), self.num_features)
        for length in sorted(set(lengths.tolist())):
            rows = lengths == length
            steps = sequence[rows, :length]
            scales = [
                relation(steps[:, _tuples(length, size, self.max_tuples)].flatten(2)).mean(1)
                for size, relation in enumerate(self.relations[:length], 1)
            ]
            pooled = pooled.index_put((rows,), torch.stack(scales).mean(0).to(pooled.dtype))
        if self.training:
            # DDP waits for a gradient of each weight, also of scales longer than all clips.
            unused = self.relations[int(lengths.max()) :]
            pooled = pooled + 0 * sum(p.sum() for p in unused.parameters())
        return pooled


@functools.lru_cache(maxsize=1024)
def _tuples(length: int, size: int, most: int) -> list[list[int]]:
    """Return ascending positions of ``size`` steps out of ``length``, at most ``most`` of them.

    Each step is in one of them at least where that can be.
    """
    if math.comb(length, size) <= most:
        return [list(found) for found in itertools.combinations(range(length), size)]
    generator = np.random.Generator(np.random.PCG64([length, size]))
    # Dealing out all steps, again and again, before any comes twice as often as another.
    drawn: set[tuple[int, ...]] = set()
    hand: list[int] = []
    while len(drawn) < most:
        if len(hand) < size:
            rest = [step for step in generator.permutation(length).tolist() if step not in hand]
            hand += rest
        drawn.add(tuple(sorted(hand[:size])))
        hand = hand[size:]
    return [list(found) for found in sorted(drawn)]
