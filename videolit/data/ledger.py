"""What became of each video of a prepared set: one line of JSON each, the last one counts."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tarfile
from pathlib import Path
from typing import Any, BinaryIO

from videolit.data.prepared import SUFFIX

LEDGER = "ledger.jsonl"


def read_ledger(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the last entry of each video; a line that was cut off when it was written is none."""
    found: dict[str, dict[str, Any]] = {}
    with contextlib.suppress(FileNotFoundError), (folder / LEDGER).open("rb") as lines:
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                entry = json.loads(line)
                found[entry.pop("path")] = entry
    return found


def write_entry(lines: BinaryIO, video_id: str, entry: dict[str, Any]) -> None:
    """Add the entry of a video to an open ledger."""
    lines.write(json.dumps({"path": video_id, **entry}).encode("ascii") + b"\n")
    lines.flush()


def end_last_line(folder: Path) -> None:
    """End a line that was cut off when it was written, so that the next one stands alone."""
    with (folder / LEDGER).open("ab+") as lines:
        if lines.seek(0, os.SEEK_END):
            lines.seek(-1, os.SEEK_END)
            if lines.read(1) != b"\n":
                lines.write(b"\n")


def target_of(folder: Path, video_id: str) -> Path:
    """Return where a video's prepared file lies."""
    return folder / f"{prepared_id(video_id)}{SUFFIX}"


def prepared_id(video_id: str) -> str:
    """Return a video's path in the prepared set: its own, unless it lies outside of the root."""
    plain = video_id.replace(os.sep, "/")
    is_outside = Path(video_id).is_absolute()
    return f"outside/{plain.replace(':', '').lstrip('/')}" if is_outside else plain


def member_key(video_id: str) -> str:
    """Return what the files of a video are called in a tar file, before the first dot."""
    return hashlib.sha256(os.fsencode(video_id)).hexdigest()[:16]


def is_written(folder: Path, video_id: str, entry: dict[str, Any]) -> bool:
    """Tell whether what an entry says was written is still there, by its name and size."""
    if not entry or "error" in entry:
        return False
    with contextlib.suppress(OSError, tarfile.HeaderError):
        if "shard" not in entry:
            return bool(target_of(folder, video_id).stat().st_size == entry["bytes"])
        with (folder / entry["shard"]).open("rb") as file:
            # The tar file may have been renewed after the entry was written: its own header knows.
            file.seek(entry["offset"] - tarfile.BLOCKSIZE)
            head = file.read(tarfile.BLOCKSIZE)
            info = tarfile.TarInfo.frombuf(head, tarfile.ENCODING, "surrogateescape")
            whole = os.fstat(file.fileno()).st_size >= entry["offset"] + entry["bytes"]
            name = f"{member_key(video_id)}{SUFFIX}"
            return whole and info.name == name and info.size == entry["bytes"]
    return False
