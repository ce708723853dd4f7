"""Lists of rated words: read as people have them, or refused with what is wrong."""

from __future__ import annotations

import math
import sys

import pytest

from videolit.data.lexicon import marks_of, read_lexicon
from videolit.data.words import WordTokenizer
from videolit.ops.tokens import MARKS
from videolit.types import InputError


def write(folder, text):
    path = folder / "words.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "good,1.9\nawful,-2\nGood,2.1\n",
        "word,rating\nGOOD,2\nawful,-2.0\n",
        "word;rating\ngood;2;a note\n\nawful;-2\n",
        "good\t2.0\t0.9\t[2, 2, 2]\nawful\t-2.0\n:'(\t-2.2\t1.2\nvery good\t3\n",
        'word,rating\n"good",2\nawful,-2\n"well, well",1\n',
        '"word";"rating"\n"good";2\n"awful";-2\n',
        '"good"\t"2"\n"awful"\t-2\n',
        'word, rating\n"good", 2\n "awful", -2\n',
        "# rated by; hand, 2020\ngood,2\n# and\nawful,-2\n",
        ";),3\ngood,2\nawful,-2\n",
        "\ufeffgood,2\r\nawful,-2\r\n",
    ],
    ids=(
        "plain header semicolons tabs quotes semicolons+quotes tabs+quotes blanks comments emoticon "
        "windows"
    ).split(),
)
def test_words_and_ratings_are_read_from_lists_of_any_kind(text, tmp_path):
    assert read_lexicon(write(tmp_path, text)) == {"good": 2.0, "awful": -2.0}


def test_the_published_list_is_read_whole():
    ratings = read_lexicon("vader")
    # 7,520 lines, of which emoticons and phrases are left out.
    assert 7000 < len(ratings) < 7520
    assert ratings["good"] == 1.9
    assert ratings["disaster"] == -3.1
    assert all(math.isfinite(rating) and abs(rating) <= 4 for rating in ratings.values())
    marks = marks_of(ratings)
    assert [marks[word] for word in ("awful", "no", "like", "love")] == list(MARKS)


def test_words_are_strong_from_half_of_the_greatest_rating_on():
    ratings = {"a": 5.0, "b": 2.5, "c": 2.4, "d": 0.0, "e": -0.1, "f": -2.5}
    very_negative, negative, positive, very_positive = MARKS
    assert marks_of(ratings) == {
        "a": very_positive,
        "b": very_positive,
        "c": positive,
        "e": negative,
        "f": very_negative,
    }
    assert marks_of({}) == {}


def test_a_mark_stands_behind_each_rated_word_also_one_never_seen():
    marks = marks_of({"great": 3.0, "awful": -3.0})
    words = WordTokenizer.train(["it is great", "it is not"], min_count=1, marks=marks)
    assert words.tokens[6:10] == MARKS
    assert words.mark_ids == [6, 7, 8, 9]

    def read(text):
        return [words.tokens[number] for number in words.word_ids(text)]

    assert read("not GREAT") == ["not", "<capitals>", "great", "<very positive>"]
    assert read("awful")[-1] == "<very negative>"
    assert "".join(read("awful")[:-1]).replace("##", "").startswith("a")
    assert WordTokenizer.from_json(words.to_json()) == words
    plain = WordTokenizer.train(["it is great", "it is not"], min_count=1)
    assert plain.mark_ids == []
    assert "<positive>" not in plain.tokens


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "found 0 rated words"),
        ("good,1\nbad\nawful,x\n", r"found\nline 2: 'bad'\nline 3: 'awful,x'"),
        ("terrible,x\ngood,1\nbad\n", r"found\nline 1: 'terrible,x'\nline 3: 'bad'"),
        ("a,1\n" + "b\n" * 9, "and 4 more"),
        ("good,8\nawful,2\n", "from 2 to 8: subtract the neutral rating"),
        ("good,1e400\nbad,-1\n", "found\nline 1: 'good,1e400'"),
        ("fine thing,1\n", "1 of 1 lines have no word or several, as 'fine thing'"),
        ("gut|ADJX\t0.4\nso\t-1\nweh|NN\t-0.4\n", r"2 of 3 lines .* as 'gut\|ADJX'"),
        ("a,1\n" + "b" * 200_000, r"line 2: 'b{60}…'"),
        ('a,1\n"' + "b," * 200_000, r"line 2: '\"b,"),
    ],
)
def test_what_is_no_list_of_ratings_is_refused(text, said, tmp_path):
    with pytest.raises(InputError, match=said):
        read_lexicon(write(tmp_path, text))


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"cannot read .*nowhere\.csv"):
        read_lexicon(tmp_path / "nowhere.csv")
    monkeypatch.setitem(sys.modules, "vaderSentiment", None)
    with pytest.raises(InputError, match=r"pip install 'videolit\[lexicon\]'"):
        read_lexicon("vader")
