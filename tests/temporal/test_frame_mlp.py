"""The model of single frames: the contract, and that it sees no other step."""

from __future__ import annotations

import pytest
import torch

from contracts import check_temporal
from videolit.temporal import FrameMLP
from videolit.types import InputError


@pytest.mark.parametrize("layers", [1, 3])
def test_a_frame_mlp_keeps_the_contract(layers):
    torch.manual_seed(0)
    check_temporal(FrameMLP(5, hidden_size=8, num_layers=layers))


@pytest.mark.parametrize("length", [1, 2, 9, 60, 61])
def test_shuffled_steps_give_shuffled_results(length):
    torch.manual_seed(0)
    model = FrameMLP(5, hidden_size=8).eval()
    features, mask = torch.randn(2, length, 5), torch.ones(2, length, dtype=torch.bool)
    order = torch.randperm(length)
    found = model(features, mask)
    assert found.isfinite().all()
    torch.testing.assert_close(model(features[:, order], mask), found[:, order])


def test_features_of_any_size_are_told_apart():
    # Normalised features, one of 1024, are a hundred times smaller than those of some networks.
    torch.manual_seed(0)
    mask = torch.ones(1, 50, dtype=torch.bool)
    for width, size in ((64, 0.01), (64, 1.0), (64, 100.0), (1, 1.0)):
        found = FrameMLP(width).eval()(size * torch.randn(1, 50, width), mask)
        assert 0.01 < float(found.detach().std(1).mean()) < 10, (width, size)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"num_layers": 0}, "num_layers must be at least 1, got 0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1"),
        ({"hidden_size": 0}, "sizes of at least 1"),
    ],
)
def test_wrong_settings_of_a_frame_mlp_are_refused(arguments, said):
    with pytest.raises(InputError, match=said):
        FrameMLP(5, **arguments)
