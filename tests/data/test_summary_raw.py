"""SumMe and TVSum as raw videos with their annotations; Mr. HiSum; steps of a raw video."""

import csv
import json

import h5py
import numpy as np
import pytest
from scipy.io import savemat
from summary_files import write_groups, write_tvsum_mat, write_tvsum_tsv

from videolit.data.layouts.mrhisum import mrhisum
from videolit.data.layouts.raw_summary import pick_frames
from videolit.data.layouts.summe_raw import summe_raw
from videolit.data.layouts.tvsum_raw import tvsum_raw
from videolit.data.reader import VideoReader
from videolit.data.writer import write_video
from videolit.types import InputError, VideoError


def video(path, num_frames=40, fps=10):
    frames = np.zeros((num_frames, 16, 16, 3), np.uint8)
    frames += (5 * np.arange(num_frames, dtype=np.uint8))[:, None, None, None]
    write_video(path, frames, fps)
    return path


def summe(root, scores, name="Air_Force_One"):
    (root / "GT").mkdir(parents=True, exist_ok=True)
    savemat(root / "GT" / f"{name}.mat", {"user_score": scores, "nFrames": len(scores)})


@pytest.mark.parametrize("fps", [1, 2, 3, 10, 25])
@pytest.mark.parametrize("uneven", [False, True])
def test_picks_are_the_frames_on_screen_at_even_times(fps, uneven):
    rng = np.random.default_rng(fps)
    times = np.cumsum(rng.uniform(0.01, 0.3, 80)) if uneven else np.arange(80) / 10
    times -= times[0]
    expected = []
    step = 0
    while step / fps <= times[-1] + 5e-4:
        frame = max(i for i, time in enumerate(times) if time <= step / fps + 5e-4)
        if not expected or frame > expected[-1]:
            expected.append(frame)
        step += 1
    assert pick_frames(times, fps).tolist() == expected
    assert expected[0] == 0


def test_steps_need_a_rate_and_one_frame_is_one_step():
    assert pick_frames(np.zeros(1), 2).tolist() == [0]
    with pytest.raises(InputError, match="fps, the steps per second, must be above 0, got 0"):
        pick_frames(np.zeros(1), 0)


def test_summe_raw_has_the_share_of_annotators_that_chose_a_frame(tmp_path):
    scores = np.zeros((40, 4))
    scores[10:20, :3] = [[1, 2, 3]]  # numbers of the choice; above 0 = chosen
    summe(tmp_path, scores)
    path = video(tmp_path / "videos" / "Air_Force_One.mp4")
    data = summe_raw(tmp_path)
    (record,) = data.records
    assert (data.name, data.reduce) == ("summe", "max")
    assert (record.video_id, record.name, record.source) == (
        "Air_Force_One.mp4", "Air Force One", str(path),
    )  # fmt: skip
    assert (record.group, record.num_features, record.fps) == (None, 0, 10)
    assert record.picks.tolist() == [0, 5, 10, 15, 20, 25, 30, 35]
    assert record.gtscore.tolist() == [0, 0, 0.75, 0.75, 0, 0, 0, 0]
    np.testing.assert_array_equal(record.user_summary, scores.T > 0)
    assert record.user_scores is None
    with pytest.raises(InputError, match="a raw video has no stored features"):
        record.read_features()


def test_annotations_of_a_few_frames_more_or_less_fit(tmp_path):
    scores = np.zeros((43, 1))
    scores[37:] = 1
    summe(tmp_path, scores, "long")
    summe(tmp_path, scores[:38], "short")
    for name in ("long", "short"):
        video(tmp_path / "videos" / f"{name}.mp4")
    for record in summe_raw(tmp_path).records:
        assert np.flatnonzero(record.user_summary[0]).tolist() == [37, 38, 39]


