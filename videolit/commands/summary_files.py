"""What is written about a summary: the video, pictures, lists for editors, and the record."""

from __future__ import annotations

import contextlib
import json
import os
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from videolit.data.cut import write_cut
from videolit.data.cut_lists import places_in_summary, write_chapters, write_concat, write_edl
from videolit.data.index import VideoIndex
from videolit.data.stills import read_stills
from videolit.ops.budget import check_ranges
from videolit.ops.files import atomic_path
from videolit.plots import save_figure, storyboard, summary_figure
from videolit.plots.clock import clock
from videolit.types import InputError

SCHEMA = "videolit.summary"
# Raise it when a reader of older files would misunderstand newer ones.
VERSION = 1
# What is written beside key frames.
_FILES = (
    *("summary.mp4", "storyboard.jpg", "scores.png", "chapters.vtt", "concat.txt", "summary.edl"),
    "summary.json",
)
# A list of edits numbers at most so many.
_MOST_EDITS = 999
_QUALITY = 92
# There while a summary is written: what lies beside it is of no record yet.
_BEGUN = ".summary.begun"
_STILL = re.compile(r"\d{4}_\d+(-\d+)+\.jpg")


def write_summary(
    folder: Path,
    record: dict[str, Any],
    index: VideoIndex,
    *,
    video: bool,
    lap: Callable[[str], None],
    tell: Callable[[str, float], None],
) -> None:
    """Write all files of a summary, ``summary.json`` last; the record is completed on the way.

    Args:
        folder: Made if need be.
        record: As :func:`videolit.commands.summarize.summarize` describes it.
        index: The video's verified record.
        video: Whether to write ``summary.mp4``.
        lap: Notes how long the stage that has ended took.
        tell: Told of a stage and which share of it is done.

    Raises:
        InputError: If the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise InputError(f"cannot make the folder {folder}: {problem.strerror}") from problem
    _forget(folder)
    (folder / _BEGUN).touch()
    source, length = record["source"]["path"], record["source"]["duration"]
    chosen = [segment for segment in record["segments"] if segment["selected"]]
    parts = joined(chosen)
    files = ["storyboard.jpg", "scores.png", "chapters.vtt", "summary.json"]
    if video:
        kept = sum(end - start for start, end in parts)
        cut = write_cut(
            source,
            folder / "summary.mp4",
            parts,
            index=index,
            progressed=lambda done: tell("writing", min(done / kept, 1.0)),
        )
        record["summary"] = cut._asdict()
        files.insert(0, "summary.mp4")
        lap("summary.mp4")
    with missing_signs():
        files += _write_stills(folder, record, index, chosen, tell)
    lap("pictures")
    name, stem = shown_name(Path(source).name), shown_name(Path(source).stem)
    write_chapters(
        folder / "chapters.vtt",
        places_in_summary(parts),
        [f"{clock(start, length)} of {stem}" for start, _ in parts],
    )
    numerator, denominator = index.time_base
    origin = index.pts[0] * numerator / denominator if index.own_times else 0.0
    # Such a list cannot hold a line break.
    if not {"\n", "\r"} & set(source):
        write_concat(folder / "concat.txt", parts, source, origin=origin)
        files.append("concat.txt")
    if len(parts) <= _MOST_EDITS and index.fps >= 0.5:
        write_edl(folder / "summary.edl", parts, index.fps, f"Summary of {name}", name)
        files.append("summary.edl")
    with missing_signs():
        _draw_scores(folder / "scores.png", record)
    lap("lists and curve")
    record["files"] = sorted(files)
    with atomic_path(folder / "summary.json") as part:
        text = json.dumps(record, ensure_ascii=False) + "\n"
        # A file may have a name that is no UTF-8; JSON can only show its bytes.
        part.write_bytes(text.encode("utf-8", errors="backslashreplace"))
    (folder / _BEGUN).unlink(missing_ok=True)


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made or written to; nothing is made.

    Raises:
        InputError: Tells what is in the way.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not there.is_dir():
        raise InputError(f"cannot make the folder {folder}: {there} is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"cannot make or write the folder {folder}: no permission in {there}")


def joined(segments: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """Return start and end of what is kept, segments that follow each other as one."""
    parts: list[tuple[float, float]] = []
    for segment in segments:
        start, end = segment["start"], segment["end"]
        if parts and start - parts[-1][1] < 1e-6:
            parts[-1] = (parts[-1][0], end)
        else:
            parts.append((start, end))
    return parts


def _forget(folder: Path) -> None:
    """Remove a summary that is replaced, so that what is there belongs together at all times."""
    if (folder / _BEGUN).exists():
        # The run that began it was stopped before its record could name its files.
        left = [path for path in folder.glob("keyframes/*.jpg") if _STILL.fullmatch(path.name)]
        left += [*folder.glob(".*.part.*"), *folder.glob("keyframes/.*.part.jpg")]
        for path in [*left, *(folder / name for name in _FILES)]:
            path.unlink(missing_ok=True)
        return
    try:
        known = json.loads((folder / "summary.json").read_bytes())
        if known["schema"] != SCHEMA:
            return
        stills = [
            str(segment["keyframe"]["file"])
            for segment in known["segments"]
            if "keyframe" in segment
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return
    # The names of key frames tell their times; the record that lists them goes last.
    for path in [*(folder / name for name in stills), *(folder / name for name in _FILES)]:
        if path.parent in (folder, folder / "keyframes"):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def missing_signs() -> Iterator[None]:
    """Draw signs that no font here has as boxes, without a warning for each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")
        yield


