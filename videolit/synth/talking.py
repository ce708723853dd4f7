"""Generated videos of talking figures: picture, sound and words each tell a part of an emotion.

The rule is that of :mod:`videolit.synth.emotions`: how often each modality is right is known, and
with it how well any model can do. Given what they show, the three are drawn independently: they
share the moments of the syllables, whose number and tempo do not depend on the emotion.
"""

from __future__ import annotations

import csv
import functools
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from videolit.data.sound_writer import write_video_with_sound
from videolit.ops.files import atomic_path
from videolit.synth import faces, scenes, sentences, voices
from videolit.synth.actions import ENCODER, POOLS, Interval, Split
from videolit.synth.emotions import ROUND, Feeling, ceilings, plan_feelings
from videolit.synth.faces import EXPRESSIONS, HAIR_STYLES, Looks
from videolit.synth.figures import Array
from videolit.synth.runs import claim, spread
from videolit.synth.voices import SAMPLE_RATE, Sound, Voice
from videolit.types import InputError

_RATES = (12, 13, 14, 15)
_SECONDS = (2.7, 3.1)
# Syllables per second.
_TEMPO: dict[Split, tuple[Interval, ...]] = {
    "train": ((4.3, 5.2),),
    "val": ((4.3, 5.2),),
    "test": ((4.0, 4.3), (5.2, 5.6)),
}
# Pitch of voices in Hz, and resonances in shares of a man's; those of the test split lie between.
_PITCH: dict[Split, tuple[Interval, ...]] = {
    "train": ((95, 130), (165, 225)),
    "val": ((95, 130), (165, 225)),
    "test": ((130, 165),),
}
# A head is drawn at this many times the size and averaged.
_SCALE = 3
# Speech lies at least this far from both ends of a clip, seconds.
_PAUSE = 0.12
# Enough for AAC at 16 kHz.
_BIT_RATE = 32_000
# Increase when equal settings give other files than before.
_VERSION = 1


class Plan(NamedTuple):
    """A clip before it is drawn.

    Attributes:
        path: Its file, relative to the folder of the set.
        split: Whose bodies, voices, backgrounds and tempo it has.
        speaker: Number of the speaker in the split.
        seed: Of picture and sound.
        feeling: The truth, and what each modality shows.
        text: What is said.
        fps: Frames per second.
        num_frames: Frames.
        begins: Beginning of each syllable in seconds, ``(S,)``.
        end: End of the last syllable in seconds.
    """

    path: str
    split: Split
    speaker: int
    seed: int
    feeling: Feeling
    text: str
    fps: int
    num_frames: int
    begins: Array
    end: float


def speaker_name(split: Split, number: int) -> str:
    """Return the name of a speaker, the group of a clip: ``s203``."""
    return f"s{POOLS[split].first + number:03d}"


def make_speaker(split: Split, number: int) -> tuple[Looks, Voice]:
    """Return looks and voice of a speaker; the same for the same number, whatever the set's seed.

    Args:
        split: Whose builds, hues and pitches to draw from.
        number: From 0.
    """
    pool = POOLS[split]
    generator = np.random.default_rng([pool.first + number, 7])

    def draw(intervals: Sequence[Interval]) -> float:
        low, high = intervals[int(generator.integers(len(intervals)))]
        return float(generator.uniform(low, high))

    width, height, shoulder, eyes = (draw(pool.builds) for _ in range(4))
    glasses, beard, iris, tract, breath, gain, rich, bright = generator.random(8).tolist()
    pitch = draw(_PITCH[split])
    looks = Looks(
        width=width,
        height=height,
        shoulder=shoulder,
        eyes=eyes,
        style=HAIR_STYLES[int(generator.integers(len(HAIR_STYLES)))],
        glasses=glasses < 0.25,
        beard=beard < 0.4 and pitch < 150,
        skin=scenes.SKINS[int(generator.integers(len(scenes.SKINS)))],
        hair=scenes.HAIRS[int(generator.integers(len(scenes.HAIRS)))],
        top=scenes.colour(draw(pool.hues), 0.3 + 0.45 * rich, 0.4 + 0.5 * bright),
        iris=((78, 52, 34), (60, 98, 130), (74, 106, 70))[int(iris * 3)],
    )
    # A higher voice comes from a shorter tract, roughly: Peterson & Barney 1952, table II.
    voice = Voice(
        pitch=pitch,
        tract=1 + 0.17 * (pitch - 110) / 100 + 0.06 * (tract - 0.5),
        breath=0.05 * breath,
        gain=0.75 + 0.5 * gain,
    )
    return looks, voice


