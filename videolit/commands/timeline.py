"""Which actions happen when in a long video: windows, scores, segments."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning.fabric import Fabric
from lightning.fabric.utilities.exceptions import MisconfigurationException
from numpy.typing import NDArray

from videolit import __version__
from videolit.callbacks.evaluation import file_hash
from videolit.commands.timeline_files import (
    SCHEMA,
    VERSION,
    claim_stem,
    part_of,
    write_timeline,
)
from videolit.data.index import IndexCache
from videolit.data.listing import list_videos
from videolit.data.manifest import close_to
from videolit.data.reader import VideoReader
from videolit.data.verify import verified_index
from videolit.data.windows import WindowClips
from videolit.ops.files import atomic_path
from videolit.ops.segments import check_thresholds, find_segments, moment_scores
from videolit.ops.windows import Windows, check_window, frame_seconds, slide
from videolit.tasks.action import ActionTask
from videolit.tasks.checkpoint import load_task
from videolit.types import ClipSpec, InputError, VideoError

# For a small file; an hour of a picture at rest is small, and takes minutes to decode.
_CHECK_SECONDS = 600.0
# Told of one file: its name, and which share of it is done; None = not known.
Progressed = Callable[[str, float | None], None]


class Settings(NamedTuple):
    """How scores become segments; see :mod:`videolit.ops.segments` and :mod:`videolit.ops.windows`.

    Attributes:
        window: Seconds of a window.
        hop: Seconds from one window to the next.
        start_at: Probability at which a segment starts.
        stay_at: Probability down to which it goes on.
        min_seconds: Shortest segment that is reported.
        merge_gap: Longest gap between segments of a class that is bridged, in seconds.
        background: Classes that mean that nothing happens, and are not reported.
    """

    window: float
    hop: float
    start_at: float
    stay_at: float
    min_seconds: float
    merge_gap: float
    background: tuple[str, ...]


def find_actions(
    checkpoint: str | Path,
    paths: str | Path | Sequence[str | Path],
    *,
    window: float,
    hop: float | None = None,
    start_at: float = 0.5,
    stay_at: float = 0.4,
    min_seconds: float = 0.0,
    merge_gap: float | None = None,
    background: Sequence[str] = (),
    output: str | Path | None = None,
    batch_size: int = 4,
    accelerator: str = "auto",
    trust: bool = False,
    allow_outside_root: bool = False,
    progressed: Progressed | None = None,
) -> list[dict[str, Any]]:
    """Find when the actions of a checkpoint happen in long videos.

    Windows slide over each video; each becomes the clip that the checkpoint asks for, and the
    class probabilities of all windows become segments as :mod:`videolit.ops.segments` says. Each
    video is decoded once for its pixels, in order, in memory that the window bounds (and once
    before, without pixels, to check it: see :class:`~videolit.data.reader.VideoReader`).

    A model knows only its classes: without one that means "nothing of these", named in
    ``background``, it will take whatever happens for one of the others.

    Args:
        checkpoint: A ``.ckpt`` file of videolit, of an action task.
        paths: Video files, folders of them, or lists (``.csv``, ``.jsonl``), whose columns
            ``start`` and ``end`` limit what is looked at.
        window: Seconds of a window; about as long as the clips that the model was trained on.
        hop: Seconds from one window to the next, at most ``window``; None = half a window.
        start_at: Probability at which a segment starts, in (0, 1].
        stay_at: Probability down to which it goes on, in (0, ``start_at``].
        min_seconds: Shortest segment that is reported.
        merge_gap: Longest gap between segments of a class that is bridged, in seconds; None =
            ``hop``, below which times are not resolved.
        background: Names of classes that are not reported.
        output: Folder for each video's ``<name>.json``, ``.csv``, ``.vtt`` and ``.png``, and
            ``timelines.jsonl``, a row per video; None = no files.
        batch_size: Windows at once.
        accelerator: Lightning's: ``auto``, ``cpu``, ``gpu``.
        trust: Also run model code from outside videolit that the checkpoint names.
        allow_outside_root: Accept paths of a list that lie outside its folder.
        progressed: Is told how far each file is.

    Returns:
        One record per video, in the order given, as its JSON file has it: ``schema``, ``version``,
        ``source`` (``path``, ``part``, ``duration`` in seconds), ``status``; then ``error``, or
        ``segments`` (``start``, ``end`` in seconds from the video's first frame, ``name``,
        ``probability``, ``peak``), ``windows`` (``start``, ``end``, and each class's
        ``probabilities``), ``settings``, ``clip``, ``protocol`` and ``model``. Further, ``files``:
        their common name without suffix, where they were written.

    Raises:
        InputError: If checkpoint or settings cannot be used or there is nothing to predict.
    """
    settings = Settings(
        window,
        window / 2 if hop is None else hop,
        start_at,
        stay_at,
        min_seconds,
        (window / 2 if hop is None else hop) if merge_gap is None else merge_gap,
        tuple(background),
    )
    check_window(settings.window, settings.hop)
    check_thresholds(start_at, stay_at, min_seconds, settings.merge_gap)
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    folder = None if output is None else Path(output)
    if folder is not None and folder.exists() and not folder.is_dir():
        raise InputError(f"timelines go into a folder, but {folder} is a file")
    task = load_task(checkpoint, trust=trust)
    if not isinstance(task, ActionTask):
        other = {"SentimentTask": "sentiment", "SummaryTask": "summarize"}
        verb = other.get(type(task).__name__)
        use = f"; use it by `videolit {verb} FILE --ckpt_path ...`" if verb else ""
        raise InputError(
            f"{checkpoint} is of a {type(task).__name__}: --window needs an ActionTask{use}"
        )
    _check_background(task, settings.background)
    wanted = [paths] if isinstance(paths, str | Path) else list(paths)
    manifest = list_videos(wanted, allow_outside_root=allow_outside_root)
    try:
        device = Fabric(accelerator=accelerator, devices=1).device
    except (MisconfigurationException, RuntimeError, ValueError) as problem:
        raise InputError(f"accelerator {accelerator!r}: {problem}") from problem
    task.to(device).eval()
    model = _describe(task, checkpoint)
    taken: set[str] = set()
    records = []
    for row in range(len(manifest)):
        tell = functools.partial(progressed or _tell_nobody, manifest.video_id(row))
        record: dict[str, Any] = {
            "schema": SCHEMA,
            "version": VERSION,
            "videolit": __version__,
            "source": {
                "path": manifest.path(row),
                "part": part_of(float(manifest.start[row]), float(manifest.end[row])),
            },
            "status": "ok",
        }
        try:
            record |= _look_at(record["source"], task, settings, batch_size, tell)
        except VideoError as problem:
            record |= {"status": "error", "error": problem.reason}
        else:
            record["model"] = model
            if folder is not None:
                record["files"] = claim_stem(folder, record["source"], taken)
                write_timeline(folder, record["files"], record)
        records.append(record)
    if folder is not None:
        _write_rows(folder, records)
    return records


def _tell_nobody(name: str, share: float | None) -> None:
    """Let progress go unseen."""


def _look_at(
    source: dict[str, Any],
    task: ActionTask,
    settings: Settings,
    batch_size: int,
    tell: Callable[[float | None], None],
) -> dict[str, Any]:
    """Return what a video's record says beyond its name.

    Raises:
        VideoError: If the video cannot be read, or not with these settings.
    """
    path = source["path"]
    spec = task.clip_spec or ClipSpec()
    # Files given once leave nothing behind on the user's disk.
    cache = IndexCache(None)
    tell(None)
    verified_index(path, "pyav", cache, time_limit=_CHECK_SECONDS)
    with VideoReader(path, "pyav", cache=cache) as reader:
        about = {
            "duration": _rounded(reader.timestamps[-1] + frame_seconds(reader.timestamps)),
            "num_frames": reader.num_frames,
            "fps": _rounded(reader.fps),
            "width": reader.width,
            "height": reader.height,
        }
        windows = _windows(reader, source["part"] or (None, None), settings)
        clips = WindowClips(reader, windows, spec)
        scores = _score(task, clips, batch_size, tell)
    names = task.class_names or []
    segments = find_segments(
        *moment_scores(windows.start, windows.end, scores),
        start_at=settings.start_at,
        stay_at=settings.stay_at,
        min_seconds=settings.min_seconds,
        merge_gap=settings.merge_gap,
    )
    return {
        "source": source | about,
        "settings": settings._asdict() | {"background": list(settings.background)},
        "clip": spec.to_dict(),
        "protocol": spec.describe(),
        "segments": [
            {
                "start": _rounded(segment.start),
                "end": _rounded(segment.end),
                "name": names[segment.label],
                "probability": _rounded(segment.probability),
                "peak": _rounded(segment.peak),
            }
            for segment in segments
            if names[segment.label] not in settings.background
        ],
        "windows": {
            "start": [_rounded(time) for time in windows.start],
            "end": [_rounded(time) for time in windows.end],
            "probabilities": {
                name: [_rounded(score) for score in scores[:, label]]
                for label, name in enumerate(names)
            },
        },
    }


def _windows(reader: VideoReader, part: Sequence[float | None], settings: Settings) -> Windows:
    """Slide windows over the labelled part of a video: start <= time < end."""
    start, end = part
    times = reader.timestamps
    first = 0 if start is None else int(np.searchsorted(times, start))
    stop = len(times) if end is None else int(np.searchsorted(times, end))
    if stop <= first:
        raise VideoError(
            reader.path, f"no frame in the part asked; the last is at {times[-1]:.2f} s"
        )
    try:
        found = slide(times[first:stop], settings.window, settings.hop)
    except InputError as problem:
        # Of this video: another one may have more frames per second.
        raise VideoError(reader.path, str(problem)) from problem
    return found._replace(first=found.first + first, stop=found.stop + first)


def _score(
    task: ActionTask,
    clips: WindowClips,
    batch_size: int,
    tell: Callable[[float | None], None],
) -> NDArray[np.float64]:
    """Return the class probabilities of all windows, float64 ``(N, K)``."""
    scores: list[NDArray[np.float64]] = []
    done = 0
    with torch.inference_mode():
        for batch in clips.batches(batch_size):
            video, mask = batch["video"].to(task.device), batch["mask"].to(task.device)
            scores.append(task.probabilities(video, mask).double().cpu().numpy())
            done += len(scores[-1])
            tell(done / len(clips))
    return np.concatenate(scores)


def _check_background(task: ActionTask, background: Sequence[str]) -> None:
    """Refuse names that are none of the model's classes, and a model that would report nothing."""
    known = task.class_names or []
    for name in background:
        if name not in known:
            raise InputError(
                f"--background {name!r} is no class of the model{close_to(name, known)}"
            )
    if set(known) <= set(background):
        raise InputError("--background names all classes of the model: nothing would be reported")


def _describe(task: ActionTask, checkpoint: str | Path) -> dict[str, Any]:
    """Return which model it is."""
    record = task.record()
    return {
        "checkpoint": str(Path(checkpoint).absolute()),
        "checkpoint_sha256": file_hash(checkpoint),
        "classes": list(task.class_names or ()),
        **{
            part: record[part]["class_path"].rpartition(".")[2]
            for part in ("task", "encoder", "temporal")
        },
    }


def _write_rows(folder: Path, records: Sequence[dict[str, Any]]) -> None:
    """Write a row per video: its segments, or why there are none."""
    kept = ("status", "error", "files", "segments")
    with atomic_path(folder / "timelines.jsonl") as part, part.open("w") as handle:
        for record in records:
            row = {"path": record["source"]["path"], "part": record["source"]["part"]}
            row |= {key: record[key] for key in kept if key in record}
            handle.write(json.dumps(row) + "\n")


def _rounded(value: float) -> float:
    return round(float(value), 6)
