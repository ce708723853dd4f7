"""What data sets of sentiment and emotion have in common: tables, names of files, their texts."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from videolit.data.hdf5 import natural_order
from videolit.data.rows import VIDEO_SUFFIXES
from videolit.types import InputError

SOUND_SUFFIXES = (
    *(".aac", ".aif", ".aiff", ".flac", ".m4a", ".mka", ".mp3", ".oga", ".ogg", ".opus", ".wav"),
    ".wma",
)
MEDIA_SUFFIXES = (*VIDEO_SUFFIXES, *SOUND_SUFFIXES)
_SHOWN = 5
_LFS = b"version https://git-lfs"
# What Windows-1252 has where Latin-1 has control characters: a text that was read as Latin-1 once.
_CONTROLS = {
    code: char for code in range(0x80, 0xA0) if (char := bytes([code]).decode("cp1252", "ignore"))
}


def media_below(root: Path, suffixes: Sequence[str] = MEDIA_SUFFIXES) -> list[Path]:
    """Return the video and sound files below a folder, ``2.wav`` before ``10.wav``.

    Hidden files and folders are left out.
    """
    found: list[str] = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        found += [
            f"{folder}/{name}"
            for name in files
            if name.lower().endswith(tuple(suffixes)) and not name.startswith(".")
        ]
    return [Path(path) for path in sorted(found, key=natural_order)]


def some(names: Sequence[str]) -> str:
    """Return the first names of many, for a message."""
    return ", ".join(names[:_SHOWN]) + ", …" * (len(names) > _SHOWN)


def refuse_pointers(root: Path, paths: Sequence[Path]) -> None:
    """Refuse files that only point to where Git LFS holds the data.

    A repository that was downloaded as a ZIP archive has such files; users take them for damaged.

    Raises:
        InputError: If any is.
    """
    pointers = [path for path in paths if path.stat().st_size < 1024 and _is_pointer(path)]
    if pointers:
        names = [path.relative_to(root).as_posix() for path in pointers]
        raise InputError(
            f"{str(root)!r}: {len(pointers)} of {len(paths)} files hold no media but the address "
            f"that Git LFS keeps them at: {some(names)}; get them with `git lfs pull` in a clone, "
            "not as a ZIP archive"
        )


def _is_pointer(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_LFS)) == _LFS


def read_text(path: Path) -> str:
    """Return the text of a file: UTF-8 with or without mark, UTF-16 with mark, or Windows-1252.

    Control characters of Latin-1 (U+0080 to U+009F) become the quotes and dashes that they are in
    Windows-1252.

    Raises:
        InputError: If the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror}") from error
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig").translate(_CONTROLS)
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def read_table(
    path: Path, columns: Sequence[str], delimiter: str | None = ","
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the rows of a table with a header: where each stands, and its cells by column.

    Blanks around cells are removed. Columns that nobody asked for are kept.

    Args:
        path: The file.
        columns: Columns that must be there.
        delimiter: What separates the cells; None = the comma, semicolon or tab that the header has.

    Raises:
        InputError: If the file cannot be read, a column is missing or a row has other columns.
    """
    text = read_text(path)
    if delimiter is None:
        delimiter = _delimiter(text, columns)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = [name.strip() for name in next(reader, [])]
        lacking = [name for name in columns if name not in header]
        if lacking:
            wanted = f"{'the columns' if len(columns) > 1 else 'a column'} {', '.join(columns)}"
            raise InputError(
                f"{path}, line 1: expected {wanted}, found {', '.join(header) or 'nothing'}"
            )
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            where = f"line {reader.line_num}"
            if len(cells) != len(header):
                raise InputError(
                    f"{path}, {where}: expected {len(header)} cells, as the header has, found "
                    f"{len(cells)}; a text with {delimiter!r} must stand in quotes"
                )
            yield where, {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}") from error


def _delimiter(text: str, columns: Sequence[str]) -> str:
    """Return the first of comma, semicolon and tab that parts the header into such columns."""
    first = text.split("\n", 1)[0].strip("\r")
    for delimiter in ",;\t":
        header = next(csv.reader([first], delimiter=delimiter), [])
        if set(columns) <= {name.strip() for name in header}:
            return delimiter
    return ","


def number(where: str, column: str, cell: str, problems: list[str]) -> float | None:
    """Return the finite number of a cell; None, with a problem told, if it holds none."""
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if math.isfinite(value):
        return value
    problems.append(f"{where}, {column}: expected a number, found {cell!r}")
    return None


def choose(
    where: str, column: str, cell: str, known: Mapping[str, str], problems: list[str]
) -> str | None:
    """Return what a code stands for; None, with a problem told, if it is none of the known."""
    if cell not in known:
        problems.append(f"{where}, {column}: expected {', '.join(known)}, found {cell!r}")
    return known.get(cell)
