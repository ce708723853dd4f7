"""TVSum (Song et al., CVPR 2015): 50 videos, 20 annotators, a score for every frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from videolit.data.layouts.common import find_folder
from videolit.data.layouts.raw_summary import (
    fit_frames,
    frame_times_of,
    pick_frames,
    videos_by_stem,
)
from videolit.data.layouts.tvsum_annotations import find_tvsum_annotations, read_tvsum_annotations
from videolit.data.summary_records import SummaryRecord, SummarySet
from videolit.types import InputError

_FOLDERS = ("video", "videos", "ydata-tvsum50-v1_1/video")


def tvsum_raw(root: Path, fps: float = 2.0, *, unread: dict[str, str] | None = None) -> SummarySet:
    """Read ``ydata-tvsum50.mat`` or ``ydata-anno.tsv``, and the videos ``video/<id>.mp4``.

    The common score is the annotators' mean, spread to [0, 1] in each video as in the HDF5 file of
    Zhang et al. There are no shots and so no user summaries: those were made of both.

    Args:
        root: The folder of all of them.
        fps: Steps per second.
        unread: Gets why a video cannot be read, by its name, and the set goes without it; None =
            that is an error.

    Raises:
        InputError: If a file is missing, or the annotations are those of other videos.
        VideoError: If a video cannot be read and ``unread`` is None.
    """
    path = find_tvsum_annotations(root)
    if path is None:
        raise InputError(f"{str(root)!r} has no ydata-tvsum50.mat and no ydata-anno.tsv")
    folder = find_folder(root, _FOLDERS, "the videos of TVSum")
    videos = videos_by_stem(folder)
    annotated = read_tvsum_annotations(path)
    missing = [video.video_id for video in annotated if video.video_id not in videos]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(annotated)} videos of {str(path)!r} are not in "
            f"{str(folder)!r}: {', '.join(missing[:5])}{', …' * (len(missing) > 5)}"
        )
    records = []
    for video in annotated:
        file = videos[video.video_id]
        known = frame_times_of(file, file.name, unread)
        if known is None:
            continue
        times, rate = known
        where = f"{path}, {video.video_id}"
        levels = fit_frames(where, video.levels, len(times), rate)
        picks = pick_frames(times, fps)
        scores = video._replace(levels=levels).user_scores[:, picks]
        mean = scores.mean(axis=0)
        low, high = mean.min(), mean.max()
        records.append(
            SummaryRecord(
                video_id=file.name,
                name=video.title,
                source=str(file),
                group=None,
                num_features=0,
                num_frames=len(times),
                fps=rate,
                picks=picks,
                gtscore=((mean - low) / (high - low)).astype(np.float32) if high > low else mean,
                user_scores=scores,
            )
        )
    return SummarySet(
        name="tvsum",
        records=tuple(records),
        notes=(
            "There are no shots in the annotations: keyshot F1 depends on those that are made and "
            "is not comparable with published numbers.",
        ),
    )
