"""Lists of segments, read back as their readers do."""

from __future__ import annotations

import re
import shutil
import subprocess
from fractions import Fraction

import numpy as np
import pytest

from videolit.data.cut_lists import places_in_summary, write_chapters, write_concat, write_edl
from videolit.types import InputError

SEGMENTS = [(0.0, 1.5), (3600.04, 3602.0), (3700.0, 3700.001)]


def _edits(path):
    """The four timecodes of each edit, in frames."""
    pattern = r"^\d{3}  AX       AA/V  C        (\S+) (\S+) (\S+) (\S+)$"
    return re.findall(pattern, path.read_text(), re.MULTILINE)


def test_edl_cuts_follow_each_other_and_keep_their_lengths(tmp_path):
    path = write_edl(tmp_path / "a.edl", SEGMENTS, 25, "My\nday", "day 1.mp4")
    assert _edits(path) == [
        ("00:00:00:00", "00:00:01:13", "00:00:00:00", "00:00:01:13"),
        ("01:00:00:01", "01:00:02:00", "00:00:01:13", "00:00:03:12"),
        # A segment shorter than a frame is one frame.
        ("01:01:40:00", "01:01:40:01", "00:00:03:12", "00:00:03:13"),
    ]
    lines = path.read_text().splitlines()
    assert lines[:2] == ["TITLE: My day", "FCM: NON-DROP FRAME"]
    assert lines.count("* FROM CLIP NAME: day 1.mp4") == 3
    assert not any("COUNTED" in line for line in lines)


def test_edl_counts_frames_where_the_rate_is_no_whole_number(tmp_path):
    ntsc = Fraction(30000, 1001)
    path = write_edl(tmp_path / "a.edl", [(1001.0, 1002.001)], ntsc, "a", "a.mp4")
    assert "* 29.970 FRAMES PER SECOND, COUNTED AS 30" in path.read_text()
    # Frame 30000 is 1000 s of timecode.
    assert _edits(path) == [("00:16:40:00", "00:16:41:00", "00:00:00:00", "00:00:01:00")]


def test_chapters_are_cues_with_plain_text(tmp_path):
    path = write_chapters(
        tmp_path / "a.vtt", places_in_summary(SEGMENTS), ["a --> b", "R&D <i>", "last"]
    )
    assert path.read_text() == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:01.500\na --&gt; b\n\n"
        "00:00:01.500 --> 00:00:03.460\nR&amp;D &lt;i&gt;\n\n"
        "00:00:03.460 --> 00:00:03.461\nlast\n"
    )


def test_concat_list_quotes_what_a_name_may_hold(tmp_path):
    path = write_concat(tmp_path / "a.ffconcat", [(1, 2.5)], "/a/it's \\ here.mp4", origin=1.4)
    assert path.read_text().splitlines() == [
        "ffconcat version 1.0",
        r"file '/a/it'\''s \ here.mp4'",
        "inpoint 2.400000",
        "outpoint 3.900000",
    ]


@pytest.mark.system
def test_ffmpeg_reads_the_concat_list(write_coded, codes, tmp_path):
    if shutil.which("ffmpeg") is None:
        pytest.fail("no ffmpeg: apt-get install -y --no-install-recommends ffmpeg")
    source = write_coded(tmp_path / "it's 'a\\b'.mp4", options={"g": "1"})
    path = write_concat(tmp_path / "a.ffconcat", [(0.2, 0.4), (1.0, 1.2)], source)
    done = subprocess.run(
        [
            *("ffmpeg", "-v", "error", "-f", "concat", "-safe", "0", "-i", str(path)),
            *("-f", "rawvideo", "-pix_fmt", "gray", "-"),
        ],
        capture_output=True,
        check=True,
        timeout=60,
    )
    frames = np.frombuffer(done.stdout, np.uint8).reshape(-1, 96, 128)
    assert codes(frames[..., None]) == [*range(5, 10), *range(25, 30)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda path: write_edl(path, [], 25, "a", "a"), "no segments"),
        (lambda path: write_edl(path, [(0, 1)] * 1000, 25, "a", "a"), "at most 999"),
        (lambda path: write_edl(path, [(0, 1)], 0.0, "a", "a"), "fps must be at least"),
        (lambda path: write_edl(path, [(0, 1)], float("nan"), "a", "a"), "fps must be at least"),
        (lambda path: write_chapters(path, [(0, 1)], []), "as many titles: 0"),
        (lambda path: write_chapters(path, [(1, 1)], ["a"]), "segment 0 must start"),
        (lambda path: write_concat(path, [(0, float("inf"))], "a"), "segment 0 must start"),
        (lambda path: write_concat(path, [(-1, 1)], "a"), "segment 0 must start"),
        (lambda path: write_concat(path, [(0, 1)], "a\nb"), "line break"),
    ],
)
def test_what_cannot_be_listed_is_refused(call, message, tmp_path):
    with pytest.raises(InputError, match=message):
        call(tmp_path / "x")
    assert not list(tmp_path.iterdir())
