"""CMU-MOSI, CMU-MOSEI and CH-SIMS as raw clips with ``label.csv``, as MMSA distributes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from videolit.data.layouts.affect_common import choose, number, read_table, some
from videolit.data.rows import VIDEO_SUFFIXES
from videolit.data.score_files import raise_problems
from videolit.data.sentiment_records import Interval, SentimentSet, Utterance
from videolit.types import InputError

Scale = Literal["mosi", "mosei", "sims"]

RANGES: dict[Scale, Interval] = {"mosi": (-3.0, 3.0), "mosei": (-3.0, 3.0), "sims": (-1.0, 1.0)}
# As MMSA's loader orders them.
ANNOTATIONS = ("Negative", "Neutral", "Positive")
_COLUMNS = ("video_id", "clip_id", "text", "label", "mode")
_MODES = {"train": "train", "valid": "val", "test": "test"}
_MODALITIES = {"label_T": "text", "label_A": "sound", "label_V": "video"}
NOTES: dict[Scale, tuple[str, ...]] = {
    "mosi": (
        "MOSI's test has 686 utterances: one point of accuracy is 7 of them, so give several "
        "seeds.",
        "MOSI is divided by videos: 93 of them by 89 speakers, so some speakers may recur.",
    ),
    "mosei": ("MOSEI is divided by videos: speakers may recur.",),
    "sims": (
        "CH-SIMS was divided utterance by utterance: clips of one video stand in several splits.",
    ),
}


def mosi_raw(
    root: Path, scale: Scale | None = None, *, allow_missing: bool = False
) -> SentimentSet:
    """Read ``label.csv`` and ``Raw/<video_id>/<clip_id>.mp4``.

    The columns are video_id, clip_id, text, label, mode (train, valid or test), annotation, and
    for CH-SIMS label_T, label_A and label_V. The splits are those of ``mode``; a group is a video.

    Args:
        root: The folder of both.
        scale: Which data set; None = by what the table has: label_T = CH-SIMS; else the folder's
            name tells MOSEI from MOSI.
        allow_missing: Take utterances whose clip is missing without a path.

    Raises:
        InputError: If the table is missing or a row is wrong, or clips are missing.
    """
    path = root / "label.csv"
    if not path.is_file():
        raise InputError(f"{str(root)!r} has no label.csv")
    rows = list(read_table(path, _COLUMNS))
    chosen = scale or guess_scale(
        root, any(cells.get(name) for _, cells in rows for name in _MODALITIES)
    )
    clips = _clips(root)
    problems: list[str] = []
    utterances: list[Utterance] = []
    seen: set[str] = set()
    for where, cells in rows:
        utterance = _utterance(where, cells, clips, RANGES[chosen], problems)
        if utterance is None:
            continue
        if utterance.id in seen:
            problems.append(f"{where}, clip_id: {utterance.id} stands there twice")
        seen.add(utterance.id)
        utterances.append(utterance)
    raise_problems(path, problems)
    missing = [utterance.id for utterance in utterances if utterance.path is None]
    if missing and not allow_missing:
        raise InputError(
            f"{str(root)!r}: {len(missing)} of {len(utterances)} clips are not at "
            f"Raw/<video_id>/<clip_id>.mp4: {some(missing)}; unpack them again, or set "
            "allow_missing"
        )
    return SentimentSet(
        name=chosen,
        root=str(root),
        utterances=tuple(utterances),
        class_names=ANNOTATIONS if any(each.label for each in utterances) else (),
        score_range=RANGES[chosen],
        convention=chosen,
        notes=NOTES[chosen],
    )


def guess_scale(root: Path, has_modality_labels: bool) -> Scale:
    """Return which of the three sets it is, by its columns and the names of its folders."""
    if has_modality_labels:
        return "sims"
    names = " ".join(root.absolute().parts[-3:]).lower()
    if "sims" in names:
        return "sims"
    return "mosei" if "mosei" in names else "mosi"


def _clips(root: Path) -> dict[tuple[str, str], Path]:
    """Return the clips by video and clip."""
    folder = next((root / name for name in ("Raw", "raw") if (root / name).is_dir()), root)
    return {
        (path.parent.name, path.stem): path
        for path in sorted(folder.glob("*/*"))
        if path.suffix.lower() in VIDEO_SUFFIXES
    }


def _utterance(
    where: str,
    cells: Mapping[str, str],
    clips: Mapping[tuple[str, str], Path],
    bounds: Interval,
    problems: list[str],
) -> Utterance | None:
    before = len(problems)
    split = choose(where, "mode", cells["mode"], _MODES, problems)
    scores: dict[str, float] = {}
    for column in ("label", *_MODALITIES):
        if column != "label" and not cells.get(column):
            continue
        value = number(where, column, cells[column], problems)
        if value is not None and not bounds[0] <= value <= bounds[1]:
            problems.append(
                f"{where}, {column}: expected {bounds[0]:g} to {bounds[1]:g}, found {value:g}; is "
                "this another data set (scale)?"
            )
        elif value is not None:
            scores[column] = value
    label = cells.get("annotation") or None
    if label is not None and label not in ANNOTATIONS:
        expected = ", ".join(ANNOTATIONS)
        problems.append(f"{where}, annotation: expected {expected}, found {label!r}")
    if len(problems) > before:
        return None
    video, clip = cells["video_id"], cells["clip_id"]
    # Spreadsheets remove the zeros of CH-SIMS's clips, 0001 to 0123.
    path = clips.get((video, clip)) or clips.get((video, clip.zfill(4)))
    return Utterance(
        id=f"{video}$_${clip}",
        path=None if path is None else str(path.absolute()),
        text=cells["text"],
        group=video,
        dialogue=video,
        turn=int(clip) if clip.isdecimal() else None,
        label=label,
        score=scores["label"],
        modality_scores={
            name: scores[column] for column, name in _MODALITIES.items() if column in scores
        },
        split=split,
        problem="" if path is not None else "the clip is missing",
    )
