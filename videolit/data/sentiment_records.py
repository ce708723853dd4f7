"""Utterances and clips of a sentiment or emotion data set, and what people said about them."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from videolit.data.manifest import SPLITS, close_to
from videolit.data.stored_sequences import StoredSequences
from videolit.types import InputError

# Which published figures a set is measured with; see videolit.metrics.
Convention = Literal["emotion", "mosi", "mosei", "sims", "affect"]
Interval = tuple[float, float]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Utterance:
    """One utterance, or one clip without words: where it lies and what people said about it.

    Args:
        id: Its name in the set; no other has it.
        path: Absolute path of a video or sound file; None = words or stored features only.
        start: Seconds from the file's first moment; None = from the beginning.
        end: Seconds, exclusive; None = to the end.
        text: The words, ``""`` where unknown.
        speaker: Who speaks, ``""`` where unknown.
        group: What must not be torn apart by a split: an actor, a film, a dialogue, a source
            video. ``""`` = nothing beside the utterance.
        dialogue: The conversation that it belongs to, ``""`` = none.
        turn: Its place in the dialogue; gaps are allowed.
        label: Its class; None = not told.
        score: Sentiment within the set's ``score_range``; None = not told.
        valence: Within ``affect_range``; None = not told.
        arousal: Likewise.
        face: Left, top, right and bottom of the speaker's face in pixels; None = not told.
        modality_scores: What annotators said of one modality alone, by ``"text"``, ``"sound"`` and
            ``"video"`` (CH-SIMS).
        split: ``"train"``, ``"val"`` or ``"test"`` as published; None = no published split.
        problem: Why there is no ``path`` where the data set should have one.

    Raises:
        InputError: If times or numbers are impossible.
    """

    id: str
    path: str | None = None
    start: float | None = None
    end: float | None = None
    text: str = ""
    speaker: str = ""
    group: str = ""
    dialogue: str = ""
    turn: int | None = None
    label: str | None = None
    score: float | None = None
    valence: float | None = None
    arousal: float | None = None
    face: tuple[float, float, float, float] | None = None
    modality_scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    split: str | None = None
    problem: str = ""

    def __post_init__(self) -> None:
        """Check times and numbers."""
        begin = 0.0 if self.start is None else self.start
        if not (0 <= begin < math.inf and (self.end is None or begin < self.end < math.inf)):
            raise InputError(
                f"{self.id}, start and end: expected 0 ≤ start < end, found {self.start} and "
                f"{self.end}"
            )
        if self.face is not None and not (
            0 <= self.face[0] < self.face[2] and 0 <= self.face[1] < self.face[3]
        ):
            raise InputError(
                f"{self.id}, face: expected 0 ≤ left < right and 0 ≤ top < bottom, found "
                f"{self.face}"
            )
        if self.split is not None and self.split not in SPLITS:
            raise InputError(
                f"{self.id}, split: expected {', '.join(SPLITS)}, found {self.split!r}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SentimentSet:
    """The utterances of a data set, in its order.

    Args:
        name: ``"meld"``, ``"ravdess"``, …, or the name of the folder.
        root: The folder or file it was read from.
        utterances: All of them.
        class_names: The classes in the published order; empty where nothing has a label.
        score_range: Lowest and highest sentiment; None where nothing has a score.
        affect_range: Lowest and highest valence and arousal; None where nothing has them.
        convention: Which published figures belong to the set.
        shared_speakers: The published splits share speakers on purpose, as MELD's do.
        notes: What a reader of numbers from this set must know, one sentence each.
        features: Stored features, where that is what the data set has.

    Raises:
        InputError: If two utterances have one name, or a label or number is none of the set's.
    """

    name: str
    root: str
    utterances: tuple[Utterance, ...]
    class_names: tuple[str, ...] = ()
    score_range: Interval | None = None
    affect_range: Interval | None = None
    convention: Convention = "emotion"
    shared_speakers: bool = False
    notes: tuple[str, ...] = ()
    features: StoredSequences | None = None

    def __post_init__(self) -> None:
        """Check names, labels and ranges."""
        if not self.utterances:
            raise InputError(f"{self.root}: the data set has no utterance")
        if len(set(self.class_names)) < len(self.class_names):
            raise InputError(f"{self.root}: a class stands twice in {', '.join(self.class_names)}")
        known = set(self.class_names)
        seen: dict[str, Utterance] = {}
        for utterance in self.utterances:
            if utterance.id in seen:
                places = [each.path for each in (seen[utterance.id], utterance) if each.path]
                raise InputError(
                    f"{self.root}: two utterances have the name {utterance.id!r}"
                    + f": {' and '.join(places)}" * bool(places)
                )
            seen[utterance.id] = utterance
            if utterance.label is not None and utterance.label not in known:
                self._refuse(utterance, "label", ", ".join(self.class_names), utterance.label)
            self._check(utterance, "score", utterance.score, self.score_range)
            self._check(utterance, "valence", utterance.valence, self.affect_range)
            self._check(utterance, "arousal", utterance.arousal, self.affect_range)

    def __len__(self) -> int:
        return len(self.utterances)

    @property
    def ids(self) -> tuple[str, ...]:
        """Names of the utterances."""
        return tuple(utterance.id for utterance in self.utterances)

    @property
    def has_splits(self) -> bool:
        """Whether the data names the splits of any utterance."""
        return any(utterance.split is not None for utterance in self.utterances)

    @property
    def is_labelled(self) -> bool:
        """Whether anybody said anything of any utterance."""
        return any(
            each.label is not None
            or each.score is not None
            or each.valence is not None
            or each.arousal is not None
            for each in self.utterances
        )

    def labels(self) -> NDArray[np.int64]:
        """Return int64 ``(N,)``, positions in ``class_names``, -1 = no label."""
        codes: dict[str | None, int] = {name: code for code, name in enumerate(self.class_names)}
        return np.array([codes.get(utterance.label, -1) for utterance in self.utterances], np.int64)

    def scores(self) -> NDArray[np.float32]:
        """Return float32 ``(N,)``, nan = no score."""
        return np.array([_or_nan(utterance.score) for utterance in self.utterances], np.float32)

    def affect(self) -> NDArray[np.float32]:
        """Return float32 ``(N, 2)``, valence and arousal, nan = not told."""
        rows = [(_or_nan(each.valence), _or_nan(each.arousal)) for each in self.utterances]
        return np.array(rows, np.float32)

    def class_counts(self) -> dict[str, int]:
        """Return how many utterances each class has, in the order of the classes."""
        labels = self.labels()
        counts = np.bincount(labels[labels >= 0], minlength=len(self.class_names))
        return dict(zip(self.class_names, counts.tolist(), strict=True))

    def rows(self, split: str) -> NDArray[np.int64]:
        """Return the positions of a split as the data names it, int64.

        Raises:
            InputError: If the split is none of train, val and test.
        """
        if split not in SPLITS:
            raise InputError(f"unknown split {split!r}: expected {', '.join(SPLITS)}")
        named = [row for row, each in enumerate(self.utterances) if each.split == split]
        return np.array(named, np.int64)

    def select(self, rows: Sequence[int] | NDArray[np.integer]) -> SentimentSet:
        """Return some utterances, in the order asked.

        Raises:
            InputError: If there are none.
        """
        chosen = tuple(self.utterances[row] for row in np.asarray(rows, np.int64).tolist())
        return dataclasses.replace(self, utterances=chosen)

    def find(self, ids: Iterable[str]) -> NDArray[np.int64]:
        """Return the positions of utterances by their names, int64.

        Raises:
            InputError: If the set has no such utterance.
        """
        places = {utterance.id: row for row, utterance in enumerate(self.utterances)}
        wanted = list(ids)
        missing = [name for name in wanted if name not in places]
        if missing:
            raise InputError(
                f"{self.name}: no utterance {missing[0]!r}{close_to(missing[0], list(places))}"
            )
        return np.array([places[name] for name in wanted], np.int64)

    def dialogues(self) -> dict[str, NDArray[np.int64]]:
        """Return the positions of each dialogue's utterances in the order of their turns."""
        found: dict[str, list[int]] = defaultdict(list)
        for row, utterance in enumerate(self.utterances):
            if utterance.dialogue:
                found[utterance.dialogue].append(row)
        return {
            name: np.array(sorted(rows, key=lambda row: self.utterances[row].turn or 0), np.int64)
            for name, rows in found.items()
        }

    def _check(
        self, utterance: Utterance, key: str, value: float | None, bounds: Interval | None
    ) -> None:
        if value is None:
            return
        if bounds is None:
            self._refuse(utterance, key, "none in this set", value)
        elif not bounds[0] <= value <= bounds[1]:
            self._refuse(utterance, key, f"{bounds[0]:g} to {bounds[1]:g}", value)

    def _refuse(self, utterance: Utterance, key: str, expected: str, found: object) -> NoReturn:
        raise InputError(
            f"{self.root}, {utterance.id}, {key}: expected {expected}, found {found!r}"
        )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
