"""Writing features to a file, with stops between; and finding out which layout lies there."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from summary_files import eccv16_video, write_groups, write_tvsum_mat

from videolit.data.features_file import FeatureFile
from videolit.data.layouts.eccv16 import eccv16
from videolit.data.summary_records import SummaryRecord
from videolit.data.summary_sets import read_summary_set
from videolit.data.writer import write_video
from videolit.types import InputError

SETTINGS = {"encoder": "small", "fps": 2.0}


def record(name="train/000.mp4", **changes):
    rng = np.random.default_rng(0)
    values = {
        "video_id": name,
        "name": "A title, née Ümläut",
        "source": f"/videos/{name}",
        "group": None,
        "num_features": 0,
        "num_frames": 100,
        "fps": 29.97,
        "picks": np.arange(0, 100, 15),
        "gtscore": rng.random(7, np.float32),
        "user_scores": rng.random((3, 7), np.float32),
        "user_summary": rng.random((3, 100)) > 0.5,
        "shots": np.array([[0, 30], [30, 100]]),
        "gtsummary": rng.random(7) > 0.5,
    }
    return SummaryRecord(**values | changes)


def features(seed=0):
    return np.random.default_rng(seed).random((7, 5), np.float32)


def test_what_is_written_comes_back(tmp_path):
    path = tmp_path / "deep" / "f.h5"
    written = record()
    with FeatureFile(path, SETTINGS, data_set="summe") as file:
        file.add(written, features())
    data = eccv16(path)
    (read,) = data.records
    assert (data.name, data.reduce) == ("summe", "max")
    assert data.splits == {"train": ("train/000.mp4",), "val": (), "test": ()}
    assert json.loads(data.feature_record) == SETTINGS
    assert (read.video_id, read.name, read.fps) == (written.video_id, written.name, 29.97)
    assert (read.num_frames, read.num_features) == (100, 5)
    for key in ("picks", "gtscore", "user_scores", "user_summary", "shots", "gtsummary"):
        value = getattr(read, key)
        assert value.dtype == getattr(written, key).dtype
        np.testing.assert_array_equal(value, getattr(written, key))
    np.testing.assert_array_equal(read.read_features(), features())
    with h5py.File(path) as file:
        assert file["train/000.mp4/change_points"][()].tolist() == [[0, 29], [30, 99]]
        assert file["train/000.mp4/n_frame_per_seg"][()].tolist() == [30, 70]
    assert [p.name for p in path.parent.iterdir()] == ["f.h5"]


def test_a_video_without_annotations_is_written(tmp_path):
    nothing = dict.fromkeys(("gtscore", "user_scores", "user_summary", "shots", "gtsummary"))
    with FeatureFile(tmp_path / "f.h5", SETTINGS) as file:
        file.add(record(**nothing, fps=None), features())
    (read,) = eccv16(tmp_path / "f.h5").records
    assert read.gtscore is read.shots is read.fps is None


def test_a_finished_file_is_continued(tmp_path):
    path = tmp_path / "f.h5"
    with FeatureFile(path, SETTINGS) as file:
        assert file.done() == set()
        file.add(record("video_2"), features(2))
    with FeatureFile(path, SETTINGS) as file:
        assert file.done() == {"video_2"}
        file.add(record("video_10"), features(10))
        assert file.done() == {"video_2", "video_10"}
    data = eccv16(path)
    assert data.ids == ("video_2", "video_10")
    for seed, read in zip((2, 10), data.records, strict=True):
        np.testing.assert_array_equal(read.read_features(), features(seed))


def test_an_error_leaves_the_parts_and_no_file(tmp_path):
    path = tmp_path / "f.h5"

    def extract():
        with FeatureFile(path, SETTINGS) as file:
            file.add(record("video_1"), features(1))
            file.add(record("video_2"), np.full((7, 5), np.nan))

    with pytest.raises(InputError, match="finite"):
        extract()
    assert not path.exists()
    with FeatureFile(path, SETTINGS) as file:
        assert file.done() == {"video_1"}
        file.add(record("video_2"), features(2))
    assert eccv16(path).ids == ("video_1", "video_2")


def test_videos_that_cannot_be_joined_stay(tmp_path):
    path = tmp_path / "f.h5"
    file = FeatureFile(path, SETTINGS)
    for name in ("video_1", "video_2"):
        file.add(record(name), features())
    part = max(file.parts.iterdir())
    whole = part.read_bytes()
    part.write_bytes(whole[:2000])
    with pytest.raises(InputError, match=r"cannot join the videos of '.*f.h5.parts', which stay"):
        file.finish()
    assert [item.name for item in tmp_path.iterdir()] == ["f.h5.parts"]
    part.write_bytes(whole)
    file.finish()
    assert eccv16(path).ids == ("video_1", "video_2")


def test_a_full_disk_is_an_error_and_what_is_done_stays(tmp_path, monkeypatch):
    path = tmp_path / "f.h5"
    file = FeatureFile(path, SETTINGS)
    file.add(record("video_1"), features())

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(InputError, match="video_2: cannot write: .*No space left"):
            file.add(record("video_2"), features())
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 8, 1))
        with pytest.raises(InputError, match=r"takes 0.0 MB, and the disk has 0.0 MB left"):
            file.finish()
    assert [item.name for item in tmp_path.iterdir()] == ["f.h5.parts"]
    file.finish()
    assert eccv16(path).ids == ("video_1",)


def test_a_video_written_again_takes_the_place_of_the_one_before(tmp_path):
    path = tmp_path / "f.h5"
    for seed in (1, 2):
        with FeatureFile(path, SETTINGS) as file:
            file.add(record("video_1"), features(seed))
    np.testing.assert_array_equal(eccv16(path).records[0].read_features(), features(2))


def test_a_killed_process_loses_no_video_that_it_wrote(tmp_path):
    path = tmp_path / "f.h5"
    code = f"""
