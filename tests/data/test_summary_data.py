"""The DataModule of the summary task: folds, whole videos and features, resuming, bad files."""

import json
import pickle
import warnings

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from summary_files import eccv16_video, write_groups

from videolit.data.reader import VideoReader
from videolit.data.summary import SummaryDataModule
from videolit.data.summary_samples import collate_summaries, training_scores
from videolit.data.transforms import ClipTransform, eval_crops
from videolit.data.writer import write_video
from videolit.synth.summary_features import write_feature_set
from videolit.types import ClipSpec, InputError

SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Stored features of 12 videos of 20 to 60 steps, without a division of their own."""
    groups = {
        f"video_{n}": eccv16_video(num_frames=15 * (20 + 40 * (n * 7 % 12) // 11), seed=n)
        for n in range(1, 13)
    }
    return write_groups(tmp_path_factory.mktemp("stored") / "set.h5", groups)


def write_raw(root, names, frames=24, users=2):
    """Write videos whose frame i has grey level 10 i, and what annotators say of them."""
    scores = {}
    for number, name in enumerate(names):
        count = frames + 5 * number
        images = np.zeros((count, 32, 48, 3), np.uint8)
        images += (np.arange(count) * 240 // count).astype(np.uint8)[:, None, None, None]
        write_video(root / name, images, 10, options={"crf": "1"})
        end = count / 10
        scores[name] = {
            "users": {
                f"u{u}": [[0, 1, 0.25 * u], [1, end, 1 - 0.25 * u]]
                for u in range(users + number % 2)
            }
        }
    (root / "scores.json").write_text(json.dumps(scores))
    return root


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Six short videos with scores, in train, val and test."""
    root = tmp_path_factory.mktemp("raw") / "set"
    names = ["train/a.mp4", "train/b.mp4", "train/c.mp4", "val/d.mp4", "test/e.mp4", "test/f.mp4"]
    return write_raw(root, names)


def ready(root, **settings):
    data = SummaryDataModule(str(root), **{"num_workers": 0, **settings})
    data.setup()
    return data


def ids(data, split):
    return [record.video_id for record in data.records(split)]


def epoch(data, number=0):
    loader = data.train_dataloader()
    loader.sampler.set_epoch(number)
    return list(loader)


def same(one, two):
    """Tell whether two batches are equal in all their tensors and names."""
    if isinstance(one, list):
        return len(one) == len(two) and all(same(a, b) for a, b in zip(one, two, strict=True))
    tensors = {key for key, value in one.items() if isinstance(value, torch.Tensor)}
    return (
        one.keys() == two.keys()
        and all(torch.equal(one[key], two[key]) for key in tensors)
        and one["video_id"] == two["video_id"]
    )


CLIP = ClipSpec(sampling="whole", num_frames=1000, fps=5.0, size=24, resize=28)

# ---- divisions ----------------------------------------------------------------------------------


def test_each_video_is_tested_once_and_validation_comes_from_training(stored):
    tested = []
    for fold in range(5):
        data = ready(stored, fold=fold)
        parts = {split: set(ids(data, split)) for split in SPLITS}
        assert sum(len(part) for part in parts.values()) == 12
        assert len(set.union(*parts.values())) == 12
        assert ids(data, "predict") == ids(data, "test")
        tested += parts["test"]
        # A fifth of the nine or ten that are not tested.
        assert len(parts["val"]) == 2
        again = ready(stored, fold=fold)
        assert all(ids(again, split) == ids(data, split) for split in SPLITS)
    assert sorted(tested) == sorted(f"video_{n}" for n in range(1, 13))
    assert ids(ready(stored, seed=1), "test") != ids(ready(stored), "test")


def test_folders_of_their_own_are_the_division(raw):
    data = ready(raw, clip=CLIP)
    assert [len(ids(data, split)) for split in SPLITS] == [3, 1, 2]
    assert all(name.startswith(f"{split}/") for split in SPLITS for name in ids(data, split))
    assert data.describe("test")["division"] == "its own division"


def test_groups_named_by_folders_are_the_division(tmp_path):
    groups = {}
    for name in ("train/a", "train/b", "val/c", "test/d"):
        groups[name] = eccv16_video(seed=len(groups))
    data = ready(write_groups(tmp_path / "set.h5", groups))
    assert ids(data, "train") == ["train/a", "train/b"]
    assert ids(data, "test") == ["test/d"]


