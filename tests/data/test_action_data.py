import csv
import json

import cv2
import numpy as np
import pytest
import torch

from contracts import check_datamodule
from videolit import ActionDataModule, ClipSpec
from videolit.data.clips import collate
from videolit.data.listing import read_manifest
from videolit.data.prepare import prepare
from videolit.data.prepared import PreparedSpec, PreparedVideo
from videolit.data.split import Splits
from videolit.data.transforms import ClipTransform
from videolit.data.unreadable import Unreadable
from videolit.data.writer import write_video
from videolit.types import InputError

SPEC = ClipSpec(num_frames=4, size=24, resize=32)


def module(root, **settings):
    chosen = {"clip": SPEC, "batch_size": 4, "num_workers": 0, **settings}
    return ActionDataModule(str(root), **chosen)


@pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        ClipSpec(
            sampling="dense",
            num_frames=4,
            frame_stride=2,
            size=24,
            resize=32,
            num_views=2,
            num_crops=3,
        ),
        ClipSpec(sampling="dense", num_frames=20, fps=10.0, short="mask", size=24, resize=24),
        ClipSpec(sampling="whole", num_frames=32, size=24, resize=24),
    ],
    ids=["uniform", "dense-views", "short", "whole"],
)
def test_contract(tiny_set, spec):
    check_datamodule(
        lambda num_workers, seed: module(
            tiny_set,
            clip=spec,
            num_workers=num_workers,
            seed=seed,
            val_groups=["ann"],
            test_groups=["bob"],
            group_pattern=r"/(\w+?)_",
        )
    )


