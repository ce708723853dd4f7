import pickle

import numpy as np
import pytest

from videolit.data.transforms import ClipTransform, eval_crops, mirror_labels
from videolit.types import ClipSpec, InputError

EVERYTHING = {
    "rotate": 15.0,
    "brightness": 0.4,
    "contrast": 0.4,
    "saturation": 0.4,
    "hue": 0.1,
    "noise": 0.1,
}
STILL = {"scale": (1.0, 1.0), "ratio": (1.0, 1.0), "flip": 0.0} | dict.fromkeys(EVERYTHING, 0.0)


def rng(*seed):
    return np.random.default_rng(seed)


def picture(height=60, width=80):
    return rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_all_frames_of_a_clip_get_the_same():
    clip = np.repeat(picture()[None], 8, axis=0)
    out, _ = ClipTransform(**EVERYTHING)(clip, 48, rng(3))
    assert out.shape == (8, 48, 48, 3)
    assert out.dtype == np.uint8
    assert (out == out[:1]).all()


@pytest.mark.parametrize("name", ["scale", "flip", *EVERYTHING])
def test_each_setting_changes_the_clip_and_differs_between_clips(name):
    value = {"scale": (0.3, 0.6), "flip": 1.0}.get(name, EVERYTHING.get(name))
    transform = ClipTransform(**{**STILL, name: value})
    clip = np.repeat(picture(64, 64)[None], 2, axis=0)
    assert (ClipTransform(**STILL)(clip, 64, rng(0))[0] == clip).all()
    one, two = transform(clip, 64, rng(0))[0], transform(clip, 64, rng(1))[0]
    assert (one != clip).any()
    if name != "flip":
        assert (one != two).any()


def test_the_generator_decides_everything():
    clip = rng(2).integers(0, 256, (4, 60, 80, 3), dtype=np.uint8)
    transform = ClipTransform(**EVERYTHING)
    first = [transform(clip, 32, rng(seed))[0] for seed in range(3)]
    again = [pickle.loads(pickle.dumps(transform))(clip, 32, rng(seed))[0] for seed in (2, 1, 0)][
        ::-1
    ]
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_mirror_is_told():
    clip = np.zeros((2, 40, 40, 3), np.uint8)
    clip[:, :, :20] = 255
    for seed in range(20):
        out, mirrored = ClipTransform(**{**STILL, "flip": 0.5})(clip, 40, rng(seed))
        assert mirrored == (out[0, 20, 35, 0] > 128)


def test_no_mirror_image_where_the_label_forbids_it():
    clip = np.zeros((2, 40, 40, 3), np.uint8)
    clip[:, :, :20] = 255
    out, mirrored = ClipTransform(**{**STILL, "flip": 1.0})(clip, 40, rng(0), may_mirror=False)
    assert not mirrored
    np.testing.assert_array_equal(out, clip)


def gradients(height, width):
    """A frame whose red tells the column and whose green tells the row, both from 0 to 250."""
    columns, rows = np.meshgrid(np.linspace(0, 250, width), np.linspace(0, 250, height))
    return np.stack([columns, rows, 0 * rows], -1).astype(np.uint8)[None]


def cut_out(clip):
    """Left, top, right and bottom of a crop of ``gradients`` as shares of the frame."""
    frame = clip[0].astype(float) / 250
    return [frame[..., 0].min(), frame[..., 1].min(), frame[..., 0].max(), frame[..., 1].max()]


@pytest.mark.parametrize("stretch", [False, True])
def test_crops_keep_area_and_ratio_and_reach_all_sides(stretch):
    transform = ClipTransform(**{**STILL, "scale": (0.25, 0.75), "ratio": (0.8, 1.25)})
    aspect = 1.0 if stretch else 160 / 120
    found = np.array(
        [
            cut_out(transform(gradients(120, 160), 64, rng(seed), stretch=stretch)[0])
            for seed in range(300)
        ]
    )
    width, height = found[:, 2] - found[:, 0], found[:, 3] - found[:, 1]
    assert (np.abs(width * height - 0.5) < 0.25 + 0.04).all()
    assert np.ptp(width * height) > 0.4
    ratio = width * aspect / height
    assert ratio.min() > 0.8 - 0.05
    assert ratio.max() < 1.25 + 0.05
    assert (found[:, :2].min(0) < 0.05).all()
    assert (found[:, 2:].max(0) > 0.95).all()


