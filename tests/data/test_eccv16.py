"""SumMe, TVSum, OVP and YouTube in the HDF5 schema that they are shared in."""

import json
import re

import h5py
import numpy as np
import pytest
from summary_files import eccv16_video, write_groups, write_tvsum_mat, write_tvsum_tsv

from videolit.data.layouts.eccv16 import eccv16
from videolit.data.layouts.tvsum_annotations import read_tvsum_annotations
from videolit.types import InputError


def summe_file(tmp_path, **changes):
    """Return a file of one video with some of its values changed."""
    return write_groups(tmp_path / "summe.h5", {"video_1": eccv16_video() | changes})


def tvsum_pair(tmp_path, count=12, write=write_tvsum_mat, name="ydata-tvsum50.mat"):
    """Return a TVSum file with annotations beside it; all videos have different lengths."""
    rng = np.random.default_rng(1)
    levels = {f"id{k}": rng.integers(1, 6, (4, 90 + 10 * k)) for k in range(1, count + 1)}
    videos = {f"video_{k}": eccv16_video(90 + 10 * k, seed=k) for k in range(1, count + 1)}
    write(tmp_path / name, levels)
    return write_groups(tmp_path / "eccv16_dataset_tvsum_google_pool5.h5", videos), levels


def test_all_of_a_file_comes_back_with_half_open_shots(tmp_path):
    values = eccv16_video(100)
    path = write_groups(tmp_path / "eccv16_dataset_summe_google_pool5.h5", {"video_1": values})
    data = eccv16(path)
    (record,) = data.records
    assert (data.name, data.reduce, data.num_features) == ("summe", "max", 8)
    assert (record.num_frames, record.num_steps, record.fps) == (100, 7, None)
    assert record.picks.tolist() == [0, 15, 30, 45, 60, 75, 90]
    assert values["change_points"].tolist() == [[0, 29], [30, 59], [60, 99]]
    assert record.shots.tolist() == [[0, 30], [30, 60], [60, 100]]
    np.testing.assert_allclose(record.gtscore, values["gtscore"], atol=1e-7)
    np.testing.assert_array_equal(record.user_summary, values["user_summary"] == 1)
    np.testing.assert_array_equal(record.gtsummary, values["gtsummary"] == 1)
    features = record.read_features()
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features, values["features"])


def test_videos_come_in_the_order_of_their_numbers(tmp_path):
    videos = {f"video_{k}": eccv16_video(seed=k) for k in (1, 10, 11, 2, 20, 3)}
    data = eccv16(write_groups(tmp_path / "x.h5", videos))
    assert [int(name.split("_")[1]) for name in data.ids] == [1, 2, 3, 10, 11, 20]
    np.testing.assert_array_equal(data.records[1].read_features(), videos["video_2"]["features"])


def test_videos_are_selected_by_name(tmp_path):
    data = eccv16(write_groups(tmp_path / "x.h5", {f"v{k}": eccv16_video() for k in range(3)}))
    assert [record.video_id for record in data.select(["v2", "v0"])] == ["v2", "v0"]
    with pytest.raises(InputError, match="x has no video 'v3' .1 of 2 asked for .* it has 3: v0"):
        data.select(["v0", "v3"])


@pytest.mark.parametrize("wrap", [lambda table: table, lambda table: [table]])
def test_the_division_beside_the_file_is_the_sets_own(tmp_path, wrap):
    path = write_groups(tmp_path / "x.h5", {f"video_{k}": eccv16_video() for k in (1, 2, 3)})
    assert eccv16(path).splits == {}
    table = {"train_keys": ["video_1"], "val_keys": ["video_3"], "test_keys": ["video_2"]}
    beside = tmp_path / "x_splits.json"
    beside.write_text(json.dumps(wrap(table)))
    expected = {"train": ("video_1",), "val": ("video_3",), "test": ("video_2",)}
    assert eccv16(path).splits == expected
    # Folds are not the set's own division: which one counts must be said.
    for folds in ([table, table], [{"train_keys": ["video_1"], "test_keys": ["video_2"]}]):
        beside.write_text(json.dumps(folds))
        assert eccv16(path).splits == {}
    beside.write_text(json.dumps(table | {"val_keys": ["video_4"]}))
    with pytest.raises(InputError, match="names 'video_4', and the data set has no such video"):
        eccv16(path)


@pytest.mark.parametrize("kind", [np.bytes_(b"Air_Force_One"), "Air_Force_One"])
def test_the_name_of_a_video_is_read(tmp_path, kind):
    assert eccv16(summe_file(tmp_path, video_name=kind)).records[0].name == "Air_Force_One"


def test_only_features_picks_and_frames_are_needed(tmp_path):
    keys = ("features", "picks", "n_frames")
    values = {key: value for key, value in eccv16_video().items() if key in keys}
    (record,) = eccv16(write_groups(tmp_path / "x.h5", {"video_1": values})).records
    assert record.gtscore is record.user_summary is record.shots is record.gtsummary is None


