"""Geometry and colour of clips: one draw per clip, the same for all its frames."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# Read when albumentations is imported, in every process: without it, it asks the network for news.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray

from videolit.data.policy import check_policy, erase, rand_augment
from videolit.ops.sampling import FrameChoice, choose_frames, drop_frames
from videolit.types import ClipSpec, InputError

_MIRRORED_WORDS = (
    ("left", "right"),
    ("leftward", "rightward"),
    ("leftwards", "rightwards"),
    ("clockwise", "counterclockwise"),
    ("clockwise", "anticlockwise"),
)


class Cut(NamedTuple):
    """What a clip shows of its frames; the same whatever their resolution.

    Attributes:
        left: Of the crop, as a share of the width.
        top: Of the crop, as a share of the height.
        right: End of the crop, as a share of the width.
        bottom: End of the crop, as a share of the height.
        mirrored: Whether left and right are exchanged.
    """

    left: float
    top: float
    right: float
    bottom: float
    mirrored: bool


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
        grayscale: Probability that the clip loses its colours.
        policy: ``(operations, magnitude)`` of RandAugment (Cubuk et al. 2020): so many operations,
            drawn from 14, each at this magnitude in [0, 10]; ``(0, 0)`` = off.
        erase: Probability that a rectangle of 2 to 33 % of the area is filled with noise (random
            erasing, Zhong et al. 2020), at the same place in all frames.
        speed: ``(least, most)`` factors of the step between frames, in time or in frames; a clip
            whose frames spread over the whole video shows this share of it, at most all.
        frame_drop: Probability that a frame is lost: the one before it stays on screen.

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
        grayscale: float = 0.0,
        policy: tuple[int, float] = (0, 0.0),
        erase: float = 0.0,
        speed: tuple[float, float] = (1.0, 1.0),
        frame_drop: float = 0.0,
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
            "grayscale": (grayscale, 1.0),
            "erase": (erase, 1.0),
            "frame_drop": (frame_drop, 1.0),
        }
        for name, (value, most) in ranges.items():
            if not 0 <= value <= most:
                raise InputError(f"{name} must lie in [0, {most:g}], got {value}")
        if not 0 < speed[0] <= speed[1]:
            raise InputError(f"speed must be (least, most) with 0 < least <= most, got {speed}")
        check_policy(*policy)
        self.scale = scale
        self.ratio = ratio
        self.flip = flip
        self.rotate = rotate
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.hue = hue
        self.noise = noise
        self.grayscale = grayscale
        self.policy = policy
        self.erase = erase
        self.speed = speed
        self.frame_drop = frame_drop
        # Made when first used; empty until then.
        self._composed: list[A.Compose | None] = []

    def __call__(
        self,
        frames: Sequence[NDArray[np.uint8]],
        size: int,
        generator: np.random.Generator,
        *,
        stretch: bool = False,
        may_mirror: bool = True,
    ) -> tuple[NDArray[np.uint8], bool]:
        """Augment a clip; :meth:`draw` and :meth:`apply` in one.

        Args:
            frames: ``T`` frames, uint8 ``(H, W, 3)`` RGB.
            size: Height and width of the result, in pixels.
            generator: The sample's own generator: the only source of chance.
            stretch: Crop as if the frame had been squashed to a square before.
            may_mirror: Whether the clip's label allows a mirror image.

        Returns:
            uint8 ``(T, size, size, 3)`` and whether it is a mirror image.
        """
        height, width = frames[0].shape[:2]
        cut = self.draw(1.0 if stretch else width / height, generator, may_mirror=may_mirror)
        return self.apply(frames, size, cut, generator), cut.mirrored

    def choose(
        self, times: NDArray[np.float64], spec: ClipSpec, generator: np.random.Generator
    ) -> FrameChoice:
        """Choose the frames of a training clip: as ``spec`` asks, at another speed, some lost.

        Args:
            times: float64 ``(N,)`` seconds, ascending: the frames to choose from.
            spec: What to take.
            generator: The sample's own generator: the only source of chance.
        """
        least, most = self.speed
        factor = 1.0
        if self.speed != (1.0, 1.0):
            factor = math.exp(generator.uniform(math.log(least), math.log(most)))
        choice = choose_frames(times, spec, generator=generator, speed=factor)
        if self.frame_drop:
            choice = drop_frames(choice, generator.random(len(choice.indices)) < self.frame_drop)
        return choice

    def draw(
        self, aspect: float, generator: np.random.Generator, *, may_mirror: bool = True
    ) -> Cut:
        """Draw crop and flip, which can be known before a frame is decoded.

        Args:
            aspect: Width / height of the frames.
            generator: The sample's own generator: the only source of chance.
            may_mirror: Whether the clip's label allows a mirror image.
        """
        box = self._box(aspect, generator)
        return Cut(*box, mirrored=bool(generator.random() < self.flip) and may_mirror)

    def apply(
        self,
        frames: Sequence[NDArray[np.uint8]],
        size: int,
        cut: Cut,
        generator: np.random.Generator,
    ) -> NDArray[np.uint8]:
        """Augment a clip.

        Args:
            frames: ``T`` frames, uint8 ``(H, W, 3)`` RGB.
            size: Height and width of the result, in pixels.
            cut: What :meth:`draw` drew.
            generator: The one that drew it.

        Returns:
            uint8 ``(T, size, size, 3)``.
        """
        height, width = frames[0].shape[:2]
        columns = slice(*_pixels(cut.left, cut.right, width))
        rows = slice(*_pixels(cut.top, cut.bottom, height))
        # First of all and at once: everything after it works on fewer pixels.
        clip = resize([frame[rows, columns] for frame in frames], size, size)
        if cut.mirrored:
            for frame in clip:
                cv2.flip(frame, 1, dst=frame)
        compose = self._compose()
        if compose is not None:
            # Compose owns a generator that a fork copies: unless reseeded here, every worker and
            # every epoch would repeat the same augmentations.
            compose.set_random_seed(int(generator.integers(2**31)))
            clip = compose(images=clip)["images"]
        if self.policy[0]:
            clip = rand_augment(clip, *self.policy, generator)
        if self.grayscale and generator.random() < self.grayscale:
            for frame in clip:
                frame[:] = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[..., None]
        if self.erase and generator.random() < self.erase:
            erase(clip, generator)
        return clip

    def _box(
        self, aspect: float, generator: np.random.Generator
    ) -> tuple[float, float, float, float]:
        """Draw a crop as Szegedy et al. 2015 (arXiv:1409.4842, section 6) do.

        Args:
            aspect: Width / height of the frame.
            generator: The sample's own.

        Returns:
            Left, top, right and bottom as shares of width and height, so that a frame's
            resolution does not change what is cut out.
        """
        (least, most), (narrow, wide) = self.scale, self.ratio
        for _ in range(10):
            area = generator.uniform(least, most)
            ratio = math.exp(generator.uniform(math.log(narrow), math.log(wide)))
            width, height = math.sqrt(area * ratio / aspect), math.sqrt(area * aspect / ratio)
            if width <= 1 and height <= 1:
                left = generator.uniform(0, 1 - width)
                top = generator.uniform(0, 1 - height)
                return left, top, left + width, top + height
        # None fits: the largest one in the middle, with the nearest ratio that is allowed.
        ratio = min(max(aspect, narrow), wide)
        width, height = min(1.0, ratio / aspect), min(1.0, aspect / ratio)
        return (1 - width) / 2, (1 - height) / 2, (1 + width) / 2, (1 + height) / 2

    def _compose(self) -> A.Compose | None:
        """Return the albumentations pipeline of what follows the crop, None if nothing does."""
        if not self._composed:
            steps: list[A.BasicTransform] = []
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
            self._composed.append(A.Compose(steps) if steps else None)
        return self._composed[0]

    def __getstate__(self) -> dict[str, object]:
        """Leave the pipeline out: a worker that is spawned makes its own."""
        return {**self.__dict__, "_composed": []}


def eval_crops(frames: Sequence[NDArray[np.uint8]], spec: ClipSpec) -> NDArray[np.uint8]:
    """Resize the short side and cut the crops of test and use.

    Args:
        frames: ``T`` frames, uint8 ``(H, W, 3)`` RGB.
        spec: ``resize``, ``stretch``, ``size`` and ``num_crops``: 1 = centre; 3 = both ends and
            the centre of the long side.

    Returns:
        uint8 ``(num_crops, T, size, size, 3)``.
    """
    new_height, new_width = eval_size(frames[0].shape[0], frames[0].shape[1], spec)
    resized = resize(frames, new_height, new_width)
    top, left = new_height - spec.size, new_width - spec.size
    places = [0.5] if spec.num_crops == 1 else [0.0, 0.5, 1.0]
    crops = []
    for place in places:
        y = round(top * (place if new_height > new_width else 0.5))
        x = round(left * (place if new_width >= new_height else 0.5))
        crops.append(resized[:, y : y + spec.size, x : x + spec.size])
    return np.stack(crops)


def eval_size(height: int, width: int, spec: ClipSpec) -> tuple[int, int]:
    """Return height and width of the frames that the crops of test and use are cut from."""
    if spec.stretch:
        return spec.resize, spec.resize
    scale = spec.resize / min(height, width)
    return round(height * scale), round(width * scale)


def resize(frames: Sequence[NDArray[np.uint8]], height: int, width: int) -> NDArray[np.uint8]:
    """Resize all frames of a clip.

    When one side shrinks by more than half as much again, pixels are averaged by area: linear
    interpolation would alias fine texture into flicker. Below that it aliases hardly anything, and
    is four times as quick.

    Args:
        frames: ``T`` frames, uint8 ``(H, W, 3)``.
        height: New height in pixels.
        width: New width in pixels.

    Returns:
        uint8 ``(T, height, width, 3)``.
    """
    shrinks = max(frames[0].shape[0] / height, frames[0].shape[1] / width)
    how = cv2.INTER_AREA if shrinks > 1.5 else cv2.INTER_LINEAR
    out = np.empty((len(frames), height, width, 3), np.uint8)
    for frame, target in zip(frames, out, strict=True):
        cv2.resize(frame, (width, height), dst=target, interpolation=how)
    return out


def _pixels(begin: float, end: float, length: int) -> tuple[int, int]:
    """Return first pixel and end of a part of a side, at least one pixel long."""
    first = min(round(begin * length), length - 1)
    return first, max(round(end * length), first + 1)


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
