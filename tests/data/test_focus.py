"""The square around what moves."""

import csv

import numpy as np
import pytest
import torch

from videolit import ActionDataModule
from videolit.data.focus import focus, motion_square
from videolit.data.transforms import ClipTransform
from videolit.data.writer import write_video
from videolit.types import ClipSpec, InputError


def clip(top=70, left=100, size=12, *, frames=8, height=120, width=160, flicker=0):
    """A textured scene in which a square swings by its own size."""
    scene = np.random.default_rng(0).integers(40, 200, (height, width, 3), dtype=np.uint8)
    out = np.repeat(scene[None], frames, axis=0)
    for i, frame in enumerate(out):
        shift = size * (i % 2)
        frame[top : top + size, left + shift : left + shift + size] = 255
        if flicker:
            frame[:] = np.clip(frame.astype(int) + flicker * (i % 2), 0, 255)
    return out


@pytest.mark.parametrize("flicker", [0, 20])
@pytest.mark.parametrize(("top", "left"), [(70, 100), (20, 30), (100, 10)])
def test_it_lies_around_the_motion(top, left, flicker):
    rows, columns = motion_square(clip(top, left, flicker=flicker))
    assert rows.stop - rows.start == columns.stop - columns.start
    assert rows.start <= top
    assert top + 12 <= rows.stop
    assert columns.start <= left
    assert left + 24 <= columns.stop
    assert 36 <= rows.stop - rows.start <= 60
    assert 0 <= rows.start
    assert rows.stop <= 120
    assert 0 <= columns.start
    assert columns.stop <= 160


def test_the_same_scene_from_twice_as_near_fills_as_much_of_the_square():
    sides = []
    for size in (20, 40):
        rows, _ = motion_square(clip(60, 60, size, height=240, width=320))
        sides.append((rows.stop - rows.start) / size)
    assert sides[0] == pytest.approx(sides[1], rel=0.1)


def test_the_frames_size_makes_no_difference():
    small = clip()
    large = small.repeat(2, axis=1).repeat(2, axis=2)
    for one, two in zip(motion_square(small), motion_square(large), strict=True):
        assert abs(2 * one.start - two.start) <= 2
        assert abs(2 * one.stop - two.stop) <= 2


def test_without_motion_it_is_the_frame():
    still = np.repeat(clip()[:1], 5, axis=0)
    assert focus(still)[0].shape == (120, 160, 3)
    assert focus(still[:1])[0].shape == (120, 160, 3)


def test_a_tiny_frame_has_a_square():
    frames = np.random.default_rng(0).integers(0, 256, (4, 3, 5, 3), dtype=np.uint8)
    cut = focus(frames)[0]
    assert cut.shape[0] == cut.shape[1] <= 3


@pytest.fixture(scope="module")
def near_and_far(tmp_path_factory):
    root = tmp_path_factory.mktemp("focus")
    rows = []
    for name, size, place in (("near", 40, 60), ("far", 20, 20)):
        frames = clip(place, place, size, height=240, width=320, frames=12)
        write_video(root / f"{name}.mp4", frames, 10, options={"crf": "10"})
        rows += [
            (f"{name}.mp4", name, "train"),
        ]
    write_video(root / "test.mp4", clip(150, 200, 20, height=240, width=320, frames=12), 10)
    rows += [("test.mp4", "far", "test")]
    with (root / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split"), *rows])
    return root


def shares(video):
    """The share of a clip's pixels that change from frame to frame."""
    grey = video.float().mean(-3)
    return ((grey[1:] - grey[:-1]).abs() > 60).float().mean((-1, -2)).amax()


def test_far_and_near_look_alike_in_training_and_test(near_and_far):
    spec = ClipSpec(num_frames=8, size=48, resize=60, focus="motion")
    still = ClipTransform(
        scale=(0.64, 0.64), ratio=(1, 1), flip=0, brightness=0, contrast=0, saturation=0
    )
    data = ActionDataModule(
        str(near_and_far),
        clip=spec,
        train_transform=still,
        batch_size=2,
        num_workers=0,
        val_fraction=0,
    )
    data.setup("test")
    train, test = (data.dataset(split) for split in ("train", "test"))
    seen = [
        shares(torch.from_numpy(d[i]["video"]).permute(0, 3, 1, 2))
        for d, i in ((train, 0), (train, 1), (test, 0))
    ]
    assert min(seen) > 0.03
    assert max(seen) < 4 * min(seen)
    plain = ActionDataModule(
        str(near_and_far),
        clip=ClipSpec(num_frames=8, size=48, resize=60),
        num_workers=0,
        val_fraction=0,
    )
    plain.setup("test")
    whole = torch.from_numpy(plain.dataset("test")[0]["video"]).permute(0, 3, 1, 2)
    assert shares(whole) < 0.5 * min(seen)


def test_views_and_crops_are_cut_from_the_square(near_and_far):
    spec = ClipSpec(num_frames=4, size=32, resize=32, focus="motion", num_views=2, num_crops=3)
    data = ActionDataModule(str(near_and_far), clip=spec, num_workers=0, val_fraction=0)
    data.setup("test")
    assert data.dataset("test")[0]["video"].shape == (6, 4, 32, 32, 3)


def test_it_is_part_of_the_protocol():
    spec = ClipSpec(focus="motion")
    assert "around the motion" in spec.describe()
    assert ClipSpec.from_dict(spec.to_dict()) == spec
    assert "around" not in ClipSpec().describe()
    with pytest.raises(InputError, match="focus must be"):
        ClipSpec(focus="face")
    with pytest.raises(InputError, match="at least 2 frames"):
        ClipSpec(focus="motion", num_frames=1)