POINTS = eccv16_video()["change_points"]
TRAPS = {
    "features": (np.zeros((6, 8), np.float32), "features: expected 7 steps, as picks has, found 6"),
    "n_steps": (8, "n_steps: expected 7 steps, as picks has, found 8"),
    "gtscore": (np.full(7, 4.0), r"gtscore: expected scores in \[0, 1\], .* found 4.0"),
    "picks": (np.array([0, 15, 30, 30, 60, 75, 90]), "expected increasing .* 30 before 30"),
    "n_frames": (90, r"picks: expected frames in 0..89, found 90"),
    "user_summary": (np.full((3, 100), 0.5), "user_summary: expected 0 and 1 only, found 0.5"),
    "gtsummary": (np.full(7, 2), "gtsummary: expected 0 and 1 only, found 2"),
    "n_frame_per_seg": ([29, 30, 40], "expected 30 for shot 0, whose frames 0 to 29 .* found 29"),
    "change_points": (
        POINTS + [0, 1],
        "shot 1 to begin at frame 31, after the last .* found 30; both ends .* inclusive",
    ),
}


@pytest.mark.parametrize("key", TRAPS)
def test_each_value_outside_of_the_schema_is_told_with_file_video_and_key(tmp_path, key):
    value, message = TRAPS[key]
    path = summe_file(tmp_path, **{key: value})
    with pytest.raises(InputError, match=rf"{re.escape(str(path))}, video_1, .*{message}"):
        eccv16(path)


def test_scores_of_another_length_are_refused(tmp_path):
    path = summe_file(tmp_path, gtscore=np.zeros(6))
    with pytest.raises(InputError, match=r"gtscore: expected shape \(7\), .* found shape \(6,\)"):
        eccv16(path)


def test_summaries_of_another_length_are_refused(tmp_path):
    path = summe_file(tmp_path, user_summary=np.zeros((3, 99)))
    with pytest.raises(InputError, match=r"user_summary: expected shape \(users, 100\)"):
        eccv16(path)


def test_change_points_in_steps_are_refused(tmp_path):
    points = np.array([[0, 1], [2, 3], [4, 6]])
    path = summe_file(tmp_path, change_points=points, n_frame_per_seg=None)
    with pytest.raises(InputError, match="expected the last shot to end at frame 100"):
        eccv16(path)


def test_change_points_that_end_two_frames_early_are_taken(tmp_path):
    points = POINTS.copy()
    points[-1, 1] -= 2
    record = eccv16(summe_file(tmp_path, change_points=points, n_frame_per_seg=None)).records[0]
    assert record.shots[-1].tolist() == [60, 98]


def test_change_points_with_a_gap_or_not_from_zero_are_refused(tmp_path):
    points = POINTS.copy()
    points[1, 0] += 1
    with pytest.raises(InputError, match="expected shot 1 to begin at frame 30, .* found 31$"):
        eccv16(summe_file(tmp_path, change_points=points, n_frame_per_seg=None))
    points = POINTS.copy()
    points[0, 0] = 1
    with pytest.raises(InputError, match="expected the first shot to begin at frame 0, found 1"):
        eccv16(summe_file(tmp_path, change_points=points, n_frame_per_seg=None))


def test_videos_with_features_of_two_encoders_are_refused(tmp_path):
    videos = {"video_1": eccv16_video(), "video_2": eccv16_video(features=9)}
    with pytest.raises(InputError, match="expected rows of 8 numbers, as video_1 has, found 9"):
        eccv16(write_groups(tmp_path / "x.h5", videos))


def test_a_file_without_videos_and_one_that_is_no_hdf5_are_refused(tmp_path):
    with pytest.raises(InputError, match="has no group with 'features', 'picks' and 'n_frames'"):
        eccv16(write_groups(tmp_path / "x.h5", {"video_1": {"gtscore": [0.5]}}))
    (tmp_path / "y.h5").write_bytes(b"no such thing")
    with pytest.raises(InputError, match=r"cannot read '.*y.h5' as HDF5"):
        eccv16(tmp_path / "y.h5")


def test_a_damaged_file_is_an_input_error(tmp_path):
    path = summe_file(tmp_path)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(InputError, match="cannot read"):
        eccv16(path)


def test_features_are_checked_when_they_are_read(tmp_path):
    path = summe_file(tmp_path)
    (record,) = eccv16(path).records
    with h5py.File(path, "a") as file:
        file["video_1/features"][2, 3] = np.nan
    with pytest.raises(InputError, match="expected finite numbers"):
        record.read_features()
    path.unlink()
    with pytest.raises(InputError, match="no file"):
        record.read_features()


@pytest.mark.parametrize(
    ("write", "name"),
    [(write_tvsum_mat, "ydata-tvsum50.mat"), (write_tvsum_tsv, "ydata-anno.tsv")],
)
def test_tvsum_gets_each_annotators_scores_from_beside_the_file(tmp_path, write, name):
    path, levels = tvsum_pair(tmp_path, write=write, name=name)
    data = eccv16(path)
    assert (data.name, data.reduce) == ("tvsum", "mean")
    for place, record in enumerate(data.records, 1):
        # The published rule: every 15th score of the k-th video is of video_k.
        expected = (levels[f"id{place}"][:, ::15] - 1) / 4
        assert record.user_scores.shape == (4, record.num_steps)
        np.testing.assert_array_equal(record.user_scores, expected.astype(np.float32))
    assert len(data.notes) == 1


