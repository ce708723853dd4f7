"""A data set to a prepared one: in parallel, resumable, and never half a file under its name."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import math
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from videolit.data.child import MEMORY_BYTES, Child, ChildEnded
from videolit.data.convert import file_hash
from videolit.data.ledger import (
    LEDGER,
    end_last_line,
    is_written,
    prepared_id,
    read_ledger,
    target_of,
    write_entry,
)
from videolit.data.manifest import SPLITS, Manifest
from videolit.data.pack import pack
from videolit.data.pool import ChildPool
from videolit.data.prepared import MARK, SUFFIX, PreparedSpec, PreparedVideo, prepared_spec
from videolit.data.rows import COLUMNS
from videolit.data.sniff import access_failure
from videolit.data.storage import FileContent
from videolit.data.verify import why_ended
from videolit.ops.files import atomic_path
from videolit.types import InputError, VideoError

_LOCK = ".lock"
# Twice what a check may take: see videolit.data.verify.
_SECONDS_PER_BYTE = 1e-5


class Outcome(NamedTuple):
    """What became of one video.

    Attributes:
        video_id: Its path in the data set.
        entry: Its line of the ledger: ``error``, or what was written.
        skipped: It had been prepared before and has not changed.
    """

    video_id: str
    entry: dict[str, Any]
    skipped: bool


def prepare(
    manifest: Manifest,
    out: str | Path,
    spec: PreparedSpec,
    *,
    workers: int = 1,
    limit: float = 120,
    shard_bytes: int | None = None,
    on_shard: Callable[[int, int], None] | None = None,
) -> Iterator[Outcome]:
    """Prepare each video of a data set once, and at last list the samples.

    What an earlier run did is kept where source and settings are the same. A video that cannot be
    read is refused, and its samples are left out of the new set's manifest.

    Args:
        manifest: The data set.
        out: Folder of the prepared set.
        spec: How videos are stored.
        workers: Processes.
        limit: Seconds that a small video may take; large ones get more.
        shard_bytes: Store the videos in tar files of about this size; None = as files of their own.
        on_shard: Is told how many of how many tar files are there.

    Yields:
        One outcome per video, as they come.

    Raises:
        InputError: If the folder cannot be used, is in use, or the disk is full.
    """
    if manifest.suffix:
        raise InputError(f"{manifest.root} is prepared already: give the data it was made of")
    folder = Path(out).absolute()
    _begin(folder, spec)
    with _locked(folder):
        for stale in [*folder.rglob(f".*.part{SUFFIX}"), *folder.glob(".*.part.tar")]:
            stale.unlink()
        ledger = read_ledger(folder)
        if shard_bytes is None and any("shard" in entry for entry in ledger.values()):
            raise InputError(
                f"the videos in {str(folder)!r} are in tar files: add --shards, or give another "
                "folder"
            )
        end_last_line(folder)
        sources: dict[str, str] = {}
        for row in range(len(manifest)):
            sources.setdefault(manifest.video_id(row), manifest.path(row))
        refused = set()
        outcomes = _Preparing(folder, spec, workers, limit).run(sources, ledger)
        # Closed at once, whatever happens: children must not outlive this.
        with (folder / LEDGER).open("ab") as lines, contextlib.closing(outcomes):
            for outcome in outcomes:
                if "error" in outcome.entry:
                    refused.add(outcome.video_id)
                if not outcome.skipped:
                    write_entry(lines, outcome.video_id, outcome.entry)
                yield outcome
        if len(refused) == len(sources):
            raise InputError("none of the videos could be prepared")
        if refused:
            rows = range(len(manifest))
            manifest = manifest.select(
                np.array([manifest.video_id(row) not in refused for row in rows])
            )
        if shard_bytes is not None:
            for done, total in pack(manifest, folder, shard_bytes):
                if on_shard is not None:
                    on_shard(done, total)
        _list(manifest, folder)


def check_prepared(root: str | Path) -> Iterator[tuple[str, str]]:
    """Compare a prepared set with its ledger.

    Args:
        root: Folder of the prepared set.

    Yields:
        Each video and what is wrong with it, ``""`` if nothing.

    Raises:
        InputError: If it is no prepared set.
    """
    folder = Path(root)
    if prepared_spec(folder) is None:
        raise InputError(f"{str(root)!r} is no prepared set: it has no {MARK}")
    for name, entry in read_ledger(folder).items():
        if "error" not in entry:
            yield name, _problem(folder, name, entry)


def renew(root: str | Path, damaged: Mapping[str, str]) -> None:
    """Have the next run prepare some videos again.

    Args:
        root: Folder of the prepared set.
        damaged: Videos, and what is wrong with them.
    """
    with Path(root, LEDGER).open("ab") as lines:
        for name, reason in damaged.items():
            write_entry(lines, name, {"error": reason})


def _begin(folder: Path, spec: PreparedSpec) -> None:
    """Make the folder, or see that it was begun with the same settings."""
    earlier = prepared_spec(folder)
    if earlier is None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{str(folder)!r} is not empty and no prepared set: give a new folder")
        try:
            with atomic_path(folder / MARK) as part:
                part.write_text(json.dumps(spec.to_json(), indent=2) + "\n")
        except OSError as error:
            raise InputError(f"cannot write to {str(folder)!r}: {error.strerror}") from error
    elif earlier != spec:
        raise InputError(
            f"{str(folder)!r} was prepared with {earlier.describe()}, now {spec.describe()} is "
            "asked: give another folder, or the same settings"
        )


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other runs out of the folder, where the system can."""
    with (folder / _LOCK).open("w") as lock:
        try:
            import fcntl
        except ImportError:  # not on Windows
            pass
        else:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"another videolit prepare is writing to {str(folder)!r}: wait for it"
                ) from None
        yield


