"""Clips of a manifest's videos as samples of a map-style data set, and their batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NotRequired, TypedDict

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from videolit.data.focus import focus
from videolit.data.index import IndexCache
from videolit.data.loader import Watch
from videolit.data.manifest import Manifest
from videolit.data.prepared import PreparedVideo
from videolit.data.reader import Decoder, VideoReader
from videolit.data.sampler import SampleKey
from videolit.data.transforms import ClipTransform, eval_crops, eval_size
from videolit.ops.sampling import FrameChoice, choose_frames
from videolit.types import ClipSpec, InputError, Unread, VideoBatch, VideoError

# So many broken files in a row are no accident.
_MOST_SUBSTITUTES = 10


# A class; -1 = unknown; or float32 (K,), 1 where a class is shown.
Label = int | NDArray[np.float32]


class Sample(TypedDict):
    """One sample: the batch's entries without their first dimension."""

    video: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    label: NotRequired[Label]
    index: int
    counts: bool
    video_id: str
    error: str
    unread: list[Unread]


class ClipDataset(Dataset[Sample]):
    """The clips of a manifest.

    A sample depends on its key and the seed alone: the process or worker that makes it, and what it
    made before, do not matter. A video that cannot be read gives a sample that says why in
    ``error``; in training another sample of its class takes its place. ``unread`` names it, and
    the DataModule decides what follows.

    Args:
        manifest: The samples.
        spec: Frames and geometry.
        transform: Augmentation of training; None = the crops of test and use.
        mirrored: int64 ``(K,)``, the label of each class's mirror image, -1 where there is none.
        clips_per_video: Clips that are made of a video each time it is opened for training, each
            drawn on its own.
        seed: Decides all chance together with the key.
        decoder: See :class:`~videolit.data.reader.VideoReader`.
        cache: Where verified file records are kept; None = on disk.
        watch: Is told what is being read, and limits its time.
    """

    def __init__(
        self,
        manifest: Manifest,
        spec: ClipSpec,
        *,
        transform: ClipTransform | None = None,
        mirrored: NDArray[np.int64] | None = None,
        clips_per_video: int = 1,
        seed: int = 0,
        decoder: Decoder = "auto",
        cache: IndexCache | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.manifest = manifest
        self.spec = spec
        self.transform = transform
        self.mirrored = mirrored
        self.clips_per_video = clips_per_video
        self.seed = seed
        self.decoder: Decoder = decoder
        self.cache = cache
        self.watch = watch or Watch()

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.manifest)

    def place(self, index: int) -> str:
        """Return where the video of a sample lies, for a message."""
        return self.manifest.place(index)

    def __getitem__(self, key: SampleKey | int) -> Sample:
        """Make the sample of a key, one clip; a plain index stands for its first epoch."""
        return self._samples(key, 1)[0]

    def __getitems__(self, keys: Sequence[SampleKey | int]) -> list[Sample]:
        """Make the samples of a batch, ``clips_per_video`` of each key; the loader asks for it."""
        return [sample for key in keys for sample in self._samples(key, self.clips_per_video)]

    def _samples(self, key: SampleKey | int, clips: int) -> list[Sample]:
        """Make the clips of a key, or of another key where its video cannot be read."""
        if isinstance(key, int):
            # From a user, or from Lightning's own sampler when it overfits a few batches.
            key = SampleKey(0, key, True)
        samples = self._made(key, clips)
        if self.transform is None or not samples[0]["error"]:
            return samples
        unread = samples[0]["unread"]
        for index in self._substitutes(key):
            samples = self._made(key._replace(index=index), clips)
            unread += samples[0]["unread"]
            if not samples[0]["error"]:
                break
        samples[0]["unread"] = unread
        return samples

    def _made(self, key: SampleKey, clips: int) -> list[Sample]:
        """Make the clips of a key, or as many that say why they cannot be made."""
        name = self.manifest.video_id(key.index)
        error = ""
        unread: list[Unread] = []
        self.watch.note(key.index)
        try:
            if self.transform is None:
                made = [(*self._views(key.index), self._label(key.index))]
            else:
                made = self._augmented(key, clips)
        except (VideoError, InputError) as problem:
            error = problem.reason if isinstance(problem, VideoError) else str(problem)
            decoder = "prepared" if self.manifest.suffix else self.decoder
            unread = [{"path": name, "reason": error, "decoder": decoder}]
            made = [(*self._blank(), self._label(key.index))] * clips
        samples: list[Sample] = []
        for video, mask, shown in made:
            sample: Sample = {
                "video": video,
                "mask": mask,
                "index": key.index,
                "counts": key.counts and not error,
                "video_id": name,
                "error": error,
                "unread": [] if samples else unread,
            }
            if not isinstance(shown, int) or shown >= 0:
                sample["label"] = shown
            samples.append(sample)
        return samples

    def _substitutes(self, key: SampleKey) -> list[int]:
        """Return samples of the same class in a drawn order, some of which may take its place."""
        generator = np.random.Generator(np.random.PCG64([self.seed, key.epoch, key.index, 1]))
        alike = np.flatnonzero(self.manifest.labels == self.manifest.labels[key.index])
        others = alike[alike != key.index]
        return [int(i) for i in generator.permutation(others)[:_MOST_SUBSTITUTES]]

    def _codes(self, index: int) -> NDArray[np.int64]:
        """Return the classes of a sample."""
        if self.manifest.sets is not None:
            return self.manifest.sets[index]
        label = self.manifest.labels[index : index + 1]
        return label[label >= 0]

    def _label(self, index: int, *, mirrored: bool = False) -> Label:
        """Return the label of a sample, or of its mirror image."""
        codes = self._codes(index)
        if mirrored and self.mirrored is not None:
            codes = self.mirrored[codes]
        if self.manifest.sets is None:
            return int(codes[0]) if len(codes) else -1
        label = np.zeros(len(self.manifest.class_names), np.float32)
        label[codes] = 1
        return label

    def _augmented(
        self, key: SampleKey, clips: int
    ) -> list[tuple[NDArray[np.uint8], NDArray[np.bool_], Label]]:
        """Return random clips ``(T, H, W, 3)``, their masks and their labels."""
        assert self.transform is not None
        spec, size = self.spec, self.spec.size
        generators = [
            np.random.Generator(np.random.PCG64([self.seed, key.epoch, key.index, *more]))
            for more in ([], *([2, n] for n in range(1, clips)))
        ]
        with self._open(key.index) as reader:
            part = self._part(key.index, reader)
            times = reader.timestamps[part]
            choices = [self.transform.choose(times, spec, g) for g in generators]
            # -1: the mirror image would show a class that does not exist.
            codes = self._codes(key.index)
            may_mirror = self.mirrored is None or bool((self.mirrored[codes] >= 0).all())
            if spec.focus == "motion":
                with self.watch.limited():
                    taken = [focus(frames) for frames in _read(reader, choices, part, 1.0)]
                aspects = [frames[0].shape[1] / frames[0].shape[0] for frames in taken]
            else:
                aspects = [reader.width / reader.height] * clips
            cuts = [
                self.transform.draw(1.0 if spec.stretch else a, g, may_mirror=may_mirror)
                for a, g in zip(aspects, generators, strict=True)
            ]
            if spec.focus == "frame":
                # What the smallest of the crops has for each pixel of the clip.
                height = reader.height * min(cut.bottom - cut.top for cut in cuts)
                width = reader.width * min(cut.right - cut.left for cut in cuts)
                with self.watch.limited():
                    taken = _read(reader, choices, part, min(height, width) / size)
        return [
            (
                self.transform.apply(frames, size, cut, generator),
                choice.real,
                self._label(key.index, mirrored=cut.mirrored),
            )
            for frames, choice, cut, generator in zip(taken, choices, cuts, generators, strict=True)
        ]

    def _views(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return the fixed views ``(V, T, H, W, 3)``, or ``(T, H, W, 3)`` for one, and masks."""
        spec = self.spec
        with self._open(index) as reader:
            part = self._part(index, reader)
            choices = [
                choose_frames(reader.timestamps[part], spec, view=view, num_views=spec.num_views)
                for view in range(spec.num_views)
            ]
            height, width = eval_size(reader.height, reader.width, spec)
            ratio = min(reader.height / height, reader.width / width)
            if spec.focus == "motion":
                ratio = 1.0
            with self.watch.limited():
                clips = _read(reader, choices, part, ratio)
            if spec.focus == "motion":
                clips = [focus(clip) for clip in clips]
        crops = np.concatenate([eval_crops(clip, spec) for clip in clips])
        masks = np.repeat(np.stack([choice.real for choice in choices]), spec.num_crops, axis=0)
        return (crops[0], masks[0]) if len(crops) == 1 else (crops, masks)

    def _open(self, index: int) -> VideoReader | PreparedVideo:
        """Open the video of a sample."""
        if self.manifest.shards is not None:
            return self.manifest.shards.open(index, self.manifest.video_id(index))
        if self.manifest.suffix:
            return PreparedVideo(self.manifest.path(index))
        return VideoReader(self.manifest.path(index), self.decoder, cache=self.cache)

    def _part(self, index: int, reader: VideoReader | PreparedVideo) -> NDArray[np.int64]:
        """Return the frame numbers of the labelled part: start <= time < end."""
        start, end = float(self.manifest.start[index]), float(self.manifest.end[index])
        if np.isnan(start) and np.isnan(end):
            return np.arange(reader.num_frames, dtype=np.int64)
        inside = np.ones(reader.num_frames, bool)
        if not np.isnan(start):
            inside &= reader.timestamps >= start
        if not np.isnan(end):
            inside &= reader.timestamps < end
        if not inside.any():
            last = reader.timestamps[-1]
            raise VideoError(
                self.manifest.path(index),
                f"no frame between {start:g} s and {end:g} s; the last begins at {last:.2f} s",
            )
        return np.flatnonzero(inside)

    def _blank(self) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return black frames in the shape of a sample, for a video that cannot be read."""
        spec = self.spec
        frames = 1 if spec.sampling == "whole" else spec.num_frames
        views = 1 if self.transform is not None else spec.num_views * spec.num_crops
        ahead = (views,) if views > 1 else ()
        shape = (*ahead, frames, spec.size, spec.size, 3)
        return np.zeros(shape, np.uint8), np.ones(shape[:-3], bool)


def _read(
    reader: VideoReader | PreparedVideo,
    choices: Sequence[FrameChoice],
    part: NDArray[np.int64],
    ratio: float,
) -> list[list[NDArray[np.uint8]]]:
    """Read the frames of several clips in one pass; a frame that is shared is decoded once.

    Args:
        reader: The video.
        choices: Frames of each clip, as positions in ``part``.
        part: Frame numbers.
        ratio: Pixels of a frame for each pixel of the clip, along the side where they are fewest.
    """
    wanted = [part[choice.indices] for choice in choices]
    unique, places = np.unique(np.concatenate(wanted), return_inverse=True)
    if isinstance(reader, PreparedVideo):
        # The smallest decoding that still has a pixel for each pixel of the clip.
        frames = reader.frames(unique, max(s for s in (1, 2, 4, 8) if s == 1 or s <= ratio))
    else:
        frames = list(reader.read(unique))
    splits = np.cumsum([len(indices) for indices in wanted])[:-1]
    return [[frames[at] for at in place.tolist()] for place in np.split(places, splits)]


def _zeros(shape: tuple[int, ...]) -> torch.Tensor:
    """Return uint8 zeros; in a worker they lie where the main process reads them, uncopied."""
    video = torch.empty(0, dtype=torch.uint8)
    if torch.utils.data.get_worker_info() is None:
        return video.new_zeros(shape)
    # As torch's own collate does. New shared memory is zero.
    storage = torch.UntypedStorage._new_shared(math.prod(shape))  # type: ignore[no-untyped-call]
    return video.set_(storage).view(shape)


def collate(samples: Sequence[Sample]) -> VideoBatch:
    """Stack samples to a batch; shorter clips are padded with black, masked frames.

    Returns:
        The batch; ``video`` is contiguous ``(B, [V,] T, C, H, W)`` uint8. ``label`` is left out
        when a sample has none.
    """
    length = max(sample["mask"].shape[-1] for sample in samples)
    first = samples[0]["video"]
    *views, _, height, width, channels = first.shape
    video = _zeros((len(samples), *views, length, channels, height, width))
    mask = torch.zeros((len(samples), *views, length), dtype=torch.bool)
    pixels = video.numpy().reshape(len(samples), -1, length, channels, height, width)
    for row, sample in enumerate(samples):
        frames = sample["mask"].shape[-1]
        # The one copy of the pixels, from colours last to colours first: six times as quick as
        # torch's or NumPy's.
        clips = sample["video"].reshape(-1, frames, height, width, channels)
        for target, clip in zip(pixels[row], clips, strict=True):
            for planes, frame in zip(target, clip, strict=False):
                cv2.split(frame, list(planes))
        mask[row, ..., :frames] = torch.from_numpy(sample["mask"])
    batch: VideoBatch = {
        "video": video,
        "mask": mask,
        "index": torch.tensor([sample["index"] for sample in samples]),
        "sample_mask": torch.tensor([sample["counts"] for sample in samples]),
        "video_id": [sample["video_id"] for sample in samples],
        "error": [sample["error"] for sample in samples],
        "unread": [file for sample in samples for file in sample["unread"]],
    }
    labels = [sample["label"] for sample in samples if "label" in sample]
    if len(labels) == len(samples):
        batch["label"] = torch.from_numpy(np.stack(labels))
    return batch
