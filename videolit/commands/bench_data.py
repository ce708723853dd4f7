"""What loading clips costs, stage by stage."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from videolit.data.action import ActionDataModule
from videolit.data.clips import ClipDataset, Sample, collate
from videolit.data.loader import start_worker
from videolit.data.sampler import SampleKey
from videolit.data.transforms import ClipTransform, Cut
from videolit.ops.sampling import FrameChoice
from videolit.types import InputError

# Files that are read; more would only take longer to verify.
_FILES = 64
_LEAST_ROUNDS = 3
READING, AUGMENTING, BATCHING = "reading (choice of frames, decoding)", "augmentation", "batching"


@dataclasses.dataclass
class DataFigures:
    """What loading costs.

    Attributes:
        samples: Samples of the training split.
        protocol: Frames and geometry.
        source: How the videos are stored.
        is_prepared: Whether that is by ``videolit prepare``.
        root: The data.
        batch_size: Clips of a batch.
        clip_bytes: Size of a clip in a batch.
        stages: Seconds per clip of each stage in one process.
        rates: Clips per second, by number of loading processes.
    """

    samples: int
    protocol: str
    source: str
    is_prepared: bool
    root: str
    batch_size: int
    clip_bytes: int
    stages: dict[str, float]
    rates: dict[int, float]

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON types."""
        return {**dataclasses.asdict(self), "advice": self.advice()}

    def advice(self) -> str:
        """Say which stage is the slowest and what makes it faster at the least cost."""
        slowest = max(self.stages, key=lambda name: self.stages[name])
        share = self.stages[slowest] / sum(self.stages.values())
        said = f"Slowest: {slowest}, {share:.0%} of the time."
        if slowest == READING and not self.is_prepared:
            cure = (
                f"store the videos as frames (videolit prepare {self.root} --out DIR, then "
                "--data.root DIR)"
            )
        elif slowest == READING:
            cure = "fewer frames (--data.clip.num_frames), or prepare at a smaller --short-side"
        elif slowest == AUGMENTING:
            cure = "leave out changes of colour, noise or rotation (--data.train_transform)"
        else:
            cure = "fewer or smaller frames (--data.clip.num_frames, --data.clip.size)"
        best = max(self.rates, key=lambda workers: self.rates[workers])
        return f"{said} Cheapest cure: {cure}. Fastest with --data.num_workers {best}."


class _Timed(ClipTransform):
    """A transform that adds up the time it takes.

    Args:
        inner: The transform to time.
    """

    def __init__(self, inner: ClipTransform) -> None:
        self.inner = inner
        self.seconds = 0.0

    def choose(self, *args: Any, **kwargs: Any) -> FrameChoice:  # noqa: ANN401
        return self.inner.choose(*args, **kwargs)

    def draw(self, *args: Any, **kwargs: Any) -> Cut:  # noqa: ANN401
        return self.inner.draw(*args, **kwargs)

    def apply(self, *args: Any, **kwargs: Any) -> NDArray[np.uint8]:  # noqa: ANN401
        begin = time.perf_counter()
        clip = self.inner.apply(*args, **kwargs)
        self.seconds += time.perf_counter() - begin
        return clip


def measure_data(data: ActionDataModule, *, most_workers: int, seconds: float) -> DataFigures:
    """Measure the loading of training clips.

    Files that were not verified before are verified first, outside of the measurement.

    Args:
        data: The DataModule.
        most_workers: Largest number of loading processes.
        seconds: Length of each measurement.

    Raises:
        InputError: If a file cannot be read.
    """
    data.setup("fit")
    dataset = data.dataset("train")
    rows = np.random.default_rng(0).permutation(len(dataset))[:_FILES].tolist()
    for row in rows:
        for file in dataset[SampleKey(0, row, True)]["unread"]:
            raise InputError(f"cannot read {file['path']}: {file['reason']}; see videolit check")
    stages, clip_bytes = _stages(dataset, rows, data.batch_size, seconds)
    about = data.describe("train")
    counts = sorted({0, *(2**i for i in range(10) if 2**i < most_workers), most_workers})
    return DataFigures(
        samples=len(dataset),
        protocol=about["protocol"],
        source=f"decoder {about['decoder']}",
        is_prepared=data.is_prepared,
        root=str(data.root),
        batch_size=data.batch_size,
        clip_bytes=clip_bytes,
        stages=stages,
        rates={
            count: _rate(dataset, rows, data.batch_size, count, seconds)
            for count in counts
            if count <= max(most_workers, 0)
        },
    )


def _stages(
    dataset: ClipDataset, rows: list[int], batch_size: int, seconds: float
) -> tuple[dict[str, float], int]:
    """Return the seconds per clip of each stage, and the bytes of a clip."""
    assert dataset.transform is not None
    threads = cv2.getNumThreads()
    cv2.setNumThreads(0)
    timed = dataset.transform = _Timed(dataset.transform)
    samples: list[Sample] = []
    begin = time.perf_counter()
    count = 0
    for key in _keys(rows):
        made = dataset.__getitems__([key])
        count += len(made)
        if len(samples) < batch_size:
            samples += made
        if count >= _LEAST_ROUNDS and time.perf_counter() - begin > seconds:
            break
    whole = (time.perf_counter() - begin) / count
    dataset.transform = timed.inner
    augmenting = timed.seconds / count
    rounds = 0
    begin = time.perf_counter()
    while rounds < _LEAST_ROUNDS or time.perf_counter() - begin < seconds / 5:
        video = collate(samples)["video"]
        rounds += 1
    batching = (time.perf_counter() - begin) / rounds / len(samples)
    cv2.setNumThreads(threads)
    stages = {READING: whole - augmenting, AUGMENTING: augmenting, BATCHING: batching}
    return stages, video[0].numel()


def _rate(
    dataset: ClipDataset, rows: list[int], batch_size: int, workers: int, seconds: float
) -> float:
    """Return the clips per second that a number of processes loads."""
    loader: DataLoader[Sample] = DataLoader(
        dataset,
        batch_size=batch_size // dataset.clips_per_video,
        sampler=_Endless(rows),
        num_workers=workers,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=start_worker,
    )
    batches = iter(loader)
    # What was loaded ahead while the processes started would count twice as much.
    for _ in range(1 + 3 * workers):
        next(batches)
    begin = time.perf_counter()
    count = 0
    while count < _LEAST_ROUNDS or time.perf_counter() - begin < seconds:
        next(batches)
        count += 1
    rate = count * batch_size / (time.perf_counter() - begin)
    # Ends the processes.
    del batches
    return rate


class _Endless:
    def __init__(self, rows: list[int]) -> None:
        self.rows = rows

    def __iter__(self) -> Iterator[SampleKey]:
        return _keys(self.rows)


def _keys(rows: list[int]) -> Iterator[SampleKey]:
    """Yield keys of the rows, another epoch each time, without end."""
    epoch = 0
    while True:
        for row in rows:
            yield SampleKey(epoch, row, True)
        epoch += 1
