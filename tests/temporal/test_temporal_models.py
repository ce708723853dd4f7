"""All temporal models: the contract, and what each of them pools."""

from __future__ import annotations

import pytest
import torch

from contracts import check_temporal
from videolit.temporal import RNN, TCN, TRN, AttentionPool, MaxPool, MeanPool, Transformer
from videolit.temporal.trn import _tuples
from videolit.types import InputError

MODELS = {
    "mean": lambda: MeanPool(5),
    "max": lambda: MaxPool(5),
    "trn": lambda: TRN(5, hidden_size=8, dropout=0.3),
    "trn of few tuples": lambda: TRN(5, hidden_size=8, num_scales=3, max_tuples=4),
    "attention": lambda: AttentionPool(5, hidden_size=7),
    "lstm": lambda: RNN(5, hidden_size=4),
    "gru": lambda: RNN(5, "gru", hidden_size=4, bidirectional=False),
    "tcn": lambda: TCN(5, hidden_size=8, dropout=0.3),
    "causal tcn": lambda: TCN(5, hidden_size=8, num_layers=2, causal=True),
    "transformer": lambda: Transformer(5, hidden_size=8, dropout=0.3),
    "local transformer": lambda: Transformer(5, hidden_size=8, num_heads=2, window=1),
    "deep gru": lambda: RNN(5, "gru", hidden_size=4, num_layers=2, dropout=0.5),
}


@pytest.mark.parametrize("name", MODELS)
def test_contract(name):
    torch.manual_seed(0)
    # Convolutions of another length are summed in another order.
    check_temporal(MODELS[name](), 1e-5 if "tcn" in name else 1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_order_matters_unless_steps_are_only_averaged(name):
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    features, mask = torch.randn(2, 6, 5), torch.ones(2, 6, dtype=torch.bool)
    with torch.no_grad():
        forward, backward = (
            model.pool(model(clip, mask), mask) for clip in (features, features.flip(1))
        )
    assert torch.allclose(forward, backward, atol=1e-5) is (name in ("mean", "max", "attention"))


def test_mean_of_the_real_steps():
    features = torch.tensor([[[1.0], [3.0], [100.0]], [[2.0], [100.0], [100.0]]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    model = MeanPool(1)
    assert model.pool(model(features, mask), mask).tolist() == [[2.0], [2.0]]


def test_attention_against_a_loop():
    torch.manual_seed(0)
    model = AttentionPool(5, hidden_size=7)
    features = torch.randn(3, 6, 5)
    mask = torch.arange(6) < torch.tensor([6, 4, 1])[:, None]
    sequence = model(features, mask)
    found, weights = model.pool(sequence, mask), model.weights(sequence, mask)
    first, _, second = model.score
    for row, length in enumerate((6, 4, 1)):
        scores = torch.stack(
            [second.weight[0] @ torch.tanh(first.weight @ h + first.bias) for h in features[row]]
        )[:length]
        share = scores.exp() / scores.exp().sum()
        expected = sum(a * h for a, h in zip(share, features[row], strict=False))
        torch.testing.assert_close(found[row], expected)
        torch.testing.assert_close(weights[row, :length], share)
        assert (weights[row, length:] == 0).all()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_pooled_state_is_torchs_last_hidden_state(cell, bidirectional):
    torch.manual_seed(0)
    model = RNN(5, cell, hidden_size=4, num_layers=2, bidirectional=bidirectional).eval()
    features = torch.randn(3, 6, 5)
    for row, length in enumerate((6, 4, 1)):
        mask = torch.arange(6)[None] < length
        alone = features[row : row + 1]
        found = model.pool(model(alone, mask), mask)
        state = model.network(alone[:, :length])[1]
        hidden = state[0] if cell == "lstm" else state
        expected = torch.cat([*hidden[-2:]], 1) if bidirectional else hidden[-1]
        torch.testing.assert_close(found, expected)
        assert found.shape[1] == model.num_features


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"cell": "rnn"}, "'lstm' or 'gru', got 'rnn'"),
        ({"num_layers": 0}, "num_layers must be at least 1"),
        ({"hidden_size": 0}, "sizes of at least 1"),
        ({"dropout": 1.0, "num_layers": 2}, r"dropout must be in \[0, 1\)"),
        ({"dropout": 0.5}, "acts between layers and there is one"),
    ],
)
def test_wrong_arguments(arguments, said):
    with pytest.raises(InputError, match=said):
        RNN(5, **arguments)


