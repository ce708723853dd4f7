"""Prepared videos into tar files of WebDataset's layout."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from videolit.data.ledger import (
    LEDGER,
    is_written,
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

_TAR_BLOCK = 512
# A header each for facts, class and video, and what fills up their last blocks.
_TAR_COST = 6 * _TAR_BLOCK


def pack(manifest: Manifest, folder: Path, most: int) -> Iterator[tuple[int, int]]:
    """Move the videos of a prepared set into tar files, and write their index.

    A tar file appears when it is complete, and only then do its videos disappear: an interrupted
    run goes on where it stopped.

    Args:
        manifest: The samples that the set is to have, with the names of the source.
        folder: The prepared set; its ledger has an entry for each video.
        most: A tar file ends with the video that fills so many bytes.

    Yields:
        How many of how many tar files are there.

    Raises:
        InputError: If tar files in the folder were made of other data, or the disk is full.
    """
    # Until all is done it is no set that could be trained on.
    (folder / "manifest.csv").unlink(missing_ok=True)
    ledger = read_ledger(folder)
    rows: dict[str, list[int]] = {}
    for row in range(len(manifest)):
        rows.setdefault(manifest.video_id(row), []).append(row)
    present = sorted({manifest.label_name(row) for row in range(len(manifest))})
    classes = {name: code for code, name in enumerate(present)}
    planned = plan(manifest, {name: ledger[name]["bytes"] for name in rows}, most)
    with (folder / LEDGER).open("ab") as lines:
        for done, (shard, names) in enumerate(planned.items(), 1):
            if any(ledger[name].get("shard") != shard for name in names):
                sources = {name: _source(folder, shard, name, ledger[name]) for name in names}
                facts = {name: _facts(manifest, name, rows[name], classes) for name in names}
                try:
                    offsets = _write(folder / shard, sources, facts)
                except OSError as error:
                    raise InputError(
                        f"cannot write {folder / shard}: {error.strerror or error}. What is "
                        "prepared is kept: run the same command again when this is mended"
                    ) from error
                for name, offset in offsets.items():
                    ledger[name] = {**ledger[name], "shard": shard, "offset": offset}
                    write_entry(lines, name, ledger[name])
            for name in names:
                target_of(folder, name).unlink(missing_ok=True)
            yield done, len(planned)
    write_index(
        folder,
        {
            prepared_id(name): Place(
                ledger[name]["shard"], ledger[name]["offset"], ledger[name]["bytes"]
            )
            for name in rows
        },
    )
    _tidy(folder)


def plan(manifest: Manifest, sizes: Mapping[str, int], most: int) -> dict[str, list[str]]:
    """Share out videos to tar files.

    The order is drawn, always the same for the same videos: readers that go through a file from
    its beginning meet the classes mixed. Videos of different splits get different files.

    Args:
        manifest: The samples.
        sizes: Bytes of each video.
        most: A tar file ends with the video that fills so many bytes.

    Returns:
        The videos of each tar file, by its name.
    """
    splits: dict[str, int] = {}
    for row in range(len(manifest)):
        splits.setdefault(manifest.video_id(row), int(manifest.splits[row]))
    names = sorted(splits)
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(names)).tolist()
    files: dict[str, list[str]] = {}
    for split, kind in ((0, SPLITS[0]), (1, SPLITS[1]), (2, SPLITS[2]), (-1, "shard")):
        filled, number = most, -1
        for name in (names[i] for i in order if splits[names[i]] == split):
            if filled >= most:
                filled, number = 0, number + 1
            files.setdefault(f"{kind}-{number:06d}.tar", []).append(name)
            filled += sizes[name] + _TAR_COST
    return files


def _source(folder: Path, shard: str, name: str, entry: dict[str, Any]) -> Path | Place:
    """Return where a video is taken from: its own file, or the tar file that is to be renewed."""
    path = target_of(folder, name)
    if path.exists():
        return path
    if entry.get("shard") == shard and is_written(folder, name, entry):
        return Place(str(folder / shard), entry["offset"], entry["bytes"])
    raise InputError(
        f"the tar files in {str(folder)!r} were made of other data, or with another --shards size: "
        "give a new folder"
    )


def _write(
    target: Path, sources: Mapping[str, Path | Place], facts: Mapping[str, dict[str, Any]]
) -> dict[str, int]:
    """Write one tar file, whole or not at all; return where each video begins in it."""
    offsets = {}
    with atomic_path(target) as part, tarfile.open(part, "w", format=tarfile.GNU_FORMAT) as tar:
        for name, source in sources.items():
            # No dot in it: what follows the first one tells the files of a video apart.
            key = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
            _add(tar, f"{key}.json", json.dumps(facts[name]).encode("ascii"))
            if "class" in facts[name]:
                _add(tar, f"{key}.cls", str(facts[name]["class"]).encode("ascii"))
            content = _content(source)
            _add(tar, f"{key}{SUFFIX}", content)
            # It was written last, and filled up to whole blocks.
            offsets[name] = tar.offset - -(-len(content) // _TAR_BLOCK) * _TAR_BLOCK
    return offsets


def _content(source: Path | Place) -> bytes:
    if isinstance(source, Path):
        return source.read_bytes()
    with Path(source.shard).open("rb") as file:
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
        for key, time in (("start", manifest.start[row]), ("end", manifest.end[row])):
            if not np.isnan(time):
                sample[key] = float(time)
        if manifest.splits[row] >= 0:
            sample["split"] = SPLITS[manifest.splits[row]]
        if manifest.group(row):
            sample["group"] = manifest.group(row)
        samples.append(sample)
    facts: dict[str, Any] = {"path": prepared_id(name), "samples": samples}
    if len({sample["label"] for sample in samples}) == 1:
        facts["label"] = samples[0]["label"]
        facts["class"] = classes[facts["label"]]
    return facts


def _tidy(folder: Path) -> None:
    """Remove folders that the moved videos leave empty."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            with contextlib.suppress(OSError):
                path.rmdir()
