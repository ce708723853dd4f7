"""Reading acted speech whose file names tell actor, emotion and sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from videolit.data.layouts.affect_common import (
    MEDIA_SUFFIXES,
    media_below,
    refuse_pointers,
    some,
)
from videolit.data.sentiment_records import Utterance
from videolit.types import InputError


def read_acted(
    root: Path,
    parse: Callable[[Path], Utterance | None],
    name: str,
    pattern: str,
    suffixes: Sequence[str] = MEDIA_SUFFIXES,
) -> tuple[Utterance, ...]:
    """Read all media files below a folder by their names.

    Args:
        root: The folder.
        parse: Returns the utterance of a file, None where the name is none of the set's.
        name: The data set, for a message.
        pattern: How its files are called, for a message.
        suffixes: Endings of the files to look at.

    Raises:
        InputError: If no file has such a name, some have others, or files hold no media.
    """
    files = media_below(root, suffixes)
    parsed = [parse(path) for path in files]
    others = [
        path.relative_to(root).as_posix()
        for path, utterance in zip(files, parsed, strict=True)
        if utterance is None
    ]
    if len(others) == len(files):
        found = f"{len(files)} files: {some(others)}" if files else "no video or sound file"
        raise InputError(f"{str(root)!r}: expected the files of {name}, {pattern}; found {found}")
    if others:
        raise InputError(
            f"{str(root)!r}: {len(others)} of {len(files)} files are not called as those of "
            f"{name}, {pattern}: {some(others)}; take them away, or write a manifest.csv"
        )
    refuse_pointers(root, files)
    return tuple(utterance for utterance in parsed if utterance is not None)
