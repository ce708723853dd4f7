"""What a reader of a recording's sentiment must know beside what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from videolit.data.recording import Recording, WindowSamples
from videolit.data.transcripts import Line
from videolit.types import AFFECT

# Longest remark that a transcript may go on after its recording, in seconds: credits, rounding.
_TOO_LONG = 5.0


def notes_of(record: Mapping[str, Any], found: Recording, samples: WindowSamples) -> list[str]:
    """Return what a reader must know beside what is missing.

    Args:
        record: As :func:`videolit.commands.sentiment.find_sentiment` describes it.
        found: The recording.
        samples: Its windows.
    """
    notes = [*_training(samples), *_beyond(record)]
    if found.sound_problem and "sound" not in found.absent:
        notes.append(f"silent where the sound cannot be decoded: {found.sound_problem}")
    if found.picture_end and found.sound_end > found.picture_end + 1:
        notes.append(
            f"the picture ends at {found.picture_end:.1f} s, the sound at {found.sound_end:.1f} s"
        )
    if "text" in samples.modalities and found.lines:
        if found.has_times and found.measured != "transcript":
            last = max(line.end for line in found.lines)
            if last > found.duration + _TOO_LONG:
                notes.append(
                    f"the transcript goes on to {last:.1f} s, the recording ends at "
                    f"{found.duration:.1f} s: is it another one's?"
                )
        notes += _cut_words(samples, found.lines)
    return notes


def _cut_words(samples: WindowSamples, lines: Sequence[Line]) -> list[str]:
    """Tell where a window has more words than the model reads."""
    most = samples.spec.max_tokens
    assert samples.tokenizer is not None
    cut = sum(
        len(samples.tokenizer.encode(" ".join(line.text for line in samples.said(k)), (), most + 1))
        > most
        for k in range(len(samples))
    )
    have = "has" if cut == 1 else "have"
    told = (
        f"{cut} of {len(samples)} windows {have} more than the {most} tokens that the model reads"
    )
    return [told] * bool(cut)


def _training(samples: WindowSamples) -> list[str]:
    """Tell what the training's picture and sound had that a recording's cannot have."""
    notes = []
    if "video" in samples.modalities and samples.spec.faces:
        notes.append(
            "the model was trained on face crops and sees whole frames here: expect less of its "
            "picture, or give a video of faces"
        )
    if "sound" in samples.modalities and samples.spec.even_out:
        notes.append(
            "the model was trained on sound that was evened out by speaker: all who are heard here "
            "are taken as one speaker, so expect less where several speak"
        )
    return notes


def _beyond(record: Mapping[str, Any]) -> list[str]:
    """Tell where a number lies outside the range of the training's."""
    model, windows = record["model"], record["windows"]
    ranges = {"score": model["score_range"], **dict.fromkeys(AFFECT, model["affect_range"])}
    notes = []
    for name, bounds in ranges.items():
        if not bounds:
            continue
        low, high = bounds
        count = sum(not low <= window.get(name, low) <= high for window in windows)
        if count:
            verb = "is" if count == 1 else "are"
            notes.append(
                f"{name}: {count} of {len(windows)} windows {verb} beyond the range {low:g} to "
                f"{high:g}: the model is sure beyond what it learnt"
            )
    return notes
