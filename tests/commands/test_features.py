"""videolit features: what is stored of raw videos, and that models train on it."""

import itertools
import json
import re

import h5py
import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from videolit import cli
from videolit.commands.feature_set import raw_videos, write_features
from videolit.commands.feature_source import NUM_SIGNALS, FeatureSource, plain_source
from videolit.commands.summarize import Settings, load_model, summarize
from videolit.data.layouts.eccv16 import eccv16
from videolit.data.sound_writer import write_video_with_sound
from videolit.data.summary import SummaryDataModule
from videolit.encoders import AppearanceEncoder, IdentityEncoder
from videolit.tasks.summary import SummaryTask
from videolit.types import InputError, VideoError

FPS, SECONDS = 10, 20
# Seconds; 15 % of the video are 3 s.
STARTS = (0, 3, 5, 9, 11, 12, 16)
COLOURS = (
    *((220, 30, 30), (30, 200, 30), (30, 30, 220), (200, 200, 40)),
    *((20, 20, 20), (40, 200, 200), (230, 230, 230)),
)
SIZE = AppearanceEncoder().num_features + NUM_SIGNALS
USERS = {
    "anna": [[0, 3, 0.25], [6, 9, 0.3], [9.5, 11.5, 1.0], [12, 20, 0.1]],
    "ben": [[1, 2, 0.5], [3.15, 6, 0.5], [9, 11, 0.4], [11, 11.9, 0.25]],
}


def make_video(path, seed=0):
    """Shots of noise around a colour each, and a tone."""
    rng = np.random.default_rng(seed)
    colours = rng.permutation(COLOURS)
    shots = np.searchsorted(FPS * np.array(STARTS), np.arange(FPS * SECONDS), side="right") - 1
    noise = rng.normal(0, 8, (48, 64, 3))
    frames = [np.clip(colours[shot] + noise, 0, 255).astype(np.uint8) for shot in shots]
    tone = 0.3 * np.sin(np.arange(16000 * SECONDS) / 5).astype(np.float32)
    return write_video_with_sound(path, np.stack(frames), FPS, tone, 16000)


def scored_folder(root, names):
    for seed, name in enumerate(names):
        make_video(root / name, seed)
    (root / "scores.json").write_text(json.dumps({name: {"users": USERS} for name in names}))
    return root


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    root = tmp_path_factory.mktemp("scored")
    return scored_folder(root, ["train/0.mp4", "train/1.mp4", "val/2.mp4", "test/3.mp4"])


@pytest.fixture(scope="module")
def stored(scored, tmp_path_factory):
    path = tmp_path_factory.mktemp("stored") / "features.h5"
    assert cli.main(["features", str(scored), "--out", str(path)]) == 0
    return path


