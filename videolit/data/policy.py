"""RandAugment and random erasing on clips: one draw per clip, the same for all its frames."""

from __future__ import annotations

import math
import os
from collections.abc import Callable

# Read when albumentations is imported, in every process: without it, it asks the network for news.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray

from videolit.types import InputError

_MOST_MAGNITUDE = 10.0

Clip = NDArray[np.uint8]
# Clip, strength in [0, 1] and direction, 1 or -1, to a clip.
Operation = Callable[[Clip, float, int], Clip]


def check_policy(operations: int, magnitude: float) -> None:
    """Refuse numbers that :func:`rand_augment` cannot take.

    Raises:
        InputError: Says what is allowed.
    """
    if operations < 0 or not 0 <= magnitude <= _MOST_MAGNITUDE:
        raise InputError(
            "policy must be (operations, magnitude) with at least 0 operations and a magnitude in "
            f"[0, {_MOST_MAGNITUDE:g}], got ({operations}, {magnitude})"
        )


def rand_augment(
    clip: Clip, operations: int, magnitude: float, generator: np.random.Generator
) -> Clip:
    """Apply random operations to a clip (RandAugment, Cubuk et al. 2020, algorithm 1).

    The 14 operations and their ranges are the paper's (table 6 of AutoAugment, Cubuk et al. 2019);
    what a direction makes sense for goes either way.

    Args:
        clip: uint8 ``(T, H, W, 3)`` RGB.
        operations: N, how many, drawn with replacement.
        magnitude: M, in [0, 10]: the strength of all of them.
        generator: The sample's own generator: the only source of chance.

    Returns:
        uint8 ``(T, H, W, 3)``.
    """
    known = list(_OPERATIONS.values())
    for chosen in generator.integers(len(known), size=operations).tolist():
        sign = 1 if generator.random() < 0.5 else -1
        clip = known[chosen](clip, magnitude / _MOST_MAGNITUDE, sign)
    return clip


def erase(clip: Clip, generator: np.random.Generator) -> None:
    """Fill a rectangle of all frames with one noise, in place (Zhong et al. 2020, algorithm 1).

    The rectangle has 2 to 33 % of the area and sides of a ratio between 0.3 and 1 / 0.3.

    Args:
        clip: uint8 ``(T, H, W, 3)``.
        generator: The sample's own generator: the only source of chance.
    """
    height, width = clip.shape[1:3]
    for _ in range(10):
        area = generator.uniform(0.02, 0.33) * height * width
        ratio = math.exp(generator.uniform(math.log(0.3), -math.log(0.3)))
        rows, columns = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < rows < height and 0 < columns < width:
            top = int(generator.integers(height - rows + 1))
            left = int(generator.integers(width - columns + 1))
            noise = generator.integers(0, 256, (rows, columns, 3), dtype=np.uint8)
            # The same in all frames: it hides something, and must not look like motion.
            clip[:, top : top + rows, left : left + columns] = noise
            return


def _with(transform: A.BasicTransform, clip: Clip) -> Clip:
    """Apply a transform whose ranges leave nothing to chance."""
    changed: Clip = A.Compose([transform])(images=clip)["images"]
    return changed


def _affine(clip: Clip, **change: object) -> Clip:
    # Grey where the picture ends, as in the papers.
    return _with(A.Affine(**change, fill=128, border_mode=cv2.BORDER_CONSTANT, p=1.0), clip)


def _enhance(name: str) -> Operation:
    """Return a change of brightness, contrast or saturation by up to 0.9 either way."""

    def operation(clip: Clip, strength: float, sign: int) -> Clip:
        factor = 1 + sign * 0.9 * strength
        still = dict.fromkeys(("brightness", "contrast", "saturation"), (1.0, 1.0))
        return _with(A.ColorJitter(**{**still, name: (factor, factor)}, hue=(0, 0), p=1.0), clip)

    return operation


def _shear(axis: str) -> Operation:
    def operation(clip: Clip, strength: float, sign: int) -> Clip:
        angle = sign * math.degrees(math.atan(0.3 * strength))
        return _affine(clip, shear={"x": (0, 0), "y": (0, 0), axis: (angle, angle)})

    return operation


def _translate(axis: str) -> Operation:
    def operation(clip: Clip, strength: float, sign: int) -> Clip:
        # 150 of 331 pixels in the paper.
        share = sign * 150 / 331 * strength
        return _affine(clip, translate_percent={"x": (0, 0), "y": (0, 0), axis: (share, share)})

    return operation


def _rotate(clip: Clip, strength: float, sign: int) -> Clip:
    return _affine(clip, rotate=(sign * 30 * strength,) * 2)


def _posterize(clip: Clip, strength: float, sign: int) -> Clip:
    return _with(A.Posterize(num_bits=(8 - round(4 * strength),) * 2, p=1.0), clip)


def _solarize(clip: Clip, strength: float, sign: int) -> Clip:
    # From no pixel at strength 0 to all of them.
    return _with(A.Solarize(threshold_range=(1 - strength,) * 2, p=1.0), clip)


def _sharpness(clip: Clip, strength: float, sign: int) -> Clip:
    """Move away from the smoothed picture, or towards it."""
    factor = 1 + sign * 0.9 * strength
    return np.stack(
        [cv2.addWeighted(frame, factor, cv2.blur(frame, (3, 3)), 1 - factor, 0) for frame in clip]
    )


_OPERATIONS: dict[str, Operation] = {
    "identity": lambda clip, strength, sign: clip,
    "autocontrast": lambda clip, strength, sign: _with(A.AutoContrast(p=1.0), clip),
    "equalize": lambda clip, strength, sign: _with(A.Equalize(p=1.0), clip),
    "rotate": _rotate,
    "solarize": _solarize,
    "color": _enhance("saturation"),
    "posterize": _posterize,
    "contrast": _enhance("contrast"),
    "brightness": _enhance("brightness"),
    "sharpness": _sharpness,
    "shear_x": _shear("x"),
    "shear_y": _shear("y"),
    "translate_x": _translate("x"),
    "translate_y": _translate("y"),
}
