"""``videolit doctor``: is this machine ready, and what to do where it is not."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from videolit import __version__
from videolit.data.index import Decoder, IndexCache, installed_version, shared_cache
from videolit.data.reader import VideoReader
from videolit.data.writer import write_video
from videolit.ops.cores import usable_cores
from videolit.types import InputError, VideoError

State = Literal["ok", "note", "wrong"]
MARKS = {"ok": "[green]✓[/green]", "note": "[yellow]•[/yellow]", "wrong": "[red]✗[/red]"}


class Finding(NamedTuple):
    """One line of the report.

    Attributes:
        state: ``ok``, ``note`` (works, but could be better) or ``wrong``.
        name: What was looked at.
        found: What was seen.
        advice: What to do; empty when nothing.
    """

    state: State
    name: str
    found: str
    advice: str = ""


def main(argv: Sequence[str]) -> int:
    """Run the command; 0 = ready, 1 = something is wrong."""
    argparse.ArgumentParser(
        prog="videolit doctor",
        description="Check versions, decoders, devices and threads; say what to do about faults.",
    ).parse_args(argv)
    findings = [finding for look in LOOKS for finding in _safely(look)]
    console = Console()
    table = Table(box=None, show_header=False, pad_edge=False, show_edge=False)
    for column in ("", "name", "found"):
        table.add_column(column, overflow="fold", style="bold" if column == "name" else None)
    for finding in findings:
        # Text, not markup: brackets are part of what is said.
        table.add_row(MARKS[finding.state], finding.name, Text(finding.found))
        if finding.advice:
            table.add_row("", "", Text(f"→ {finding.advice}"))
    console.print(table)
    wrong = sum(finding.state == "wrong" for finding in findings)
    console.print(f"\n{wrong} fault(s) found." if wrong else "\nReady.")
    return 1 if wrong else 0


def _safely(look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Run one check; a package that fails in an unforeseen way is a finding, not the end."""
    try:
        yield from look()
    except Exception as problem:
        name = look.__name__.strip("_").replace("_", " ")
        yield Finding("wrong", name, f"{type(problem).__name__}: {problem}", "reinstall videolit")


def _versions() -> Iterator[Finding]:
    """Look at Python and the packages that videolit stands on."""
    yield Finding("ok", "videolit", __version__)
    new_enough = sys.version_info >= (3, 11)
    yield Finding(
        "ok" if new_enough else "wrong",
        "Python",
        f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "" if new_enough else "videolit needs Python 3.11 or newer",
    )
    for name in ("torch", "torchvision", "lightning", "torchmetrics", "albumentations"):
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
        version = importlib.metadata.version(name)
        try:
            importlib.import_module(name)
        except Exception as problem:
            advice = f"pip install --force-reinstall {name}"
            if "nms" in str(problem):
                advice = "torch and torchvision do not match: pip install -U torch torchvision"
            yield Finding("wrong", name, f"{version}, but it fails: {problem}", advice)
        else:
            bad = name == "lightning" and version in ("2.6.2", "2.6.3")
            yield Finding(
                "wrong" if bad else "ok",
                name,
                version,
                "this release was malicious: remove it, change your passwords and tokens, then "
                "pip install -U lightning"
                if bad
                else "",
            )


def _decoders() -> Iterator[Finding]:
    """Try each decoder on a small file, as training would use it."""
    import av

    codec = ".".join(map(str, av.library_versions["libavcodec"]))
    advices: dict[Decoder, str] = {
        "pyav": "pip install --force-reinstall av",
        "decord": "only `decoder: decord` needs it",
        "torchcodec": "optional: pip install 'videolit[torchcodec]'; needs FFmpeg's libraries",
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "try.mp4"
        write_video(file, np.full((8, 32, 32, 3), 128, np.uint8), 8)
        for name, advice in advices.items():
            package = "av" if name == "pyav" else name
            try:
                with VideoReader(file, name, cache=IndexCache(None)) as reader:
                    reader.read([0, 7])
            except InputError as problem:
                why = problem.reason if isinstance(problem, VideoError) else str(problem)
                state: State = "wrong" if name == "pyav" else "note"
                yield Finding(state, name, why.partition(":")[0], advice)
            else:
                version = installed_version(package)
                yield Finding(
                    "ok", name, f"{version} (libavcodec {codec})" if name == "pyav" else version
                )


def _devices() -> Iterator[Finding]:
    """Look at the GPU, its driver and the CUDA build of torch."""
    import torch

    built = torch.version.cuda
    driver = _driver()
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(index)
            memory = about.total_memory / 2**30
            yield Finding("ok", f"GPU {index}", f"{about.name}, {memory:.0f} GiB, CUDA {built}")
    elif driver is None:
        yield Finding("ok", "GPU", f"none; torch runs on the CPU (built for CUDA {built})")
    elif built is None:
        yield Finding(
            "wrong",
            "GPU",
            f"driver {driver} found, but this torch is built for the CPU only",
            "install a CUDA build: pip install --force-reinstall torch torchvision",
        )
    else:
        yield Finding(
            "wrong",
            "GPU",
            f"driver {driver} found, but torch (CUDA {built}) cannot use it",
            f"update the driver to one for CUDA {built}, or install a torch build for your driver "
            "(see the selector on pytorch.org); CUDA_VISIBLE_DEVICES is "
            f"{os.environ.get('CUDA_VISIBLE_DEVICES', 'not set')!r}",
        )
    if torch.backends.mps.is_available():
        yield Finding("ok", "GPU", "Apple MPS")


def _driver() -> str | None:
    """Return the NVIDIA driver's version, or None where there is none."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    command = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    lines = answer.stdout.strip().splitlines()
    return lines[0] if answer.returncode == 0 and lines else None


def _threads() -> Iterator[Finding]:
    """Look at cores, threads and load."""
    import torch

    cores = usable_cores()
    threads = torch.get_num_threads()
    found = f"{cores} for this process, {threads} torch threads"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if threads > cores:
        yield Finding(
            "wrong", "cores", found, f"more threads than cores: set OMP_NUM_THREADS={cores}"
        )
    elif load > cores:
        yield Finding(
            "note",
            "cores",
            f"{found}, load {load:.1f}",
            "the machine is busy: with shared cores OMP_NUM_THREADS=1 is often faster",
        )
    else:
        yield Finding("ok", "cores", found)


def _storage() -> Iterator[Finding]:
    """Look at shared memory and the cache folder."""
    shared = Path("/dev/shm")
    if shared.is_dir():
        size = shutil.disk_usage(shared).total / 2**30
        small = size < 1
        yield Finding(
            "note" if small else "ok",
            "shared memory",
            f"{size:.1f} GiB",
            "loading processes hand batches over in it: start the container with --shm-size=8g, or "
            "use --data.num_workers 0"
            if small
            else "",
        )
    cache = shared_cache().folder
    assert cache is not None
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    writable = os.access(existing, os.W_OK)
    free = shutil.disk_usage(existing).free / 2**30
    yield Finding(
        "ok" if writable and free > 1 else "note",
        "cache",
        f"{cache}, {free:.0f} GiB free",
        "" if writable else "not writable: files are verified anew in each run; set VIDEOLIT_CACHE",
    )


LOOKS = (_versions, _decoders, _devices, _threads, _storage)