def test_a_published_split_file_is_followed(stored, tmp_path):
    file = tmp_path / "set_splits.json"
    names = [f"video_{n}" for n in range(1, 13)]
    told = {"train_keys": names[:9], "test_keys": names[9:]}
    file.write_text(json.dumps([told]))
    with pytest.warns(UserWarning, match="no cross-validation: its 1 splits test 3 of 12"):
        data = ready(stored, split_file=str(file))
    assert ids(data, "test") == told["test_keys"]
    assert set(ids(data, "train")) | set(ids(data, "val")) == set(told["train_keys"])
    assert len(ids(data, "val")) == 2
    assert data.describe("test")["division"] == "set_splits.json, split 0"
    with (
        pytest.warns(UserWarning, match="cross-validation"),
        pytest.raises(InputError, match="fold 1 was asked for, there are 1, from 0 to 0"),
    ):
        ready(stored, fold=1, split_file=str(file))


def test_divisions_that_cannot_be_are_refused(stored, raw, tmp_path):
    with pytest.raises(InputError, match="fold 5 was asked for, there are 5, from 0 to 4"):
        ready(stored, fold=5)
    with pytest.raises(InputError, match="no data"):
        SummaryDataModule().setup()
    with pytest.raises(InputError, match="call setup"):
        SummaryDataModule(str(stored)).records("train")
    only = write_raw(tmp_path / "only", ["train/a.mp4", "train/b.mp4", "test/c.mp4"])
    with pytest.raises(InputError, match="the val split is empty") as caught:
        ready(only, clip=CLIP)
    assert "folds" not in str(caught.value), "folds have no part in it"
    assert "--data.split_file FILE" in str(caught.value)
    file = tmp_path / "splits.json"
    kept = {"train_keys": ["train/a.mp4", "test/c.mp4"], "test_keys": ["train/b.mp4"]}
    file.write_text(json.dumps([kept]))
    with pytest.warns(UserWarning, match="no cross-validation"):
        data = ready(only, clip=CLIP, split_file=str(file))
    assert all(len(ids(data, split)) == 1 for split in SPLITS)
    with pytest.raises(InputError, match="fold 1 was asked for, and .* one division of its own"):
        ready(raw, clip=CLIP, fold=1)


def test_generated_features_have_a_division_of_their_own(tmp_path):
    path = write_feature_set(
        tmp_path / "set.h5", num_train=3, num_val=1, num_test=2, seed=0, num_steps=(20, 30)
    )
    data = ready(path)
    assert [len(ids(data, split)) for split in SPLITS] == [3, 1, 2]
    assert data.describe("test")["division"] == "its own division"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fold": -1}, "fold must be at least 0"),
        ({"num_folds": 1}, "num_folds must be at least 2"),
        ({"max_steps": 0}, "max_steps must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"eval_batch_size": 0}, "eval_batch_size must be at least 1"),
        ({"num_workers": -1}, "num_workers must be at least 0"),
        ({"val_fraction": 1.0}, r"val_fraction must lie in \(0, 1\)"),
    ],
)
def test_numbers_out_of_range_are_refused(stored, settings, message):
    with pytest.raises(InputError, match=message):
        SummaryDataModule(str(stored), **settings)


# ---- samples and batches ------------------------------------------------------------------------


def test_a_batch_is_padded_and_says_what_is_real(stored):
    data = ready(stored, batch_size=4)
    for batch in epoch(data):
        lengths = [record_of(data, "train", i).num_steps for i in batch["index"].tolist()]
        assert batch["video"].shape == (len(lengths), max(lengths), 8)
        assert batch["mask"].sum(1).tolist() == lengths
        assert (batch["video"][~batch["mask"]] == 0).all()
        assert (batch["scores"][~batch["mask"]] == 0).all()
        for row, index in enumerate(batch["index"].tolist()):
            record, steps = record_of(data, "train", index), lengths[row]
            assert batch["video_id"][row] == record.video_id
            np.testing.assert_array_equal(batch["video"][row, :steps], record.read_features())
            scores, users = training_scores(record)
            np.testing.assert_array_equal(batch["scores"][row, :steps], scores)
            np.testing.assert_array_equal(batch["user_scores"][row, :, :steps], users)
        assert batch["user_mask"].all()
        assert batch["sample_mask"].all()
        assert not any(batch["error"])
        assert not batch["unread"]


def record_of(data, split, index):
    return data.records(split)[index]


