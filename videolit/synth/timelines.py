"""Generated long videos: a figure performs several actions, and stands still between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from videolit.data.writer import write_video
from videolit.synth.actions import ACTIONS, ENCODER, POOLS, Split, render_action
from videolit.synth.scenes import add_noise
from videolit.types import InputError

_FPS = 15


class Planted(NamedTuple):
    """An action of a generated long video.

    Attributes:
        start: Seconds from the first frame.
        end: Seconds.
        name: One of ``ACTIONS``.
    """

    start: float
    end: float
    name: str


def write_timeline(
    path: str | Path,
    *,
    seed: int,
    num_actions: int = 10,
    actions: Sequence[str] = ACTIONS,
    still: tuple[float, float] = (1.0, 4.0),
    split: Split = "test",
    size: tuple[int, int] = (128, 96),
) -> list[Planted]:
    """Write a long video with known actions, 15 frames per second, as H.264.

    Each action is one clip of :func:`videolit.synth.actions.render_action`. Before it its first
    frame and after it its last frame stand still, with the noise of a sensor; where they meet, the
    picture jumps. All actions of a video are of one performer in one scene.

    Args:
        path: File to write.
        seed: Of the actions, their order and everything that they show.
        num_actions: How many actions.
        actions: What they are drawn from.
        still: Fewest and most seconds without an action before each and after the last.
        split: Whose bodies, backgrounds and speeds to draw from.
        size: Width and height in pixels, even.

    Returns:
        What was planted when, in order.

    Raises:
        InputError: If a setting is out of range.
    """
    if num_actions < 1 or not actions:
        raise InputError(f"give at least one action, got {num_actions} of {list(actions)}")
    if not 0 <= still[0] <= still[1]:
        raise InputError(f"still must be (fewest, most) seconds from 0 on, got {still}")
    generator = np.random.default_rng(seed)
    planted: list[Planted] = []

    def frames() -> Iterator[NDArray[np.uint8]]:
        number = 0
        last: NDArray[np.uint8] | None = None
        scene = int(generator.integers(2**62))
        performer = int(generator.integers(POOLS[split].performers))
        for _ in range(num_actions):
            name = str(generator.choice(list(actions)))
            clip = render_action(
                name,
                seed=scene,
                split=split,
                size=size,
                performer=performer,
                noise=False,
                fps=_FPS,
            )
            rest = round(generator.uniform(*still) * _FPS)
            after = rest // 2 if last is not None else 0
            stood = [] if last is None else [last] * after
            piece = np.stack([*stood, *([clip[0]] * (rest - after)), *clip])
            add_noise(piece, generator)
            start = (number + rest) / _FPS
            planted.append(Planted(start, start + len(clip) / _FPS, name))
            number += len(piece)
            last = clip[-1]
            yield from piece
        assert last is not None
        piece = np.stack([last] * max(round(generator.uniform(*still) * _FPS), 1))
        add_noise(piece, generator)
        yield from piece

    write_video(path, frames(), _FPS, options=ENCODER)
    return planted
