"""N-grams of an utterance: their weights beside scikit-learn's, masks, and what is refused."""

from __future__ import annotations

import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import nn

from contracts import twin
from videolit.data.words import Utterance, WordTokenizer, pad_tokens
from videolit.encoders import NGramEncoder
from videolit.ops.tokens import SEPARATOR
from videolit.types import InputError

TEXTS = [
    Utterance("so good to see you", "Joey"),
    Utterance("good to see", "Monica"),
    Utterance("you see so so much", "Joey"),
    Utterance("no", "Joey"),
    Utterance("no you", "Rachel"),
]


def learnt(num_grams=2, min_count=1, num_features=64, texts=TEXTS):
    tokenizer = WordTokenizer.train(texts, num_pieces=0, min_count=1, min_speaker_count=2)
    encoder = NGramEncoder(len(tokenizer), num_features, num_grams, min_count)
    encoder.learn(tokenizer.encode(text) for text in texts)
    return tokenizer, encoder


def grams_of(text, num_grams):
    """The same n-grams as words: the speaker alone, then words between two marks."""
    speaker = "@joey" if text.speaker == "Joey" else "@"
    words = ["<", *text.text.split(), ">"]
    more = [
        " ".join(words[first : first + size])
        for size in range(2, num_grams + 1)
        for first in range(len(words) - size + 1)
    ]
    return [speaker, *words[1:-1], *more]


@pytest.mark.parametrize("num_grams", [1, 2, 3])
@pytest.mark.parametrize("min_count", [1, 2])
def test_the_features_are_those_of_scikit_learn(num_grams, min_count):
    tokenizer, encoder = learnt(num_grams, min_count)
    features, mask = encoder(*pad_tokens([tokenizer.encode(text) for text in TEXTS]))
    assert features.shape == (5, 1, encoder.num_features)
    assert mask.tolist() == [[True]] * 5
    independent = TfidfVectorizer(
        analyzer=lambda text: grams_of(text, num_grams), binary=True, min_df=min_count
    )
    expected = torch.tensor(independent.fit_transform(TEXTS).toarray(), dtype=torch.float32)
    found = features[:, 0]
    # Places differ: what two utterances share does not, nor which numbers each has.
    torch.testing.assert_close(found @ found.T, expected @ expected.T)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine[mine > 0].sort().values, theirs[theirs > 0].sort().values)


def test_only_the_most_frequent_have_a_place():
    tokenizer, encoder = learnt(num_features=2, num_grams=1)
    features, _ = encoder(*pad_tokens([tokenizer.encode(text) for text in TEXTS]))
    # "you", "see" and <speaker> or @joey: each in three of five; the lower numbers come first.
    assert (encoder.weights > 0).all()
    assert features[3].count_nonzero() <= 1
    assert encoder.keys.tolist() == sorted(encoder.keys.tolist())


def test_the_order_of_the_texts_does_not_count():
    _, encoder = learnt()
    tokenizer, other = learnt(texts=TEXTS)
    other.learn(tokenizer.encode(text) for text in reversed(TEXTS))
    assert torch.equal(encoder.keys, other.keys)
    assert torch.equal(encoder.weights, other.weights)


def test_padding_and_context_change_nothing():
    tokenizer, encoder = learnt(3)
    plain, _ = encoder(*pad_tokens([tokenizer.encode(text) for text in TEXTS]))
    longer, mask = pad_tokens([tokenizer.encode(text, TEXTS[:2]) for text in TEXTS])
    assert (longer == SEPARATOR).any()
    longer = torch.where(mask, longer, 7)
    found, _ = encoder(nn.functional.pad(longer, (0, 3)), nn.functional.pad(mask, (0, 3)))
    torch.testing.assert_close(found, plain, atol=0, rtol=0)


def test_what_was_never_said_is_nothing():
    tokenizer, encoder = learnt(1, 2)
    features, mask = encoder(*pad_tokens([tokenizer.encode(Utterance("zzz", "Ross"))]))
    assert mask.all()
    assert features[:, :, encoder.weights == 0].count_nonzero() == 0
    tokens = tokenizer.encode("so")[None]
    features, mask = encoder(tokens, torch.zeros_like(tokens, dtype=torch.bool))
    assert not mask.any()
    assert not features.any()


def test_a_recorded_encoder_is_built_again():
    tokenizer, encoder = learnt()
    tokens, mask = pad_tokens([tokenizer.encode(text) for text in TEXTS])
    torch.testing.assert_close(twin(encoder)(tokens, mask)[0], encoder(tokens, mask)[0])


def test_before_learning_it_says_what_to_do():
    tokens = torch.tensor([[3, 10]])
    with pytest.raises(InputError, match=r"knows no n-grams yet: call learn\(\)"):
        NGramEncoder(20)(tokens, tokens > 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_tokens": 6}, "num_tokens must be above 6"),
        ({"num_grams": 0}, "at least 1, got 16384, 0, 2"),
        ({"num_tokens": 10**6, "num_grams": 4}, "cannot be numbered: lower num_grams"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(InputError, match=message):
        NGramEncoder(**{"num_tokens": 30, **settings})


def test_texts_that_share_nothing():
    with pytest.raises(InputError, match="no n-gram is in 6 of 5 training utterances"):
        learnt(min_count=6)
