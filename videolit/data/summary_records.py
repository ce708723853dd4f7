"""The videos of a summary data set and what its annotators said about them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from videolit.data.hdf5 import open_hdf5
from videolit.types import InputError

Reduce = Literal["max", "mean"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SummaryRecord:
    """One video of a summary data set: no pixels, and the features only when they are asked for.

    ``T`` steps, ``U`` annotators, ``S`` shots, ``D`` numbers of a feature. Frame numbers are those
    of the original video, from 0.

    Args:
        video_id: Its name in the set: ``"video_1"``, or the path of a raw video below the root.
        name: Title for people, ``""`` where unknown.
        source: Path of the HDF5 file, or of the video.
        group: The features' group in the HDF5 file; None = a raw video.
        num_features: ``D``; 0 for a raw video.
        num_frames: Frames of the original video.
        fps: Its average frames per second; None where the data set does not tell.
        picks: int64 ``(T,)``, the frame of each step, increasing.
        gtscore: float32 ``(T,)`` in [0, 1], the annotators' common score.
        user_scores: float32 ``(U, T)`` in [0, 1], each annotator's score at the picks: 0 is the
            least of the scale and 1 the most, so TVSum's 1 to 5 become (x − 1) / 4.
        user_summary: bool ``(U, num_frames)``, the frames of each annotator's summary.
        shots: int64 ``(S, 2)``, half-open ``[first, stop)`` frames that follow each other from
            frame 0.
        gtsummary: bool ``(T,)``, the steps of the summary that the data set trains with.

    Raises:
        InputError: If shapes, ranges or orders are others.
    """

    video_id: str
    name: str
    source: str
    group: str | None
    num_features: int
    num_frames: int
    fps: float | None
    picks: NDArray[np.int64]
    gtscore: NDArray[np.float32] | None = None
    user_scores: NDArray[np.float32] | None = None
    user_summary: NDArray[np.bool_] | None = None
    shots: NDArray[np.int64] | None = None
    gtsummary: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        """Check shapes, ranges and orders."""
        steps = len(self.picks)
        self._check_picks()
        if self.fps is not None and not (np.isfinite(self.fps) and self.fps > 0):
            self._refuse("fps", "a number above 0", self.fps)
        self._check_shape("gtscore", self.gtscore, (steps,), "one value for each step")
        self._check_shape("gtsummary", self.gtsummary, (steps,), "one value for each step")
        self._check_shape("user_scores", self.user_scores, (None, steps), "users × steps")
        shape = (None, self.num_frames)
        self._check_shape("user_summary", self.user_summary, shape, "users × frames")
        self._check_scores("gtscore", self.gtscore)
        self._check_scores("user_scores", self.user_scores)
        if self.shots is not None:
            self._check_shots(self.shots)

    @property
    def num_steps(self) -> int:
        """Number of steps, ``T``."""
        return len(self.picks)

    def read_features(self) -> NDArray[np.float32]:
        """Return the features, float32 ``(T, D)``.

        The file is opened and closed again: safe in worker processes.

        Raises:
            InputError: If the video has none, or they are not those that the set was read with.
        """
        if self.group is None:
            raise InputError(
                f"{self.source}: a raw video has no stored features; write them to a file first "
                "(videolit features) and read that one"
            )
        with open_hdf5(self.source) as file:
            features = np.asarray(file[f"{self.group}/features"], dtype=np.float32)
        expected = (self.num_steps, self.num_features)
        if features.shape != expected:
            self._refuse("features", f"shape {expected}, as when the set was read", features.shape)
        if not np.isfinite(features).all():
            self._refuse("features", "finite numbers", "nan or infinity")
        return features

    def _refuse(self, key: str, expected: str, found: object) -> None:
        raise InputError(
            f"{self.source}, {self.video_id}, {key}: expected {expected}, found {found}"
        )

    def _check_picks(self) -> None:
        picks = self.picks
        if picks.ndim != 1 or len(picks) == 0:
            self._refuse("picks", "the frame of each step", f"shape {picks.shape}")
        falls = np.flatnonzero(np.diff(picks) <= 0)
        if len(falls):
            at = int(falls[0])
            found = f"{picks[at]} before {picks[at + 1]} at step {at}"
            self._refuse("picks", "increasing frame numbers", found)
        if picks[0] < 0 or picks[-1] >= self.num_frames:
            outside = picks[0] if picks[0] < 0 else picks[-1]
            self._refuse("picks", f"frames in 0..{self.num_frames - 1}", outside)

    def _check_shape(
        self,
        key: str,
        array: NDArray[np.float32] | NDArray[np.bool_] | None,
        shape: tuple[int | None, ...],
        what: str,
    ) -> None:
        if array is None:
            return
        fits = array.ndim == len(shape) and all(
            size > 0 if wanted is None else size == wanted
            for size, wanted in zip(array.shape, shape, strict=False)
        )
        if not fits:
            sizes = ", ".join("users" if size is None else str(size) for size in shape)
            self._refuse(key, f"shape ({sizes}), {what}", f"shape {array.shape}")

    def _check_scores(self, key: str, scores: NDArray[np.float32] | None) -> None:
        if scores is None:
            return
        # Sums of float32 may end a little outside.
        bad = ~((scores >= -1e-6) & (scores <= 1 + 1e-6))
        if bad.any():
            self._refuse(
                key, "scores in [0, 1], as (x - lowest) / (highest - lowest)", scores[bad][0]
            )

    def _check_shots(self, shots: NDArray[np.int64]) -> None:
        if shots.ndim != 2 or shots.shape[1] != 2 or len(shots) == 0:
            self._refuse("shots", "shape (shots, 2)", f"shape {shots.shape}")
        if shots[0, 0] != 0:
            self._refuse("shots", "the first shot to begin at frame 0", shots[0, 0])
        for place, (first, stop) in enumerate(shots.tolist()):
            if stop <= first:
                self._refuse(
                    "shots", "shots of at least one frame", f"[{first}, {stop}) at {place}"
                )
            if place and first != shots[place - 1, 1]:
                expected = f"shot {place} to begin at {shots[place - 1, 1]}, where the last ended"
                self._refuse("shots", expected, first)
        # Published change points end up to two frames early; if further off, they are no frames.
        end = int(shots[-1, 1])
        step = int(np.diff(self.picks).max()) if len(self.picks) > 1 else self.num_frames
        if end > self.num_frames or self.num_frames - end > max(step, 2):
            expected = f"the last shot to end at frame {self.num_frames}, where the video does"
            self._refuse("shots", expected, f"{end}; are these frames of the original video?")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SummarySet:
    """The videos of a summary data set, in the order of their names.

    Args:
        name: ``"tvsum"``, ``"summe"``, ``"ovp"``, ``"youtube"``, ``"mrhisum"``, or the name of the
            file or folder.
        records: The videos.
        reduce: How keyshot F1 takes several annotators together: SumMe the best (``"max"``), all
            others the mean.
        notes: What a reader of numbers from this set must know, one sentence each.
        splits: The set's own division by the names ``"train"``, ``"val"`` and ``"test"``; empty
            where it has none.
        feature_record: What made the features, as JSON, in files that videolit wrote; None =
            unknown, or raw videos.

    Raises:
        InputError: If two videos have one name, or features of different lengths.
    """

    name: str
    records: tuple[SummaryRecord, ...]
    reduce: Reduce = "mean"
    notes: tuple[str, ...] = ()
    splits: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    feature_record: str | None = None

    def __post_init__(self) -> None:
        """Check that names are distinct and features alike."""
        seen: set[str] = set()
        for record in self.records:
            if record.video_id in seen:
                raise InputError(f"{self.name}: two videos have the name {record.video_id!r}")
            seen.add(record.video_id)
            first = self.records[0]
            if record.num_features != first.num_features:
                raise InputError(
                    f"{record.source}, {record.video_id}, features: expected rows of "
                    f"{first.num_features} numbers, as {first.video_id} has, found "
                    f"{record.num_features}; one set has features of one encoder"
                )

    def __len__(self) -> int:
        return len(self.records)

    @property
    def ids(self) -> tuple[str, ...]:
        """Names of the videos."""
        return tuple(record.video_id for record in self.records)

    @property
    def num_features(self) -> int:
        """Length of a feature, ``D``; 0 for raw videos."""
        return self.records[0].num_features if self.records else 0

    def select(self, ids: Iterable[str]) -> tuple[SummaryRecord, ...]:
        """Return some videos, in the order asked.

        Raises:
            InputError: If the set has no such video.
        """
        by_id = {record.video_id: record for record in self.records}
        wanted = list(ids)
        missing = [video_id for video_id in wanted if video_id not in by_id]
        if missing:
            raise InputError(
                f"{self.name} has no video {missing[0]!r} ({len(missing)} of {len(wanted)} asked "
                f"for are not there); it has {len(self)}: {', '.join(self.ids[:3])}, …"
            )
        return tuple(by_id[video_id] for video_id in wanted)


def folder_splits(ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the division that paths below ``train/``, ``val/`` and ``test/`` make.

    Args:
        ids: Paths of the videos.

    Returns:
        The videos of all three; empty where a video lies elsewhere.
    """
    splits: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for video_id in ids:
        part, slash, _ = video_id.partition("/")
        if not slash or part not in splits:
            return {}
        splits[part].append(video_id)
    return {split: tuple(videos) for split, videos in splits.items()}
