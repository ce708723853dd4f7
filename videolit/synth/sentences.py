"""Sentences that tell an emotion, or none, from a small grammar.

A sentence is an opening, a statement and a time, the first and last of which may be missing. A
statement of an emotion has one word that tells it, which stands in frames that all emotions share;
a part of the statements tells an emotion by denying its opposite ("not angry" is calm). Each
sentence belongs to one split, so test sentences are never those of training; their words are.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np

from videolit.synth.actions import Split
from videolit.synth.emotions import MOCKING, NONE

_FEELINGS = {
    "joy": "happy glad delighted cheerful merry proud",
    "sadness": "sad gloomy lonely miserable tearful low",
    "anger": "angry furious mad outraged annoyed bitter",
    "calm": "calm relaxed peaceful serene settled content",
    NONE: "busy early late awake ready punctual",
}
_DOINGS = {
    "joy": "love adore enjoy",
    "sadness": "miss mourn lament",
    "anger": "hate resent despise",
    "calm": "accept trust welcome",
    NONE: "know see use remember describe count",
}
# How one feels, and what one does to things. Few enough that a thousand clips have each word often.
ADJECTIVES = {shown: tuple(words.split()) for shown, words in _FEELINGS.items()}
VERBS = {shown: tuple(words.split()) for shown, words in _DOINGS.items()}
OPPOSITES = {"joy": "sadness", "sadness": "joy", "anger": "calm", "calm": "anger"}
_NOUNS = (
    "train bus garden letter meeting kitchen neighbour window story weather answer song party "
    "plan dinner journey office lesson picture village report table call concert"
)
NOUNS = tuple(_NOUNS.split())
_OWNERS = ("the", "my", "your", "our", "his", "her", "that", "this", "their")
_OPENINGS = ("", "", "well", "you know", "listen", "look", "oh", "so", "and", "yes", "right")
_TIMES = ("", "", "today", "this morning", "at noon", "again", "on Monday", "after lunch", "now")
_DENIALS = ("not", "never", "no longer", "not at all")
_DENIED_VERBS = ("do not", "never", "no longer", "did not")
# By the strength of the emotion; nothing in between.
_STRONG, _WEAK = ("so", "very", "really"), ("a bit", "rather", "quite")
_DENIED = 0.08
# Fewest and most syllables.
SYLLABLES = (7, 10)
# Tenths of all sentences, by their checksum.
_TENTHS: dict[Split, tuple[int, int]] = {"train": (0, 6), "val": (7, 7), "test": (8, 9)}


def sentence(
    generator: np.random.Generator, shown: str, *, strength: float, syllables: int, split: Split
) -> str:
    """Return a sentence of a number of syllables.

    The number is given, so that the length of what is said does not tell the emotion.

    Args:
        generator: Source of all draws.
        shown: One of the emotions, or ``neutral``.
        strength: Of the emotion, in [0, 1]: chooses "very" or "a bit".
        syllables: As :func:`count_syllables` counts them, 7 to 10.
        split: The split that the sentence belongs to.
    """
    assert shown != MOCKING, "words do not mock"
    while True:
        said = _draw(generator, shown, strength)
        if count_syllables(said) == syllables and split_of(said) == split:
            return said[0].upper() + said[1:] + "."


def split_of(said: str) -> Split:
    """Return the split of a sentence, whatever its case and stop."""
    tenth = zlib.crc32(said.lower().rstrip(".").encode()) % 10
    return next(split for split, (low, high) in _TENTHS.items() if low <= tenth <= high)


def count_syllables(said: str) -> int:
    """Return about how many syllables words have: groups of vowels, without a mute e at the end."""
    return sum(
        max(len(re.findall("[aeiouy]+", re.sub("(?<![aeiouyl])e$|(?<=[^td])ed$", "", word))), 1)
        for word in re.findall("[a-z]+", said.lower())
    )


def _draw(generator: np.random.Generator, shown: str, strength: float) -> str:
    # One call for all draws: a sentence is drawn many times until it fits.
    numbers = iter(generator.random(10).tolist())

    def pick(words: Sequence[str]) -> str:
        return words[int(next(numbers) * len(words))]

    opening, time = pick(_OPENINGS), pick(_TIMES)
    thing = f"{pick(_OWNERS)} {pick(NOUNS)}"
    denied = shown != NONE and next(numbers) < _DENIED
    told = OPPOSITES[shown] if denied else shown
    adjective, verb = pick(ADJECTIVES[told]), pick(VERBS[told])
    if denied:
        adjective, verb = f"{pick(_DENIALS)} {adjective}", f"{pick(_DENIED_VERBS)} {verb}"
    elif strength > 0.9:
        adjective, verb = f"{pick(_STRONG)} {adjective}", f"really {verb}"
    elif strength < 0.8:
        adjective = f"{pick(_WEAK)} {adjective}"
    statements = (
        f"I am {adjective} about {thing}",
        f"I am {adjective} with {thing}",
        f"we are {adjective} at {thing}",
        f"I feel {adjective} about {thing}",
        f"{thing} left me {adjective}",
        f"I {verb} {thing}",
    )
    return " ".join(part for part in (opening, pick(statements), time) if part)
