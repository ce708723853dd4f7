"""EMO-DB (Burkhardt et al., Interspeech 2005): ten German speakers, ten sentences, sound only."""

from __future__ import annotations

import re
from pathlib import Path

from videolit.data.layouts.acted import read_acted
from videolit.data.sentiment_records import SentimentSet, Utterance

# Letters of the German names: Wut, Langeweile, Ekel, Angst, Freude, Trauer, neutral.
EMOTIONS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}
_NAME = re.compile(r"(03|08|09|1[0-6])([ab]\d\d)([WLEAFTN])([a-f])", re.ASCII)


def is_emodb(path: Path) -> bool:
    """Tell whether a file is called as those of EMO-DB."""
    return _NAME.fullmatch(path.stem) is not None


def emodb(root: Path) -> SentimentSet:
    """Read files called ``03a01Fa``: speaker, sentence, emotion, version (535 in all).

    There is no published split: the group is the speaker.

    Args:
        root: The folder ``wav``, or one above it.

    Raises:
        InputError: If a file has another name.
    """
    return SentimentSet(
        name="emodb",
        root=str(root),
        utterances=read_acted(root, _parse, "EMO-DB", "03a01Fa.wav"),
        class_names=tuple(EMOTIONS.values()),
        notes=("EMO-DB has no published split: figures hold for the speakers held out only.",),
    )


def _parse(path: Path) -> Utterance | None:
    code = _NAME.fullmatch(path.stem)
    if code is None:
        return None
    return Utterance(
        id=path.stem,
        path=str(path.absolute()),
        speaker=code[1],
        group=code[1],
        label=EMOTIONS[code[3]],
    )
