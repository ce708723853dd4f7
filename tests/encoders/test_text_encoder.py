"""The text encoder trained from nothing: masks, context, and what it can learn."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from contracts import twin
from videolit.encoders.words import TextEncoder
from videolit.ops.tokens import MASK, PAD, SEPARATOR, SPEAKER
from videolit.types import InputError


def small(**settings):
    torch.manual_seed(0)
    encoder = TextEncoder(30, **{"hidden_size": 8, "num_heads": 2, "num_context": 2, **settings})
    # Context begins as nothing.
    for value in encoder.parameters():
        if not value.any():
            nn.init.normal_(value, std=0.5)
    return encoder.eval()


def two():
    tokens = torch.tensor(
        [
            [SPEAKER, 10, 11, 12, SEPARATOR, SPEAKER, 13, SEPARATOR, SPEAKER, 14],
            [SPEAKER, 20, SEPARATOR, SPEAKER, 21, 22, PAD, PAD, PAD, PAD],
        ]
    )
    return tokens, tokens != PAD


@pytest.fixture(params=[0, 2], ids=["no layers", "two layers"])
def encoder(request):
    return small(num_layers=request.param, num_context=2)


def test_the_result_ends_with_the_utterance(encoder):
    tokens, mask = two()
    features, own = encoder(tokens, mask)
    assert features.shape == (2, 10, 8)
    assert encoder.num_features == 8
    assert own.sum(1).tolist() == [4, 2]
    assert own[0, :4].all()
    assert own[1, :2].all()
    assert not features[~own].any()
    assert features[own].abs().amax(1).min() > 0


def test_padding_changes_nothing_whatever_is_in_it(encoder):
    tokens, mask = two()
    features, _ = encoder(tokens, mask)
    longer = nn.functional.pad(tokens, (0, 5), value=7)
    longer[1, 6:] = SEPARATOR
    found, own = encoder(longer, nn.functional.pad(mask, (0, 5)))
    torch.testing.assert_close(found[:, :10], features, atol=1e-6, rtol=0)
    assert not own[:, 10:].any()
    alone, _ = encoder(tokens[1:, :6], mask[1:, :6])
    torch.testing.assert_close(alone[0], features[1, :6], atol=1e-6, rtol=0)


def test_context_is_seen_as_far_back_as_it_is_told_apart(encoder):
    tokens, mask = two()
    features, _ = encoder(tokens, mask)
    for place in (6, 9):
        changed = tokens.clone()
        changed[0, place] = 25
        found, _ = encoder(changed, mask)
        assert (found[0, :4] - features[0, :4]).abs().amax(1).min() > 1e-6
        torch.testing.assert_close(found[1], features[1])
    near = small(num_layers=encoder.num_layers, num_context=1)
    changed = tokens.clone()
    changed[0, 9] = 25
    torch.testing.assert_close(near(changed, mask)[0], near(tokens, mask)[0])
    none = small(num_layers=encoder.num_layers, num_context=0)
    changed[0, 6] = 25
    torch.testing.assert_close(none(changed, mask)[0], none(tokens, mask)[0])


def test_without_context_an_utterance_is_what_it_is_alone(encoder):
    encoder = small(num_layers=encoder.num_layers, num_context=0)
    tokens, mask = two()
    alone, _ = encoder(tokens[:1, :4], mask[:1, :4])
    torch.testing.assert_close(encoder(tokens, mask)[0][0, :4], alone[0], atol=1e-6, rtol=0)


def test_numbers_at_padding_need_be_no_tokens(encoder):
    tokens, mask = two()
    other = tokens.masked_fill(~mask, -100)
    torch.testing.assert_close(encoder(other, mask)[0], encoder(tokens, mask)[0])


def test_a_recorded_encoder_is_built_again(encoder):
    tokens, mask = two()
    torch.testing.assert_close(twin(encoder)(tokens, mask)[0], encoder(tokens, mask)[0])


def test_a_sample_without_words_has_no_step_and_no_nan(encoder):
    tokens, mask = two()
    mask[1] = False
    features, own = encoder(tokens, mask)
    assert not own[1].any()
    assert features.isfinite().all()
    assert not features[1].any()


def test_a_convolution_of_one_token_sees_no_neighbours():
    tokens, mask = two()
    changed = tokens.clone()
    changed[0, 2] = 25
    for kernel, reach in ((1, [2]), (3, [1, 2, 3]), (5, [0, 1, 2, 3])):
        encoder = small(kernel=kernel, num_layers=0)
        apart = (encoder(changed, mask)[0] - encoder(tokens, mask)[0]).abs().amax(2)[0]
        assert (apart > 0).nonzero().flatten().tolist() == reach


def test_dropped_tokens_are_masked_ones_in_training_only():
    encoder = small(num_layers=0, num_context=0, kernel=1, dropout=0.0, token_dropout=0.5)
    tokens = torch.full((1, 2000), 10)
    mask = torch.ones_like(tokens, dtype=torch.bool)
    masked = encoder.embed.weight[MASK]
    features, _ = encoder.train()(tokens, mask)
    dropped = (features[0] == masked).all(1)
    assert abs(dropped.float().mean() - 0.5) < 0.05
    assert (features[0, ~dropped] == encoder.embed.weight[10]).all()
    features, _ = encoder.eval()(tokens, mask)
    assert (features[0] == encoder.embed.weight[10]).all()


def test_context_that_decides_is_learnt():
    torch.manual_seed(0)
    encoder = TextEncoder(30, 16, 0, 2, num_context=1, dropout=0.0, token_dropout=0.0)
    head = nn.Linear(16, 2)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], 1e-2)
    for _ in range(120):
        said = torch.randint(10, 12, (32, 1))
        before = torch.randint(20, 22, (32, 1))
        tokens = torch.cat([said, torch.full_like(said, SEPARATOR), before], 1)
        features, own = encoder(tokens, torch.ones_like(tokens, dtype=torch.bool))
        logits = head(features.sum(1))
        label = before[:, 0] - 20
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits, label).backward()
        optimizer.step()
    assert (logits.argmax(1) == label).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_tokens": 6}, r"num_tokens must be above 6.*len\(tokenizer\)"),
        ({"hidden_size": 9}, "hidden_size must be even"),
        ({"num_layers": -1}, "num_layers and num_context must be at least 0"),
        ({"kernel": 2}, "kernel must be odd"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
        ({"token_dropout": -0.1}, "token_dropout must be in"),
    ],
)
def test_unusable_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        TextEncoder(**{"num_tokens": 30, "hidden_size": 8, "num_heads": 2, **settings})


def test_unusable_input_is_refused():
    tokens, mask = two()
    encoder = small()
    with pytest.raises(InputError, match=r"expected int64 tokens \(B, L\)"):
        encoder(tokens.float(), mask)
    with pytest.raises(InputError, match=r"expected int64 tokens \(B, L\), L at least 1"):
        encoder(tokens[:, :0], mask[:, :0])
    with pytest.raises(InputError, match="expected a bool mask"):
        encoder(tokens, mask[:, 1:])
