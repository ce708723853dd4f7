"""What turns videos into features: what it makes, its record, and models trained on them."""

import json
import warnings

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from summary_files import eccv16_video, write_groups

from videolit import ActionTask, load_task
from videolit.commands.feature_source import (
    NUM_SIGNALS,
    FeatureSource,
    plain_source,
    source_from_record,
    source_of,
)
from videolit.commands.summarize import load_model, summarize
from videolit.data.audio import sound_levels
from videolit.data.features_file import FeatureFile
from videolit.data.reader import VideoReader
from videolit.data.sound_writer import write_video_with_sound
from videolit.data.summary import SummaryDataModule
from videolit.data.summary_records import SummaryRecord
from videolit.data.transforms import eval_crops
from videolit.data.writer import write_video
from videolit.encoders import IdentityEncoder, SmallClipEncoder, SmallFrameEncoder
from videolit.tasks.summary import SummaryTask
from videolit.temporal import RNN, FrameMLP, MeanPool
from videolit.types import ClipSpec, InputError, VideoError

RATE = 16_000


def pictures(count, seed=0, size=(48, 64)):
    rng = np.random.default_rng(seed)
    found = np.zeros((count, *size, 3), np.uint8)
    for number in range(count):
        if number % 20 == 0:
            base = np.kron(
                rng.integers(0, 256, (4, 4, 3), np.uint8), np.ones((12, 16, 1), np.uint8)
            )
        found[number] = base
        found[number, 10:20, 3 * number % 60 : 3 * number % 60 + 6] = 255
    return found


