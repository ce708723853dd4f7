"""Writing features and annotations of videos to an HDF5 file, with stops between."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import h5py
import numpy as np
from numpy.typing import NDArray

import videolit
from videolit.data.hdf5 import open_hdf5, video_groups
from videolit.data.summary_records import SummaryRecord
from videolit.ops.files import atomic_path
from videolit.types import InputError


class FeatureFile:
    """A file in the schema that :func:`videolit.data.layouts.eccv16.eccv16` reads.

    Use it as ``with FeatureFile(path, settings) as file:``. Each video is a file of its own in the
    folder ``<path>.parts`` until all are there; leaving the block joins them to ``path``, with
    the videos that it had. A process that is stopped at any moment loses at most the video that it
    was writing, and the next one goes on: appending to one HDF5 file would not do, because a
    stop within an append can leave all of it unreadable. One process at a time writes to a file.

    Args:
        path: The file; one that exists is continued.
        settings: All that decides the features: encoder, weights, preprocessing, steps per second.
            JSON types.
        data_set: Name of the data set, see :class:`videolit.data.summary_records.SummarySet`;
            ``""`` = the file's name tells.

    Raises:
        InputError: If the file, or its parts, are not of videolit or have features of other
            settings.
    """

    def __init__(
        self,
        path: str | Path,
        settings: Mapping[str, str | int | float | bool | None],
        data_set: str = "",
    ) -> None:
        self.path = Path(path)
        self.parts = self.path.with_name(f"{self.path.name}.parts")
        self.settings = json.dumps(dict(settings), sort_keys=True, ensure_ascii=False)
        self.data_set = data_set
        if self.path.exists():
            self._check_settings(self.path)
        for part in self._part_files()[:1]:
            self._check_settings(part)

    def done(self) -> set[str]:
        """Return the videos that are written."""
        found: set[str] = set()
        for path in [self.path] * self.path.exists() + self._part_files():
            with open_hdf5(path) as file:
                found.update(video_groups(file))
        return found

    def num_features(self) -> int:
        """Return how many numbers a step of the written videos has; 0 without videos."""
        for path in [self.path] * self.path.exists() + self._part_files():
            with open_hdf5(path) as file:
                for name in video_groups(file)[:1]:
                    return int(file[name]["features"].shape[1])
        return 0

    def add(self, record: SummaryRecord, features: NDArray[np.float32]) -> None:
        """Write a video with what its annotators said.

        Args:
            record: The video; its picks are the frames of the features.
            features: float ``(T, D)``, finite.

        Raises:
            InputError: If the features are not ``(T, D)`` or not finite, or it cannot be written.
        """
        features = np.asarray(features, dtype=np.float32)
        where = f"{self.path}, {record.video_id}"
        if features.ndim != 2 or len(features) != record.num_steps or features.shape[1] == 0:
            raise InputError(
                f"{where}, features: expected one row for each of {record.num_steps} steps, found "
                f"shape {features.shape}"
            )
        if not np.isfinite(features).all():
            raise InputError(f"{where}, features: expected finite numbers, found nan or infinity")
        name = hashlib.sha256(record.video_id.encode("utf-8", "surrogateescape")).hexdigest()
        try:
            with atomic_path(self.parts / f"{name[:32]}.h5") as part:
                # By way of memory: HDF5 ends the whole process where the disk is full.
                with h5py.File(part.name, "w", driver="core", backing_store=False) as file:
                    self._describe(file)
                    group = file.create_group(record.video_id)
                    for key, value in _values(record, features).items():
                        packed = "gzip" if key in ("user_summary", "user_scores") else None
                        group.create_dataset(key, data=value, compression=packed)
                    file.flush()
                    image = file.id.get_file_image()
                part.write_bytes(image)
        except (OSError, UnicodeEncodeError) as error:
            raise InputError(f"{where}: cannot write: {error}") from error

    def finish(self) -> None:
        """Join all videos to ``path`` and remove the parts; leaving the block does it.

        Raises:
            InputError: If a part cannot be read or the file not be written; all parts stay.
        """
        parts = self._part_files()
        if not parts:
            return
        # A video that was written again takes the place of the one before.
        sources = [*parts, *[self.path] * self.path.exists()]
        needed = sum(source.stat().st_size for source in sources)
        room = shutil.disk_usage(self.path.absolute().parent).free
        if needed > room:
            raise InputError(
                f"{self.path}: joining the videos of {str(self.parts)!r} takes {needed / 1e6:.1f} "
                f"MB, and the disk has {room / 1e6:.1f} MB left: make room, and run the same "
                "command again; what is done stays there"
            )
        try:
            with atomic_path(self.path) as whole, h5py.File(whole, "w") as target:
                self._describe(target)
                for source in sources:
                    with h5py.File(source, "r") as file:
                        for name in video_groups(file):
                            if name not in target:
                                file.copy(name, target, name)
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"{self.path}: cannot join the videos of {str(self.parts)!r}, which stay there: "
                f"{error}"
            ) from error
        shutil.rmtree(self.parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish()

    def _part_files(self) -> list[Path]:
        return [path for path in sorted(self.parts.glob("*.h5")) if not path.name.startswith(".")]

    def _describe(self, file: h5py.File) -> None:
        file.attrs["settings"] = self.settings
        file.attrs["data_set"] = self.data_set
        file.attrs["videolit"] = videolit.__version__

    def _check_settings(self, path: Path) -> None:
        with open_hdf5(path) as file:
            found = file.attrs.get("settings")
        if found is None:
            raise InputError(
                f"{path} was not written by videolit: it does not say how its features were made; "
                "write to another file"
            )
        if found != self.settings:
            raise InputError(
                f"{path} has features of other settings:\n  there: {found}\n"
                f"  now:   {self.settings}\nwrite to another file, or remove this one"
            )


def _values(
    record: SummaryRecord, features: NDArray[np.float32]
) -> dict[str, NDArray[np.generic] | int | float | str]:
    values: dict[str, NDArray[np.generic] | int | float | str] = {
        "features": features,
        "picks": record.picks,
        "n_steps": record.num_steps,
        "n_frames": record.num_frames,
        "video_name": record.name,
        "path": record.source,
    }
    if record.fps is not None:
        values["fps"] = record.fps
    if record.shots is not None:
        # The schema's ends are inclusive.
        values["change_points"] = record.shots - np.array([0, 1])
        values["n_frame_per_seg"] = record.shots[:, 1] - record.shots[:, 0]
    if record.gtscore is not None:
        values["gtscore"] = record.gtscore
    if record.user_scores is not None:
        values["user_scores"] = record.user_scores
    if record.user_summary is not None:
        values["user_summary"] = record.user_summary.astype(np.uint8)
    if record.gtsummary is not None:
        values["gtsummary"] = record.gtsummary.astype(np.uint8)
    return values
