"""MELD (Poria et al., ACL 2019): 13,708 utterances of a television series, seven emotions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from videolit.data.layouts.affect_common import read_table, some
from videolit.data.score_files import raise_problems
from videolit.data.sentiment_records import SentimentSet, Utterance
from videolit.types import InputError

Target = Literal["emotion", "sentiment"]

# In the order of the authors' README.
EMOTIONS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
SENTIMENTS = ("neutral", "positive", "negative")
# Files of the splits, and the folders that their clips are unpacked to.
_SPLITS = {
    "train": ("train_sent_emo.csv", ("train_splits", "train")),
    "val": ("dev_sent_emo.csv", ("dev_splits_complete", "dev_splits", "dev")),
    "test": (
        "test_sent_emo.csv",
        ("output_repeated_splits_test", "test_splits_complete", "test_splits", "test"),
    ),
}
# The authors' issues 20, 22, 27, 39 and 52, and rows whose times tell it.
KNOWN_BAD = {
    "train/dia125_utt3": "the published clip cannot be decoded",
    "val/dia110_utt7": "the clip is missing from the published archive",
    "test/dia38_utt4": "the published clip is cut wrongly and lasts 305 s",
    "test/dia220_utt0": "the published clip is cut wrongly and lasts 235 s",
    "test/dia155_utt3": "the published clip has no duration",
}
_COLUMNS = (
    *("Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID"),
    *("StartTime", "EndTime"),
)
_MISSING = "the clip is missing"
_TIME = re.compile(r"\d{1,2}:[0-5]?\d:[0-5]?\d[,.]\d{1,3}", re.ASCII)
_NOTES = (
    "MELD's splits share the main actors, and some scenes stand in two of them: figures say "
    "nothing of unseen speakers.",
    "Many of MELD's clips begin or end a little beside the words, and several people are seen in "
    "most.",
)


def meld(
    root: Path, target: Target = "emotion", *, clips: bool = True, allow_missing: bool = False
) -> SentimentSet:
    """Read ``train_``, ``dev_`` and ``test_sent_emo.csv`` and the clips where they lie there.

    The rows of the tables count, not the files: the archives have clips more and less. Clips are
    ``train_splits/dia0_utt0.mp4``, ``dev_splits_complete/…`` and ``output_repeated_splits_test/…``.
    Without any of the folders the set has words only. Known bad clips keep their place and words
    and have no path, so that figures count all 2,610 utterances of the test.

    The splits are the published ones; a group is a dialogue.

    Args:
        root: The folder of the tables, or one with ``data/MELD`` below it.
        target: Emotions (7 classes), or sentiments (3).
        clips: Look for clips.
        allow_missing: Take utterances whose clip is missing without a path.

    Raises:
        InputError: If a table is missing or a row is wrong, or clips are missing.
    """
    tables = _tables(root)
    utterances: list[Utterance] = []
    missing: list[str] = []
    folders = 0
    for split, (_, names) in _SPLITS.items():
        folder = _clip_folder(root, tables, names) if clips else None
        there = set() if folder is None else {path.name for path in folder.glob("*.mp4")}
        folders += folder is not None
        rows = _read(tables / _SPLITS[split][0], split, target, folder, there)
        utterances += rows
        if folder is not None:
            missing += [each.id for each in rows if each.problem == _MISSING]
    if missing and not allow_missing:
        raise InputError(
            f"{str(root)!r}: {len(missing)} clips of {len(utterances)} are missing beside the "
            f"known ones: {some(missing)}; unpack the archives again, or set allow_missing"
        )
    notes: tuple[str, ...] = _NOTES
    if folders < len(_SPLITS):
        lacking = "no" if folders == 0 else f"only {folders} of 3"
        notes += (f"There are {lacking} folders of clips here: the rest has words only.",)
    return SentimentSet(
        name="meld",
        root=str(root),
        utterances=tuple(utterances),
        class_names=EMOTIONS if target == "emotion" else SENTIMENTS,
        shared_speakers=True,
        notes=notes,
    )


def has_meld(root: Path) -> bool:
    """Tell whether the tables lie in a folder."""
    return any((root / name / "train_sent_emo.csv").is_file() for name in ("", "data/MELD"))


def _tables(root: Path) -> Path:
    folder = root if (root / "train_sent_emo.csv").is_file() else root / "data/MELD"
    lacking = [name for name, _ in _SPLITS.values() if not (folder / name).is_file()]
    if lacking:
        raise InputError(f"{str(root)!r} has no {' and no '.join(lacking)}: the tables of MELD")
    return folder


def _clip_folder(root: Path, tables: Path, names: tuple[str, ...]) -> Path | None:
    places = (place / name for place in dict.fromkeys((root, tables)) for name in names)
    return next((place for place in places if place.is_dir()), None)


def _read(
    path: Path, split: str, target: Target, folder: Path | None, there: set[str]
) -> list[Utterance]:
    names = EMOTIONS if target == "emotion" else SENTIMENTS
    column = "Emotion" if target == "emotion" else "Sentiment"
    problems: list[str] = []
    found: dict[str, Utterance] = {}
    for where, cells in read_table(path, _COLUMNS):
        label = cells[column].lower()
        if label not in names:
            problems.append(f"{where}, {column}: expected {', '.join(names)}, found {label!r}")
            continue
        problems += [
            f"{where}, {time}: expected 00:20:57,256, found {cells[time]!r}"
            for time in ("StartTime", "EndTime")
            if not _TIME.fullmatch(cells[time])
        ]
        dialogue, turn = cells["Dialogue_ID"], cells["Utterance_ID"]
        if not (dialogue.isdecimal() and turn.isdecimal()):
            problems.append(
                f"{where}, Dialogue_ID and Utterance_ID: expected numbers, found {dialogue!r} and "
                f"{turn!r}"
            )
            continue
        name = f"dia{int(dialogue)}_utt{int(turn)}"
        utterance_id = f"{split}/{name}"
        if utterance_id in found:
            problems.append(f"{where}: {name} stands there twice")
        problem = KNOWN_BAD.get(utterance_id, "")
        if not problem and f"{name}.mp4" not in there:
            problem = "" if folder is None else _MISSING
        has_clip = folder is not None and not problem
        found[utterance_id] = Utterance(
            id=utterance_id,
            path=str((folder / f"{name}.mp4").absolute()) if folder and has_clip else None,
            text=cells["Utterance"],
            speaker=cells["Speaker"],
            group=f"{split}/dia{int(dialogue)}",
            dialogue=f"{split}/dia{int(dialogue)}",
            turn=int(turn),
            label=label,
            split=split,
            problem=problem if folder is not None else "",
        )
    raise_problems(path, problems)
    return list(found.values())
