"""The planted rule of generated long videos: what is important, and what annotators say of it.

A video is a series of shots with hard cuts; each shows one of ``EVENTS``. The importance of a
moment is 0.2 × what the event is worth (the picture tells) + 0.25 where the video shows the event
for the first time (needs memory of all that was) + 0.4 in the 8 seconds after a bell has rung
(needs the last seconds) + 0.15 where the camera comes nearer instead of leaving (needs order in
time). The four are drawn independently, so a frame alone tells only the first of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# What each event is worth, in [0, 1].
EVENTS: dict[str, float] = {
    "fireworks": 1.0,
    "ball_on_grass": 1.0,
    "jump_on_beach": 0.67,
    "bow_on_stage": 0.67,
    "balloon": 0.33,
    "wave_in_snow": 0.33,
    "boat_at_sea": 0.0,
    "car_on_road": 0.0,
}
WORTH, FIRST, BELL, NEARER = 0.2, 0.25, 0.4, 0.15
# Annotators give one score to each piece of two seconds, from 1 to 5, as TVSum's (Song et al. 2015,
# section 4.1).
PIECE = 2.0
LEVELS = 5
BELL_SECONDS = 1.0
# How long what follows a bell is important.
ECHO_SECONDS = 8.0
# Least and most seconds of a shot.
_SHOT = (2.5, 8.5)
_BELL_SHARE, _REPLAY_SHARE = 0.25, 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shot:
    """One shot of a planned video.

    Attributes:
        start: Frame of its first picture.
        stop: Frame after its last.
        event: One of ``EVENTS``.
        first: Whether the video shows the event for the first time.
        nearer: Whether the camera comes nearer; it leaves otherwise.
        bell: Frame at which the bell begins to ring in this shot; None = it does not.
        replay_of: Number of an earlier shot that shows the same place and performers; None = new
            ones.
    """

    start: int
    stop: int
    event: str
    first: bool
    nearer: bool
    bell: int | None
    replay_of: int | None


def plan_shots(generator: np.random.Generator, num_frames: int, fps: float) -> list[Shot]:
    """Draw the shots of a video.

    Half of the shots, but no more than there are events, show something for the first time; where
    these lie is drawn evenly, so that the place in the video tells little.

    Args:
        generator: Source of all draws.
        num_frames: Frames of the video.
        fps: Frames per second.

    Returns:
        Shots that cover the video without gaps.
    """
    cuts = _cuts(generator, num_frames, fps)
    count = len(cuts) - 1
    events = [str(event) for event in generator.permutation(list(EVENTS))]
    num_first = min(len(events), (count + 1) // 2)
    firsts = np.zeros(count, bool)
    firsts[0] = True
    firsts[1 + generator.permutation(count - 1)[: num_first - 1]] = True
    ring = round(BELL_SECONDS * fps)
    shots: list[Shot] = []
    for number, first in enumerate(firsts):
        start, stop = cuts[number], cuts[number + 1]
        shown = events[: sum(firsts[:number])]
        event = events[len(shown)] if first else str(generator.choice(shown))
        earlier = [place for place, shot in enumerate(shots) if shot.event == event]
        replay, bell, nearer, chosen = generator.random(4)
        copied = not first and replay < _REPLAY_SHARE
        # The first half second stays free, or a low rate of steps could give it to the shot before.
        at = int(generator.integers(start + round(fps / 2), stop - ring + 1))
        shots.append(
            Shot(
                start=start,
                stop=stop,
                event=event,
                first=bool(first),
                nearer=bool(nearer < 0.5),
                bell=at if bell < _BELL_SHARE else None,
                replay_of=earlier[int(chosen * len(earlier))] if copied else None,
            )
        )
    return shots


def _cuts(generator: np.random.Generator, num_frames: int, fps: float) -> list[int]:
    """Return the frames at which shots begin, and the number of frames."""
    mean = sum(_SHOT) / 2
    count = max(round(num_frames / fps / mean), 1)
    lengths = generator.uniform(*_SHOT, count)
    edges = np.round(np.cumsum(lengths) / lengths.sum() * num_frames).astype(int)
    return [0, *(int(edge) for edge in edges)]


def frame_importance(shots: Sequence[Shot], fps: float) -> NDArray[np.float64]:
    """Return the noiseless importance of each frame, ``(T,)`` in [0, 1]."""
    values = [WORTH * EVENTS[s.event] + FIRST * s.first + NEARER * s.nearer for s in shots]
    after = np.zeros(shots[-1].stop, bool)
    for shot in shots:
        if shot.bell is not None:
            silent = shot.bell + round(BELL_SECONDS * fps)
            after[silent : silent + round(ECHO_SECONDS * fps)] = True
    return np.repeat(values, [shot.stop - shot.start for shot in shots]) + BELL * after


def content_importance(shots: Sequence[Shot]) -> NDArray[np.float64]:
    """Return all that a single frame tells of its importance, ``(T,)``: the event's worth."""
    worth = [EVENTS[shot.event] for shot in shots]
    return np.repeat(worth, [shot.stop - shot.start for shot in shots])


def simulate_annotators(
    generator: np.random.Generator, importance: NDArray[np.float64], fps: float, num_users: int
) -> NDArray[np.float64]:
    """Return what annotators say of each piece of two seconds.

    Each annotator has a spread, an offset, thresholds between levels and noise of its own; the
    noise is one draw for each piece.

    Args:
        generator: Source of all draws.
        importance: Of each frame, ``(T,)`` in [0, 1].
        fps: Frames per second.
        num_users: Annotators ``U``.

    Returns:
        ``(U, P)``: the scores 1 to 5 as 0, 0.25, 0.5, 0.75, 1, for ``P`` pieces.
    """
    piece = np.floor(np.arange(len(importance)) / (PIECE * fps)).astype(int)
    mean = np.bincount(piece, importance) / np.bincount(piece)
    scores = np.empty((num_users, len(mean)))
    for user in range(num_users):
        noise, gain, offset = generator.uniform((0.12, 0.8, -0.12), (0.24, 1.3, 0.12))
        said = 0.45 + offset + gain * (mean - 0.45) + noise * generator.standard_normal(len(mean))
        thresholds = np.arange(1, LEVELS) / LEVELS + generator.uniform(-0.06, 0.06, LEVELS - 1)
        scores[user] = np.searchsorted(np.sort(thresholds), said) / (LEVELS - 1)
    return scores


def at_frames(
    scores: NDArray[np.float64], frames: NDArray[np.int64], fps: float
) -> NDArray[np.float64]:
    """Return the scores of pieces ``(U, P)`` at some frames, ``(U, T)``."""
    pieces = np.floor(frames / (PIECE * fps)).astype(int)
    return np.asarray(scores[:, pieces])
