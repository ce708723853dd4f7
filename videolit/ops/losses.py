"""Losses that PyTorch has in another form."""

from __future__ import annotations

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