import os, signal
import numpy as np
from test_features_file import FeatureFile, SETTINGS, features, record
file = FeatureFile({str(path)!r}, SETTINGS)
file.add(record("video_1"), features(1))
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)  # before the part is renamed
file.add(record("video_2"), features(2))
"""
    folders = [os.path.dirname(__file__), os.path.dirname(os.path.dirname(__file__)), *sys.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    killed = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list((tmp_path / "f.h5.parts").iterdir())) == 2
    with FeatureFile(path, SETTINGS) as file:
        assert file.done() == {"video_1"}
        file.add(record("video_3"), features(3))
    assert eccv16(path).ids == ("video_1", "video_3")
    assert os.listdir(tmp_path) == ["f.h5"]


def test_features_of_other_settings_are_refused(tmp_path):
    path = tmp_path / "f.h5"
    file = FeatureFile(path, SETTINGS)
    file.add(record(), features())
    told = r"f.h5.* has features of other settings:\n.*small.*\n.*large"
    with pytest.raises(InputError, match=told):
        FeatureFile(path, SETTINGS | {"encoder": "large"})
    file.finish()
    with pytest.raises(InputError, match=told):
        FeatureFile(path, SETTINGS | {"encoder": "large"})
    # The order of the settings is none of them.
    assert FeatureFile(path, dict(reversed(SETTINGS.items()))).done() == {"train/000.mp4"}
    with pytest.raises(InputError, match="was not written by videolit"):
        FeatureFile(write_groups(tmp_path / "g.h5", {"video_1": eccv16_video()}), SETTINGS)


def test_features_that_do_not_fit_are_refused(tmp_path):
    file = FeatureFile(tmp_path / "f.h5", SETTINGS)
    with pytest.raises(InputError, match=r"one row for each of 7 steps, found shape \(6, 5\)"):
        file.add(record(), features()[:6])
    with pytest.raises(InputError, match="expected finite numbers"):
        file.add(record(), np.full((7, 5), np.inf))
    assert file.done() == set()


def test_what_lies_there_tells_the_layout(tmp_path):
    pixels = np.zeros((10, 16, 16, 3), np.uint8)
    one = write_groups(tmp_path / "one" / "eccv16_dataset_ovp.h5", {"video_1": eccv16_video()})
    assert read_summary_set(one).name == read_summary_set(one.parent).name == "ovp"
    values = {"features": np.zeros((3, 4)), "gtscore": np.zeros(3)}
    write_groups(tmp_path / "two" / "mr_hisum.h5", {"video_1": values})
    assert read_summary_set(str(tmp_path / "two")).name == "mrhisum"
    write_tvsum_mat(tmp_path / "three" / "ydata-tvsum50.mat", {"a": np.ones((2, 10))})
    write_video(tmp_path / "three" / "video" / "a.mp4", pixels, 10)
    assert read_summary_set(tmp_path / "three").records[0].num_steps == 2
    assert read_summary_set(tmp_path / "three", fps=10).records[0].num_steps == 10
    write_video(tmp_path / "mine" / "a.mp4", pixels, 10)
    (tmp_path / "mine" / "scores.csv").write_text("path,user,start,end,score\na.mp4,u,0,.5,1\n")
    assert read_summary_set(tmp_path / "mine").name == "mine"
    with pytest.raises(InputError, match="has no 'GT/'"):
        read_summary_set(tmp_path / "mine", "summe_raw")


def test_where_nothing_known_lies_all_layouts_are_told(tmp_path):
    with pytest.raises(InputError) as error:
        read_summary_set(tmp_path)
    assert "nothing known lies in" in str(error.value)
    for layout in ("eccv16:", "mrhisum:", "summe_raw:", "tvsum_raw:", "folder:"):
        assert layout in str(error.value)
    with pytest.raises(InputError, match="unknown layout 'vsumm'; known are"):
        read_summary_set(tmp_path, "vsumm")
    with pytest.raises(InputError, match="no file or folder"):
        read_summary_set(tmp_path / "none")
    with pytest.raises(InputError, match=r"has no .h5 file; expected one of"):
        read_summary_set(tmp_path, "eccv16")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"is no .h5 file; expected one of"):
        read_summary_set(tmp_path / "notes.txt")


def test_of_several_files_one_must_be_named(tmp_path):
    for name in ("a.h5", "b.h5"):
        write_groups(tmp_path / name, {"video_1": eccv16_video()})
    with pytest.raises(InputError, match=r"has 2 HDF5 files: a.h5, b.h5; name one of them"):
        read_summary_set(tmp_path)
