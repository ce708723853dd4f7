"""Clips with several labels, or none."""

import csv

import numpy as np
import pytest
import torch

from videolit import ActionDataModule
from videolit.data.listing import read_manifest
from videolit.data.prepare import prepare
from videolit.data.prepared import PreparedSpec
from videolit.data.transforms import ClipTransform
from videolit.types import ClipSpec, InputError

STILL = ClipTransform(
    scale=(1, 1), ratio=(1.5, 1.5), flip=1.0, brightness=0, contrast=0, saturation=0
)


@pytest.fixture(scope="module")
def listing(tiny_set):
    """Clips of the tiny set with labels of where its bar stands and of who shows it."""
    path = tiny_set / "sets.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "labels", "split"])
        for person, split in zip(
            ("ann", "bob", "cem", "dia", "eva", "fay"),
            ("train",) * 4 + ("val", "test"),
            strict=True,
        ):
            rows.writerow([f"go_left/{person}_go_left.mp4", "go_left;moves", split])
            rows.writerow([f"go_right/{person}_go_right.mp4", "go_right;moves", split])
            rows.writerow([f"stay/{person}_stay.mp4", "", split])
    yield path
    path.unlink()


def module(listing, **settings):
    spec = ClipSpec(num_frames=4, size=32, resize=32)
    return ActionDataModule(
        str(listing), **{"clip": spec, "batch_size": 4, "num_workers": 0, **settings}
    )


def test_labels_are_rows_of_zeros_and_ones(listing):
    data = module(listing)
    data.setup("fit")
    assert data.multi_label
    assert list(data.class_names) == ["go_left", "go_right", "moves"]
    assert list(data.class_counts) == [4, 4, 8]
    seen = {}
    for batch in data.val_dataloader():
        assert batch["label"].dtype == torch.float32
        seen |= dict(zip(batch["video_id"], batch["label"].tolist(), strict=True))
    assert seen == {
        "go_left/eva_go_left.mp4": [1, 0, 1],
        "go_right/eva_go_right.mp4": [0, 1, 1],
        "stay/eva_stay.mp4": [0, 0, 0],
    }


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_mirrored_clip_gets_the_mirrored_labels(listing, num_workers):
    data = module(listing, train_transform=STILL, num_workers=num_workers)
    data.setup("fit")
    names = []
    for batch in data.train_dataloader():
        for clip, label, name in zip(
            batch["video"], batch["label"].tolist(), batch["video_id"], strict=True
        ):
            was = name.split("/")[0]
            expected = {"go_left": [0, 1, 1], "go_right": [1, 0, 1], "stay": [0, 0, 0]}[was]
            assert label == expected
            assert bool((clip[0, 0, :, 1] > 200).all()) == (label[0] == 1)
            names.append(name)
    assert len(names) == 12


def test_a_clip_with_a_label_that_has_no_mirror_image_is_not_mirrored(listing):
    data = module(listing, train_transform=STILL, mirror_pairs={"moves": "moves"})
    data.setup("fit")
    clips = data.dataset("train")
    clips.mirrored = np.array([1, 0, -1])
    shown = clips[0]
    assert shown["label"].tolist() == [1, 0, 1]
    assert (shown["video"][0, :, 1] > 200).all()


def test_a_prepared_set_keeps_the_labels(listing, tmp_path):
    source = read_manifest(listing)
    list(prepare(source, tmp_path / "set", PreparedSpec(short_side=32)))
    copy = read_manifest(tmp_path / "set")
    assert copy.hash() == source.hash()
    assert [copy.label_name(i) for i in range(3)] == ["go_left;moves", "go_right;moves", ""]
    assert copy.class_counts().tolist() == source.class_counts().tolist()


def test_balance_counts_the_rarest_label(listing):
    data = module(listing, class_balance=1.0)
    data.setup("fit")
    drawn = [key.index for key in data.train_dataloader().sampler]
    assert len(drawn) == 12
    with pytest.raises(InputError, match="class_balance must lie"):
        module(listing, class_balance=2.0)
