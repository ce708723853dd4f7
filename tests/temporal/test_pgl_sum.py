"""PGL-SUM: the contract, attention against a loop, segments and short videos."""

from __future__ import annotations

import math

import pytest
import torch

from contracts import check_temporal
from videolit.temporal import PGLSum
from videolit.types import InputError


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_segments": 1},
        {"chunk": 2, "dropout": 0.1},
        {"fusion": "mean"},
        {"fusion": "max"},
        {"fusion": "multiply"},
    ],
)
def test_pgl_sum_keeps_the_contract(settings):
    torch.manual_seed(0)
    # Eight features have as many heads as the benchmarks' 1,024.
    check_temporal(PGLSum(8, **settings), 1e-5)


def attention(part, clip):
    """Attention of some steps, head by head and weight by weight."""
    steps, width = len(clip), part.queries.weight.shape[0] // part.heads
    joined = []
    for head in range(part.heads):
        rows = slice(head * width, (head + 1) * width)
        queries, keys, values = (
            clip @ layer.weight[rows].T for layer in (part.queries, part.keys, part.values)
        )
        mixed = []
        for i in range(steps):
            powers = []
            for j in range(steps):
                angle = i / 10_000 ** ((j - j % 2) / steps)
                place = math.cos(angle) if j % 2 else math.sin(angle)
                powers.append(torch.exp(queries[i] @ keys[j] + place))
            mixed.append(sum(p * v for p, v in zip(powers, values, strict=True)) / sum(powers))
        joined.append(torch.stack(mixed))
    return torch.cat(joined, 1) @ part.join.weight.T


# Seven steps in three parts are 3 + 2 + 2; two steps have two parts.
PARTS = {7: [3, 2, 2], 2: [1, 1], 1: [1]}


@pytest.mark.parametrize("fusion", ["add", "mean", "max", "multiply"])
@pytest.mark.parametrize("chunk", [2, 512])
def test_pgl_sum_against_a_loop(fusion, chunk):
    torch.manual_seed(0)
    model = PGLSum(8, num_heads=4, num_segments=3, local_heads=2, fusion=fusion, chunk=chunk).eval()
    features = torch.randn(3, 7, 8)
    mask = torch.arange(7) < torch.tensor([7, 2, 1])[:, None]
    with torch.no_grad():
        found = model(features, mask)
        for row, (length, parts) in enumerate(PARTS.items()):
            clip = features[row, :length]
            far = attention(model.whole, clip)
            pieces = zip(model.segments, clip.split(parts), strict=False)
            near = torch.cat([attention(segment, piece) for segment, piece in pieces])
            fused = {
                "add": far + near,
                "mean": (far + near) / 2,
                "max": torch.maximum(far, near),
                "multiply": far * near,
            }[fusion]
            expected = model.each(clip + fused)
            torch.testing.assert_close(found[row, :length], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 9, 60, 61])
@pytest.mark.parametrize("training", [False, True])
def test_pgl_sum_is_finite_on_short_videos(length, training):
    torch.manual_seed(0)
    model = PGLSum(16, chunk=16).train(training)
    found = model(torch.randn(1, length, 16), torch.ones(1, length, dtype=torch.bool))
    found.square().sum().backward()
    assert found.shape == (1, length, 16)
    assert found.isfinite().all()
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    # A part for each step, where there are fewer steps than parts.
    used = sum(part.values.weight.grad is not None for part in model.segments)
    assert used == min(4, length)


def test_features_that_no_number_of_heads_divides():
    torch.manual_seed(0)
    for size in (5, 13):
        model = PGLSum(size).eval()
        found = model(torch.randn(1, 6, size), torch.ones(1, 6, dtype=torch.bool))
        assert found.shape == (1, 6, size)


def test_weights_start_as_published():
    torch.manual_seed(0)
    model = PGLSum(64)
    layer = model.each[2]
    assert (layer.bias == 0.1).all()
    # Uniform in ± sqrt(2) sqrt(6 / (64 + 64)).
    assert float(layer.weight.detach().abs().max()) == pytest.approx(0.3062, abs=0.001)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"num_heads": 0}, "at least 1, got 0, 4 and 4"),
        ({"num_segments": 0}, "at least 1, got 8, 0 and 4"),
        ({"local_heads": 0}, "at least 1, got 8, 4 and 0"),
        ({"fusion": "sum"}, "'add', 'mean', 'max' or 'multiply', got 'sum'"),
        ({"dropout": -0.1}, r"dropout must be in \[0, 1\), got -0.1"),
        ({"chunk": 0}, "chunk must be at least 1 step, got 0"),
    ],
)
def test_wrong_settings_of_pgl_sum_are_refused(arguments, said):
    with pytest.raises(InputError, match=said):
        PGLSum(8, **arguments)
