"""HMDB51 (Kuehne et al. 2011, doi:10.1109/ICCV.2011.6126543): 51 actions, 6766 clips, 3 splits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from videolit.data.layouts.common import check_fold, find_folder, text_lines
from videolit.types import InputError

# The last number of a line.
_USES = {"0": None, "1": "train", "2": "test"}


def hmdb51(root: Path, fold: int) -> Iterator[tuple[str, tuple[str, ...] | str]]:
    """Yield the clips of one of the three official splits; each uses 70 + 30 of a class's clips.

    Expected are ``<class>/*.avi`` (or ``videos/<class>/*.avi``) and
    ``testTrainMulti_7030_splits/<class>_test_split<fold>.txt``. A clip's name begins with the
    video that it was cut from: such clips make a group, and val is divided off train by groups.

    Args:
        root: The folder of both.
        fold: 1, 2 or 3.

    Raises:
        InputError: If a folder or list is missing.
    """
    check_fold(fold, (1, 2, 3), "HMDB51")
    lists = find_folder(
        root,
        ("testTrainMulti_7030_splits", "test_train_splits/testTrainMulti_7030_splits", "splits"),
        "the official splits (test_train_splits.rar)",
    )
    below = "videos/" if (root / "videos").is_dir() else ""
    ending = f"_test_split{fold}.txt"
    files = sorted(lists.glob(f"*{ending}"))
    if not files:
        raise InputError(f"{str(lists)!r} has no list called <class>{ending}")
    for file in files:
        label = file.name.removesuffix(ending)
        for number, line in enumerate(text_lines(file), 1):
            name, _, use = line.rpartition(" ")
            where = f"{file.name}, line {number}"
            if use not in _USES or not name:
                yield where, f"{line!r} is not a file name and 0, 1 or 2"
            elif (split := _USES[use]) is not None:
                name = name.strip()
                source = name.partition(f"_{label}_")[0]
                yield where, (f"{below}{label}/{name}", label, "", "", split, source)
