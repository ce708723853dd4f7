"""Reading a summary data set, whichever way it lies there."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import h5py

from videolit.data.hdf5 import open_hdf5
from videolit.data.layouts.eccv16 import eccv16
from videolit.data.layouts.mrhisum import mrhisum
from videolit.data.layouts.summary_folder import SCORE_FILES, summary_folder
from videolit.data.layouts.summe_raw import summe_raw
from videolit.data.layouts.tvsum_annotations import find_tvsum_annotations
from videolit.data.layouts.tvsum_raw import tvsum_raw
from videolit.data.summary_records import SummarySet
from videolit.types import InputError

SummaryLayout = Literal["eccv16", "mrhisum", "summe_raw", "tvsum_raw", "folder"]

_NEEDS = """\
  eccv16: one .h5 file with a group for each video, as eccv16_dataset_tvsum_google_pool5.h5; TVSum's
    ydata-tvsum50.mat or ydata-anno.tsv beside it adds each annotator's scores
  mrhisum: mr_hisum.h5, with mr_hisum_split.json and metadata.csv beside it
  summe_raw: GT/*.mat and videos/*.mp4
  tvsum_raw: ydata-tvsum50.mat or ydata-anno.tsv, and video/*.mp4
  folder: your own videos, and scores.json or scores.csv with what people said about their parts"""
_ENDINGS = (".h5", ".hdf5")


def read_summary_set(
    root: str | Path,
    layout: SummaryLayout | None = None,
    *,
    fps: float = 2.0,
    allow_unlabelled: bool = False,
    unread: dict[str, str] | None = None,
) -> SummarySet:
    """Read the videos of a summary data set and what its annotators said.

    Args:
        root: An HDF5 file, a folder with one, or a folder of videos with annotations.
        layout: How the data lies there; None = see what there is.
        fps: Steps per second of raw videos; HDF5 files have theirs.
        allow_unlabelled: Take videos of ``folder`` that nobody annotated.
        unread: Gets why a raw video cannot be read, by its name, and the set goes without it; None
            = that is an error.

    Raises:
        InputError: If the layout is unknown or there is none, or what lies there is not as it
            demands.
        VideoError: If a raw video cannot be read and ``unread`` is None.
    """
    if layout is not None and layout not in get_args(SummaryLayout):
        raise InputError(f"unknown layout {layout!r}; known are\n{_NEEDS}")
    path = Path(root)
    if not path.exists():
        raise InputError(f"no file or folder {str(root)!r}; expected one of\n{_NEEDS}")
    stored = _stored(path) if layout in (None, "eccv16", "mrhisum") else None
    match layout or _recognise(path, stored):
        case "summe_raw":
            return summe_raw(path, fps, unread=unread)
        case "tvsum_raw":
            return tvsum_raw(path, fps, unread=unread)
        case "folder":
            return summary_folder(path, fps, allow_unlabelled=allow_unlabelled, unread=unread)
        case "mrhisum":
            return mrhisum(_demand(path, stored))
        case "eccv16":
            return eccv16(_demand(path, stored))


def _stored(path: Path) -> Path | None:
    """Return the HDF5 file, None where there is none."""
    if path.is_file():
        return path
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in _ENDINGS)
    if len(files) > 1:
        raise InputError(
            f"{str(path)!r} has {len(files)} HDF5 files: {', '.join(f.name for f in files)}; name "
            "one of them"
        )
    return files[0] if files else None


def _demand(path: Path, stored: Path | None) -> Path:
    if stored is None:
        raise InputError(f"{str(path)!r} has no .h5 file; expected one of\n{_NEEDS}")
    return stored


def _recognise(path: Path, stored: Path | None) -> SummaryLayout:
    if stored is not None:
        return _recognise_file(stored)
    if any((path / name).is_file() for name in SCORE_FILES):
        return "folder"
    if any((path / "GT").glob("*.mat")):
        return "summe_raw"
    if find_tvsum_annotations(path) is not None:
        return "tvsum_raw"
    raise InputError(f"nothing known lies in {str(path)!r}; expected one of\n{_NEEDS}")


def _recognise_file(path: Path) -> SummaryLayout:
    if path.suffix.lower() not in _ENDINGS:
        raise InputError(f"{str(path)!r} is no .h5 file; expected one of\n{_NEEDS}")
    with open_hdf5(path) as file:
        name = next(iter(file), None)
        # The authors of Mr. HiSum store no picks: its rows are seconds.
        first = file[name] if name is not None else None
        keys = set(first) if isinstance(first, h5py.Group) else set()
        return "mrhisum" if "gtscore" in keys and "picks" not in keys else "eccv16"
