"""What makes a set of frames a good summary when nobody has said so (Zhou et al. 2018, DR-DSN)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Rows of a distance matrix at once, so that memory grows with the length and not its square.
_ROWS = 1024


def diversity(features: Tensor, chosen: Tensor, far: int = 20) -> Tensor:
    """Return how different the chosen steps are (equation 4): the mean of 1 - cosine of two.

    Args:
        features: float ``(T, D)``.
        chosen: int64 ``(K,)``, steps in order.
        far: Steps further apart than this count as different, whatever they look like.

    Returns:
        Scalar in [0, 2]; 0 with fewer than two steps.
    """
    count = len(chosen)
    if count < 2:
        return features.new_zeros(())
    picked = nn.functional.normalize(features[chosen], dim=1)
    total = features.new_zeros(())
    for start in range(0, count, _ROWS):
        rows = chosen[start : start + _ROWS]
        unlike = 1 - picked[start : start + _ROWS] @ picked.T
        apart = (rows[:, None] - chosen[None]).abs()
        unlike = torch.where(apart > far, 1.0, unlike)
        total = total + torch.where(apart == 0, 0.0, unlike).sum()
    return total / (count * (count - 1))


def representativeness(features: Tensor, chosen: Tensor) -> Tensor:
    """Return how near the chosen steps are to all (equation 5): exp(-mean distance to the nearest).

    Distances are squared and of features of length 1, so that their scale does not matter.

    Args:
        features: float ``(T, D)``.
        chosen: int64 ``(K,)``.

    Returns:
        Scalar in [0, 1]; 0 when nothing is chosen.
    """
    if len(chosen) == 0:
        return features.new_zeros(())
    unit = nn.functional.normalize(features, dim=1)
    picked = unit[chosen]
    nearest = [
        (2 - 2 * (rows @ picked.T).amax(1)).clamp_min(0) for rows in torch.split(unit, _ROWS)
    ]
    return torch.exp(-torch.cat(nearest).mean())


def summary_reward(features: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean of diversity and representativeness (equation 6), a scalar."""
    return (diversity(features, chosen) + representativeness(features, chosen)) / 2
