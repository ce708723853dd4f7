"""What every part of videolit shares: the batch, the preprocessing record and the error.

This module imports nothing of videolit and no heavy package at run time, so anything may import it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NamedTuple,
    NotRequired,
    Protocol,
    TypedDict,
    get_args,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class InputError(ValueError):
    """Something that the user gave cannot be used.

    The message is one or a few plain lines: what was expected, what came, what to do. The command
    line prints it without a traceback and ends with exit code 2.
    """


class VideoError(InputError):
    """A video file cannot be read. The message begins with the path.

    Attributes:
        path: The file.
        reason: Why it cannot be read, without the path.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type[VideoError], tuple[str, str]]:
        """Pickle by both arguments, so that the error crosses process borders."""
        return type(self), (self.path, self.reason)


class StorageError(RuntimeError):
    """A remote store does not give what it holds; the files in it may be whole."""


class Unread(TypedDict):
    """A file that could not be read.

    Attributes:
        path: Relative to the data's root where it lies below it.
        reason: Why, in one line.
        decoder: By what it was read.
    """

    path: str
    reason: str
    decoder: str


class VideoBatch(TypedDict):
    """A batch of clips, as every DataModule makes it and every task reads it.

    ``B`` clips, ``V`` views of each video, ``T`` frames, ``C`` = 3 channels (RGB).

    Attributes:
        video: uint8 ``(B, T, C, H, W)``, or ``(B, V, T, C, H, W)`` with several views per video.
            Only batch mixing on the device makes it float in [0, 1].
        mask: bool ``(B, T)`` or ``(B, V, T)``; True = a real frame, False = padding.
        label: int64 ``(B,)``, or float ``(B, K)`` in [0, 1] for several labels a clip or mixed
            clips. Absent when predicting.
        index: int64 ``(B,)``, the sample's position in its split.
        sample_mask: bool ``(B,)``; False = the sample must not count: it repeats another one so
            that all processes run equally many batches, or it could not be read.
        video_id: the file of each sample, relative to the data's root where it lies below it.
        error: why the sample could not be read, ``""`` when it could.
        unread: the files that could not be read. In training other samples took their places, so
            that ``error`` is empty.
    """

    video: Tensor
    mask: Tensor
    label: NotRequired[Tensor]
    index: Tensor
    sample_mask: Tensor
    video_id: list[str]
    error: list[str]
    unread: list[Unread]


class SummaryTruth(NamedTuple):
    """What the annotators of a video said: what a summary of it is compared with.

    ``T`` steps, ``U`` annotators, ``N`` frames, ``S`` shots.

    Attributes:
        picks: int64 ``(T,)``, the frame of each step.
        num_frames: N.
        shots: int64 ``(S, 2)``, half-open ``[first, stop)`` frames; None = unknown.
        user_scores: float32 ``(U, T)``, each annotator's scores; None = unknown.
        user_summary: bool ``(U, N)``, each annotator's summary; None = unknown.
        gtscore: float32 ``(T,)``, the annotators' common score; None = unknown.
        reduce: How keyshot F1 takes the annotators together: ``"mean"``, or ``"max"`` (SumMe).
    """

    picks: NDArray[np.int64]
    num_frames: int
    shots: NDArray[np.int64] | None
    user_scores: NDArray[np.float32] | None
    user_summary: NDArray[np.bool_] | None
    gtscore: NDArray[np.float32] | None
    reduce: Literal["mean", "max"]


class SummaryBatch(TypedDict):
    """A batch of whole videos for the summary task, one row each.

    ``B`` videos, ``T`` steps, ``D`` numbers of a feature, ``U`` annotators.

    Attributes:
        video: stored features, float32 ``(B, T, D)``, or frames, uint8 ``(B, T, C, H, W)``.
        mask: bool ``(B, T)``; True = a real step, False = padding, which comes last.
        scores: float32 ``(B, T)`` in [0, 1], the annotators' common score, 0 at padding. Absent
            where a video of the batch has none.
        user_scores: float32 ``(B, U, T)`` in [0, 1], each annotator's score. Absent where a video
            of the batch has none.
        user_mask: bool ``(B, U)``; False = the video has fewer annotators.
        index: int64 ``(B,)``, the video's position in its split.
        sample_mask: bool ``(B,)``; False = repeats another video, or could not be read.
        video_id: names of the videos.
        error: why a video could not be read, ``""`` when it could.
        unread: the files that could not be read.
        truth: what each is compared with.
    """

    video: Tensor
    mask: Tensor
    scores: NotRequired[Tensor]
    user_scores: NotRequired[Tensor]
    user_mask: NotRequired[Tensor]
    index: Tensor
    sample_mask: Tensor
    video_id: list[str]
    error: list[str]
    unread: list[Unread]
    truth: list[SummaryTruth]


