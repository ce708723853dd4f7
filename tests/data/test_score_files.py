"""One's own videos with scores in JSON or CSV."""

import json
import re

import numpy as np
import pytest

from videolit.data.layouts.summary_folder import summary_folder
from videolit.data.score_files import Segment, read_score_file
from videolit.data.writer import write_video
from videolit.types import InputError


def folder(root, *names, num_frames=40, fps=10):
    for name in names:
        write_video(root / name, np.zeros((num_frames, 16, 16, 3), np.uint8), fps)
    return root


def scores(root, table):
    text = table if isinstance(table, str) else json.dumps(table)
    (root / "scores.json").write_text(text)
    return root / "scores.json"


def rows(root, *lines):
    (root / "scores.csv").write_text("\n".join(["path,user,start,end,score", *lines]) + "\n")
    return root / "scores.csv"


SCORED = {"a.mp4": {"users": {"anna": [[0, 1, 0.5], [2, 3.5, 1]], "ben": [[1, 4, 0.25]]}}}


def test_each_annotator_scores_the_frames_of_the_segments(tmp_path):
    folder(tmp_path, "a.mp4")
    scores(tmp_path, SCORED)
    data = summary_folder(tmp_path, fps=2)
    (record,) = data.records
    assert (record.video_id, record.name, record.fps) == ("a.mp4", "a", 10)
    assert record.picks.tolist() == [0, 5, 10, 15, 20, 25, 30, 35]
    assert record.user_scores.tolist() == [
        [0.5, 0.5, 0, 0, 1, 1, 1, 0],  # uncovered = 0, the end is exclusive
        [0, 0, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25],
    ]
    np.testing.assert_allclose(record.gtscore, record.user_scores.mean(0))
    assert record.user_summary is record.shots is None
    assert data.splits == {}


def test_csv_says_the_same_as_json(tmp_path):
    folder(tmp_path / "j", "a.mp4")
    folder(tmp_path / "c", "a.mp4")
    scores(tmp_path / "j", SCORED)
    rows(tmp_path / "c", "a.mp4,anna,0,1,0.5", "a.mp4,ben,1,4,.25", "a.mp4,anna,2,3.5,1")
    one, other = (summary_folder(tmp_path / name).records[0] for name in "jc")
    np.testing.assert_array_equal(one.user_scores, other.user_scores)


@pytest.mark.parametrize("kind", ["selected", "users", "csv"])
def test_chosen_segments_are_a_summary(tmp_path, kind):
    folder(tmp_path, "a.mp4")
    segments = [[0.5, 1], [0.9, 2]]
    if kind == "csv":
        rows(tmp_path, *(f"a.mp4,anna,{start},{end}," for start, end in segments))
    elif kind == "users":
        scores(tmp_path, {"a.mp4": {"users": {"anna": segments}}})
    else:
        scores(tmp_path, {"a.mp4": {"selected": segments}})
    (record,) = summary_folder(tmp_path).records
    assert record.user_scores is None
    assert np.flatnonzero(record.user_summary[0]).tolist() == list(range(5, 20))
    assert record.gtscore.tolist() == [0, 1, 1, 1, 0, 0, 0, 0]


def test_a_chosen_segment_beside_scores_counts_one(tmp_path):
    folder(tmp_path, "a.mp4")
    scores(tmp_path, {"a.mp4": {"users": {"anna": [[0, 1]], "ben": [[0, 1, 0.5]], "cem": []}}})
    (record,) = summary_folder(tmp_path).records
    assert record.user_scores[:, 0].tolist() == [1, 0.5, 0]
    assert record.user_summary is None


def test_a_scale_maps_its_lowest_to_zero(tmp_path):
    path = scores(tmp_path, {"a.mp4": {"scale": [1, 5], "users": {"u": [[0, 2, 1], [2, 4, 4]]}}})
    assert [segment.score for segment in read_score_file(path)["a.mp4"]["u"]] == [0, 0.75]


def test_frames_belong_to_segments_by_their_times(tmp_path):
    folder(tmp_path, "a.mp4", fps=30)
    # Times with three decimals: frame 1 is at 0.0333….
    scores(tmp_path, {"a.mp4": {"selected": [[0.033, 0.067], [0.334, 0.367]]}})
    (record,) = summary_folder(tmp_path).records
    assert np.flatnonzero(record.user_summary[0]).tolist() == [1, 10]


def test_videos_below_train_val_and_test_are_divided_so(tmp_path):
    names = ("train/000.mp4", "train/001.mp4", "val/000.mp4", "test/000.mp4")
    folder(tmp_path, *names, num_frames=5)
    scores(tmp_path, {name: {"users": {"u0": []}} for name in names})
    data = summary_folder(tmp_path)
    assert data.splits == {"train": names[:2], "val": names[2:3], "test": names[3:]}


def test_missing_and_silent_videos_are_told(tmp_path):
    folder(tmp_path, "a.mp4", "deep/b.mp4", num_frames=5)
    scores(tmp_path, {"a.mp4": {"selected": []}, "c.mp4": {"selected": []}})
    with pytest.raises(InputError, match="1 of 2 videos of .* are not below .*: c.mp4"):
        summary_folder(tmp_path)
    scores(tmp_path, {"a.mp4": {"selected": []}})
    with pytest.raises(
        InputError, match="says nothing of 1 videos .*: deep/b.mp4; give them a row"
    ):
        summary_folder(tmp_path)
    data = summary_folder(tmp_path, allow_unlabelled=True)
    assert data.ids == ("a.mp4", "deep/b.mp4")
    assert data.records[1].gtscore is None
    rows(tmp_path, "a.mp4,u,0,.1,")
    with pytest.raises(InputError, match="found scores.json and scores.csv"):
        summary_folder(tmp_path)


