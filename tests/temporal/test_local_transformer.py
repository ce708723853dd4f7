"""Local attention: the contract, and that blocks give exactly what a dense mask gives."""

from __future__ import annotations

import math

import pytest
import torch

from contracts import check_temporal
from videolit.temporal import FrameMLP, LocalTransformer
from videolit.types import InputError


def small(**settings):
    """Return a model in which every part matters, distances too, as after training."""
    torch.manual_seed(0)
    arguments = {
        "hidden_size": 8, "num_heads": 2, "window": 3, "num_global": 2, "kernel_size": 3, "num_codes": 4
    }  # fmt: skip
    model = LocalTransformer(5, **(arguments | settings))
    for layer in model.layers:
        torch.nn.init.normal_(layer.distance)
    return model.eval()


# Attention alone.
ALONE = {"kernel_size": 0, "num_codes": 0}


@pytest.mark.parametrize(
    "settings",
    [
        {}, {"num_global": 0}, {"window": 1}, {"window": 100}, {"dropout": 0.5}, ALONE,
        {"kernel_size": 0}, {"num_codes": 0}, {"kernel_size": 31},
    ],
)  # fmt: skip
def test_a_local_transformer_keeps_the_contract(settings):
    # Blocks are as long as the longest clip where the window is longer: another order of sums.
    check_temporal(small(**settings), 1e-5 if settings.get("window") == 100 else 2e-6)


def neighboured(near, steps):
    """Add the convolution of one clip by its definition: a loop over steps."""
    if near is None:
        return steps
    gated, weight = near.enter(steps), near.filter.weight[:, 0]
    side = weight.shape[1] // 2
    rows = []
    for step in range(len(steps)):
        seen = [other for other in range(len(steps)) if abs(other - step) <= side]
        found = sum(gated[other] * weight[:, other - step + side] for other in seen)
        rows.append(found + near.filter.bias)
    return steps + near.leave(torch.stack(rows))


def remembered(memory, steps):
    """Add the memory of one clip by its definition: all pairs of steps."""
    if memory is None:
        return steps
    shares = (
        (memory.codes(steps) * memory.sharpness).unflatten(-1, (memory.num_heads, -1)).softmax(-1)
    )
    alike = torch.einsum("shc,thc->hst", shares, shares)
    before, after = alike.tril(-1).sum(2).T, alike.triu(1).sum(2).T
    return steps + memory.leave(torch.cat([before, after], 1).log1p())


def dense(model, features, mask):
    """Compute the model of one clip by its definition: a loop over heads, and a dense mask."""
    length = int(mask.sum())
    steps = model.enter(features[:length])
    joint = torch.cat([steps, model.tokens])
    place = torch.arange(len(joint))
    apart = place[None] - place[:, None]
    between_steps = (place[:, None] < length) & (place[None] < length)
    hidden = between_steps & (apart.abs() > model.window)
    for layer in model.layers:
        joint = torch.cat(
            [remembered(layer.memory, neighboured(layer.near, joint[:length])), joint[length:]]
        )
        queries, keys, values = layer.queries_keys_values(layer.norm(joint)).chunk(3, 1)
        width = queries.shape[1] // layer.heads
        found = []
        for head in range(layer.heads):
            part = slice(head * width, (head + 1) * width)
            scores = queries[:, part] @ keys[:, part].T / math.sqrt(width)
            near = layer.distance[head][(apart + model.window).clamp(0, 2 * model.window)]
            scores = torch.where(between_steps, scores + near, scores)
            found.append(scores.masked_fill(hidden, -math.inf).softmax(1) @ values[:, part])
        joint = joint + layer.join(torch.cat(found, 1))
        joint = joint + layer.each(joint)
    return model.norm(joint)[:length]