def test_evaluation_sees_every_video_once_in_order(stored):
    for size in (1, 4):
        data = ready(stored, eval_batch_size=size)
        for split in ("val", "test", "predict"):
            batches = list(getattr(data, f"{split}_dataloader")())
            seen = [i for batch in batches for i in batch["index"].tolist()]
            assert seen == list(range(len(data.records(split))))
            for batch in batches:
                for index, truth in zip(batch["index"].tolist(), batch["truth"], strict=True):
                    record = record_of(data, split, index)
                    assert truth.num_frames == record.num_frames
                    np.testing.assert_array_equal(truth.picks, record.picks)
                    np.testing.assert_array_equal(truth.shots, record.shots)


def test_missing_annotations_are_marked(tmp_path):
    few, many = eccv16_video(users=2), eccv16_video(users=5, num_frames=160, seed=1)
    silent = {**eccv16_video(seed=2), "gtscore": None, "user_summary": None, "gtsummary": None}
    path = write_groups(tmp_path / "set.h5", {"a": few, "b": many, "c": silent})
    data = SummaryDataModule(str(path), num_folds=3, num_workers=0)
    data.setup()
    records = {r.video_id: r for split in SPLITS for r in data.records(split)}
    dataset = data.dataset("test")
    dataset.records = tuple(records[name] for name in "abc")
    samples = [dataset[i] for i in range(3)]
    batch = collate_summaries(samples[:2])
    assert batch["user_mask"].tolist() == [[True, True, False, False, False], [True] * 5]
    assert batch["user_scores"].shape == (2, 5, samples[1]["video"].shape[0])
    assert (batch["user_scores"][0, 2:] == 0).all()
    # Annotators' summaries at the steps are their scores.
    expected = few["user_summary"][:, few["picks"]]
    np.testing.assert_array_equal(batch["user_scores"][0, :2, : len(few["picks"])], expected)
    both = collate_summaries(samples)
    assert not {"scores", "user_scores", "user_mask"} & set(both)
    assert both["truth"][2].user_summary is None


def test_frames_are_those_of_the_steps(raw):
    data = ready(raw, clip=CLIP, eval_batch_size=2)
    batch = next(iter(data.test_dataloader()))
    assert batch["video"].dtype == torch.uint8
    assert batch["video"].shape[2:] == (3, 24, 24)
    for row, index in enumerate(batch["index"].tolist()):
        record = record_of(data, "test", index)
        # Every second frame of ten a second.
        assert record.picks.tolist() == list(range(0, record.num_frames, 2))
        frames = VideoReader(record.source).read(record.picks)
        expected = np.concatenate([eval_crops([frame], CLIP)[0] for frame in frames])
        found = batch["video"][row, : len(expected)].permute(0, 2, 3, 1).numpy()
        np.testing.assert_array_equal(found, expected)
        assert (batch["video"][row, len(expected) :] == 0).all()
    assert batch["user_mask"].tolist() == [[True, True, False], [True, True, True]]


def test_whole_videos_are_read_whatever_else_the_clip_says(raw):
    clip = ClipSpec(sampling="uniform", num_frames=4, fps=None, size=24, resize=28, num_views=3)
    spec = ready(raw, clip=clip).clip_spec
    assert (spec.sampling, spec.fps, spec.size, spec.resize) == ("whole", 2.0, 24, 28)
    assert spec.num_views == 1
    assert ClipSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_augmentation_is_one_for_a_video_and_only_in_training(raw):
    data = ready(raw, clip=CLIP, train_transform=ClipTransform(), batch_size=1)
    plain = ready(raw, clip=CLIP, batch_size=1)
    first, again = (
        epoch(data),
        epoch(ready(raw, clip=CLIP, train_transform=ClipTransform(), batch_size=1)),
    )
    assert same(first, again)
    assert not same(first, epoch(plain))
    assert same(list(data.test_dataloader()), list(plain.test_dataloader()))
    for one, two in zip(first, epoch(plain), strict=True):
        assert one["video"].shape == two["video"].shape


