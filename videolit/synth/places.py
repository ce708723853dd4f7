"""Places in which something happens: the pictures of the shots of generated long videos."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from videolit.synth import figures, scenes
from videolit.synth.actions import POOLS, Split, make_body
from videolit.synth.figures import Array, Colour, Part, Style
from videolit.synth.scenes import Image, colour

# Drawn at twice the size and averaged: smooth edges and movements below one pixel.
_SCALE = 2
_TURN = np.linspace(0, 2 * np.pi, 14, endpoint=False)
_RING = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)
# How far hues of the unseen places are from the middle of each place's own; less in training.
_HUES: dict[Split, tuple[float, float]] = {
    "train": (0.0, 0.02),
    "val": (0.0, 0.02),
    "test": (0.02, 0.035),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Painter:
    """A place while it is painted: lengths in shares of the picture's height.

    Attributes:
        generator: Source of all draws of the place.
        canvas: What stands still, uint8 ``(H, W, 3)``.
        split: Whose walls, hues and bodies to draw from.
        focus: Where it happens, x and y in pixels.
        times: Seconds of each frame, ``(T,)``.
    """

    generator: np.random.Generator
    canvas: Image
    split: Split
    focus: Array
    times: Array

    @property
    def height(self) -> int:
        """Pixels of the picture's height."""
        return int(self.canvas.shape[0])

    def paint(self, hue: float, saturation: float, value: float) -> Colour:
        """Return a colour near the given one, as the split draws them."""
        near, far = _HUES[self.split]
        shift, sign, light = self.generator.uniform((near, -1, -0.06), (far, 1, 0.06))
        return colour(
            hue + np.copysign(shift, sign), saturation, float(np.clip(value + light, 0.05, 1))
        )

    def fill(self, top: float, bottom: float, paint: Colour, texture: float = 0.12) -> None:
        """Fill a band of the picture, with one of the split's patterns in it."""
        walls = POOLS[self.split].walls
        wall = walls[int(self.generator.integers(len(walls)))]
        height, width = self.canvas.shape[:2]
        mix = scenes.pattern(self.generator, wall, width, height)[..., None]
        shade = np.linspace(1.06, 0.94, height)[:, None, None]
        rows = slice(round(top * height), round(bottom * height))
        band = np.array(paint) * (1 + texture * (mix - 0.5)) * shade
        self.canvas[rows] = np.clip(band, 0, 255).astype(np.uint8)[rows]

    def polygon(self, points: list[tuple[float, float]], paint: Colour) -> None:
        """Draw a still polygon about the focus."""
        at = (self.focus + self.height * np.array(points)).round().astype(np.int32)
        cv2.fillPoly(self.canvas, [at], paint, cv2.LINE_AA)

    def part(self, points: Array, paint: Colour, depth: float, move: Array | None = None) -> Part:
        """Return a convex thing about the focus that moves.

        Args:
            points: Its outline ``(N, 2)``, or in each frame ``(T, N, 2)``.
            paint: Its colour.
            depth: Towards the viewer.
            move: Its path ``(T, 2)``; None = it stays.
        """
        path = np.zeros((len(self.times), 2)) if move is None else move
        outline = self.focus + self.height * (points + path[:, None])
        middle = outline.mean(axis=1, keepdims=True)
        reach = np.linalg.norm(outline - middle, axis=2).max() + 1e-9
        edge = middle + (outline - middle) * (1 + 1.2 / reach)
        return Part(outline, edge, np.full(len(self.times), depth), paint)

    def figure(self, action: str, period: float) -> list[Part]:
        """Return a person who performs an action again and again."""
        generator, split = self.generator, self.split
        body = make_body(split, int(generator.integers(POOLS[split].performers)))
        yaw, amplitude, side, rest = generator.uniform((-0.5, 0.3, -1, -1), (0.5, 1, 1, 1))
        style = Style(
            yaw=float(yaw),
            amplitude=float(amplitude),
            side=float(np.sign(side)),
            azimuth=0.3,
            rest=float(rest),
            uneven=0.0,
        )
        phase = self.times / period
        progress = 0.5 - 0.5 * np.cos(2 * np.pi * phase)
        if action in ("wave", "jump"):
            progress = np.full_like(phase, action == "wave")
        sway = figures.sway(generator, self.times)
        seen = figures.project(figures.pose(action, progress, phase, sway, body, style), style.yaw)
        stature = 0.42 * self.height / body.stature
        foot = self.focus + np.array([0, 0.21 * self.height])
        return [
            part._replace(outline=foot + stature * part.outline, edge=foot + stature * part.edge)
            for part in figures.parts(seen, body, 1.2 / stature)
        ]


