"""The generated actions."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest

from videolit.commands import synth
from videolit.synth import actions, figures
from videolit.synth.actions import (
    ACTIONS,
    MIRROR_PAIRS,
    POOLS,
    TIME_PAIRS,
    make_body,
    render_action,
    single_frame_ceiling,
    write_actions,
)
from videolit.types import InputError

COUNTS = {"num_train": 13, "num_val": 10, "num_test": 10}


def files(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def rows(root: Path) -> list[dict[str, str]]:
    with (root / "manifest.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_actions(tmp_path_factory.mktemp("synth") / "set", **COUNTS, workers=1)


@pytest.mark.parametrize("split", list(POOLS))
@pytest.mark.parametrize("pair", TIME_PAIRS)
def test_time_pairs_are_each_other_backwards(pair, split):
    forward = render_action(pair[0], seed=3, split=split, noise=False)
    backward = render_action(pair[1], seed=3, split=split, noise=False)
    np.testing.assert_array_equal(forward[::-1], backward)
    assert np.abs(forward.astype(int) - backward).max() > 50


@pytest.mark.parametrize("seed", range(3))
def test_points_are_each_others_mirror_image(seed):
    left, right = (render_action(name, seed=seed, noise=False) for name in MIRROR_PAIRS[0])
    np.testing.assert_array_equal(left[:, :, ::-1], right)


@pytest.mark.parametrize("yaw", [-0.8, 0.0, 0.8])
@pytest.mark.parametrize("rest", [-1.0, 1.0])
def test_point_left_reaches_to_the_left_of_the_picture(yaw, rest):
    body = make_body("train", 0)
    style = figures.Style(yaw=yaw, amplitude=0, side=1, azimuth=0, rest=rest, uneven=0)
    progress = np.array([0.0, 1.0])
    still = np.zeros((2, 3))
    joints = figures.pose("point_left", progress, still[:, 0], still, body, style)
    seen = figures.project(joints, yaw)
    hand = seen["hand_r"] - seen["chest"]
    assert hand[1, 0] < -0.35
    assert abs(hand[1, 1]) < 0.12
    assert np.abs(hand[0, 0]) < 0.3
    np.testing.assert_allclose(*(seen["hand_l"] - seen["chest"]), atol=1e-9)


@pytest.mark.parametrize("action", ACTIONS)
def test_bones_keep_their_length(action):
    body = make_body("test", 3)
    style = figures.Style(yaw=0, amplitude=1, side=-1, azimuth=0.3, rest=0.5, uneven=1)
    generator = np.random.default_rng(0)
    times, progress, phase = figures.timing(actions._base(action), generator, 15, 1.0)
    sway = figures.sway(generator, times)
    joints = figures.pose(actions._base(action), progress, phase, sway, body, style)
    for first, second, length in (
        ("hip", "knee", figures.THIGH * body.leg),
        ("knee", "ankle", figures.SHANK * body.leg),
        ("shoulder", "elbow", figures.UPPER_ARM * body.arm),
        ("elbow", "hand", figures.FOREARM * body.arm),
    ):
        for side in "lr":
            bone = joints[f"{first}_{side}"] - joints[f"{second}_{side}"]
            np.testing.assert_allclose(np.linalg.norm(bone, axis=1), length, rtol=0.02)
    # No jump between frames faster than a fast hand.
    del joints["face"]
    assert max(np.abs(np.diff(at, axis=0)).max() for at in joints.values()) < 0.4


@pytest.mark.parametrize("action", ["sit_down", "point_left", "wave", "jump"])
def test_onset_is_as_likely_backwards(action):
    middles = []
    for seed in range(400):
        generator = np.random.default_rng(seed)
        times, progress, phase = figures.timing(action, generator, 15, 1.0)
        change = np.abs(np.diff(progress)) + np.abs(np.diff(phase))
        middles.append(np.average(times[:-1] / times[-2], weights=change) - 0.5)
    error = np.std(middles) / len(middles) ** 0.5
    assert abs(np.mean(middles)) < 4 * error + 1e-6
    assert np.std(middles) > 0.01


@pytest.mark.parametrize("action", ACTIONS)
def test_scene_and_length_do_not_tell_the_action(action):
    # The first pixels of a still camera's wall are the same in every action of a seed.
    lengths = {len(render_action(action, seed=seed)) for seed in (1, 2)}
    assert lengths == {len(render_action("wave", seed=seed)) for seed in (1, 2)}
    corner = render_action(action, seed=13, noise=False)[:, :6, :6]
    other = render_action("wave", seed=13, noise=False)[:, :6, :6]
    swapped = action in {second for _, second in (*TIME_PAIRS, *MIRROR_PAIRS)}
    if not swapped:
        np.testing.assert_array_equal(corner, other)


def test_equal_arguments_give_equal_frames_and_seeds_differ():
    first = render_action("wave", seed=5)
    np.testing.assert_array_equal(first, render_action("wave", seed=5))
    assert first.dtype == np.uint8
    assert first.shape[1:] == (96, 128, 3)
    assert 20 <= len(first) <= 32
    other = render_action("wave", seed=6)
    assert first.shape != other.shape or (first != other).mean() > 0.5
    clean = render_action("wave", seed=5, noise=False)
    assert 0.3 < np.abs(first.astype(int) - clean).mean() < 8


@pytest.mark.parametrize("size", [(64, 64), (320, 180)])
def test_other_sizes(size):
    frames = render_action("raise_arms", seed=4, size=size)
    assert frames.shape[1:] == (size[1], size[0], 3)
    assert len(frames) == len(render_action("raise_arms", seed=4))


def test_every_action_moves_more_than_the_scene():
    for action in ACTIONS:
        frames = render_action(action, seed=21, noise=False).astype(int)
        middle = np.abs(frames - frames[0]).max(axis=(0, 3))[:, 30:98]
        assert (middle > 40).mean() > 0.03, action


def test_ceiling_follows_from_the_class_table():
    assert single_frame_ceiling() == pytest.approx(0.7)
    assert single_frame_ceiling(["wave", "jump"]) == 1.0
    assert single_frame_ceiling(["sit_down", "stand_up"]) == 0.5
    assert single_frame_ceiling(["sit_down", "wave"]) == 1.0
    assert {name for pair in (*TIME_PAIRS, *MIRROR_PAIRS) for name in pair} <= set(ACTIONS)


def test_test_split_has_unseen_bodies_walls_and_speeds():
    train, test = POOLS["train"], POOLS["test"]
    assert not set(train.walls) & set(test.walls)
    for field in ("hues", "builds", "seconds"):
        for low, high in getattr(train, field):
            for other_low, other_high in getattr(test, field):
                assert high <= other_low or other_high <= low, field
    ranges = [range(pool.first, pool.first + pool.performers) for pool in POOLS.values()]
    assert len(set().union(*ranges)) == sum(map(len, ranges))
    for number in range(test.performers):
        assert not 0.92 < make_body("test", number).arm < 1.08
        assert 0.92 <= make_body("train", number).arm <= 1.08


def test_files_are_balanced_and_groups_disjoint(data):
    table = rows(data)
    for split, count in (("train", 13), ("val", 10), ("test", 10)):
        labels = Counter(row["label"] for row in table if row["split"] == split)
        assert set(labels) == set(ACTIONS)
        assert sum(labels.values()) == count
        assert max(labels.values()) - min(labels.values()) <= 1
    groups = {s: {row["group"] for row in table if row["split"] == s} for s in POOLS}
    assert not groups["train"] & groups["val"]
    assert not groups["train"] & groups["test"]
    assert not groups["val"] & groups["test"]
    for row in table:
        split, label, name = row["path"].split("/")
        assert (split, label, name.split("_")[0]) == (row["split"], row["label"], row["group"])
        assert (data / row["path"]).is_file()


def test_decoded_frames_are_those_rendered(data):
    jobs = actions._jobs({"train": 13, "val": 10, "test": 10}, 0, (128, 96))
    for job in jobs[::7]:
        frames = render_action(
            job.action, seed=job.seed, split=job.split, performer=job.performer
        ).astype(int)
        with av.open(str(data / job.path)) as file:
            decoded = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
            assert file.streams.video[0].average_rate in (12, 13, 14, 15)
        assert len(decoded) == len(frames)
        assert np.abs(np.stack(decoded) - frames).mean() < 12


def test_bytes_do_not_depend_on_workers_and_rerun_returns(data, tmp_path, monkeypatch):
    root = write_actions(tmp_path / "set", **COUNTS, workers=2)
    assert files(root) == files(data)
    monkeypatch.setattr(actions, "_write", None)
    assert write_actions(root, **COUNTS) == root


def test_an_interrupted_run_goes_on(data, tmp_path, monkeypatch):
    calls = []
    write = actions._write

    def fail_at_sixth(root, job):
        calls.append(job.path)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return write(root, job)

    monkeypatch.setattr(actions, "_write", fail_at_sixth)
    with pytest.raises(KeyboardInterrupt):
        write_actions(tmp_path / "set", **COUNTS, workers=1)
    begun = files(tmp_path / "set")
    assert len(begun) == 6  # five videos and the record
    assert "manifest.csv" not in begun
    calls.extend([""] * 10)
    write_actions(tmp_path / "set", **COUNTS, workers=1)
    assert len(calls) == 16 + sum(COUNTS.values()) - 5
    assert files(tmp_path / "set") == files(data)


def test_other_settings_and_foreign_folders_are_refused(data, tmp_path):
    with pytest.raises(InputError, match="other settings.*'seed': 0.*'seed': 1.*another folder"):
        write_actions(data, **COUNTS, seed=1)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not an empty folder"):
        write_actions(tmp_path, **COUNTS)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_train": 5}, "num_train must be 0 or at least 10.*got 5"),
        ({"num_test": -1}, "num_test must be"),
        ({"workers": 0}, "workers must be at least 1, got 0"),
        ({"size": (127, 96)}, "even and at least 32×32, got 127×96"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
    ],
)
def test_bad_settings(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        write_actions(tmp_path / "set", **{**COUNTS, **change})
    assert list(tmp_path.iterdir()) == []


def test_bad_names():
    with pytest.raises(InputError, match="no action 'fly'; expected one of bow"):
        render_action("fly", seed=0)
    with pytest.raises(InputError, match="no split 'dev'"):
        render_action("bow", seed=0, split="dev")
    with pytest.raises(InputError, match="at least 32×32 to show a figure, got 16×16"):
        render_action("bow", seed=0, size=(16, 16))


def test_command_writes_and_says_what_to_do_next(tmp_path, capsys):
    out = tmp_path / "set"
    counts = ["--train", "10", "--val", "0", "--test", "0", "--workers", "1"]
    assert synth.main([str(out), *counts]) == 0
    said = capsys.readouterr().out
    assert "videolit fit --config action/folder_r2plus1d --data.root" in said
    assert len(rows(out)) == 10
