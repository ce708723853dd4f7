"""The DataModule of action recognition: a user's own videos, one label each, or several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray

from videolit.data.clips import ClipDataset, Sample
from videolit.data.clips import collate as collate_clips
from videolit.data.index import IndexCache, cache_folder
from videolit.data.listing import list_videos, read_manifest
from videolit.data.loader import Watch
from videolit.data.manifest import Manifest
from videolit.data.module import Split, VideoDataModule
from videolit.data.prepared import PreparedSpec, prepared_spec
from videolit.data.reader import Decoder
from videolit.data.sampler import class_weights
from videolit.data.shards import mirror, version_of
from videolit.data.split import Splits, split_manifest
from videolit.data.storage import Remote, is_remote
from videolit.data.transforms import ClipTransform, mirror_labels
from videolit.data.unreadable import exclude_files
from videolit.ops.checks import check_least
from videolit.types import ClipSpec, InputError, VideoBatch


class ActionDataModule(VideoDataModule):
    """Clips of labelled videos, in folders named by class or listed in a CSV or JSONL file.

    These layouts of ``root`` are read::

        root/<class>/*.mp4                       split by val_fraction and test_fraction, seeded
        root/{train,val,test}/<class>/*.mp4      as given; a missing val is split off train
        root.csv or .jsonl                       columns path,label[,start,end,split,group]
        root.csv or .jsonl                       likewise with labels: a;b;c for several, or none
        root/ of ``videolit prepare``            the data that it was made of, read much faster
        s3://bucket/root                         a set of ``videolit prepare --shards``

    Args:
        root: The folder or the list. May be left out when only ``predict_paths`` are predicted.
        layout: Name of a published data set, if ``root`` is one as its authors distribute it:
            ``ucf101``, ``hmdb51``, ``kinetics``, ``something`` (Something-Something V2) or
            ``charades`` (several labels a video).
        fold: Which of its official splits, from 1.
        clip: Frames and geometry; see :class:`~videolit.types.ClipSpec`. Training draws frames and
            crops at random, validation uses one view, test and predict all views and crops.
        train_transform: Augmentation of training; None = :class:`ClipTransform`'s defaults.
        mirror_pairs: Classes that are each other's mirror image, ``{name: name}``, where their
            names do not say so by left and right.
        batch_size: Clips of a training batch, per process.
        clips_per_video: Clips that are cut from a video each time training opens it (repeated
            augmentation, Hoffer et al. 2020): loading gets cheaper, an epoch gets so many times
            longer, and a batch holds ``batch_size / clips_per_video`` videos.
        class_balance: How evenly training draws the classes, in [0, 1]: 0 = each sample once an
            epoch, 1 = each class as often as any other, by repeating samples of small classes and
            leaving out some of large ones; an epoch keeps its length.
        eval_batch_size: Videos of an evaluation batch, per process; None = ``batch_size``.
        num_workers: Loading processes per training process; None = its share of the cores, at most
            8, and half of that where the model is computed on the same cores.
        decoder: ``auto`` takes the fastest decoder that is verified to be right on the file.
        class_names: Names in label order; None = sorted.
        group_pattern: Regular expression on a file's path below ``root``; its first group names
            what must stay in one split, such as a person or a source video.
        val_groups: Groups of the validation split.
        test_groups: Groups of the test split, as in leave-one-person-out.
        val_fraction: Share of the validation split where the data does not name one.
        test_fraction: Share of the test split where the data does not name one.
        allow_group_overlap: Accept splits of the data that share groups, as some published ones do.
        allow_outside_root: Accept paths of a list that lie outside its folder.
        exclude: List of files to leave out, as the ``quarantine.jsonl`` of a run.
        max_bad_fraction: Largest share of the samples that may turn out to be unreadable in
            training: others of their class take their places, each file is named once and listed
            in ``quarantine.jsonl``. Above it the run stops, with the list.
        time_limit: Seconds that a loading process may take to read the frames of one video;
            0 = for ever. A decoder that hangs ends the run with the name of the file.
        cache_gb: Gigabytes of local disk that keep what was read from a remote ``root``, in
            ``$VIDEOLIT_CACHE`` and shared by all processes of a machine; 0 = none.
        predict_paths: Files and folders to predict; None = the test split.
        seed: Decides splits, order and all chance of sampling and augmentation.
    """

    def __init__(
        self,
        root: str | None = None,
        *,
        layout: str | None = None,
        fold: int = 1,
        clip: ClipSpec = ClipSpec(),  # noqa: B008 - frozen
        train_transform: ClipTransform | None = None,
        mirror_pairs: dict[str, str] | None = None,
        batch_size: int = 8,
        clips_per_video: int = 1,
        class_balance: float = 0.0,
        eval_batch_size: int | None = None,
        num_workers: int | None = None,
        decoder: Decoder = "auto",
        class_names: list[str] | None = None,
        group_pattern: str | None = None,
        val_groups: list[str] | None = None,
        test_groups: list[str] | None = None,
        val_fraction: float = 0.15,
        test_fraction: float = 0.15,
        allow_group_overlap: bool = False,
        allow_outside_root: bool = False,
        exclude: str | None = None,
        max_bad_fraction: float = 0.01,
        time_limit: float = 600.0,
        cache_gb: float = 20.0,
        predict_paths: list[str] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            max_bad_fraction=max_bad_fraction,
            seed=seed,
        )
        check_least(
            ("clips_per_video", clips_per_video, 1),
            ("time_limit", time_limit, 0),
            ("cache_gb", cache_gb, 0),
        )
        if batch_size % clips_per_video:
            raise InputError(
                f"batch_size counts clips: it must be a multiple of clips_per_video "
                f"({clips_per_video}), got {batch_size}"
            )
        if not 0 <= class_balance <= 1:
            raise InputError(f"class_balance must lie in [0, 1], got {class_balance}")
        self.root = root
        self.layout = layout
        self.fold = fold
        self.clip = clip
        self.train_transform = train_transform
        self.mirror_pairs = mirror_pairs
        self.clips_per_video = clips_per_video
        self.class_balance = class_balance
        self.decoder: Decoder = decoder
        self.requested_class_names = class_names
        self.group_pattern = group_pattern
        self.val_groups = val_groups
        self.test_groups = test_groups
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.allow_group_overlap = allow_group_overlap
        self.allow_outside_root = allow_outside_root
        self.exclude = exclude
        self.time_limit = time_limit
        self.cache_gb = cache_gb
        self.predict_paths = predict_paths
        self._splits: Splits | None = None
        self._prepared: PreparedSpec | None = None
        self._predicted: Manifest | None = None

    # What the task asks for.

    @property
    def class_names(self) -> Sequence[str]:
        """Names of the classes, in label order; empty when unlabelled files are predicted."""
        return self._splits.train.class_names if self._splits is not None else ()

    @property
    def class_counts(self) -> Sequence[int]:
        """Training samples of each class."""
        return self._splits.train.class_counts().tolist() if self._splits is not None else ()

    @property
    def multi_label(self) -> bool:
        """Whether a sample can have several labels, or none; known after :meth:`setup`."""
        return self._splits is not None and self._splits.train.sets is not None

    @property
    def clip_spec(self) -> ClipSpec:
        """The preprocessing of test and use."""
        return self.clip

    @property
    def is_prepared(self) -> bool:
        """Whether ``root`` is a set that ``videolit prepare`` wrote; known after :meth:`setup`."""
        return self._prepared is not None

    def setup(self, stage: str | None = None) -> None:
        """Read and check the list of samples; no video is opened."""
        if stage == "predict" and self.predict_paths is not None:
            self._predicted = list_videos(
                self.predict_paths, allow_outside_root=self.allow_outside_root
            )
            return
        if self._splits is None:
            self._splits = self._read_splits()
        needed: dict[str | None, tuple[Split, ...]] = {
            "fit": ("train", "val"),
            "validate": ("val",),
            "test": ("test",),
            "predict": ("test",),
        }
        self._splits.require(*needed.get(stage, ()))
        if stage == "predict":
            self._predicted = self._splits.test

    def manifest(self, split: Split) -> Manifest:
        """Return the samples of a split, after :meth:`setup`."""
        if split == "predict":
            if self._predicted is None:
                raise InputError("call setup('predict') before asking for what is predicted")
            return self._predicted
        if self._splits is None:
            raise InputError("call setup() before asking for the samples of a split")
        chosen: Manifest = getattr(self._splits, split)
        return chosen

    def dataset(self, split: Split) -> ClipDataset:
        """Return the clips of a split, after :meth:`setup`: random in training, fixed otherwise."""
        manifest = self.manifest(split)
        spec = self.clip
        if split in ("train", "val"):
            # Validation runs every epoch: one view is enough to follow and to choose a model.
            spec = ClipSpec.from_dict({**spec.to_dict(), "num_views": 1, "num_crops": 1})
        transform = mirrored = None
        if split == "train":
            transform = self.train_transform or ClipTransform()
            mirrored = mirror_labels(manifest.class_names, self.mirror_pairs)
        return ClipDataset(
            manifest,
            spec,
            transform=transform,
            mirrored=mirrored,
            clips_per_video=self.clips_per_video,
            seed=self.seed,
            decoder=self.decoder,
            # Files given once to predict leave nothing behind on the user's disk.
            cache=IndexCache(None) if self.root is None else None,
            watch=Watch(self.time_limit),
        )

    @staticmethod
    def collate(samples: Sequence[Sample]) -> VideoBatch:
        """Stack clips to a batch."""
        return collate_clips(samples)

    def names(self, split: Split) -> Iterator[bytes]:
        """Yield the path below the root, start and end of each sample of a split."""
        return self.manifest(split).keys()

    def videos_per_batch(self, split: Split) -> int:
        """Return how many videos make a batch; training cuts several clips from each."""
        videos = super().videos_per_batch(split)
        return videos // self.clips_per_video if split == "train" else videos

    def sample_weights(self, split: Split) -> NDArray[np.float64] | None:
        """Return how often training draws each sample for classes to be balanced."""
        if split == "train" and self.class_balance:
            return class_weights(self.manifest(split).labels, self.class_balance)
        return None

    def remedy(self, split: Split) -> str:
        """Return what to do about a file that ends a loading process."""
        again = "prepare the data (`videolit prepare`), which finds such files without ending"
        if self.manifest(split).suffix:
            again = "prepare it again"
        return (
            "Repair the file, leave it out (--data.exclude with a list that has the column path), "
            f"or {again}"
        )

    def describe(self, split: Split) -> dict[str, Any]:
        """Return what an evaluation must say about its data, as JSON types."""
        manifest = self.manifest(split)
        return {
            "data": _data_name(self.root),
            "split": split,
            "split_hash": manifest.hash(),
            "num_samples": len(manifest),
            "num_classes": len(manifest.class_names),
            "decoder": f"prepared: {self._prepared.describe()}" if self._prepared else self.decoder,
            "clip": self.clip.to_dict(),
            "protocol": self.clip.describe(),
        }

    def _read_splits(self) -> Splits:
        if self.root is None:
            raise InputError(
                "no data: give the folder or list of your videos, as in `--data.root my_videos`"
            )
        root, remote = self.root, None
        if is_remote(root):
            cache = cache_folder("remote")
            root = str(mirror(root, f"{cache}/lists"))
            limit = int(self.cache_gb * 1e9)
            remote = Remote(self.root, f"{cache}/blocks", limit, version_of(root))
        self._prepared = prepared_spec(root)
        if self._prepared is not None and self._prepared.short_side < self.clip.resize:
            rank_zero_warn(
                f"{self.root} was prepared at a short side of {self._prepared.short_side} pixels "
                f"and clips are made at {self.clip.resize}: they will be blurred. Prepare the data "
                f"again with --short-side {self.clip.resize}, or set --data.clip.resize and .size"
            )
        manifest = read_manifest(
            root,
            class_names=self.requested_class_names,
            group_pattern=self.group_pattern,
            allow_outside_root=self.allow_outside_root,
            remote=remote,
            layout=self.layout,
            fold=self.fold,
        )
        if self.exclude is not None:
            manifest = exclude_files(manifest, self.exclude)
        return split_manifest(
            manifest,
            val_fraction=self.val_fraction,
            test_fraction=self.test_fraction,
            seed=self.seed,
            val_groups=self.val_groups,
            test_groups=self.test_groups,
            allow_group_overlap=self.allow_group_overlap,
        )


def _data_name(root: str | None) -> str:
    """Return what the data is called: its folder, or its list where that is not just "manifest"."""
    if root is None:
        return "files"
    if is_remote(root):
        return root.rstrip("/").rpartition("/")[2]
    path = Path(root).resolve()
    if path.suffix.lower() not in (".csv", ".jsonl"):
        return path.name
    return path.parent.name if path.stem == "manifest" else path.stem
