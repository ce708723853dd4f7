"""RandAugment and random erasing."""

import cv2
import numpy as np
import pytest

from videolit.data.policy import _OPERATIONS, erase, rand_augment
from videolit.data.transforms import ClipTransform
from videolit.types import InputError


def rng(*seed):
    return np.random.default_rng(seed)


def still_clip(frames=3):
    picture = cv2.GaussianBlur(rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8), (0, 0), 2)
    return np.repeat(cv2.normalize(picture, None, 20, 230, cv2.NORM_MINMAX)[None], frames, axis=0)


@pytest.mark.parametrize("name", list(_OPERATIONS))
def test_an_operation_is_the_same_for_all_frames_and_leaves_nothing_to_chance(name):
    clip = still_clip()
    out = _OPERATIONS[name](clip, 0.7, 1)
    assert out.shape == clip.shape
    assert out.dtype == np.uint8
    assert (out == out[:1]).all()
    np.testing.assert_array_equal(out, _OPERATIONS[name](clip, 0.7, 1))
    assert (clip == still_clip()).all()


@pytest.mark.parametrize("name", sorted(set(_OPERATIONS) - {"identity"}))
def test_an_operation_changes_the_picture(name):
    changed = _OPERATIONS[name](still_clip(), 1.0, -1)
    assert np.abs(changed.astype(int) - still_clip()).mean() > 0.3


@pytest.mark.parametrize(
    "name", sorted(set(_OPERATIONS) - {"identity", "autocontrast", "equalize"})
)
def test_an_operation_grows_with_its_strength(name):
    clip = still_clip().astype(int)
    weak, strong = (np.abs(_OPERATIONS[name](still_clip(), s, 1) - clip).mean() for s in (0.1, 1.0))
    assert strong > 1.5 * weak


@pytest.mark.parametrize("name", ["rotate", "shear_x", "translate_y", "brightness", "sharpness"])
def test_directions_differ(name):
    one, two = (_OPERATIONS[name](still_clip(), 0.5, sign) for sign in (1, -1))
    assert (one != two).any()


def test_translation_is_the_papers():
    clip = np.zeros((1, 20, 331, 3), np.uint8)
    clip[:, :, 0] = 200
    moved = _OPERATIONS["translate_x"](clip, 1.0, 1)
    assert (moved[0, :, 150] == 200).all()


def test_all_operations_are_drawn_and_the_generator_decides():
    clip = still_clip()
    outcomes = {rand_augment(clip, 1, 5.0, rng(seed)).tobytes() for seed in range(200)}
    # 14 operations, most of them in two directions.
    assert len(outcomes) >= 20
    np.testing.assert_array_equal(
        rand_augment(clip, 2, 9.0, rng(3)), rand_augment(clip, 2, 9.0, rng(3))
    )


def test_erasing_hides_one_rectangle_of_all_frames():
    covered = []
    for seed in range(50):
        clip = np.zeros((4, 40, 60, 3), np.uint8)
        erase(clip, rng(seed))
        assert (clip == clip[:1]).all()
        rows, columns = np.nonzero(clip[0].any(-1))
        area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        covered.append(area / (40 * 60))
        # Noise, so that all but a few of its pixels differ from black.
        assert clip[0].any(-1).sum() > 0.95 * area
    assert 0.01 < min(covered) < 0.1
    assert 0.2 < max(covered) < 0.36


def test_the_transform_applies_them():
    still = {"scale": (1, 1), "ratio": (1, 1), "flip": 0, "brightness": 0, "contrast": 0}
    clip = np.repeat(still_clip()[:, :, :48], 2, axis=0)
    plain = ClipTransform(**still, saturation=0)(clip, 48, rng(0))[0]
    np.testing.assert_array_equal(plain, clip)
    for settings in ({"policy": (2, 9.0)}, {"erase": 1.0}, {"grayscale": 1.0}):
        out = ClipTransform(**still, saturation=0, **settings)(clip, 48, rng(0))[0]
        assert (out != clip).any()
        assert (out == out[:1]).all()
    grey = ClipTransform(**still, saturation=0, grayscale=1.0)(clip, 48, rng(0))[0]
    assert (grey == grey[..., :1]).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"policy": (-1, 3)}, "policy must be"),
        ({"policy": (1, 11)}, "magnitude in"),
        ({"erase": 1.5}, "erase must lie"),
        ({"speed": (2.0, 1.0)}, "speed must be"),
        ({"speed": (0.0, 1.0)}, "speed must be"),
        ({"frame_drop": -0.1}, "frame_drop must lie"),
    ],
)
def test_refuses_what_is_out_of_range(settings, words):
    with pytest.raises(InputError, match=words):
        ClipTransform(**settings)
