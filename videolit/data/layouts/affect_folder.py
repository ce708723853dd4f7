"""One's own videos and sound files: in folders by label, or with ``manifest.csv``."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from videolit.data.hdf5 import natural_order
from videolit.data.layouts.affect_common import (
    MEDIA_SUFFIXES,
    media_below,
    number,
    read_table,
    some,
)
from videolit.data.manifest import SPLITS
from videolit.data.rows import SPLIT_WORDS
from videolit.data.score_files import raise_problems
from videolit.data.sentiment_records import Convention, Interval, SentimentSet, Utterance
from videolit.types import InputError

TABLE = "manifest.csv"
_FACE = ("face_left", "face_top", "face_right", "face_bottom")
_NUMBERS = ("score", "valence", "arousal", "start", "end", *_FACE)


def affect_folder(
    root: Path,
    *,
    class_names: Sequence[str] | None = None,
    score_range: Interval | None = None,
    affect_range: Interval | None = None,
    allow_missing: bool = False,
) -> SentimentSet:
    """Read ``manifest.csv``, or ``<label>/<file>``, or ``{train,val,test}/<label>/<file>``.

    Where nothing is said of any utterance, as in a table without label, score, valence and arousal
    or with files in no folder, they can only be predicted.

    Columns of the table are ``path`` (below the table's folder; it may be empty where ``text``
    tells the words), and of label, score, valence, arousal, text, speaker, group, dialogue, turn,
    split, start and end what is known; face_left, face_top, face_right and face_bottom tell where
    the speaker's face is, in pixels. Other columns are left alone. A group is what no split may
    tear apart; without the column it is the speaker. Commas, semicolons or tabs part
    the cells.

    Args:
        root: The folder, or the table.
        class_names: The classes in their order; None = those that occur, in the order of names.
        score_range: Lowest and highest score; None = the lowest and highest of -1 to 1 or -3 to 3
            that all fit in.
        affect_range: Lowest and highest valence and arousal; None = -1 to 1.
        allow_missing: Take rows whose file is missing without a path.

    Raises:
        InputError: If there is neither, a row is wrong or files are missing.
    """
    path = root / TABLE if root.is_dir() else root
    utterances = _table(path, allow_missing=allow_missing) if path.is_file() else _folders(root)
    labels = {each.label for each in utterances if each.label is not None}
    names = tuple(sorted(labels, key=natural_order)) if class_names is None else tuple(class_names)
    scores = [each.score for each in utterances if each.score is not None]
    if scores and score_range is None:
        most = max(map(abs, scores))
        if most > 3:
            raise InputError(
                f"{path}, score: expected -3 to 3, found {most:g}; tell the scale by score_range"
            )
        score_range = (-1.0, 1.0) if most <= 1 else (-3.0, 3.0)
    has_affect = any(each.valence is not None or each.arousal is not None for each in utterances)
    convention: Convention = "emotion"
    if not names and scores:
        convention = "sims" if score_range == (-1.0, 1.0) else "mosi"
    elif not names and has_affect:
        convention = "affect"
    found = SentimentSet(
        name=root.resolve().name if root.is_dir() else root.resolve().parent.name,
        root=str(root),
        utterances=utterances,
        class_names=names,
        score_range=score_range,
        affect_range=(affect_range or (-1.0, 1.0)) if has_affect else None,
        convention=convention,
    )
    if path.is_file() and not found.is_labelled:
        columns = ", ".join(next(read_table(path, ("path",), None))[1])
        found = dataclasses.replace(found, notes=(f"the table has the columns {columns}",))
    return found


def _folders(root: Path) -> tuple[Utterance, ...]:
    found: list[Utterance] = []
    loose: list[str] = []
    paths = {path.relative_to(root).as_posix(): path for path in media_below(root)}
    # <split>/<file>: not all classes are called like splits.
    bare = all(name.count("/") == 1 and name.split("/")[0].lower() in SPLIT_WORDS for name in paths)
    for name, path in paths.items():
        parts = name.split("/")
        split = SPLIT_WORDS.get(parts[0].lower(), -1) if bare or len(parts) > 2 else -1
        # <split>/<label>/<file>, or <label>/<file>; what lies deeper has its label on top.
        label = parts[1] if split >= 0 else parts[0]
        if len(parts) < 2:
            loose.append(name)
        found.append(
            Utterance(
                id=name,
                path=str(path.absolute()),
                label=label if len(parts) > 1 and not bare else None,
                split=SPLITS[split] if split >= 0 else None,
            )
        )
    if not found or 0 < len(loose) < len(found):
        what = f"{len(loose)} files lie in no folder: {some(loose)}" if loose else "no such file"
        raise InputError(
            f"{str(root)!r}: expected {TABLE}, or videos and sound files in folders by label, or "
            f"all in none to be predicted; {what}"
        )
    return tuple(found)


def _table(path: Path, *, allow_missing: bool) -> tuple[Utterance, ...]:
    problems: list[str] = []
    missing: list[str] = []
    found: dict[str, Utterance] = {}
    rows = list(read_table(path, ("path",), None))
    for where, cells in rows:
        utterance = _row(where, cells, path.parent, problems)
        if utterance is None:
            continue
        if utterance.id in found:
            problems.append(f"{where}: the same part of {cells['path']!r} stands there twice")
        if cells["path"] and utterance.path is None:
            missing.append(cells["path"])
        found[utterance.id] = utterance
    raise_problems(path, problems)
    if missing and not allow_missing:
        raise InputError(
            f"{path}: {len(missing)} of {len(rows)} files are missing: {some(missing)}; paths are "
            "relative to the table; allow_missing takes the rows without them"
        )
    return tuple(found.values())


def _row(where: str, cells: Mapping[str, str], home: Path, problems: list[str]) -> Utterance | None:
    before = len(problems)
    numbers = {
        column: number(where, column, cells[column], problems)
        for column in _NUMBERS
        if cells.get(column)
    }
    start, end = numbers.get("start"), numbers.get("end")
    if len(problems) == before and not (
        (start is None or start >= 0) and (end is None or end > (start or 0.0))
    ):
        problems.append(f"{where}, start and end: expected 0 ≤ start < end, found {start}, {end}")
    face = [value for column in _FACE if (value := numbers.get(column)) is not None]
    if 0 < len(face) < len(_FACE):
        problems.append(f"{where}, face: expected {', '.join(_FACE)}, found {len(face)} of them")
    word = cells.get("split", "").lower()
    if word not in SPLIT_WORDS:
        problems.append(f"{where}, split: expected train, val or test, found {word!r}")
    turn = cells.get("turn", "")
    if turn and not turn.isdecimal():
        problems.append(f"{where}, turn: expected a whole number, found {turn!r}")
    name = cells["path"].replace("\\", "/")
    if not name and not cells.get("text"):
        problems.append(f"{where}, path: expected a file, or words in the column text")
    if name and not name.lower().endswith(MEDIA_SUFFIXES):
        problems.append(f"{where}, path: expected a video or sound file, found {name!r}")
    # Links may lead elsewhere, names may not.
    place = Path(os.path.normpath(home.absolute() / name))
    if name and not place.is_relative_to(home.absolute()):
        problems.append(f"{where}, path: {name!r} lies outside of the table's folder")
    if len(problems) > before:
        return None
    speaker = cells.get("speaker", "")
    split = SPLIT_WORDS[word]
    there = bool(name) and place.is_file()
    times = ""
    if start is not None or end is not None:
        times = f"[{start or 0.0:g},{'' if end is None else format(end, 'g')}]"
    return Utterance(
        id=f"{name}{times}" if name else where,
        path=str(place) if there else None,
        start=start,
        end=end,
        text=cells.get("text", ""),
        speaker=speaker,
        group=cells.get("group", "") or speaker,
        dialogue=cells.get("dialogue", ""),
        turn=int(turn) if turn else None,
        label=cells.get("label") or None,
        score=numbers.get("score"),
        valence=numbers.get("valence"),
        arousal=numbers.get("arousal"),
        face=(face[0], face[1], face[2], face[3]) if face else None,
        split=SPLITS[split] if split >= 0 else None,
        problem="the file is missing" if name and not there else "",
    )
