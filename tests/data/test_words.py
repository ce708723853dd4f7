"""The tokenizer: words whole, unknown ones in pieces, the same from the same texts."""

from __future__ import annotations

import json
import random

import pytest
import torch

from videolit.data.words import Utterance, WordTokenizer, pad_tokens, split_words
from videolit.ops.tokens import MARKS, PAD, SEPARATOR, SPEAKER, SPECIAL, UNKNOWN
from videolit.types import InputError

TEXTS = [
    Utterance("I am walking home. Home!", "Ann"),
    Utterance("You are talking, I am walking", "Ann"),
    Utterance("Are you home?", "Ben"),
]


@pytest.fixture
def tokenizer():
    return WordTokenizer.train(TEXTS, num_pieces=40, min_speaker_count=2)


def read(tokenizer, ids):
    return [tokenizer.tokens[number] for number in ids]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don’t you…", ["don't", "you", "..."]),
        ("\x93Don\x92t\x94", ['"', "don't", '"']),
        ("What?!! No!!!!", ["what", "?!", "no", "!!!"]),
        ("Noooooooo!", ["nooo", "!"]),
        ("OH my GOD, I", ["<capitals>", "oh", "my", "<capitals>", "god", ",", "i"]),
        ("ｆｕｌｌ ﬁt", ["full", "fit"]),
        ("27 Ça-va_x", ["27", "ça", "-", "va", "_", "x"]),
        (" \n", []),
    ],
)
def test_words_and_signs(text, words):
    assert split_words(text) == words


def test_frequent_words_are_whole_and_others_are_pieces(tokenizer):
    assert tokenizer.tokens[: len(SPECIAL)] == SPECIAL
    assert read(tokenizer, tokenizer.word_ids("walking home")) == ["walking", "home"]
    found = read(tokenizer, tokenizer.word_ids("talking"))
    assert all(piece.startswith("##") for piece in found)
    assert "".join(piece[2:] for piece in found) == "talking"
    # More than letters: part of "walking", which is as long a piece as there is.
    assert len(found) <= 3
    assert read(tokenizer, tokenizer.word_ids("Ω")) == ["<unknown>"]


def test_any_text_of_known_characters_can_be_put_together_again(tokenizer):
    drawn = random.Random(0)
    letters = sorted({letter for each in TEXTS for letter in each.text.lower() if letter.isalpha()})
    for _ in range(200):
        word = "".join(drawn.choices(letters, k=drawn.randint(1, 12)))
        expected = "".join(split_words(word))
        found = read(tokenizer, tokenizer.word_ids(word))
        assert "".join(piece.removeprefix("##") for piece in found) == expected
        assert "<unknown>" not in found


def test_the_same_texts_in_another_order_give_the_same_vocabulary(tokenizer):
    again = WordTokenizer.train(TEXTS[::-1], num_pieces=40, min_speaker_count=2)
    assert again == tokenizer
    assert hash(again) == hash(tokenizer)
    limited = WordTokenizer.train(TEXTS, num_words=2, num_pieces=0)
    whole = [token for token in limited.tokens[6:] if token[:2] != "##"]
    # "home" is the most frequent; among six that come second the alphabet decides.
    assert whole == ["home", "am"]


def test_json_gives_the_same_tokenizer(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "words.json")
    again = WordTokenizer.from_json((tmp_path / "words.json").read_text(encoding="utf-8"))
    assert again == tokenizer
    assert again.encode(TEXTS[1]).tolist() == tokenizer.encode(TEXTS[1]).tolist()


def test_an_utterance_is_followed_by_those_before_it(tokenizer):
    ids = tokenizer.encode(TEXTS[2], TEXTS[:2])
    assert ids.dtype == torch.int64
    words = read(tokenizer, ids)
    assert words[:6] == ["<speaker>", "are", "you", "home", "##?", "<separator>"]
    assert words[6:9] == ["@ann", "you", "are"]
    places = (ids == SEPARATOR).nonzero().flatten().tolist()
    assert read(tokenizer, ids[places[1] + 1 :])[:3] == ["@ann", "i", "am"]
    assert tokenizer.encode(TEXTS[2], TEXTS[:2], max_length=7).tolist() == ids[:7].tolist()
    # Without words there is still a token.
    assert tokenizer.encode("").tolist() == [SPEAKER]
    assert tokenizer.speaker_id(" ANN ") == tokenizer.speaker_id("ann") != SPEAKER


def test_sequences_are_padded_at_their_end():
    tokens, mask = pad_tokens([torch.tensor([7, 8, 9]), torch.tensor([UNKNOWN])])
    assert tokens.tolist() == [[7, 8, 9], [UNKNOWN, PAD, PAD]]
    assert mask.tolist() == [[True, True, True], [True, False, False]]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: WordTokenizer.train(["", " "]), "no words to learn a vocabulary from"),
        (lambda: WordTokenizer.train(["a"], min_count=0), "must be at least 0, min_count"),
        (lambda: WordTokenizer(("a",)), "a vocabulary begins with <pad>"),
        (lambda: WordTokenizer((*SPECIAL, "a", "a")), "come twice in the vocabulary: a"),
        (lambda: WordTokenizer(SPECIAL).encode("a", max_length=0), "max_length must be"),
        (lambda: WordTokenizer.from_json("words"), "not a vocabulary: no JSON"),
        (lambda: WordTokenizer.from_json("[]"), "not a vocabulary: expected"),
        (
            lambda: WordTokenizer.from_json(
                json.dumps({"format": "videolit words 1", "tokens": [1]})
            ),
            "tokens must be a list of texts",
        ),
        (lambda: WordTokenizer(SPECIAL, {"a": MARKS[0]}), "needs the tokens <very negative>"),
        (lambda: WordTokenizer((*SPECIAL, *MARKS), {"a": "<bad>"}), "the marks .*, got <bad>"),
        (
            lambda: WordTokenizer.from_json(
                json.dumps({"format": "videolit words 2", "tokens": SPECIAL, "marks": {"a": 1}})
            ),
            "marks must be lists of words",
        ),
    ],
)
def test_what_is_no_vocabulary_is_refused(build, message):
    with pytest.raises(InputError, match=message):
        build()
