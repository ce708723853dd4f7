"""CREMA-D (Cao et al., IEEE Transactions on Affective Computing 2014): 91 actors, 12 sentences."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from videolit.data.layouts.acted import read_acted
from videolit.data.layouts.affect_common import MEDIA_SUFFIXES, media_below
from videolit.data.sentiment_records import SentimentSet, Utterance

# As the authors' README names and orders them.
EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}
SENTENCES = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
# Beginnings of names; the reasons are those of the authors' README and issues.
KNOWN_BAD = {
    "1076_MTI_NEU": "the published recording is broken",
    "1076_MTI_SAD": "the published recording is broken",
    "1064_TIE_SAD": "the published recording is broken",
    "1064_IEO_DIS_MD": "the published recording lasts a minute and has all emotions",
}
# X: one of the published files has half a code, 1040_ITH_SAD_X.
_NAME = re.compile(
    rf"(10[0-8]\d|109[01])_({'|'.join(SENTENCES)})_({'|'.join(EMOTIONS)})_(LO|MD|HI|XX|X)", re.ASCII
)
_FOLDERS = ("VideoFlash", "AudioWAV", "AudioMP3")


def is_cremad(path: Path) -> bool:
    """Tell whether a file is called as those of CREMA-D."""
    return _NAME.fullmatch(path.stem) is not None


def cremad(root: Path) -> SentimentSet:
    """Read files called ``<actor>_<sentence>_<emotion>_<level>``.

    Of the folders ``VideoFlash``, ``AudioWAV`` and ``AudioMP3`` the first that has files is read;
    without them all files below the root. The four recordings that are known to be broken keep
    their place and have no path, so that all figures count the same 7,442. The label is the
    emotion that the actor was asked for. There is no published split: the group is the actor.

    Args:
        root: The folder of the repository, or one of the three.

    Raises:
        InputError: If a file has another name, or holds only the address that Git LFS keeps it at.
    """
    folder = next(
        (root / name for name in _FOLDERS if media_below(root / name, MEDIA_SUFFIXES)), root
    )
    utterances = read_acted(folder, _parse, "CREMA-D", "1001_DFA_ANG_XX and an ending")
    kept = []
    for utterance in utterances:
        why = next((why for name, why in KNOWN_BAD.items() if utterance.id.startswith(name)), "")
        kept.append(dataclasses.replace(utterance, path=None, problem=why) if why else utterance)
    return SentimentSet(
        name="cremad",
        root=str(root),
        utterances=tuple(kept),
        class_names=tuple(EMOTIONS.values()),
        notes=(
            "CREMA-D's labels are what the actors were asked for: a majority of listeners and "
            "viewers recognised it in 72.2 % of the clips (41.6 % by voice, 66.3 % by face).",
            "CREMA-D has no published split: figures hold for the actors held out only.",
        ),
    )


def _parse(path: Path) -> Utterance | None:
    code = _NAME.fullmatch(path.stem)
    if code is None:
        return None
    actor, sentence, emotion, _ = code.groups()
    return Utterance(
        id=path.stem,
        path=str(path.absolute()),
        text=SENTENCES[sentence],
        speaker=actor,
        group=actor,
        label=EMOTIONS[emotion],
    )
