"""Words of an utterance as tokens: which tokenizer, what was said before, and when."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from videolit.data.hf_words import HFTokenizer
from videolit.data.sentiment_records import SentimentSet
from videolit.data.words import Utterance, WordTokenizer
from videolit.ops.tokens import SEPARATOR
from videolit.types import InputError

Tokenizer = WordTokenizer | HFTokenizer

# Of a token where no time is known: about the pace of English conversation, 150 words a minute.
TOKEN_SECONDS = 0.4


def read_tokenizer(text: str) -> Tokenizer:
    """Build a tokenizer from its JSON, whichever it is of.

    Raises:
        InputError: If it is none.
    """
    try:
        content = json.loads(text)
    except json.JSONDecodeError as problem:
        raise InputError(f"not a tokenizer: no JSON ({problem})") from problem
    if isinstance(content, dict) and "definition" in content:
        return HFTokenizer.from_json(text)
    return WordTokenizer.from_json(text)


def make_tokenizer(
    train: SentimentSet,
    name: str | None,
    *,
    num_words: int,
    num_pieces: int,
    min_count: int,
    min_speaker_count: int,
    marks: Mapping[str, str] | None = None,
) -> Tokenizer:
    """Load a tokenizer, or learn one from the words of a training split.

    Args:
        train: The training split.
        name: Folder or name of a model of Hugging Face; None = learn it.
        num_words: See :meth:`~videolit.data.words.WordTokenizer.train`, as the rest.
        num_pieces: Most pieces of words.
        min_count: Occurrences below which a word is not kept whole.
        min_speaker_count: Utterances below which a speaker is just a speaker.
        marks: What stands behind words; see :func:`~videolit.data.lexicon.marks_of`.

    Raises:
        InputError: If it cannot be had, or there are no words.
    """
    if name is not None:
        return HFTokenizer.load(name)
    return WordTokenizer.train(
        (said(train, row) for row in range(len(train))),
        num_words=num_words,
        num_pieces=num_pieces,
        min_count=min_count,
        min_speaker_count=min_speaker_count,
        marks=marks,
    )


def describe_tokenizer(tokenizer: Tokenizer) -> str:
    """Return what an evaluation says of a tokenizer."""
    marked = 0 if isinstance(tokenizer, HFTokenizer) else len(tokenizer.marks)
    return f"{len(tokenizer)} tokens" + (f", {marked} rated words" if marked else "")


def separator_of(tokenizer: Tokenizer) -> int:
    """Return the number of the token between utterances."""
    return tokenizer.separator_id if isinstance(tokenizer, HFTokenizer) else SEPARATOR


def said(data: SentimentSet, row: int) -> Utterance:
    """Return the words of an utterance of a set."""
    found = data.utterances[row]
    return Utterance(found.text, found.speaker)


def contexts(data: SentimentSet, most: int) -> list[tuple[int, ...]]:
    """Return for each utterance those said before it in its dialogue, oldest first.

    Args:
        data: The utterances.
        most: How many at most.
    """
    found: list[tuple[int, ...]] = [()] * len(data)
    if most == 0:
        return found
    for rows in data.dialogues().values():
        order = [row for row in rows.tolist() if data.utterances[row].text]
        for place, row in enumerate(order):
            found[row] = tuple(order[max(place - most, 0) : place])
    return found


def token_seconds(
    tokens: Tensor | Sequence[int],
    separator: int,
    duration: float | None,
    start: float = 0.0,
) -> NDArray[np.float32]:
    """Return the middle of each token, as if all of an utterance took equally long.

    Args:
        tokens: int64 ``(L,)``, the utterance first, behind separators what was said before.
        separator: Number of the token between utterances.
        duration: Seconds of the utterance; None = not known.
        start: When its words begin, in seconds.

    Returns:
        float32 ``(L,)`` seconds from the utterance's beginning; 0 for what was said before.
    """
    ids = torch.as_tensor(tokens).numpy()
    ends = np.flatnonzero(ids == separator)
    own = int(ends[0]) if len(ends) else len(ids)
    seconds = np.zeros(len(ids), np.float32)
    length = own * TOKEN_SECONDS if duration is None else duration
    seconds[:own] = start + (np.arange(own) + 0.5) * (length / max(own, 1))
    return seconds
