"""UCF101 (Soomro, Zamir and Shah 2012, arXiv:1212.0402): 101 actions, 13320 clips, 3 splits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from videolit.data.layouts.common import check_fold, find_folder, text_lines


def ucf101(root: Path, fold: int) -> Iterator[tuple[str, tuple[str, ...] | str]]:
    """Yield the clips of one of the three official splits.

    Expected are ``UCF-101/<class>/v_<class>_g01_c01.avi`` (or the classes in the root itself) and
    ``ucfTrainTestlist/{train,test}list0<fold>.txt``. Clips of one group come from one video, and
    the authors keep groups in one split; val is divided off train by groups.

    Args:
        root: The folder of both.
        fold: 1, 2 or 3.

    Raises:
        InputError: If a folder or list is missing.
    """
    check_fold(fold, (1, 2, 3), "UCF101")
    lists = find_folder(
        root,
        ("ucfTrainTestlist", "UCF101TrainTestSplits-RecognitionTask/ucfTrainTestlist"),
        "the official splits (UCF101TrainTestSplits-RecognitionTask.zip)",
    )
    videos = root / "UCF-101"
    below = "UCF-101/" if videos.is_dir() else ""
    for split in ("train", "test"):
        name = f"{split}list0{fold}.txt"
        for number, line in enumerate(text_lines(lists / name), 1):
            # Training lists have the class's number behind the path.
            path = line.split(" ")[0]
            label, _, file = path.partition("/")
            group = re.search(r"_(g\d+)_c\d+\.", file)
            where = f"{name}, line {number}"
            if group is None:
                yield where, f"{line!r} is not <class>/v_<class>_g<group>_c<clip>.avi"
            else:
                yield where, (below + path, label, "", "", split, f"{label}_{group[1]}")
