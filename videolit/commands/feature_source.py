"""What turns the steps of a video into features, as files and checkpoints record it."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from videolit.callbacks.evaluation import file_hash
from videolit.data.audio import sound_levels
from videolit.data.scan import FrameWatcher, Step, VideoScan
from videolit.data.transforms import eval_crops
from videolit.encoders import AppearanceEncoder, VideoEncoder
from videolit.encoders.steps import encode_steps
from videolit.tasks.checkpoint import describe, load_task, rebuild
from videolit.types import WHOLE_FRAMES, ClipSpec, InputError

# Columns that are added to an encoder's features: motion and loudness.
NUM_SIGNALS = 2


class Described(NamedTuple):
    """A video after the pass that describes it.

    Attributes:
        scan: The pass: times, motion, the file's record.
        features: float32 ``(T, D)``, with motion and loudness as the last columns where the source
            has them.
        loudness: float32 ``(T,)`` in decibels below full scale; None = no sound.
        sound_problem: Why the sound ends early, ``""`` when it does not.
    """

    scan: VideoScan
    features: NDArray[np.float32]
    loudness: NDArray[np.float32] | None
    sound_problem: str


class FeatureSource:
    """An encoder, the pictures it is given, and what is added to its features.

    Args:
        encoder: Frames to features, in evaluation mode, with its weights.
        clip: ``fps`` steps per second, ``size``, ``resize`` and ``stretch`` of the pictures.
        signals: Add two columns: the square root of motion, and loudness as ``1 + dB / 100``, 0
            where there is no sound. What the encoder says is brought to length 1 then: networks'
            features are many times that, and the two would drown in them.
        steps_per_clip: Frames that the encoder gets at once.
        weights: Where the encoder's weights came from: a file, ``"pretrained"`` or ``"none"``.
    """

    def __init__(
        self,
        encoder: VideoEncoder,
        clip: ClipSpec,
        *,
        signals: bool = True,
        steps_per_clip: int = 16,
        weights: str = "none",
    ) -> None:
        self.encoder = encoder.eval()
        self.clip = clip
        self.signals = signals
        self.steps_per_clip = steps_per_clip
        self.weights = weights

    @property
    def fps(self) -> float:
        """Steps per second."""
        return self.clip.fps or 2.0

    @property
    def settings(self) -> dict[str, str | int | float | bool | None]:
        """All that decides the features, as JSON types: the record of feature files."""
        path = Path(self.weights)
        return {
            "encoder": json.dumps(describe(self.encoder), sort_keys=True),
            "weights": self.weights,
            "weights_sha256": file_hash(path) if path.is_file() else None,
            "fps": self.fps,
            "size": self.clip.size,
            "resize": self.clip.resize,
            "stretch": self.clip.stretch,
            "steps_per_clip": self.steps_per_clip,
            "signals": self.signals,
            "length": 1.0 if self.signals else None,
        }

    def describe(
        self,
        path: str | Path,
        *,
        device: torch.device | str = "cpu",
        watcher: FrameWatcher | None = None,
        progressed: Callable[[float], None] | None = None,
    ) -> Described:
        """Decode a video once and return its features; no frame is kept longer than a clip.

        Args:
            path: The video.
            device: Where the encoder computes.
            watcher: Shown every frame.
            progressed: Told which share of the video is done.

        Raises:
            VideoError: If the file cannot be read.
            InputError: If the encoder does not accept the pictures.
        """
        scan = VideoScan(path, self.fps)
        parts: list[NDArray[np.float32]] = []
        waiting: list[NDArray[np.uint8]] = []
        encoder = self.encoder.to(device)

        def encode() -> None:
            clip = torch.from_numpy(np.stack(waiting)).permute(0, 3, 1, 2)[None].to(device)
            waiting.clear()
            real = torch.ones(clip.shape[:2], dtype=torch.bool, device=device)
            least = encoder.num_frames[0]
            with torch.inference_mode():
                found = encode_steps(encoder, clip, real, self.steps_per_clip, least)
            parts.append(found[0].float().cpu().numpy())

        def on_step(step: Step) -> None:
            waiting.append(eval_crops([step.image], self.clip)[0, 0])
            if len(waiting) == self.steps_per_clip:
                encode()

        scan.run(on_step, watcher=watcher, progressed=progressed)
        if waiting:
            encode()
        features = np.concatenate(parts)
        levels = sound_levels(path, scan.origin, scan.duration) if scan.has_audio else None
        loudness = None if levels is None else levels.decibels(scan.times, scan.duration)
        if self.signals:
            sound = np.zeros_like(scan.motion) if loudness is None else 1 + loudness / 100
            lengths = np.linalg.norm(features, axis=1, keepdims=True)
            looks = features / np.maximum(lengths, 1e-12)
            features = np.column_stack([looks, np.sqrt(scan.motion), sound])
        problem = "" if levels is None else levels.problem
        return Described(scan, features.astype(np.float32), loudness, problem)


def plain_source(fps: float = 2.0, *, signals: bool = True) -> FeatureSource:
    """Return the source that needs no weights: colour, layout and edges, motion and loudness."""
    clip = _whole(fps, 64, 64, stretch=True)
    return FeatureSource(AppearanceEncoder(), clip, signals=signals)


def source_of(
    encoder: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    *,
    checkpoint: str | Path | None = None,
    fps: float = 2.0,
    size: int | None = None,
    steps_per_clip: int = 16,
    signals: bool = True,
    trust: bool = False,
) -> FeatureSource:
    """Return a source by the name of an encoder, or with the encoder of a checkpoint.

    Args:
        encoder: Class of :mod:`videolit.encoders`, as ``"TorchvisionFrameEncoder"``; its
            pretrained weights are loaded where its arguments name some. None = the plain source.
        arguments: The encoder's arguments.
        checkpoint: A checkpoint of any videolit task, whose encoder and weights are taken.
        fps: Steps per second.
        size: Side of the pictures in pixels; None = the checkpoint's, or 224.
        steps_per_clip: Frames that the encoder gets at once.
        signals: Whether motion and loudness are added.
        trust: Also build encoders from outside videolit.

    Raises:
        InputError: If both are given, or the encoder is unknown or refuses its arguments.
    """
    if checkpoint is not None:
        if encoder is not None:
            raise InputError("give an encoder or a checkpoint whose encoder to take, not both")
        task = load_task(checkpoint, trust=trust)
        if task.encoder is None:
            raise InputError(f"{checkpoint}: its model has no encoder of pictures")
        spec = task.clip_spec or ClipSpec()
        side = size or spec.size
        return FeatureSource(
            task.encoder,
            _whole(fps, side, round(spec.resize * side / spec.size), stretch=spec.stretch),
            signals=signals,
            steps_per_clip=steps_per_clip,
            weights=str(Path(checkpoint).absolute()),
        )
    if encoder is None:
        if arguments or size:
            raise InputError("arguments and size of an encoder need its name: --encoder CLASS")
        return plain_source(fps, signals=signals)
    kinds = importlib.import_module("videolit.encoders")
    known = [
        name
        for name in kinds.__all__
        if issubclass(getattr(kinds, name), VideoEncoder)
        and name not in ("VideoEncoder", "IdentityEncoder")
    ]
    if encoder not in known:
        raise InputError(f"there is no encoder {encoder!r}; there are {', '.join(known)}")
    kind = getattr(kinds, encoder)
    try:
        with _same_draw():
            built: VideoEncoder = kind(**dict(arguments or {}))
    except TypeError as problem:
        raise InputError(f"{encoder}: {problem}") from problem
    built.fetch_pretrained()
    built.load_pretrained()
    pretrained = getattr(built, "weights", None) is not None
    if not pretrained and any(True for _ in built.parameters()):
        named = "weights" in inspect.signature(kind).parameters
        advice = 'name pretrained ones, as \'{"weights": "DEFAULT"}\''
        warnings.warn(
            f"{encoder} has random weights, which know nothing of pictures: "
            f"{advice if named else 'take one with pretrained weights'}, or a checkpoint",
            stacklevel=2,
        )
    side = size or 224
    return FeatureSource(
        built,
        _whole(fps, side, side),
        signals=signals,
        steps_per_clip=steps_per_clip,
        weights="pretrained" if pretrained else "none",
    )


def source_from_record(text: str, *, trust: bool = False) -> FeatureSource:
    """Return the source that a feature file or a checkpoint names.

    Args:
        text: The JSON of :attr:`FeatureSource.settings`.
        trust: Also build encoders from outside videolit.

    Raises:
        InputError: If the weights are not where they were, or others lie there.
    """
    try:
        settings = json.loads(text)
        record, weights = json.loads(settings["encoder"]), str(settings["weights"])
        clip = _whole(
            settings["fps"], settings["size"], settings["resize"], stretch=settings["stretch"]
        )
        more = {"signals": settings["signals"], "steps_per_clip": settings["steps_per_clip"]}
    except (KeyError, TypeError, ValueError) as problem:
        raise InputError(f"features of unknown making: {text[:200]}") from problem
    if weights in ("none", "pretrained"):
        with _same_draw():
            encoder: VideoEncoder = rebuild(record, VideoEncoder, trust=trust)
        if weights == "pretrained":
            encoder.fetch_pretrained()
            encoder.load_pretrained()
    else:
        if not Path(weights).is_file():
            raise InputError(
                f"the features were made by the encoder of {weights}, which is not there: bring "
                "that checkpoint back"
            )
        if file_hash(weights) != settings["weights_sha256"]:
            raise InputError(
                f"the features were made by the encoder of {weights}, but another file lies there"
            )
        found = load_task(weights, trust=trust).encoder
        assert found is not None
        encoder = found
    return FeatureSource(encoder, clip, weights=weights, **more)


@contextlib.contextmanager
def _same_draw() -> Iterator[None]:
    """Let random weights be the same ones each time, and leave the user's random numbers alone.

    Features of weights that are drawn anew could not be made of another video, nor gone on with.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def _whole(fps: float, size: int, resize: int, *, stretch: bool = False) -> ClipSpec:
    return ClipSpec(
        sampling="whole",
        num_frames=WHOLE_FRAMES,
        fps=fps,
        size=size,
        resize=max(resize, size),
        stretch=stretch,
    )
