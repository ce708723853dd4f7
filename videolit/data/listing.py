"""From folders and lists to a checked manifest; all that is wrong is told in one message."""

from __future__ import annotations

import dataclasses
import math
import os
import re
import stat
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from videolit.data.layouts import MULTI_LABEL, layout_rows
from videolit.data.manifest import SEPARATOR, SHOWN, LabelSets, Manifest, Names, close_to, rarest
from videolit.data.prepared import SUFFIX, prepared_spec
from videolit.data.rows import SPLIT_WORDS, file_rows, folder_rows, has_label_sets, videos_below
from videolit.data.shards import align, read_index
from videolit.data.storage import Remote, is_remote
from videolit.types import InputError


def read_manifest(
    root: str | Path,
    *,
    class_names: Sequence[str] | None = None,
    group_pattern: str | None = None,
    allow_outside_root: bool = False,
    remote: Remote | None = None,
    layout: str | None = None,
    fold: int = 1,
) -> Manifest:
    r"""Read a data set and check every row of it.

    Args:
        root: A ``.csv`` or ``.jsonl`` file, or a folder. A folder that holds a ``manifest.csv`` or
            ``manifest.jsonl`` is read from it; else its classes are its folders, at any depth
            below: ``<class>/…`` or ``{train,val,test}/<class>/…``. Files have a header
            (JSONL: keys) with ``path`` relative to the file's folder, ``label``, and optionally
            ``start`` and ``end`` in seconds, ``split`` and ``group``; further columns are ignored.
            ``labels`` in the place of ``label`` holds several names with ``;`` between them, or
            none (JSONL: also a list).
            A folder that ``videolit prepare`` wrote is read as the data that it was made of.
        class_names: The classes in label order; any other label is an error. By default the
            labels in sorted order.
        group_pattern: Regular expression whose first group, found in the relative path, names the
            sample's group, as ``_g(\d+)_c`` in UCF101. Replaces the column ``group``.
        allow_outside_root: Accept files outside the root, also where a symbolic link leads out.
        remote: Where the tar files of a prepared set lie, if not in ``root``.
        layout: A published data set as its authors distribute it, one of
            :data:`videolit.data.layouts.LAYOUTS`; a folder that holds a manifest, as a prepared
            set does, is read from that.
        fold: Which of the official splits of a ``layout``.

    Raises:
        InputError: If the data cannot be read or any row is bad; the message lists the bad rows.
    """
    if is_remote(root):
        raise InputError(
            f"{root} is an address: of those only what `videolit prepare --shards` wrote is read, "
            "by --data.root of fit, validate, test, predict and bench"
        )
    place = os.path.abspath(os.path.expanduser(root))  # noqa: PTH100, PTH111 - keeps links
    if class_names is not None and len(set(class_names)) < len(class_names):
        raise InputError(f"class_names names a class twice: {', '.join(class_names)}")
    suffix = ""
    places = None
    if prepared_spec(place) is not None:
        if not Path(place, "manifest.csv").exists():
            raise InputError(
                f"{place!r} is not complete: videolit prepare was interrupted; run it again, it "
                "goes on where it stopped"
            )
        suffix = SUFFIX
        places = read_index(place)
    if Path(place).is_dir():
        found = [name for name in ("manifest.csv", "manifest.jsonl") if Path(place, name).exists()]
        if len(found) == 2:
            raise InputError(f"{place} holds {' and '.join(found)}: give the path of one of them")
        place = str(Path(place, *found))
    elif not Path(place).exists():
        raise InputError(f"no data at {place!r}: expected a folder, a .csv or a .jsonl file")
    from_folder = Path(place).is_dir()
    home = str(Path(place).parent)
    several = layout in MULTI_LABEL if from_folder else has_label_sets(place)
    table = _Table(
        place if from_folder else str(Path(place).parent),
        allow_outside_root=allow_outside_root,
        class_names=class_names,
        group_pattern=group_pattern,
        suffix=suffix,
        known=places or (),
        several=several,
    )
    if not from_folder:
        rows = file_rows(place, ("path", "labels" if several else "label"))
    else:
        rows = folder_rows(place) if layout is None else layout_rows(layout, place, fold)
    for where, cells in rows:
        table.add(where, cells)
    table.refuse(place)
    if not table.ends:
        raise InputError(f"{place!r} has no rows after its header")
    manifest = table.manifest()
    if places is None:
        return manifest
    names = [manifest.video_id(row) for row in range(len(manifest))]
    return dataclasses.replace(manifest, shards=align(names, places, remote or home))