@pytest.mark.parametrize("length", [1, 2, 3, 4, 9, 12, 13, 60, 61])
@pytest.mark.parametrize("settings", [{}, {"num_global": 0}, {"window": 16}, ALONE])
def test_blocks_give_exactly_what_a_dense_mask_gives(length, settings):
    model = small(**settings)
    lengths = [length, max(1, length // 2), max(1, length - 1)]
    features = torch.randn(3, length, 5)
    mask = torch.arange(length) < torch.tensor(lengths)[:, None]
    with torch.no_grad():
        found = model(features, mask)
        for row, real in enumerate(lengths):
            expected = dense(model, features[row], mask[row])
            torch.testing.assert_close(found[row, :real], expected, atol=1e-5, rtol=1e-5)


def test_pieces_change_nothing(monkeypatch):
    model = small()
    features, mask = torch.randn(1, 13, 5), torch.ones(1, 13, dtype=torch.bool)
    with torch.no_grad():
        whole = model(features, mask)
        monkeypatch.setattr("videolit.temporal.local_transformer._PIECE", 4)
        torch.testing.assert_close(model(features, mask), whole)


def test_gradients_are_those_of_a_dense_mask():
    model = small().double()
    features = torch.randn(1, 10, 5, dtype=torch.float64)
    mask = torch.ones(1, 10, dtype=torch.bool)
    weight = torch.randn(10, 8, dtype=torch.float64)
    ours = torch.autograd.grad((model(features, mask)[0] * weight).sum(), model.parameters())
    theirs = torch.autograd.grad(
        (dense(model, features[0], mask[0]) * weight).sum(), model.parameters()
    )
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two)


def reached(model, step, length):
    """Return which steps of the result a change at one step of the input reaches."""
    features, mask = torch.randn(1, length, 5), torch.ones(1, length, dtype=torch.bool)
    other = features.clone()
    other[0, step, 0] += 1
    with torch.no_grad():
        change = (model(other, mask) - model(features, mask)).abs().amax(-1)[0]
    return (change > 1e-7).nonzero().flatten().tolist()


def test_a_layer_reaches_one_window_and_tokens_reach_everything():
    assert reached(small(**ALONE, num_layers=1), 10, 30) == list(range(7, 14))
    assert reached(small(**ALONE, num_layers=2, num_global=0), 10, 30) == list(range(4, 17))
    assert reached(small(**ALONE, num_layers=2), 10, 30) == list(range(30))


def test_convolution_reaches_half_a_kernel_further_and_memory_everything():
    one = {"num_layers": 1, "num_global": 0}
    assert reached(small(**one, num_codes=0, kernel_size=5), 10, 30) == list(range(5, 16))
    assert reached(small(**one, kernel_size=0), 10, 30) == list(range(30))


def test_a_video_moved_in_time_has_its_scores_moved():
    model = small(**ALONE, num_global=0)
    long = torch.randn(1, 50, 5)
    with torch.no_grad():
        whole = model(long, torch.ones(1, 50, dtype=torch.bool))
        part = model(long[:, 20:], torch.ones(1, 30, dtype=torch.bool))
    # Two layers of 3 steps see past the cut.
    torch.testing.assert_close(part[:, 6:], whole[:, 26:], atol=1e-5, rtol=1e-5)


def test_before_and_after_are_told_apart():
    model = small()
    features, mask = torch.randn(1, 9, 5), torch.ones(1, 9, dtype=torch.bool)
    with torch.no_grad():
        forward, backward = model(features, mask), model(features.flip(1), mask)
    assert not torch.allclose(forward, backward.flip(1), atol=1e-3)


def unexplained(model, target):
    """Train on a target of each step; return the share of its variance that is left."""
    head = torch.nn.Linear(model.num_features, 1)
    optimizer = torch.optim.Adam([*model.parameters(), *head.parameters()], 0.01)
    mask = torch.ones(32, 20, dtype=torch.bool)
    shares = []
    for _ in range(80):
        features = torch.randn(32, 20, 4)
        wanted = target(features)
        loss = (head(model(features, mask))[..., 0] - wanted).square().mean() / wanted.var()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        shares.append(float(loss.detach()))
    return sum(shares[-5:]) / 5


def test_what_was_two_steps_before_is_learnt_and_not_from_single_frames():
    def before(features):
        return features[..., 0].roll(2, 1)

    torch.manual_seed(0)
    model = LocalTransformer(4, 16, num_layers=1, num_heads=2, window=3, dropout=0.0)
    assert unexplained(model, before) < 0.4
    assert unexplained(FrameMLP(4, 16, dropout=0.0), before) > 0.9


def first_times(features):
    """Return 1 where a step shows one of four things for the first time in its clip."""
    same = features @ features.transpose(1, 2)
    return (same.tril(-1).sum(2) == 0).float()


def left_of_first_times(**settings):
    """Train on whether a step is new to its clip; return the share of the variance that is left."""
    torch.manual_seed(0)
    model = LocalTransformer(8, 16, num_layers=1, num_heads=2, window=2, dropout=0.0, **settings)
    head = torch.nn.Linear(model.num_features, 1)
    optimizer = torch.optim.Adam([*model.parameters(), *head.parameters()], 0.01)
    mask = torch.ones(32, 40, dtype=torch.bool)
    shares = []
    for _ in range(100):
        features = torch.nn.functional.one_hot(torch.randint(8, (32, 40)), 8).float()
        wanted = first_times(features)
        loss = (head(model(features, mask))[..., 0] - wanted).square().mean() / wanted.var()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        shares.append(float(loss.detach()))
    return sum(shares[-5:]) / 5


def test_memory_learns_what_is_new_to_a_video_and_nothing_else_does():
    assert left_of_first_times() < 0.35
    assert left_of_first_times(num_codes=0) > 0.5


def test_memory_counts_steps_that_are_alike_before_and_after():
    memory = small().layers[0].memory
    # Sharp shares: equal steps have a likeness of 1, others of 0.
    memory.codes = torch.nn.Identity()
    memory.num_heads, memory.sharpness.data = 1, torch.tensor(50.0)
    steps = torch.eye(3)[[0, 1, 0, 2, 0, 1, 1]][None]
    mask = torch.arange(7)[None] < 6
    with torch.no_grad():
        before, after = memory.counts(steps, mask)
    assert before[0, :6, 0].round().tolist() == [0, 0, 1, 0, 2, 1]
    assert after[0, :6, 0].round().tolist() == [2, 1, 1, 0, 0, 0]


@pytest.mark.slow
def test_the_whole_graph_is_compiled():
    model = small()
    features = torch.randn(2, 13, 5)
    mask = torch.arange(13) < torch.tensor([13, 4])[:, None]
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(features, mask), model(features, mask))