def talk(path, count=65, seed=0):
    t = np.arange(count * RATE // 10) / RATE
    sound = (0.4 * np.sin(600 * t) * (t > 2)).astype(np.float32)
    return write_video_with_sound(path, pictures(count, seed), 10, sound, RATE)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Six and a half seconds, silent for the first two."""
    return talk(tmp_path_factory.mktemp("source") / "a.mp4")


def small(kind=SmallFrameEncoder, **more):
    torch.manual_seed(0)
    clip = ClipSpec(sampling="whole", num_frames=1000, fps=2.0, size=32, resize=36)
    return FeatureSource(kind(width=4), clip, **{"steps_per_clip": 4, **more})


@pytest.mark.parametrize("kind", [SmallFrameEncoder, SmallClipEncoder])
@pytest.mark.parametrize("steps_per_clip", [4, 16])
def test_features_are_the_encoders_of_the_steps(video, kind, steps_per_clip):
    source = small(kind, steps_per_clip=steps_per_clip, signals=False)
    found = source.describe(video)
    reader = VideoReader(video)
    frames = reader.read(found.scan.frames)
    clips = np.stack([eval_crops([frame], source.clip)[0, 0] for frame in frames])
    parts = []
    with torch.no_grad():
        for start in range(0, len(clips), steps_per_clip):
            clip = torch.from_numpy(clips[start : start + steps_per_clip]).permute(0, 3, 1, 2)[None]
            missing = steps_per_clip - clip.shape[1]
            full = torch.cat([clip, clip[:, -1:].expand(-1, missing, -1, -1, -1)], 1)
            real = torch.arange(steps_per_clip)[None] < clip.shape[1]
            parts.append(source.encoder(full, real)[0][0, : clip.shape[1]])
    np.testing.assert_allclose(found.features, torch.cat(parts), atol=1e-5)
    assert found.features.dtype == np.float32
    assert len(found.features) == len(found.scan.times) == 13


def test_motion_and_loudness_are_the_last_columns(video):
    found = plain_source().describe(video)
    assert found.features.shape == (13, 256 + NUM_SIGNALS)
    np.testing.assert_allclose(found.features[:, -2], np.sqrt(found.scan.motion), atol=1e-6)
    levels = sound_levels(video).decibels(found.scan.times, found.scan.duration)
    np.testing.assert_allclose(found.features[:, -1], 1 + levels / 100, atol=1e-6)
    assert found.features[0, -1] < 0.3 < 0.8 < found.features[6, -1] <= 1
    plain = plain_source().describe(video)
    np.testing.assert_array_equal(found.features, plain.features)
    without = FeatureSource(plain_source().encoder, plain_source().clip, signals=False)
    np.testing.assert_allclose(without.describe(video).features, found.features[:, :-2], atol=1e-6)


def test_beside_motion_and_loudness_a_networks_features_have_length_1(video):
    source = small()
    alone = FeatureSource(source.encoder, source.clip, signals=False).describe(video).features
    looks = FeatureSource(source.encoder, source.clip).describe(video).features[:, :-NUM_SIGNALS]
    lengths = np.linalg.norm(alone, axis=1, keepdims=True)
    assert abs(lengths - 1).max() > 0.1
    np.testing.assert_allclose(looks, alone / lengths, atol=1e-6)


def test_a_silent_file_has_a_column_of_zeros(tmp_path):
    path = write_video(tmp_path / "a.mp4", pictures(20), 10)
    found = plain_source().describe(path)
    assert found.loudness is None
    assert found.sound_problem == ""
    assert (found.features[:, -1] == 0).all()


def test_bad_files_and_bad_frames_are_errors(tmp_path, video):
    with pytest.raises(VideoError):
        plain_source().describe(tmp_path / "gone.mp4")
    clip = ClipSpec(sampling="whole", num_frames=1000, fps=2.0, size=8, resize=8)
    with pytest.raises(InputError, match="SmallClipEncoder"):
        FeatureSource(SmallClipEncoder(width=4), clip).describe(video)


def test_a_record_gives_the_source_back(video):
    for source in (plain_source(3.0), source_of("SmallFrameEncoder", {"width": 4}, size=32)):
        text = json.dumps(source.settings, sort_keys=True)
        again = source_from_record(text)
        assert json.dumps(again.settings, sort_keys=True) == text
        assert type(again.encoder) is type(source.encoder)
        assert again.clip == source.clip
        assert not again.encoder.training
    plain = source_from_record(json.dumps(plain_source().settings))
    np.testing.assert_array_equal(
        plain.describe(video).features, plain_source().describe(video).features
    )


def test_random_weights_are_told_and_are_the_same_ones_each_time(video):
    with pytest.warns(UserWarning, match='TorchvisionFrameEncoder has random weights.* "DEFAULT"'):
        source_of("TorchvisionFrameEncoder", size=32)
    torch.manual_seed(1)
    with pytest.warns(UserWarning, match="random weights.*take one with pretrained weights, or a"):
        source = source_of("SmallFrameEncoder", {"width": 4}, size=32)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    again = source_from_record(json.dumps(source.settings))
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(again.describe(video).features, source.describe(video).features)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source_of("AppearanceEncoder")


def action_checkpoint(path, seed=0):
    torch.manual_seed(seed)
    task = ActionTask(SmallFrameEncoder(width=4), MeanPool)
    task.class_names = ["a", "b"]
    task.clip_spec = ClipSpec(size=32, resize=40)
    task.configure_model()
    checkpoint = {"state_dict": task.state_dict()}
    task.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, path)
    return path


def test_an_action_models_encoder_makes_features(tmp_path, video):
    path = action_checkpoint(tmp_path / "a.ckpt")
    source = source_of(checkpoint=path, fps=4.0)
    assert (source.clip.size, source.clip.resize, source.fps) == (32, 40, 4.0)
    assert source.weights == str(path)
    found = source.describe(video).features
    again = source_from_record(json.dumps(source.settings))
    np.testing.assert_array_equal(again.describe(video).features, found)
    assert source_of(checkpoint=path, size=64).clip.resize == 80
    # Other weights at the same place, or none, are refused.
    text = json.dumps(source.settings)
    action_checkpoint(path, seed=1)
    with pytest.raises(InputError, match="another file lies there"):
        source_from_record(text)
    path.unlink()
    with pytest.raises(InputError, match="bring that checkpoint back"):
        source_from_record(text)


def test_sources_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(InputError, match="not both"):
        source_of("SmallFrameEncoder", checkpoint=tmp_path / "a.ckpt")
    with pytest.raises(InputError, match="there is no encoder 'Nothing'; there are .*Small"):
        source_of("Nothing")
    with pytest.raises(InputError, match="there is no encoder 'IdentityEncoder'"):
        source_of("IdentityEncoder", {"num_features": 3})
    with pytest.raises(InputError, match="SmallFrameEncoder: .*depth"):
        source_of("SmallFrameEncoder", {"depth": 3})
    with pytest.raises(InputError, match="need its name"):
        source_of(size=64)
    with pytest.raises(InputError, match="features of unknown making"):
        source_from_record("{}")
    with pytest.raises(InputError, match="features of unknown making"):
        source_from_record("GoogLeNet pool5")


# ---- models trained on stored features, and on frames --------------------------------------------


def trainer(folder):
    return pl.Trainer(
        accelerator="cpu", max_epochs=1, logger=False, default_root_dir=str(folder),
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        num_sanity_val_steps=0,
    )  # fmt: skip


def stored_set(folder, source):
    """Write features of five videos with made-up scores; return the file and the videos."""
    path, videos = folder / "features.h5", []
    with FeatureFile(path, source.settings) as file:
        for number in range(5):
            video = talk(folder / f"v{number}.mp4", 50 + 5 * number, number)
            found = source.describe(video)
            steps, frames = len(found.features), found.scan.index.num_frames
            scores = np.random.default_rng(number).random((2, steps)).astype(np.float32)
            record = SummaryRecord(
                video_id=f"v{number}", name="", source=str(video), group=None, num_features=0,
                num_frames=frames, fps=10.0, picks=found.scan.frames, user_scores=scores,
                gtscore=scores.mean(0), shots=np.array([[0, 25], [25, frames]]),
                user_summary=np.random.default_rng(number).random((2, frames)) < 0.2,
            )  # fmt: skip
            file.add(record, found.features)
            videos.append(video)
    return path, videos


@pytest.mark.parametrize("kind", ["plain", "small"])
def test_a_model_of_stored_features_scores_videos_as_its_data(tmp_path, kind):
    source = plain_source() if kind == "plain" else source_of(
        checkpoint=action_checkpoint(tmp_path / "action.ckpt")
    )  # fmt: skip
    path, videos = stored_set(tmp_path, source)

    def data():
        return SummaryDataModule(str(path), num_workers=0, val_fraction=0.3)

    torch.manual_seed(1)
    width = source.encoder.num_features + NUM_SIGNALS
    task = SummaryTask(IdentityEncoder(width), lambda d: RNN(d, hidden_size=8))
    fit = trainer(tmp_path)
    fit.fit(task, datamodule=data())
    fit.save_checkpoint(tmp_path / "a.ckpt")
    loaded = load_task(tmp_path / "a.ckpt")
    assert json.loads(loaded.feature_record) == json.loads(json.dumps(source.settings))
    (found,) = trainer(tmp_path).predict(loaded, datamodule=data())
    number = int(found["video_id"][0][1:])
    record = summarize(videos[number], checkpoint=tmp_path / "a.ckpt")
    assert record["scores"]["value"] == pytest.approx(found["scores"][0].tolist(), abs=2e-6)
    assert record["model"]["kind"] == "checkpoint"
    assert record["model"]["temporal"] == "RNN"
    assert record["model"]["features"] == source.settings
    assert record["settings"]["diversity"] == 0


def test_a_model_of_frames_scores_videos_as_its_data(tmp_path):
    root = tmp_path / "set"
    root.mkdir()
    videos = [talk(root / f"v{n}.mp4", 50 + 5 * n, n) for n in range(4)]
    said = {v.name: {"users": {"a": [[0, 1, 1], [1, 4, 0.25]]}} for v in videos}
    (root / "scores.json").write_text(json.dumps(said))
    clip = ClipSpec(sampling="whole", num_frames=1000, fps=3.0, size=32, resize=40)

    def data():
        return SummaryDataModule(
            str(root), clip=clip, num_workers=0, num_folds=2, val_fraction=0.5, batch_size=2
        )

    torch.manual_seed(1)
    task = SummaryTask(SmallClipEncoder(width=4), FrameMLP, steps_per_clip=8)
    fit = trainer(tmp_path)
    fit.fit(task, datamodule=data())
    fit.save_checkpoint(tmp_path / "a.ckpt")
    for found in trainer(tmp_path).predict(load_task(tmp_path / "a.ckpt"), datamodule=data()):
        record = summarize(root / found["video_id"][0], checkpoint=tmp_path / "a.ckpt")
        expected = found["scores"][0].tolist()
        assert record["scores"]["value"] == pytest.approx(expected, abs=1e-5)
    assert len(record["scores"]["time"]) == len(expected)


def test_checkpoints_that_cannot_score_a_video_are_refused(tmp_path):
    videos = {name: eccv16_video(seed=n, features=1024) for n, name in enumerate("abcd")}
    path = write_groups(tmp_path / "tvsum_google_pool5.h5", videos)
    fit = trainer(tmp_path)
    fit.fit(
        SummaryTask(IdentityEncoder(1024), FrameMLP),
        datamodule=SummaryDataModule(str(path), num_workers=0, num_folds=2, val_fraction=0.5),
    )
    fit.save_checkpoint(tmp_path / "a.ckpt")
    with pytest.raises(InputError, match="1024 numbers whose making is not known.*GoogLeNet"):
        load_model(tmp_path / "a.ckpt")
    with pytest.raises(InputError, match="a checkpoint of ActionTask; summaries need"):
        load_model(action_checkpoint(tmp_path / "action.ckpt"))
    with pytest.raises(InputError):
        load_model(tmp_path / "gone.ckpt")


def test_a_model_that_was_never_trained_is_refused(tmp_path):
    task = SummaryTask(SmallFrameEncoder(width=4), FrameMLP)
    checkpoint = {"state_dict": task.state_dict()}
    task.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, tmp_path / "a.ckpt")
    with pytest.raises(InputError, match="does not say how its videos are read"):
        load_model(tmp_path / "a.ckpt")
