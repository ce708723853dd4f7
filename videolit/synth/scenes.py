"""What is around a figure: wall, floor, stool, bystander, a ball that rolls by, camera, light."""

from __future__ import annotations

import colorsys
import dataclasses
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from videolit.synth import figures
from videolit.synth.figures import Array, Body, Colour, Points, Style

Image = NDArray[np.uint8]

SKINS: tuple[Colour, ...] = (
    (246, 214, 188),
    (233, 190, 156),
    (214, 164, 124),
    (180, 128, 90),
    (140, 94, 64),
    (98, 66, 48),
)
HAIRS: tuple[Colour, ...] = (
    (34, 28, 26),
    (70, 46, 32),
    (122, 82, 48),
    (196, 158, 96),
    (150, 62, 34),
    (170, 168, 164),
)
# The painted scene reaches this far beyond the picture, in shares of it: room for the camera.
_MARGIN = 0.14
# Width of the dark edge of limbs, pixels.
_EDGE = 1.2


def colour(hue: float, saturation: float, value: float) -> Colour:
    """Return an RGB colour of 0 to 255 from hue, saturation and value in [0, 1]."""
    red, green, blue = (round(255 * c) for c in colorsys.hsv_to_rgb(hue % 1, saturation, value))
    return red, green, blue


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
    """All of a clip that does not depend on the action.

    Attributes:
        canvas: What stands still, in its light and beyond the picture's edges, uint8
            ``(H', W', 3)``.
        size: Width and height of the picture in pixels.
        foot: Where the figure stands, x and y in the picture in pixels.
        stature: Pixels per unit of the skeleton.
        zoom: Of the camera, ``(T,)``, 1 = none.
        shift: Of the camera, ``(T, 2)`` in pixels.
        ball: A distractor behind the figure, in pixels; None = there is none.
        light: Brightness of each value, uint8 ``(256,)``.
    """

    canvas: Image
    size: tuple[int, int]
    foot: Array
    stature: float
    zoom: Array
    shift: Array
    ball: figures.Part | None
    light: Image

    @classmethod
    def make(
        cls,
        generator: np.random.Generator,
        size: tuple[int, int],
        *,
        wall: str,
        body: Body,
        style: Style,
        bystander: Body,
        num_frames: int,
    ) -> Self:
        """Draw a scene; its mirror image and its reverse in time are as likely.

        Args:
            generator: Source of all draws.
            size: Width and height in pixels.
            wall: Kind of background.
            body: The performer.
            style: How the performer stands, and how low the stool is.
            bystander: Somebody else, who stands still in some clips.
            num_frames: Frames of the clip.
        """
        width, height = size
        margin = np.array([round(width * _MARGIN), round(height * _MARGIN)])
        outer_width, outer_height = (int(n) for n in np.array(size) + 2 * margin)
        tall = float(generator.uniform(0.55, 0.84))
        foot = np.array(
            [
                width / 2 + generator.uniform(-1, 1) * height * (0.3 - 0.25 * tall),
                height * generator.uniform(0.88, 0.95),
            ]
        )
        stature = tall * height / body.stature
        # Half the size is enough where nothing moves, at a quarter of the cost.
        room = _room(
            generator,
            wall,
            body,
            (outer_width // 2, outer_height // 2),
            ground=float(foot[1] + margin[1]) / 2,
            tall=tall * height / 2,
        )
        canvas = cv2.resize(room, (outer_width, outer_height)).astype(np.uint8, copy=False)
        stool_hue, stool_grey, stool_value = generator.uniform((0, 0.1, 0.3), (1, 0.6, 0.8))
        _stool(
            canvas,
            foot + margin,
            stature,
            figures.seat_height(body, style) - 0.05,
            body,
            style.yaw,
            colour(stool_hue, stool_grey, stool_value),
        )
        beside, size_of_other, yaw, part = generator.uniform(
            (0.28, 0.6, -0.8, 0), (0.42, 0.9, 0.8, 1)
        )
        kinds = ("stand", "stand", "raise_arms", "point_left", "bow", "wave")
        kind = kinds[int(generator.integers(len(kinds)))]
        edge = generator.choice([-1.0, 1.0])
        if generator.random() < 0.25:
            stance = dataclasses.replace(style, yaw=float(yaw))
            still = np.array([part])
            joints = figures.pose(kind, still, still, np.zeros((1, 3)), bystander, stance)
            smaller = stature * float(size_of_other)
            seen = figures.project(joints, float(yaw))
            made = figures.parts(seen, bystander, _EDGE / smaller)
            at = foot + margin + [edge * beside * width, -0.05 * height]
            figures.draw([canvas], _placed(made, at, smaller))
        light = exposure(generator)
        return cls(
            canvas=cv2.LUT(canvas, light).astype(np.uint8),
            size=size,
            foot=foot,
            stature=stature,
            **_camera(generator, num_frames, width),
            ball=_ball(generator, num_frames, width, height),
            light=light,
        )

    def render(self, seen: Points, body: Body) -> list[Image]:
        """Return the pictures of a projected figure in the scene, each uint8 ``(H, W, 3)``."""
        width, height = self.size
        centre = np.array(self.size) / 2
        margin = (np.array(self.canvas.shape[1::-1]) - self.size) // 2
        images = []
        for zoom, shift in zip(self.zoom, self.shift, strict=True):
            if zoom == 1:
                # Whole pixels, of which two or more make one of the video: no need to resample.
                x, y = (int(n) for n in margin - shift)
                images.append(self.canvas[y : y + height, x : x + width].copy())
                continue
            move = centre + shift - zoom * (centre + margin)
            matrix = np.array([[zoom, 0, move[0]], [0, zoom, move[1]]])
            moved = cv2.warpAffine(self.canvas, matrix, self.size, borderMode=cv2.BORDER_REPLICATE)
            images.append(moved.astype(np.uint8, copy=False))
        zooms, shifts = self.zoom[:, None, None], self.shift[:, None]

        def film(outline: Array) -> Array:
            return np.asarray(zooms * (outline - centre) + centre + shifts)

        made = _placed(figures.parts(seen, body, _EDGE / self.stature), self.foot, self.stature)
        made += [self.ball] if self.ball is not None else []
        figures.draw(
            images,
            [
                part._replace(
                    outline=film(part.outline),
                    edge=film(part.edge),
                    colour=_lit(part.colour, self.light),
                )
                for part in made
            ],
        )
        return images


def _placed(made: list[figures.Part], at: Array, stature: float) -> list[figures.Part]:
    """Return parts in pixels."""
    return [
        part._replace(outline=at + stature * part.outline, edge=at + stature * part.edge)
        for part in made
    ]


def _lit(paint: Colour, light: Image) -> Colour:
    return int(light[paint[0]]), int(light[paint[1]]), int(light[paint[2]])


def _room(
    generator: np.random.Generator,
    wall: str,
    body: Body,
    size: tuple[int, int],
    *,
    ground: float,
    tall: float,
) -> Image:
    """Paint wall and floor, in colours that are not those of the clothes."""
    width, height = size
    clothes = np.array([body.top, body.trousers, body.skin], float)

    def contrast(paint: Colour) -> float:
        return float(np.abs(clothes - paint).mean(axis=1).min())

    choices = [colour(*generator.uniform((0, 0.05, 0.3), (1, 0.42, 0.95))) for _ in range(4)]
    base = max(choices, key=contrast)
    hue, saturation, value = colorsys.rgb_to_hsv(*(c / 255 for c in base))
    turn, fade, sign = generator.uniform((-0.12, 0.12, -1), (0.12, 0.3, 1))
    other = colour(hue + turn, saturation * 0.9, np.clip(value + np.sign(sign) * fade, 0.15, 1))
    mix = pattern(generator, wall, width, height).astype(np.float32)[..., None]
    image = np.array(base, np.float32) * (1 - mix) + np.array(other, np.float32) * mix
    horizon = round(ground - tall * generator.uniform(0.07, 0.16))
    floor = colour(*generator.uniform((0, 0.05, 0.2), (1, 0.4, 0.7)))
    rows = max(height - horizon, 1)
    shade = np.linspace(0.8, 1.15, rows, dtype=np.float32)[:, None, None]
    image[horizon:] = (np.array(floor, np.float32) * shade)[: max(height - horizon, 0)]
    # Light from one side.
    slope = generator.uniform(-0.2, 0.2)
    image *= np.linspace(1 - slope, 1 + slope, width, dtype=np.float32)[:, None]
    return np.clip(image, 0, 255).astype(np.uint8)


def pattern(
    generator: np.random.Generator, wall: str, width: int, height: int
) -> NDArray[np.float32]:
    """Return how much of a wall's second colour each pixel has, ``(height, width)`` in [0, 1]."""
    mix = np.zeros((height, width), np.float32)
    if wall == "gradient":
        angle = generator.uniform(0, 2 * np.pi)
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        mix += (x * np.cos(angle) + y * np.sin(angle)) * 0.35 + 0.5
        return mix
    if wall == "clouds":
        for cells, weight in ((4, 0.5), (9, 0.3), (24, 0.2)):
            noise = generator.random((cells, cells), np.float32)
            mix += weight * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
        return np.clip((mix - 0.5) * 2 + 0.5, 0, 1, out=mix)
    if wall == "planks":
        count = int(generator.integers(5, 14))
        upright = generator.random() < 0.6
        planks = generator.random((1, count) if upright else (count, 1)).astype(np.float32)
        mix += cv2.resize(planks, (width, height), interpolation=cv2.INTER_NEAREST)
        return mix
    if wall == "tiles":
        step = int(generator.integers(height // 12, height // 5))
        tiles = generator.random((height // step + 2, width // step + 2), np.float32) * 0.5
        if generator.random() < 0.5:
            tiles = (np.indices(tiles.shape).sum(axis=0) % 2).astype(np.float32) * 0.8
        tiles = tiles.repeat(step, axis=0).repeat(step, axis=1)
        tiles[::step] = 1.0
        tiles[:, ::step] = 1.0
        # Cut anywhere, or the joints of the left edge would tell a mirror image.
        top, left = (int(n) for n in generator.integers(step, size=2))
        return tiles[top : top + height, left : left + width]
    count = int(generator.integers(5, 12))
    for x, y, size, stretch, level, angle in generator.uniform(
        (0, 0, 0.05, 0.6, 0.2, 0), (1, 0.85, 0.2, 1.6, 1.0, 180), (count, 6)
    ):
        at = (round(x * width), round(y * height))
        across, down = round(size * height), round(size * stretch * height)
        if wall == "pictures":
            corner, far = (at[0] - across, at[1] - down), (at[0] + across, at[1] + down)
            cv2.rectangle(mix, corner, far, 1.0, -1)
            inner = max(across // 6, 2)
            corner, far = (corner[0] + inner, corner[1] + inner), (far[0] - inner, far[1] - inner)
            cv2.rectangle(mix, corner, far, 1.0 - level, -1)
        elif wall == "discs":
            cv2.circle(mix, at, across, level, -1, cv2.LINE_AA)
        else:
            cv2.ellipse(mix, at, (2 * across, down), angle, 0, 360, level, -1)
    if wall == "blobs":
        cv2.blur(cv2.blur(mix, (15, 15)), (15, 15), dst=mix)
    return mix


def _stool(
    canvas: Image,
    foot: Array,
    stature: float,
    top: float,
    body: Body,
    yaw: float,
    paint: Colour,
) -> None:
    """Draw shadow and stool: a cylinder behind the figure, as high as its seat."""
    dark = canvas.copy()
    centre = (round(foot[0]), round(foot[1]))
    cv2.ellipse(
        dark, centre, (round(0.26 * stature), round(0.06 * stature)), 0, 0, 360, (0, 0, 0), -1
    )
    cv2.addWeighted(dark, 0.3, canvas, 0.7, 0, dst=canvas)
    back = -figures.THIGH * body.leg * 0.93
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.stack([0.13 * np.cos(angle), 0 * angle, 0.13 * np.sin(angle) + back], axis=1)
    rings = {"top": ring + np.array([0, top, 0]), "foot": ring}
    seen = figures.project(rings, yaw)
    outline = {name: at[None, :, :2] for name, at in seen.items()}
    side = np.concatenate([outline["top"], outline["foot"]], axis=1)
    shaded = (int(paint[0] * 0.75), int(paint[1] * 0.75), int(paint[2] * 0.75))
    depth = np.zeros(1)
    top_plate = outline["top"]
    made = [
        figures.Part(side, side, depth, shaded),
        figures.Part(top_plate, top_plate, depth + 1, paint),
    ]
    figures.draw([canvas], _placed(made, foot, stature))


def _camera(generator: np.random.Generator, num_frames: int, width: int) -> dict[str, Array]:
    """Return zoom and shift of a camera that stands, pans, zooms or is held in a hand."""
    kind = generator.choice(["still", "pan", "zoom", "hand"], p=[0.4, 0.2, 0.2, 0.2])
    # From one end to the other, either of which is as likely the first.
    ends = generator.uniform(-1, 1, (2, 3))
    path = np.linspace(ends[0], ends[1], num_frames)
    turns = generator.uniform(0, 2 * np.pi, (2, 2))
    steps = np.arange(num_frames)[:, None] * generator.uniform(0.1, 0.5, 2)
    zoom, shift = np.ones(num_frames), np.zeros((num_frames, 2))
    if kind == "pan":
        shift = np.round(path[:, :2] * (0.06 * width, 0.01 * width))
    elif kind == "zoom":
        zoom = 1 + 0.1 * path[:, 2]
    elif kind == "hand":
        waves = np.sin(steps + turns[0]) + np.sin(2.3 * steps + turns[1]) / 2
        shift = np.round(0.008 * width * waves)
    return {"zoom": zoom, "shift": shift}


def _ball(
    generator: np.random.Generator, num_frames: int, width: int, height: int
) -> figures.Part | None:
    """Return the path of a ball behind the figure, in a part of the clips."""
    begin, end = generator.random((2, 2)) * np.array([width, height * 0.8])
    radius, hue = generator.uniform((0.03, 0), (0.07, 1))
    if generator.random() > 0.25:
        return None
    centre = np.linspace(begin, end, num_frames)
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = radius * height * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    outline = centre[:, None] + ring
    # Behind all parts of the figure.
    return figures.Part(outline, outline, np.full(num_frames, -9.0), colour(hue, 0.6, 0.8))


def exposure(generator: np.random.Generator) -> Image:
    """Return a table of exposure and contrast, uint8 ``(256,)``, as :func:`cv2.LUT` takes it."""
    gain, gamma, lift = generator.uniform((0.75, 0.85, 0), (1.1, 1.25, 12))
    values = np.arange(256) / 255
    return np.asarray(np.clip(255 * gain * values**gamma + lift, 0, 255).astype(np.uint8))


def add_noise(frames: Image, generator: np.random.Generator) -> None:
    """Add the noise of a sensor in place: mostly of brightness, new in each frame."""
    height, width = frames.shape[1:3]
    margin = 24
    grain = generator.standard_normal((height + margin, width + margin), np.float32)
    # Weaker noise of colour: the same field from other places.
    colours = np.stack([grain[::-1], grain[:, ::-1], grain[::-1, ::-1]], axis=-1)
    strength = np.float32(generator.uniform(1.5, 6.0))
    field = ((grain[..., None] + 0.4 * colours) * strength).round().astype(np.int16)
    # One field, shifted and turned: as good as fresh noise to the eye, at a tenth of its cost.
    for frame, (y, x, turn) in zip(
        frames, generator.integers((margin, margin, 4), size=(len(frames), 3)), strict=True
    ):
        tile = field[y : y + height, x : x + width][:: 1 - 2 * (turn & 1), :: 1 - (turn & 2)]
        cv2.add(frame, np.ascontiguousarray(tile), dst=frame, dtype=cv2.CV_8U)
