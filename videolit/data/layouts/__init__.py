"""Published data sets as their authors distribute them: where files, labels and splits lie.

A layout is a function of the root and the number of the split. It yields what
:func:`videolit.data.rows.file_rows` does, so that each row is checked like a user's own.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from pathlib import Path

from videolit.data.layouts.charades import charades
from videolit.data.layouts.hmdb51 import hmdb51
from videolit.data.layouts.kinetics import kinetics
from videolit.data.layouts.something import something
from videolit.data.layouts.ucf101 import ucf101
from videolit.types import InputError

Rows = Iterator[tuple[str, tuple[str, ...] | str]]

LAYOUTS: dict[str, Callable[[Path, int], Rows]] = {
    "ucf101": ucf101,
    "hmdb51": hmdb51,
    "kinetics": kinetics,
    "something": something,
    "charades": charades,
}
# Those whose samples have several labels, or none.
MULTI_LABEL = frozenset({"charades"})


def layout_rows(layout: str, root: str | Path, fold: int) -> Rows:
    """Return the rows of a published data set.

    Args:
        layout: Its name.
        root: Its folder.
        fold: Which of its official splits, from 1.

    Raises:
        InputError: If the layout is unknown, has no such split, or the folder lacks its files.
    """
    if layout not in LAYOUTS:
        close = difflib.get_close_matches(layout, LAYOUTS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(LAYOUTS)}"
        raise InputError(f"unknown layout {layout!r}: {hint}")
    if not Path(root).is_dir():
        raise InputError(f"no data at {str(root)!r}: expected the folder of {layout}")
    return LAYOUTS[layout](Path(root), fold)
