"""Weights of another shape: positions of another grid, and kernels for images."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

Grid = tuple[int, int, int]


def resize_positions(table: Tensor, before: Grid, after: Grid) -> Tensor:
    """Interpolate learnt positions of a grid of patches, bicubic in space and linear in time.

    As for images by Dosovitskiy et al. 2021 (arXiv:2010.11929, section 3.2). What stands before the
    grid, as a class token's position, is kept.

    Args:
        table: float ``(..., P + T * H * W, D)`` with ``P >= 0`` positions before the grid.
        before: ``(T, H, W)`` of the table.
        after: ``(T, H, W)`` wanted.

    Returns:
        float ``(..., P + T' * H' * W', D)`` in the table's dtype.
    """
    num_before = table.shape[-2] - math.prod(before)
    assert num_before >= 0
    first, grid = table[..., :num_before, :], table[..., num_before:, :]
    outer, width = table.shape[:-2], table.shape[-1]
    # (N, D, T, H, W), in float32: half precision has no bicubic interpolation on the CPU.
    found = grid.reshape(-1, *before, width).permute(0, 4, 1, 2, 3).float()
    if before[1:] != after[1:]:
        # Antialiased: a coarser grid is then a mean of the finer one and no pick from it.
        flat = nn.functional.interpolate(
            found.flatten(0, 1), size=after[1:], mode="bicubic", antialias=True
        )
        found = flat.view(*found.shape[:3], *after[1:])
    if before[0] != after[0]:
        found = nn.functional.interpolate(found, size=after, mode="trilinear", align_corners=False)
    flat = found.permute(0, 2, 3, 4, 1).reshape(*outer, math.prod(after), width)
    return torch.cat([first, flat.to(table.dtype)], -2)


def adapt(
    name: str, value: Tensor, target: Tensor, grid: Grid | None, before: Grid | None = None
) -> Tensor | None:
    """Bring a weight into the shape that a network has for it, where that keeps its meaning.

    - A kernel for images is repeated in time and divided by the number of repeats (Carreira &
      Zisserman 2017, arXiv:1705.07750, section 2.4.1).
    - A 1 × 1 convolution and a linear layer are the same.
    - Positions are interpolated: tables of a grid by :func:`resize_positions`, of time and of
      relative positions along one axis linearly (Li et al. 2022, arXiv:2112.01526).

    Args:
        name: The weight's name, which tells positions from other weights.
        value: What there is.
        target: What is wanted; only its shape counts.
        grid: ``(T, H, W)`` of the network's patches; None = it has square images only.
        before: ``(T, H, W)`` of the patches of ``value``; None = as its length tells.

    Returns:
        ``value`` in the shape of ``target``, or None where there is no such way.
    """
    if value.shape == target.shape:
        return value
    if value.ndim == 4 and target.ndim == 5 and _without(target.shape, 2) == tuple(value.shape):
        return value[:, :, None].expand_as(target) / target.shape[2]
    if value.shape[:2] == target.shape[:2] and _real(value) == _real(target):
        return value.reshape(target.shape)
    last = name.rpartition(".")[2] if not name.endswith(".weight") else name.split(".")[-2]
    if value.ndim != target.ndim or value.ndim < 2 or value.shape[-1] != target.shape[-1]:
        return None
    if "time_embed" in last or "temporal_pos" in last or "rel_pos" in last:
        return _along(value, target.shape[-2])
    if "relative_position_bias_table" in last or "pos" in last:
        grids = _grids(value.shape[-2], target.shape[-2], grid, before)
        return resize_positions(value, *grids) if grids is not None else None
    return None


def _without(shape: torch.Size, axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


def _real(kernel: Tensor) -> list[int]:
    """Return the sides of a kernel that are longer than 1."""
    return [side for side in kernel.shape[2:] if side > 1]


def _along(table: Tensor, length: int) -> Tensor:
    """Interpolate float ``(..., N, D)`` linearly to ``(..., length, D)``."""
    return resize_positions(table, (table.shape[-2], 1, 1), (length, 1, 1))


def _grids(
    before: int, after: int, grid: Grid | None, known: Grid | None
) -> tuple[Grid, Grid] | None:
    """Return the grids of two tables from their lengths: the class token first, if any."""
    if grid is None:
        for num_first in (1, 0, 2, 5):
            sides = [math.isqrt(max(length - num_first, 0)) for length in (before, after)]
            if [side**2 + num_first for side in sides] == [before, after]:
                return (1, sides[0], sides[0]), (1, sides[1], sides[1])
        return None
    num_first = after - math.prod(grid)
    patches = before - num_first
    if known is not None and patches == math.prod(known):
        return known, grid
    if num_first not in (0, 1, 2, 5) or patches <= 0:
        return None
    side = math.isqrt(patches // grid[0])
    if side**2 * grid[0] == patches:
        return (grid[0], side, side), grid
    if patches % (grid[1] * grid[2]) == 0:
        return (patches // (grid[1] * grid[2]), *grid[1:]), grid
    return None