def test_a_squashed_frame_is_squashed_in_training_too(tmp_path):
    # Columns of their own: a crop that keeps proportions cannot show both ends.
    images = np.zeros((10, 32, 96, 3), np.uint8)
    images[:, :, :24], images[:, :, -24:] = (255, 0, 0), (0, 0, 255)
    names = ["train/a.mp4", "val/b.mp4", "test/c.mp4"]
    for name in names:
        write_video(tmp_path / name, images, 10)
    said = {name: {"users": {"a": [[0, 1, 1]]}} for name in names}
    (tmp_path / "scores.json").write_text(json.dumps(said))
    clip = ClipSpec(sampling="whole", num_frames=99, fps=2, size=32, resize=32, stretch=True)
    whole = ClipTransform(scale=(1.0, 1.0), ratio=(1.0, 1.0), flip=0.0)
    data = ready(tmp_path, clip=clip, train_transform=whole)
    for batch in (*epoch(data), *data.test_dataloader()):
        frame = batch["video"][0, 0].float()
        assert frame[0, :, :4].mean() > 150 > 80 > frame[2, :, :4].mean()
        assert frame[2, :, -4:].mean() > 150 > 80 > frame[0, :, -4:].mean()


def test_features_are_the_same_however_many_processes_load(stored, raw):
    for root, more in ((stored, {}), (raw, {"clip": CLIP, "train_transform": ClipTransform()})):
        alone = ready(root, batch_size=2, max_steps=10, **more)
        helped = ready(root, batch_size=2, max_steps=10, num_workers=2, **more)
        assert same(epoch(alone), epoch(helped))
        assert same(list(alone.val_dataloader()), list(helped.val_dataloader()))


def test_a_training_epoch_depends_on_seed_and_epoch_alone(stored):
    first = epoch(ready(stored, max_steps=15))
    assert same(first, epoch(ready(stored, max_steps=15)))
    assert not same(first, epoch(ready(stored, max_steps=15), 1))
    # The same fold with another seed: other videos, so by hand.
    data = ready(stored, max_steps=15)
    data.seed = 1
    assert not same(first, epoch(data))
    pickle.loads(pickle.dumps(ready(stored)))


def test_a_stretch_of_a_long_video_is_drawn_anew_each_epoch(stored):
    data = ready(stored, max_steps=15, batch_size=1)
    starts = set()
    for number in range(6):
        for batch in epoch(data, number):
            index = int(batch["index"][0])
            record = record_of(data, "train", index)
            features = record.read_features()
            assert batch["video"].shape[1] == 15
            places = [
                start
                for start in range(record.num_steps - 14)
                if np.array_equal(features[start : start + 15], batch["video"][0].numpy())
            ]
            assert len(places) == 1
            scores, users = training_scores(record)
            stretch = slice(places[0], places[0] + 15)
            np.testing.assert_array_equal(batch["scores"][0], scores[stretch])
            np.testing.assert_array_equal(batch["user_scores"][0], users[:, stretch])
            if index == 0:
                starts.add(places[0])
    assert len(starts) > 1
    longest = max(record.num_steps for record in data.records("test"))
    assert max(batch["video"].shape[1] for batch in data.test_dataloader()) == longest > 15


def test_unlabelled_videos_are_taken_where_that_is_allowed(tmp_path):
    root = write_raw(tmp_path / "set", [f"{name}.mp4" for name in "abc"])
    write_video(root / "d.mp4", np.zeros((20, 32, 48, 3), np.uint8), 10)
    with pytest.raises(InputError, match="allow_unlabelled"):
        ready(root, clip=CLIP, num_folds=2)
    data = ready(root, clip=CLIP, num_folds=2, allow_unlabelled=True, batch_size=4)
    everything = [batch for split in SPLITS for batch in getattr(data, f"{split}_dataloader")()]
    assert sum(len(batch["index"]) for batch in everything) == 4
    for batch in everything:
        assert ("scores" in batch) == ("d.mp4" not in batch["video_id"])


# ---- what is said of the data -------------------------------------------------------------------


def test_a_file_of_several_splits_beside_the_features_is_not_passed_over_in_silence(
    stored, tmp_path
):
    features = tmp_path / "own.h5"
    features.write_bytes(stored.read_bytes())
    beside = tmp_path / "own_splits.json"
    splits = [{"train_keys": [f"video_{n}"], "test_keys": ["video_12"]} for n in (1, 2)]
    beside.write_text(json.dumps(splits))
    with pytest.warns(UserWarning, match=r"own_splits\.json is no division .* is not used: folds"):
        ready(features)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ready(stored)


