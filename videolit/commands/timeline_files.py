"""What is written about a long video: segments as JSON, CSV and WebVTT, and a picture."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from videolit.ops.files import atomic_path
from videolit.ops.segments import Segment, moment_scores
from videolit.plots import save_figure, timeline_figure

SCHEMA = "videolit.timeline"
# Raise it when a reader of older files would misunderstand newer ones.
VERSION = 1
SUFFIXES = (".json", ".csv", ".vtt", ".png")
COLUMNS = ("start", "end", "name", "probability", "peak")


def claim_stem(folder: Path, source: dict[str, Any], taken: set[str]) -> str:
    """Return the name, without suffix, of the files about a video.

    It is the video's own; another video that has it, of this run or an earlier one, makes it
    ``name-2``. A video that was predicted before gets its files replaced.

    Args:
        folder: Where they will lie.
        source: The entry ``source`` of the video's JSON file: which video, and which part of it.
        taken: Names of this run, in lower case; the new one is added.
    """
    stem = Path(source["path"]).stem
    number = 1
    while True:
        name = stem if number == 1 else f"{stem}-{number}"
        # Some file systems take A.json and a.json for one.
        if name.casefold() not in taken and _is_free(folder, name, source):
            taken.add(name.casefold())
            return name
        number += 1


def _is_free(folder: Path, name: str, source: dict[str, Any]) -> bool:
    """Tell whether no file of the name is there, or those of the same video."""
    if not any((folder / f"{name}{suffix}").exists() for suffix in SUFFIXES):
        return True
    try:
        found = json.loads((folder / f"{name}.json").read_bytes())
        known = found["source"] if found["schema"] == SCHEMA else {}
        return all(known[key] == source[key] for key in ("path", "part"))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write_timeline(folder: Path, stem: str, record: dict[str, Any]) -> None:
    """Write ``<stem>.json``, ``.csv``, ``.vtt`` and ``.png``.

    Args:
        folder: Made if need be.
        stem: What :func:`claim_stem` returned.
        record: The content of the JSON file, as :func:`videolit.commands.timeline.find_actions`
            describes it.
    """
    # First, because it says whose files these are.
    with atomic_path(folder / f"{stem}.json") as part:
        part.write_text(json.dumps(record) + "\n", encoding="utf-8")
    segments: list[dict[str, Any]] = record["segments"]
    with (
        atomic_path(folder / f"{stem}.csv") as part,
        part.open("w", newline="", encoding="utf-8") as handle,
    ):
        table = csv.writer(handle)
        table.writerow(COLUMNS)
        table.writerows([segment[column] for column in COLUMNS] for segment in segments)
    with atomic_path(folder / f"{stem}.vtt") as part:
        part.write_text(to_vtt(segments), encoding="utf-8")
    names = list(record["windows"]["probabilities"])
    columns = record["windows"]["probabilities"].values()
    edges, values = moment_scores(
        np.array(record["windows"]["start"]),
        np.array(record["windows"]["end"]),
        np.array(list(columns), np.float64).T,
    )
    figure = timeline_figure(
        [
            Segment(s["start"], s["end"], names.index(s["name"]), s["probability"], s["peak"])
            for s in segments
        ],
        names,
        edges,
        values,
        # The bytes of a name that is no UTF-8 cannot be drawn.
        title=Path(record["source"]["path"]).name.encode("utf-8", "replace").decode(),
        start_at=record["settings"]["start_at"],
    )
    save_figure(figure, folder / f"{stem}.png")


def to_vtt(segments: Sequence[dict[str, Any]]) -> str:
    """Return segments as subtitles: a cue each, with name and probability."""
    return cues_to_vtt(
        (s["start"], s["end"], f"{s['name']} {s['probability']:.2f}") for s in segments
    )


def cues_to_vtt(cues: Iterable[tuple[float, float, str]]) -> str:
    """Return cues as WebVTT (W3C 2019).

    Args:
        cues: Start and end in seconds, and what is shown, in one line.
    """
    blocks = ["WEBVTT\n"]
    for begin, finish, shown in cues:
        start = round(1000 * begin)
        # A cue must end after it starts.
        end = max(round(1000 * finish), start + 1)
        line = " ".join(shown.split())
        # "-->" is no text of a cue either; without ">" it is none.
        text = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        blocks.append(f"{_vtt_time(start)} --> {_vtt_time(end)}\n{text}\n")
    return "\n".join(blocks)


def _vtt_time(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"


def part_of(start: float, end: float) -> list[float | None] | None:
    """Return the labelled part of a video as JSON has it; NaN = to its beginning or end."""
    bounds = [None if math.isnan(time) else float(time) for time in (start, end)]
    return bounds if any(bound is not None for bound in bounds) else None