def test_annotations_of_another_version_are_refused(tmp_path):
    summe(tmp_path, np.zeros((51, 2)))
    video(tmp_path / "videos" / "Air_Force_One.mp4")
    with pytest.raises(
        InputError, match="of the 40 frames of the video, found 51; this is another"
    ):
        summe_raw(tmp_path)


def test_missing_videos_and_files_that_are_no_annotations_are_told(tmp_path):
    summe(tmp_path, np.zeros((40, 2)))
    with pytest.raises(InputError, match="has no 'videos/' or 'video/': the videos of SumMe"):
        summe_raw(tmp_path)
    video(tmp_path / "videos" / "other.mp4")
    with pytest.raises(InputError, match="1 of 1 annotated videos are not in .*: Air_Force_One"):
        summe_raw(tmp_path)
    video(tmp_path / "videos" / "Air_Force_One.mp4")
    savemat(tmp_path / "GT" / "Air_Force_One.mat", {"other": 1})
    with pytest.raises(InputError, match="user_score: expected frames × annotators, found nothing"):
        summe_raw(tmp_path)
    (tmp_path / "GT" / "Air_Force_One.mat").write_bytes(b"x" * 300)
    with pytest.raises(InputError, match="cannot read .* as MATLAB 5"):
        summe_raw(tmp_path)


@pytest.mark.parametrize(
    "write", [lambda p, x: write_tvsum_mat(p / "ydata-tvsum50.mat", x),
              lambda p, x: write_tvsum_tsv(p / "data" / "ydata-anno.tsv", x)],
)  # fmt: skip
def test_tvsum_raw_has_each_annotators_scores_at_the_steps(tmp_path, write):
    levels = np.repeat(np.random.default_rng(0).integers(1, 6, (3, 4)), 10, axis=1)
    write(tmp_path, {"a": levels, "b": np.full((3, 40), 2)})
    for name in "ab":
        video(tmp_path / "video" / f"{name}.mp4")
    data = tvsum_raw(tmp_path, fps=5)
    first, second = data.records
    assert data.ids == ("a.mp4", "b.mp4")
    assert first.picks.tolist() == list(range(0, 40, 2))
    np.testing.assert_array_equal(first.user_scores, (levels[:, ::2] - 1) / 4)
    assert (first.gtscore.min(), first.gtscore.max()) == (0, 1)
    mean = levels[:, ::2].mean(0)
    assert np.corrcoef(mean, first.gtscore)[0, 1] == pytest.approx(1)
    # Nothing to spread: 0 / 0 otherwise.
    assert (second.gtscore == 0.25).all()
    assert second.shots is None


def test_tvsum_raw_tells_which_videos_are_missing(tmp_path):
    with pytest.raises(InputError, match=r"has no ydata-tvsum50.mat and no ydata-anno.tsv"):
        tvsum_raw(tmp_path)
    write_tvsum_mat(tmp_path / "ydata-tvsum50.mat", {"a": np.ones((3, 40)), "b": np.ones((3, 9))})
    video(tmp_path / "video" / "a.mp4")
    with pytest.raises(InputError, match=r"1 of 2 videos of .* are not in '.*video': b"):
        tvsum_raw(tmp_path)


def test_videos_that_cannot_be_read_are_left_out_where_that_is_noted(tmp_path):
    write_tvsum_mat(tmp_path / "ydata-tvsum50.mat", {"a": np.ones((3, 40)), "b": np.ones((3, 40))})
    for name in "ab":
        summe(tmp_path, np.zeros((40, 2)), name)
        video(tmp_path / "videos" / f"{name}.mp4")
    (tmp_path / "videos" / "b.mp4").write_bytes(b"")
    for read in (summe_raw, tvsum_raw):
        unread = {}
        assert read(tmp_path, unread=unread).ids == ("a.mp4",)
        assert unread == {"b.mp4": "is empty (0 bytes)"}
        with pytest.raises(VideoError, match="is empty"):
            read(tmp_path)


