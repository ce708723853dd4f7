"""Losses that PyTorch has in another form, or not at all."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def cross_entropy(
    logits: Tensor, target: Tensor, weight: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Return the weighted mean cross-entropy, on one scale for hard and for mixed labels.

    PyTorch divides by the sum of the weights for hard labels but by the batch size for soft ones;
    here both are divided by the weights of their labels.

    Args:
        logits: float ``(B, K)``.
        target: int64 ``(B,)``, or float ``(B, K)`` whose rows sum to 1.
        weight: float ``(K,)``; None = all 1.
        smoothing: Share of each label that is spread over all classes, in [0, 1].
    """
    if target.ndim == 1 or weight is None:
        return nn.functional.cross_entropy(logits, target, weight=weight, label_smoothing=smoothing)
    spread = target * (1 - smoothing) + smoothing / target.shape[1]
    losses = -(spread * weight * logits.log_softmax(-1)).sum()
    return losses / (target * weight).sum()


def binary_cross_entropy(
    logits: Tensor, target: Tensor, weight: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Return the binary cross-entropy of each class, summed over classes, averaged over the batch.

    Summed, so that the size of the gradient does not fall with the number of classes.

    Args:
        logits: float ``(B, K)``.
        target: float ``(B, K)`` in [0, 1].
        weight: float ``(K,)``, of the classes; None = all 1.
        smoothing: Targets are drawn towards 1/2 by this share, in [0, 1].
    """
    spread = target * (1 - smoothing) + smoothing / 2
    losses = nn.functional.binary_cross_entropy_with_logits(
        logits, spread, weight=weight, reduction="none"
    )
    return losses.sum(-1).mean()


def focal_loss(
    logits: Tensor,
    target: Tensor,
    gamma: float = 2.0,
    weight: Tensor | None = None,
    *,
    binary: bool = False,
) -> Tensor:
    """Return the focal loss (Lin et al. 2017, equation 4): cross-entropy that forgets easy samples.

    Args:
        logits: float ``(B, K)``.
        target: float ``(B, K)`` in [0, 1]: shares of one label, or several labels if ``binary``.
        gamma: How much less well classified samples count; 0 = cross-entropy.
        weight: float ``(K,)``, of the classes (the paper's alpha); None = all 1.
        binary: Each class is a decision of its own (sigmoid, as in the paper) instead of one
            decision between all (softmax).

    Returns:
        Summed over classes, averaged over the batch; divided by the weights of the labels, as
        :func:`cross_entropy`, unless ``binary``.
    """
    if binary:
        surprise = nn.functional.binary_cross_entropy_with_logits(
            logits, target, weight=weight, reduction="none"
        )
        chance = logits.sigmoid()
        wrong = chance * (1 - target) + (1 - chance) * target
        return (_power(wrong, gamma) * surprise).sum(-1).mean()
    logs = logits.log_softmax(-1)
    losses = -target * _power(1 - logs.exp(), gamma) * logs
    if weight is None:
        return losses.sum(-1).mean()
    return (losses * weight).sum() / (target * weight).sum()


def _power(wrong: Tensor, gamma: float) -> Tensor:
    """Return ``wrong ** gamma`` with a finite gradient at 0, also where gamma is below 1."""
    return wrong.clamp(min=1e-6) ** gamma


def ranking_loss(
    logits: Tensor,
    user_scores: Tensor,
    mask: Tensor,
    user_mask: Tensor,
    most_steps: int = 384,
    *,
    draw: bool = True,
) -> Tensor:
    """Return how badly differences of logits tell which of two steps annotators score higher.

    The logistic loss of pairs (Burges et al. 2005, RankNet, section 3): the target of a pair is
    the share of annotators that score its first step higher, a tie counting half. Its least is
    where the logits rank as most annotators do, which is what rank correlation asks for.

    Args:
        logits: float ``(B, T)``.
        user_scores: float ``(B, U, T)``.
        mask: bool ``(B, T)``, real steps, which come first.
        user_mask: bool ``(B, U)``, annotators that there are.
        most_steps: Pairs are made of at most so many steps of a video.
        draw: Draw these anew each time; False = evenly spread ones.

    Returns:
        Mean over pairs, then over videos of at least two steps and one annotator; 0 where there
        is none.
    """
    losses = []
    for row, users, real, known in zip(logits, user_scores, mask, user_mask, strict=True):
        steps = int(real.sum())
        if steps < 2 or not bool(known.any()):
            continue
        chosen = torch.arange(steps, device=row.device)
        if steps > most_steps:
            spread = torch.arange(most_steps, device=row.device) * steps // most_steps
            chosen = torch.randperm(steps, device=row.device)[:most_steps] if draw else spread
        said = users[known][:, chosen]
        first, second = torch.triu_indices(len(chosen), len(chosen), 1, device=row.device)
        higher, lower = said[:, first], said[:, second]
        target = 0.5 * ((higher > lower).float() + (higher >= lower).float()).mean(0)
        apart = row[chosen[first]] - row[chosen[second]]
        losses.append(nn.functional.binary_cross_entropy_with_logits(apart, target))
    return torch.stack(losses).mean() if losses else 0.0 * logits.sum()
