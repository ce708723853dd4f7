"""RAVDESS (Livingstone and Russo, PLoS ONE 2018): 24 actors speak and sing two sentences."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Literal

from videolit.data.layouts.acted import read_acted
from videolit.data.sentiment_records import SentimentSet, Utterance
from videolit.types import InputError

Media = Literal["av", "video", "sound"]
Channel = Literal["speech", "song", "both"]

CLASSES = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
_MEDIA: dict[str, Media] = {"01": "av", "02": "video", "03": "sound"}
_CHANNELS: dict[str, Channel] = {"01": "speech", "02": "song"}
_SENTENCES = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
# modality, channel, emotion, intensity, statement, repetition, actor
_NAME = re.compile(
    r"(0[1-3])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])", re.ASCII
)


def is_ravdess(path: Path) -> bool:
    """Tell whether a file is called as those of RAVDESS."""
    return _NAME.fullmatch(path.stem) is not None


def ravdess(root: Path, media: Media | None = None, channel: Channel = "speech") -> SentimentSet:
    """Read files called ``MM-CC-EE-II-SS-RR-AA`` in any folder, with any ending.

    The same recording is there as picture with sound (01), picture only (02) and sound only (03);
    one of them is read. There is no published split: the group is the actor, since splits at
    random would measure how well the actors are remembered.

    Args:
        root: The folder.
        media: Which of the three; None = the first that is there: picture with sound, sound,
            picture.
        channel: Speech (1,440 files of each kind), song, or both.

    Raises:
        InputError: If a file has another name, or nothing of the kind asked for is there.
    """
    found: dict[Media, list[Utterance]] = {"av": [], "sound": [], "video": []}

    def parse(path: Path) -> Utterance | None:
        code = _NAME.fullmatch(path.stem)
        if code is None:
            return None
        kind, voice, emotion, intensity, sentence, _, actor = code.groups()
        # Neutral has no strong intensity in the set's scheme.
        if emotion == "01" and intensity == "02":
            return None
        utterance = Utterance(
            id=path.stem,
            path=str(path.absolute()),
            text=_SENTENCES[sentence],
            speaker=actor,
            group=actor,
            label=CLASSES[int(emotion) - 1],
        )
        if channel in (_CHANNELS[voice], "both"):
            found[_MEDIA[kind]].append(utterance)
        return utterance

    read_acted(root, parse, "RAVDESS", "02-01-06-01-02-01-12 and an ending")
    there = [kind for kind, utterances in found.items() if utterances]
    chosen = media or next(iter(there), None)
    if chosen is None or chosen not in there:
        raise InputError(
            f"{str(root)!r}: no file of media {media or 'any'} and channel {channel}; there are "
            f"{', '.join(there) or 'none of this channel'}"
        )
    data = SentimentSet(
        name="ravdess",
        root=str(root),
        utterances=tuple(found[chosen]),
        class_names=CLASSES,
        notes=("RAVDESS has no published split: figures hold for the actors held out only.",),
    )
    # Song has no disgust and no surprise.
    labels = {utterance.label for utterance in data.utterances}
    names = tuple(name for name in CLASSES if name in labels) if channel == "song" else CLASSES
    return dataclasses.replace(data, class_names=names)
