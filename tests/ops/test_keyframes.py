import cv2
import numpy as np
import pytest

from videolit.ops.keyframes import sharpness
from videolit.types import InputError


def noise(height, width, seed=0):
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, 1), np.uint8)
    return np.repeat(levels, 3, axis=2)


def test_sharpness_is_the_variance_of_the_laplacian_by_hand():
    image = noise(40, 256)
    grey = np.pad(image[:, :, 0].astype(np.float64), 1, mode="edge")
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    assert sharpness(image) == pytest.approx((around - 4 * grey[1:-1, 1:-1]).var(), rel=1e-12)


def test_colours_count_by_their_luma():
    image = np.zeros((20, 256, 3), np.uint8)
    values = []
    for channel in range(3):
        striped = image.copy()
        striped[:, ::8, channel] = 200
        values.append(sharpness(striped))
    # BT.601: 0.299, 0.587, 0.114; squared, as variances are.
    assert values[1] / values[0] == pytest.approx((0.587 / 0.299) ** 2, rel=0.02)
    assert values[2] / values[0] == pytest.approx((0.114 / 0.299) ** 2, rel=0.06)


@pytest.mark.parametrize("kernel", [(9, 1), (1, 9), (5, 5)])
def test_blur_and_motion_lower_it(kernel):
    image = cv2.resize(noise(45, 80), (640, 360), interpolation=cv2.INTER_NEAREST)
    values = [sharpness(cv2.blur(image, (kernel[0] * k, kernel[1] * k))) for k in (1, 2, 3)]
    assert sharpness(image) > values[0] > values[1] > values[2] > 0


def test_the_size_of_the_video_hardly_matters():
    small = cv2.GaussianBlur(noise(144, 256), (0, 0), 3)
    large = cv2.resize(small, (1024, 576), interpolation=cv2.INTER_LINEAR)
    assert sharpness(large) == pytest.approx(sharpness(small), rel=0.25)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (9, 16), (1080, 1920), (1920, 1080)])
def test_one_colour_is_not_sharp_whatever_its_size(shape):
    assert sharpness(np.full((*shape, 3), 137, np.uint8)) == 0


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 12, 16, 3), np.uint8),
        np.zeros((12, 16), np.uint8),
        np.zeros((12, 16, 4), np.uint8),
        np.zeros((12, 16, 3), np.float32),
        np.zeros((0, 16, 3), np.uint8),
    ],
)
def test_other_layouts_are_refused(image):
    with pytest.raises(InputError, match=r"uint8 \(H, W, 3\) RGB, got .*one frame at a time"):
        sharpness(image)
