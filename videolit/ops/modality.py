"""Taking modalities, or steps of them, away: what training and the audit of missing input do."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from videolit.ops.tokens import SEPARATOR, SPEAKER, UNKNOWN
from videolit.types import InputError


def drop_modalities(
    present: Tensor, rate: float, generator: torch.Generator | None = None
) -> Tensor:
    """Choose which modalities of each sample to keep.

    Each present one is dropped with probability ``rate``. A sample that would lose all of them
    keeps one, drawn evenly. Thus a sample with M modalities keeps exactly one of them more often
    than chance alone says, by ``rate ** M``.

    Args:
        present: bool ``(B, M)``, True = the sample has the modality.
        rate: Probability in [0, 1]; 1 = always exactly one is kept.
        generator: Draws the numbers, on the CPU; None = torch's own.

    Returns:
        bool ``(B, M)``; True only where ``present`` is, and wherever a row of it has any True, at
        least once.

    Raises:
        InputError: If ``rate`` is out of its range.
    """
    check_rate("modality dropout", rate)
    # One draw decides both: the last one standing is that of the greatest number.
    numbers = torch.rand(present.shape, generator=generator).to(present.device)
    numbers = numbers.masked_fill(~present, -1.0)
    best = torch.zeros_like(present).scatter_(1, numbers.argmax(1, keepdim=True), True)
    return present & ((numbers >= rate) | best)


def drop_steps(
    values: Tensor, mask: Tensor, rate: float, generator: torch.Generator | None = None
) -> Tensor:
    """Put zeros in the place of steps, as damaged picture or sound (TFR-Net, Yuan et al. 2021).

    The mask is not changed: a model is not told what is missing.

    Args:
        values: float ``(B, T, …)``, frames, spectra or features.
        mask: bool ``(B, T)``, True = a real step.
        rate: Probability in [0, 1] that a real step is dropped, independent of all others.
        generator: Draws the numbers, on the CPU; None = torch's own.

    Returns:
        A tensor of the shape and dtype of ``values``.

    Raises:
        InputError: If ``rate`` is out of its range or the shapes do not fit.
    """
    dropped = _draw(values.shape[:2], mask, rate, generator)
    return values.masked_fill(dropped.view(*dropped.shape, *(1,) * (values.ndim - 2)), 0)


def drop_tokens(
    tokens: Tensor,
    mask: Tensor,
    rate: float,
    generator: torch.Generator | None = None,
    unknown: int = UNKNOWN,
    keep: Sequence[int] = (SPEAKER, SEPARATOR),
) -> Tensor:
    """Put the unknown word in the place of words: :func:`drop_steps` for text.

    Args:
        tokens: int64 ``(B, L)``, token numbers.
        mask: bool ``(B, L)``, True = a token.
        rate: Probability in [0, 1] that a word is dropped, independent of all others.
        generator: Draws the numbers, on the CPU; None = torch's own.
        unknown: Number of the unknown word: another tokenizer's may differ (BERT: 100).
        keep: Tokens that are no words and stay (BERT: 101 and 102, its CLS and SEP).

    Returns:
        int64 ``(B, L)``.

    Raises:
        InputError: If ``rate`` is out of its range or the shapes do not fit.
    """
    dropped = _draw(tokens.shape, mask, rate, generator)
    kept = torch.isin(tokens, torch.tensor(list(keep), dtype=tokens.dtype, device=tokens.device))
    return tokens.masked_fill(dropped & ~kept, unknown)


def subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return every choice of at least one modality, the smallest first, in the order of ``names``.

    Three modalities have seven: each alone, the pairs, and all.
    """
    return [
        chosen
        for size in range(1, len(names) + 1)
        for chosen in itertools.combinations(names, size)
    ]


def check_rate(name: str, rate: float) -> None:
    """Refuse a probability outside [0, 1].

    Raises:
        InputError: If it is, or is NaN.
    """
    if not 0 <= rate <= 1:
        raise InputError(f"the rate of {name} must be in [0, 1], got {rate}")


def _draw(
    shape: torch.Size, mask: Tensor, rate: float, generator: torch.Generator | None
) -> Tensor:
    """Return which real steps to drop, bool ``(B, T)``."""
    check_rate("step dropping", rate)
    if mask.dtype != torch.bool or mask.shape != shape:
        raise InputError(
            f"expected a bool mask of shape {tuple(shape)}, got {mask.dtype} {tuple(mask.shape)}"
        )
    numbers = torch.rand(shape, generator=generator).to(mask.device)
    return mask & (numbers < rate)
