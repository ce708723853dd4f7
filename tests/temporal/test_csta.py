"""Attention by convolutions: the contract, its maps, and what it is blind to."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from contracts import check_temporal
from videolit.temporal import CSTA
from videolit.types import InputError


@pytest.mark.parametrize("size", [5, 64])
def test_csta_keeps_the_contract(size):
    torch.manual_seed(0)
    # Convolutions of another length are summed in another order.
    check_temporal(CSTA(size, channels=4), 1e-5)


def test_weights_of_attention_against_a_loop():
    torch.manual_seed(0)
    model = CSTA(7, channels=4).eval()
    maps, weights = [], []
    model.norm.register_forward_hook(lambda module, inputs, result: maps.append(result))
    model.drop.register_forward_hook(lambda module, inputs, result: weights.append(result))
    features = torch.randn(2, 9, 7)
    mask = torch.arange(9) < torch.tensor([9, 4])[:, None]
    with torch.no_grad():
        model(features, mask)
    # The learnt row and the real ones.
    for row, rows in enumerate((10, 5)):
        power = torch.zeros(rows, 7)
        for i in range(rows):
            for j in range(7):
                angle = i / 10_000 ** ((j - j % 2) / 7)
                place = math.cos(angle) if j % 2 else math.sin(angle)
                power[i, j] = math.exp(float(maps[0][row, i, j]) + place)
        # Each of a mean of 1.
        expected = power / power.mean(0) + power / power.mean(1, keepdim=True)
        torch.testing.assert_close(weights[0][row, :rows], expected)


def test_rows_join_as_by_adaptive_pooling():
    torch.manual_seed(0)
    model = CSTA(6, channels=4).eval()
    rows = []
    model.each.register_forward_hook(lambda module, inputs, result: rows.append(inputs[0]))
    weights = []
    model.drop.register_forward_hook(lambda module, inputs, result: weights.append(result))
    features, mask = torch.randn(1, 9, 6), torch.ones(1, 9, dtype=torch.bool)
    with torch.no_grad():
        model(features, mask)
        values = model.values(torch.cat([model.first, features], 1))
    expected = nn.functional.adaptive_avg_pool2d(values * weights[0], (9, 6))
    torch.testing.assert_close(rows[0], expected)


def test_order_and_place_matter():
    torch.manual_seed(0)
    model = CSTA(6, channels=4).eval()
    mask = torch.ones(1, 9, dtype=torch.bool)
    features = torch.randn(1, 9, 6)
    with torch.no_grad():
        assert not torch.allclose(
            model(features, mask), model(features.flip(1), mask).flip(1), atol=1e-2
        )
        # Equal steps are told apart by where they are.
        same = model(features[:, :1].expand(-1, 9, -1), mask)[0]
    assert float((same[4] - same[5]).abs().max()) > 1e-3


@pytest.mark.parametrize("length", [1, 2, 9, 60, 61, 6000])
@pytest.mark.parametrize("training", [False, True])
def test_csta_is_finite_on_short_and_long_videos(length, training):
    torch.manual_seed(0)
    model = CSTA(8, channels=2).train(training)
    found = model(torch.randn(1, length, 8), torch.ones(1, length, dtype=torch.bool))
    found.square().sum().backward()
    assert found.isfinite().all()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"channels": 0}, "channels must be at least 1, got 0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1"),
    ],
)
def test_wrong_settings_of_csta_are_refused(arguments, said):
    with pytest.raises(InputError, match=said):
        CSTA(5, **arguments)
