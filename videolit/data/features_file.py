"""Writing features and annotations of videos to an HDF5 file, one video after the other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

import videolit
from videolit.data.hdf5 import open_hdf5, video_groups
from videolit.data.summary_records import SummaryRecord
from videolit.types import InputError

_UNFINISHED = ".unfinished"


class FeatureFile:
    """A file in the schema that :func:`videolit.data.layouts.eccv16.eccv16` reads.

    Videos are appended one by one and the file is closed after each, so that extraction can be
    stopped at any time and go on later: a video is in the file whole, or not at all.

    Args:
        path: The file; one that exists is continued.
        settings: All that decides the features: encoder, weights, preprocessing, steps per second.
            JSON types.
        data_set: Name of the data set, see :class:`videolit.data.summary_records.SummarySet`;
            ``""`` = the file's name tells.

    Raises:
        InputError: If the file exists and is no such file or has features of other settings.
    """

    def __init__(
        self,
        path: str | Path,
        settings: Mapping[str, str | int | float | bool | None],
        data_set: str = "",
    ) -> None:
        self.path = Path(path)
        self.data_set = data_set
        self.settings = json.dumps(dict(settings), sort_keys=True, ensure_ascii=False)
        if not self.path.exists():
            return
        with open_hdf5(self.path) as file:
            found = file.attrs.get("settings")
        if found is None:
            raise InputError(
                f"{self.path} was not written by videolit: it says not how its features were made; "
                "write to another file"
            )
        if found != self.settings:
            raise InputError(
                f"{self.path} has features of other settings:\n  there: {found}\n"
                f"  now:   {self.settings}\nwrite to another file, or remove this one"
            )

    def done(self) -> set[str]:
        """Return the videos that are in the file."""
        if not self.path.exists():
            return set()
        with open_hdf5(self.path) as file:
            return set(video_groups(file))

    def add(self, record: SummaryRecord, features: NDArray[np.float32]) -> None:
        """Append a video with what its annotators said.

        Args:
            record: The video; its picks are the frames of the features.
            features: float ``(T, D)``, finite.

        Raises:
            InputError: If the features are not ``(T, D)`` or not finite, or the video is there.
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
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with h5py.File(self.path, "a") as file:
                self._append(file, record, features)
        except (OSError, UnicodeEncodeError) as error:
            raise InputError(f"{where}: cannot write: {error}") from error

    def _append(
        self, file: h5py.File, record: SummaryRecord, features: NDArray[np.float32]
    ) -> None:
        if record.video_id in file:
            raise InputError(f"{self.path} has the video {record.video_id} already")
        if _UNFINISHED in file:  # of a process that was stopped
            del file[_UNFINISHED]
        file.attrs["settings"] = self.settings
        file.attrs["data_set"] = self.data_set
        file.attrs["videolit"] = videolit.__version__
        group = file.create_group(_UNFINISHED)
        for key, value in _values(record, features).items():
            packed = key in ("user_summary", "user_scores")
            group.create_dataset(key, data=value, compression="gzip" if packed else None)
        file.flush()
        file.move(_UNFINISHED, record.video_id)


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
