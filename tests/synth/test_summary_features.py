import json

import h5py
import numpy as np
import pytest

from videolit.data.summary_sets import read_summary_set
from videolit.synth.summary_features import write_feature_set
from videolit.types import InputError

SMALL = {"num_train": 3, "num_val": 1, "num_test": 2}


def test_the_file_has_the_published_schema(tmp_path):
    path = write_feature_set(tmp_path / "x.h5", seed=1, **SMALL)
    with h5py.File(path) as file:
        assert sorted(file) == [f"video_{n}" for n in range(1, 7)]
        for group in file.values():
            steps, num_frames = int(group["n_steps"][()]), int(group["n_frames"][()])
            assert 120 <= steps <= 240
            assert group["features"].shape == (steps, 32)
            assert np.array_equal(group["picks"], 15 * np.arange(steps))
            bounds = group["change_points"][:]
            assert bounds[0, 0] == 0
            assert bounds[-1, 1] == num_frames - 1
            assert np.array_equal(bounds[1:, 0], bounds[:-1, 1] + 1)
            assert np.array_equal(group["n_frame_per_seg"], bounds[:, 1] - bounds[:, 0] + 1)
            assert group["user_scores"].shape == (8, steps)
            chosen = group["user_summary"][:]
            assert chosen.shape == (8, num_frames)
            assert chosen.sum(1).max() <= 0.15 * num_frames
            assert chosen.sum(1).min() > 0
            mean = group["user_scores"][:].mean(0)
            assert np.allclose(group["gtscore"], (mean - mean.min()) / np.ptp(mean), atol=1e-6)
    splits = json.loads((tmp_path / "x_splits.json").read_text())[0]
    assert splits["train_keys"] == ["video_1", "video_2", "video_3"]
    assert splits["test_keys"] == ["video_5", "video_6"]


def test_it_is_read_as_a_summary_set(tmp_path):
    path = write_feature_set(tmp_path / "x.h5", seed=1, **SMALL)
    records = read_summary_set(path).records
    assert [record.video_id for record in records] == [f"video_{n}" for n in range(1, 7)]
    assert records[0].user_scores.shape[0] == 8
    assert records[0].fps == 30
    assert records[0].read_features().dtype == np.float32


def test_features_tell_the_event_and_replays_look_alike(tmp_path):
    path = write_feature_set(
        tmp_path / "x.h5",
        num_train=1,
        num_val=0,
        num_test=1,
        seed=0,
        noise=0.0,
        num_steps=(900, 900),
    )
    with h5py.File(path) as file:
        for group in file.values():
            shots = group["features"][:]
            bounds = group["change_points"][:] / 15
            middle = np.array([shots[int((a + b) / 2)] for a, b in bounds])
            apart = np.linalg.norm(middle[:, None] - middle[None], axis=2)
            near = np.sort(apart[np.triu_indices(len(apart), 1)])
            # Replays, other places of the kind, other events.
            assert near[0] < 1 < 3 < np.median(near)


def test_equal_settings_give_equal_values(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_feature_set(tmp_path / f"{name}.h5", seed=seed, **SMALL)
    values = []
    for name in "abc":
        with h5py.File(tmp_path / f"{name}.h5") as file:
            values.append([(g["features"][:], g["user_scores"][:]) for g in file.values()])
    for one, other in zip(values[0], values[1], strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(one, other, strict=True))
    assert not np.array_equal(values[0][0][0][0], values[2][0][0][0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_val": -1}, "give at least one video"),
        ({"num_steps": (10, 20)}, "num_steps must be"),
        ({"num_steps": (50, 40)}, "num_steps must be"),
        ({"noise": -0.1}, "noise at least 0"),
    ],
)
def test_settings_out_of_range_are_named(change, message, tmp_path):
    with pytest.raises(InputError, match=message):
        write_feature_set(tmp_path / "x.h5", seed=0, **SMALL | change)
    with pytest.raises(InputError, match=r"ends in \.h5"):
        write_feature_set(tmp_path / "x.npz", seed=0, **SMALL)
