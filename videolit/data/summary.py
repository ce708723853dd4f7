"""The DataModule of the summary task: whole videos, or their stored features, with folds."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal, cast

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from videolit.data.action import start_worker
from videolit.data.loader import ClipLoader, Watch
from videolit.data.reader import Decoder
from videolit.data.sampler import ClipSampler
from videolit.data.summary_records import SummaryRecord, SummarySet, folder_splits
from videolit.data.summary_samples import SummaryDataset, SummarySample, collate_summaries
from videolit.data.summary_sets import SummaryLayout, read_summary_set
from videolit.data.summary_splits import inner_validation, make_folds, read_summary_splits
from videolit.data.transforms import ClipTransform
from videolit.data.unreadable import Unreadable
from videolit.ops.cores import usable_cores
from videolit.types import WHOLE_FRAMES, ClipSpec, InputError, SummaryBatch

Split = Literal["train", "val", "test", "predict"]
PARTS = ("train", "val", "test")


class SummaryDataModule(pl.LightningDataModule):
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
        super().__init__()
        for name, value, least in (
            ("fold", fold, 0),
            ("num_folds", num_folds, 2),
            ("max_steps", max_steps, 1),
            ("batch_size", batch_size, 1),
            ("eval_batch_size", eval_batch_size, 1),
            ("num_workers", num_workers, 0),
        ):
            if value is not None and value < least:
                raise InputError(f"{name} must be at least {least}, got {value}")
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
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.decoder: Decoder = decoder
        self.allow_unlabelled = allow_unlabelled
        self.time_limit = time_limit
        self.seed = seed
        self.unreadable = Unreadable()
        # How many divisions there are to train on, known after setup.
        self.num_divisions = 1
        self._set: SummarySet | None = None
        self._parts: dict[str, tuple[str, ...]] = {}
        self._loaders: dict[str, ClipLoader] = {}
        self._resumed: dict[str, Any] = {}

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
                why = f"the set's own division puts all {len(found)} videos elsewhere"
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

    def train_dataloader(self) -> DataLoader[SummarySample]:
        """Return shuffled videos."""
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[SummarySample]:
        """Return the videos that the epoch is chosen on."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[SummarySample]:
        """Return the fold that is tested."""
        return self._loader("test")

    def predict_dataloader(self) -> DataLoader[SummarySample]:
        """Return the fold that is tested, for its scores."""
        return self._loader("predict")

    def on_before_batch_transfer(self, batch: SummaryBatch, dataloader_idx: int) -> SummaryBatch:
        """Take note of videos that cannot be read; in training none may be missing.

        Raises:
            InputError: If one is missing in training.
        """
        trainer = self.trainer
        if batch["unread"] and trainer is not None and not trainer.predicting:
            total = len(self.records("test" if trainer.testing else "train"))
            folder = getattr(trainer.logger, "log_dir", None) or trainer.default_root_dir
            self.unreadable.add(batch["unread"], total, folder)
            if trainer.state.fn == "fit":
                first = batch["unread"][0]
                raise InputError(
                    f"cannot train without {first['path']}: {first['reason']}. Repair the file or "
                    "take it out of the data"
                )
        return batch

    def explain(self, exception: BaseException) -> str:
        """Return which video ended a loading process, ``""`` for other errors."""
        for loader in self._loaders.values():
            row, what = loader.explain(exception)
            if row >= 0:
                dataset = cast("SummaryDataset", loader.dataset)
                return (
                    f"{dataset.records[row].source}: reading it {what}. Repair the file or take "
                    "it out of the data"
                )
        return ""

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the epoch of training, for a checkpoint."""
        loader = self._loaders.get("train")
        return {} if loader is None else loader.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint's place in the epoch, when a training is resumed."""
        if self.trainer is not None and self.trainer.state.fn == "fit":
            self._resumed = state_dict

    def sample_ids(self, split: Split) -> Tensor:
        """Return a number that stands for each video of a split, int64 ``(N,)``."""
        assert self._set is not None
        digests = [
            hashlib.blake2b(f"{self._set.name}\0{r.video_id}".encode(), digest_size=8).digest()
            for r in self.records(split)
        ]
        return torch.from_numpy(np.frombuffer(b"".join(digests), np.int64).copy())

    def worker_count(self) -> int:
        """Return the number of loading processes of this training process."""
        if self.num_workers is not None:
            return self.num_workers
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
            divided = f"fold {self.fold} of {self.num_folds}, seed {self.seed}"
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

    def _loader(self, split: Split) -> DataLoader[SummarySample]:
        dataset = self.dataset(split)
        trainer = self.trainer
        training = split == "train"
        workers = self.worker_count()
        loader = ClipLoader(
            dataset,
            batch_size=self.batch_size if training else self.eval_batch_size,
            sampler=ClipSampler(
                len(dataset),
                num_replicas=trainer.world_size if trainer is not None else 1,
                rank=trainer.global_rank if trainer is not None else 0,
                shuffle=training,
                seed=self.seed,
            ),
            num_workers=workers,
            collate_fn=collate_summaries,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=workers > 0 and split in ("train", "val"),
            worker_init_fn=start_worker,
            # As for clips: the model's chance must not depend on how often data was loaded.
            generator=torch.Generator().manual_seed(self.seed),
        )
        loader.trainer = trainer if training else None
        if training and self._resumed:
            loader.load_state_dict(self._resumed)
            self._resumed = {}
        self._loaders[split] = loader
        return loader
