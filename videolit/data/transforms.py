"""Geometry and colour of clips: one draw per clip, the same for all its frames."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

# Read when albumentations is imported, in every process: without it, it asks the network for news.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray

from videolit.types import ClipSpec, InputError

_MIRRORED_WORDS = (
    ("left", "right"),
    ("leftward", "rightward"),
    ("leftwards", "rightwards"),
    ("clockwise", "counterclockwise"),
    ("clockwise", "anticlockwise"),
)


class ClipTransform:
    """Training augmentation of a clip; every frame gets the same crop, flip, angle and colour.

    Args:
        scale: Share of the frame's area that the random crop keeps, (least, most) in (0, 1].
        ratio: Width / height of the random crop before it is resized, (least, most).
        flip: Probability of a left-right mirror image. Labels follow: see :func:`mirror_labels`.
        rotate: Largest angle in degrees; the angle is drawn from [-rotate, rotate].
        brightness: Largest relative change of brightness, in [0, 1].
        contrast: Largest relative change of contrast, in [0, 1].
        saturation: Largest relative change of saturation, in [0, 1].
        hue: Largest shift of the hue, as a share of the colour circle, in [0, 0.5].
        noise: Largest standard deviation of Gaussian noise, as a share of the full range, in
            [0, 1]; the amount is drawn from [0, noise]. The pattern is the same in all frames, so
            that differences between frames stay free of it.

    Raises:
        InputError: If a number is out of its range.
    """

    def __init__(
        self,
        scale: tuple[float, float] = (0.5, 1.0),
        ratio: tuple[float, float] = (0.75, 4 / 3),
        flip: float = 0.5,
        rotate: float = 0.0,
        brightness: float = 0.2,
        contrast: float = 0.2,
        saturation: float = 0.2,
        hue: float = 0.0,
        noise: float = 0.0,
    ) -> None:
        if not 0 < scale[0] <= scale[1] <= 1:
            raise InputError(
                f"scale must be (least, most) with 0 < least <= most <= 1, got {scale}"
            )
        if not 0 < ratio[0] <= ratio[1]:
            raise InputError(f"ratio must be (least, most) with 0 < least <= most, got {ratio}")
        ranges = {
            "flip": (flip, 1.0),
            "rotate": (rotate, 180.0),
            "brightness": (brightness, 1.0),
            "contrast": (contrast, 1.0),
            "saturation": (saturation, 1.0),
            "hue": (hue, 0.5),
            "noise": (noise, 1.0),
        }
        for name, (value, most) in ranges.items():
            if not 0 <= value <= most:
                raise InputError(f"{name} must lie in [0, {most:g}], got {value}")
        self.scale = tuple(scale)
        self.ratio = tuple(ratio)
        self.flip = flip
        self.rotate = rotate
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.hue = hue
        self.noise = noise
        self._composed: dict[int, A.Compose] = {}

    def __call__(
        self, frames: NDArray[np.uint8], size: int, generator: np.random.Generator
    ) -> tuple[NDArray[np.uint8], bool]:
        """Augment a clip.

        Args:
            frames: uint8 ``(T, H, W, 3)`` RGB.
            size: Height and width of the result, in pixels.
            generator: The sample's own generator: the only source of chance.

        Returns:
            uint8 ``(T, size, size, 3)`` and whether it is a mirror image.
        """
        # Compose owns a generator that a fork copies: unless reseeded here, every worker and every
        # epoch would repeat the same augmentations.
        compose = self._compose(size)
        compose.set_random_seed(int(generator.integers(2**31)))
        mirrored = bool(generator.random() < self.flip)
        clip: NDArray[np.uint8] = compose(images=frames)["images"]
        return (clip[:, :, ::-1] if mirrored else clip), mirrored

    def _compose(self, size: int) -> A.Compose:
        """Return the albumentations pipeline for one output size."""
        if size not in self._composed:
            # The crop comes first: everything after it works on fewer pixels.
            steps: list[A.BasicTransform] = [
                A.RandomResizedCrop(
                    size=(size, size),
                    scale=self.scale,
                    ratio=self.ratio,
                    area_for_downscale="image",
                )
            ]
            if self.rotate:
                steps.append(
                    A.Rotate(
                        limit=(-self.rotate, self.rotate),
                        border_mode=cv2.BORDER_REFLECT_101,
                        p=1.0,
                    )
                )
            if self.brightness or self.contrast or self.saturation or self.hue:
                steps.append(
                    A.ColorJitter(
                        brightness=(1 - self.brightness, 1 + self.brightness),
                        contrast=(1 - self.contrast, 1 + self.contrast),
                        saturation=(1 - self.saturation, 1 + self.saturation),
                        hue=(-self.hue, self.hue),
                        p=1.0,
                    )
                )
            if self.noise:
                steps.append(A.GaussNoise(std_range=(0.0, self.noise), p=1.0))
            self._composed[size] = A.Compose(steps)
        return self._composed[size]

    def __getstate__(self) -> dict[str, object]:
        """Leave the pipelines out: a worker that is spawned makes its own."""
        return {**self.__dict__, "_composed": {}}


def eval_crops(frames: NDArray[np.uint8], spec: ClipSpec) -> NDArray[np.uint8]:
    """Resize the short side and cut the crops of test and use.

    Args:
        frames: uint8 ``(T, H, W, 3)`` RGB.
        spec: ``resize``, ``stretch``, ``size`` and ``num_crops``: 1 = centre; 3 = both ends and
            the centre of the long side.

    Returns:
        uint8 ``(num_crops, T, size, size, 3)``.
    """
    height, width = frames.shape[1:3]
    scale = spec.resize / min(height, width)
    new_height, new_width = round(height * scale), round(width * scale)
    if spec.stretch:
        new_height = new_width = spec.resize
    resized = resize(frames, new_height, new_width)
    top, left = new_height - spec.size, new_width - spec.size
    places = [0.5] if spec.num_crops == 1 else [0.0, 0.5, 1.0]
    crops = []
    for place in places:
        y = round(top * (place if new_height > new_width else 0.5))
        x = round(left * (place if new_width >= new_height else 0.5))
        crops.append(resized[:, y : y + spec.size, x : x + spec.size])
    return np.stack(crops)


def resize(frames: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize all frames of a clip.

    Args:
        frames: uint8 ``(T, H, W, 3)``.
        height: New height in pixels.
        width: New width in pixels.

    Returns:
        uint8 ``(T, height, width, 3)``.
    """
    # Area averaging when shrinking: linear interpolation would alias fine texture into flicker.
    shrinks = height * width < frames.shape[1] * frames.shape[2]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    out = np.empty((len(frames), height, width, 3), np.uint8)
    for frame, target in zip(frames, out, strict=True):
        cv2.resize(frame, (width, height), dst=target, interpolation=how)
    return out