def test_tvsum_without_annotations_says_what_to_lay_there(tmp_path):
    path, _ = tvsum_pair(tmp_path)
    (tmp_path / "ydata-tvsum50.mat").unlink()
    data = eccv16(path)
    assert data.records[0].user_scores is None
    assert any("lay ydata-tvsum50.mat" in note for note in data.notes)


def test_annotations_in_the_order_of_letters_are_refused(tmp_path):
    path, levels = tvsum_pair(tmp_path)
    by_letters = dict(sorted(levels.items()))
    assert list(by_letters)[1] == "id10"
    write_tvsum_mat(tmp_path / "ydata-tvsum50.mat", by_letters)
    with pytest.raises(
        InputError,
        match=r"video_2, n_frames: expected 190, as video 2 of ydata-tvsum50.mat \(id10\) has, "
        "found 110; are the videos in another order",
    ):
        eccv16(path)


def test_videos_beyond_the_annotations_are_refused(tmp_path):
    path, levels = tvsum_pair(tmp_path)
    write_tvsum_mat(tmp_path / "ydata-tvsum50.mat", dict(list(levels.items())[:-1]))
    with pytest.raises(InputError, match="video_12, name: expected video_1 to video_11"):
        eccv16(path)


def test_annotations_are_found_by_the_id_where_groups_have_it(tmp_path):
    _, levels = tvsum_pair(tmp_path)
    path = write_groups(
        tmp_path / "tvsum.h5",
        {
            "id7": eccv16_video(160),
            "video_9": eccv16_video(110) | {"video_name": "id2"},
        },
    )
    first, second = eccv16(path).records
    np.testing.assert_array_equal(first.user_scores, (levels["id7"][:, ::15] - 1) / 4)
    np.testing.assert_array_equal(second.user_scores, (levels["id2"][:, ::15] - 1) / 4)


def test_scores_of_the_file_itself_come_first(tmp_path):
    scores = np.linspace(0, 1, 14).reshape(2, 7)
    path = write_groups(
        tmp_path / "my_tvsum.h5", {"video_1": eccv16_video() | {"user_scores": scores, "fps": 25.0}}
    )
    write_tvsum_mat(tmp_path / "ydata-tvsum50.mat", {"id1": np.ones((4, 333), int)})
    (record,) = eccv16(path).records
    assert record.fps == 25
    np.testing.assert_allclose(record.user_scores, scores, atol=1e-7)


def test_annotations_with_other_scores_or_lengths_are_refused(tmp_path):
    levels = {"a": np.array([[1, 2, 6]])}
    with pytest.raises(InputError, match=r"a, user_anno: expected scores 1, 2, 3, 4 or 5, found 6"):
        read_tvsum_annotations(write_tvsum_mat(tmp_path / "a.mat", levels))
    path = tmp_path / "b.tsv"
    path.write_text("a\tVT\t1,2,3\na\tVT\t1,2\n")
    with pytest.raises(InputError, match="line 2, column 3: expected 3 scores, .* found 2"):
        read_tvsum_annotations(path)
    path.write_text("a\tVT\t1,2,3\na\tVT\t1,2,x\n")
    with pytest.raises(InputError, match="line 2, column 3: expected scores, .*'x'"):
        read_tvsum_annotations(path)
    path.write_text("a VT 1,2,3\n")
    with pytest.raises(InputError, match="line 1: expected .* tabs between, found 1 columns"):
        read_tvsum_annotations(path)
    with pytest.raises(InputError, match="expected the struct 'tvsum50'"):
        read_tvsum_annotations(write_groups(tmp_path / "c.mat", {"other": {"x": 1}}))


@pytest.mark.real
def test_tvsum_has_50_videos_of_20_annotators(real_data):
    path = real_data / "tvsum" / "ydata-tvsum50.mat"
    if not path.is_file():
        pytest.skip(f"no {path}")
    videos = read_tvsum_annotations(path)
    frames = np.array([video.num_frames for video in videos])
    assert len(videos) == 50
    assert {len(video.levels) for video in videos} == {20}
    assert (frames.min(), round(frames.mean()), frames.max()) == (2500, 7047, 19406)
    steps = -(-frames // 15)
    assert (steps.min(), round(steps.mean()), steps.max()) == (167, 470, 1294)
    # So a wrong order of the videos cannot go unseen.
    assert len(set(frames.tolist())) == 50
    assert len({video.category for video in videos}) == 10
    seconds = np.array([video.seconds for video in videos])
    expected = [98, 252, 648]
    assert np.allclose([seconds.min(), seconds.mean(), seconds.max()], expected, atol=0.5)
    assert videos[0].video_id == "AwmHb44_ouw"
    assert set(np.unique(videos[0].user_scores)) <= {0, 0.25, 0.5, 0.75, 1}
