"""Stored features in place of videos."""

from __future__ import annotations

import pytest
import torch

from contracts import recorded
from videolit.encoders import IdentityEncoder
from videolit.types import InputError


def test_features_pass_through():
    encoder = IdentityEncoder(5)
    features = torch.randn(2, 4, 5)
    found, mask = encoder(features)
    assert found is features
    assert mask.all()
    assert mask.shape == (2, 4)
    real = torch.tensor([[True] * 4, [True] * 2 + [False] * 2])
    assert encoder(features, real)[1] is real
    assert encoder.num_features == 5
    assert recorded(encoder) == {"num_features": 5}
    assert not encoder.state_dict()


@pytest.mark.parametrize(
    "features",
    [torch.zeros(2, 4, 6), torch.zeros(2, 5), torch.zeros(2, 4, 5, dtype=torch.uint8)],
)
def test_others_are_refused(features):
    with pytest.raises(InputError, match=r"float \(B, T, 5\), got"):
        IdentityEncoder(5)(features)


def test_wrong_mask():
    with pytest.raises(InputError, match="mask"):
        IdentityEncoder(5)(torch.zeros(2, 4, 5), torch.ones(2, 4))