def greys(video):
    """Return the frame numbers that a clip of the tiny set shows, by its centre's grey level."""
    centre = video[..., :, :, video.shape[-2] // 2, video.shape[-1] // 2].float().mean(-1)
    return (centre / 20).round().int()


def test_the_right_frames_and_pixels_arrive(tiny_set):
    data = module(tiny_set)
    data.setup("test")
    for batch in data.test_dataloader():
        assert (greys(batch["video"]) == torch.tensor([1, 4, 7, 10])).all()
        for clip, label, name in zip(
            batch["video"], batch["label"], batch["video_id"], strict=True
        ):
            assert name.startswith(data.class_names[int(label)])
            # The crop of 24 from 32×48 leaves the bars out: grey everywhere.
            assert clip.float().std((1, 2, 3)).max() < 8


def test_views_and_crops_are_ordered(tiny_set):
    spec = ClipSpec(sampling="dense", num_frames=4, size=32, resize=32, num_views=2, num_crops=3)
    data = module(tiny_set, clip=spec)
    data.setup("test")
    for batch in data.test_dataloader():
        assert batch["video"].shape[1:] == (6, 4, 3, 32, 32)
        frames = greys(batch["video"])
        assert (frames[:, :3] == torch.tensor([0, 1, 2, 3])).all()
        assert (frames[:, 3:] == torch.tensor([8, 9, 10, 11])).all()
        for video, label in zip(batch["video"], batch["label"], strict=True):
            left, right = video[0, 0, 0, :, 2], video[2, 0, 0, :, -3]
            assert (left > 200).all() == (data.class_names[int(label)] == "go_left")
            assert (right > 200).all() == (data.class_names[int(label)] == "go_right")


def test_a_mirrored_clip_gets_the_mirrored_label(tiny_set):
    still = ClipTransform(
        scale=(1.0, 1.0), ratio=(1.5, 1.5), flip=1.0, brightness=0, contrast=0, saturation=0
    )
    data = module(tiny_set, train_transform=still)
    data.setup("fit")
    seen = set()
    for batch in data.train_dataloader():
        for clip, label, name in zip(
            batch["video"], batch["label"], batch["video_id"], strict=True
        ):
            was, now = name.split("/")[0], data.class_names[int(label)]
            assert now == {"go_left": "go_right", "go_right": "go_left", "stay": "stay"}[was]
            assert (clip[0, 0, :, 1] > 200).all() == (now == "go_left")
            seen.add(was)
    assert seen == set(data.class_names)


def test_without_its_mirror_class_a_clip_is_not_mirrored(tiny_set, tmp_path):
    rows = [
        (f"{name}/{person}_{name}.mp4", name)
        for name in ("go_left", "stay")
        for person in ("ann", "bob", "cem", "dia")
    ]
    listing = tiny_set / "two.csv"
    with listing.open("w", newline="") as handle:
        csv.writer(handle).writerows([("path", "label"), *rows])
    still = ClipTransform(
        scale=(1.0, 1.0), ratio=(1.5, 1.5), flip=1.0, brightness=0, contrast=0, saturation=0
    )
    data = module(listing, train_transform=still)
    data.setup("fit")
    for batch in data.train_dataloader():
        for clip, label in zip(batch["video"], batch["label"], strict=True):
            assert (clip[0, 0, :, 1] > 200).all() == (data.class_names[int(label)] == "go_left")
    listing.unlink()


def test_labelled_parts_of_a_file(tiny_set):
    listing = tiny_set / "parts.csv"
    rows = [
        (f"go_left/{person}_go_left.mp4", label, start, end, split)
        for person, split in (("ann", "train"), ("bob", "val"), ("cem", "test"))
        for label, start, end in (("early", 0.0, 0.4), ("late", 0.8, 1.2))
    ]
    with listing.open("w", newline="") as handle:
        csv.writer(handle).writerows([("path", "label", "start", "end", "split"), *rows])
    plain = ClipTransform(flip=0, brightness=0, contrast=0, saturation=0)
    data = module(listing, train_transform=plain)
    data.setup("fit")
    data.setup("test")
    for split in ("train", "val", "test"):
        for batch in getattr(data, f"{split}_dataloader")():
            for frames, label in zip(greys(batch["video"]), batch["label"], strict=True):
                allowed = {"early": {0, 1, 2, 3}, "late": {8, 9, 10, 11}}
                assert set(frames.tolist()) <= allowed[data.class_names[int(label)]]
    listing.unlink()


def test_leaving_groups_out(tiny_set):
    data = module(tiny_set, group_pattern=r"/(\w+?)_", val_groups=["ann"], test_groups=["fay"])
    data.setup("fit")
    data.setup("test")
    groups = {
        split: {data.manifest(split).group(i) for i in range(len(data.manifest(split)))}
        for split in ("train", "val", "test")
    }
    assert groups == {"train": {"bob", "cem", "dia", "eva"}, "val": {"ann"}, "test": {"fay"}}


@pytest.fixture
def damaged(tiny_set, tmp_path):
    """Two classes of ten videos each, of which three cannot be read."""
    root = tmp_path / "damaged"
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for number in range(10):
            (root / name / f"{number}.mp4").write_bytes(
                (tiny_set / "stay" / "ann_stay.mp4").read_bytes()
            )
    (root / "b" / "1.mp4").write_text("not a video at all")
    (root / "b" / "2.mp4").write_bytes(b"")
    content = (tiny_set / "stay" / "ann_stay.mp4").read_bytes()
    (root / "a" / "3.mp4").write_bytes(content[: len(content) // 2])
    return root


BROKEN = {"b/1.mp4", "b/2.mp4", "a/3.mp4"}


def test_in_training_another_sample_of_the_class_takes_the_place(damaged):
    data = module(damaged, val_fraction=0.0, test_fraction=0.0, batch_size=4)
    data.setup()
    batches = [list(data.train_dataloader()) for _ in range(2)]
    for one, two in zip(*batches, strict=True):
        assert torch.equal(one["video"], two["video"])
        assert one["video_id"] == two["video_id"]
        assert len(one["index"]) == 4
    names = [name for batch in batches[0] for name in batch["video_id"]]
    labels = torch.cat([batch["label"] for batch in batches[0]])
    assert not BROKEN & set(names)
    assert set(names) < {data.manifest("train").video_id(i) for i in range(20)}
    assert labels.bincount().tolist() == [10, 10]
    assert [name[0] for name in names] == ["ab"[label] for label in labels]
    assert all(batch["error"] == [""] * 4 for batch in batches[0])
    assert all(batch["sample_mask"].all() for batch in batches[0])
    unread = [file for batch in batches[0] for file in batch["unread"]]
    assert {file["path"] for file in unread} == BROKEN
    reasons = {file["path"]: file["reason"] for file in unread}
    assert "not a video" in reasons["b/1.mp4"]
    assert "empty" in reasons["b/2.mp4"]


def test_nothing_takes_the_place_of_what_is_measured(damaged):
    data = module(damaged, val_fraction=0.4, test_fraction=0.4, batch_size=20)
    data.setup()
    for split in ("val", "test"):
        (batch,) = getattr(data, f"{split}_dataloader")()
        manifest = data.manifest(split)
        assert batch["video_id"] == [manifest.video_id(i) for i in range(len(manifest))]
        assert batch["sample_mask"].tolist() == [name not in BROKEN for name in batch["video_id"]]


def test_a_class_of_broken_files_ends_in_an_error_and_not_in_a_loop(damaged):
    for file in (damaged / "b").iterdir():
        file.write_bytes(b"")
    data = module(damaged, val_fraction=0.0, test_fraction=0.0, batch_size=20)
    data.setup()
    (batch,) = data.train_dataloader()
    assert sum(bool(error) for error in batch["error"]) == 10
    assert not batch["sample_mask"][batch["label"] == 1].any()


def test_a_run_stops_above_the_accepted_share():
    unreadable = Unreadable(limit=0.1)
    files = [{"path": f"{i}.mp4", "reason": "is empty", "decoder": "auto"} for i in range(3)]
    with pytest.warns(UserWarning, match="cannot read 0.mp4: is empty"):
        assert unreadable.add(files[:2], 20, None)
    assert not unreadable.add(files[:2], 20, None)
    with (
        pytest.warns(UserWarning, match="cannot read 2"),
        pytest.raises(InputError, match=r"3 of 20 samples.*10.0%(.|\n)*0.mp4: is empty"),
    ):
        unreadable.add(files, 20, None)


def test_files_of_a_list_are_left_out(damaged, tmp_path):
    listed = tmp_path / "quarantine.jsonl"
    listed.write_text(
        "".join(json.dumps({"path": name, "reason": "x"}) + "\n" for name in BROKEN - {"a/3.mp4"})
        + json.dumps({"path": str(damaged / "a/3.mp4")})
    )
    data = module(damaged, val_fraction=0.0, test_fraction=0.0, exclude=str(listed))
    data.setup()
    found = data.manifest("train")
    assert len(found) == 17
    assert not BROKEN & {found.video_id(i) for i in range(17)}
    listed.write_text('{"path": "c/9.mp4"}')
    with pytest.raises(InputError, match="none of the 1 files in .* is it the list of other data"):
        module(damaged, exclude=str(listed)).setup()


def test_predicting_files_needs_no_labels_and_keeps_the_order(tiny_set):
    files = [str(tiny_set / "stay" / "bob_stay.mp4"), str(tiny_set / "missing.mp4")]
    data = ActionDataModule(clip=SPEC, predict_paths=files, batch_size=4, num_workers=0)
    data.setup("predict")
    (batch,) = data.predict_dataloader()
    assert "label" not in batch
    assert batch["index"].tolist() == [0, 1]
    assert batch["sample_mask"].tolist() == [True, False]
    assert batch["error"][0] == ""
    assert batch["error"][1]


def test_without_root_or_set_up():
    with pytest.raises(InputError, match="--data.root my_videos"):
        ActionDataModule().setup("fit")
    with pytest.raises(InputError, match=r"call setup\(\)"):
        ActionDataModule("x").dataset("train")


def test_collate_pads_short_clips():
    samples = [
        {
            "video": np.full((frames, 8, 8, 3), 7, np.uint8),
            "mask": np.ones(frames, bool),
            "label": 0,
            "index": row,
            "counts": True,
            "video_id": "x",
            "error": "",
            "unread": [],
        }
        for row, frames in enumerate((2, 5))
    ]
    batch = collate(samples)
    assert batch["video"].shape == (2, 5, 3, 8, 8)
    assert batch["mask"].tolist() == [[True, True, False, False, False], [True] * 5]
    assert (batch["video"][0, 2:] == 0).all()


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_large_prepared_frame_is_decoded_small(split, tmp_path, monkeypatch):
    """The smallest decoding that has a pixel for each of the clip's, and nearly the same clip."""
    rng = np.random.default_rng(0)
    scene = cv2.resize(rng.integers(0, 256, (5, 6, 3), np.uint8), (320, 256))
    for label in ("a", "b"):
        write_video(tmp_path / f"raw/{label}/1.mp4", [scene] * 6, 10, options={"crf": "1"})
    list(prepare(read_manifest(tmp_path / "raw"), tmp_path / "small", PreparedSpec(short_side=256)))
    shrinks = []
    frames = PreparedVideo.frames

    def noted(self, indices, shrink=1):
        shrinks.append(shrink)
        return frames(self, indices, shrink)

    monkeypatch.setattr(PreparedVideo, "frames", noted)
    clips = {}
    for size in (24, 56, 120, 250):
        for root in ("raw", "small"):
            data = module(
                tmp_path / root,
                clip=ClipSpec(num_frames=2, size=size, resize=size),
                train_transform=ClipTransform(scale=(0.9, 1.0), brightness=0, contrast=0,
                                              saturation=0),
                val_fraction=0.0,
                test_fraction=0.0 if split == "train" else 1.0,
            )  # fmt: skip
            data._splits = Splits(*[read_manifest(tmp_path / root)] * 3, ("", "", ""))
            clips[root] = data.dataset(split)[0]["video"].astype(float)
        assert np.abs(clips["raw"] - clips["small"]).mean() < 3
    assert shrinks == [8, 4, 2, 1]
