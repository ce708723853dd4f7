"""From raw videos, with or without what people said about them, to a file of features."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from videolit.commands.shots import find_shots
from videolit.data.features_file import FeatureFile
from videolit.data.hdf5 import natural_order
from videolit.data.layouts.summary_folder import SCORE_FILES
from videolit.data.layouts.tvsum_annotations import find_tvsum_annotations
from videolit.data.listing import list_videos
from videolit.data.rows import videos_below
from videolit.data.summary_records import SummaryRecord
from videolit.data.summary_sets import read_summary_set
from videolit.ops.select import keyshot_summary
from videolit.types import InputError, VideoError

if TYPE_CHECKING:
    # Imports torch, and the help of commands must not wait for it.
    from videolit.commands.feature_source import Described, FeatureSource

RawLayout = Literal["folder", "summe_raw", "tvsum_raw"]
# Told how many videos are done, in parts of one, of how many, and the name of the one at hand.
Progressed = Callable[[float, int, str], None]

# Above the rate of a camera, so that every frame is a step of what is read, with its score.
_EVERY_FRAME = 240.0
_RATIO = 0.15


class RawVideo(NamedTuple):
    """A video of which features are wanted.

    Attributes:
        video_id: Its name in the set.
        path: The file.
        record: What people said, with a step at every frame; None = nobody said anything.
    """

    video_id: str
    path: str
    record: SummaryRecord | None


class Written(NamedTuple):
    """What :func:`write_features` did.

    Attributes:
        new: Videos that were written now.
        before: Videos that were there.
        unread: Why a video is not there, by name.
        num_features: ``D``; 0 where no video is there.
        labelled: Whether people said something about any of them.
    """

    new: int
    before: int
    unread: dict[str, str]
    num_features: int
    labelled: bool


def raw_videos(
    root: str | Path,
    layout: RawLayout | None = None,
    *,
    allow_unlabelled: bool = False,
    unread: dict[str, str] | None = None,
) -> tuple[str, list[RawVideo]]:
    """Return the name of a set of raw videos, and its videos in the order of their names.

    Args:
        root: A folder of videos with annotations, as
            :func:`~videolit.data.summary_sets.read_summary_set` reads it; a folder of videos or a
            list (``.csv``, ``.jsonl``) without any; or one video.
        layout: How the annotations lie there; None = see what there is.
        allow_unlabelled: Take videos of a folder of which its score file says nothing.
        unread: Gets why a video with annotations cannot be read, by its name: they refer to its
            frames, and it is left out; None = that is an error.

    Raises:
        InputError: If there is no video, or what lies there is not as the layout demands.
        VideoError: If a video with annotations cannot be read and ``unread`` is None.
    """
    path = Path(root)
    if not path.exists():
        raise InputError(f"no file or folder {str(root)!r}: expected videos")
    if path.suffix.lower() in (".h5", ".hdf5"):
        raise InputError(
            f"{str(root)!r} has stored features already; features are made of the videos themselves"
        )
    layout = layout or (_recognise(path) if path.is_dir() else None)
    if layout is not None:
        found = read_summary_set(
            path, layout, fps=_EVERY_FRAME, allow_unlabelled=allow_unlabelled, unread=unread
        )
        return found.name, [RawVideo(r.video_id, r.source, r) for r in found.records]
    if path.is_dir():
        names = sorted(videos_below(str(path)), key=natural_order)
        if not names:
            raise InputError(f"no video in the folder {str(root)!r}")
        return path.resolve().name, [RawVideo(n, str(path / n), None) for n in names]
    manifest = list_videos([path])
    if not np.isnan(manifest.end).all() or (manifest.start > 0).any():
        raise InputError(
            f"{str(root)!r} names parts of videos, and features are of whole ones: leave the "
            "columns start and end out"
        )
    files = [Path(manifest.path(row)) for row in range(len(manifest))]
    home = Path(os.path.abspath(path)).parent  # noqa: PTH100 - keeps links
    return path.stem, [
        RawVideo(f.relative_to(home).as_posix() if f.is_relative_to(home) else f.name, str(f), None)
        for f in files
    ]


def write_features(
    root: str | Path,
    out: str | Path,
    source: FeatureSource,
    *,
    layout: RawLayout | None = None,
    allow_unlabelled: bool = False,
    progressed: Progressed | None = None,
) -> Written:
    """Write features of a set of raw videos, with its annotations, to an HDF5 file.

    The file has the schema of :func:`videolit.data.layouts.eccv16.eccv16` and says how its features
    were made, so that a model trained on it summarizes videos. A run that was stopped goes on; a
    file that is there gets the videos that it has not.

    - ``picks`` are the frames on screen at 0, 1 / fps, 2 / fps, … seconds.
    - ``change_points`` are the shots that ``videolit summarize`` finds.
    - ``user_scores`` and ``gtscore`` are the set's, at the picks.
    - ``user_summary`` is the set's. Where annotators gave scores, it is made of them as TVSum's was
      (Song et al., CVPR 2015, section 5): for each annotator, the shots of the highest mean scores
      that fit into 15 % of the video, by a knapsack. It is empty where every shot is longer.

    Args:
        root: The videos, see :func:`raw_videos`.
        out: The file, ``.h5``.
        source: What makes the features; its encoder is used where it lies.
        layout: See :func:`raw_videos`.
        allow_unlabelled: See :func:`raw_videos`.
        progressed: Is told how far it is.

    Raises:
        InputError: If the data or the file cannot be used, or the file has other features.
    """
    if Path(out).suffix.lower() not in (".h5", ".hdf5"):
        raise InputError(f"features go into an HDF5 file: name it .h5, got {str(out)!r}")
    # A file of other features is refused before every video is looked at.
    FeatureFile(out, source.settings)
    unread: dict[str, str] = {}
    name, videos = raw_videos(root, layout, allow_unlabelled=allow_unlabelled, unread=unread)
    device = next((p.device for p in source.encoder.parameters()), "cpu")
    new = before = 0
    with FeatureFile(out, source.settings, name) as file:
        there = file.done()
        for number, video in enumerate(videos):
            if video.video_id in there:
                before += 1
                continue

            def tell(share: float, number: int = number, shown: str = video.video_id) -> None:
                if progressed is not None:
                    progressed(number + share, len(videos), shown)

            try:
                found = source.describe(video.path, device=device, progressed=tell)
                file.add(described_record(video, found), found.features)
            except VideoError as problem:
                unread[video.video_id] = problem.reason
                continue
            new += 1
        size = file.num_features()
    labelled = any(video.record is not None for video in videos)
    return Written(new, before, unread, size, labelled)


def described_record(video: RawVideo, found: Described) -> SummaryRecord:
    """Return the record of a video with the steps and shots of its features.

    Args:
        video: With the annotations of every frame.
        found: The same video, described.

    Raises:
        VideoError: If the annotations were read with another number of frames.
    """
    scan, said = found.scan, video.record
    shots = find_shots(found)
    count = scan.index.num_frames
    if said is None:
        said = SummaryRecord(
            video_id=video.video_id,
            name=Path(video.path).stem,
            source=str(video.path),
            group=None,
            num_features=0,
            num_frames=count,
            fps=scan.index.fps,
            picks=scan.frames,
        )
    if said.num_frames != count:
        raise VideoError(
            video.path, f"has {count} frames, and had {said.num_frames} when its scores were read"
        )
    summary = said.user_summary
    if summary is None and said.user_scores is not None:
        summary = np.stack(
            [
                keyshot_summary(scores, said.picks, count, shots, ratio=_RATIO)
                for scores in said.user_scores
            ]
        )
    # The score of a frame is that of the last step up to it.
    held = np.searchsorted(said.picks, scan.frames, side="right") - 1
    return dataclasses.replace(
        said,
        picks=scan.frames,
        gtscore=_at(said.gtscore, held),
        user_scores=_at(said.user_scores, held),
        user_summary=summary,
        shots=shots,
    )


def _at(scores: NDArray[np.float32] | None, steps: NDArray[np.int64]) -> NDArray[np.float32] | None:
    return None if scores is None else scores[..., steps]


def _recognise(root: Path) -> RawLayout | None:
    """Return how annotations lie in a folder, None where there are none."""
    if any((root / name).is_file() for name in SCORE_FILES):
        return "folder"
    if any((root / "GT").glob("*.mat")):
        return "summe_raw"
    return "tvsum_raw" if find_tvsum_annotations(root) is not None else None