def _fireworks(p: _Painter) -> list[Part]:
    p.fill(0, 1, p.paint(0.66, 0.7, 0.2), texture=0.3)
    left = -1.2
    while left < 1.2:
        width, tall = (float(n) for n in p.generator.uniform((0.1, 0.1), (0.22, 0.24)))
        house = [(left, 1), (left, 0.42 - tall), (left + width, 0.42 - tall), (left + width, 1)]
        p.polygon(house, p.paint(0.66, 0.3, 0.36))
        left += width
    parts = []
    for burst in range(3):
        hue, x, y, begin = p.generator.uniform((0, -0.2, -0.14, 0), (1, 0.2, 0.1, 1))
        phase = (p.times / 1.4 + begin + burst / 3) % 1
        spread = 0.26 * np.sqrt(phase)
        dot = 0.024 * (1 - phase**3)
        for angle in np.arange(9) * 2 * np.pi / 9 + begin:
            path = np.stack([x + spread * np.cos(angle), y + spread * np.sin(angle)], axis=1)
            ring = dot[:, None, None] * _RING
            parts.append(p.part(ring, colour(hue, 0.45, 1), burst, path))
    return parts


def _ball(p: _Painter) -> list[Part]:
    p.fill(0, 0.45, p.paint(0.6, 0.15, 0.6), texture=0.5)
    p.fill(0.4, 1, p.paint(0.31, 0.65, 0.55))
    white = (238, 238, 238)
    for x in np.linspace(-0.34, 0.34, 9):
        p.polygon([(x, -0.18), (x + 0.006, -0.18), (x + 0.006, 0.12), (x, 0.12)], (190, 195, 195))
    for y in np.linspace(-0.18, 0.1, 6):
        p.polygon([(-0.34, y), (0.34, y), (0.34, y + 0.006), (-0.34, y + 0.006)], (190, 195, 195))
    for x in (-0.36, 0.34):
        p.polygon([(x, -0.2), (x + 0.025, -0.2), (x + 0.025, 0.14), (x, 0.14)], white)
    p.polygon([(-0.36, -0.2), (0.365, -0.2), (0.365, -0.175), (-0.36, -0.175)], white)
    turn = float(p.generator.random())
    hop = np.abs(np.sin(np.pi * (p.times / 0.7 + turn)))
    roll = 0.2 * np.sin(2 * np.pi * (p.times / 3.1 + turn))
    path = np.stack([roll, 0.17 - 0.2 * hop], axis=1)
    parts = [p.part(0.055 * _RING, (250, 250, 250), 1, path)]
    spot = 2 * np.pi * (p.times / 1.5 + turn)
    for angle in (0, 2.1, 4.2):
        around = np.stack([np.cos(spot + angle), np.sin(spot + angle)], axis=1)
        parts.append(p.part(0.016 * _RING, (40, 40, 40), 2, path + 0.03 * around))
    return parts


def _beach(p: _Painter) -> list[Part]:
    p.fill(0, 0.42, p.paint(0.56, 0.35, 0.95))
    p.fill(0.38, 0.6, p.paint(0.5, 0.65, 0.75))
    p.fill(0.55, 1, p.paint(0.12, 0.4, 0.9))
    sun = np.array([p.generator.choice([-0.42, 0.42]), -0.36])
    p.polygon([(x, y) for x, y in sun + 0.075 * _RING], (255, 236, 150))
    return p.figure("jump", 0.8)


def _stage(p: _Painter) -> list[Part]:
    p.fill(0, 0.75, p.paint(0.99, 0.8, 0.5))
    dark = p.paint(0.99, 0.85, 0.34)
    folds = int(p.generator.integers(12, 18))
    for x in np.linspace(-1.3, 1.3, folds):
        p.polygon([(x, -1), (x + 0.06, -1), (x + 0.06, 1), (x, 1)], dark)
    p.fill(0.68, 1, p.paint(0.08, 0.5, 0.5))
    light = p.canvas.copy()
    at = (p.focus + [0, 0.2 * p.height]).round().astype(int)
    half = (round(0.3 * p.height), round(0.1 * p.height))
    cv2.ellipse(light, (int(at[0]), int(at[1])), half, 0, 0, 360, (255, 244, 200), -1, cv2.LINE_AA)
    beam = [(-0.05, -1.0), (0.05, -1.0), (0.3, 0.2), (-0.3, 0.2)]
    cone = (p.focus + p.height * np.array(beam)).round().astype(np.int32)
    cv2.fillPoly(light, [cone], (255, 244, 200), cv2.LINE_AA)
    cv2.addWeighted(light, 0.35, p.canvas, 0.65, 0, dst=p.canvas)
    return p.figure("bow", 2.2)


