"""Losses of sentiment, emotion and affect, where some targets of a sample may be missing.

Every loss is the mean over the targets that are known. A missing target may hold any number, NaN
included: it reaches neither the loss nor a gradient. Where nothing is known the loss is 0 and its
gradient 0, so that each process of several has a gradient of each weight.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from videolit.ops.losses import cross_entropy
from videolit.types import InputError

# Least denominator of the concordance: keeps the gradient finite where both sides are constant.
_LEAST_SPREAD = 1e-8


def concordance_loss(preds: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return 1 - the concordance correlation coefficient (Lin 1989), averaged over targets.

    Statistics are those of the batch on one process, so that the loss is noise on few values: give
    it 64 or more, as all steps of the batch's sequences. A target with fewer than two known values
    in the batch is left out.

    Args:
        preds: float ``(..., K)``: K targets, the leading dimensions are pooled.
        target: float ``(..., K)``.
        mask: bool ``(..., K)``, known targets; None = all.

    Returns:
        Scalar in [0, 2], in float32 or the wider type of ``preds``; 1 where predictions or targets
        are constant.
    """
    assert preds.ndim >= 2, "one target is a last dimension of 1: its values could be taken for K"
    said, true, known = _masked(preds, target, mask)
    columns = said.shape[-1]
    said, true = said.reshape(-1, columns), true.reshape(-1, columns)
    share = known.reshape(-1, columns).to(said.dtype)
    number = share.sum(0)
    divisor = number.clamp(min=1)
    mean, true_mean = (said * share).sum(0) / divisor, (true * share).sum(0) / divisor
    apart, true_apart = (said - mean) * share, (true - true_mean) * share
    together = (apart * true_apart).sum(0) / divisor
    spreads = (apart.square() + true_apart.square()).sum(0) / divisor
    losses = 1 - 2 * together / (spreads + (mean - true_mean).square() + _LEAST_SPREAD)
    usable = (number >= 2).to(said.dtype)
    return (losses * usable).sum() / usable.sum().clamp(min=1)


def regression_loss(
    preds: Tensor, target: Tensor, mask: Tensor | None = None, *, delta: float | None = None
) -> Tensor:
    """Return the mean absolute error, or Huber's loss (Huber 1964, equation 2.5), of known targets.

    Args:
        preds: float ``(...)``.
        target: float ``(...)``.
        mask: bool ``(...)``, known targets; None = all.
        delta: Errors up to this count as half their square, larger ones as ``delta * (error -
            delta / 2)``; None = the absolute error.

    Returns:
        Scalar, in float32 or the wider type of ``preds``.

    Raises:
        InputError: If ``delta`` is not positive.
    """
    if delta is not None and not delta > 0:
        raise InputError(f"Huber's delta must be above 0, got {delta}: None is the absolute error")
    said, true, known = _masked(preds, target, mask)
    if delta is None:
        losses = (said - true).abs()
    else:
        losses = nn.functional.huber_loss(said, true, reduction="none", delta=delta)
    return losses.sum() / known.sum().clamp(min=1)


def masked_cross_entropy(
    logits: Tensor,
    target: Tensor,
    mask: Tensor | None = None,
    *,
    weight: Tensor | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """Return the cross-entropy of the samples that have a label.

    Args:
        logits: float ``(B, K)``.
        target: int64 ``(B,)``, anything where there is no label; or float ``(B, K)`` whose rows sum
            to 1.
        mask: bool ``(B,)``, samples with a label; None = all.
        weight: float ``(K,)``, of the classes, as from :func:`count_weights`; None = all 1.
        smoothing: Share of each label that is spread over all classes, in [0, 1].

    Returns:
        Scalar; see :func:`videolit.ops.losses.cross_entropy` for its scale.
    """
    if mask is not None:
        logits, target = logits[mask], target[mask]
    if len(logits) == 0:
        return logits.sum()
    return cross_entropy(logits, target, weight, smoothing)


def count_weights(counts: ArrayLike | Tensor, power: float = 1.0) -> Tensor:
    """Return weights of classes that fall with their number of training samples.

    Args:
        counts: ``(K,)``, training samples of each class.
        power: 1 = all classes count alike, as unweighted recall asks for; 0 = all samples count
            alike, as accuracy and weighted F1 do; 0.5 lies between.

    Returns:
        float32 ``(K,)``, ``count ** -power`` on a scale of mean 1 over the classes that occur. A
        class without a sample has the weight of one with a single sample.

    Raises:
        InputError: If a count is negative or not finite, or all are 0.
    """
    numbers = torch.as_tensor(counts, dtype=torch.float64)
    if numbers.ndim != 1 or not torch.isfinite(numbers).all() or (numbers < 0).any():
        raise InputError(f"expected a count of each class, at least 0, got {numbers.tolist()}")
    if not (numbers > 0).any():
        raise InputError("no class has a training sample, so that none can be weighted")
    falling = numbers.clamp(min=1) ** -power
    return (falling / falling[numbers > 0].mean()).float()


def multitask_loss(
    losses: Mapping[str, Tensor],
    weights: Mapping[str, float],
    known: Mapping[str, Tensor] | None = None,
    log_variances: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Return the weighted sum of the losses of several tasks.

    A task without a known target in the batch adds nothing, its learned variance included: else the
    variance would shrink in every batch that says nothing of the task.

    Args:
        losses: Scalar loss of each task, a mean over its known targets.
        weights: Weight of each task, at least 0.
        known: Masks of known targets, bool of any shape, of some tasks; a task without a mask is
            known.
        log_variances: Learned scalars ``s`` of some tasks, whose loss then counts as ``exp(-s) *
            loss + s / 2`` (Kendall et al. 2018, section 3.2, with ``s = log sigma²``).

    Returns:
        Scalar.

    Raises:
        InputError: If tasks have no weight or weights have no task, or a weight is negative.
    """
    if set(losses) != set(weights):
        raise InputError(
            f"losses of {', '.join(sorted(losses))} need as many weights, "
            f"got {', '.join(sorted(weights)) or 'none'}"
        )
    if not losses or any(not weight >= 0 for weight in weights.values()):
        raise InputError(f"expected weights of at least 0 of some tasks, got {dict(weights)}")
    total: list[Tensor] = []
    for name, loss in losses.items():
        if log_variances is not None and name in log_variances:
            log_variance = log_variances[name]
            loss = torch.exp(-log_variance) * loss + log_variance / 2
        if known is not None and name in known:
            loss = loss * known[name].any()
        total.append(weights[name] * loss)
    return torch.stack(total).sum()


def _masked(preds: Tensor, target: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return predictions and targets in float32 or wider, equal where the target is missing.

    Targets are replaced and not losses: the gradient of a loss of NaN is NaN even if multiplied by
    0.
    """
    assert preds.shape == target.shape, f"{tuple(preds.shape)} and {tuple(target.shape)} broadcast"
    wide = torch.promote_types(preds.dtype, torch.float32)
    said, true = preds.to(wide), target.to(wide)
    known = torch.ones_like(said, dtype=torch.bool) if mask is None else mask
    assert known.shape == preds.shape
    return said, torch.where(known, true, said.detach()), known
