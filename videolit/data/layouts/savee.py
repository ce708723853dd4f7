"""SAVEE (Haq and Jackson 2009/2010): four English speakers, picture and sound, 480 utterances."""

from __future__ import annotations

import re
from pathlib import Path

from videolit.data.layouts.acted import read_acted
from videolit.data.layouts.affect_common import SOUND_SUFFIXES
from videolit.data.rows import VIDEO_SUFFIXES
from videolit.data.sentiment_records import SentimentSet, Utterance

EMOTIONS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
_SPEAKERS = ("DC", "JE", "JK", "KL")
_NAME = re.compile(r"(?:(DC|JE|JK|KL)_)?(sa|su|[adfhn])(\d\d)", re.ASCII)
# The set's folders: picture with sound, then sound alone.
_FOLDERS = (("AudioVisualClip", VIDEO_SUFFIXES), ("AudioData", SOUND_SUFFIXES))


def is_savee(path: Path) -> bool:
    """Tell whether a file is called as those of SAVEE."""
    return _parse(path) is not None


def savee(root: Path) -> SentimentSet:
    """Read files called ``DC_a01``, or ``a01`` in a folder called ``DC``.

    Of the folders ``AudioVisualClip`` and ``AudioData`` the first that is there is read; without
    them all files below the root. There is no published split: the group is the speaker.

    Args:
        root: The folder.

    Raises:
        InputError: If a file has another name.
    """
    suffixes: tuple[str, ...] = (*VIDEO_SUFFIXES, *SOUND_SUFFIXES)
    folder = root
    for name, endings in _FOLDERS:
        if (root / name).is_dir():
            folder, suffixes = root / name, endings
            break
    return SentimentSet(
        name="savee",
        root=str(root),
        utterances=read_acted(folder, _parse, "SAVEE", "DC_a01.wav or DC/a01.wav", suffixes),
        class_names=tuple(EMOTIONS.values()),
        notes=(
            "SAVEE has four speakers, all men, and no published split: figures hold for the "
            "speakers held out only.",
        ),
    )


def _parse(path: Path) -> Utterance | None:
    code = _NAME.fullmatch(path.stem)
    speaker = "" if code is None else code[1] or path.parent.name
    if code is None or speaker not in _SPEAKERS:
        return None
    return Utterance(
        id=f"{speaker}_{code[2]}{code[3]}",
        path=str(path.absolute()),
        speaker=speaker,
        group=speaker,
        label=EMOTIONS[code[2]],
    )