class _Preparing:
    """What is done with each video."""

    def __init__(self, folder: Path, spec: PreparedSpec, workers: int, limit: float) -> None:
        self.folder = folder
        self.spec = spec
        self.limit = limit
        self.pool = ChildPool(workers, lambda: (Child("videolit.data.convert", MEMORY_BYTES),))

    def run(
        self, sources: dict[str, str], ledger: dict[str, dict[str, Any]]
    ) -> Generator[Outcome, None, None]:
        """Yield the outcome of each video: first what is done already, the others as they come."""
        waiting = []
        for name, source in sources.items():
            known = ledger.get(name, {})
            if self._is_done(name, source, known):
                yield Outcome(name, known, skipped=True)
            else:
                waiting.append((name, source, known))
        with self.pool:
            yield from self.pool.run(self._one, waiting)

    def _is_done(self, name: str, source: str, known: dict[str, Any]) -> bool:
        """Tell whether the source is the file that was prepared and the result is still there."""
        if not is_written(self.folder, name, known):
            return False
        with contextlib.suppress(OSError):
            stat = Path(source).stat()
            return bool([stat.st_size, stat.st_mtime_ns] == known["source"])
        return False

    def _one(self, job: tuple[str, str, dict[str, Any]]) -> Outcome:
        """Prepare one video, in a thread of the pool."""
        name, source, known = job
        target = target_of(self.folder, name)
        try:
            stat = Path(source).stat()
        except (OSError, ValueError) as error:
            return _refusal(name, access_failure(source, error), target)
        request = {
            "source": source,
            "target": str(target),
            "spec": dataclasses.asdict(self.spec),
            "known": known["source_sha256"] if is_written(self.folder, name, known) else "",
        }
        found = [stat.st_size, stat.st_mtime_ns]
        limit = self.limit + stat.st_size * _SECONDS_PER_BYTE
        try:
            reply = self.pool.ask(self.pool.children[0], request, limit)
        except ChildEnded as end:
            return _refusal(name, why_ended(end, limit), target)
        if reply is None:
            killed = "the process that prepares it was killed twice; is there enough memory?"
            return _refusal(name, killed, target)
        if "fatal" in reply:
            raise InputError(
                f"stopped at {source}: {reply['fatal']}. What is prepared is kept: run the same "
                "command again when this is mended"
            )
        if "refused" in reply:
            return _refusal(name, reply["refused"], target)
        if "unchanged" in reply:
            return Outcome(name, {**known, "source": found}, skipped=False)
        return Outcome(name, {"source": found, **reply["written"]}, skipped=False)


def _refusal(name: str, reason: str, target: Path) -> Outcome:
    # What an earlier version of the source gave is not the data any more.
    target.unlink(missing_ok=True)
    return Outcome(name, {"error": reason}, skipped=False)


def _list(manifest: Manifest, folder: Path) -> None:
    """Write the manifest of the prepared set: the rows of the source, in their order."""
    with (
        atomic_path(folder / "manifest.csv") as part,
        part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file)
        several = manifest.sets is not None
        writer.writerow("labels" if several and c == "label" else c for c in COLUMNS)
        for row in range(len(manifest)):
            times = (float(manifest.start[row]), float(manifest.end[row]))
            split = int(manifest.splits[row])
            writer.writerow(
                [
                    prepared_id(manifest.video_id(row)),
                    manifest.label_name(row),
                    *("" if math.isnan(time) else repr(time) for time in times),
                    SPLITS[split] if split >= 0 else "",
                    manifest.group(row),
                ]
            )


def _problem(folder: Path, name: str, entry: dict[str, Any]) -> str:
    """Say what is wrong with a prepared video, ``""`` if nothing."""
    target = folder / entry["shard"] if "shard" in entry else target_of(folder, name)
    begin = entry.get("offset", 0)
    try:
        if not target.is_file():
            return "missing" if "shard" not in entry else f"{entry['shard']} is missing"
        size = entry["bytes"] if "shard" in entry else None
        if file_hash(target, begin, size) != entry["sha256"]:
            return "its content changed since it was written"
        with PreparedVideo(target, FileContent(target, begin, size)) as video:
            if video.num_frames != entry["frames"]:
                return f"it has {video.num_frames} frames, {entry['frames']} were written"
    except VideoError as error:
        return error.reason
    except OSError as error:
        return access_failure(str(target), error)
    return ""
