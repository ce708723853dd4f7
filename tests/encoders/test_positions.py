"""Positions of another grid."""

from __future__ import annotations

import pytest
import torch

from videolit.encoders.positions import adapt, resize_positions


def table(time, height, width):
    """Positions whose two features are their own row and time."""
    t, y, _ = torch.meshgrid(
        *(torch.arange(float(n)) for n in (time, height, width)), indexing="ij"
    )
    return torch.stack([y.flatten(), t.flatten()], -1)[None]


def test_the_same_grid_is_untouched():
    given = torch.randn(1, 1 + 2 * 3 * 3, 5)
    assert torch.equal(resize_positions(given, (2, 3, 3), (2, 3, 3)), given)


def test_a_ramp_stays_a_ramp():
    """Twice as fine: half steps between the same ends, and the first position kept."""
    given = torch.cat([torch.tensor([[[9.0, -9.0]]]), table(4, 8, 8)], 1)
    found = resize_positions(given, (4, 8, 8), (8, 16, 16))
    assert found.shape == (1, 1 + 8 * 16 * 16, 2)
    assert found[0, 0].tolist() == [9.0, -9.0]
    grid = found[0, 1:].view(8, 16, 16, 2)
    inner = torch.arange(4, 12)
    # Away from the borders; cell centres lie at (i + 0.5) / 2 - 0.5.
    torch.testing.assert_close(grid[0, inner, 5, 0], (inner + 0.5) / 2 - 0.5, atol=0.02, rtol=0)
    torch.testing.assert_close(grid[1:7, 0, 0, 1], (torch.arange(1, 7) + 0.5) / 2 - 0.5)


def test_space_is_bicubic():
    given = torch.randn(1, 49, 3)
    found = resize_positions(given, (1, 7, 7), (1, 14, 14))
    picture = given.view(1, 7, 7, 3).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(
        picture, size=(14, 14), mode="bicubic", antialias=True
    )
    torch.testing.assert_close(found, expected.permute(0, 2, 3, 1).reshape(1, 196, 3))


def test_half_precision():
    found = resize_positions(torch.ones(1, 4, 3, dtype=torch.bfloat16), (1, 2, 2), (1, 3, 3))
    assert found.dtype == torch.bfloat16
    assert (found == 1).all()


@pytest.mark.parametrize(
    ("name", "before", "after", "grid"),
    [
        ("pos_embed", (1, 197, 4), (1, 577, 4), None),
        ("pos_embed", (1, 196, 4), (1, 576, 4), None),
        ("embeddings.position_embeddings", (1, 1 + 8 * 16, 4), (1, 1 + 4 * 16, 4), (4, 4, 4)),
        ("embeddings.position_embeddings", (1, 1 + 4 * 49, 4), (1, 1 + 4 * 16, 4), (4, 4, 4)),
        ("embeddings.time_embeddings", (1, 8, 4), (1, 16, 4), None),
        ("blocks.0.attn.rel_pos_t", (15, 4), (31, 4), None),
        ("layers.0.relative_position_bias_table", (169, 4), (529, 4), None),
        ("pos_encoding.temporal_pos", (8, 4), (16, 4), None),
    ],
)
def test_known_tables(name, before, after, grid):
    found = adapt(name, torch.ones(before), torch.zeros(after), grid)
    assert found.shape == after
    torch.testing.assert_close(found, torch.ones(after))


@pytest.mark.parametrize(
    ("name", "before", "after", "grid"),
    [
        ("fc.weight", (10, 4), (20, 4), None),
        ("pos_embed", (1, 197, 4), (1, 577, 8), None),
        ("pos_embed", (1, 190, 4), (1, 577, 4), None),
        ("position_embeddings", (1, 100, 4), (1, 65, 4), (4, 4, 4)),
        ("conv.weight", (4, 3, 3, 3), (4, 3, 3, 5, 5), None),
    ],
)
def test_what_is_not_adapted(name, before, after, grid):
    assert adapt(name, torch.ones(before), torch.zeros(after), grid) is None
