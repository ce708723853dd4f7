"""MMSA's feature files (thuiar/MMSA): CMU-MOSI, CMU-MOSEI and CH-SIMS as pickles of arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from videolit.data.layouts.mosi_raw import ANNOTATIONS, NOTES, RANGES, Scale, guess_scale
from videolit.data.restricted_pickle import read_pickle
from videolit.data.sentiment_records import Interval, SentimentSet, Utterance
from videolit.data.stored_sequences import StoredSequences
from videolit.types import InputError

# Of the README: what the published files' bytes hash to.
PUBLISHED: dict[str, tuple[Scale, str]] = {
    "78e0f8b5ef8ff71558e7307848fc1fa929ecb078203f565ab22b9daab2e02524": ("mosi", "unaligned_50"),
    "d3994fd25681f9c7ad6e9c6596a6fe9b4beb85ff7d478ba978b124139002e5f9": ("mosi", "aligned_50"),
    "ad8b23d50557045e7d47959ce6c5b955d8d983f2979c7d9b7b9226f6dd6fec1f": ("mosei", "unaligned_50"),
    "45eccfb748a87c80ecab9bfac29582e7b1466bf6605ff29d3b338a75120bf791": ("mosei", "aligned_50"),
    "c9e20c13ec0454d98bb9c1e520e490c75146bfa2dfeeea78d84de047dbdd442f": ("sims", "unaligned_39"),
}
# Numbers of each step of sound and picture in the published files.
_WIDTHS: dict[tuple[int, int], Scale] = {(5, 20): "mosi", (74, 35): "mosei", (33, 709): "sims"}
_PARTS = {"train": "train", "valid": "val", "test": "test"}
_MODALITIES = {"text": "text", "audio": "sound", "vision": "video"}
_SCORES = {"regression_labels_T": "text", "regression_labels_A": "sound"} | {
    "regression_labels_V": "video"
}
_NOTE = (
    "These are features that others extracted with tools of their own: a model of them predicts "
    "nothing for a video file."
)


def mmsa(path: Path, scale: Scale | None = None, sha256: str | None = None) -> SentimentSet:
    """Read ``aligned_50.pkl``, ``unaligned_50.pkl`` or ``unaligned_39.pkl``.

    The file has train, valid and test; each has arrays of equally many rows: id, raw_text, text
    ``(N, T, 768)``, audio, vision, regression_labels and, where the lengths differ, audio_lengths
    and vision_lengths. It is read without running anything that stands in it. A group is a video.

    Args:
        path: The file.
        scale: Which data set; None = by the file's hash, the widths of its features, or its path.
        sha256: What the bytes must hash to; None = any, and a note tells if the file is none of
            the five published ones.

    Raises:
        InputError: If the file is another than ``sha256`` says, names anything but arrays, or its
            arrays do not fit.
    """
    digest = _hash(path)
    if sha256 is not None and digest != sha256.lower():
        raise InputError(
            f"{str(path)!r}: expected the SHA-256 {sha256.lower()}, found {digest}: this is "
            "another file, or the download was cut off"
        )
    content = read_pickle(path)
    if not isinstance(content, dict) or not set(_PARTS) <= set(content):
        found = (
            ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        )
        raise InputError(f"{path}: expected the keys {', '.join(_PARTS)}, found {found}")
    arrays: list[Mapping[str, NDArray[np.float32]]] = []
    lengths: list[Mapping[str, NDArray[np.int64]]] = []
    utterances: list[Utterance] = []
    places: dict[str, tuple[int, int]] = {}
    chosen = scale or _scale(path, digest, content)
    for number, (key, split) in enumerate(_PARTS.items()):
        part = _Part(f"{path}, {key}", content[key])
        utterances += part.utterances(split, RANGES[chosen])
        arrays.append(part.sequences())
        lengths.append(part.lengths(arrays[-1]))
        places |= {name: (number, row) for row, name in enumerate(part.ids)}
    for number, part_arrays in enumerate(arrays):
        for name, array in part_arrays.items():
            if array.shape[2] != arrays[0][name].shape[2]:
                raise InputError(
                    f"{path}, {list(_PARTS)[number]}, {name}: expected {arrays[0][name].shape[2]} "
                    f"numbers a step, as train has, found {array.shape[2]}"
                )
    unknown = () if digest in PUBLISHED else (f"This file is none that MMSA published: {digest}.",)
    return SentimentSet(
        name=chosen,
        root=str(path),
        utterances=tuple(utterances),
        class_names=ANNOTATIONS if any(each.label for each in utterances) else (),
        score_range=RANGES[chosen],
        convention=chosen,
        notes=(*NOTES[chosen], _NOTE, *unknown),
        features=StoredSequences(parts=tuple(arrays), lengths=tuple(lengths), places=places),
    )


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror}") from error


def _scale(path: Path, digest: str, content: Mapping[object, object]) -> Scale:
    if digest in PUBLISHED:
        return PUBLISHED[digest][0]
    train = content["train"]
    if isinstance(train, dict):
        sound, video = train.get("audio"), train.get("vision")
        if isinstance(sound, np.ndarray) and isinstance(video, np.ndarray):
            widths = (sound.shape[-1], video.shape[-1]) if sound.ndim == video.ndim == 3 else (0, 0)
            if widths in _WIDTHS:
                return _WIDTHS[widths]
    return guess_scale(path, isinstance(train, dict) and "regression_labels_T" in train)


def _ends(array: NDArray[np.float32], steps: NDArray[np.int64]) -> bool:
    """Tell whether each row ``(T, D)`` of an array is 0 from its number of steps on."""
    return len(array) == len(steps) and not any(
        row[count:].any() for row, count in zip(array, steps.tolist(), strict=True)
    )


class _Part:
    """One of train, valid and test."""

    def __init__(self, where: str, content: object) -> None:
        if not isinstance(content, dict):
            self.refuse("", where, "a dictionary of arrays", type(content).__name__)
        self.where = where
        self.content = content
        self.ids = self._texts("id")
        if not self.ids:
            self.refuse("id", where, "at least one name", "none")

    @staticmethod
    def refuse(key: str, where: str, expected: str, found: object) -> NoReturn:
        raise InputError(f"{where}{', ' * bool(key)}{key}: expected {expected}, found {found}")

    def _texts(self, key: str) -> list[str]:
        values = self.content.get(key)
        if isinstance(values, np.ndarray):
            values = values.tolist()
        if not isinstance(values, list | tuple) or not all(isinstance(v, str) for v in values):
            self.refuse(key, self.where, "a list of texts", type(values).__name__)
        texts = list(values)
        if key != "id" and len(texts) != len(self.ids):
            self.refuse(key, self.where, f"{len(self.ids)} texts, as ids", len(texts))
        return texts

    def _numbers(self, key: str) -> NDArray[np.float64]:
        values = self.content.get(key)
        try:
            numbers = np.asarray(values, np.float64)
        except (TypeError, ValueError):
            numbers = np.empty(0)
        if numbers.shape == (len(self.ids), 1):
            numbers = numbers[:, 0]
        if numbers.shape != (len(self.ids),) or not np.isfinite(numbers).all():
            found = "nothing" if values is None else f"shape {numbers.shape}"
            self.refuse(key, self.where, f"{len(self.ids)} finite numbers, as ids", found)
        return numbers

    def sequences(self) -> dict[str, NDArray[np.float32]]:
        """Return the features by modality, float32 ``(N, T, D)``."""
        found: dict[str, NDArray[np.float32]] = {}
        for key, name in _MODALITIES.items():
            values = self.content.get(key)
            if not (
                isinstance(values, np.ndarray)
                and values.ndim == 3
                and len(values) == len(self.ids)
                and values.dtype.kind in "fiu"
            ):
                found_there = getattr(values, "shape", type(values).__name__)
                self.refuse(
                    key,
                    self.where,
                    f"numbers of shape ({len(self.ids)}, steps, width)",
                    found_there,
                )
            found[name] = np.asarray(values, np.float32)
        return found

    def lengths(self, arrays: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.int64]]:
        """Return the steps that are no padding, where the file tells."""
        found: dict[str, NDArray[np.int64]] = {}
        tokens = self.content.get("text_bert")
        if isinstance(tokens, np.ndarray) and tokens.ndim == 3 and tokens.shape[1] == 3:
            # Row 1 is the attention mask: 1 = a token.
            found["text"] = tokens[:, 1].astype(np.int64).sum(axis=1)
        for key, name in (("audio_lengths", "sound"), ("vision_lengths", "video")):
            if key in self.content:
                found[name] = self._numbers(key).astype(np.int64)
        for name, array in arrays.items():
            # Aligned files have a step for each token; taken only where the rest is padding.
            if name not in found and "text" in found and _ends(array, found["text"]):
                found[name] = found["text"]
        for name, steps in found.items():
            most = arrays[name].shape[1]
            if len(steps) != len(self.ids) or steps.min() < 0 or steps.max() > most:
                self.refuse(
                    f"lengths of {name}", self.where, f"0 to {most}", f"up to {steps.max()}"
                )
        return found

    def utterances(self, split: str, bounds: Interval) -> list[Utterance]:
        """Return the rows without their features."""
        scores = self._numbers("regression_labels")
        outside = np.flatnonzero((scores < bounds[0]) | (scores > bounds[1]))
        if len(outside):
            row = int(outside[0])
            self.refuse(
                "regression_labels",
                f"{self.where}, {self.ids[row]}",
                f"{bounds[0]:g} to {bounds[1]:g}",
                f"{scores[row]:g}; is this another data set (scale)?",
            )
        texts = self._texts("raw_text")
        labels = self._texts("annotations") if "annotations" in self.content else None
        if labels is not None and (other := sorted(set(labels) - set(ANNOTATIONS))):
            self.refuse("annotations", self.where, ", ".join(ANNOTATIONS), repr(other[0]))
        single = {name: self._numbers(key) for key, name in _SCORES.items() if key in self.content}
        rows = []
        for row, name in enumerate(self.ids):
            video, mark, clip = name.rpartition("$_$")
            rows.append(
                Utterance(
                    id=name,
                    text=texts[row],
                    group=video if mark else name,
                    dialogue=video,
                    turn=int(clip) if mark and clip.isdecimal() else None,
                    label=None if labels is None else labels[row],
                    score=float(scores[row]),
                    modality_scores={key: float(values[row]) for key, values in single.items()},
                    split=split,
                )
            )
        return rows
