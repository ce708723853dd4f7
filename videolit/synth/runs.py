"""Runs that write many files: they claim a folder, spread over processes and can go on."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import cv2
from rich.progress import track

from videolit.ops.files import atomic_path
from videolit.types import InputError

_RECORD = "synth.json"
_Job = TypeVar("_Job")


def claim(root: Path, settings: Mapping[str, object], what: str) -> None:
    """Record the settings in the folder, or check that they are the ones it was begun with.

    Args:
        root: Folder, made if need be.
        settings: JSON types, all that the files depend on.
        what: Name of what the folder will hold, for messages.

    Raises:
        InputError: If the folder holds something else, or files of other settings.
    """
    record = root / _RECORD
    if record.exists():
        try:
            found = json.loads(record.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if found == settings:
            return
        raise InputError(
            f"{root} holds {what} generated with other settings: {found}, asked were "
            f"{dict(settings)}; give these settings, another folder, or remove this one"
        )
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise InputError(
            f"{root} is not an empty folder and holds no generated {what} ({_RECORD}): give a "
            "folder that is new or empty"
        )
    with atomic_path(record) as part:
        part.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def spread(
    write: Callable[[_Job], object],
    jobs: Sequence[_Job],
    *,
    workers: int,
    chunk: int = 1,
    progress: bool = False,
) -> None:
    """Do all jobs, in several processes where there are enough jobs.

    Args:
        write: Does one; must be picklable.
        jobs: What is to be done.
        workers: Processes.
        chunk: Jobs that a process takes at a time.
        progress: Show a progress bar.
    """
    # Starting processes takes longer than a few jobs.
    if workers == 1 or len(jobs) < 2 * chunk:
        _follow(map(write, jobs), len(jobs), progress)
        return
    # Forking a process that has threads can hang; the server forks from a clean one.
    context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
    with ProcessPoolExecutor(workers, context, initializer=cv2.setNumThreads, initargs=(1,)) as run:
        try:
            _follow(run.map(write, jobs, chunksize=chunk), len(jobs), progress)
        except BaseException:
            # Otherwise all that waits would still be done first.
            run.shutdown(cancel_futures=True)
            raise


def _follow(done: Iterable[object], total: int, progress: bool) -> None:
    """Go through all results, with a bar."""
    for _ in track(done, "generating", total, transient=True, disable=not progress):
        pass