class SentimentBatch(TypedDict):
    """A batch of utterances for the sentiment task, one row each.

    ``B`` utterances, ``T`` steps, ``D`` numbers of a feature. Of each modality that the data gives
    there are its values, their mask (True = real, padding comes last) and the middle of each step
    in seconds from the utterance's beginning. A row of a mask without any True: the utterance lacks
    the modality, and ``missing`` says why.

    Attributes:
        video: frames, uint8 ``(B, T, C, H, W)``, or stored features, float32 ``(B, T, D)``.
        video_mask: bool ``(B, T)``.
        video_seconds: float32 ``(B, T)``.
        sound: samples, float32 ``(B, T)`` in [-1, 1], mono, at :attr:`UtteranceSpec.sample_rate`,
            or stored features, float32 ``(B, T, D)``.
        sound_mask: bool ``(B, T)``.
        sound_seconds: float32 ``(B, T)``; only with stored features.
        text: token numbers, int64 ``(B, T)``, the utterance and behind separators those before it,
            or stored features, float32 ``(B, T, D)``.
        text_mask: bool ``(B, T)``.
        text_seconds: float32 ``(B, T)``.
        label: int64 ``(B,)``; -1 = not told.
        score: float32 ``(B,)``, the sentiment on the set's scale; NaN = not told.
        affect: float32 ``(B, 2)``, valence and arousal on the set's scale; NaN = not told.
        index: int64 ``(B,)``, the utterance's position in its split.
        sample_mask: bool ``(B,)``; False = repeats another one, or nothing of it could be read.
        video_id: names of the utterances.
        error: why nothing of an utterance could be read, ``""`` when something could.
        unread: the files that nothing could be read of.
        missing: for each utterance why a modality is missing, by its name.
    """

    video: NotRequired[Tensor]
    video_mask: NotRequired[Tensor]
    video_seconds: NotRequired[Tensor]
    sound: NotRequired[Tensor]
    sound_mask: NotRequired[Tensor]
    sound_seconds: NotRequired[Tensor]
    text: NotRequired[Tensor]
    text_mask: NotRequired[Tensor]
    text_seconds: NotRequired[Tensor]
    label: Tensor
    score: Tensor
    affect: Tensor
    index: Tensor
    sample_mask: Tensor
    video_id: list[str]
    error: list[str]
    unread: list[Unread]
    missing: list[dict[str, str]]


Modality = Literal["video", "sound", "text"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)
AFFECT = ("valence", "arousal")

# More frames than any video has steps: sampling "whole" without a limit.
WHOLE_FRAMES = 1_000_000