def list_videos(paths: Sequence[str | Path], *, allow_outside_root: bool = False) -> Manifest:
    """List files to predict, in the order given, each once and without labels.

    Missing files stay in the list: they become rows with an error. Names are relative to the
    working directory where they lie below it.

    Args:
        paths: Videos, folders (all videos in them, sorted), and ``.csv`` or ``.jsonl`` lists with
            ``path`` and optionally ``start`` and ``end``.
        allow_outside_root: Accept files outside the folder of the list that names them.

    Raises:
        InputError: If nothing is given, a folder holds no video or a list cannot be used.
    """
    if not paths:
        raise InputError("no video given: expected files, folders or .csv/.jsonl lists of files")
    table = _Table(str(Path.cwd()), allow_outside_root=True, predicting=True)
    for given in map(str, paths):
        if Path(given).is_dir():
            found = sorted(videos_below(given))
            if not found:
                raise InputError(f"no video in the folder {given!r}")
            for name in found:
                table.add("", (f"{given}/{name}", "", "", "", "", ""))
        elif Path(given).suffix.lower() in (".csv", ".jsonl"):
            place = os.path.abspath(given)  # noqa: PTH100 - keeps links
            listed = _Table(
                str(Path(place).parent), allow_outside_root=allow_outside_root, predicting=True
            )
            for where, cells in file_rows(place, ("path",)):
                listed.add(where, cells)
            listed.refuse(place)
            part = listed.manifest()
            for i, (start, end) in enumerate(zip(part.start, part.end, strict=True)):
                times = ("" if np.isnan(time) else repr(float(time)) for time in (start, end))
                table.add("", (part.path(i), "", *times, "", ""))
        else:
            table.add("", (given, "", "", "", "", ""))
    table.refuse("the list of videos")
    return table.manifest()


