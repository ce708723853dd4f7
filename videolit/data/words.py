"""A tokenizer that needs no download: whole words, and pieces of those that it does not know."""

from __future__ import annotations

import collections
import dataclasses
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeGuard

import torch
from torch import Tensor

from videolit.ops.files import atomic_path
from videolit.ops.tokens import CAPITALS, MARKS, PAD, SEPARATOR, SPEAKER, SPECIAL, UNKNOWN
from videolit.types import InputError

# The second has marks; without any, the first is written, which older versions read too.
_FORMATS = ("videolit words 1", "videolit words 2")
# Longer substrings are seldom shared by words of different stems.
_LONGEST_PIECE = 6
_CONTINUES = "##"
# Words with inner apostrophes, numbers, runs of end marks, and any other sign by itself.
_TOKEN = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*|\d+|[!?.]+|[^\w\s]|_")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "`": "'", "“": '"', "”": '"', "…": "..."})
# What Windows-1252 has where Unicode has control characters; common in old subtitles.
_CONTROLS = {byte: bytes([byte]).decode("cp1252", "ignore") or " " for byte in range(0x80, 0xA0)}


class Utterance(NamedTuple):
    """What one person said.

    Attributes:
        text: The words.
        speaker: Who said them; ``""`` = unknown.
    """

    text: str
    speaker: str = ""


def split_words(text: str) -> list[str]:
    """Cut a text into lower-case words and signs; ``<capitals>`` stands before a shouted word.

    Curly quotes become straight, letters repeated more than three times are repeated three times,
    and runs of ``!``, ``?`` and ``.`` are one sign of at most three characters.
    """
    plain = unicodedata.normalize("NFKC", text.translate(_CONTROLS)).translate(_QUOTES)
    plain = re.sub(r"(\w)\1{3,}", r"\1\1\1", plain)
    found: list[str] = []
    for word in _TOKEN.findall(plain):
        if word[0] in "!?." and len(word) > 1:
            # "?!" and "!?" are one thing; "...." is an ellipsis.
            word = "?!" if {"?", "!"} <= set(word) else word[:3]
        elif len(word) > 1 and word.isupper():
            found.append(SPECIAL[CAPITALS])
        found.append(word.lower())
    return found


@dataclasses.dataclass(frozen=True)
class WordTokenizer:
    """Text to token numbers.

    A word of the vocabulary is one token. Another one is cut into the longest pieces that the
    vocabulary has, from left to right, as WordPiece does it (Wu et al. 2016, arXiv:1609.08144,
    section 4.1); a character never seen is ``<unknown>``.

    With a list of rated words, a token for how positive a word is stands behind it: what a model
    learns of ``<very positive>`` holds for all such words, also for those it never saw.

    Args:
        tokens: The vocabulary: :data:`~videolit.ops.tokens.SPECIAL` first, then words, ``##`` and
            a piece for parts of words, and ``@`` and a name for speakers. A token's number is its
            place.
        marks: Token that stands behind a word, one of :data:`~videolit.ops.tokens.MARKS`, by word.

    Raises:
        InputError: If the special tokens are not first, a token comes twice, or marks are missing.
    """

    tokens: tuple[str, ...]
    marks: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Check the vocabulary and number its tokens."""
        if self.tokens[: len(SPECIAL)] != SPECIAL:
            raise InputError(
                f"a vocabulary begins with {', '.join(SPECIAL)}, got "
                f"{', '.join(map(str, self.tokens[: len(SPECIAL)]))}"
            )
        numbers = {token: number for number, token in enumerate(self.tokens)}
        if len(numbers) != len(self.tokens):
            twice = [token for token, n in collections.Counter(self.tokens).items() if n > 1]
            raise InputError(f"tokens come twice in the vocabulary: {', '.join(twice[:5])}")
        if self.marks and not set(MARKS) <= set(self.tokens):
            raise InputError(f"a vocabulary with marked words needs the tokens {', '.join(MARKS)}")
        strange = sorted(set(self.marks.values()) - set(MARKS))
        if strange:
            raise InputError(f"expected the marks {', '.join(MARKS)}, got {', '.join(strange)}")
        object.__setattr__(self, "_numbers", numbers)

    def __len__(self) -> int:
        """Return the size of the vocabulary."""
        return len(self.tokens)

    @classmethod
    def train(
        cls,
        utterances: Iterable[Utterance | str],
        num_words: int = 8000,
        num_pieces: int = 1000,
        min_count: int = 2,
        min_speaker_count: int = 100,
        marks: Mapping[str, str] | None = None,
    ) -> WordTokenizer:
        """Learn the vocabulary of training texts. The same texts give the same vocabulary.

        Args:
            utterances: The texts, in any order; ``str`` = without a speaker.
            num_words: Most whole words, the most frequent ones.
            num_pieces: Most pieces of more than one letter: the substrings, of up to 6 letters,
                with the most letters in different words. All single characters are pieces too.
            min_count: Occurrences below which a word is not kept whole.
            min_speaker_count: Utterances below which a speaker is just ``<speaker>``.
            marks: What stands behind words of a list; see
                :func:`~videolit.data.lexicon.marks_of`.

        Raises:
            InputError: If a number is below 0 (``min_count``, ``min_speaker_count``: 1), or the
                texts have no word.
        """
        if num_words < 0 or num_pieces < 0 or min_count < 1 or min_speaker_count < 1:
            raise InputError(
                "num_words and num_pieces must be at least 0, min_count and min_speaker_count at "
                f"least 1, got {num_words}, {num_pieces}, {min_count}, {min_speaker_count}"
            )
        words: collections.Counter[str] = collections.Counter()
        speakers: collections.Counter[str] = collections.Counter()
        for each in utterances:
            text, speaker = (each, "") if isinstance(each, str) else each
            words.update(word for word in split_words(text) if word not in SPECIAL)
            if speaker:
                speakers[_speaker_token(speaker)] += 1
        if not words:
            raise InputError("no words to learn a vocabulary from: all texts are empty")
        whole = [word for word, count in _ranked(words) if count >= min_count][:num_words]
        named = [name for name, count in _ranked(speakers) if count >= min_speaker_count]
        pieces = _find_pieces(words, num_pieces)
        first = MARKS if marks else ()
        return cls((*SPECIAL, *dict.fromkeys([*first, *whole, *pieces, *named])), marks or {})

    def word_ids(self, text: str) -> list[int]:
        """Return the token numbers of a text; ``[]`` for one without words."""
        found: list[int] = []
        for word in split_words(text):
            found += self._word(word)
            if word in self.marks:
                found.append(self._lookup[self.marks[word]])
        return found

    def encode(
        self,
        utterance: Utterance | str,
        context: Sequence[Utterance] = (),
        max_length: int = 128,
    ) -> Tensor:
        """Return an utterance and those before it as one sequence, the newest first.

        It reads: speaker, words, separator, speaker of the utterance before, its words, and so on.
        Thus what is cut off at ``max_length`` is the oldest, and a
        :class:`~videolit.encoders.words.TextEncoder` knows by the separators what is only context.

        Args:
            utterance: What the sample is about.
            context: What was said before it, oldest first.
            max_length: Most tokens.

        Returns:
            int64 ``(L,)``, 1 ≤ L ≤ ``max_length``: at least the speaker's token.

        Raises:
            InputError: If ``max_length`` is below 1.
        """
        if max_length < 1:
            raise InputError(f"max_length must be at least 1 token, got {max_length}")
        spoken = Utterance(utterance) if isinstance(utterance, str) else utterance
        ids: list[int] = []
        for place, each in enumerate((spoken, *reversed(context))):
            if place:
                ids.append(SEPARATOR)
            ids += [self.speaker_id(each.speaker), *self.word_ids(each.text)]
            if len(ids) >= max_length:
                break
        return torch.tensor(ids[:max_length], dtype=torch.int64)

    def speaker_id(self, speaker: str) -> int:
        """Return the token number of a speaker, that of ``<speaker>`` for one not known."""
        return self._lookup.get(_speaker_token(speaker), SPEAKER)

    def to_json(self) -> str:
        """Return the vocabulary as JSON text; :meth:`from_json` reads it."""
        content: dict[str, object] = {"format": _FORMATS[bool(self.marks)], "tokens": self.tokens}
        if self.marks:
            content["marks"] = {
                mark: sorted(word for word, its in self.marks.items() if its == mark)
                for mark in MARKS
            }
        return json.dumps(content, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> WordTokenizer:
        """Build the tokenizer from :meth:`to_json`'s text.

        Raises:
            InputError: If it is not such a text.
        """
        try:
            content = json.loads(text)
        except json.JSONDecodeError as problem:
            raise InputError(f"not a vocabulary: no JSON ({problem})") from problem
        if not isinstance(content, dict) or content.get("format") not in _FORMATS:
            raise InputError(
                f'not a vocabulary: expected {{"format": "{_FORMATS[0]}", "tokens": […]}}, or '
                f'"{_FORMATS[1]}" with "marks"'
            )
        tokens, marks = content.get("tokens"), content.get("marks", {})
        if not _are_texts(tokens):
            raise InputError("not a vocabulary: tokens must be a list of texts")
        if not isinstance(marks, dict) or not all(map(_are_texts, marks.values())):
            raise InputError("not a vocabulary: marks must be lists of words by mark")
        return cls(tuple(tokens), {word: mark for mark in marks for word in marks[mark]})

    def save(self, path: Path) -> None:
        """Write the vocabulary to a JSON file."""
        with atomic_path(path) as part:
            part.write_text(self.to_json(), encoding="utf-8")

    @property
    def mark_ids(self) -> list[int]:
        """Token numbers of the marks behind rated words; ``[]`` without a list of words."""
        return [self._lookup[mark] for mark in MARKS if self.marks]

    @property
    def _lookup(self) -> dict[str, int]:
        numbers: dict[str, int] = self.__dict__["_numbers"]
        return numbers

    def _word(self, word: str) -> list[int]:
        """Return one word's token, or those of its pieces."""
        if word in self._lookup:
            return [self._lookup[word]]
        found, first = [], 0
        while first < len(word):
            for stop in range(min(len(word), first + _LONGEST_PIECE), first, -1):
                number = self._lookup.get(_CONTINUES + word[first:stop])
                if number is not None:
                    break
            else:
                number, stop = UNKNOWN, first + 1
            found.append(number)
            first = stop
        return found


def pad_tokens(sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Stack token sequences of different lengths.

    Args:
        sequences: int64 ``(L_i,)`` each.

    Returns:
        int64 ``(B, L)``, ``<pad>`` after each sequence's end, and bool ``(B, L)``, True = a token.
    """
    length = max((len(each) for each in sequences), default=0)
    tokens = torch.full((len(sequences), length), PAD, dtype=torch.int64)
    mask = torch.zeros(len(sequences), length, dtype=torch.bool)
    for row, each in enumerate(sequences):
        tokens[row, : len(each)] = each
        mask[row, : len(each)] = True
    return tokens, mask


def _are_texts(found: object) -> TypeGuard[list[str]]:
    return isinstance(found, list) and all(isinstance(each, str) for each in found)


def _speaker_token(speaker: str) -> str:
    return "@" + " ".join(speaker.lower().split())


def _ranked(counts: collections.Counter[str]) -> list[tuple[str, int]]:
    """Return items by falling count, equal ones by the alphabet, whatever order they came in."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _find_pieces(words: Iterable[str], most: int) -> list[str]:
    """Return the pieces of a vocabulary: every character, and the substrings that save most."""
    characters = sorted({character for word in words for character in word})
    saved: collections.Counter[str] = collections.Counter()
    for word in words:
        if not word[0].isalpha():
            continue
        for length in range(2, min(len(word), _LONGEST_PIECE) + 1):
            # Each word counts once: pieces are for words not seen, not for the frequent ones.
            parts = {word[at : at + length] for at in range(len(word) - length + 1)}
            saved.update(dict.fromkeys(parts, length - 1))
    longer = [piece for piece, _ in _ranked(saved)[:most]]
    return [_CONTINUES + piece for piece in (*characters, *longer)]
