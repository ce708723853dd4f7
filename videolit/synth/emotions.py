"""The planted rule of generated talking figures: what picture, sound and words tell of an emotion.

Three quarters of the clips are ``plain``: each of picture, sound and words shows the true emotion
with probability ``SHOWN``, none (a neutral face, voice or sentence) with ``NEUTRAL``, and one of
the other three in the rest, independent of the other two modalities.

One quarter is ``irony``: joyful or angry words in a neutral or a mocking voice, with a neutral
face. A mocking voice turns the words into their opposite. The four pairs are equally frequent, so
words alone, voice alone and face alone are right in half of these clips at best; words and voice
together are always right, as in an exclusive or.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

Kind = Literal["plain", "irony"]

EMOTIONS = ("joy", "sadness", "anger", "calm")
# No emotion; and what only a voice can be.
NONE, MOCKING = "neutral", "mocking"
MODALITIES = ("video", "sound", "text")
# How often a modality of a plain clip shows the true emotion, and none.
SHOWN, NEUTRAL = 0.82, 0.16
# Clips of one round: 4 of irony, one for each pair, and plain ones that make the classes equal.
ROUND = 16
_PLAIN = {"joy": 2, "sadness": 4, "anger": 2, "calm": 4}
# Words, voice and the truth of irony.
_IRONY = (
    ("joy", NONE, "joy"),
    ("joy", MOCKING, "anger"),
    ("anger", NONE, "anger"),
    ("anger", MOCKING, "joy"),
)
# Sentiment in [-3, 3], valence and arousal in [-1, 1] at full strength; places in the plane of
# valence and arousal after Russell 1980, figure 4.
_AFFECT = {
    "joy": (2.6, 0.9, 0.6),
    "sadness": (-1.8, -0.8, -0.5),
    "anger": (-2.8, -0.7, 0.9),
    "calm": (1.4, 0.6, -0.7),
}
# Least strength of an emotion.
_WEAKEST = 0.7


class Feeling(NamedTuple):
    """What a clip is about.

    Attributes:
        emotion: The truth, one of ``EMOTIONS``.
        kind: ``plain`` or ``irony``.
        shown: What each of ``MODALITIES`` shows: an emotion, ``neutral`` or, the voice of irony,
            ``mocking``.
        strength: Of the emotion, in [0.7, 1]: the same in all that shows one.
    """

    emotion: str
    kind: Kind
    shown: Mapping[str, str]
    strength: float

    def affect(self) -> tuple[float, float, float]:
        """Return sentiment in [-3, 3], valence and arousal in [-1, 1], two decimals."""
        score, valence, arousal = (round(x * self.strength, 2) for x in _AFFECT[self.emotion])
        return score, valence, arousal


def plan_feelings(generator: np.random.Generator, count: int) -> list[Feeling]:
    """Return the feelings of a split, in random order.

    Of every 16 clips 4 are irony, one for each pair of words and voice; those beyond the last 16
    are plain. All classes are equally frequent (within one). Within the plain clips of a class,
    each modality shows the truth, nothing and the others in the exact shares, up to rounding, in an
    order of its own.

    Args:
        generator: Source of all draws.
        count: Clips.
    """
    rounds, rest = divmod(count, ROUND)
    found = [
        Feeling(truth, "irony", {"video": NONE, "sound": voice, "text": words}, 1.0)
        for words, voice, truth in _IRONY * rounds
    ]
    for place, emotion in enumerate(EMOTIONS):
        number = rounds * _PLAIN[emotion] + rest // 4 + (place < rest % 4)
        shown = [generator.permutation(_shown(emotion, number)).tolist() for _ in MODALITIES]
        found += [
            Feeling(emotion, "plain", dict(zip(MODALITIES, each, strict=True)), 1.0)
            for each in zip(*shown, strict=True)
        ]
    strengths = generator.uniform(_WEAKEST, 1.0, count)
    return [
        found[place]._replace(strength=round(float(strength), 3))
        for place, strength in zip(generator.permutation(count), strengths, strict=True)
    ]


def _shown(emotion: str, number: int) -> list[str]:
    """Return what one modality shows in the plain clips of an emotion."""
    true, nothing = round(SHOWN * number), round(NEUTRAL * number)
    nothing = min(nothing, number - true)
    others = itertools.cycle(other for other in EMOTIONS if other != emotion)
    wrong = itertools.islice(others, number - true - nothing)
    return [emotion] * true + [NONE] * nothing + list(wrong)


def outcomes() -> list[tuple[float, Feeling]]:
    """Return all that a clip can be with its probability, at full strength."""
    found = []
    for emotion in EMOTIONS:
        shares = dict.fromkeys(EMOTIONS, (1 - SHOWN - NEUTRAL) / 3)
        shares |= {emotion: SHOWN, NONE: NEUTRAL}
        for each in itertools.product(shares.items(), repeat=len(MODALITIES)):
            chance = _PLAIN[emotion] / ROUND
            for _, share in each:
                chance *= share
            shown = dict(zip(MODALITIES, (name for name, _ in each), strict=True))
            found.append((chance, Feeling(emotion, "plain", shown, 1.0)))
    for words, voice, truth in _IRONY:
        shown = {"video": NONE, "sound": voice, "text": words}
        found.append((1 / ROUND, Feeling(truth, "irony", shown, 1.0)))
    return found


def best_guess(modalities: Sequence[str]) -> dict[tuple[str, ...], str]:
    """Return the most probable emotion for all that some modalities can show.

    Args:
        modalities: Some of ``MODALITIES``.

    Returns:
        The emotion for what each of them shows, in their order. No model of these modalities is
        right more often, whatever it is trained on.
    """
    chances: dict[tuple[str, ...], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for chance, feeling in outcomes():
        seen = tuple(feeling.shown[name] for name in modalities)
        chances[seen][feeling.emotion] += chance
    # Equal but for rounding errors is equal: the first of EMOTIONS is taken.
    return {
        seen: max(EMOTIONS, key=lambda emotion: round(table[emotion], 12))
        for seen, table in chances.items()
    }


def ceilings(
    feelings: Iterable[tuple[float, Feeling]] | None = None,
) -> dict[tuple[str, ...], dict[str, float]]:
    """Return the accuracy of the best guess for each choice of modalities.

    Args:
        feelings: Clips with their weights; None = all that a clip can be: the expected accuracy.

    Returns:
        For each of the seven choices, in [0, 1]: ``all`` clips, the ``plain`` and the ``irony``
        ones; nan for a kind that does not occur.
    """
    # Here: help that tells of emotions must not wait for torch.
    from videolit.ops.modality import subsets

    clips = outcomes() if feelings is None else list(feelings)
    table = {}
    for chosen in subsets(MODALITIES):
        guess = best_guess(chosen)
        total, right = dict.fromkeys(("all", "plain", "irony"), 0.0), defaultdict[str, float](float)
        for weight, feeling in clips:
            hit = guess[tuple(feeling.shown[name] for name in chosen)] == feeling.emotion
            for kind in ("all", feeling.kind):
                total[kind] += weight
                right[kind] += weight * hit
        table[chosen] = {
            kind: round(right[kind] / weight, 9) if weight else float("nan")
            for kind, weight in total.items()
        }
    return table