Sampling = Literal["uniform", "dense", "whole"]
Short = Literal["loop", "hold", "mask"]
Focus = Literal["frame", "motion"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipSpec:
    """Everything that decides which pixels of a video a model sees when it is tested or used.

    Args:
        sampling: ``"uniform"`` cuts the video into ``num_frames`` equal segments and takes one
            frame of each (TSN, Wang et al. 2016); ``"dense"`` takes neighbouring frames,
            ``frame_stride`` frames or ``1 / fps`` seconds apart; ``"whole"`` takes the whole video
            at that rate, thinned evenly to ``num_frames`` where it is longer.
        num_frames: Frames of a clip; with ``"whole"`` the most frames of a clip.
        frame_stride: Step between frames, in frames of the file.
        fps: Step between frames in time: ``1 / fps`` seconds; replaces ``frame_stride``.
        short: What fills a clip when the video has too few frames: ``"loop"`` starts over,
            ``"hold"`` repeats the last frame, ``"mask"`` holds it and marks it as padding.
        focus: ``"frame"``, or ``"motion"``: the square around what moves in the clip takes the
            place of the frame. Made for cameras at rest, where people act near and far.
        size: Height and width of the clip, in pixels.
        resize: Short side of the frame before the crop, in pixels; at least ``size``.
        stretch: Squash the whole frame to a square of side ``resize`` before the crop, instead of
            keeping its proportions and cutting off the ends of its long side.
        num_views: Views of a video over time, averaged when testing.
        num_crops: Crops of each view: 1 = centre, 3 = spread along the long side.

    Raises:
        InputError: If a number is out of its range or two settings contradict each other.
    """

    sampling: Sampling = "uniform"
    num_frames: int = 16
    frame_stride: int = 1
    fps: float | None = None
    short: Short = "loop"
    focus: Focus = "frame"
    size: int = 112
    resize: int = 112
    stretch: bool = False
    num_views: int = 1
    num_crops: int = 1

    def __post_init__(self) -> None:
        """Check ranges and combinations."""
        for name in ("num_frames", "frame_stride", "size", "resize", "num_views"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.fps is not None and self.fps <= 0:
            raise InputError(f"fps must be above 0, got {self.fps}")
        if self.fps is not None and self.frame_stride != 1:
            raise InputError(
                f"give fps ({self.fps}) or frame_stride ({self.frame_stride}), not both: each of "
                "them sets the step between frames"
            )
        if self.resize < self.size:
            raise InputError(
                f"resize ({self.resize}) must be at least size ({self.size}): the crop is cut out "
                "of the resized frame"
            )
        if self.focus not in get_args(Focus):
            raise InputError(f"focus must be 'frame' or 'motion', got {self.focus!r}")
        if self.focus == "motion" and self.num_frames < 2:
            raise InputError("focus 'motion' needs clips of at least 2 frames, got num_frames 1")
        if self.num_crops not in (1, 3):
            raise InputError(f"num_crops must be 1 or 3, got {self.num_crops}")
        if self.stretch and self.num_crops != 1:
            raise InputError(
                f"stretch leaves no long side for num_crops ({self.num_crops}); set one of them"
            )
        if self.sampling == "uniform" and (self.fps is not None or self.frame_stride != 1):
            raise InputError(
                "sampling 'uniform' spreads the frames over the whole video and has no step: "
                "leave frame_stride and fps out, or use sampling 'dense'"
            )
        if self.sampling == "whole" and self.num_views != 1:
            raise InputError(f"sampling 'whole' has one view of a video, got {self.num_views}")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> ClipSpec:
        """Build the record from :meth:`to_dict`'s output.

        Raises:
            InputError: If a setting is unknown, as from a newer version of videolit.
        """
        unknown = set(settings) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise InputError(
                f"unknown clip settings {sorted(unknown)}: the checkpoint was written by a newer "
                "videolit; update this one"
            )
        return cls(**settings)

    def describe(self) -> str:
        """Return the protocol in one line, as ``16 frames × 4, 10 views × 3 crops, 112 px``."""
        step = f" at {self.fps:g} fps" if self.fps is not None else f" × {self.frame_stride}"
        count = _plural(self.num_frames, "frame")
        place = "spread over" if self.num_frames > 1 else "from the middle of"
        frames = {
            "uniform": f"{count} {place} the video",
            "dense": f"{count}{step}",
            "whole": f"the whole video{step}"
            + (f", at most {count}" if self.num_frames < WHOLE_FRAMES else ""),
        }[self.sampling]
        views, crops = _plural(self.num_views, "view"), _plural(self.num_crops, "crop")
        return (
            f"{frames}, {views} × {crops}, {self.size} px of {self.resize}"
            + (" stretched" if self.stretch else "")
            + (" around the motion" if self.focus == "motion" else "")
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class UtteranceSpec:
    """What a model of utterances hears and reads, beside the frames that :class:`ClipSpec` tells.

    Args:
        sample_rate: Samples of sound per second.
        max_seconds: Longest part of an utterance that is seen and heard, from its beginning.
        context: How many utterances said before this one are read too.
        max_tokens: Most tokens of an utterance and its context.
        tokenizer: The tokenizer as JSON text; None = words are not read, or were stored.
        even_out: Whether sound is evened out by speaker.
        faces: Whether squares around faces take the place of frames, of some utterances at least.

    Raises:
        InputError: If a number is out of its range.
    """

    sample_rate: int = 16_000
    max_seconds: float = 30.0
    context: int = 0
    max_tokens: int = 128
    tokenizer: str | None = None
    even_out: bool = False
    faces: bool = False

    def __post_init__(self) -> None:
        """Check ranges."""
        for name, least in (("sample_rate", 1000), ("context", 0), ("max_tokens", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if not self.max_seconds > 0:
            raise InputError(f"max_seconds must be above 0, got {self.max_seconds}")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> UtteranceSpec:
        """Build the record from :meth:`to_dict`'s output.

        Raises:
            InputError: If a setting is unknown, as from a newer version of videolit.
        """
        unknown = set(settings) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise InputError(
                f"unknown settings of utterances {sorted(unknown)}: the checkpoint was written by "
                "a newer videolit; update this one"
            )
        return cls(**settings)


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


class SummarySource(Protocol):
    """What the summary task asks of the DataModule beside it; no more is shared."""

    @property
    def clip_spec(self) -> ClipSpec | None:
        """How raw videos are read; None with stored features."""
        ...

    @property
    def num_features(self) -> int:
        """How many numbers a stored feature has; 0 with raw videos, and before setup."""
        ...

    @property
    def feature_record(self) -> str | None:
        """What made the stored features, as JSON, where their file tells; None = unknown."""
        ...

    def sample_ids(self, split: Literal["train", "val", "test", "predict"]) -> Tensor:
        """Return a number that stands for each video of a split, int64 ``(N,)``."""
        ...


class ClassSource(Protocol):
    """What a classification task asks of the DataModule beside it; no more is shared.

    Attributes:
        class_names: Names of the classes, in label order.
        class_counts: Training samples of each class.
        multi_label: Whether a sample can have several labels, or none.
        clip_spec: The preprocessing of test and use.
    """

    @property
    def multi_label(self) -> bool:
        """Whether a sample can have several labels, or none."""
        ...

    @property
    def class_names(self) -> Sequence[str]:
        """Names of the classes, in label order."""
        ...

    @property
    def class_counts(self) -> Sequence[int]:
        """Training samples of each class."""
        ...

    @property
    def clip_spec(self) -> ClipSpec:
        """The preprocessing of test and use."""
        ...

    def sample_ids(self, split: Literal["train", "val", "test", "predict"]) -> Tensor:
        """Return a number that stands for each sample of a split, int64 ``(N,)``."""
        ...


class SentimentTargets(NamedTuple):
    """What the utterances of a training split are said to be.

    Attributes:
        labels: int64 ``(N,)``; -1 = not told.
        scores: float32 ``(N,)``; NaN = not told.
        affect: float32 ``(N, 2)``; NaN = not told.
    """

    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    affect: NDArray[np.float32]


class SentimentSource(Protocol):
    """What the sentiment task asks of the DataModule beside it; no more is shared."""

    @property
    def class_names(self) -> Sequence[str]:
        """Names of the classes, in label order; empty where nothing has a label."""
        ...

    @property
    def score_range(self) -> tuple[float, float] | None:
        """Lowest and highest sentiment; None where nothing has a score."""
        ...

    @property
    def affect_range(self) -> tuple[float, float] | None:
        """Lowest and highest valence and arousal; None where nothing has them."""
        ...

    @property
    def convention(self) -> Literal["emotion", "mosi", "mosei", "sims", "affect"]:
        """Which published figures belong to the set."""
        ...

    @property
    def given_modalities(self) -> Sequence[Modality]:
        """What batches have."""
        ...

    @property
    def num_features(self) -> Mapping[str, int]:
        """How many numbers a stored feature of each modality has; empty with raw files."""
        ...

    @property
    def clip_spec(self) -> ClipSpec | None:
        """How frames are taken; None without picture, and with stored features."""
        ...

    @property
    def utterance_spec(self) -> UtteranceSpec:
        """How sound and words are read; after setup with the tokenizer."""
        ...

    @property
    def num_tokens(self) -> int:
        """Size of the tokenizer's vocabulary; 0 = none."""
        ...

    @property
    def separator(self) -> int:
        """Number of the token between utterances; -1 = no tokenizer."""
        ...

    def train_targets(self) -> SentimentTargets:
        """Return what the training split is said to be, to tell what a constant answer gets."""
        ...

    def train_tokens(self) -> Iterator[Tensor]:
        """Yield the tokens of each training utterance that has words, int64 ``(L,)``."""
        ...

    def adopt_tokenizer(self, text: str) -> None:
        """Read words by another tokenizer, that of a checkpoint, given as its JSON text."""
        ...

    def sample_ids(self, split: Literal["train", "val", "test", "predict"]) -> Tensor:
        """Return a number that stands for each utterance of a split, int64 ``(N,)``."""
        ...
