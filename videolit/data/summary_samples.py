"""Whole videos of a summary data set as samples, and their batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from videolit.data.loader import Watch
from videolit.data.reader import Decoder, VideoReader
from videolit.data.sampler import SampleKey
from videolit.data.summary_records import Reduce, SummaryRecord
from videolit.data.transforms import ClipTransform, eval_crops, eval_size, resize
from videolit.types import ClipSpec, InputError, SummaryBatch, SummaryTruth, Unread, VideoError


class SummarySample(TypedDict):
    """One video: the batch's entries without their first dimension."""

    video: NDArray[np.uint8] | NDArray[np.float32]
    scores: NDArray[np.float32] | None
    user_scores: NDArray[np.float32] | None
    index: int
    counts: bool
    video_id: str
    error: str
    unread: list[Unread]
    truth: SummaryTruth


class SummaryDataset(Dataset[SummarySample]):
    """The videos of a split.

    A sample depends on its key and the seed alone. A video that cannot be read gives a sample of
    one black step that says why in ``error`` and does not count.

    Args:
        records: The videos.
        reduce: How keyshot F1 takes annotators together.
        clip: ``size`` and ``resize`` of raw videos; None with stored features.
        transform: Augmentation of raw videos in training, the same for a whole video; None = the
            centre crop.
        max_steps: In training, a random stretch of so many steps of a longer video; None = all.
        seed: Decides all chance together with the key.
        decoder: See :class:`~videolit.data.reader.VideoReader`.
        watch: Is told what is being read, and limits its time.
    """

    def __init__(
        self,
        records: Sequence[SummaryRecord],
        reduce: Reduce = "mean",
        *,
        clip: ClipSpec | None = None,
        transform: ClipTransform | None = None,
        max_steps: int | None = None,
        seed: int = 0,
        decoder: Decoder = "auto",
        watch: Watch | None = None,
    ) -> None:
        self.records = tuple(records)
        self.reduce: Reduce = reduce
        self.clip = clip
        self.transform = transform
        self.max_steps = max_steps
        self.seed = seed
        self.decoder: Decoder = decoder
        self.watch = watch or Watch()

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.records)

    def place(self, index: int) -> str:
        """Return the file of a video, for a message."""
        return self.records[index].source

    def __getitem__(self, key: SampleKey | int) -> SummarySample:
        """Make the sample of a key; a plain index stands for its first epoch."""
        if isinstance(key, int):
            key = SampleKey(0, key, True)
        record = self.records[key.index]
        generator = np.random.Generator(np.random.PCG64([self.seed, key.epoch, key.index]))
        stretch = slice(0, record.num_steps)
        if self.max_steps is not None and record.num_steps > self.max_steps:
            start = int(generator.integers(record.num_steps - self.max_steps + 1))
            stretch = slice(start, start + self.max_steps)
        self.watch.note(key.index)
        error = ""
        video: NDArray[np.uint8] | NDArray[np.float32]
        try:
            if record.group is not None:
                video = record.read_features()[stretch]
            else:
                with self.watch.limited():
                    video = self._frames(record, record.picks[stretch], generator)
        except (VideoError, InputError) as problem:
            error = problem.reason if isinstance(problem, VideoError) else str(problem)
            stretch = slice(0, 1)
            video = self._blank(record)
        scores, users = training_scores(record)
        return {
            "video": video,
            "scores": None if scores is None else scores[stretch],
            "user_scores": None if users is None else users[:, stretch],
            "index": key.index,
            "counts": key.counts and not error,
            "video_id": record.video_id,
            "error": error,
            "unread": [{"path": record.video_id, "reason": error, "decoder": self.decoder}]
            if error
            else [],
            "truth": truth_of(record, self.reduce),
        }

    def _frames(
        self, record: SummaryRecord, picks: NDArray[np.int64], generator: np.random.Generator
    ) -> NDArray[np.uint8]:
        """Return the frames of some steps, uint8 ``(T, size, size, 3)``."""
        assert self.clip is not None
        frames: list[NDArray[np.uint8]] = []
        with VideoReader(record.source, self.decoder) as reader:
            for _, frame in reader.iter_frames(picks):
                # Cut at once: whole frames of a long video would not fit into memory.
                if self.transform is None:
                    frames.append(eval_crops([frame], self.clip)[0, 0])
                else:
                    height, width = eval_size(frame.shape[0], frame.shape[1], self.clip)
                    frames.append(resize([frame], height, width)[0])
        if self.transform is None:
            return np.stack(frames)
        cut = self.transform.draw(frames[0].shape[1] / frames[0].shape[0], generator)
        return self.transform.apply(frames, self.clip.size, cut, generator)

    def _blank(self, record: SummaryRecord) -> NDArray[np.uint8] | NDArray[np.float32]:
        """Return one step of nothing."""
        if record.group is not None:
            return np.zeros((1, record.num_features), np.float32)
        assert self.clip is not None
        return np.zeros((1, self.clip.size, self.clip.size, 3), np.uint8)


