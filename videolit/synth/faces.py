"""A talking head and upper body: its expression, its gesture, and its drawing.

Lengths are in shares of the picture's height, x to the right and y down from its upper left corner;
on the face they are in shares of the head's half width and half height, from its middle.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from videolit.synth.emotions import NONE
from videolit.synth.figures import Array, Colour

Image = NDArray[np.uint8]

# Half width and half height of a head, and where it is when it is at rest.
_HEAD, _AT = np.array([0.185, 0.225]), np.array([0.5, 0.41])
_INK = (44, 30, 30)
_TURN = np.linspace(0, 2 * np.pi, 28, endpoint=False)
_RING = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)
_SIDES = (-1.0, 1.0)
HAIR_STYLES = ("short", "long", "bun", "bald", "fringe")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Looks:
    """What somebody looks like.

    Attributes:
        width, height, shoulder: Of head and shoulders, 1 = average.
        eyes: Distance and size of the eyes, 1 = average.
        style: Of the hair, one of ``HAIR_STYLES``.
        glasses, beard: Whether there are.
        skin, hair, top, iris: Colours, 0 to 255.
    """

    width: float
    height: float
    shoulder: float
    eyes: float
    style: str
    glasses: bool
    beard: bool
    skin: Colour
    hair: Colour
    top: Colour
    iris: Colour


class Expression(NamedTuple):
    """A face and a posture; all 0 = at rest. Full expressions lie within -1 and 1.

    Attributes:
        inner: Rise of the inner ends of the brows.
        outer: Rise of their outer ends.
        lid: Opening of the eyes beyond the usual; -1 = closed.
        smile: Corners of the mouth up, or down below 0.
        wide: Width of the mouth.
        press: Lips pressed: the mouth opens less and shows teeth.
        bow: The head bows; below 0 it is raised.
        tilt: The head leans to one side.
        shoulder: Rise of the shoulders.
        hands: Rise of the hands from below the picture.
        apart: Distance of the hands.
        fist: Closed hands.
        beat: How much the hands move.
    """

    inner: float = 0.0
    outer: float = 0.0
    lid: float = 0.0
    smile: float = 0.0
    wide: float = 0.0
    press: float = 0.0
    bow: float = 0.0
    tilt: float = 0.0
    shoulder: float = 0.0
    hands: float = 0.0
    apart: float = 0.0
    fist: float = 0.0
    beat: float = 0.0


# Muscles after the prototypes of Ekman & Friesen 1978: joy 6+12, sadness 1+4+15, anger 4+5+7+23.
EXPRESSIONS: dict[str, Expression] = {
    NONE: Expression(),
    "joy": Expression(
        inner=0.4, outer=0.5, lid=-0.25, smile=1.0, wide=0.8, bow=-0.4, tilt=0.3, shoulder=0.2,
        hands=1.0, apart=1.0, beat=0.8,
    ),
    "sadness": Expression(
        inner=1.0, outer=-0.8, lid=-0.4, smile=-1.0, wide=-0.3, bow=1.0, tilt=0.7, shoulder=-1.0,
        hands=1.15, apart=-0.7, beat=0.1,
    ),
    "anger": Expression(
        inner=-1.0, outer=0.7, lid=0.4, smile=-0.55, wide=0.25, press=1.0, bow=0.25, shoulder=0.8,
        hands=0.8, apart=0.5, fist=1.0, beat=1.0,
    ),
    "calm": Expression(
        inner=0.25, outer=0.0, lid=-0.7, smile=0.4, wide=0.0, bow=-0.1, shoulder=-0.4,
        hands=0.6, apart=-1.0, beat=0.1,
    ),
}  # fmt: skip


class Motion(NamedTuple):
    """What moves, over the frames; the same draws whatever the expression.

    Attributes:
        mouth: Opening of the mouth in [0, 1], ``(T,)``.
        shift: Of head and body, in shares of the height, ``(T, 2)``.
        roll: Of the head, rad, ``(T,)``.
        turn: Of the head to the right, -1 to 1, ``(T,)``.
        gaze: Of the eyes, -1 to 1, ``(T, 2)``.
        blink: Closing of the eyes, in [0, 1], ``(T,)``.
        beat: Place of the hands in their movement, -1 to 1, ``(T, 2)``, left and right.
    """

    mouth: Array
    shift: Array
    roll: Array
    turn: Array
    gaze: Array
    blink: Array
    beat: Array


def draw_motion(generator: np.random.Generator, times: Array, mouth: Array) -> Motion:
    """Draw what moves beside the mouth.

    Args:
        generator: Source of all draws.
        times: Of the frames in seconds, ``(T,)``.
        mouth: Opening of the mouth, ``(T,)``.
    """
    rate = generator.uniform(0.15, 0.6, (2, 7))
    phase = generator.uniform(0, 2 * np.pi, (2, 7))
    waves = np.sin(2 * np.pi * rate[:, None] * times[None, :, None] + phase[:, None]).mean(axis=0)
    tempo, start, blinks = generator.uniform((1.2, 0, 0.2), (2.0, 1, 1.8))
    beat = np.sin(2 * np.pi * (tempo * times[:, None] + start + np.array([0.0, 0.15])))
    blink = np.exp(-(((times[:, None] - blinks - np.array([0.0, 1.7])) / 0.09) ** 2)).max(axis=1)
    lean = generator.uniform((-0.05, -0.02), (0.05, 0.02))
    return Motion(
        mouth=mouth,
        shift=lean + waves[:, :2] * (0.03, 0.012),
        roll=0.10 * waves[:, 2],
        turn=0.6 * waves[:, 3] + generator.uniform(-0.35, 0.35),
        gaze=waves[:, 4:6],
        blink=blink,
        beat=beat,
    )


def faded(expression: Expression, strength: float) -> Expression:
    """Return an expression between rest (0) and itself (1)."""
    return Expression(*(strength * value for value in expression))


def draw(image: Image, looks: Looks, face: Expression, motion: Motion, time: int) -> None:
    """Draw a figure at one moment.

    Args:
        image: uint8 ``(H, W, 3)``, changed in place.
        looks: Who it is.
        face: What face and body show.
        motion: Of all frames.
        time: Number of the frame.
    """
    height, width = image.shape[:2]
    pen = _Pen(image, (width / height - 1) / 2)
    shift = motion.shift[time]
    body = shift * (0.6, 0.4)
    _draw_body(pen, looks, face, body)
    size = _HEAD * (looks.width, looks.height)
    side = 1.0 if motion.turn[0] >= 0 else -1.0
    head = _Head(
        at=_AT + shift + np.array([0.02 * side * face.tilt, 0.035 * max(face.bow, -0.4)]),
        size=size,
        roll=float(motion.roll[time] + 0.2 * side * face.tilt),
        turn=float(motion.turn[time]),
        bow=face.bow,
    )
    _draw_head(pen, looks, head)
    _draw_face(pen, looks, head, face, motion, time)
    _draw_hands(pen, looks, face, body, motion.beat[time])


@dataclasses.dataclass(frozen=True)
class _Pen:
    image: Image
    margin: float

    def pixels(self, points: Array) -> NDArray[np.int32]:
        """Return points of the picture in sixteenths of a pixel, as cv2 takes them."""
        scaled = (points + (self.margin, 0)) * self.image.shape[0] * 16
        return np.asarray(np.round(scaled), np.int32)

    def fill(self, points: Array, colour: Colour, edge: float = 0.0) -> None:
        """Fill an outline ``(N, 2)``, with a darker edge."""
        outline = self.pixels(points)
        cv2.fillPoly(self.image, [outline], colour, cv2.LINE_8, 4)
        if edge:
            self.line(np.concatenate([points, points[:1]]), _shade(colour, 0.6), edge)

    def line(self, points: Array, colour: Colour, thick: float) -> None:
        """Draw a line through points ``(N, 2)``."""
        pixels = max(round(thick * self.image.shape[0]), 1)
        cv2.polylines(self.image, [self.pixels(points)], False, colour, pixels, cv2.LINE_8, 4)


@dataclasses.dataclass(frozen=True)
class _Head:
    at: Array
    size: Array
    roll: float
    turn: float
    bow: float

    def place(self, points: Array, relief: float = 0.0) -> Array:
        """Return points of the head ``(N, 2)`` in the picture.

        Args:
            points: In half widths and half heights from the middle.
            relief: How far they move with a turn of the head: 0 = its outline, 1 = the face.
        """
        moved = points + relief * np.array([0.22 * self.turn, 0.16 * self.bow])
        cosine, sine = np.cos(self.roll), np.sin(self.roll)
        x, y = (moved * self.size).T
        turned = np.stack([x * cosine - y * sine, x * sine + y * cosine], axis=1)
        return np.asarray(self.at + turned)


def _shade(colour: Colour, share: float) -> Colour:
    red, green, blue = (min(round(value * share), 255) for value in colour)
    return red, green, blue


def _oval(centre: tuple[float, float], size: tuple[float, float]) -> Array:
    return np.array(centre) + _RING * size


def _draw_body(pen: _Pen, looks: Looks, face: Expression, shift: Array) -> None:
    neck = np.array([[0.435, 0.5], [0.565, 0.5], [0.575, 0.78], [0.425, 0.78]]) + shift
    half, top = 0.3 * looks.shoulder, 0.745 - 0.045 * face.shoulder
    # Slumped shoulders slope more.
    slope = 0.075 - 0.04 * face.shoulder
    right = np.array(
        [[0.07, top - 0.045], [half * 0.55, top], [half * 0.9, top + slope], [half, top + 0.13]]
    )
    right = np.concatenate([right, [[half + 0.03, 1.05]]])
    outline = np.concatenate([right * (-1, 1), right[::-1]]) + (0.5, 0)
    pen.fill(outline + shift, looks.top, 0.012)
    pen.fill(neck, _shade(looks.skin, 0.86))
    collar = np.array([[0.43, 0.70], [0.5, 0.80], [0.57, 0.70], [0.6, 0.72], [0.5, 0.86]])
    collar = np.concatenate([collar, [[0.4, 0.72]]]) + shift
    pen.fill(collar + (0, -0.02 * face.shoulder), _shade(looks.top, 0.75))


def _draw_head(pen: _Pen, looks: Looks, head: _Head) -> None:
    if looks.style == "long":
        ends = np.array([[-1.2, 1.1], [-0.9, 1.3], [0.9, 1.3], [1.2, 1.1]])
        crown = _RING[14:] * (1.16, 1.16)
        pen.fill(head.place(np.concatenate([crown, ends[::-1]])), looks.hair, 0.01)
    if looks.style == "bun":
        pen.fill(head.place(_oval((0, -1.3), (0.42, 0.34))), looks.hair, 0.01)
    for side in _SIDES:
        pen.fill(head.place(_oval((1.02 * side, 0.05), (0.16, 0.2))), looks.skin, 0.008)
    # A skull with a narrower chin.
    skull = _RING * np.where(_RING[:, 1:] > 0, (0.94, 1.0), (1.0, 1.0))
    pen.fill(head.place(skull), looks.skin, 0.012)
    if looks.beard:
        beard = _RING[(_RING[:, 1] > 0.2)] * 1.02
        inner = _RING[(_RING[:, 1] > 0.2)][::-1] * (0.72, 0.55) + (0, 0.08)
        pen.fill(head.place(np.concatenate([beard, inner])), looks.hair)
    if looks.style == "bald":
        return
    low = {"short": -0.5, "long": -0.42, "bun": -0.55, "fringe": -0.36}[looks.style]
    cap = _RING[_RING[:, 1] <= 0.05] * (1.06, 1.12)
    order = np.argsort(cap[:, 0])
    cap = cap[order]
    hairline = np.array([[0.9, -0.2], [0.72, low], [0.1, low - 0.08], [-0.72, low], [-0.9, -0.2]])
    pen.fill(head.place(np.concatenate([cap, hairline])), looks.hair, 0.008)


def _draw_face(
    pen: _Pen, looks: Looks, head: _Head, face: Expression, motion: Motion, time: int
) -> None:
    blush = _shade(looks.skin, 0.93)
    opened = np.clip((1 + 0.55 * face.lid) * (1 - 0.95 * motion.blink[time]), 0.06, 1.5)
    for side in _SIDES:
        x, y = 0.42 * looks.eyes * side, -0.08
        white = _oval((x, y), (0.21, 0.15 * opened))
        pen.fill(head.place(white, 1), (250, 250, 248))
        look = motion.gaze[time] * (0.06, 0.03) + (0, 0.04 * face.bow)
        iris = _oval((x + look[0], y + look[1]), (0.105, min(0.13, 0.15 * opened)))
        pen.fill(head.place(iris, 1), looks.iris)
        pupil = _oval((x + look[0], y + look[1]), (0.055, min(0.07, 0.12 * opened)))
        pen.fill(head.place(pupil, 1), (16, 14, 16))
        # Half rings: upper and lower lid.
        pen.line(head.place(white[14:], 1), _INK, 0.013)
        pen.line(head.place(white[:15], 1), _shade(looks.skin, 0.65), 0.007)
        inner, outer = -0.40 - 0.14 * face.inner, -0.40 - 0.14 * face.outer
        brow = np.array(
            [[x - 0.22 * side, inner], [x, (inner + outer) / 2 - 0.05], [x + 0.24 * side, outer]]
        )
        paint = _shade(looks.hair, 0.7) if sum(looks.hair) > 240 else looks.hair
        pen.line(head.place(brow, 1), paint, 0.026)
        if looks.glasses:
            rim = _oval((x, y + 0.03), (0.31, 0.25))
            pen.line(head.place(np.concatenate([rim, rim[:1]]), 1), (40, 40, 46), 0.01)
    if looks.glasses:
        pen.line(head.place(np.array([[-0.12, -0.06], [0.12, -0.06]]), 1), (40, 40, 46), 0.01)
    if face.inner < -0.4:
        for side in _SIDES:
            fold = np.array([[0.07 * side, -0.28], [0.09 * side, -0.46]])
            pen.line(head.place(fold, 1), _shade(looks.skin, 0.7), 0.008)
    nose = np.array([[0.02, -0.02], [0.09, 0.24], [-0.07, 0.26]])
    pen.line(head.place(nose, 1.3), _shade(looks.skin, 0.68), 0.012)
    if face.smile > 0.3:
        for side in _SIDES:
            pen.fill(head.place(_oval((0.58 * side, 0.24), (0.17, 0.1)), 0.9), blush)
    _draw_mouth(pen, looks, head, face, float(motion.mouth[time]))


def _draw_mouth(pen: _Pen, looks: Looks, head: _Head, face: Expression, talk: float) -> None:
    half = 0.34 * (1 + 0.3 * face.wide) * (1 - 0.15 * talk)
    across = np.linspace(-1, 1, 9)
    # Corners lie above the middle of a smile.
    curve = 0.55 - 0.2 * face.smile * (across**2 - 0.35)
    arch = 1 - across**2
    gap = 0.03 + 0.2 * talk * (1 - 0.35 * max(face.press, 0)) + 0.05 * max(face.smile - 0.5, 0)
    upper = np.stack([half * across, curve - 0.35 * gap * arch], axis=1)
    lower = np.stack([half * across, curve + gap * arch], axis=1)
    inside = np.concatenate([upper, lower[::-1]])
    pen.fill(head.place(inside, 1), (96, 30, 38))
    teeth = face.press > 0.3 or face.smile > 0.5
    if teeth and gap > 0.07:
        depth = 0.6 if face.press > 0.3 else 0.45
        edge = upper + (0, 1) * np.array([0, depth * gap]) * np.stack([arch, arch], axis=1)
        pen.fill(head.place(np.concatenate([upper, edge[::-1]]), 1), (248, 246, 240))
    red, green, blue = _shade(looks.skin, 0.72)
    lips = (min(red + 24, 255), max(green - 22, 0), max(blue - 12, 0))
    pen.line(head.place(upper, 1), lips, 0.017)
    pen.line(head.place(lower, 1), lips, 0.02)


def _draw_hands(pen: _Pen, looks: Looks, face: Expression, shift: Array, beat: Array) -> None:
    if face.hands <= 0.05:
        return
    for place, side in enumerate(_SIDES):
        move = beat[place] * face.beat
        x = 0.5 + side * (0.22 + 0.14 * face.apart + 0.02 * move * (1 - face.fist))
        y = 1.1 - 0.40 * face.hands + 0.045 * move
        hand = np.array([x, y]) + shift
        elbow = np.array([0.5 + side * 0.36, 1.15]) + shift
        along = hand - elbow
        across = np.array([-along[1], along[0]]) / (np.linalg.norm(along) + 1e-9) * 0.055
        arm = np.array([elbow + across, hand + 0.8 * across, hand - 0.8 * across, elbow - across])
        pen.fill(arm, _shade(looks.top, 0.92), 0.012)
        if face.fist > 0.5:
            pen.fill(hand + _RING * (0.068, 0.062), looks.skin, 0.012)
            for knuckle in (-0.028, 0.0, 0.028):
                bar = hand + np.array([[knuckle, -0.045], [knuckle, -0.005]])
                pen.line(bar, _shade(looks.skin, 0.6), 0.008)
            continue
        pen.fill(hand + _RING * (0.055, 0.058), looks.skin, 0.012)
        for finger in (-0.9, -0.3, 0.3, 0.9):
            angle = -np.pi / 2 + 0.45 * finger * (1 if face.apart > 0 else 0.4)
            tip = np.array([np.cos(angle), np.sin(angle)])
            base = hand + np.array([0.032 * finger, -0.03])
            bar = np.stack([base, base + 0.075 * tip])
            pen.line(bar, _shade(looks.skin, 0.6), 0.036)
            pen.line(bar, looks.skin, 0.024)
