"""What TVSum's 20 annotators said (Song et al., CVPR 2015): a score from 1 to 5 for every frame."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from videolit.data.hdf5 import open_hdf5
from videolit.data.layouts.common import text_lines
from videolit.types import InputError

_FILES = ("ydata-tvsum50.mat", "ydata-anno.tsv")
_FOLDERS = ("", "matlab", "data", "ydata-tvsum50-v1_1/data", "ydata-tvsum50-v1_1/matlab")


class TVSumVideo(NamedTuple):
    """The annotations of one video.

    Attributes:
        video_id: YouTube's id, the name of the video file.
        title: Its title, ``""`` where the file has none.
        category: One of ten, two letters.
        seconds: Its length; None where the file has none.
        levels: uint8 ``(U, num_frames)``, 1 to 5.
    """

    video_id: str
    title: str
    category: str
    seconds: float | None
    levels: NDArray[np.uint8]

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return int(self.levels.shape[1])

    @property
    def user_scores(self) -> NDArray[np.float32]:
        """The scores in [0, 1], float32 ``(U, num_frames)``: (level − 1) / 4."""
        return (self.levels.astype(np.float32) - np.float32(1)) / np.float32(4)


def find_tvsum_annotations(root: Path) -> Path | None:
    """Return ``ydata-tvsum50.mat`` or ``ydata-anno.tsv`` in a folder, None where there is none."""
    paths = [root / folder / name for name in _FILES for folder in _FOLDERS]
    return next((path for path in paths if path.is_file()), None)


def read_tvsum_annotations(path: Path) -> list[TVSumVideo]:
    """Read the annotations of all videos, in the order of the file.

    Args:
        path: ``ydata-tvsum50.mat`` (MATLAB 7.3) or ``ydata-anno.tsv`` (a row for each video and
            annotator: id, category, scores with commas between).

    Raises:
        InputError: If the file is not one of them or a score is not 1, 2, 3, 4 or 5.
    """
    return _read_mat(path) if path.suffix.lower() == ".mat" else _read_tsv(path)


def _read_mat(path: Path) -> list[TVSumVideo]:
    with open_hdf5(path) as file:
        table = file.get("tvsum50")
        keys = ("video", "title", "category", "length", "nframes", "user_anno")
        missing = [key for key in keys if table is None or key not in table]
        if missing:
            raise InputError(f"{path}: expected the struct 'tvsum50' with {', '.join(missing)}")
        videos = []
        for row in range(len(table["video"])):
            cell = {key: file[table[key][row, 0]] for key in keys}
            video_id = _text(cell["video"])
            where = f"{path}, {video_id}, user_anno"
            levels = _levels(where, np.asarray(cell["user_anno"]))
            if levels.shape[1] != int(cell["nframes"][0, 0]):
                raise InputError(
                    f"{where}: expected {int(cell['nframes'][0, 0])} frames, as nframes says, "
                    f"found {levels.shape[1]}"
                )
            seconds = float(cell["length"][0, 0])
            title, category = _text(cell["title"]), _text(cell["category"])
            videos.append(TVSumVideo(video_id, title, category, seconds, levels))
    return videos


def _text(cell: h5py.Dataset) -> str:
    return "".join(chr(code) for code in np.asarray(cell).ravel())


def _read_tsv(path: Path) -> list[TVSumVideo]:
    rows: dict[str, list[NDArray[np.float64]]] = {}
    categories: dict[str, str] = {}
    for number, line in enumerate(text_lines(path), 1):
        fields = line.split("\t")
        where = f"{path}, line {number}"
        if len(fields) != 3:
            raise InputError(
                f"{where}: expected video, category and scores with tabs between, found "
                f"{len(fields)} columns"
            )
        video_id, category, scores = fields
        try:
            values = np.array([float(score) for score in scores.split(",")])
        except ValueError as error:
            raise InputError(f"{where}, column 3: expected scores, found {error}") from None
        before = rows.setdefault(video_id, [])
        if before and len(before[0]) != len(values):
            raise InputError(
                f"{where}, column 3: expected {len(before[0])} scores, as the annotators of "
                f"{video_id} before gave, found {len(values)}"
            )
        before.append(values)
        categories[video_id] = category
    videos = []
    for video_id, users in rows.items():
        levels = _levels(f"{path}, {video_id}", np.stack(users))
        videos.append(TVSumVideo(video_id, "", categories[video_id], None, levels))
    return videos


def _levels(where: str, values: NDArray[np.float64]) -> NDArray[np.uint8]:
    if values.ndim != 2:
        raise InputError(f"{where}: expected annotators × frames, found shape {values.shape}")
    bad = ~np.isin(values, (1, 2, 3, 4, 5))
    if bad.any():
        raise InputError(f"{where}: expected scores 1, 2, 3, 4 or 5, found {values[bad][0]}")
    return values.astype(np.uint8)
