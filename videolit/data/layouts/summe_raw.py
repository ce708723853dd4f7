"""SumMe (Gygli et al., ECCV 2014): 25 videos, 15 to 18 annotators who chose frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from videolit.data.layouts.common import find_folder
from videolit.data.layouts.raw_summary import (
    fit_frames,
    frame_times_of,
    pick_frames,
    videos_by_stem,
)
from videolit.data.summary_records import SummaryRecord, SummarySet
from videolit.types import InputError


def summe_raw(root: Path, fps: float = 2.0, *, unread: dict[str, str] | None = None) -> SummarySet:
    """Read ``GT/<name>.mat`` and ``videos/<name>.mp4``.

    ``user_score`` ``(n_frames, U)`` is above 0 where an annotator chose the frame. The common score
    is the share of annotators that did.

    Args:
        root: The folder of both.
        fps: Steps per second.
        unread: Gets why a video cannot be read, by its name, and the set goes without it; None =
            that is an error.

    Raises:
        InputError: If a file is missing or is none of these, or the annotations are those of
            another video.
        VideoError: If a video cannot be read and ``unread`` is None.
    """
    tables = sorted(find_folder(root, ("GT",), "the annotations of SumMe").glob("*.mat"))
    folder = find_folder(root, ("videos", "video"), "the videos of SumMe")
    videos = videos_by_stem(folder)
    if not tables:
        raise InputError(f"{str(root / 'GT')!r} has no .mat file")
    missing = [path.stem for path in tables if path.stem not in videos]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(tables)} annotated videos are not in {str(folder)!r}: "
            f"{', '.join(missing[:5])}{', …' * (len(missing) > 5)}"
        )
    records = (_record(path, videos[path.stem], fps, unread) for path in tables)
    return SummarySet(
        name="summe",
        records=tuple(record for record in records if record is not None),
        reduce="max",
        notes=(
            "SumMe's annotators selected frames and gave no scores: rank correlations compare with "
            "the mean of their selections and are no measure of the same thing as TVSum's.",
        ),
    )


def _record(
    path: Path, video: Path, fps: float, unread: dict[str, str] | None
) -> SummaryRecord | None:
    known = frame_times_of(video, video.name, unread)
    if known is None:
        return None
    times, rate = known
    summary = fit_frames(f"{path}, user_score", _chosen(path), len(times), rate).astype(np.bool_)
    picks = pick_frames(times, fps)
    return SummaryRecord(
        video_id=video.name,
        name=video.stem.replace("_", " "),
        source=str(video),
        group=None,
        num_features=0,
        num_frames=len(times),
        fps=rate,
        picks=picks,
        gtscore=summary[:, picks].mean(axis=0, dtype=np.float32),
        user_summary=summary,
    )


def _chosen(path: Path) -> NDArray[np.uint8]:
    """Return what each annotator chose, uint8 ``(U, n_frames)``."""
    try:
        scores = loadmat(path).get("user_score")
    except (OSError, ValueError, TypeError, NotImplementedError) as error:
        raise InputError(f"cannot read {str(path)!r} as MATLAB 5: {error}") from error
    if hasattr(scores, "toarray"):
        scores = scores.toarray()
    if scores is None or scores.ndim != 2 or 0 in scores.shape:
        found = "nothing" if scores is None else f"shape {scores.shape}"
        raise InputError(f"{path}, user_score: expected frames × annotators, found {found}")
    chosen: NDArray[np.uint8] = (scores > 0).T.astype(np.uint8)
    return chosen
