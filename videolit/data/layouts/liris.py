"""LIRIS-ACCEDE (Baveye et al., IEEE Transactions on Affective Computing 2015): clips of films."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from videolit.data.layouts.affect_common import choose, number, read_table, some
from videolit.data.score_files import raise_problems
from videolit.data.sentiment_records import SentimentSet, Utterance
from videolit.types import InputError

# 0 is the test: 4,900 clips of 80 films; 1 (learning) and 2 (validation) have 2,450 of 40 each.
SETS = {"0": "test", "1": "train", "2": "val"}
_RANGE = (1.0, 5.0)
_FOLDERS = ("", "annotations", "LIRIS-ACCEDE-annotations/annotations")
_FOLDERS_MORE = ("LIRIS-ACCEDE-annotations/LIRIS-ACCEDE-annotations/annotations",)
_DATA = ("data", "LIRIS-ACCEDE-data/data", "LIRIS-ACCEDE-data/LIRIS-ACCEDE-data/data")


def find_ranking(root: Path) -> Path | None:
    """Return the folder of ``ACCEDEranking.txt``, None where there is none."""
    folders = (root / name for name in (*_FOLDERS, *_FOLDERS_MORE))
    return next((folder for folder in folders if (folder / "ACCEDEranking.txt").is_file()), None)


def liris(root: Path, *, allow_missing: bool = False) -> SentimentSet:
    """Read ``ACCEDEranking.txt``, ``ACCEDEsets.txt``, ``ACCEDEdescription.xml`` and the clips.

    Valence and arousal are those of valenceValue and arousalValue, from 1 to 5. The splits are the
    published ones, of which **set 0 is the test**; a group is a film.

    Args:
        root: The folder with ``data/ACCEDE00000.mp4`` and the tables, as unpacked.
        allow_missing: Take clips that are missing without a path.

    Raises:
        InputError: If a table is missing or a row is wrong, or clips are missing.
    """
    tables = find_ranking(root)
    if tables is None or not (tables / "ACCEDEsets.txt").is_file():
        raise InputError(
            f"{str(root)!r}: expected ACCEDEranking.txt and ACCEDEsets.txt of LIRIS-ACCEDE"
        )
    folder = next((root / name for name in _DATA if (root / name).is_dir()), root)
    films = _films(root, tables, folder)
    splits = _splits(tables / "ACCEDEsets.txt")
    path = tables / "ACCEDEranking.txt"
    problems: list[str] = []
    utterances: list[Utterance] = []
    seen: set[str] = set()
    for where, cells in read_table(path, ("name", "valenceValue", "arousalValue"), "\t"):
        name = cells["name"]
        numbers = []
        for column in ("valenceValue", "arousalValue"):
            value = number(where, column, cells[column], problems)
            if value is not None and not _RANGE[0] <= value <= _RANGE[1]:
                problems.append(f"{where}, {column}: expected 1 to 5, found {value:g}")
                value = None
            numbers.append(value)
        if name not in splits:
            problems.append(f"{where}, name: {name!r} is not in ACCEDEsets.txt")
        if films and name not in films:
            problems.append(f"{where}, name: {name!r} is not in ACCEDEdescription.xml")
        if name in seen:
            problems.append(f"{where}, name: {name!r} stands there twice")
        seen.add(name)
        clip = folder / name
        there = clip.is_file()
        utterances.append(
            Utterance(
                id=name,
                path=str(clip.absolute()) if there else None,
                group=films.get(name, ""),
                valence=numbers[0],
                arousal=numbers[1],
                split=splits.get(name),
                problem="" if there else "the clip is missing",
            )
        )
    raise_problems(path, problems)
    missing = [each.id for each in utterances if each.path is None]
    if missing and not allow_missing:
        raise InputError(
            f"{str(folder)!r} lacks {len(missing)} of {len(utterances)} clips: {some(missing)}; "
            "unpack LIRIS-ACCEDE-data.zip, or set allow_missing"
        )
    notes = (
        ()
        if films
        else (
            "Without ACCEDEdescription.xml the films are unknown: only the published splits keep "
            "them apart.",
        )
    )
    return SentimentSet(
        name="liris",
        root=str(root),
        utterances=tuple(utterances),
        affect_range=_RANGE,
        convention="affect",
        notes=notes,
    )


def _splits(path: Path) -> dict[str, str]:
    problems: list[str] = []
    found: dict[str, str] = {}
    for where, cells in read_table(path, ("name", "set"), "\t"):
        split = choose(where, "set", cells["set"], SETS, problems)
        if split is not None:
            found[cells["name"]] = split
    raise_problems(path, problems)
    return found


def _films(root: Path, tables: Path, folder: Path) -> dict[str, str]:
    """Return the film of each clip; empty without ``ACCEDEdescription.xml``."""
    places = (root, tables, tables.parent, folder.parent)
    path = next((p for place in places if (p := place / "ACCEDEdescription.xml").is_file()), None)
    if path is None:
        return {}
    try:
        media = ElementTree.parse(path).getroot().iter("media")
        return {
            each.findtext("name", "").strip(): each.findtext("movie", "").strip() for each in media
        }
    except (ElementTree.ParseError, OSError) as error:
        raise InputError(f"cannot read {str(path)!r} as XML: {error}") from error