def test_training_in_half_precision_is_finite():
    model = small(dropout=0.1).train()
    features = torch.randn(2, 13, 5)
    mask = torch.arange(13) < torch.tensor([13, 4])[:, None]
    features[~mask] = math.nan
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(features, mask).float().square().mean()
    loss.backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


def test_twenty_thousand_steps_train():
    torch.manual_seed(0)
    model = LocalTransformer(8, hidden_size=8, num_heads=1).train()
    features, mask = torch.randn(1, 20_000, 8), torch.ones(1, 20_000, dtype=torch.bool)
    model(features, mask).square().mean().backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"num_heads": 0}, "at least 1, got 2 and 0"),
        ({"hidden_size": 10}, r"multiple of num_heads \(4\), got 10"),
        ({"window": 0}, "window must be at least 1 step, got 0"),
        ({"num_global": -1}, "num_global must be 0 or more tokens, got -1"),
        ({"kernel_size": 4}, "kernel_size must be odd, or 0 for none, got 4"),
        ({"num_codes": 1}, "num_codes must be at least 2, or 0 for none, got 1"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1"),
    ],
)
def test_wrong_settings_of_a_local_transformer_are_refused(arguments, said):
    with pytest.raises(InputError, match=said):
        LocalTransformer(5, **arguments)