def test_a_mask_without_steps():
    with pytest.raises(InputError, match="without a real frame"):
        MeanPool(2)(torch.zeros(1, 0, 2), torch.zeros(1, 0, dtype=torch.bool))


def reached(model, step, steps=20):
    """Return which steps of the result a change at one step of the input reaches."""
    torch.manual_seed(0)
    model = model.eval()
    features, mask = torch.randn(1, steps, 5), torch.ones(1, steps, dtype=torch.bool)
    other = features.clone()
    other[0, step] += 1
    with torch.no_grad():
        change = (model(other, mask) - model(features, mask)).abs().amax(-1)[0]
    return (change > 1e-7).nonzero().flatten().tolist()


def test_how_far_a_step_is_seen():
    # Reaches of 1, 2 and 4 steps.
    assert reached(TCN(5, hidden_size=8, num_layers=3), 10) == list(range(3, 18))
    # To both sides together as far, but only forwards.
    assert reached(TCN(5, hidden_size=8, num_layers=2, causal=True), 10) == list(range(10, 17))
    assert reached(Transformer(5, hidden_size=8), 10) == list(range(20))
    local = Transformer(5, hidden_size=8, num_layers=2, window=3)
    assert reached(local, 10) == list(range(4, 17))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TCN(5, num_layers=0), "num_layers must be at least 1, got 0"),
        (lambda: TCN(5, kernel_size=4), "kernel_size must be odd and positive, got 4"),
        (lambda: TCN(5, dropout=1.0), r"dropout must be in \[0, 1\), got 1"),
        (lambda: Transformer(5, num_heads=0), "at least 1, got 2 and 0"),
        (lambda: Transformer(5, hidden_size=10), r"multiple of num_heads \(4\), got 10"),
        (lambda: Transformer(5, window=0), "window must be at least 1 step, got 0"),
        (lambda: Transformer(5, dropout=-0.1), r"dropout must be in \[0, 1\), got -0.1"),
    ],
)
def test_settings_out_of_range_of_convolutions_and_attention(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_max_of_the_real_steps():
    features = torch.tensor([[[1.0, -5.0], [-3.0, -4.0], [100.0, 0.0]]])
    mask = torch.tensor([[True, True, False]])
    model = MaxPool(2)
    assert model.pool(model(features, mask), mask).tolist() == [[1.0, -4.0]]


def test_relations_against_a_loop():
    import itertools

    torch.manual_seed(0)
    model = TRN(5, hidden_size=4, num_scales=3, max_tuples=100).eval()
    features = torch.randn(2, 5, 5)
    mask = torch.arange(5) < torch.tensor([5, 2])[:, None]
    with torch.no_grad():
        found = model.pool(model(features, mask), mask)
        for row, length in enumerate((5, 2)):
            steps = features[row, :length] @ model.enter.weight.T + model.enter.bias
            scales = []
            for size in range(1, min(3, length) + 1):
                answers = [
                    model.relations[size - 1](torch.cat([steps[i] for i in places]))
                    for places in itertools.combinations(range(length), size)
                ]
                scales.append(torch.stack(answers).mean(0))
            torch.testing.assert_close(found[row], torch.stack(scales).mean(0))


@pytest.mark.parametrize(
    ("length", "size", "most"), [(16, 2, 16), (16, 5, 16), (9, 8, 4), (40, 3, 20)]
)
def test_drawn_tuples_are_ascending_distinct_and_spread(length, size, most):
    drawn = _tuples(length, size, most)
    assert len(drawn) == len({tuple(t) for t in drawn}) == most
    assert all(list(t) == sorted(set(t)) and 0 <= t[0] and t[-1] < length for t in drawn)
    assert drawn == _tuples.__wrapped__(length, size, most)
    if size * most >= 2 * length:
        assert {step for t in drawn for step in t} == set(range(length))
    assert _tuples(4, 2, 100) == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]


def test_trn_refuses_what_is_out_of_range():
    for settings, words in (({"num_scales": 0}, "num_scales"), ({"dropout": 1.0}, "dropout")):
        with pytest.raises(InputError, match=words):
            TRN(5, **settings)


def test_scales_longer_than_all_clips_have_a_gradient_of_zero():
    model = TRN(5, hidden_size=4, num_scales=6).train()
    features, mask = torch.randn(2, 3, 5), torch.ones(2, 3, dtype=torch.bool)
    model.pool(model(features, mask), mask).sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())
    assert all((weight.grad == 0).all() for weight in model.relations[3:].parameters())
