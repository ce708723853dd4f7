"""A jointed figure: its skeleton, its poses over an action, and its drawing.

Body frame: x to the figure's left (to the right in the picture when it faces the camera), y up,
z forward; the ground is y = 0 and lengths are in shares of the stature.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Colour = tuple[int, int, int]
Points = dict[str, Array]

# Shares of the stature after Drillis & Contini 1966 (as in Winter, Biomechanics, 2009, figure
# 4.1), with head and hands a little larger to be seen at 64 pixels. Forearms end at the knuckles.
ANKLE, SHANK, THIGH, TORSO, NECK, HEAD = 0.04, 0.24, 0.25, 0.29, 0.055, 0.072
UPPER_ARM, FOREARM, SHOULDER, HIP, FOOT = 0.185, 0.20, 0.115, 0.058, 0.10

# Fewest and most frames of a clip.
NUM_FRAMES = (20, 32)
# Steepness at which the camera looks down, in rad.
TILT = 0.14
_SIDES = {"l": 1.0, "r": -1.0}
_TURN = np.linspace(0, 2 * np.pi, 14, endpoint=False)
_RING = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Body:
    """A performer: proportions (1 = average) and RGB colours.

    Attributes:
        torso, arm, leg, shoulder, head: Lengths and widths.
        girth: Thickness of trunk and limbs.
        sleeve: True = long sleeves, False = bare arms.
        skin, hair, top, trousers, shoes: Colours, 0 to 255.
    """

    torso: float
    arm: float
    leg: float
    shoulder: float
    head: float
    girth: float
    sleeve: bool
    skin: Colour
    hair: Colour
    top: Colour
    trousers: Colour
    shoes: Colour

    @property
    def stature(self) -> float:
        """Height when standing, in the units of the skeleton."""
        leg = ANKLE + (SHANK + THIGH) * self.leg
        return leg + TORSO * self.torso + NECK + 2 * HEAD * self.head


@dataclasses.dataclass(frozen=True, kw_only=True)
class Style:
    """How a performer does it in one clip; the same draws whatever the action.

    Attributes:
        yaw: Turn of the figure from facing the camera, rad.
        amplitude: From 0 (small movement) to 1 (large).
        side: The arm in use where an action has one: 1 = right in the picture, -1 = left.
        azimuth: Of the arms' plane, from sideways to forward, rad.
        rest: Stance of the hanging arms, -1 to 1.
        uneven: Difference of the two arms, -1 to 1.
    """

    yaw: float
    amplitude: float
    side: float
    azimuth: float
    rest: float
    uneven: float


class Part(NamedTuple):
    """Something to draw: its outline in each frame.

    Attributes:
        outline: ``(T, N, 2)``, in shares of the stature or in pixels; convex after its hull.
        edge: The same, a little larger, to be drawn darker behind it.
        depth: Towards the viewer ``(T,)``.
        colour: RGB.
    """

    outline: Array
    edge: Array
    depth: Array
    colour: Colour


def pose(
    action: str, progress: Array, phase: Array, sway: Array, body: Body, style: Style
) -> Points:
    """Return the joints of a figure over time.

    Args:
        action: ``sit_down``, ``raise_arms``, ``bow``, ``point_left`` (to the left of the picture),
            ``wave``, ``jump``, or ``stand`` for nothing.
        progress: How far the action is, ``(T,)`` in [0, 1].
        phase: Cycles that are done, for wave and jump, ``(T,)``.
        sway: Involuntary movement ``(T, 3)``: of the shoulders sideways and forward (shares of the
            stature) and of the arms (rad).
        body: The performer.
        style: The way it is done.

    Returns:
        ``(T, 3)`` for each joint, in the body frame.
    """
    p, bell, amp = progress, 4 * progress * (1 - progress), style.amplitude
    legs = (SHANK + THIGH) * body.leg
    drop, back, lift, nod = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p), 0.1 * p
    lean = sway[:, 1] / TORSO
    # Angles of upper arm and forearm from hanging (0) to overhead (pi), and their azimuths.
    arms = {}
    for name, sign in _SIDES.items():
        hang = 0.16 + 0.06 * style.rest + 0.03 * sign * style.uneven + sway[:, 2]
        arms[name] = [hang, 0.2 + 0 * p, hang * 0.6 + 0.05, 0.9 + 0 * p]
    moving = arms["l" if style.side > 0 else "r"]

    def reach(arm: list[Array], *targets: float | Array) -> None:
        for place, target in enumerate(targets):
            arm[place] = arm[place] + p * (target - arm[place])

    if action == "sit_down":
        drop = p * (ANKLE + legs * 0.985 - seat_height(body, style))
        back = p * THIGH * body.leg * 0.93
        lean = lean + 0.08 * p + (0.45 + 0.2 * amp) * bell
        for arm in arms.values():
            reach(arm, 0.35, np.pi / 2 - 0.15, 1.15 + 0.2 * style.rest, np.pi / 2)
    elif action == "raise_arms":
        for sign, arm in zip(_SIDES.values(), arms.values(), strict=True):
            top = 2.45 + 0.4 * amp + 0.12 * sign * style.uneven
            reach(arm, top, style.azimuth, top + 0.25, style.azimuth)
            arm[2] = arm[2] - 0.35 * bell * style.rest
        nod = -0.25 * p
    elif action == "bow":
        lean = lean + p * (0.85 + 0.5 * amp)
        back, nod = 0.1 * p, 0.45 * p
        # Straight legs that lean back end lower.
        drop = legs * 0.985 - np.sqrt((legs * 0.985) ** 2 - back**2)
        for arm in arms.values():
            reach(arm, 0.12 + 0.05 * style.rest, 0.8, 0.12, 1.2)
    elif action == "point_left":
        moving = arms["r"]
        # Turned against the yaw, so that the arm lies in the picture's plane.
        azimuth = -style.yaw + 0.4 * style.rest
        up = 1.45 + 0.2 * amp
        reach(moving, up, azimuth, up + 0.08, azimuth)
        moving[2] = moving[2] + 0.5 * bell
    elif action == "wave":
        # In the picture's plane too: a forearm seen from its end would not be seen to move.
        azimuth = style.side * style.yaw + 0.4 * style.rest
        swing = (0.45 + 0.25 * amp) * np.sin(2 * np.pi * phase)
        reach(moving, 1.45 + 0.5 * amp, azimuth, 2.85 + swing, azimuth)
    elif action == "jump":
        share = phase % 1.0
        # Dip, flight, dip: the same forwards and backwards.
        flight = np.clip((share - 0.3) / 0.4, 0, 1)
        dip = np.where(share < 0.3, share / 0.3, np.where(share > 0.7, (share - 0.7) / 0.3, 0.0))
        drop = (0.10 + 0.05 * amp) * np.sin(np.pi * dip) ** 2
        lift = (0.13 + 0.10 * amp) * 4 * flight * (1 - flight)
        lean = lean + 3.0 * drop
        back = 0.5 * drop
        for arm in arms.values():
            swing = 4 * flight * (1 - flight) * (0.5 + 0.5 * amp)
            arm[0], arm[2] = arm[0] + swing, arm[2] + 1.3 * swing
            arm[1] = arm[1] + 0.4

    ankle_y = ANKLE + lift
    pelvis = np.stack([sway[:, 0] * 0.4, ankle_y + legs * 0.985 - drop, -back], axis=1)
    trunk = np.stack([sway[:, 0] / TORSO, np.cos(lean), np.sin(lean)], axis=1)
    chest = pelvis + TORSO * body.torso * trunk
    look = lean + nod
    neck = np.stack([0 * p, np.cos(look), np.sin(look)], axis=1)
    head = chest + (NECK + HEAD * body.head) * neck
    face = np.stack([0 * p, -np.sin(look), np.cos(look)], axis=1)
    joints = {"pelvis": pelvis, "chest": chest, "head": head, "face": head + face}
    for name, sign in _SIDES.items():
        hip = pelvis + np.array([sign * HIP * body.shoulder, 0, 0])
        ankle = np.stack([0 * p + sign * (HIP + 0.015), ankle_y, 0 * p], axis=1)
        shoulder = chest + np.array([sign * SHOULDER * body.shoulder, -0.02, 0])
        upper, up_azimuth, fore, fore_azimuth = arms[name]
        elbow = shoulder + UPPER_ARM * body.arm * _direction(sign, upper, up_azimuth)
        joints |= {
            f"hip_{name}": hip,
            f"knee_{name}": _bend(hip, ankle, THIGH * body.leg, SHANK * body.leg, sign),
            f"ankle_{name}": ankle,
            f"toe_{name}": ankle + np.array([sign * 0.02, -ANKLE * 0.6, FOOT]),
            f"shoulder_{name}": shoulder,
            f"elbow_{name}": elbow,
            f"hand_{name}": elbow + FOREARM * body.arm * _direction(sign, fore, fore_azimuth),
        }
    return joints


def timing(
    action: str, generator: np.random.Generator, fps: int, seconds: float
) -> tuple[Array, Array, Array]:
    """Return times, progress and phase ``(T,)``; as likely backwards as forwards."""
    rest, share, late, turn = generator.uniform((0.5, 0.1, -1, 0), (1.0, 0.9, 1, 1))
    # The length does not depend on the action, or it would tell it.
    num_frames = int(np.clip(round((seconds + rest) * fps), *NUM_FRAMES))
    times = np.arange(num_frames) / fps
    rest = times[-1] - seconds
    start, end = rest * share, rest * share + seconds
    phase = np.zeros(num_frames)
    if action in ("point_left", "wave"):
        start, end = start * 0.5, times[-1] - (times[-1] - end) * 0.5
        ramp = 0.45 * seconds
        progress = np.minimum((times - start) / ramp, (end - times) / ramp)
        phase = (times - (start + end) / 2) * (0.9 + 1.0 / seconds) + turn
    elif action == "jump":
        period = 0.25 + 0.45 * seconds
        hops = max(int((times[-1] - 0.1) / period), 1)
        spare = times[-1] - hops * period
        start = spare / 2 + late * max(spare, 0) / 2
        phase = np.clip((times - start) / period, 0, hops)
        progress = np.zeros(num_frames)
    else:
        progress = (times - start) / seconds
    clipped = np.clip(progress, 0, 1)
    # Minimum jerk, the shape of human reaching: Flash & Hogan 1985.
    return times, clipped**3 * (10 - 15 * clipped + 6 * clipped**2), phase


def sway(generator: np.random.Generator, times: Array) -> Array:
    """Return involuntary movement ``(T, 3)``: slow sway of the trunk, tremor of the arms."""
    rate = generator.uniform(0.2, (0.8, 0.8, 2.0), (2, 3))
    turn = generator.uniform(0, 2 * np.pi, (2, 3))
    waves = np.sin(2 * np.pi * rate[:, None] * times[None, :, None] + turn[:, None])
    return np.asarray(waves.sum(axis=0) * generator.uniform(0.2, 1) * (0.006, 0.006, 0.03))


def seat_height(body: Body, style: Style) -> float:
    """Return the height of the hips when sitting."""
    return ANKLE + SHANK * body.leg + 0.06 - 0.05 * style.amplitude


def _direction(sign: float, angle: Array, azimuth: Array) -> Array:
    """Return the unit vectors ``(T, 3)`` of an arm."""
    out = np.sin(angle)
    return np.stack([sign * out * np.cos(azimuth), -np.cos(angle), out * np.sin(azimuth)], axis=1)


def _bend(hip: Array, ankle: Array, thigh: float, shank: float, sign: float) -> Array:
    """Return the knees ``(T, 3)`` of legs between two points; knees bend forward and outward."""
    line = ankle - hip
    length = np.linalg.norm(line, axis=1, keepdims=True)
    unit = line / length
    reach = np.minimum(length, (thigh + shank) * 0.999)
    along = (thigh**2 - shank**2 + reach**2) / (2 * reach)
    off = np.sqrt(np.maximum(thigh**2 - along**2, 0))
    pole = np.array([[0.25 * sign, 0.0, 1.0]])
    pole = pole - (pole * unit).sum(axis=1, keepdims=True) * unit
    across = pole / np.linalg.norm(pole, axis=1, keepdims=True)
    return np.asarray(hip + unit * along + off * across)


def project(joints: Points, yaw: float) -> Points:
    """Return the joints as the camera sees them ``(T, 3)``: x right, y down, z to the viewer."""
    seen = {}
    for name, at in joints.items():
        x, y, z = at.T
        depth = z * np.cos(yaw) - x * np.sin(yaw)
        right = x * np.cos(yaw) + z * np.sin(yaw)
        down = depth * np.sin(TILT) - y * np.cos(TILT)
        seen[name] = np.stack([right, down, depth], axis=1)
    return seen


def parts(seen: Points, body: Body, edge: float) -> list[Part]:
    """Return what is to be drawn of a projected figure.

    Args:
        seen: From :func:`project`.
        body: The performer.
        edge: Width of the dark edge, in shares of the stature.
    """
    made: list[Part] = []
    girth = body.girth

    def add(depth: Array, colour: Colour, *circles: tuple[str, float]) -> None:
        """Add the hull of circles about joints."""
        sizes = [[(seen[joint], radius + grow) for joint, radius in circles] for grow in (0, edge)]
        made.append(Part(_circles(sizes[0]), _circles(sizes[1]), depth, colour))

    for name in _SIDES:
        hip, knee, ankle, toe, shoulder, elbow, hand = (
            f"{joint}_{name}"
            for joint in ("hip", "knee", "ankle", "toe", "shoulder", "elbow", "hand")
        )
        depth = {joint: seen[joint][:, 2] for joint in (hip, knee, toe, shoulder, elbow, hand)}
        add(depth[toe] - 0.06, body.shoes, (ankle, 0.03 * girth), (toe, 0.024 * girth))
        add(depth[knee] - 0.01, body.trousers, (knee, 0.038 * girth), (ankle, 0.028 * girth))
        middle = (depth[hip] + depth[knee]) / 2
        add(middle, body.trousers, (hip, 0.056 * girth), (knee, 0.04 * girth))
        # A little nearer than it is: an arm at the side is seen before the trunk.
        middle = (depth[shoulder] + depth[elbow]) / 2 + 0.03
        add(middle, body.top, (shoulder, 0.036 * girth), (elbow, 0.03 * girth))
        middle = (depth[elbow] + depth[hand]) / 2 + 0.04
        sleeve = body.top if body.sleeve else body.skin
        add(middle, sleeve, (elbow, 0.03 * girth), (hand, 0.024 * girth))
        add(depth[hand] + 0.045, body.skin, (hand, 0.036))
    corners = [(f"shoulder_{name}", 0.045 * girth) for name in _SIDES]
    corners += [(f"hip_{name}", 0.058 * girth) for name in _SIDES]
    add((seen["chest"][:, 2] + seen["pelvis"][:, 2]) / 2, body.top, *corners)
    radius, depth_head = HEAD * body.head, seen["head"][:, 2] + 0.02
    add(depth_head - 0.01, body.skin, ("chest", 0.03), ("head", 0.03))
    add(depth_head, body.hair, ("head", radius))
    face = seen["head"] + (seen["face"] - seen["head"]) * radius * 0.42
    skin = _circles([(face, radius * 0.78)])
    made.append(Part(skin, skin, depth_head + 1e-3, body.skin))
    return made


def _circles(circles: list[tuple[Array, float]]) -> Array:
    """Return points on circles about joints ``(T, 14 per circle, 2)``."""
    return np.concatenate([at[:, None, :2] + r * _RING for at, r in circles], axis=1)


def draw(images: list[NDArray[np.uint8]], made: list[Part]) -> None:
    """Draw a figure into a list of T images, the far parts first, each with a darker edge.

    Args:
        images: uint8 ``(H, W, 3)``, changed in place.
        made: Parts in pixels.
    """
    order = np.argsort(np.stack([part.depth for part in made]), axis=0, kind="stable")
    # cv2 takes sixteenths of a pixel.
    inner = [(part.outline * 16).round().astype(np.int32) for part in made]
    outer = [(part.edge * 16).round().astype(np.int32) for part in made]
    dark = [tuple(int(0.55 * value) for value in part.colour) for part in made]
    for time, image in enumerate(images):
        for number in order[:, time]:
            hull = cv2.convexHull(outer[number][time])
            cv2.fillConvexPoly(image, hull, dark[number], cv2.LINE_8, 4)
            hull = cv2.convexHull(inner[number][time])
            cv2.fillConvexPoly(image, hull, made[number].colour, cv2.LINE_8, 4)
