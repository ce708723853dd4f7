"""Summary data sets in the HDF5 schema of Zhang et al. (ECCV 2016, arXiv:1605.08110).

SumMe, TVSum, OVP and YouTube are shared in it as ``eccv16_dataset_<name>_google_pool5.h5``:
features of every 15th frame, annotations and shots. videolit writes its own feature files so too
(:class:`videolit.data.features_file.FeatureFile`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from videolit.data.hdf5 import open_hdf5, read_array, read_number, read_text, video_groups
from videolit.data.layouts.summary_division import division_file, read_division
from videolit.data.layouts.tvsum_annotations import (
    TVSumVideo,
    find_tvsum_annotations,
    read_tvsum_annotations,
)
from videolit.data.summary_records import SummaryRecord, SummarySet, folder_splits
from videolit.types import InputError

_NAMES = ("summe", "tvsum", "ovp", "youtube")


def eccv16(path: Path, annotations: Path | None = None) -> SummarySet:
    """Read a file in the schema: a group for each video.

    A group has ``features`` ``(T, D)``, ``picks`` ``(T,)`` and ``n_frames``; and it may have
    ``n_steps``, ``gtscore`` ``(T,)``, ``gtsummary`` ``(T,)``, ``user_summary`` ``(U, n_frames)``,
    ``change_points`` ``(S, 2)`` with the **inclusive** first and last frame of each shot,
    ``n_frame_per_seg`` ``(S,)``, ``video_name``; of videolit also ``user_scores`` ``(U, T)`` in
    [0, 1] and ``fps``. The videos come in the order of their numbers. The data set is what the
    attribute ``data_set`` of the file says, else its name tells. Its division into train, val and
    test is that of ``<name>_splits.json`` beside it, or of the folders in the videos' names.

    TVSum's annotators gave scores, and the file has only what became of them. The scores are read
    from ``ydata-tvsum50.mat`` or ``ydata-anno.tsv`` beside the file, where there is one: video_k
    is the k-th video there.

    Args:
        path: The file.
        annotations: TVSum's annotations; None = look beside the file.

    Raises:
        InputError: If the file cannot be read, a value is outside of the schema, or the
            annotations are those of other videos.
    """
    with open_hdf5(path) as file:
        names = video_groups(file)
        if not names:
            raise InputError(
                f"{str(path)!r} has no group with 'features', 'picks' and 'n_frames': expected one "
                "for each video, as in eccv16_dataset_tvsum_google_pool5.h5"
            )
        guess = next((name for name in _NAMES if name in path.stem.lower()), path.stem)
        name = str(file.attrs.get("data_set", "")) or guess
        scored = any("user_scores" in file[group] for group in names)
        if annotations is None and name == "tvsum" and not scored:
            annotations = find_tvsum_annotations(path.parent)
        scores = {} if annotations is None else _scores(path, names, file, annotations)
        records = tuple(_record(path, file[group], scores.get(group)) for group in names)
        settings = file.attrs.get("settings")
    splits = read_division(division_file(path), names) or folder_splits(names)
    return SummarySet(
        name=name,
        records=records,
        reduce="max" if name == "summe" else "mean",
        notes=_notes(name, records),
        splits=splits,
        feature_record=None if settings is None else str(settings),
    )


def _record(
    path: Path, group: h5py.Group, user_scores: NDArray[np.float32] | None
) -> SummaryRecord:
    video_id = group.name.lstrip("/")
    features = group["features"]
    if not isinstance(features, h5py.Dataset) or features.ndim != 2:
        raise _wrong(path, video_id, "features", "shape (steps, numbers)", features)
    picks = _integers(path, group, "picks")
    num_frames = read_number(group, "n_frames")
    if picks is None or num_frames is None:
        missing = "picks" if picks is None else "n_frames"
        raise _wrong(path, video_id, missing, "a value", f"only {', '.join(sorted(group))}")
    for key, count in (
        ("features", features.shape[0]),
        ("n_steps", read_number(group, "n_steps")),
    ):
        if count is not None and count != len(picks):
            raise _wrong(path, video_id, key, f"{len(picks)} steps, as picks has", f"{count:g}")
    own_scores = read_array(group, "user_scores")
    gtscore = read_array(group, "gtscore")
    if own_scores is not None:
        user_scores = own_scores.astype(np.float32)
    return SummaryRecord(
        video_id=video_id,
        name=read_text(group, "video_name"),
        source=str(path),
        group=video_id,
        num_features=features.shape[1],
        num_frames=int(num_frames),
        fps=read_number(group, "fps"),
        picks=picks,
        gtscore=None if gtscore is None else gtscore.astype(np.float32),
        user_scores=user_scores,
        user_summary=_binary(path, group, "user_summary"),
        shots=_shots(path, group),
        gtsummary=_binary(path, group, "gtsummary"),
    )


def _shots(path: Path, group: h5py.Group) -> NDArray[np.int64] | None:
    """Return half-open shots of inclusive change points."""
    points = _integers(path, group, "change_points")
    if points is None:
        return None
    video_id = group.name.lstrip("/")
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise _wrong(path, video_id, "change_points", "shape (shots, 2)", f"shape {points.shape}")
    gaps = np.flatnonzero(points[1:, 0] != points[:-1, 1] + 1)
    if len(gaps):
        place = int(gaps[0]) + 1
        last, first = points[place - 1, 1], points[place, 0]
        hint = "; both ends of a shot are inclusive" if first == last else ""
        raise _wrong(
            path,
            video_id,
            "change_points",
            f"shot {place} to begin at frame {last + 1}, after the last frame of the one before",
            f"{first}{hint}",
        )
    lengths = points[:, 1] - points[:, 0] + 1
    stated = _integers(path, group, "n_frame_per_seg")
    if stated is not None and not np.array_equal(stated.ravel(), lengths):
        if stated.size != len(lengths):
            raise _wrong(path, video_id, "n_frame_per_seg", f"{len(lengths)} shots", stated.size)
        place = int(np.flatnonzero(stated.ravel() != lengths)[0])
        first, last = points[place]
        raise _wrong(
            path,
            video_id,
            "n_frame_per_seg",
            f"{lengths[place]} for shot {place}, whose frames {first} to {last} are inclusive",
            stated.ravel()[place],
        )
    return np.stack([points[:, 0], points[:, 1] + 1], axis=1)


def _integers(path: Path, group: h5py.Group, key: str) -> NDArray[np.int64] | None:
    values = read_array(group, key)
    if values is None:
        return None
    whole = values.astype(np.int64) if values.dtype.kind in "iuf" else None
    if whole is None or not np.array_equal(whole, values):
        raise _wrong(path, group.name.lstrip("/"), key, "whole numbers", values.dtype)
    return whole


def _binary(path: Path, group: h5py.Group, key: str) -> NDArray[np.bool_] | None:
    values = read_array(group, key)
    if values is None:
        return None
    bad = ~((values == 0) | (values == 1))
    if bad.any():
        hint = f"{values[bad][0]}; scores belong into 'user_scores'"
        raise _wrong(path, group.name.lstrip("/"), key, "0 and 1 only", hint)
    return values.astype(np.bool_)


def _scores(
    path: Path, names: Sequence[str], file: h5py.File, annotations: Path
) -> dict[str, NDArray[np.float32]]:
    """Return each annotator's scores at the picks, by group."""
    videos = read_tvsum_annotations(annotations)
    places = {video.video_id: place for place, video in enumerate(videos)}
    found = {}
    for name in names:
        place = places.get(read_text(file[name], "video_name"), places.get(name, _number(name)))
        if not 0 <= place < len(videos):
            raise _wrong(
                path,
                name,
                "name",
                f"video_1 to video_{len(videos)}, as {annotations.name} has {len(videos)} videos",
                name,
            )
        found[name] = _scores_at_picks(path, file[name], videos[place], annotations, place)
    return found