def _balloon(p: _Painter) -> list[Part]:
    p.fill(0, 1, p.paint(0.58, 0.3, 0.95))
    p.fill(0.82, 1, p.paint(0.25, 0.4, 0.55), texture=0.4)
    hue = p.generator.uniform(0.0, 0.16)
    turn = float(p.generator.random())
    path = np.stack(
        [
            0.05 * np.sin(2 * np.pi * (p.times / 4.3 + turn)),
            -0.04 + 0.04 * np.sin(2 * np.pi * (p.times / 3.1 + turn)),
        ],
        axis=1,
    )
    skin, stripe = colour(hue, 0.85, 0.92), colour(hue + 0.12, 0.5, 1)
    hull = np.concatenate([0.17 * _RING, [[-0.045, 0.23], [0.045, 0.23]]])
    basket = np.array([[-0.035, 0.26], [0.035, 0.26], [0.03, 0.32], [-0.03, 0.32]])
    return [
        p.part(hull, skin, 1, path),
        p.part(np.concatenate([0.17 * _RING * (0.35, 1), [[0, 0.23]]]), stripe, 2, path),
        p.part(
            np.array([[-0.03, 0.22], [0.03, 0.22], [0.03, 0.27], [-0.03, 0.27]]), stripe, 0, path
        ),
        p.part(basket, (120, 78, 40), 3, path),
    ]


def _snow(p: _Painter) -> list[Part]:
    p.fill(0, 0.6, p.paint(0.72, 0.18, 0.68))
    p.fill(0.55, 1, p.paint(0.6, 0.05, 0.93), texture=0.06)
    for x in np.linspace(-1.0, 1.0, 7) + p.generator.uniform(-0.1, 0.1, 7):
        if abs(x) > 0.18:
            green = p.paint(0.42, 0.5, 0.32)
            for y in (-0.22, -0.08, 0.06):
                p.polygon([(x, y - 0.1), (x + 0.11, y + 0.08), (x - 0.11, y + 0.08)], green)
    flakes = []
    for x, y, speed in p.generator.uniform((-0.7, 0, 0.15), (0.7, 1, 0.3), (10, 3)):
        fall = (y + speed * p.times) % 1 - 0.5
        path = np.stack([np.full_like(fall, x), fall], axis=1)
        flakes.append(p.part(0.011 * _RING, (255, 255, 255), 5, path))
    return p.figure("wave", 0.9) + flakes


def _boat(p: _Painter) -> list[Part]:
    p.fill(0, 0.55, p.paint(0.08, 0.45, 0.95))
    p.fill(0.52, 1, p.paint(0.6, 0.75, 0.5), texture=0.35)
    turn = float(p.generator.random())
    angle = 0.1 * np.sin(2 * np.pi * (p.times / 2.4 + turn))
    bob = 0.015 * np.sin(2 * np.pi * (p.times / 1.7 + turn))
    path = np.stack([0.06 * np.sin(2 * np.pi * (p.times / 5 + turn)), bob], axis=1)
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.stack([np.stack([cosine, sine], 1), np.stack([-sine, cosine], 1)], axis=1)

    def tilted(points: list[tuple[float, float]]) -> Array:
        return np.asarray(np.array(points) @ matrix)

    hull = [(-0.19, 0.12), (0.2, 0.12), (0.13, 0.21), (-0.13, 0.21)]
    paint = p.paint(0.02, 0.6, 0.45)
    return [
        p.part(tilted(hull), paint, 2, path),
        p.part(
            tilted([(0.0, -0.24), (0.012, -0.24), (0.012, 0.12), (0, 0.12)]), (80, 60, 40), 1, path
        ),
        p.part(tilted([(0.025, -0.22), (0.16, 0.08), (0.025, 0.09)]), (248, 244, 232), 1, path),
        p.part(tilted([(-0.012, -0.18), (-0.012, 0.09), (-0.12, 0.08)]), (226, 220, 208), 1, path),
    ]


def _car(p: _Painter) -> list[Part]:
    p.fill(0, 0.6, p.paint(0.1, 0.12, 0.75), texture=0.4)
    p.fill(0.52, 1, p.paint(0.6, 0.04, 0.36))
    for x in np.arange(-1.4, 1.4, 0.24):
        p.polygon([(x, 0.29), (x + 0.12, 0.29), (x + 0.12, 0.31), (x, 0.31)], (235, 235, 225))
    turn = float(p.generator.random())
    shake = 0.004 * np.sin(2 * np.pi * p.times / 0.22)
    path = np.stack([0.1 * np.sin(2 * np.pi * (p.times / 3.7 + turn)), shake], axis=1)
    paint = colour(p.generator.uniform(0, 1), 0.7, 0.75)
    cabin = [(-0.11, 0.02), (-0.07, -0.08), (0.08, -0.08), (0.14, 0.02)]
    glass = [(-0.085, 0.015), (-0.058, -0.06), (0.068, -0.06), (0.11, 0.015)]
    body = [(-0.24, 0.02), (0.2, 0.02), (0.25, 0.06), (0.25, 0.14), (-0.25, 0.14)]
    parts = [
        p.part(np.array(cabin), paint, 1, path),
        p.part(np.array(glass), (190, 215, 230), 2, path),
        p.part(np.array(body), paint, 3, path),
    ]
    for x in (-0.145, 0.15):
        parts.append(p.part(0.055 * _RING + (x, 0.145), (35, 35, 38), 4, path))
        parts.append(p.part(0.024 * _RING + (x, 0.145), (170, 170, 175), 5, path))
    return parts