def test_segments_beyond_the_video_are_told_and_rounded_ends_are_not(tmp_path):
    folder(tmp_path, "a.mp4")
    scores(tmp_path, {"a.mp4": {"users": {"u": [[3, 5, 1]]}}})
    assert summary_folder(tmp_path).records[0].user_scores[0, -2:].tolist() == [1, 1]
    scores(tmp_path, {"a.mp4": {"users": {"u": [[3, 5.2, 1]], "v": [[4, 4.5, 1]]}}})
    with pytest.raises(InputError) as error:
        summary_folder(tmp_path)
    assert "'a.mp4', 'u', segment 1: expected times within the video, which lasts 4.00 s" in str(
        error.value
    )
    assert "'a.mp4', 'v', segment 1: " in str(error.value)


JSON_MISTAKES = {
    '{"a.mp4": {"users"}}': "line 1, column 19: no JSON",
    "[]": "expected {",
    "{}": "names no video",
    '{"a.mp4": []}': "'a.mp4': expected {",
    '{"a.mp4": {"users": {}, "selected": []}}': "'a.mp4': expected {",
    '{"a.mp4": {"users": {"u": []}, "scores": 1}}': "'a.mp4': unknown key 'scores'",
    '{"a.mp4": {"users": []}}': "users: expected an object of annotators, found []",
    '{"a.mp4": {"users": {"u": 3}}}': "'u': expected a list of segments, found 3",
    '{"a.mp4": {"selected": [[1]]}}': "segment 1: expected [start, end, score]",
    '{"a.mp4": {"selected": [[1, "2"]]}}': "segment 1: expected [start, end, score]",
    '{"a.mp4": {"selected": [[1, NaN]]}}': "segment 1: expected [start, end, score]",
    '{"a.mp4": {"selected": [[2, 1]]}}': "expected 0 ≤ start < end, found 2.0, 1.0",
    '{"a.mp4": {"selected": [[-1, 1]]}}': "expected 0 ≤ start < end, found -1.0, 1.0",
    '{"a.mp4": {"users": {"u": [[0, 1, 3]]}}}': "score: expected 0 to 1, found 3; another scale",
    '{"a.mp4": {"scale": [1], "selected": []}}': "scale: expected [lowest, highest], found [1]",
    '{"a.mp4": {"scale": [2, 2], "selected": []}}': "scale: expected [lowest, highest]",
    '{"a.mp4": {"selected": []}, "a.mp4": {"selected": []}}': "'a.mp4' stands there twice",
    '{"a.mp4": {"users": {"u": [[0, 2, 1], [1, 3, 0]]}}}': (
        "segment 2: expected to start at 2 s or later, where 'a.mp4', 'u', segment 1 ends, found 1"
    ),
}


@pytest.mark.parametrize("text", JSON_MISTAKES)
def test_mistakes_in_json_are_told(tmp_path, text):
    path = scores(tmp_path, text)
    with pytest.raises(InputError, match=re.escape(JSON_MISTAKES[text])) as error:
        read_score_file(path)
    assert str(path) in str(error.value)


CSV_MISTAKES = {
    "a.mp4,u,x,1,1": "line 2, start: expected a number, found 'x'",
    "a.mp4,u,0,,1": "line 2, end: expected a number, found ''",
    "a.mp4,u,0,1,much": "line 2, score: expected a number, found 'much'",
    "a.mp4,u,0,1,nan": "line 2, score: expected 0 to 1, found nan",
    "a.mp4,u,nan,1,1": "line 2, start and end: expected 0 ≤ start < end, found nan, 1.0",
    ",u,0,1,1": "line 2, path: expected a name, found nothing",
    "a.mp4,,0,1,1": "line 2, user: expected a name, found nothing",
    "a.mp4,u,0": "line 2, end: expected a number, found ''",
}


@pytest.mark.parametrize("line", CSV_MISTAKES)
def test_mistakes_in_csv_are_told_with_line_and_column(tmp_path, line):
    with pytest.raises(InputError, match=re.escape(CSV_MISTAKES[line])):
        read_score_file(rows(tmp_path, line))


def test_missing_columns_are_told(tmp_path):
    (tmp_path / "scores.csv").write_text("path,start,end\na.mp4,0,1\n")
    with pytest.raises(
        InputError, match="expected the columns path, user, .* found path, start, end"
    ):
        read_score_file(tmp_path / "scores.csv")


def test_all_mistakes_are_told_at_once_but_no_more_than_twenty(tmp_path):
    path = rows(tmp_path, *["a.mp4,u,x,1,1"] * 25)
    with pytest.raises(InputError) as error:
        read_score_file(path)
    lines = str(error.value).splitlines()
    assert len(lines) == 22
    assert lines[-1] == "… and 5 more"


def test_segments_say_where_they_stand(tmp_path):
    path = rows(tmp_path, "deep\\a.mp4,u,0,1,", "deep\\a.mp4,u,1,2,0.5")
    assert read_score_file(path) == {
        "deep/a.mp4": {"u": [Segment(0, 1, None, "line 2"), Segment(1, 2, 0.5, "line 3")]}
    }
