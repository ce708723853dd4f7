"""Which frames of a video make a clip: pure functions of a count or of timestamps.

A generator means training: the choice is random and every possible choice can be drawn. Without
one the choice is fixed: the middle of each segment, views spread evenly over the video. Positions
are int64 frame numbers; ``real`` says which of them are frames of their own and which repeat one
because the video is short.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from videolit.types import ClipSpec, InputError, Short


class FrameChoice(NamedTuple):
    """The frames of one clip.

    Attributes:
        indices: int64 ``(T,)``, frame numbers in the video.
        real: bool ``(T,)``; False = padding after the last frame.
    """

    indices: NDArray[np.int64]
    real: NDArray[np.bool_]


def uniform(
    count: int, num_frames: int, *, generator: np.random.Generator | None = None, view: float = 0.5
) -> NDArray[np.int64]:
    """Take one frame of each of ``num_frames`` equal segments (TSN, Wang et al. 2016, section 3.1).

    Args:
        count: Frames in the video, at least ``num_frames``.
        num_frames: Segments.
        generator: Draws the place within each segment, each on its own.
        view: Without a generator, the place within every segment, in [0, 1).

    Returns:
        int64 ``(num_frames,)``, ascending and without repeats.
    """
    edges = np.arange(num_frames + 1) * count / num_frames
    place: NDArray[np.float64] | float = view
    if generator is not None:
        place = generator.random(num_frames)
    drawn = np.floor(edges[:-1] + place * np.diff(edges)).astype(np.int64)
    # Where a border between segments is no whole number, both may draw the frame that it cuts:
    # the running maximum moves the second one on, the minimum leaves room for those that follow.
    steps = np.arange(num_frames)
    apart = np.maximum.accumulate(drawn - steps) + steps
    return np.minimum(apart, count - num_frames + steps)


def dense(
    count: int,
    num_frames: int,
    stride: int,
    *,
    generator: np.random.Generator | None = None,
    view: float = 0.5,
) -> NDArray[np.int64]:
    """Take ``num_frames`` frames, ``stride`` apart.

    Args:
        count: Frames in the video. Positions may exceed it when the video is shorter than the clip.
        num_frames: Frames of the clip.
        stride: Step between frames.
        generator: Draws the start from all that fit, the last one included.
        view: Without a generator, the start as a share of the last possible one, in [0, 1].

    Returns:
        int64 ``(num_frames,)``.
    """
    last = max(count - ((num_frames - 1) * stride + 1), 0)
    start = int(generator.integers(last + 1)) if generator is not None else round(view * last)
    return start + np.arange(num_frames, dtype=np.int64) * stride


def dense_times(
    last_time: float,
    num_frames: int,
    fps: float,
    *,
    generator: np.random.Generator | None = None,
    view: float = 0.5,
) -> NDArray[np.float64]:
    """Take ``num_frames`` moments, ``1 / fps`` seconds apart.

    Args:
        last_time: When the last frame begins, in seconds from the first.
        num_frames: Moments.
        fps: Moments a second.
        generator: Draws the start.
        view: Without a generator, the start as a share of the last possible one, in [0, 1].

    Returns:
        float64 ``(num_frames,)`` seconds; beyond ``last_time`` when the video is shorter.
    """
    last = max(last_time - (num_frames - 1) / fps, 0.0)
    start = generator.uniform(0.0, last) if generator is not None else view * last
    return start + np.arange(num_frames) / fps


def fill(indices: NDArray[np.int64], count: int, short: Short) -> FrameChoice:
    """Bring positions beyond the end of a short video back into it.

    Args:
        indices: int64 ``(T,)``, ascending from 0 on.
        count: Frames in the video, at least 1.
        short: ``"loop"`` starts over, ``"hold"`` repeats the last frame, ``"mask"`` does so and
            marks the repeats as padding.
    """
    inside = indices < count
    if short == "loop":
        # Starts over with the first frame that was taken, so that the rhythm of the step remains.
        taken = int(inside.sum())
        return FrameChoice(indices[np.arange(len(indices)) % taken], np.ones(len(indices), bool))
    held = np.minimum(indices, count - 1)
    real = inside if short == "mask" else np.ones(len(indices), bool)
    return FrameChoice(held, real)


def drop_frames(choice: FrameChoice, lost: NDArray[np.bool_]) -> FrameChoice:
    """Let the frame before stay on screen where one is lost.

    Args:
        choice: The frames of a clip.
        lost: bool ``(T,)``; the first frame of a clip cannot be lost.
    """
    at = np.where(lost, 0, np.arange(len(lost)))
    return FrameChoice(choice.indices[np.maximum.accumulate(at)], choice.real)


def choose_frames(
    timestamps: NDArray[np.float64],
    spec: ClipSpec,
    *,
    generator: np.random.Generator | None = None,
    view: int = 0,
    num_views: int = 1,
    speed: float = 1.0,
) -> FrameChoice:
    """Choose the frames of one clip as ``spec`` asks.

    Args:
        timestamps: float64 ``(N,)`` seconds, ascending: the frames of the video, or of the part of
            it that is labelled.
        spec: What to take.
        generator: The sample's own generator when training.
        view: Without a generator, which of ``num_views`` views.
        num_views: Views of the video.
        speed: Factor of the step between frames; with ``"uniform"`` and ``"whole"`` the share of
            the video that the clip shows, at most all of it and at a place that the generator
            draws.

    Returns:
        Positions within ``timestamps`` and which of them are real. The first is always real.

    Raises:
        InputError: If there is no frame to choose from.
    """
    count = len(timestamps)
    if count == 0:
        raise InputError("no frame lies in the labelled part of the video")
    if speed != 1 and spec.sampling == "dense":
        if spec.fps is not None:
            spec = dataclasses.replace(spec, fps=spec.fps / speed)
        else:
            spec = dataclasses.replace(spec, frame_stride=max(round(spec.frame_stride * speed), 1))
    elif speed < 1:
        shown = max(math.ceil(count * speed), 1)
        first = int(generator.integers(count - shown + 1)) if generator is not None else 0
        part = choose_frames(
            timestamps[first : first + shown],
            spec,
            generator=generator,
            view=view,
            num_views=num_views,
        )
        return FrameChoice(part.indices + first, part.real)
    if spec.sampling == "uniform":
        if count < spec.num_frames:
            return fill(np.arange(spec.num_frames, dtype=np.int64), count, spec.short)
        place = (view + 0.5) / num_views
        indices = uniform(count, spec.num_frames, generator=generator, view=place)
        return FrameChoice(indices, np.ones(len(indices), bool))
    # Views spread from the first possible start to the last; a single one sits in the middle.
    place = view / (num_views - 1) if num_views > 1 else 0.5
    relative = timestamps - timestamps[0]
    step = float(np.median(np.diff(relative))) if count > 1 else 0.0
    duration = float(relative[-1]) + step
    if spec.sampling == "whole":
        return _whole(relative, duration, spec)
    if spec.fps is None:
        indices = dense(count, spec.num_frames, spec.frame_stride, generator=generator, view=place)
        return fill(indices, count, spec.short)
    times = dense_times(
        float(relative[-1]), spec.num_frames, spec.fps, generator=generator, view=place
    )
    indices = _frames_at(relative, times)
    # A moment after the video's end is a position after its last frame: `fill` decides about it.
    indices[times >= max(duration, 1e-9)] = count
    return fill(indices, count, spec.short)


def _whole(relative: NDArray[np.float64], duration: float, spec: ClipSpec) -> FrameChoice:
    """Take the whole video at the rate of ``spec``, thinned evenly to ``spec.num_frames``."""
    count = len(relative)
    if spec.fps is None:
        indices = np.arange(0, count, spec.frame_stride, dtype=np.int64)
    else:
        moments = np.arange(max(int(np.ceil(duration * spec.fps - 1e-6)), 1)) / spec.fps
        indices = _frames_at(relative, moments)
    if len(indices) > spec.num_frames:
        indices = indices[uniform(len(indices), spec.num_frames)]
    return FrameChoice(indices, np.ones(len(indices), bool))


def _frames_at(timestamps: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the frame on screen at each time: the last one that began at or before it."""
    # Timestamps are rounded to the container's clock: half a millisecond lets 0.04 find 0.0400004.
    found = np.searchsorted(timestamps, times + 5e-4, side="right") - 1
    return np.clip(found, 0, len(timestamps) - 1).astype(np.int64)
