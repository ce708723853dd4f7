"""Settings out of their range are refused, in the same words everywhere."""

from __future__ import annotations

from videolit.types import InputError


def check_least(*settings: tuple[str, float | None, int]) -> None:
    """Refuse a setting below its least value.

    Args:
        *settings: Name, value (None = not given) and least value of each.

    Raises:
        InputError: Naming the setting.
    """
    for name, value, least in settings:
        if value is not None and not value >= least:
            raise InputError(f"{name} must be at least {least}, got {value}")


def check_dropout(rate: float, name: str = "dropout") -> None:
    """Refuse a probability of dropping that leaves nothing, or is none.

    Raises:
        InputError: If it is not in [0, 1).
    """
    if not 0 <= rate < 1:
        raise InputError(f"{name} must be in [0, 1), got {rate}")


def check_heads(
    size: int, num_heads: int, *, even: bool = False, name: str = "hidden_size"
) -> None:
    """Refuse a size that the heads of attention cannot share.

    Args:
        size: Features of a step.
        num_heads: Heads of attention.
        even: Half of the features are sines and half cosines.
        name: What the setting is called.

    Raises:
        InputError: If there is no head, or the size is no multiple of them, or odd.
    """
    check_least((name, size, 1), ("num_heads", num_heads, 1))
    if size % num_heads or (even and size % 2):
        kind = "even and a multiple" if even else "a multiple"
        raise InputError(f"{name} must be {kind} of num_heads ({num_heads}), got {size}")
