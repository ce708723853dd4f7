"""Taking modalities, or steps of them, away: what training and the audit of missing input do."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from videolit.ops.tokens import UNKNOWN
from videolit.types import InputError

# Sound is lost in pieces of so many seconds. Steps of a SoundEncoder are 40 ms: shorter gaps would
# leave a part of each.
BLOCK_SECONDS = 0.05


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


def step_numbers(mask: Tensor, seeds: Tensor, block: int = 1) -> Tensor:
    """Draw a number for each step, by which :func:`drop_steps` takes some away.

    What a sample draws depends on its seed and its number of real steps alone, not on the batch
    around it. A higher rate drops what a lower one drops, and more.

    Args:
        mask: bool ``(B, T)``, True = a step that may be dropped.
        seeds: int64 ``(B,)``, at least 0.
        block: So many neighbouring steps of a sample share a number, and fall together.

    Returns:
        float32 ``(B, T)``, even in [0, 1); infinite where nothing is to be dropped: outside of the
        mask, and at the step or block of each sample that always stays, drawn evenly.

    Raises:
        InputError: If the shapes do not fit or ``block`` is below 1.
    """
    if mask.dtype != torch.bool or mask.ndim != 2 or seeds.shape != mask.shape[:1] or block < 1:
        raise InputError(
            "expected a bool mask (B, T), a seed for each row and a block of at least 1, got "
            f"{mask.dtype} {tuple(mask.shape)}, {tuple(seeds.shape)} and {block}"
        )
    numbers = torch.full(mask.shape, torch.inf)
    real = mask.cpu()
    for row, (seed, count) in enumerate(zip(seeds.tolist(), real.sum(1).tolist(), strict=True)):
        if count:
            generator = torch.Generator().manual_seed(seed)
            drawn = torch.rand(-(-count // block), generator=generator)
            drawn[drawn.argmax()] = torch.inf
            numbers[row, real[row]] = drawn.repeat_interleave(block)[:count]
    return numbers.to(mask.device)


def drop_steps(values: Tensor, numbers: Tensor, rate: float) -> Tensor:
    """Put zeros in the place of steps, as damaged picture or sound (TFR-Net, Yuan et al. 2021).

    The mask stays as it was: a model is not told what is missing.

    Args:
        values: float or uint8 ``(B, T, …)``, frames, samples or features.
        numbers: float ``(B, T)`` of :func:`step_numbers`.
        rate: Probability in [0, 1] that a step is dropped.

    Returns:
        A tensor of the shape and dtype of ``values``.

    Raises:
        InputError: If ``rate`` is out of its range or the shapes do not fit.
    """
    dropped = _dropped(values, numbers, rate)
    return values.masked_fill(dropped.view(*dropped.shape, *(1,) * (values.ndim - 2)), 0)


def drop_tokens(tokens: Tensor, numbers: Tensor, rate: float, unknown: int = UNKNOWN) -> Tensor:
    """Put the unknown word in the place of words: :func:`drop_steps` for text.

    Args:
        tokens: int64 ``(B, L)``, token numbers.
        numbers: float ``(B, L)`` of :func:`step_numbers`, whose mask has the words only: signs
            between them stay.
        rate: Probability in [0, 1] that a word is dropped.
        unknown: Number of the unknown word: another tokenizer's may differ (BERT: 100).

    Returns:
        int64 ``(B, L)``.

    Raises:
        InputError: If ``rate`` is out of its range or the shapes do not fit.
    """
    return tokens.masked_fill(_dropped(tokens, numbers, rate), unknown)


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


def _dropped(values: Tensor, numbers: Tensor, rate: float) -> Tensor:
    """Return which steps to drop, bool ``(B, T)``."""
    check_rate("step dropping", rate)
    if numbers.shape != values.shape[:2]:
        raise InputError(
            f"expected numbers of shape {tuple(values.shape[:2])}, got {tuple(numbers.shape)}"
        )
    return numbers < rate
