"""Each run of a Trainer verb has a folder of its own."""

from __future__ import annotations

import os
from pathlib import Path


def claim_run(folder: Path, verb: str) -> str:
    """Make the folder of a new run, ``fit_0``, ``fit_1``, ..., and return its name.

    Runs that start at the same time get folders of their own. Only the first process of a run
    makes one; the others write nothing.
    """
    taken = [
        int(number)
        for path in folder.glob(f"{verb}_*")
        if (number := path.name.removeprefix(f"{verb}_")).isdecimal()
    ]
    free = max(taken, default=-1) + 1
    while is_first_process():
        try:
            (folder / f"{verb}_{free}").mkdir(parents=True)
            break
        except FileExistsError:
            free += 1
    return f"{verb}_{free}"


def is_first_process() -> bool:
    """Tell whether this is the first process of a run, by what its launcher says."""
    names = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
    return all(os.environ.get(name, "0") == "0" for name in names)
