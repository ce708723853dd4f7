"""What a sentiment set can give of its utterances, and how it is read, in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from videolit.data.layouts.affect_common import SOUND_SUFFIXES
from videolit.data.sentiment_records import SentimentSet
from videolit.types import MODALITIES, ClipSpec, Modality, UtteranceSpec


def modalities_of(data: SentimentSet) -> tuple[Modality, ...]:
    """Return what any utterance of a set may have, by its features or its files' names."""
    if data.features is not None:
        return tuple(name for name in MODALITIES if name in data.features.num_features)
    paths = [utterance.path for utterance in data.utterances if utterance.path is not None]
    has: dict[Modality, bool] = {
        "video": any(Path(path).suffix.lower() not in SOUND_SUFFIXES for path in paths),
        "sound": bool(paths),
        "text": any(utterance.text for utterance in data.utterances),
    }
    return tuple(name for name in MODALITIES if has[name])


def describe_reading(
    modalities: Sequence[Modality], clip: ClipSpec | None, spec: UtteranceSpec
) -> str:
    """Return how files are read in one line.

    Args:
        modalities: What is read.
        clip: Frames and geometry.
        spec: Sound, words, and whether faces take the place of frames.
    """
    parts = []
    if clip is not None:
        parts.append(f"picture: {clip.describe()}{', around faces' if spec.faces else ''}")
    if "sound" in modalities:
        evened = ", evened out by speaker" if spec.even_out else ""
        parts.append(f"sound: {spec.sample_rate} Hz, at most {spec.max_seconds:g} s{evened}")
    if "text" in modalities:
        before = f", {spec.context} utterances before" if spec.context else ""
        parts.append(f"words: at most {spec.max_tokens} tokens{before}")
    return "; ".join(parts)
