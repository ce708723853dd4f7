"""What the scripts of ``make evidence`` share: kept results, parts of the README, processes."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from videolit.callbacks.evaluation import versions
from videolit.ops.files import atomic_path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
REAL_DATA = Path(os.environ.get("VIDEOLIT_REAL_DATA", REPOSITORY.parent / "shared" / "data"))


def parser_of(description: str) -> argparse.ArgumentParser:
    """Return a parser with the option that all scripts have."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tables", action="store_true", help="only write the table")
    return parser


def kept(path: Path) -> dict:
    """Return the results of runs before, nothing if there were none."""
    return json.loads(path.read_text()) if path.is_file() else {}


def keep(path: Path, results: dict) -> None:
    """Write the results so far."""
    with atomic_path(path) as part:
        part.write_text(json.dumps(results, indent=1) + "\n")


def made_on() -> dict:
    """Return where results come from: the machine by its kind, not by its name, and versions."""
    kind = f"{os.cpu_count()} CPU cores, {platform.machine()}, Python {platform.python_version()}"
    return {"machine": kind, "versions": versions()}


def rewrite(begin: str, end: str, tables: str) -> None:
    """Rewrite the part of the README between two marks."""
    readme = REPOSITORY / "README.md"
    before, rest = readme.read_text().split(begin)
    with atomic_path(readme) as part:
        part.write_text(f"{before}{begin}\n{tables}\n{end}{rest.split(end)[1]}")


def videolit(*arguments: object) -> None:
    """Run a command of videolit with one thread."""
    done = subprocess.run(
        [sys.executable, "-m", "videolit", *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)


def newest(runs: Path, config: str, verb: str) -> Path:
    """Return the folder of the last run of a verb with a configuration."""
    folders = (runs / config.rpartition("/")[2]).glob(f"{verb}_*")
    return max(folders, key=lambda path: int(path.name.rpartition("_")[2]))
