"""Transcripts as people have them: formats, encodings, odd cues, and errors by file and line."""

from __future__ import annotations

import math

import pytest

from videolit.data.transcripts import Line, lines_between, read_transcript
from videolit.types import InputError

SRT = """1
00:00:01,500 --> 00:00:03,000
<i>Hello</i>, you!
- How are <font color="#fff">things</font>?

2
00:00:03,000 --> 00:00:04,250 X1:10 X2:20
{\\an8}ANNA: Fine &amp; well.

3
01:02:03,004 --> 01:02:05,000
[door slams]

"""
VTT = """WEBVTT - a title

NOTE
a note --with-- words
of two lines

STYLE
::cue { color: red }

intro
00:01.500 --> 00:03.000 align:start position:10%
<v Ben Lee>Hello, <c.loud>you</c>!</v>

NOTE one more

00:03.000 --> 00:04.000
<00:03.100>One <00:03.500>two
"""


def written(tmp_path, name, text, encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def test_subrip(tmp_path):
    assert read_transcript(written(tmp_path, "a.srt", SRT)) == [
        Line(1.5, 3.0, "Hello, you! How are things?"),
        Line(3.0, 4.25, "Fine & well.", "Anna"),
    ]
    heard = read_transcript(tmp_path / "a.srt", keep_sounds=True)
    assert heard[2] == Line(3723.004, 3725.0, "[door slams]")


def test_webvtt(tmp_path):
    assert read_transcript(written(tmp_path, "a.vtt", VTT)) == [
        Line(1.5, 3.0, "Hello, you!", "Ben Lee"),
        Line(3.0, 4.0, "One two"),
    ]


def test_two_voices_of_a_cue_share_its_time(tmp_path):
    text = "WEBVTT\n\n00:00.000 --> 00:04.000\n<v A>abc\n<v B>abc\n"
    assert read_transcript(written(tmp_path, "a.vtt", text)) == [
        Line(0.0, 2.0, "abc", "A"),
        Line(2.0, 4.0, "abc", "B"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-mark"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(tmp_path, encoding, ends):
    text = "1\n00:00:01,000 --> 00:00:02,000\nÇa va, naïve “Ω”?\n".replace("\n", ends)
    if encoding == "utf-16-le-mark":
        text, encoding = "\ufeff" + text, "utf-16-le"
    found = read_transcript(written(tmp_path, "a.srt", text, encoding))
    assert found == [Line(1.0, 2.0, "Ça va, naïve “Ω”?")]


def test_windows_1252_is_told(tmp_path):
    text = "1\n00:00:01,000 --> 00:00:02,000\nIt’s café\n"
    path = written(tmp_path, "a.srt", text, "cp1252")
    with pytest.warns(UserWarning, match=r"a\.srt: line 3 is not UTF-8; read as Windows-1252"):
        assert read_transcript(path)[0].text == "It’s café"


@pytest.mark.parametrize(("count", "more"), [(1, ""), (3, ", and 2 more like it")])
def test_a_cue_that_ends_before_its_start_is_left_out_and_told(count, more, tmp_path):
    good = "1\n00:00:01,000 --> 00:00:02,000\nhi\n\n"
    bad = "2\n00:00:05,000 --> 00:00:04,000\nlost\n\n"
    path = written(tmp_path, "a.srt", good + bad * count + good.replace("hi", "ho"))
    said = rf"a\.srt: line 6 ends at 4 s, before its start, 5 s{more}: left out"
    with pytest.warns(UserWarning, match=said):
        assert [line.text for line in read_transcript(path)] == ["hi", "ho"]


def test_cues_may_overlap_stand_in_any_order_and_lack_empty_lines(tmp_path):
    text = (
        "2\n00:05,0 --> 00:06.5\nlater\n1\n0:00:01.25 --> 00:05,500\nearlier\n\n"
        "3\n00:01:00,000 --> 00:01:00,000\n\n\n\n4\n00:00:07,000 --> 00:00:08,000\nlast"
    )
    assert read_transcript(written(tmp_path, "a.srt", text)) == [
        Line(1.25, 5.5, "earlier"),
        Line(5.0, 6.5, "later"),
        Line(7.0, 8.0, "last"),
    ]


def test_tables(tmp_path):
    text = 'speaker,Start,end,text\nann,1.5,2,"Yes, I do"\n,00:01:02.5,63,"two\nrows"\nben,0,1,\n'
    assert read_transcript(written(tmp_path, "a.csv", text)) == [
        Line(1.5, 2.0, "Yes, I do", "ann"),
        Line(62.5, 63.0, "two rows"),
    ]
    text = "start;end;text\n0;1;hello, you\n"
    assert read_transcript(written(tmp_path, "b.csv", text)) == [Line(0.0, 1.0, "hello, you")]


def test_plain_text_counts_for_the_whole_video(tmp_path):
    path = written(tmp_path, "a.txt", "Hello\n(laughs) you\n")
    assert read_transcript(path) == [Line(0.0, math.inf, "Hello you")]
    assert lines_between(read_transcript(path), 100, 104)[0].text == "Hello you"
    assert read_transcript(written(tmp_path, "empty.txt", " \n")) == []
    assert read_transcript(written(tmp_path, "empty.srt", "")) == []


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.srt", "1\n00:00:01 -> 2\n", "no times in it"),
        ("a.srt", "\n1\n00:00:xx,000 --> 00:00:02,000\nhi\n", "line 3: expected times as"),
        ("a.srt", "1\n00:00:03,000 --> 00:00:02,000\nhi\n", "line 2: ends at 2 s, before its star"),
        ("a.vtt", "1\n00:03.000 --> 00:04.000\nhi\n", "line 1: a WebVTT file begins with WEBVTT"),
        ("a.csv", "begin,end,text\n0,1,hi\n", "line 1: expected the columns .*missing: start"),
        ("a.csv", "start,end,text\n0,1,hi\n1,soon,ho\n", "line 3: expected seconds .*got 'soon'"),
        ("a.csv", "start,end,text\n-1,1,hi\n", "line 2: expected seconds"),
        ("a.csv", "start,end,text\n0,nan,hi\n", "line 2: expected seconds"),
        ("a.csv", "start,end,text\n0,1\n", "line 2: fewer fields than columns"),
        ("a.csv", "start,end,text\n2,1,hi\n", "line 2: ends at 1 s"),
        ("a.doc", "hi", "expected a transcript .*got .doc"),
        ("a.srt", "1\0\0", "not a text file, or UTF-16 without its mark"),
    ],
)
def test_what_cannot_be_understood_is_named_by_file_and_line(tmp_path, name, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read_transcript(written(tmp_path, name, text))
    assert str(tmp_path / name) in str(caught.value)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.srt: cannot be read \(No such file"):
        read_transcript(tmp_path / "none.srt")


def test_windows_side_by_side_share_out_all_words():
    lines = [
        Line(0.3, 4.1, "a b c d e f g", "ann"),
        Line(3.0, 3.0, "at once"),
        Line(3.5, 9.0, "h i j k"),
    ]
    for width in (0.5, 1.0, 2.7):
        said = []
        for number in range(math.ceil(10 / width)):
            found = lines_between(lines, number * width, (number + 1) * width)
            assert all(
                number * width <= line.start <= line.end <= (number + 1) * width for line in found
            )
            said += [word for line in found for word in line.text.split()]
        assert sorted(said) == sorted(word for line in lines for word in line.text.split())


def test_a_cue_is_cut_by_its_share_of_time():
    # Words of 1 s, whose middles are at 0.5, 1.5, 2.5 and 3.5 s.
    lines = [Line(0.0, 4.0, "a b c d", "ann")]
    assert lines_between(lines, 1.0, 3.0) == [Line(1.0, 3.0, "b c", "ann")]
    assert lines_between(lines, 0.5, 1.5) == [Line(0.5, 1.5, "a", "ann")]
    assert lines_between(lines, 4.0, 9.0) == []
    with pytest.raises(InputError, match="must end after its start, got 3 to 3 s"):
        lines_between(lines, 3, 3)
