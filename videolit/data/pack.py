"""Prepared videos into tar files of WebDataset's layout."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from videolit.data.ledger import (
    LEDGER,
    is_written,
    member_key,
    prepared_id,
    read_ledger,
    target_of,
    write_entry,
)
from videolit.data.manifest import SPLITS, Manifest
from videolit.data.prepared import SUFFIX
from videolit.data.shards import Place, write_index
from videolit.ops.files import atomic_path
from videolit.types import InputError

# A header each for facts, class and video, and what fills up their last blocks.
_TAR_COST = 6 * tarfile.BLOCKSIZE
_KINDS = (*SPLITS, "shard")


def pack(manifest: Manifest, folder: Path, most: int) -> Iterator[tuple[int, int]]:
    """Bring the videos of a prepared set into tar files, and write their index.

    Videos that lie in a tar file stay in it. The others get new ones; tar files with videos that
    were removed or changed, or with facts that are not true any more, are written anew. A tar file
    appears when it is complete, and only then do its videos disappear from where they were: an
    interrupted run goes on where it stopped.

    Args:
        manifest: The samples that the set is to have, with the names of the source.
        folder: The prepared set; its ledger has an entry for each video, which is there.
        most: A tar file ends with the video that fills so many bytes.

    Yields:
        How many of how many tar files are done.

    Raises:
        InputError: If the disk is full.
    """
    try:
        yield from _Packing(manifest, folder, most).run()
    except OSError as error:
        raise InputError(
            f"cannot write to {str(folder)!r}: {error.strerror or error}. What is prepared is "
            "kept: run the same command again when this is mended"
        ) from error


class _Packing:
    def __init__(self, manifest: Manifest, folder: Path, most: int) -> None:
        self.folder = folder
        self.most = most
        self.ledger = read_ledger(folder)
        rows: dict[str, list[int]] = {}
        for row in range(len(manifest)):
            rows.setdefault(manifest.video_id(row), []).append(row)
        present = sorted({manifest.label_name(row) for row in range(len(manifest))})
        classes = {name: code for code, name in enumerate(present)}
        self.kind = {
            name: _KINDS[int(manifest.splits[first])] for name, (first, *_) in rows.items()
        }
        self.facts = {name: _facts(manifest, name, rows[name], classes) for name in rows}
        # Always the same for the same videos, and mixed: readers that go through a file from its
        # beginning must not meet one class after the other.
        names = sorted(rows)
        order = np.random.Generator(np.random.PCG64(0)).permutation(len(names))
        self.names = [names[place] for place in order.tolist()]
        self.settled = {name for name in self.names if self._is_settled(name)}

    def run(self) -> Iterator[tuple[int, int]]:
        """Write what is missing, then what is not true any more, then the index."""
        new = self._new_files()
        old = self._old_files(set(new))
        renewed = {shard: names for shard, names in old.items() if not self._is_true(shard, names)}
        total = len(new) + len(renewed)
        if total:
            # Until all is done it is no set that could be trained on.
            (self.folder / "manifest.csv").unlink(missing_ok=True)
        for done, (shard, names) in enumerate([*new.items(), *renewed.items()], 1):
            if names:
                self._write(shard, names)
            else:
                (self.folder / shard).unlink()
            yield done, total
        for name in self.names:
            target_of(self.folder, name).unlink(missing_ok=True)
        with (self.folder / LEDGER).open("ab") as lines:
            for name, entry in self.ledger.items():
                if "shard" in entry and name not in self.facts:
                    write_entry(lines, name, {"error": "it is not in the data any more"})
        write_index(self.folder, {prepared_id(name): self._place(name) for name in self.names})
        _remove_empty_folders(self.folder)

    def _is_settled(self, name: str) -> bool:
        """Tell whether a video lies in a tar file of its split."""
        entry = self.ledger[name]
        kind = str(entry.get("shard", "")).partition("-")[0]
        return kind == self.kind[name] and is_written(self.folder, name, entry)

    def _new_files(self) -> dict[str, list[str]]:
        """Share out the videos that lie in no tar file of their split."""
        files: dict[str, list[str]] = {}
        # A file that the ledger does not know was left by a run that was killed.
        taken = {self.ledger[name].get("shard") for name in self.names}
        for kind in _KINDS:
            free = (f"{kind}-{number:06d}.tar" for number in itertools.count())
            shard, filled = "", self.most
            for name in self.names:
                if self.kind[name] != kind or name in self.settled:
                    continue
                if filled >= self.most:
                    shard = next(name for name in free if name not in taken)
                    files[shard], filled = [], 0
                files[shard].append(name)
                filled += self.ledger[name]["bytes"] + _TAR_COST
        return files

    def _old_files(self, new: set[str]) -> dict[str, list[str]]:
        """Return the videos that stay in each other tar file that is there, in their order."""
        there = sorted(path.name for path in self.folder.glob("*-" + "[0-9]" * 6 + ".tar"))
        files: dict[str, list[str]] = {name: [] for name in there if name not in new}
        for name in sorted(self.settled, key=lambda name: int(self.ledger[name]["offset"])):
            files[self.ledger[name]["shard"]].append(name)
        return files

    def _is_true(self, shard: str, names: Sequence[str]) -> bool:
        """Tell whether a tar file holds just these videos, and what is true of them."""
        with tarfile.open(self.folder / shard) as tar:
            held = [member.name for member in tar if member.name.endswith(SUFFIX)]
        return held == [f"{member_key(name)}{SUFFIX}" for name in names] and all(
            self.ledger[name].get("facts") == _digest(self.facts[name]) for name in names
        )

    def _write(self, shard: str, names: Sequence[str]) -> None:
        sources = {name: self._source(name) for name in names}
        offsets = _write(self.folder / shard, sources, {name: self.facts[name] for name in names})
        with (self.folder / LEDGER).open("ab") as lines:
            for name, offset in offsets.items():
                place = {"shard": shard, "offset": offset, "facts": _digest(self.facts[name])}
                self.ledger[name] = {**self.ledger[name], **place}
                write_entry(lines, name, self.ledger[name])
        for name in names:
            target_of(self.folder, name).unlink(missing_ok=True)

    def _source(self, name: str) -> Path | Place:
        """Return where a video lies now: in a tar file, or as a file of its own."""
        return self._place(name) if "shard" in self.ledger[name] else target_of(self.folder, name)

    def _place(self, name: str) -> Place:
        entry = self.ledger[name]
        return Place(entry["shard"], entry["offset"], entry["bytes"], entry["sha256"][:16])


def _write(
    target: Path, sources: Mapping[str, Path | Place], facts: Mapping[str, dict[str, Any]]
) -> dict[str, int]:
    """Write one tar file, whole or not at all; return where each video begins in it."""
    offsets = {}
    with atomic_path(target) as part, tarfile.open(part, "w", format=tarfile.GNU_FORMAT) as tar:
        for name, source in sources.items():
            # No dot in it: what follows the first one tells the files of a video apart.
            key = member_key(name)
            _add(tar, f"{key}.json", json.dumps(facts[name]).encode("ascii"))
            if "class" in facts[name]:
                _add(tar, f"{key}.cls", str(facts[name]["class"]).encode("ascii"))
            content = _content(target.parent, source)
            _add(tar, f"{key}{SUFFIX}", content)
            # It was written last, and filled up to whole blocks.
            offsets[name] = tar.offset - -(-len(content) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    return offsets


def _content(folder: Path, source: Path | Place) -> bytes:
    if isinstance(source, Path):
        return source.read_bytes()
    with (folder / source.shard).open("rb") as file:
        file.seek(source.offset)
        return file.read(source.size)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file; the same content gives the same bytes, whenever and whoever writes it."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.mode = 0o644
    tar.addfile(info, io.BytesIO(content))


def _facts(
    manifest: Manifest, name: str, rows: Sequence[int], classes: Mapping[str, int]
) -> dict[str, Any]:
    """Return what is known of a video, as JSON types: for other readers."""
    samples = []
    for row in rows:
        sample: dict[str, Any] = {"label": manifest.label_name(row)}
        if manifest.sets is not None:
            codes = manifest.sets[row].tolist()
            sample = {"labels": [manifest.class_names[code] for code in codes]}
        for key, time in (("start", manifest.start[row]), ("end", manifest.end[row])):
            if not np.isnan(time):
                sample[key] = float(time)
        if manifest.splits[row] >= 0:
            sample["split"] = SPLITS[manifest.splits[row]]
        if manifest.group(row):
            sample["group"] = manifest.group(row)
        samples.append(sample)
    facts: dict[str, Any] = {"path": prepared_id(name), "samples": samples}
    if manifest.sets is None and len({sample["label"] for sample in samples}) == 1:
        facts["label"] = samples[0]["label"]
        facts["class"] = classes[facts["label"]]
    return facts


def _digest(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts).encode("ascii")).hexdigest()[:16]


def _remove_empty_folders(folder: Path) -> None:
    """Remove the folders that the moved videos leave empty."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            with contextlib.suppress(OSError):
                path.rmdir()