def training_scores(
    record: SummaryRecord,
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
    """Return what a video is trained on: the common score ``(T,)`` and each annotator's ``(U, T)``.

    Where a data set gives annotators' summaries only, as SumMe does, those at the steps are their
    scores; the common score is the mean where none is given.
    """
    users = record.user_scores
    if users is None and record.user_summary is not None:
        users = record.user_summary[:, record.picks].astype(np.float32)
    scores = record.gtscore
    if scores is None and users is not None:
        scores = users.mean(0, dtype=np.float64).astype(np.float32)
    return scores, users


def truth_of(record: SummaryRecord, reduce: Reduce) -> SummaryTruth:
    """Return what a summary of a video is compared with."""
    return SummaryTruth(
        picks=record.picks,
        num_frames=record.num_frames,
        shots=record.shots,
        user_scores=record.user_scores,
        user_summary=record.user_summary,
        gtscore=record.gtscore,
        reduce=reduce,
    )


def collate_summaries(samples: Sequence[SummarySample]) -> SummaryBatch:
    """Stack whole videos to a batch; shorter ones are padded with zeros.

    Returns:
        The batch; ``scores`` and ``user_scores`` are left out when a sample has none.
    """
    lengths = [len(sample["video"]) for sample in samples]
    batch: SummaryBatch = {
        "video": torch.stack([_padded(_planes(s["video"]), max(lengths)) for s in samples]),
        "mask": torch.arange(max(lengths)) < torch.tensor(lengths)[:, None],
        "index": torch.tensor([sample["index"] for sample in samples]),
        "sample_mask": torch.tensor([sample["counts"] for sample in samples]),
        "video_id": [sample["video_id"] for sample in samples],
        "error": [sample["error"] for sample in samples],
        "unread": [unread for sample in samples for unread in sample["unread"]],
        "truth": [sample["truth"] for sample in samples],
    }
    scores = [s["scores"] for s in samples if s["scores"] is not None]
    if len(scores) == len(samples):
        batch["scores"] = torch.stack([_padded(torch.from_numpy(s), max(lengths)) for s in scores])
    users = [s["user_scores"] for s in samples if s["user_scores"] is not None]
    if len(users) == len(samples):
        most = max(len(user) for user in users)
        rows = [_padded(torch.from_numpy(user).T, max(lengths)).T for user in users]
        batch["user_scores"] = torch.stack([_padded(row, most) for row in rows])
        counts = torch.tensor([len(user) for user in users])
        batch["user_mask"] = torch.arange(most) < counts[:, None]
    return batch


def _planes(video: NDArray[np.uint8] | NDArray[np.float32]) -> Tensor:
    """Return frames ``(T, C, H, W)``, or features as they are."""
    tensor = torch.from_numpy(video)
    return tensor.permute(0, 3, 1, 2) if video.ndim == 4 else tensor


def _padded(rows: Tensor, length: int) -> Tensor:
    """Return rows with zeros behind them, contiguous."""
    missing = rows.new_zeros(length - len(rows), *rows.shape[1:])
    return torch.cat([rows, missing])