def test_the_resolution_does_not_change_what_is_cut_out():
    transform = ClipTransform(**{**STILL, "scale": (0.3, 0.8), "ratio": (0.75, 1.3)})
    for seed in range(20):
        large = transform(gradients(240, 320), 64, rng(seed))[0]
        small = transform(gradients(120, 160), 64, rng(seed))[0]
        np.testing.assert_allclose(cut_out(large), cut_out(small), atol=0.03)


def test_a_frame_that_no_crop_fits_is_cut_in_the_middle():
    clip = ClipTransform(**{**STILL, "ratio": (0.9, 1.1)})(gradients(40, 200), 40, rng(0))[0]
    left, top, right, bottom = cut_out(clip)
    assert right - left == pytest.approx(0.2 * 1.1, abs=0.02)
    assert left + right == pytest.approx(1, abs=0.02)
    assert bottom - top > 0.95


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale": (0.9, 0.5)}, "scale must be"),
        ({"scale": (0.0, 1.0)}, "scale must be"),
        ({"ratio": (2.0, 1.0)}, "ratio must be"),
        ({"flip": 1.5}, r"flip must lie in \[0, 1\], got 1.5"),
        ({"hue": 0.7}, r"hue must lie in \[0, 0.5\]"),
        ({"noise": -0.1}, "noise must lie"),
    ],
)
def test_refuses_what_is_out_of_range(settings, message):
    with pytest.raises(InputError, match=message):
        ClipTransform(**settings)


@pytest.mark.parametrize(("height", "width"), [(60, 80), (80, 60), (50, 50), (20, 30)])
def test_crops_cut_centre_and_ends(height, width):
    columns, rows = np.meshgrid(np.linspace(0, 250, width), np.linspace(0, 250, height))
    frame = np.stack([columns, rows, columns * 0], -1).astype(np.uint8)
    crops = eval_crops(frame[None], ClipSpec(size=40, resize=40, num_crops=3))
    assert crops.shape == (3, 1, 40, 40, 3)
    centre = eval_crops(frame[None], ClipSpec(size=40, resize=40))
    np.testing.assert_array_equal(crops[1], centre[0])
    long = 0 if width >= height else 1
    means = crops[:, 0, :, :, long].mean((1, 2))
    if height == width:
        assert np.ptp(means) < 1
    else:
        assert means[0] < means[1] < means[2]
        assert abs(means[1] - 125) < 4
    # The short side is whole, but for the averaging at its ends.
    assert crops[1, 0, :, :, 1 - long].min() < 8
    assert crops[1, 0, :, :, 1 - long].max() > 242


def test_crop_cuts_the_middle_of_a_larger_frame():
    frame = np.zeros((60, 60, 3), np.uint8)
    frame[10:50, 10:50] = 200
    crop = eval_crops(frame[None], ClipSpec(size=40, resize=60))
    assert (crop == 200).all()


def test_stretching_keeps_the_whole_frame():
    columns = np.linspace(0, 250, 120)
    frame = np.repeat(np.tile(columns, (40, 1))[:, :, None], 3, 2).astype(np.uint8)
    crop = eval_crops(frame[None], ClipSpec(size=40, resize=40, stretch=True))[0, 0]
    assert crop.shape == (40, 40, 3)
    assert crop[:, 0].max() < 10
    assert crop[:, -1].min() > 240


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["turn_left", "turn_right", "wave"], [1, 0, 2]),
        (["Left", "Right"], [1, 0]),
        (["TurnLeft", "TurnRight"], [1, 0]),
        (["LEFT arm", "RIGHT arm"], [1, 0]),
        (["push left to right", "push right to left"], [1, 0]),
        (["spin clockwise", "spin anticlockwise"], [1, 0]),
        (["left", "up"], [-1, 1]),
        (["copyright", "leftover", "bright"], [0, 1, 2]),
    ],
)
def test_mirror_labels(names, expected):
    assert mirror_labels(names).tolist() == expected


def test_mirror_labels_that_the_user_names():
    assert mirror_labels(["gee", "haw", "whoa"], {"gee": "haw"}).tolist() == [1, 0, 2]
    with pytest.raises(InputError, match="there is no class 'hew'; the classes are gee, haw"):
        mirror_labels(["gee", "haw"], {"gee": "hew"})
