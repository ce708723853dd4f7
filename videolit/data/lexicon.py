"""Lists of words with how positive people find them."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from videolit.data.layouts.affect_common import read_text
from videolit.data.words import split_words
from videolit.encoders.hub import need
from videolit.ops.tokens import MARKS, SPECIAL
from videolit.types import InputError

VADER = "vader"
_EXPECTED = "a word and its rating, below 0 = negative, as in 'awful,-2.0'"
# Problems of a file that are told one by one.
_SHOWN = 5


def read_lexicon(source: str | Path) -> dict[str, float]:
    """Read a list of rated words.

    A file has a word and a rating in each line, separated by a comma, semicolon or tab; further
    columns and a header are ignored. Ratings below 0 are negative, above 0 positive. Words are in
    small letters afterwards; those that are equal then, have the mean of their ratings. Lines of
    several words or signs, as phrases and emoticons, are left out: each word is rated by itself.

    Args:
        source: A file, or ``"vader"``: 7,500 words of social media, rated from -4 to 4 by ten
            people each (Hutto and Gilbert 2014, https://github.com/cjhutto/vaderSentiment; MIT),
            of the extra ``lexicon``.

    Returns:
        Ratings by word.

    Raises:
        InputError: If it cannot be read, a line is not as expected, or not both signs are there.
    """
    if source == VADER:
        path = Path(str(files(need("vaderSentiment", "lexicon", "lexicon: vader"))))
        path /= "vader_lexicon.txt"
    else:
        path = Path(source)
    lines = [line for line in enumerate(read_text(path).splitlines(), 1) if line[1].strip()]
    head = lines[0][1] if lines else ""
    delimiter = next((mark for mark in "\t;" if mark in head), ",")
    found: defaultdict[str, list[float]] = defaultdict(list)
    bad = []
    for place, (number, line) in enumerate(lines):
        # Emoticons have quotes in them, so only commas are looked for between quotes.
        cells = next(csv.reader([line])) if delimiter == "," else line.split(delimiter)
        rating = _number(cells[1]) if len(cells) > 1 else math.nan
        words = [word for word in split_words(cells[0]) if word not in SPECIAL]
        if not math.isnan(rating):
            if len(words) == 1:
                found[words[0]].append(rating)
        elif place:
            bad.append(f"line {number}: {line.strip()!r}")
    if bad:
        more = f"\nand {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        told = "\n".join(bad[:_SHOWN])
        raise InputError(f"{path}: expected {_EXPECTED}, found\n{told}{more}")
    ratings = {word: sum(each) / len(each) for word, each in found.items()}
    if not ratings or min(ratings.values()) >= 0 or max(ratings.values()) <= 0:
        raise InputError(
            f"{path}: expected {_EXPECTED}, with words of both kinds; found {len(ratings)} rated "
            "words" + (f", {_span(ratings)}: subtract the neutral rating" if ratings else "")
        )
    return ratings


def marks_of(ratings: Mapping[str, float]) -> dict[str, str]:
    """Return the mark of each word that is not neutral: one of the four of ``MARKS``.

    A word is *very* negative or positive from half of the greatest rating of the list on, whatever
    its sign: 2 in a list that goes from -4 to 4.

    Args:
        ratings: By word, 0 = neutral.
    """
    strong = max((abs(rating) for rating in ratings.values()), default=0.0) / 2
    very_negative, negative, positive, very_positive = MARKS
    marks = {}
    for word, rating in ratings.items():
        if rating > 0:
            marks[word] = very_positive if rating >= strong else positive
        elif rating < 0:
            marks[word] = very_negative if -rating >= strong else negative
    return marks


def _number(cell: str) -> float:
    """Return a finite number, or NaN where the cell holds none."""
    try:
        value = float(cell)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _span(ratings: Mapping[str, float]) -> str:
    return f"from {min(ratings.values()):g} to {max(ratings.values()):g}"
