"""The rows of class folders and of CSV and JSONL files, as texts, before anything is judged."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import TextIO

from videolit.data.manifest import SEPARATOR, SHOWN
from videolit.types import InputError

COLUMNS = ("path", "label", "start", "end", "split", "group")
SPLIT_WORDS = {
    "train": 0,
    "training": 0,
    "val": 1,
    "valid": 1,
    "validation": 1,
    "dev": 1,
    "test": 2,
    "testing": 2,
    "": -1,
}
VIDEO_SUFFIXES = (
    *(".3g2", ".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg"),
    *(".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m"),
)
_LOG_FOLDERS = ("runs", "lightning_logs")
_LAYOUT = (
    "expected <root>/<class>/*.mp4, or <root>/{train,val,test}/<class>/*.mp4, or a manifest.csv "
    "with the columns path,label"
)


def folder_rows(root: str) -> Iterator[tuple[str, tuple[str, ...] | str]]:
    """Yield a row for each video in class folders, sorted; refuse folders that are no layout."""
    loose, folders = _entries(root)
    # What training leaves in the data's folder is no class.
    folders = [
        name for name in folders if name not in _LOG_FOLDERS or videos_below(f"{root}/{name}")
    ]
    split_folders = [name for name in folders if name.lower() in SPLIT_WORDS]
    if split_folders and len(split_folders) < len(folders):
        if any(_entries(f"{root}/{name}")[0] for name in split_folders):
            split_folders = []  # a class may be called "train"
        else:
            others = ", ".join(repr(name) for name in folders if name not in split_folders)
            raise InputError(f"{root!r} has {others} beside {split_folders}: {_LAYOUT}")
    bad = [f"{root!r} holds videos outside of a class folder: {loose[:3]}"] if loose else []
    if not folders:
        bad = bad or [f"{root!r} has no class folders"]
    rows = []
    for top in split_folders or [""]:
        if top:
            loose, classes = _entries(f"{root}/{top}")
            if loose or not classes:
                what = f"videos outside of a class folder: {loose[:3]}" if loose else "no classes"
                bad.append(f"{root}/{top!r} holds {what}")
        else:
            classes = folders
        for label in classes:
            folder = f"{top}/{label}" if top else label
            names = videos_below(f"{root}/{folder}")
            rows += [(f"{folder}/{name}", label, "", "", top, "") for name in names]
            if not names:
                bad.append(f"the class folder {folder!r} holds no video")
    if bad:
        raise InputError("\n".join([*bad[:SHOWN], _LAYOUT]))
    for row in sorted(rows):
        yield "folder", row


def _entries(folder: str) -> tuple[list[str], list[str]]:
    """Return the names of the videos and of the folders in a folder, sorted, without hidden."""
    try:
        with os.scandir(folder) as found:
            entries = sorted((e.name, e.is_dir()) for e in found if not e.name.startswith("."))
    except OSError as error:
        raise InputError(f"cannot list the folder {folder!r}: {error.strerror}") from error
    videos = [n for n, is_dir in entries if not is_dir and Path(n).suffix.lower() in VIDEO_SUFFIXES]
    return videos, [name for name, is_dir in entries if is_dir]


def videos_below(folder: str, above: frozenset[str] = frozenset()) -> list[str]:
    """Return the paths of all videos below a folder, relative to it; links are followed once."""
    above |= {os.path.realpath(folder)}
    videos, folders = _entries(folder)
    for name in folders:
        if os.path.realpath(f"{folder}/{name}") not in above:
            videos += [f"{name}/{path}" for path in videos_below(f"{folder}/{name}", above)]
    return videos


def has_label_sets(source: str) -> bool:
    """Tell whether a CSV or JSONL file has a column ``labels`` in the place of ``label``."""
    try:
        with Path(source).open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            if Path(source).suffix.lower() == ".csv":
                names = {name.strip().lower() for name in next(csv.reader(lines), [])}
            else:
                first = json.loads(next((line for line in lines if line.strip()), "{}"))
                names = set(first) if isinstance(first, dict) else set()
    except (OSError, ValueError, csv.Error, RecursionError):
        # Told with its reason when the rows are read.
        return False
    if {"label", "labels"} <= names:
        raise InputError(
            f"{source!r} has label and labels: keep label (one class) or labels (several classes "
            "with ; between them)"
        )
    return "labels" in names


def file_rows(
    source: str, required: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, ...] | str]]:
    """Yield (line, cells as in ``COLUMNS``) of a CSV or JSONL file, or (line, why it is none).

    If ``labels`` is required, its cells take the place of ``label``: names with ``;`` between them.
    """
    read = {".csv": _csv_rows, ".jsonl": _jsonl_rows}.get(Path(source).suffix.lower())
    if read is None:
        raise InputError(f"cannot read {source!r} as a manifest: expected a folder, .csv or .jsonl")
    try:
        with Path(source).open("rb") as file:
            first = file.read(4096)
        if b"\0" in first or first.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise InputError(f"{source!r} is not UTF-8 (UTF-16?): save it as UTF-8")
        # Bytes that are not UTF-8 are judged where they stand: a file may have such a name.
        with Path(source).open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            yield from read(source, lines, required)
    except OSError as error:
        raise InputError(f"cannot read {source!r}: {error.strerror}") from error


def _csv_rows(
    source: str, lines: TextIO, required: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, ...] | str]]:
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader)
    except (StopIteration, csv.Error) as error:
        raise InputError(f"{source!r} has no header; expected one as path,label") from error
    names = [name.strip().lower() for name in header]
    missing = [name for name in required if name not in names]
    if missing:
        for mark, spoken in ((";", "';'"), ("\t", "tabs"), ("|", "'|'")):
            if set(required) <= {name.strip('" ') for name in ",".join(names).split(mark)}:
                raise InputError(f"{source!r} is separated by {spoken}: save it with commas")
        raise InputError(
            f"{source!r} lacks the columns {missing}; its first line has {header[:12]}, and must "
            f"name the columns: {','.join(required)}[,start,end,split,group]"
        )
    twice = sorted({name for name in names if name in COLUMNS and names.count(name) > 1})
    if twice:
        raise InputError(f"{source!r} has the columns {twice} twice")
    # An empty cell is appended to each row: the value of the columns that the file lacks.
    wanted = _wanted(required)
    pick = itemgetter(*(names.index(c) if c in names else len(names) for c in wanted))
    width, line = len(names), reader.line_num + 1
    while True:
        try:
            for cells in reader:
                if len(cells) == width:
                    cells.append("")
                    yield f"line {line}", pick(cells)
                elif cells:
                    hint = "; quote a path that holds a comma" if len(cells) > width else ""
                    yield f"line {line}", f"{len(cells)} columns, the header has {width}{hint}"
                line = reader.line_num + 1
            return
        except csv.Error as error:
            yield f"line {line}", f"broken quotes ({error})"
            line = reader.line_num + 1


def _jsonl_rows(
    source: str, lines: TextIO, required: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, ...] | str]]:
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        where = f"line {number}"
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            yield where, f"not JSON ({error})"
            continue
        if not isinstance(row, dict):
            yield where, f"expected an object as {{{', '.join(required)}}}"
            continue
        wanted = _wanted(required)
        cells = ["" if row.get(name) is None else row[name] for name in wanted]
        at = COLUMNS.index("label")
        if wanted[at] == "labels" and isinstance(cells[at], list):
            if odd := [n for n in cells[at] if not isinstance(n, str) or SEPARATOR in n]:
                yield where, f"labels must be names without {SEPARATOR}, got {odd[0]!r}"
                continue
            cells[at] = SEPARATOR.join(cells[at])
        odd = [
            name
            for name, cell in zip(wanted, cells, strict=True)
            if isinstance(cell, bool) or not isinstance(cell, str | int | float)
        ]
        yield where, f"{odd} must be texts or numbers" if odd else tuple(map(str, cells))


def _wanted(required: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns that fill ``COLUMNS``."""
    return tuple("labels" if c == "label" and "labels" in required else c for c in COLUMNS)