# In the order of videolit.synth.importance.EVENTS.
PLACES: dict[str, Callable[[_Painter], list[Part]]] = {
    "fireworks": _fireworks,
    "ball_on_grass": _ball,
    "jump_on_beach": _beach,
    "bow_on_stage": _stage,
    "balloon": _balloon,
    "wave_in_snow": _snow,
    "boat_at_sea": _boat,
    "car_on_road": _car,
}


def render_shot(
    event: str,
    *,
    place_seed: int,
    view_seed: int,
    split: Split,
    size: tuple[int, int],
    num_frames: int,
    fps: float,
    nearer: bool,
    bell: tuple[int, int] | None = None,
) -> NDArray[np.uint8]:
    """Return the frames of one shot; equal arguments give equal frames.

    Args:
        event: One of ``PLACES``.
        place_seed: Of the place and who is there.
        view_seed: Of the camera, the moment and the noise of the sensor.
        split: Whose bodies, backgrounds and hues to draw from.
        size: Width and height in pixels.
        num_frames: Frames of the shot ``T``.
        fps: Frames per second.
        nearer: Whether the camera comes nearer; it leaves otherwise, the same way backwards.
        bell: First frame that shows the ringing bell and the frame after the last; None = no bell.

    Returns:
        uint8 ``(T, H, W, 3)`` RGB.
    """
    place, view = np.random.default_rng(place_seed), np.random.default_rng(view_seed)
    width, height = size[0] * _SCALE, size[1] * _SCALE
    mirrored, x, y, depth, begin = view.uniform((0, -0.1, -0.03, 1.9, 0), (1, 0.1, 0.03, 2.3, 60))
    focus = np.array([width * (0.5 + x), height * (0.55 + y)])
    painter = _Painter(
        generator=place,
        canvas=np.zeros((height, width, 3), np.uint8),
        split=split,
        focus=focus,
        times=begin + np.arange(num_frames) / fps,
    )
    parts = PLACES[event](painter)
    zoom = depth ** np.linspace(0, 1, num_frames)
    if not nearer:
        zoom = zoom[::-1]
    images = []
    for factor in zoom:
        move = (1 - factor) * focus
        matrix = np.array([[factor, 0, move[0]], [0, factor, move[1]]])
        images.append(cv2.warpAffine(painter.canvas, matrix, (width, height)).astype(np.uint8))
    zooms = zoom[:, None, None]
    figures.draw(
        images,
        [
            part._replace(
                outline=zooms * (part.outline - focus) + focus,
                edge=zooms * (part.edge - focus) + focus,
            )
            for part in parts
        ],
    )
    small = np.stack([cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images])
    frames = np.ascontiguousarray(small[:, :, ::-1] if mirrored < 0.5 else small).astype(np.uint8)
    if bell is not None:
        _ring(frames[bell[0] : bell[1]], fps)
    scenes.add_noise(frames, view)
    return frames


def _ring(frames: NDArray[np.uint8], fps: float) -> None:
    """Draw a swinging bell in a yellow frame over pictures, in place."""
    height, width = frames.shape[1:3]
    gold, dark = (255, 205, 40), (120, 80, 0)
    dome = [(-0.5, 0.45), (-0.36, 0.2), (-0.28, -0.3), (0, -0.5), (0.28, -0.3), (0.36, 0.2)]
    shape = np.array([*dome, (0.5, 0.45)]) * 0.3 * height
    clapper = np.array([0, 0.62]) * 0.3 * height
    at = np.array([0.2 * height, 0.22 * height])
    for number, frame in enumerate(frames):
        angle = 0.5 * np.sin(2 * np.pi * 2 * number / fps)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        cv2.rectangle(frame, (0, 0), (width - 1, height - 1), gold, max(height // 9, 2))
        hull = ((shape @ turn.T + at) * 16).round().astype(np.int32)
        ball = ((clapper @ turn.T + at) * 16).round().astype(int)
        centre, radius = (int(ball[0]), int(ball[1])), round(0.03 * height * 16)
        cv2.circle(frame, centre, radius, dark, -1, cv2.LINE_AA, 4)
        cv2.fillPoly(frame, [hull], gold, cv2.LINE_AA, 4)
        cv2.polylines(frame, [hull], True, dark, 1, cv2.LINE_AA, 4)