def shown_name(name: str) -> str:
    """Return a file's name as it can be drawn: it may be no UTF-8."""
    return os.fsencode(name).decode("utf-8", errors="replace")


def _write_stills(
    folder: Path,
    record: dict[str, Any],
    index: VideoIndex,
    chosen: list[dict[str, Any]],
    tell: Callable[[str, float], None],
) -> list[str]:
    """Write a key frame of each segment that is kept and the storyboard; return their names."""
    times, scores = (np.array(record["scores"][name]) for name in ("time", "value"))
    length = record["source"]["duration"]
    moments = []
    for segment in chosen:
        first = int(np.searchsorted(times, segment["start"], side="right")) - 1
        stop = int(np.searchsorted(times, segment["end"] - 1e-6))
        first = max(first, 0)
        best = first + int(scores[first : max(stop, first + 1)].argmax())
        # Not the very edge of a shot: a frame may still show the one before.
        moments.append(float(np.clip(times[best], segment["start"], segment["end"])))
    bounds = [(segment["start_frame"], segment["end_frame"]) for segment in chosen]
    images: list[NDArray[np.uint8]] = []
    captions, names = [], []
    stills = read_stills(record["source"]["path"], index, bounds, moments)
    for number, (segment, still) in enumerate(zip(chosen, stills, strict=True), 1):
        seconds = float(index.timestamps[still.frame])
        name = f"keyframes/{number:04d}_{clock(seconds, length).replace(':', '-')}.jpg"
        _write_jpeg(folder / name, still.image)
        segment["keyframe"] = {
            "time": round(seconds, 6),
            "frame": still.frame,
            "file": name,
        }
        span = f"{clock(segment['start'], length)}\u2013{clock(segment['end'], length)}"
        captions.append(f"{span}   score {segment['score']:.2f}")
        images.append(_smaller(still.image, 640 if len(chosen) <= 12 else 320))
        names.append(name)
        tell("pictures", number / len(chosen))
    kept = sum(segment["end"] - segment["start"] for segment in chosen)
    sheet = storyboard(
        images,
        captions,
        title=shown_name(Path(record["source"]["path"]).stem),
        footer=f"{clock(kept, length)} of {clock(length, length)}",
    )
    _write_jpeg(folder / "storyboard.jpg", sheet)
    return names


def _smaller(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return a picture about as large as a storyboard shows it: hours have hundreds of them."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _write_jpeg(path: Path, image: NDArray[np.uint8]) -> None:
    path.parent.mkdir(exist_ok=True)
    done, data = cv2.imencode(
        ".jpg", np.ascontiguousarray(image[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    assert done
    with atomic_path(path) as part:
        part.write_bytes(data.tobytes())


def _draw_scores(path: Path, record: dict[str, Any]) -> None:
    duration = record["source"]["duration"]
    segments = record["segments"]
    save_figure(
        summary_figure(
            record["scores"]["time"],
            record["scores"]["value"],
            [(segment["start"], segment["end"]) for segment in segments],
            np.array([segment["selected"] for segment in segments]),
            duration=duration,
            title=shown_name(Path(record["source"]["path"]).name),
            budget=min(record["budget"] / duration, 1.0),
            # The settings are as the user gave them, and may end after the video.
            forced=check_ranges(record["settings"]["keep"], "keep", duration),
            dropped=check_ranges(record["settings"]["drop"], "drop", duration),
        ),
        path,
    )