def test_annotations_are_those_of_the_frames_that_the_features_are_of(stored):
    record = eccv16(stored).select(["train/0.mp4"])[0]
    assert record.picks.tolist() == list(range(0, FPS * SECONDS, FPS // 2))
    assert record.read_features().shape == (2 * SECONDS, SIZE)
    expected = np.zeros((2, 2 * SECONDS), np.float32)
    for row, segments in enumerate(USERS.values()):
        for start, end, score in segments:
            times = np.arange(2 * SECONDS) / 2
            expected[row, (times >= start - 0.001) & (times < end)] = score
    np.testing.assert_array_equal(record.user_scores, expected)
    np.testing.assert_allclose(record.gtscore, expected.mean(0))


def best_shots(scores, shots, capacity):
    """Return the frames of the best choice of shots, of all choices."""
    values = [float(scores[a:b].mean()) for a, b in shots]
    best, chosen = 0.0, ()
    for count in range(len(shots) + 1):
        for some in itertools.combinations(range(len(shots)), count):
            total = sum(values[i] for i in some)
            if sum(shots[i][1] - shots[i][0] for i in some) <= capacity and total > best:
                best, chosen = total, some
    frames = np.zeros(len(scores), bool)
    for i in chosen:
        frames[slice(*shots[i])] = True
    return frames


def test_users_summaries_are_the_best_shots_within_15_percent(scored, stored):
    for record in eccv16(stored).records:
        frames = np.zeros((2, FPS * SECONDS), np.float32)
        for row, segments in enumerate(USERS.values()):
            for start, end, score in segments:
                frames[row, int(np.ceil(start * FPS)) : int(end * FPS)] = score
        for row in range(2):
            expected = best_shots(frames[row], record.shots.tolist(), int(0.15 * FPS * SECONDS))
            assert expected.any()
            np.testing.assert_array_equal(record.user_summary[row], expected)


def test_shots_are_those_of_summarize(scored, stored):
    record = eccv16(stored).select(["val/2.mp4"])[0]
    found = summarize(scored / "val/2.mp4", settings=Settings(ratio=1.0))
    shots = [(s["start_frame"], s["end_frame"]) for s in found["segments"]]
    assert shots == [tuple(shot) for shot in record.shots.tolist()]
    assert {FPS * start for start in STARTS} <= set(record.shots[:, 0].tolist())


def test_folders_divide_the_file_and_a_model_trained_on_it_summarizes(scored, stored, tmp_path):
    torch.manual_seed(0)
    data = SummaryDataModule(str(stored), batch_size=2)
    task = SummaryTask(IdentityEncoder(SIZE))
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(task, datamodule=data)
    parts = {part: [r.video_id for r in data.records(part)] for part in ("train", "val", "test")}
    assert parts == {
        "train": ["train/0.mp4", "train/1.mp4"],
        "val": ["val/2.mp4"],
        "test": ["test/3.mp4"],
    }
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    model = load_model(tmp_path / "model.ckpt", accelerator="cpu")
    found = model.source.describe(scored / "test/3.mp4")
    stored_features = data.records("test")[0].read_features()
    np.testing.assert_allclose(found.features, stored_features, atol=1e-5)
    assert summarize(scored / "test/3.mp4", model=model)["model"]["kind"] == "checkpoint"


def test_selections_stay_the_users_summaries(tmp_path):
    make_video(tmp_path / "a.mp4")
    (tmp_path / "scores.json").write_text('{"a.mp4": {"selected": [[1, 2.5]]}}')
    write_features(tmp_path, tmp_path / "f.h5", plain_source())
    (record,) = eccv16(tmp_path / "f.h5").records
    assert np.flatnonzero(record.user_summary[0]).tolist() == list(range(10, 25))
    assert record.user_scores is None
    assert np.flatnonzero(record.gtscore).tolist() == [2, 3, 4]


def test_a_folder_without_scores_goes_on_where_it_stopped_and_tells_what_is_broken(
    tmp_path, capsys, monkeypatch
):
    for seed, name in enumerate(("a.mp4", "deep/b.mp4", "c.mp4")):
        make_video(tmp_path / "videos" / name, seed)
    (tmp_path / "videos" / "c.mp4").write_bytes(b"no video")
    out = tmp_path / "f.h5"
    describe = FeatureSource.describe

    def stop_at_b(self, path, **options):
        if path.endswith("b.mp4"):
            raise KeyboardInterrupt
        return describe(self, path, **options)

    arguments = ["features", str(tmp_path / "videos"), "--out", str(out), "--no-signals"]
    with monkeypatch.context() as patch:
        patch.setattr(FeatureSource, "describe", stop_at_b)
        assert cli.main(arguments) == 130
    assert not out.exists()

    def only_b_and_c(self, path, **options):
        assert not path.endswith("a.mp4")
        return describe(self, path, **options)

    monkeypatch.setattr(FeatureSource, "describe", only_b_and_c)
    capsys.readouterr()
    assert cli.main(arguments) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "2 of 3 videos are in" in said
    assert "(1 of them now," in said
    assert "Next: videolit fit --config summary/features_dsn" in said
    assert "c.mp4" in said
    found = eccv16(out)
    assert found.ids == ("a.mp4", "deep/b.mp4")
    assert found.num_features == SIZE - NUM_SIGNALS
    assert found.records[0].user_scores is None
    with h5py.File(out) as file:
        assert file["deep/b.mp4/fps"][()] == FPS


def test_a_scored_video_that_cannot_be_read_is_listed_and_the_others_are_taken(tmp_path, capsys):
    root = scored_folder(tmp_path / "videos", ["a.mp4", "b.mp4", "c.mp4"])
    (root / "b.mp4").write_text("no video")
    (root / "c.mp4").write_bytes(b"")
    out = tmp_path / "f.h5"
    assert cli.main(["features", str(root), "--out", str(out)]) == 1
    said = capsys.readouterr().out
    assert "1 of 3 videos are in" in said
    assert "Next: videolit fit --config summary/features_transformer" in said
    assert re.search(r"^b\.mp4 +not a video: text", said, re.MULTILINE)
    assert re.search(r"^c\.mp4 +is empty", said, re.MULTILINE)
    assert eccv16(out).ids == ("a.mp4",)
    # A second run adds nothing, and tells as well how to go on.
    assert cli.main(["features", str(root), "--out", str(out)]) == 1
    again = capsys.readouterr().out
    assert "(0 of them now," in " ".join(again.split())
    assert said.splitlines()[-1] == again.splitlines()[-1]
    assert f"--model.encoder.init_args.num_features {eccv16(out).num_features}" in again
    with pytest.raises(VideoError, match=r"b\.mp4"):
        raw_videos(root)


def test_a_list_names_its_videos_from_its_folder(tmp_path):
    make_video(tmp_path / "deep" / "a.mp4")
    (tmp_path / "list.csv").write_text("path\ndeep/a.mp4\n")
    name, (video,) = raw_videos(tmp_path / "list.csv")
    assert (name, video.video_id, video.record) == ("list", "deep/a.mp4", None)
    (tmp_path / "parts.csv").write_text("path,start,end\ndeep/a.mp4,1,2\n")
    with pytest.raises(InputError, match="parts of videos"):
        raw_videos(tmp_path / "parts.csv")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "f.npz"], "name it .h5"),
        (["--out", "f.h5", "--encoder_args", "{}"], "--encoder_args needs the encoder's name"),
        (["--out", "f.h5", "--encoder", "Nobody"], "there is no encoder 'Nobody'"),
        (["--out", "f.h5", "--fps", "0"], "fps"),
        (["--out", "f.h5", "--ckpt_path", "x.ckpt", "--encoder", "C3D"], "not both"),
    ],
)
def test_options_that_cannot_be_used_are_told(tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    assert cli.main(["features", "videos", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_data_that_is_none_is_told(tmp_path, stored):
    with pytest.raises(InputError, match="no file or folder"):
        raw_videos(tmp_path / "none")
    with pytest.raises(InputError, match="no video in the folder"):
        raw_videos(tmp_path)
    with pytest.raises(InputError, match="stored features already"):
        raw_videos(stored)


def test_a_file_of_other_features_is_refused_before_a_video_is_read(stored, tmp_path):
    with pytest.raises(InputError, match="features of other settings"):
        write_features(tmp_path / "none", stored, plain_source(fps=4.0))
