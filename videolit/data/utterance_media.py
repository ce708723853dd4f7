"""Picture and sound of an utterance, and why one of them is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from videolit.data.focus import focus
from videolit.data.index import Decoder
from videolit.data.reader import VideoReader
from videolit.data.sentiment_records import Utterance
from videolit.data.sniff import DEMUXERS
from videolit.data.sniff_sound import sniff_sound
from videolit.data.sound_track import Sound, iter_sound, read_sound, why_unusable
from videolit.data.transforms import ClipTransform, eval_crops
from videolit.ops.sampling import choose_frames
from videolit.types import ClipSpec, InputError, VideoError

# Left, top, right and bottom of a face in pixels.
Box = tuple[float, float, float, float]
FaceFinder = Callable[[NDArray[np.uint8]], Box | None]

# A face's box in most detectors ends at chin and brow; hair, neck and tilt need room.
_FACE_MARGIN = 0.25


class Picture(NamedTuple):
    """Frames of an utterance.

    Attributes:
        frames: uint8 ``(T, size, size, 3)`` RGB.
        seconds: float32 ``(T,)``, when each begins, from the utterance's beginning.
    """

    frames: NDArray[np.uint8]
    seconds: NDArray[np.float32]


class NoModality(Exception):
    """An utterance lacks a modality; the message says why in one line."""


def interval_of(utterance: Utterance, max_seconds: float) -> tuple[float, float | None]:
    """Return start and end in seconds of what is read; the end is None where it is not known."""
    start = utterance.start or 0.0
    end = utterance.end
    return start, None if end is None else min(end, start + max_seconds)


def read_picture(
    utterance: Utterance,
    spec: ClipSpec,
    max_seconds: float,
    *,
    transform: ClipTransform | None = None,
    generator: np.random.Generator | None = None,
    face: FaceFinder | None = None,
    decoder: Decoder = "auto",
) -> Picture:
    """Read the frames of an utterance.

    Args:
        utterance: With a path.
        spec: Which frames, and their geometry; of one view and crop.
        max_seconds: Longest part of it, from its beginning.
        transform: Augmentation of training; None = the crop of test and use.
        generator: The sample's own; needed with ``transform``.
        face: Finds a face in a frame, where the utterance tells none; the largest square around the
            faces of all frames takes the place of the frame. None = the frame as it is.
        decoder: See :class:`~videolit.data.reader.VideoReader`.

    Raises:
        NoModality: If there is no picture, or it cannot be read.
        InputError: If a face lies outside of the frame, or the finder fails.
    """
    if utterance.path is None:
        raise NoModality(utterance.problem or "there is no file")
    try:
        if sniff_sound(utterance.path) not in DEMUXERS:
            raise NoModality("the file has sound only")
        with VideoReader(utterance.path, decoder) as reader:
            times = reader.timestamps
            start, end = interval_of(utterance, max_seconds)
            stop = start + max_seconds if end is None else end
            part = np.flatnonzero((times >= start) & (times < stop))
            if len(part) == 0:
                raise NoModality(
                    f"no frame between {start:g} s and {stop:g} s; the last is at {times[-1]:.2f} s"
                )
            if transform is None:
                choice = choose_frames(times[part], spec)
            else:
                assert generator is not None
                choice = transform.choose(times[part], spec, generator)
            places = part[choice.indices[choice.real]]
            frames = list(reader.read(places))
    except VideoError as problem:
        raise NoModality(f"the picture cannot be read: {problem.reason}") from problem
    frames = _around_faces(utterance, frames, face)
    if spec.focus == "motion":
        frames = focus(frames)
    seconds = (times[places] - start).astype(np.float32)
    if transform is None:
        return Picture(eval_crops(frames, spec)[0], seconds)
    assert generator is not None
    aspect = 1.0 if spec.stretch else frames[0].shape[1] / frames[0].shape[0]
    cut = transform.draw(aspect, generator)
    return Picture(transform.apply(frames, spec.size, cut, generator), seconds)


def read_voice(utterance: Utterance, sample_rate: int, max_seconds: float) -> Sound:
    """Read the sound of an utterance.

    Args:
        utterance: With a path.
        sample_rate: Samples per second that are wanted.
        max_seconds: Longest part of it, from its beginning.

    Raises:
        NoModality: If there is no sound, it is silent, or it cannot be read.
    """
    if utterance.path is None:
        raise NoModality(utterance.problem or "there is no file")
    start, end = interval_of(utterance, max_seconds)
    try:
        if end is None and start == 0:
            sound = next(iter_sound(utterance.path, max_seconds, sample_rate=sample_rate))
        else:
            sound = read_sound(utterance.path, sample_rate=sample_rate, start=start, end=end)
            most = round(max_seconds * sample_rate)
            sound = sound._replace(samples=sound.samples[:most])
    except StopIteration:
        raise NoModality("the sound is empty") from None
    except VideoError as problem:
        raise NoModality(f"the sound cannot be read: {problem.reason}") from problem
    if why := why_unusable(sound):
        raise NoModality(why)
    return sound


def _around_faces(
    utterance: Utterance, frames: list[NDArray[np.uint8]], face: FaceFinder | None
) -> list[NDArray[np.uint8]]:
    """Return the frames cut to the faces that the utterance or the finder tells, else whole."""
    told = utterance.face
    find = face if told is None else lambda frame: told
    if find is None:
        return frames
    try:
        return crop_faces(frames, find)
    except InputError as problem:
        raise InputError(f"{utterance.path}, utterance {utterance.id!r}: {problem}") from problem
    # The finder is the user's: anything may go wrong in it, and only here the file is known.
    except Exception as problem:
        raise InputError(
            f"{utterance.path}, utterance {utterance.id!r}: the face finder failed with "
            f"{type(problem).__name__}: {problem}"
        ) from problem


def crop_faces(frames: Sequence[NDArray[np.uint8]], face: FaceFinder) -> list[NDArray[np.uint8]]:
    """Cut all frames to one square around the faces in them; without a face they stay whole.

    Args:
        frames: ``T`` frames, uint8 ``(H, W, 3)`` RGB.
        face: Returns left, top, right and bottom in pixels, or None.

    Raises:
        InputError: If a box has no area within the frame.
    """
    boxes = [box for box in map(face, frames) if box is not None]
    if not boxes:
        return list(frames)
    height, width = frames[0].shape[:2]
    low, high = np.min(boxes, 0)[:2], np.max(boxes, 0)[2:]
    if (high <= low).any() or (high <= 0).any() or (low >= (width, height)).any():
        raise InputError(
            "a face is left, top, right and bottom in pixels, within a frame of "
            f"{width}×{height}; got {boxes[0]}"
        )
    side = min(float((high - low).max()) * (1 + _FACE_MARGIN), float(min(height, width)))
    middle = (low + high) / 2
    left = round(float(np.clip(middle[0] - side / 2, 0, width - side)))
    top = round(float(np.clip(middle[1] - side / 2, 0, height - side)))
    size = max(int(side), 1)
    return [frame[top : top + size, left : left + size] for frame in frames]