class _Files:
    """Tells whether paths are regular files below the root, listing each folder only once."""

    def __init__(
        self, root: str, allow_outside: bool, suffix: str, known: Iterable[str] = ()
    ) -> None:
        self.root = root
        self.suffix = suffix
        self.below = root.replace(os.sep, "/").rstrip("/") + "/"
        self.real_below = os.path.realpath(root).rstrip(os.sep) + os.sep
        self.allow_outside = allow_outside
        self.plain: dict[str, set[str]] = {}
        for path in known:
            folder, _, name = f"{self.below}{path}{suffix}".rpartition("/")
            self.plain.setdefault(folder, set()).add(name)

    def locate(self, path: str) -> tuple[str, str, str]:
        """Return the path as stored, why it is out of bounds or ``""``, why no file or ``""``."""
        absolute = os.path.normpath(os.path.join(self.root, path)).replace(os.sep, "/")  # noqa: PTH118
        below = absolute.startswith(self.below)
        stored = absolute[len(self.below) :] if below else absolute
        if not below and not self.allow_outside:
            return stored, f"{path!r} lies outside the root (allow_outside_root accepts it)", ""
        absolute += self.suffix
        folder, _, name = absolute.rpartition("/")
        if folder not in self.plain:
            self.plain[folder] = self._plain_files(folder or "/")
        if name in self.plain[folder]:
            return stored, "", ""
        return stored, *self._judge(path, absolute)

    def _is_out(self, path: str) -> bool:
        return not self.allow_outside and not (os.path.realpath(path) + os.sep).startswith(
            self.real_below
        )

    def _plain_files(self, folder: str) -> set[str]:
        try:
            if self._is_out(folder):
                return set()
            with os.scandir(folder) as entries:
                return {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
        except (OSError, ValueError):
            return set()

    def _judge(self, path: str, absolute: str) -> tuple[str, str]:
        """Look at one file that no listing showed as plain: a link, a device, another case."""
        try:
            if self._is_out(absolute):
                return f"{path!r} leads out of the root by a link (allow_outside_root accepts)", ""
            mode = os.stat(absolute).st_mode  # noqa: PTH116 - no Path per sample
        except (FileNotFoundError, NotADirectoryError):
            hint = "; separate folders by /" if "\\" in path and os.sep == "/" else ""
            hint += "" if _is_text(path) else "; its name is not UTF-8: save the list as UTF-8"
            return "", f"no file {path!r}{hint}"
        except (OSError, ValueError) as error:
            return "", f"cannot look at {path!r}: {getattr(error, 'strerror', None) or error}"
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        return "", "" if stat.S_ISREG(mode) else f"{path!r} is {kind}"


class _Table:
    """Columns that grow row by row, and what is wrong with the rows."""

    def __init__(
        self,
        root: str,
        *,
        allow_outside_root: bool,
        class_names: Sequence[str] | None = None,
        group_pattern: str | None = None,
        predicting: bool = False,
        suffix: str = "",
        known: Iterable[str] = (),
        several: bool = False,
    ) -> None:
        self.root = root
        self.suffix = suffix
        self.several = several
        self.files = _Files(root, allow_outside_root, suffix, known)
        self.fixed = class_names is not None
        self.classes = {name: code for code, name in enumerate(class_names or ())}
        self.pattern = _compiled(group_pattern)
        self.predicting = predicting
        self.block = bytearray()
        self.ends, self.labels, self.groups = array("q"), array("q"), array("q")
        # With several labels a row: where each row's end in `labels`.
        self.label_ends = array("q")
        self.starts, self.stops, self.splits = array("d"), array("d"), array("b")
        self.group_codes: dict[str, int] = {}
        self.seen: dict[str, str] = {}
        self.problems: list[str] = []
        self.rows = 0

    def add(self, where: str, cells: tuple[str, ...] | str) -> None:
        """Add a row of ``COLUMNS``, or note why it is bad; a text says why it is no row."""
        self.rows += 1
        if isinstance(cells, str):
            self.problems.append(f"{where}: {cells}")
            return
        path, label, start_text, end_text, split_text, group = cells
        bad = []
        stored, out_of_bounds, no_file = self.files.locate(path) if path.strip() else ("", "", "")
        start = end = math.nan
        key = stored
        if start_text or end_text:
            start, end, wrong = _times(start_text, end_text)
            bad += wrong
            if start > 0 or not math.isnan(end):
                key = f"{stored}\0{max(0.0, start)}\0{end}"
        split = SPLIT_WORDS.get(split_text.strip().lower(), -2)
        if not path.strip():
            bad.append("empty path")
        elif out_of_bounds or (no_file and not self.predicting):
            bad.append(out_of_bounds or no_file)
        elif key in self.seen:
            if self.predicting:
                return
            bad.append(f"{path!r} is a duplicate of {self.seen[key]}")
        codes = [-1]
        if not self.predicting:
            names = [label]
            if self.several:
                names = [name for name in label.split(SEPARATOR) if name.strip()]
            codes = [self._code(name.strip(), bad) for name in names]
            if split == -2:
                bad.append(f"split {split_text!r} is none of train, val, test")
        group = self._group(stored, group, bad) if path.strip() else ""
        try:
            packed = stored.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            bad = [f"{path!r} is no possible file name"]
        if bad:
            self.problems.append(f"{where}: {'; '.join(bad)}")
            return
        self.seen[key] = where
        self.block += packed
        self.ends.append(len(self.block))
        self.labels.extend(dict.fromkeys(codes))
        self.label_ends.append(len(self.labels))
        self.starts.append(start)
        self.stops.append(end)
        self.splits.append(max(split, -1))
        self.groups.append(
            self.group_codes.setdefault(group, len(self.group_codes)) if group else -1
        )

    def _code(self, label: str, bad: list[str]) -> int:
        code = self.classes.get(label, -2)
        if code < 0:
            bad += self._new_class(label)
            code = self.classes.get(label, -2)
        return code

    def _new_class(self, label: str) -> list[str]:
        """Take a label that was not met before, or say why not."""
        if not label:
            return ["empty label"]
        if not _is_text(label):
            return [f"label {label!r} is not UTF-8: save the file as UTF-8, rename the folder"]
        if self.fixed:
            # The search is slow, and nobody reads more of them than are shown.
            hint = "" if len(self.problems) >= SHOWN else close_to(label, list(self.classes))
            return [f"unknown label {label!r}{hint}"]
        if label == "-1":
            return ["label -1 means none elsewhere; here each row needs the name of its class"]
        self.classes[label] = len(self.classes)
        return []

    def _group(self, stored: str, group: str, bad: list[str]) -> str:
        if self.pattern is not None:
            match = self.pattern.search(stored)
            if match is None or not match[1]:
                bad.append(f"group_pattern {self.pattern.pattern!r} finds nothing in {stored!r}")
                return ""
            return str(match[1])
        group = group.strip()
        if group not in self.group_codes and not _is_text(group):
            bad.append(f"group {group!r} is not UTF-8: save the file as UTF-8")
        return group

    def refuse(self, source: str) -> None:
        """Raise one InputError for all bad rows."""
        if self.problems:
            more = len(self.problems) - SHOWN
            raise InputError(
                f"{source}: {len(self.problems)} of {self.rows} rows cannot be used\n  "
                + "\n  ".join(self.problems[:SHOWN])
                + (f"\n  and {more} more" if more > 0 else "")
            )

    def manifest(self) -> Manifest:
        """Return the columns; without given classes they are sorted."""
        names = list(self.classes) if self.fixed else sorted(self.classes)
        order = {name: code for code, name in enumerate(names)}
        groups = [name.encode("utf-8", "surrogateescape") for name in self.group_codes]
        recode = np.array([*(order[name] for name in self.classes), -1], np.int64)
        labels = recode[np.array(self.labels, np.int64)]
        sets = None
        if self.several:
            ends = np.array(self.label_ends, np.int64)
            sets = LabelSets(labels, np.concatenate([np.zeros(1, np.int64), ends])[:-1], ends)
            labels = rarest(sets, len(names))
        return Manifest(
            root=self.root,
            paths=Names.pack(bytes(self.block), self.ends),
            labels=labels,
            class_names=tuple(names),
            start=np.array(self.starts, np.float64),
            end=np.array(self.stops, np.float64),
            groups=np.array(self.groups, np.int64),
            group_names=Names.pack(b"".join(groups), np.cumsum([len(g) for g in groups])),
            splits=np.array(self.splits, np.int8),
            suffix=self.suffix,
            sets=sets,
        )


def _times(start_text: str, end_text: str) -> tuple[float, float, list[str]]:
    """Return start and end in seconds (nan = not given) and what is wrong with them."""
    times, wrong = [], []
    for name, text in (("start", start_text.strip()), ("end", end_text.strip())):
        try:
            time = float(text) if text else math.nan
        except ValueError:
            time = math.inf
        if text and not math.isfinite(time):
            wrong.append(f"{name} {text!r} is not a number of seconds")
        elif time < 0:
            wrong.append(f"{name} {text} is negative")
        times.append(time)
    start, end = times
    if not wrong and max(0.0, start) >= end:
        wrong.append(f"start {max(0.0, start):g} is not before end {end:g}")
    return start, end, wrong


def _is_text(name: str) -> bool:
    """Tell whether a string is free of bytes that were not UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _compiled(group_pattern: str | None) -> re.Pattern[str] | None:
    if group_pattern is None:
        return None
    try:
        pattern = re.compile(group_pattern)
    except re.error as error:
        raise InputError(f"group_pattern {group_pattern!r} is no pattern: {error}") from error
    if pattern.groups < 1:
        raise InputError(rf"group_pattern {group_pattern!r} needs a group (…), as in '_g(\d+)_c'")
    return pattern