def test_an_evaluation_can_say_what_it_is_of(stored, raw):
    told = ready(stored).describe("test")
    assert json.loads(json.dumps(told)) == told
    assert told["division"] == "fold 0 of 5, drawn here with seed 0"
    assert told["decoder"] == "stored features"
    assert told["num_samples"] == 3
    assert told["features"] is None
    assert told["split_hash"] != ready(stored, fold=1).describe("test")["split_hash"]
    assert told["split_hash"] == ready(stored, batch_size=1).describe("test")["split_hash"]
    told = ready(raw, clip=CLIP).describe("val")
    assert (told["split"], told["num_samples"], told["decoder"]) == ("val", 1, "auto")
    assert json.loads(json.dumps(told)) == told


def test_videos_have_numbers_that_do_not_depend_on_the_division(stored):
    one, two = ready(stored), ready(stored, fold=3)
    numbers = {}
    for data in (one, two):
        for split in SPLITS:
            for name, number in zip(ids(data, split), data.sample_ids(split).tolist(), strict=True):
                assert numbers.setdefault(name, number) == number
    assert len(set(numbers.values())) == 12


# ---- in a Trainer -------------------------------------------------------------------------------


class Collect(pl.LightningModule):
    """Remembers the batches that it is given."""

    def __init__(self, stop_after=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen, self.stop_after = [], stop_after

    def training_step(self, batch, batch_idx):
        self.seen.append(batch["video_id"])
        if len(self.seen) == self.stop_after:
            self.trainer.should_stop = True
            self.trainer.save_checkpoint(self.trainer.default_root_dir + "/mid.ckpt")
        return self.weight * 0

    def validation_step(self, batch, batch_idx):
        pass

    def test_step(self, batch, batch_idx):
        self.seen.append((batch["video_id"], batch["sample_mask"].tolist(), batch["error"]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(folder, **more):
    return pl.Trainer(
        accelerator="cpu", logger=False, default_root_dir=str(folder), enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False,
        **{"max_epochs": 2, "num_sanity_val_steps": 0, **more},
    )  # fmt: skip


def test_a_training_goes_on_in_the_middle_of_an_epoch(stored, tmp_path):
    def data():
        return SummaryDataModule(str(stored), num_workers=0, batch_size=2)

    whole = Collect()
    trainer(tmp_path).fit(whole, datamodule=data())
    assert len(whole.seen) == 8
    assert whole.seen[:4] != whole.seen[4:]
    part = Collect(stop_after=3)
    trainer(tmp_path, max_steps=3).fit(part, datamodule=data())
    rest = Collect()
    trainer(tmp_path).fit(rest, datamodule=data(), ckpt_path=tmp_path / "mid.ckpt")
    assert part.seen + rest.seen == whole.seen


def broken(tmp_path, split):
    """A set with a video that became unreadable after it was listed."""
    root = write_raw(
        tmp_path / "set", ["train/a.mp4", "train/b.mp4", "val/c.mp4", "test/d.mp4", "test/e.mp4"]
    )
    data = ready(root, clip=CLIP, eval_batch_size=2)
    path = root / ids(data, split)[-1]
    path.write_bytes(path.read_bytes()[:200])
    return data, ids(data, split)[-1]


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_video_that_cannot_be_read_ends_a_training(tmp_path, split):
    data, name = broken(tmp_path, split)
    with (
        pytest.warns(UserWarning, match=f"cannot read {name}"),
        pytest.raises(InputError, match=name) as caught,
    ):
        trainer(tmp_path).fit(Collect(), datamodule=data)
    assert "max_bad_fraction" not in str(caught.value), "this DataModule has no such option"


def test_a_video_that_cannot_be_read_is_counted_in_a_test(tmp_path):
    data, name = broken(tmp_path, "test")
    model = Collect()
    with pytest.warns(UserWarning, match=f"cannot read {name}"):
        trainer(tmp_path).test(model, datamodule=data, verbose=False)
    ((names, counts, errors),) = model.seen
    assert dict(zip(names, counts, strict=True)) == {"test/d.mp4": True, "test/e.mp4": False}
    assert errors[0] == ""
    assert "cut short" in errors[1]
    assert list(data.unreadable.found) == [name]


def test_features_that_became_others_end_a_training(stored, tmp_path):
    import h5py

    path = tmp_path / "set.h5"
    path.write_bytes(stored.read_bytes())
    data = ready(path)
    name = ids(data, "train")[0]
    with h5py.File(path, "r+") as file:
        file[name]["features"][2, 3] = np.nan
    with (
        pytest.warns(UserWarning, match="cannot read"),
        pytest.raises(InputError, match=f"{name}.*finite"),
    ):
        trainer(tmp_path).fit(Collect(), datamodule=data)