def _number(name: str) -> int:
    """Return the position of ``video_k``, which is k - 1; -1 for other names."""
    word, _, digits = name.rpartition("_")
    return int(digits) - 1 if word == "video" and digits.isdecimal() else -1


def _scores_at_picks(
    path: Path, group: h5py.Group, video: TVSumVideo, annotations: Path, place: int
) -> NDArray[np.float32]:
    name = group.name.lstrip("/")
    which = f"video {place + 1} of {annotations.name} ({video.video_id})"
    num_frames = read_number(group, "n_frames")
    if num_frames != video.num_frames:
        hint = f"{num_frames or 0:.0f}; are the videos in another order?"
        expected = f"{video.num_frames}, as {which} has"
        raise _wrong(path, name, "n_frames", expected, hint)
    picks = _integers(path, group, "picks")
    if picks is None or picks.size == 0 or picks.min() < 0 or picks.max() >= video.num_frames:
        expected = f"frames in 0..{video.num_frames - 1} of {which}"
        raise _wrong(path, name, "picks", expected, picks)
    return video.user_scores[:, picks]


def _notes(name: str, records: Sequence[SummaryRecord]) -> tuple[str, ...]:
    known: dict[str, tuple[str, ...]] = {
        "summe": (
            "SumMe's annotators selected frames and gave no scores: rank correlations compare with "
            "the mean of their selections and are no measure of the same thing as TVSum's.",
        ),
        "tvsum": (
            "TVSum's user summaries were made of scores by the shots of the file: keyshot F1 with "
            "other shots is not comparable.",
        ),
    }
    notes = known.get(name, ())
    if name == "tvsum" and any(record.user_scores is None for record in records):
        notes += (
            "There are no scores of single annotators: lay ydata-tvsum50.mat or ydata-anno.tsv "
            "beside the file for rank correlations with each of them.",
        )
    return notes


def _wrong(path: Path, video: str, key: str, expected: str, found: object) -> InputError:
    return InputError(f"{path}, {video}, {key}: expected {expected}, found {found}")
