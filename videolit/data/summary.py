"""The DataModule of the summary task: whole videos, or their stored features, with folds."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from videolit.data.layouts.summary_division import division_file
from videolit.data.loader import Watch
from videolit.data.module import Split, VideoDataModule
from videolit.data.reader import Decoder
from videolit.data.summary_records import SummaryRecord, SummarySet, folder_splits
from videolit.data.summary_samples import SummaryDataset, SummarySample, collate_summaries
from videolit.data.summary_sets import SummaryLayout, read_summary_set
from videolit.data.summary_splits import inner_validation, make_folds, read_summary_splits
from videolit.data.transforms import ClipTransform
from videolit.ops.checks import check_least
from videolit.ops.cores import usable_cores
from videolit.types import WHOLE_FRAMES, ClipSpec, InputError, SummaryBatch

PARTS = ("train", "val", "test")


class SummaryDataModule(VideoDataModule):
    """Whole videos for :class:`~videolit.tasks.summary.SummaryTask`.

    ``root`` is an HDF5 file of stored features, or a folder of videos with what people said about
    them; see :func:`~videolit.data.summary_sets.read_summary_set`. A set that comes with a division
    of its own (Mr. HiSum; folders ``train``, ``val`` and ``test``) keeps it. Any other is divided
    into folds, each of which is the test split once; validation videos are taken from what is left,
    so that no epoch is chosen on the test split.

    Args:
        root: The data.
        layout: How it lies there; None = see what there is.
        fold: Which fold is the test split, from 0.
        num_folds: Number of folds; of a ``split_file`` as many as it has.
        split_file: A published split file (PGL-SUM, VASNet, DSNet, CSTA, MSVA) in place of folds
            by ``seed``.
        val_fraction: Share of the videos that are not tested that is used to choose the epoch.
        clip: How raw videos are read: ``fps`` steps per second (None = 2), ``size`` and
            ``resize``. Whole videos are read, so its other settings stay as they are.
        train_transform: Augmentation of raw videos; None = none.
        max_steps: In training, a random stretch of so many steps of a longer video; None = all.
        batch_size: Videos of a batch in training.
        eval_batch_size: Videos of a batch otherwise.
        num_workers: Loading processes; None = by the free cores with raw videos, 0 with features.
        decoder: See :class:`~videolit.data.reader.VideoReader`.
        allow_unlabelled: Take videos that nobody annotated, to train without labels.
        time_limit: Seconds that reading one video may take; 0 = for ever.
        seed: Of folds, order and chance.

    Raises:
        InputError: If a number is out of its range.
    """

    def __init__(
        self,
        root: str | None = None,
        *,
        layout: SummaryLayout | None = None,
        fold: int = 0,
        num_folds: int = 5,
        split_file: str | None = None,
        val_fraction: float = 0.2,
        clip: ClipSpec | None = None,
        train_transform: ClipTransform | None = None,
        max_steps: int | None = None,
        batch_size: int = 4,
        eval_batch_size: int = 1,
        num_workers: int | None = None,
        decoder: Decoder = "auto",
        allow_unlabelled: bool = False,
        time_limit: float = 3600.0,
        seed: int = 0,
    ) -> None:
        super().__init__(
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
        )
        check_least(("fold", fold, 0), ("num_folds", num_folds, 2), ("max_steps", max_steps, 1))
        if not 0 < val_fraction < 1:
            raise InputError(f"val_fraction must lie in (0, 1), got {val_fraction}")
        self.root = root
        self.layout: SummaryLayout | None = layout
        self.fold = fold
        self.num_folds = num_folds
        self.split_file = split_file
        self.val_fraction = val_fraction
        self.clip = clip
        self.train_transform = train_transform
        self.max_steps = max_steps
        self.decoder: Decoder = decoder
        self.allow_unlabelled = allow_unlabelled
        self.time_limit = time_limit
        # How many divisions there are to train on, known after setup.
        self.num_divisions = 1
        self._set: SummarySet | None = None
        self._parts: dict[str, tuple[str, ...]] = {}

    # What the task asks for.

    @property
    def clip_spec(self) -> ClipSpec | None:
        """How raw videos are read; None with stored features."""
        if self._set is None or self._set.num_features:
            return None
        clip = self.clip or ClipSpec(sampling="whole", num_frames=WHOLE_FRAMES, fps=2.0)
        return ClipSpec(
            sampling="whole",
            num_frames=WHOLE_FRAMES,
            fps=clip.fps or 2.0,
            size=clip.size,
            resize=clip.resize,
            stretch=clip.stretch,
        )

    @property
    def num_features(self) -> int:
        """How many numbers a stored feature has; 0 with raw videos, and before setup."""
        return self._set.num_features if self._set is not None else 0

    @property
    def feature_record(self) -> str | None:
        """What made the stored features, as JSON, where their file tells; None = unknown."""
        return self._set.feature_record if self._set is not None else None

    def setup(self, stage: str | None = None) -> None:
        """Read the list of videos and divide it; no features are read yet."""
        if self._set is not None:
            return
        if self.root is None:
            raise InputError(
                "no data: give a file of features or a folder of videos with scores, as in "
                "`--data.root my_videos`"
            )
        fps = self.clip.fps if self.clip is not None and self.clip.fps is not None else 2.0
        found = read_summary_set(
            self.root, self.layout, fps=fps, allow_unlabelled=self.allow_unlabelled
        )
        self._parts = self._divide(found)
        for part, ids in self._parts.items():
            if not ids:
                why = (
                    f"the set's own division puts all {len(found)} videos elsewhere; "
                    "--data.split_file FILE takes its place"
                )
                if not self._own_division(found):
                    why = (
                        f"{len(found)} videos are too few for {self.num_folds} folds and a "
                        f"val_fraction of {self.val_fraction}"
                    )
                raise InputError(f"{self.root}: the {part} split is empty: {why}")
        self._set = found

    def _divide(self, found: SummarySet) -> dict[str, tuple[str, ...]]:
        """Return the names of each part's videos."""
        own = self._own_division(found)
        if own:
            if self.fold > 0:
                raise InputError(
                    f"fold {self.fold} was asked for, and {self.root} has one division of its own: "
                    "leave fold at 0, or give a split_file"
                )
            return own
        if self.split_file is None and found.num_features:
            # What a data set came with is not to be passed over in silence.
            beside = division_file(Path(found.records[0].source))
            if beside.is_file():
                warnings.warn(
                    f"{beside.name} is no division into train, val and test, and is not used: "
                    f"folds are drawn with seed {self.seed}. To use it: --data.split_file {beside}",
                    stacklevel=2,
                )
        folds = (
            read_summary_splits(self.split_file, found)
            if self.split_file is not None
            else make_folds(found.ids, num_folds=self.num_folds, seed=self.seed)
        )
        if self.fold >= len(folds):
            raise InputError(
                f"fold {self.fold} was asked for, there are {len(folds)}, from 0 to "
                f"{len(folds) - 1}"
            )
        self.num_divisions = len(folds)
        fold = folds[self.fold]
        train, val = inner_validation(
            fold.train, fraction=self.val_fraction, seed=self.seed, fold=self.fold
        )
        return {"train": tuple(train), "val": tuple(val), "test": tuple(fold.test)}

    def _own_division(self, found: SummarySet) -> dict[str, tuple[str, ...]]:
        """Return the names of each part's videos where the set tells, else nothing."""
        if self.split_file is not None:
            return {}
        splits = found.splits or folder_splits(found.ids)
        return {part: tuple(splits.get(part, ())) for part in PARTS} if splits else {}

    def records(self, split: Split) -> tuple[SummaryRecord, ...]:
        """Return the videos of a split, after :meth:`setup`; what is predicted is the test split.

        Raises:
            InputError: Before :meth:`setup`.
        """
        if self._set is None:
            raise InputError("call setup() before asking for the videos of a split")
        return self._set.select(self._parts["test" if split == "predict" else split])

    def dataset(self, split: Split) -> SummaryDataset:
        """Return the videos of a split as samples, after :meth:`setup`."""
        training = split == "train"
        records = self.records(split)
        assert self._set is not None
        return SummaryDataset(
            records,
            self._set.reduce,
            clip=self.clip_spec,
            transform=self.train_transform if training else None,
            max_steps=self.max_steps if training else None,
            seed=self.seed,
            decoder=self.decoder,
            watch=Watch(self.time_limit),
        )

    @staticmethod
    def collate(samples: Sequence[SummarySample]) -> SummaryBatch:
        """Stack whole videos to a batch."""
        return collate_summaries(samples)

    def on_before_batch_transfer(self, batch: SummaryBatch, dataloader_idx: int) -> SummaryBatch:
        """Take note of videos that cannot be read; in training none may be missing.

        Raises:
            InputError: If one is missing in training.
        """
        super().on_before_batch_transfer(batch, dataloader_idx)
        if batch["unread"] and self.trainer is not None and self.trainer.state.fn == "fit":
            first = batch["unread"][0]
            raise InputError(
                f"cannot train without {first['path']}: {first['reason']}. Repair the file or "
                "take it out of the data"
            )
        return batch

    def names(self, split: Split) -> Iterator[bytes]:
        """Yield the set and the name of each video of a split."""
        assert self._set is not None
        name = self._set.name
        return (f"{name}\0{record.video_id}".encode() for record in self.records(split))

    def default_workers(self) -> int:
        """Return the number of loading processes where none is given."""
        if self._set is None or self._set.num_features:
            return 0
        return min(max(usable_cores() // 2, 1), 8)

    def describe(self, split: Split) -> dict[str, Any]:
        """Return what an evaluation must say about its data, as JSON types."""
        assert self._set is not None
        ids = sorted(record.video_id for record in self.records(split))
        divided = "its own division"
        if self.split_file is not None:
            divided = f"{Path(self.split_file).name}, split {self.fold}"
        elif not self._own_division(self._set):
            divided = f"fold {self.fold} of {self.num_folds}, drawn here with seed {self.seed}"
        spec = self.clip_spec
        return {
            "data": self._set.name,
            "split": split,
            "split_hash": hashlib.sha256("\0".join(ids).encode()).hexdigest()[:16],
            "division": divided,
            "num_samples": len(ids),
            "decoder": self.decoder if spec is not None else "stored features",
            "features": json.loads(self.feature_record) if self.feature_record else None,
            "protocol": "stored features" if spec is None else spec.describe(),
            "f1_over_annotators": self._set.reduce,
            "notes": list(self._set.notes),
        }
