"""VASNet: the contract, both orientations against a loop, and chunks."""

from __future__ import annotations

import math

import pytest
import torch

from contracts import check_temporal
from videolit.temporal import VASNet
from videolit.types import InputError

SETTINGS = [{}, {"transpose_attention": True}, {"chunk": 2}, {"scale": 0.06}]
BOTH = {"chunk": 4, "transpose_attention": True}


@pytest.mark.parametrize("settings", [*SETTINGS, BOTH])
def test_vasnet_keeps_the_contract(settings):
    torch.manual_seed(0)
    check_temporal(VASNet(5, **settings), 1e-5)


def by_definition(model, clip, scale):
    """Attention of one clip, weight by weight."""
    queries, keys, values = (
        [layer.weight @ step for step in clip]
        for layer in (model.queries, model.keys, model.values)
    )
    rows = []
    for query in queries:
        powers = torch.stack([(scale * query @ key).exp() for key in keys])
        rows.append(powers / powers.sum())
    results = []
    for step in range(len(clip)):
        if model.transpose_attention:
            weights = [row[step] for row in rows]
        else:
            weights = rows[step]
        mixed = sum(weight * value for weight, value in zip(weights, values, strict=True))
        results.append(model.each(clip[step] + model.join.weight @ mixed))
    return torch.stack(results)


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("chunk", [3, 1024])
@pytest.mark.parametrize("scale", [None, 0.7])
def test_attention_of_vasnet_against_a_loop(transpose, chunk, scale):
    torch.manual_seed(0)
    model = VASNet(6, transpose_attention=transpose, chunk=chunk, scale=scale).eval()
    features = 3 * torch.randn(3, 8, 6)
    mask = torch.arange(8) < torch.tensor([8, 5, 1])[:, None]
    with torch.no_grad():
        found = model(features, mask)
        for row, length in enumerate((8, 5, 1)):
            expected = by_definition(model, features[row, :length], scale or 1 / math.sqrt(6))
            torch.testing.assert_close(found[row, :length], expected, atol=1e-5, rtol=1e-5)


def test_orientations_differ():
    torch.manual_seed(0)
    features, mask = 3 * torch.randn(1, 8, 6), torch.ones(1, 8, dtype=torch.bool)
    paper, program = VASNet(6).eval(), VASNet(6, transpose_attention=True).eval()
    program.load_state_dict(paper.state_dict())
    assert not torch.allclose(paper(features, mask), program(features, mask), atol=1e-2)


@pytest.mark.parametrize("transpose", [False, True])
def test_chunks_change_no_gradient(transpose):
    torch.manual_seed(0)
    one = VASNet(6, dropout=0.0, transpose_attention=transpose).double()
    other = VASNet(6, dropout=0.0, transpose_attention=transpose, chunk=3).double()
    other.load_state_dict(one.state_dict())
    features = torch.randn(2, 8, 6, dtype=torch.float64)
    mask = torch.arange(8) < torch.tensor([8, 5])[:, None]
    weight = torch.randn(2, 8, 6, dtype=torch.float64)
    for part in (one, other):
        (part(features, mask) * weight).sum().backward()
    for first, second in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(first.grad, second.grad)


def test_training_keeps_one_chunk_of_weights_at_a_time():
    kept = []

    def pack(tensor):
        kept.append(tensor.numel())
        return tensor

    torch.manual_seed(0)
    features, mask = torch.randn(1, 200, 4), torch.ones(1, 200, dtype=torch.bool)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        VASNet(4, chunk=10)(features, mask).sum()
    # Of 200 × 200 weights, not even a chunk's 10 × 200.
    assert max(kept) < 10 * 200


def test_chunks_train_in_half_precision():
    torch.manual_seed(0)
    model = VASNet(8, chunk=5)
    features, mask = torch.randn(2, 13, 8), torch.arange(13) < torch.tensor([13, 4])[:, None]
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(features, mask).float().square().mean()
    loss.backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize("length", [1, 2, 9, 60, 61])
@pytest.mark.parametrize("training", [False, True])
def test_vasnet_is_finite_on_short_videos(length, training):
    torch.manual_seed(0)
    model = VASNet(8, chunk=16).train(training)
    found = model(torch.randn(1, length, 8), torch.ones(1, length, dtype=torch.bool))
    found.square().sum().backward()
    assert found.isfinite().all()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1"),
        ({"chunk": 0}, "chunk must be at least 1 step, got 0"),
        ({"scale": 0.0}, r"scale must be positive, or null for 1 / sqrt\(D\), got 0"),
    ],
)
def test_wrong_settings_of_vasnet_are_refused(arguments, said):
    with pytest.raises(InputError, match=said):
        VASNet(5, **arguments)
