"""What is written about the sentiment of a recording: JSON, CSV, WebVTT and a picture."""

from __future__ import annotations

import contextlib
import csv
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from videolit.commands.sentiment_moments import Moments, mean_weights
from videolit.commands.summary_files import missing_signs, shown_name
from videolit.commands.timeline_files import cues_to_vtt
from videolit.ops.files import atomic_path
from videolit.plots import save_figure, sentiment_figure
from videolit.types import AFFECT, InputError

SCHEMA = "videolit.sentiment"
# Raise it when a reader of older files would misunderstand newer ones.
VERSION = 1
# The record comes last: where it is, the others belong to it.
FILES = ("sentiment.csv", "sentiment.vtt", "sentiment.png", "sentiment.json")


def check_folder(folder: Path) -> None:
    """Find out before the work whether the files can be written; what is made for it is removed.

    Raises:
        InputError: Tells what is in the way.
    """
    with _told(folder):
        if folder.exists() and not folder.is_dir():
            raise InputError(f"the answers go into a folder, but {folder} is a file")
        new = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    for path in new:
        # Another run may have begun to write there.
        with contextlib.suppress(OSError):
            path.rmdir()
    for name in FILES:
        if (folder / name).is_dir():
            raise InputError(
                f"{folder / name} is a folder, but a file is to be written there: rename it, or "
                "give another folder"
            )


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell which path cannot be written."""
    try:
        yield
    except OSError as problem:
        why = problem.strerror or str(problem)
        raise InputError(f"{path}: cannot be written: {why}") from problem


def write_sentiment(folder: Path, record: dict[str, Any], moments: Moments) -> None:
    """Write all files of a recording, ``sentiment.json`` last; the record is completed.

    Args:
        folder: Made if need be.
        record: As :func:`videolit.commands.sentiment.find_sentiment` describes it.
        moments: Its moments.

    Raises:
        InputError: If the folder cannot be made, or a file not be written, as on a full disk.
    """
    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sentiment.json").unlink(missing_ok=True)
    record["files"] = sorted(FILES)
    with (
        _told(folder / "sentiment.csv"),
        atomic_path(folder / "sentiment.csv") as part,
        part.open("w", newline="", encoding="utf-8", errors="backslashreplace") as handle,
    ):
        columns = csv_columns(record["model"])
        table = csv.writer(handle)
        table.writerow(columns)
        table.writerows(csv_row(window, columns) for window in record["windows"])
    with _told(folder / "sentiment.vtt"), atomic_path(folder / "sentiment.vtt") as part:
        cues = ((each["start"], each["end"], caption(each)) for each in record["stretches"])
        part.write_text(cues_to_vtt(cues), encoding="utf-8")
    with _told(folder / "sentiment.png"), missing_signs():
        save_figure(draw(record, moments), folder / "sentiment.png")
    with _told(folder / "sentiment.json"), atomic_path(folder / "sentiment.json") as part:
        text = json.dumps(record, ensure_ascii=False) + "\n"
        # A file may have a name that is no UTF-8; JSON can only show its bytes.
        part.write_bytes(text.encode("utf-8", errors="backslashreplace"))


def csv_columns(model: Mapping[str, Any]) -> list[str]:
    """Return the columns of the table: times, answers, then those of each modality."""
    numbers = ["score"] * bool(model["score_range"]) + list(AFFECT) * bool(model["affect_range"])
    likeliest = ["probability"] * bool(model["classes"])
    columns = ["start", "end", "label", *likeliest, *numbers]
    columns += [f"probability_{name}" for name in model["classes"]]
    for name in model["modalities"]:
        own = ("weight", "label", *likeliest, *numbers, "missing")
        columns += [f"{name}_{column}" for column in own]
    return columns


def csv_row(window: Mapping[str, Any], columns: list[str]) -> list[Any]:
    """Return a window's cells; empty = not told."""
    cells = {name: window.get(name) for name in ("start", "end", "label", "probability")}
    cells |= {name: window.get(name) for name in ("score", *AFFECT)}
    cells |= {f"probability_{k}": v for k, v in window.get("probabilities", {}).items()}
    for name, own in window["modalities"].items():
        cells |= {f"{name}_{key}": value for key, value in own.items()}
    return ["" if cells.get(column) is None else cells[column] for column in columns]


def caption(part: Mapping[str, Any]) -> str:
    """Return the label of a stretch with its numbers, as ``joy 0.82`` or ``positive +1.2``."""
    words = [part["label"]]
    if "probability" in part:
        words.append(f"{part['probability']:.2f}")
    if "score" in part:
        words.append(f"{part['score']:+.1f}")
    words += [f"{name} {part[name]:+.2f}" for name in AFFECT if name in part]
    return " ".join(words)


def draw(record: Mapping[str, Any], moments: Moments) -> Any:  # noqa: ANN401 - a figure
    """Return the picture of a record."""
    model, source = record["model"], record["source"]
    numbers = {}
    if moments.score is not None:
        numbers["score"] = (moments.score, _pair(model["score_range"]))
    if moments.affect is not None:
        for column, name in enumerate(AFFECT):
            numbers[name] = (moments.affect[:, column], _pair(model["affect_range"]))
    count = len(record["windows"])
    reasons = {
        name: next(iter(found))
        for name, found in record["missing"].items()
        if sum(found.values()) == count
    }
    settings = record["settings"]
    windows = f"{count} windows of {settings['window']:g} s" if count > 1 else "one window"
    learnt = model["weights"] == "learnt"
    means = mean_weights(record)
    below = "weights" if learnt else "use"
    legend = "dark: label · pale: its probability" if model["classes"] else "dark: label"
    if any((x < low).any() or (x > high).any() for x, (low, high) in numbers.values()):
        legend += " · triangle: out of range"
    return sentiment_figure(
        moments.edges,
        moments.labels,
        moments.names,
        probabilities=moments.probabilities if model["classes"] else None,
        numbers=numbers,
        weights=moments.weights if learnt else None,
        means=[means[name] for name in model["modalities"]] if learnt else None,
        used=moments.used,
        modalities=model["modalities"],
        reasons=reasons,
        title=shown_name(Path(source["path"] or source["transcript"]).name),
        footer=f"{windows} · {legend} · below: {below} · hatched: missing",
    )


def _pair(bounds: list[float]) -> tuple[float, float]:
    return bounds[0], bounds[1]
