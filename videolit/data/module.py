"""What the DataModules of all tasks share: loaders that resume, workers, unreadable files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from videolit.data.loader import ClipLoader, Watch, start_worker
from videolit.data.manifest import number_names
from videolit.data.sampler import ClipSampler
from videolit.data.unreadable import Unreadable
from videolit.ops.checks import check_least
from videolit.ops.cores import usable_cores
from videolit.types import InputError

Split = Literal["train", "val", "test", "predict"]


class VideoDataset(Protocol):
    """What the loader asks of a data set, beside a sample for each key.

    Attributes:
        watch: Is told what is being read, and limits its time.
    """

    watch: Watch

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401 - each task has samples of its own
        """Make the sample of a :class:`~videolit.data.sampler.SampleKey`."""
        ...

    def place(self, index: int) -> str:
        """Return where a sample is read from, for a message."""
        ...


class VideoDataModule(pl.LightningDataModule):
    """The parent of each task's DataModule.

    A subclass defines :meth:`dataset`, :meth:`collate`, :meth:`names` and :meth:`describe`, and
    Lightning's ``setup``. A batch is a mapping that lists under ``unread`` what could not be read.
    It may define :meth:`default_workers`, :meth:`videos_per_batch`, :meth:`sample_weights` and
    :meth:`remedy` as well.

    Args:
        batch_size: Samples of a training batch, per process.
        eval_batch_size: Samples of an evaluation batch, per process; None = ``batch_size``.
        num_workers: Loading processes per training process; None = :meth:`default_workers`.
        max_bad_fraction: Largest share of the samples that may turn out to be unreadable in
            training before it stops; None = any.
        seed: Decides the order in training.

    Attributes:
        unreadable: The files that could not be read so far.

    Raises:
        InputError: If a number is out of its range.
    """

    def __init__(
        self,
        *,
        batch_size: int,
        eval_batch_size: int | None = None,
        num_workers: int | None = None,
        max_bad_fraction: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_least(
            ("batch_size", batch_size, 1),
            ("eval_batch_size", eval_batch_size, 1),
            ("num_workers", num_workers, 0),
        )
        if max_bad_fraction is not None and not 0 <= max_bad_fraction <= 1:
            raise InputError(f"max_bad_fraction must lie in [0, 1], got {max_bad_fraction}")
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.max_bad_fraction = max_bad_fraction
        self.seed = seed
        self.unreadable = Unreadable()
        self._loaders: dict[Split, ClipLoader] = {}
        self._resumed: dict[str, Any] = {}

    # What a subclass defines.

    def dataset(self, split: Split) -> VideoDataset:
        """Return the samples of a split, after ``setup``."""
        raise NotImplementedError(f"{type(self).__name__} must define dataset()")

    @staticmethod
    def collate(samples: Sequence[Any]) -> Any:  # noqa: ANN401 - each task has batches of its own
        """Return the samples as a batch. A static method: loading processes get it pickled."""
        raise NotImplementedError("the DataModule must define collate()")

    def names(self, split: Split) -> Iterable[bytes]:
        """Return what no two samples of the data have in common, for each sample of a split."""
        raise NotImplementedError(f"{type(self).__name__} must define names()")

    def describe(self, split: Split) -> dict[str, Any]:
        """Return what an evaluation must say about its data, as JSON types."""
        raise NotImplementedError(f"{type(self).__name__} must define describe()")

    # What it may define.

    def default_workers(self) -> int:
        """Return the number of loading processes of this training process where none is given."""
        share = usable_cores()
        if self.trainer is not None:
            share //= self.trainer.num_devices
            if self.trainer.strategy.root_device.type == "cpu":
                share //= 2
        return min(max(share, 1), 8)

    def videos_per_batch(self, split: Split) -> int:
        """Return how many keys of a data set make a batch."""
        return self.batch_size if split == "train" else self.eval_batch_size or self.batch_size

    def sample_weights(self, split: Split) -> NDArray[np.float64] | None:
        """Return how often training draws each sample, ``(N,)``; None = each once."""
        return None

    def remedy(self, split: Split) -> str:
        """Return what to do about a file that ends a loading process, without a full stop."""
        return "Repair the file or take it out of the data"

    # What it gets.

    def worker_count(self) -> int:
        """Return the number of loading processes of this training process."""
        return self.default_workers() if self.num_workers is None else self.num_workers

    def sample_ids(self, split: Split) -> Tensor:
        """Return a number that stands for each sample of a split, int64 ``(N,)``."""
        return torch.from_numpy(number_names(self.names(split)))

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the samples of training, in a new order each epoch."""
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the samples that the epoch is chosen on."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        """Return the samples that are tested."""
        return self._loader("test")

    def predict_dataloader(self) -> DataLoader[Any]:
        """Return what is predicted, in input order."""
        return self._loader("predict")

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:  # noqa: ANN401
        """Take note of files that cannot be read; predict has an error row for each.

        Raises:
            InputError: If they are more than ``max_bad_fraction`` in training.
        """
        trainer = self.trainer
        if batch["unread"] and trainer is not None and not trainer.predicting:
            fitting = trainer.state.fn == "fit"
            self.unreadable.limit = self.max_bad_fraction if fitting else None
            splits: tuple[Split, ...] = ("train", "val") if fitting else ("test",)
            total = sum(len(self.dataset(split)) for split in splits)
            # Not trainer.log_dir: asking for it is an agreement between all processes.
            folder = getattr(trainer.logger, "log_dir", None) or trainer.default_root_dir
            if self.unreadable.add(batch["unread"], total, folder):
                count = float(len(self.unreadable.found))
                for logger in trainer.loggers:
                    logger.log_metrics({"data/unreadable": count}, step=trainer.global_step)
        return batch

    def on_exception(self, exception: BaseException) -> None:
        """Add to the error of a loading process which file it was reading."""
        if told := self.explain(exception):
            exception.add_note(told)

    def explain(self, exception: BaseException) -> str:
        """Return which file ended a loading process and what to do, ``""`` for other errors."""
        for split, loader in self._loaders.items():
            row, what = loader.explain(exception)
            if row >= 0:
                samples: Any = loader.dataset
                return f"{samples.place(row)}: reading it {what}. {self.remedy(split)}"
        return ""

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the epoch of training, for a checkpoint."""
        loader = self._loaders.get("train")
        return {} if loader is None else loader.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint's place in the epoch, when a training is resumed."""
        if self.trainer is not None and self.trainer.state.fn == "fit":
            self._resumed = state_dict

    def _loader(self, split: Split) -> ClipLoader:
        dataset: Any = self.dataset(split)
        trainer = self.trainer
        training = split == "train"
        workers = self.worker_count()
        loader = ClipLoader(
            dataset,
            batch_size=self.videos_per_batch(split),
            sampler=ClipSampler(
                len(dataset),
                weights=self.sample_weights(split),
                num_replicas=trainer.world_size if trainer is not None else 1,
                rank=trainer.global_rank if trainer is not None else 0,
                shuffle=training,
                seed=self.seed,
            ),
            num_workers=workers,
            collate_fn=self.collate,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=workers > 0 and split in ("train", "val"),
            worker_init_fn=start_worker,
            # Without it the loader draws from the global generator, and the model's chance would
            # depend on how often data was loaded.
            generator=torch.Generator().manual_seed(self.seed),
        )
        loader.trainer = trainer if training else None
        if training and self._resumed:
            # Lightning does so itself, unless it asked for the loader before, to count its steps.
            loader.load_state_dict(self._resumed)
            self._resumed = {}
        self._loaders[split] = loader
        return loader