def plan_set(counts: Mapping[Split, int], *, seed: int = 0) -> list[Plan]:
    """Return what the clips of a set show and say, without drawing them.

    Args:
        counts: Clips of each split.
        seed: As in :func:`write_sentiment_set`.
    """
    plans = []
    for split, count in counts.items():
        place = ("train", "val", "test").index(split)
        generator = np.random.default_rng([seed, place])
        feelings = plan_feelings(generator, count)
        # Speakers are spread evenly, and at random over what is shown.
        speakers = generator.permutation(count) % POOLS[split].performers
        for number, (feeling, speaker) in enumerate(zip(feelings, speakers.tolist(), strict=True)):
            words = np.random.SeedSequence([seed, place, number]).generate_state(2, np.uint64)
            own = np.random.default_rng(int(words[0]))
            low, high = sentences.SYLLABLES
            syllables = int(own.integers(low, high + 1))
            fps = int(own.choice(_RATES))
            num_frames = round(own.uniform(*_SECONDS) * fps)
            begins, end = _timing(own, split, syllables, num_frames / fps)
            text = sentences.sentence(
                own,
                feeling.shown["text"],
                strength=feeling.strength,
                syllables=syllables,
                split=split,
            )
            path = f"{split}/{number:04d}.mp4"
            seed_of = int(words[1])
            plans.append(
                Plan(path, split, speaker, seed_of, feeling, text, fps, num_frames, begins, end)
            )
    return plans


def _timing(
    generator: np.random.Generator, split: Split, syllables: int, seconds: float
) -> tuple[Array, float]:
    """Return the beginning of each syllable, and the end of the last, in seconds."""
    ranges = _TEMPO[split]
    low, high = ranges[int(generator.integers(len(ranges)))]
    lengths = generator.uniform(0.8, 1.2, syllables)
    total = min(syllables / generator.uniform(low, high), seconds - 2 * _PAUSE)
    edges = np.append(0, np.cumsum(lengths)) / lengths.sum() * total
    edges += _PAUSE + generator.random() * (seconds - 2 * _PAUSE - total)
    return edges[:-1], float(edges[-1])


def mouth_opening(plan: Plan, times: Array) -> Array:
    """Return how far the mouth is open, in [0, 1]: once in each syllable.

    Args:
        plan: The clip.
        times: Seconds, ``(T,)``.
    """
    edges = np.append(plan.begins, plan.end)
    number = np.clip(np.searchsorted(edges, times, side="right") - 1, 0, len(edges) - 2)
    within = (times - edges[number]) / (edges[number + 1] - edges[number])
    rise = np.sin(np.pi * np.clip(within, 0, 1))
    inside = (times >= edges[0]) & (times < edges[-1])
    return np.asarray(inside * (0.25 + 0.75 * rise))


