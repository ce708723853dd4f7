"""A short video of a long one, with sound, and everything that says why: ``videolit.summarize``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

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
from videolit.commands.shots import find_shots
from videolit.commands.summary_files import SCHEMA, VERSION, check_folder, write_summary
from videolit.commands.summary_selection import foresee, rounded, select_segments
from videolit.commands.summary_settings import Settings
from videolit.data.scenes import CutWatcher
from videolit.encoders import IdentityEncoder
from videolit.ops.coverage import importance
from videolit.tasks.checkpoint import load_task
from videolit.tasks.summary import SummaryTask
from videolit.types import InputError

# Told of a stage, and which share of it is done.
Progressed = Callable[[str, float], None]
# Of what needs no training: pictures that look alike say the same.
PLAIN_DIVERSITY = 0.5


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
    except (MisconfigurationException, RuntimeError, ValueError) as problem:
        raise InputError(f"accelerator {accelerator!r}: {problem}") from problem
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

    foresee(source, settings)
    if out is not None:
        check_folder(Path(out))
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
    segments, budget = select_segments(found, scores, shots, settings, diversity)
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
            "duration": rounded(scan.duration),
            "num_frames": scan.index.num_frames,
            "fps": rounded(scan.index.fps),
            "width": scan.index.width,
            "height": scan.index.height,
            "rotation": scan.index.rotation,
            "audio": found.loudness is not None,
            "audio_problem": found.sound_problem,
        },
        "model": model.about,
        "settings": settings._asdict() | {"diversity": diversity},
        "budget": rounded(budget),
        "num_shots": len(shots),
        "segments": segments,
        "scores": {
            "time": [rounded(value) for value in scan.times],
            "value": [rounded(value) for value in scores],
        },
        "summary": None,
        "timing": timing,
    }
    if out is not None:
        write_summary(Path(out), record, scan.index, video=video, lap=lap, tell=tell)
    return record


def _silent(stage: str, share: float) -> None:
    """Let progress go unseen."""


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