def mirror_labels(
    class_names: Sequence[str], pairs: Mapping[str, str] | None = None
) -> NDArray[np.int64]:
    """Return the label of each class's mirror image.

    ``turn_left`` mirrored is ``turn_right``: words for left and right (and for the sense of
    rotation) are exchanged in the name. Other names keep their label.

    Args:
        class_names: Names in label order.
        pairs: Further classes that are each other's mirror image, ``{name: name}``.

    Returns:
        int64 ``(K,)``; -1 where the mirror image would be a class that does not exist, so that a
        clip of this class must not be mirrored.

    Raises:
        InputError: If ``pairs`` names an unknown class.
    """
    known = {name: label for label, name in enumerate(class_names)}
    partner: dict[str, str] = {}
    for first, second in (pairs or {}).items():
        for name in (first, second):
            if name not in known:
                raise InputError(
                    f"mirror pair {first!r}: {second!r}: there is no class {name!r}; the classes "
                    f"are {', '.join(class_names)}"
                )
        partner[first], partner[second] = second, first
    labels = np.arange(len(class_names), dtype=np.int64)
    for label, name in enumerate(class_names):
        if name in partner:
            labels[label] = known[partner[name]]
            continue
        candidates = {_exchange(name, pair) for pair in _MIRRORED_WORDS} - {name}
        if candidates:
            found = sorted(candidates & set(known))
            labels[label] = known[found[0]] if found else -1
    return labels


def _exchange(name: str, pair: tuple[str, str]) -> str:
    """Exchange two words wherever they stand alone in a name, keeping capitals."""
    other = {pair[0]: pair[1], pair[1]: pair[0]}

    def replace(match: re.Match[str]) -> str:
        word = match.group()
        new = other[word.lower()]
        if word.isupper():
            return new.upper()
        return new.capitalize() if word[0].isupper() else new

    # A word ends where no lower-case letter follows or precedes it: turn_left, TurnLeft, LEFT.
    lower = "|".join(pair)
    title = "|".join(word.capitalize() for word in pair)
    upper = "|".join(word.upper() for word in pair)
    pattern = (
        rf"(?<![A-Za-z])(?:{lower})(?![a-z])|(?:{title})(?![a-z])|(?<![A-Z])(?:{upper})(?![A-Z])"
    )
    return re.sub(pattern, replace, name)
