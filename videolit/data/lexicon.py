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
# Problems of a file that are told one by one, and letters of each.
_SHOWN, _LETTERS = 5, 60


def read_lexicon(source: str | Path) -> dict[str, float]:
    """Read a list of rated words.

    A file has a word and a rating in each line, separated by a comma, semicolon or tab. Further
    columns, a header and lines that begin with # and a blank are ignored. Ratings below 0 are
    negative, above 0 positive. Words are in small letters afterwards; those that are equal then,
    have the mean of their ratings. Phrases and emoticons are left out: each word or sign is rated
    by itself.

    Args:
        source: A file, or ``"vader"``: 7,500 words, phrases and emoticons of social media, rated
            by ten people each (Hutto and Gilbert 2014, https://github.com/cjhutto/vaderSentiment;
            MIT), of the extra ``lexicon``.

    Returns:
        Ratings by word.

    Raises:
        InputError: If it cannot be read, a line is not as expected, most are left out, or not both
            signs are there.
    """
    if source == VADER:
        path = Path(str(files(need("vaderSentiment", "lexicon", "lexicon: vader"))))
        path /= "vader_lexicon.txt"
    else:
        path = Path(source)
    lines = [
        (number, line.strip())
        for number, line in enumerate(read_text(path).splitlines(), 1)
        if line.strip() and not line.startswith("# ")
    ]
    # What parts most lines: a word of a comma's list may hold a semicolon.
    cells = max(
        ([_cells(line, mark) for _, line in lines] for mark in ",;\t"),
        key=lambda rows: sum(rating is not None for _, rating in rows),
    )
    found: defaultdict[str, list[float]] = defaultdict(list)
    bad, left_out = [], []
    for line, (entry, rating) in zip(lines, cells, strict=True):
        words = [word for word in split_words(entry) if word not in SPECIAL]
        if rating is None or not math.isfinite(rating):
            bad.append(line)
        elif len(words) == 1:
            found[words[0]].append(rating)
        else:
            left_out.append(entry)
    has_header = bad == lines[:1] and cells and cells[0][1] is None
    if bad and not has_header:
        told = "".join(f"\nline {number}: {_quoted(line)}" for number, line in bad[:_SHOWN])
        more = f"\nand {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise InputError(f"{path}: expected {_EXPECTED}, found{told}{more}")
    ratings = {word: sum(each) / len(each) for word, each in found.items()}
    if len(left_out) > len(lines) / 2:
        raise InputError(
            f"{path}: expected {_EXPECTED}; {len(left_out)} of {len(lines)} lines have no word or "
            f"several, as {_quoted(left_out[0])}"
        )
    if not ratings or min(ratings.values()) >= 0 or max(ratings.values()) <= 0:
        raise InputError(
            f"{path}: expected {_EXPECTED}, with words of both kinds; found {len(ratings)} rated "
            "words" + (f", {_span(ratings)}: subtract the neutral rating" if ratings else "")
        )
    return ratings


def marks_of(ratings: Mapping[str, float]) -> dict[str, str]:
    """Return the mark of each word that is not neutral: one of the four of ``MARKS``.

    A word is *very* negative or positive from half of the greatest rating of the list on, whatever
    its sign: 2 where that is -4 or 4.

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


def _cells(line: str, delimiter: str) -> tuple[str, float | None]:
    """Return a line's entry and rating, None where there is none."""
    try:
        row = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
        entry, rating = row[0].strip(), row[1]
        return entry, float(rating)
    except (csv.Error, IndexError, StopIteration, ValueError):
        return "", None


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _LETTERS else f"{text[:_LETTERS]}…")


def _span(ratings: Mapping[str, float]) -> str:
    return f"from {min(ratings.values()):g} to {max(ratings.values()):g}"