def hisum(path, summary="gt_summary", points=((0, 4), (4, 9), (9, 12)), **changes):
    rng = np.random.default_rng(0)
    values = {
        "features": rng.random((12, 6), np.float32),
        "gtscore": rng.random(12),
        "change_points": np.array(points),
        summary: np.arange(12) % 2,
    } | changes
    names = [f"video_{k}" for k in (1, 2, 10)]
    return write_groups(path / "mr_hisum.h5", dict.fromkeys(names, values))


@pytest.mark.parametrize("summary", ["gt_summary", "gtsummary"])
def test_mr_hisum_has_a_step_each_second(tmp_path, summary):
    path = hisum(tmp_path, summary)
    with (tmp_path / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["video_id", "youtube_id"], ["video_2", "JhdjUam0l6A"]])
    splits = {"train_keys": ["video_1"], "val_keys": ["video_2"], "test_keys": ["video_10"]}
    (tmp_path / "mr_hisum_split.json").write_text(json.dumps(splits))
    data = mrhisum(path)
    assert data.ids == ("video_1", "video_2", "video_10")
    assert data.splits == {"train": ("video_1",), "val": ("video_2",), "test": ("video_10",)}
    record = data.records[1]
    assert (record.name, record.fps, record.num_frames) == ("JhdjUam0l6A", 1, 12)
    assert record.picks.tolist() == list(range(12))
    assert record.shots.tolist() == [[0, 4], [4, 9], [9, 12]]
    assert record.gtsummary.tolist() == [bool(k % 2) for k in range(12)]
    assert record.user_summary.shape == (1, 12)
    assert record.read_features().shape == (12, 6)


def test_mr_hisum_with_inclusive_change_points_has_the_same_shots(tmp_path):
    record = mrhisum(hisum(tmp_path, points=((0, 3), (4, 8), (9, 11)))).records[0]
    assert record.shots.tolist() == [[0, 4], [4, 9], [9, 12]]


@pytest.mark.parametrize("points", [((0, 12),), ((0, 11),)])
def test_mr_hisum_with_one_shot_covers_the_video(tmp_path, points):
    assert mrhisum(hisum(tmp_path, points=points)).records[0].shots.tolist() == [[0, 12]]


def test_mr_hisum_tells_what_is_missing_or_wrong(tmp_path):
    with pytest.raises(InputError, match="the download has only annotations"):
        mrhisum(hisum(tmp_path, features=None))
    with pytest.raises(InputError, match="gtscore: expected a score for each second, found none"):
        mrhisum(hisum(tmp_path, gtscore=None))
    with pytest.raises(InputError, match="gt_summary: expected 0 and 1 only"):
        mrhisum(hisum(tmp_path, gt_summary=np.full(12, 0.5)))
    with pytest.raises(InputError, match=r"one row for each of the 12 seconds .* \(11, 6\)"):
        mrhisum(hisum(tmp_path, features=np.zeros((11, 6))))
    with pytest.raises(InputError, match="expected shot 1 to begin at 4, .* found 6"):
        mrhisum(hisum(tmp_path, points=((0, 4), (6, 12))))
    path = hisum(tmp_path)
    splits = {"train_keys": ["video_1"], "val_keys": [], "test_keys": ["video_11"]}
    (tmp_path / "mr_hisum_split.json").write_text(json.dumps(splits))
    with pytest.raises(InputError, match="names 'video_11', and the data set has no such video"):
        mrhisum(path)
    (tmp_path / "mr_hisum_split.json").write_text('{"val_keys": []}')
    with pytest.raises(InputError, match="expected train_keys, val_keys and test_keys"):
        mrhisum(path)


def test_the_videos_of_these_tests_have_the_frames_that_they_say(tmp_path):
    with VideoReader(video(tmp_path / "a.mp4")) as reader:
        assert (reader.num_frames, reader.fps) == (40, 10)
    assert h5py.is_hdf5(hisum(tmp_path))