def render_clip(plan: Plan, size: tuple[int, int] = (96, 96)) -> tuple[NDArray[np.uint8], Sound]:
    """Return pictures and sound of a clip; equal arguments give equal ones.

    Args:
        plan: From :func:`plan_set`.
        size: Width and height in pixels.

    Returns:
        uint8 RGB ``(T, H, W, 3)``, and float32 ``(N,)`` in [-1, 1], 16000 samples per second.
    """
    looks, voice = make_speaker(plan.split, plan.speaker)
    streams = np.random.SeedSequence(plan.seed).spawn(3)
    scenery, moves, sounds = (np.random.default_rng(stream) for stream in streams)
    shown, strength = plan.feeling.shown, plan.feeling.strength
    # Half the size is enough behind a figure, at a quarter of the cost.
    room = _wall(scenery, plan.split, looks, (size[0] * _SCALE // 2, size[1] * _SCALE // 2))
    room = cv2.resize(room, (size[0] * _SCALE, size[1] * _SCALE)).astype(np.uint8, copy=False)
    times = (np.arange(plan.num_frames) + 0.5) / plan.fps
    motion = faces.draw_motion(moves, times, mouth_opening(plan, times))
    expression = faces.faded(EXPRESSIONS[shown["video"]], strength)
    light = scenes.exposure(scenery)
    frames = np.empty((plan.num_frames, size[1], size[0], 3), np.uint8)
    for time in range(plan.num_frames):
        large = room.copy()
        faces.draw(large, looks, expression, motion, time)
        frames[time] = cv2.LUT(cv2.resize(large, size, interpolation=cv2.INTER_AREA), light)
    scenes.add_noise(frames, scenery)
    num_samples = round(plan.num_frames * SAMPLE_RATE / plan.fps)
    speech = voices.speak(
        sounds,
        voice,
        shown["sound"],
        strength=strength,
        begins=plan.begins,
        end=plan.end,
        num_samples=num_samples,
    )
    return frames, np.clip(speech + _room_noise(sounds, plan.split, num_samples), -1, 1)


def _wall(
    generator: np.random.Generator, split: Split, looks: Looks, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Paint a wall in the one of four pairs of colours that is least like skin, hair and top."""
    clothes = np.array([looks.skin, looks.hair, looks.top], float)
    choices = [scenes.colour(*generator.uniform((0, 0.05, 0.3), (1, 0.4, 0.95))) for _ in range(4)]
    base = max(choices, key=lambda paint: float(np.abs(clothes - paint).mean(axis=1).min()))
    other = np.clip(np.array(base) * generator.uniform(0.7, 1.25, 3), 0, 255)
    walls = POOLS[split].walls
    kind = walls[int(generator.integers(len(walls)))]
    mix = scenes.pattern(generator, kind, *size)[..., None]
    return np.clip(np.array(base) * (1 - mix) + other * mix, 0, 255).astype(np.uint8)


def _room_noise(generator: np.random.Generator, split: Split, num_samples: int) -> Sound:
    """Return noise between white and, more likely, brown; a hum in the test split."""
    level, colour, hum, turn = generator.uniform((0.001, 0.3, 0, 0), (0.005, 0.95, 1, 6.28))
    white = generator.standard_normal(num_samples + 64)
    # A first-order low pass, cut off where it has faded.
    kernel = colour ** np.arange(64) * np.sqrt(1 - colour**2)
    noise = np.convolve(white, kernel)[64 : 64 + num_samples]
    if split == "test":
        times = np.arange(num_samples) / SAMPLE_RATE
        noise += hum * np.sin(2 * np.pi * 100 * times + turn)
    return np.asarray(level * noise, np.float32)


def write_sentiment_set(
    folder: str | Path,
    *,
    num_train: int,
    num_val: int,
    num_test: int,
    seed: int = 0,
    size: tuple[int, int] = (96, 96),
    workers: int = 1,
    progress: bool = False,
) -> Path:
    """Write clips of talking figures: H.264 with AAC sound of 16 kHz, about three seconds each.

    ``manifest.csv`` tells path, label, score (-3 to 3), valence, arousal (-1 to 1), text, speaker,
    group (the speaker) and split, as :func:`videolit.data.sentiment_sets.read_sentiment_set` reads
    it; a transcript with times lies beside each clip (``train/0000.srt``). ``truth.json`` says for
    each of its ``clips`` the ``kind`` (``plain`` or ``irony``), what each modality has ``shown``,
    the ``strength`` and the ``syllables`` in seconds, and the ``ceilings`` of
    :func:`videolit.synth.emotions.ceilings`. Both come last. Speakers, voices, sentences,
    backgrounds and tempo of the test split are unseen in training. The files depend on the settings
    alone, not on the number of workers. An interrupted run goes on where it stopped; a complete one
    returns at once.

    Args:
        folder: Folder to write to, new, empty or of an earlier run with the same settings.
        num_train: Training clips, 0 or at least 16.
        num_val: Validation clips, likewise.
        num_test: Test clips, likewise.
        seed: Of everything.
        size: Width and height in pixels, even, at least as wide as high.
        workers: Processes. Scripts that use more than one need the usual
            ``if __name__ == "__main__"``.
        progress: Show a progress bar.

    Returns:
        ``folder``.

    Raises:
        InputError: If a setting is out of range, or the folder holds something else.
    """
    root = Path(folder)
    counts: dict[Split, int] = {"train": num_train, "val": num_val, "test": num_test}
    for split, count in counts.items():
        if count != 0 and count < ROUND:
            raise InputError(
                f"num_{split} must be 0 or at least {ROUND}, one of each kind, got {count}"
            )
    if not any(counts.values()):
        raise InputError("give at least one split some clips, got 0 of each")
    if seed < 0 or workers < 1:
        raise InputError(
            f"seed must be at least 0 and workers at least 1, got {seed} and {workers}"
        )
    if size[1] < 48 or size[0] < size[1] or size[0] % 2 or size[1] % 2:
        raise InputError(
            "size must be even, at least 48 pixels high and as wide as high or wider, got "
            f"{size[0]}×{size[1]}"
        )
    record = {
        "version": _VERSION,
        **{str(split): count for split, count in counts.items()},
        "seed": seed,
        "size": list(size),
    }
    claim(root, record, "talking figures")
    plans = plan_set(counts, seed=seed)
    # The transcript is written first: a clip that is there has one.
    missing = [plan for plan in plans if not (root / plan.path).exists()]
    spread(
        functools.partial(_write, root, size), missing, workers=workers, chunk=8, progress=progress
    )
    if missing or not (root / "truth.json").exists():
        _write_table(root, plans)
        expected = {"+".join(chosen): shares for chosen, shares in ceilings().items()}
        clips = {plan.path: _truth(plan) for plan in plans}
        text = json.dumps({"ceilings": expected, "clips": clips}, indent=1)
        with atomic_path(root / "truth.json") as part:
            part.write_text(text + "\n", encoding="utf-8")
    return root


def _write(root: Path, size: tuple[int, int], plan: Plan) -> str:
    target = root / plan.path
    times = f"{_clock(float(plan.begins[0]))} --> {_clock(plan.end)}"
    with atomic_path(target.with_suffix(".srt")) as part:
        part.write_text(f"1\n{times}\n{plan.text}\n", encoding="utf-8")
    frames, sound = render_clip(plan, size)
    write_video_with_sound(
        target, frames, plan.fps, sound, SAMPLE_RATE, options=ENCODER, bit_rate=_BIT_RATE
    )
    return plan.path


def _clock(seconds: float) -> str:
    """Return a time of SubRip, within the first minute."""
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"00:00:{whole:02d},{thousandths:03d}"


def _write_table(root: Path, plans: Sequence[Plan]) -> None:
    numbers = ["score", "valence", "arousal"]
    with (
        atomic_path(root / "manifest.csv") as part,
        part.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["path", "label", *numbers, "text", "speaker", "group", "split"])
        for plan in plans:
            name = speaker_name(plan.split, plan.speaker)
            feeling = plan.feeling
            table.writerow(
                [plan.path, feeling.emotion, *feeling.affect(), plan.text, name, name, plan.split]
            )


def _truth(plan: Plan) -> dict[str, object]:
    edges = [round(float(edge), 4) for edge in (*plan.begins, plan.end)]
    return {
        "kind": plan.feeling.kind,
        "shown": dict(plan.feeling.shown),
        "strength": plan.feeling.strength,
        "syllables": [list(pair) for pair in itertools.pairwise(edges)],
    }
