"""A short video of a long one, with sound, and everything that says why: ``videolit.summarize``."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from lightning.fabric import Fabric
from lightning.fabric.utilities.exceptions import MisconfigurationException
from numpy.typing import NDArray

from videolit import __version__
from videolit.callbacks.evaluation import file_hash
from videolit.commands.feature_source import (
    NUM_SIGNALS,
    Described,
    FeatureSource,
    plain_source,
    source_from_record,
)
from videolit.commands.shots import MAX_SHOT, MIN_SHOT, Shots, find_shots
from videolit.commands.summary_files import SCHEMA, VERSION, write_summary
from videolit.data.scenes import CutWatcher
from videolit.encoders import IdentityEncoder
from videolit.ops.budget import Ranges, Rank, carve, check_ranges, choose, split_to_fit
from videolit.ops.coverage import importance
from videolit.tasks.checkpoint import load_task
from videolit.tasks.summary import SummaryTask
from videolit.types import InputError

Floats = NDArray[np.float64]
# Told of a stage, and which share of it is done.
Progressed = Callable[[str, float], None]

RATIO = 0.15
# Of what needs no training: pictures that look alike say the same.
PLAIN_DIVERSITY = 0.5


class Settings(NamedTuple):
    """How scores become a summary.

    Attributes:
        ratio: Share of the video that is kept.
        seconds: Length that is kept, in place of ``ratio``.
        shots: What finds shots.
        min_shot: Shortest shot in seconds.
        max_shot: Longest shot in seconds.
        rank: How shots are chosen, see :func:`videolit.ops.budget.choose`.
        diversity: What a shot loses when one like it is chosen; None = 0.5 without a model, else 0.
        keep: Seconds (start, end) that must be in the summary.
        drop: Seconds that must not.
    """

    ratio: float | None = None
    seconds: float | None = None
    shots: Shots = "kts"
    min_shot: float = MIN_SHOT
    max_shot: float = MAX_SHOT
    rank: Rank = "knapsack"
    diversity: float | None = None
    keep: tuple[tuple[float, float], ...] = ()
    drop: tuple[tuple[float, float], ...] = ()

    def check(self) -> None:
        """Refuse settings out of range.

        Raises:
            InputError: Names the setting.
        """
        if self.ratio is not None and self.seconds is not None:
            raise InputError("give a ratio or seconds, not both: each sets the summary's length")
        if self.ratio is not None and not 0 < self.ratio <= 1:
            raise InputError(f"ratio is a share of the video in (0, 1], got {self.ratio:g}")
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise InputError(f"seconds must be above 0, got {self.seconds:g}")
        for name, value, known in (
            ("shots", self.shots, get_args(Shots)),
            ("rank", self.rank, get_args(Rank)),
        ):
            if value not in known:
                raise InputError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        if not self.min_shot > 0 or not 2 * self.min_shot <= self.max_shot < math.inf:
            raise InputError(
                "min_shot must be above 0 and max_shot at least twice as long, so that what is too "
                f"long can be cut, got {self.min_shot:g} and {self.max_shot:g} s"
            )
        if self.diversity is not None and not 0 <= self.diversity <= 1:
            raise InputError(f"diversity must lie in [0, 1], got {self.diversity:g}")


class Model(NamedTuple):
    """What scores the moments of a video.

    Attributes:
        source: Makes the features.
        task: Scores them; None = the training-free scores.
        about: What the summary's file says of it.
    """

    source: FeatureSource
    task: SummaryTask | None
    about: dict[str, Any]

    def scores(self, found: Described) -> NDArray[np.float32]:
        """Return the score of each step, float32 ``(T,)`` in [0, 1]."""
        scan = found.scan
        if self.task is None:
            looks = found.features[:, :-NUM_SIGNALS] if self.source.signals else found.features
            return importance(looks, scan.times, motion=scan.motion, loudness=found.loudness)
        device = self.task.device
        features = torch.from_numpy(found.features)[None].to(device)
        real = torch.ones(features.shape[:2], dtype=torch.bool, device=device)
        with torch.inference_mode():
            logits = self.task.score_features(features, real)
        scores: NDArray[np.float32] = logits[0].float().sigmoid().cpu().numpy()
        return scores


def load_model(
    checkpoint: str | Path | None = None,
    source: FeatureSource | None = None,
    *,
    accelerator: str = "auto",
    trust: bool = False,
) -> Model:
    """Return what scores videos: a checkpoint's model, or what needs no training.

    Args:
        checkpoint: A checkpoint of a summary task; None = training-free.
        source: What the training-free scores look at; None = colour, layout, edges, motion, sound.
        accelerator: Lightning's: ``auto``, ``cpu``, ``gpu``.
        trust: Also run model code from outside videolit that the checkpoint names.

    Raises:
        InputError: If the checkpoint is of another task, or nothing tells what made the features
            that it was trained on.
    """
    try:
        device = Fabric(accelerator=accelerator, devices=1).device
    except (MisconfigurationException, ValueError) as problem:
        raise InputError(str(problem)) from problem
    if checkpoint is None:
        source = source or plain_source()
        source.encoder.to(device)
        return Model(source, None, {"kind": "training-free", "features": source.settings})
    if source is not None:
        raise InputError(
            "a checkpoint has its own encoder: leave --encoder out, or leave the checkpoint out"
        )
    task = load_task(checkpoint, trust=trust)
    if not isinstance(task, SummaryTask):
        raise InputError(
            f"{checkpoint}: a checkpoint of {type(task).__name__}; summaries need one of "
            "SummaryTask. An action model's encoder is used by `videolit features --ckpt_path`"
        )
    if isinstance(task.encoder, IdentityEncoder):
        if task.feature_record is None:
            raise InputError(
                f"{checkpoint}: trained on stored features of {task.encoder.num_features} numbers "
                "whose making is not known, as the published GoogLeNet ones, so no video can be "
                "turned into such features here. Train on features that `videolit features` made"
            )
        source = source_from_record(task.feature_record, trust=trust)
    else:
        if task.clip_spec is None:
            raise InputError(
                f"{checkpoint}: does not say how its videos are read: it was never trained"
            )
        source = FeatureSource(
            task.encoder, task.clip_spec, signals=False, steps_per_clip=task.steps_per_clip
        )
    task.to(device)
    record = task.record()
    about = {
        "kind": "checkpoint",
        "checkpoint": str(Path(checkpoint).absolute()),
        "checkpoint_sha256": file_hash(checkpoint),
        "temporal": record["temporal"]["class_path"].rpartition(".")[2],
        "features": source.settings,
    }
    return Model(source, task, about)


def summarize(
    source: str | Path,
    out: str | Path | None = None,
    *,
    checkpoint: str | Path | None = None,
    settings: Settings | None = None,
    model: Model | None = None,
    video: bool = True,
    progressed: Progressed | None = None,
) -> dict[str, Any]:
    """Summarize a video: score its moments, find its shots, keep the best that fit.

    The video is decoded once, in memory that grows by its features only (a few kilobytes for each
    second), and a second time where it is kept.

    Args:
        source: The video.
        out: Folder for ``summary.mp4``, ``storyboard.jpg``, ``keyframes/``, ``scores.png``,
            ``chapters.vtt``, ``summary.edl``, ``concat.txt`` and ``summary.json``; None = no files.
        checkpoint: A checkpoint of a summary task; None = training-free.
        settings: How scores become a summary; None = the defaults.
        model: What :func:`load_model` returned, for several videos; in place of ``checkpoint``.
        video: Write ``summary.mp4``.
        progressed: Is told how far it is.

    Returns:
        The content of ``summary.json``: ``schema``, ``version``, ``videolit``, ``source``,
        ``model``, ``settings``, ``budget`` (seconds), ``num_shots``, ``segments`` (each with
        ``start`` and ``end`` in seconds, ``start_frame`` and exclusive ``end_frame``, ``score``,
        ``rank`` (1 = best), ``selected``, ``kept`` (asked for), ``shot``, and, where selected and
        written, ``keyframe``), ``scores`` (``time`` and ``value`` of each step), ``summary`` (what
        was written), ``timing`` (seconds of each stage) and ``files``.

    Raises:
        VideoError: If the video cannot be read.
        InputError: If a setting or the checkpoint cannot be used.

    Example:
        A minute of a talk, with its opening in it, and the times of what was chosen::

            import videolit
            from videolit.commands.summarize import Settings

            record = videolit.summarize(
                "talk.mp4", "out", settings=Settings(seconds=60, keep=((0, 5),))
            )
            for segment in record["segments"]:
                if segment["selected"]:
                    print(segment["start"], segment["end"], segment["score"])
    """
    settings = settings or Settings()
    settings.check()
    model = model or load_model(checkpoint)
    tell = progressed or _silent
    watcher = None
    if settings.shots in ("adaptive", "content"):
        watcher = CutWatcher(settings.shots)
    clock = time.perf_counter()
    timing: dict[str, float] = {}

    def lap(name: str) -> None:
        nonlocal clock
        now = time.perf_counter()
        timing[name] = round(now - clock, 3)
        clock = now

    found = model.source.describe(
        source,
        device=next(model.source.encoder.parameters(), torch.zeros(0)).device,
        watcher=watcher,
        progressed=lambda share: tell("looking", share),
    )
    lap("decode and features")
    scores = model.scores(found)
    lap("scores")
    shots = find_shots(
        found,
        settings.shots,
        min_shot=settings.min_shot,
        max_shot=settings.max_shot,
        watcher=watcher,
    )
    lap("shots")
    diversity = settings.diversity
    if diversity is None:
        diversity = 0.0 if model.task is not None else PLAIN_DIVERSITY
    segments, budget = _select(found, scores, shots, settings, diversity)
    lap("selection")
    scan = found.scan
    path = Path(scan.path)
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "version": VERSION,
        "videolit": __version__,
        "source": {
            "path": scan.path,
            "bytes": path.stat().st_size,
            "duration": _rounded(scan.duration),
            "num_frames": scan.index.num_frames,
            "fps": _rounded(scan.index.fps),
            "width": scan.index.width,
            "height": scan.index.height,
            "rotation": scan.index.rotation,
            "audio": found.loudness is not None,
            "audio_problem": found.sound_problem,
        },
        "model": model.about,
        "settings": settings._asdict() | {"diversity": diversity},
        "budget": _rounded(budget),
        "num_shots": len(shots),
        "segments": segments,
        "scores": {
            "time": [_rounded(value) for value in scan.times],
            "value": [_rounded(value) for value in scores],
        },
        "summary": None,
        "timing": timing,
    }
    if out is not None:
        write_summary(Path(out), record, scan.index, video=video, lap=lap, tell=tell)
    return record


def _silent(stage: str, share: float) -> None:
    """Let progress go unseen."""


def _select(
    found: Described,
    scores: NDArray[np.float32],
    shots: NDArray[np.int64],
    settings: Settings,
    diversity: float,
) -> tuple[list[dict[str, Any]], float]:
    """Return all segments of the video that are not dropped, and the budget in seconds."""
    scan = found.scan
    duration = scan.duration
    edges = np.append(scan.index.timestamps, duration)
    budget = settings.seconds or (settings.ratio or RATIO) * duration
    budget = min(budget, duration)
    # What is kept is at least a frame, or nothing might be left of it.
    keep = _whole_frames(check_ranges(settings.keep, "keep", duration), edges)
    drop = check_ranges(settings.drop, "drop", duration)
    spans, forced, owner = _on_frames(*carve(edges[shots], keep, drop), edges)
    must = float((spans[forced, 1] - spans[forced, 0]).sum())
    if must > budget + 2 / scan.index.fps:
        raise InputError(
            f"what must be kept lasts {must:.2f} s, and the summary may last {budget:.2f} s: raise "
            "--seconds or --ratio, or keep less"
        )
    if len(spans) == 0:
        raise InputError("nothing is left to choose from: the whole video is dropped")
    left = budget - must
    if not forced.any():
        pieces = split_to_fit(spans, left)
        owner = owner[np.searchsorted(spans[:, 0], pieces[:, 0] + 1e-9, side="right") - 1]
        spans, forced, owner = _on_frames(pieces, np.zeros(len(pieces), bool), owner, edges)
    values = _means(scores, scan.times, duration, spans)
    selected = forced.copy()
    free = np.flatnonzero(~forced)
    if len(free) and left > 0:
        looks = _mean_features(found.features, scan.times, spans[free])
        chosen = choose(
            (values - values.min())[free],
            (spans[:, 1] - spans[:, 0])[free],
            left,
            rank=settings.rank,
            features=looks,
            diversity=diversity,
        )
        selected[free[chosen]] = True
    if not selected.any():
        # A frame lasts longer than the budget.
        selected[int(values.argmax())] = True
    ranks = np.empty(len(values), np.int64)
    ranks[np.argsort(-values, kind="stable")] = np.arange(1, len(values) + 1)
    first, stop = (np.searchsorted(edges, spans[:, side] - 1e-9) for side in (0, 1))
    segments = [
        {
            "start": _rounded(spans[i, 0]),
            "end": _rounded(spans[i, 1]),
            "start_frame": int(first[i]),
            "end_frame": int(stop[i]),
            "shot": int(owner[i]),
            "score": _rounded(values[i]),
            "rank": int(ranks[i]),
            "selected": bool(selected[i]),
            "kept": bool(forced[i]),
        }
        for i in range(len(spans))
    ]
    return segments, budget


def _on_frames(
    spans: Floats, forced: NDArray[np.bool_], owner: NDArray[np.int64], edges: Floats
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
    """Move ends of spans to the nearest times of frames; leave out what has no frame then."""
    middles = (edges[:-1] + edges[1:]) / 2
    moved = edges[np.searchsorted(middles, spans)]
    whole = moved[:, 1] > moved[:, 0]
    return moved[whole], forced[whole], owner[whole]


def _whole_frames(ranges: Ranges, edges: Floats) -> list[tuple[float, float]]:
    """Move ends of ranges to the nearest times of frames, a frame apart at least."""
    middles = (edges[:-1] + edges[1:]) / 2
    found = []
    for start, end in ranges:
        first = min(int(np.searchsorted(middles, start)), len(middles) - 1)
        stop = max(int(np.searchsorted(middles, end)), first + 1)
        found.append((float(edges[first]), float(edges[stop])))
    return check_ranges(found, "keep", float(edges[-1]))


def _means(scores: NDArray[np.float32], times: Floats, duration: float, spans: Floats) -> Floats:
    """Return the mean score of each span; a step's score holds until the next step."""
    edges = np.append(times, max(duration, float(times[-1]) + 1e-9))
    total = np.concatenate([[0.0], np.cumsum(scores * np.diff(edges))])
    at = np.interp(spans, edges, total)
    means: Floats = (at[:, 1] - at[:, 0]) / (spans[:, 1] - spans[:, 0])
    return means


def _mean_features(
    features: NDArray[np.float32], times: Floats, spans: Floats
) -> NDArray[np.float32]:
    """Return the mean feature of each span, or that of the step that holds in it."""
    total = np.concatenate([np.zeros((1, features.shape[1])), np.cumsum(features, 0, np.float64)])
    first = np.searchsorted(times, spans[:, 0] - 1e-9)
    stop = np.searchsorted(times, spans[:, 1] - 1e-9)
    first = np.where(stop > first, first, np.maximum(stop - 1, 0))
    stop = np.maximum(stop, first + 1)
    means = (total[stop] - total[first]) / (stop - first)[:, None]
    found: NDArray[np.float32] = means.astype(np.float32)
    return found


def settings_from_json(text: str) -> Mapping[str, Any]:
    """Return an encoder's arguments.

    Raises:
        InputError: If the text is no JSON object.
    """
    try:
        found = json.loads(text)
    except ValueError as problem:
        raise InputError(
            f"the encoder's arguments must be a JSON object, as '{{\"width\": 24}}', got {text!r}"
        ) from problem
    if not isinstance(found, dict):
        raise InputError(f"the encoder's arguments must be a JSON object, got {text!r}")
    return found


def _rounded(value: float) -> float:
    return round(float(value), 6)
