"""Small sentiment sets as files: clips whose picture, sound and words say their class."""

from __future__ import annotations

import csv
import pickle
import wave
from pathlib import Path

import numpy as np

from videolit.data.sound_writer import write_video_with_sound
from videolit.data.writer import write_video

RATE = 16_000
WORDS = ("what a lovely day", "this is so sad")


# Of a clip of each class.
SECONDS = (0.6, 0.8)


def tone(kind: int, seed: int) -> np.ndarray:
    """A tone with a little noise: 200 Hz, or 900 Hz of class 1."""
    times = np.arange(round(SECONDS[kind] * RATE)) / RATE
    noise = np.random.default_rng(seed).normal(0, 0.01, len(times))
    return (0.4 * np.sin(2 * np.pi * (200, 900)[kind] * times) + noise).astype(np.float32)


def pictures(kind: int, seed: int) -> np.ndarray:
    """Frames at 10 a second, dark, or bright of class 1; frame i is 4·i lighter."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(30, size=(round(10 * SECONDS[kind]), 32, 48, 3)).astype(np.uint8)
    steps = 4 * np.arange(len(frames), dtype=np.uint8)
    return frames + np.uint8((20, 180)[kind]) + steps[:, None, None, None]


def write_clip(path: Path, kind: int, seed: int) -> Path:
    """A video with sound."""
    return write_video_with_sound(path, pictures(kind, seed), 10, tone(kind, seed), RATE)


def write_wav(path: Path, samples: np.ndarray) -> Path:
    """A sound file of 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def write_csv(path: Path, rows: list[dict]) -> Path:
    """A table with the columns of its first row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_own_set(root: Path, speakers: int = 8) -> Path:
    """Two clips of each speaker with manifest.csv, and what people said of them in every way.

    Of the first speakers some clips lack something: ``s0_0`` has no sound, ``s0_1`` is silent,
    ``s1_0`` is a sound file, ``s1_1`` has words only, and ``s2_0`` has none.
    """
    rows = []
    for number in range(2 * speakers):
        speaker, kind = divmod(number, 2)
        name = f"s{speaker}_{kind}"
        path = root / f"{name}.mp4"
        if name == "s0_0":
            write_video(path, pictures(kind, number), 10)
        elif name == "s0_1":
            silence = np.zeros(round(0.8 * RATE), np.float32)
            write_video_with_sound(path, pictures(kind, number), 10, silence, RATE)
        elif name == "s1_0":
            path = write_wav(root / f"{name}.wav", tone(kind, number))
        elif name != "s1_1":
            write_clip(path, kind, number)
        rows.append(
            {
                "path": "" if name == "s1_1" else path.name,
                "label": ("glad", "sad")[kind],
                "score": (1.5, -1.5)[kind] + speaker / 8,
                "valence": (0.5, -0.5)[kind],
                "arousal": speaker / 8,
                "text": "" if name == "s2_0" else f"{WORDS[kind]} {number}",
                "speaker": f"speaker {speaker}",
                "dialogue": f"talk {speaker}",
                "turn": kind,
            }
        )
    write_csv(root / "manifest.csv", rows)
    return root


def write_meld_set(root: Path) -> Path:
    """The three tables of MELD with a few rows each, and their clips."""
    for part, (split, folder) in enumerate(
        (
            ("train", "train_splits"),
            ("dev", "dev_splits_complete"),
            ("test", "output_repeated_splits_test"),
        )
    ):
        rows = []
        for number in range(4):
            kind, dialogue = number % 2, number // 2
            rows.append(
                {
                    "Sr No.": number,
                    "Utterance": f"{WORDS[kind]} {number}",
                    "Speaker": "Ross",
                    "Emotion": ("joy", "sadness")[kind],
                    "Sentiment": ("positive", "negative")[kind],
                    "Dialogue_ID": dialogue,
                    "Utterance_ID": kind,
                    "StartTime": "00:00:01,000",
                    "EndTime": "00:00:02,000",
                }
            )
            clip = root / folder / f"dia{dialogue}_utt{kind}.mp4"
            write_clip(clip, kind, 10 * part + number)
        write_csv(root / f"{split}_sent_emo.csv", rows)
    return root


def write_mosi_set(root: Path) -> Path:
    """label.csv and the clips of a few videos, as MOSI has them."""
    rows = []
    for number, mode in enumerate(["train"] * 4 + ["valid"] * 2 + ["test"] * 2):
        kind = number % 2
        video = f"{mode}{number // 2}"
        rows.append(
            {
                "video_id": video,
                "clip_id": kind,
                "text": f"{WORDS[kind]} {number}",
                "label": (2.0, -1.6)[kind],
                "annotation": ("Positive", "Negative")[kind],
                "mode": mode,
            }
        )
        write_clip(root / "Raw" / video / f"{kind}.mp4", kind, number)
    write_csv(root / "label.csv", rows)
    return root


def write_features(path: Path, widths: dict[str, int] | None = None) -> Path:
    """A file of features as MMSA writes it, of different lengths in each modality."""
    widths = widths or {"text": 768, "audio": 5, "vision": 20}
    content = {}
    for first, (part, count) in enumerate((("train", 6), ("valid", 3), ("test", 3))):
        rng = np.random.default_rng(first)
        content[part] = {
            "id": [f"v{10 * first + i}$_${i}" for i in range(count)],
            "raw_text": [f"words {i}" for i in range(count)],
            "annotations": (["Negative", "Neutral", "Positive"] * count)[:count],
            "regression_labels": np.linspace(-2, 2, count),
            "audio_lengths": [1 + i % 7 for i in range(count)],
            "vision_lengths": [1 + i % 6 for i in range(count)],
            **{
                name: rng.normal(
                    size=(count, {"text": 4, "audio": 7, "vision": 6}[name], width)
                ).astype(np.float32)
                for name, width in widths.items()
            },
        }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, 4))
    return path
