"""A long recording and its transcript as samples of the sentiment task, one for each window."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from videolit.data.decoders import NO_PICTURE
from videolit.data.index import IndexCache, VideoIndex
from videolit.data.reader import VideoReader
from videolit.data.sentiment_samples import SentimentSample, Values
from videolit.data.sniff import DEMUXERS
from videolit.data.sniff_sound import sniff_sound
from videolit.data.sound_track import iter_ranges, iter_sound, why_unusable
from videolit.data.speaker_sound import even_out, level_filter
from videolit.data.transcripts import Line, lines_between
from videolit.data.utterance_words import TOKEN_SECONDS, Tokenizer, separator_of, token_seconds
from videolit.data.verify import verified_index
from videolit.data.windows import WindowClips
from videolit.data.words import Utterance
from videolit.ops.sampling import choose_frames
from videolit.ops.windows import frame_seconds, place_frames
from videolit.types import ClipSpec, Modality, UtteranceSpec, VideoError

Times = NDArray[np.float64]

# For a small file; an hour of a picture at rest is small, and takes minutes to decode.
_CHECK_SECONDS = 600.0
# Seconds of sound that are decoded at a time.
_PIECE = 30.0
# Sound that outlasts the picture by no more is what codecs fill their last frame with: 1024 samples
# of AAC at 16 kHz are 64 ms.
_FILLING = 0.1
# No fault, whether the container could have a picture (m4a, ogg, webm) or not (wav, mp3).
_SOUND_ONLY = "the file has sound only"


class Recording(NamedTuple):
    """What there is to see, hear and read, and how long it lasts.

    Times are seconds from the first frame of the picture, without one from the first sample. A
    transcript's times are taken to be those as well.

    Attributes:
        path: The video or sound file; None = a transcript alone.
        lines: The transcript.
        duration: Length in seconds.
        measured: What ends last and told the length: ``"picture"``, ``"sound"``, ``"transcript"``,
            or ``"words"``: a transcript without times, by their number.
        absent: Why a modality is missing as a whole.
        picture: The picture's verified record; None without one.
        picture_end: When the last frame ends, in seconds.
        sound_end: When the sound ends, in seconds.
        sound_problem: What is wrong with the sound in part, ``""`` if nothing.
    """

    path: str | None
    lines: tuple[Line, ...]
    duration: float
    measured: str
    absent: dict[Modality, str]
    picture: VideoIndex | None = None
    picture_end: float = 0.0
    sound_end: float = 0.0
    sound_problem: str = ""

    @property
    def has_times(self) -> bool:
        """Whether the transcript tells when its words are said."""
        return all(math.isfinite(line.end) for line in self.lines)


def open_recording(
    path: str | Path | None,
    lines: Sequence[Line] | None,
    wanted: Collection[Modality],
    *,
    cache: IndexCache,
    checking: Callable[[str], None],
) -> Recording:
    """Find out what a recording has. Picture and sound are decoded once, to learn where they end.

    Args:
        path: A video or sound file; None = there is none.
        lines: The transcript; None = there is none.
        wanted: What is looked for; the rest is left alone.
        cache: Keeps what is found out about the picture.
        checking: Is told what is being looked at: ``"picture"``, then ``"sound"``.

    Raises:
        VideoError: If there is no such file, or it is neither video nor sound.
    """
    absent: dict[Modality, str] = {}
    name = None if path is None else str(Path(path).absolute())
    picture, picture_end, sound_end, problem = None, 0.0, 0.0, ""
    has_picture = name is not None and sniff_sound(name) in DEMUXERS
    if "video" in wanted:
        if name is None:
            absent["video"] = "no video was given"
        elif not has_picture:
            absent["video"] = _SOUND_ONLY
        else:
            checking("picture")
            try:
                picture = verified_index(name, "pyav", cache, time_limit=_CHECK_SECONDS)
                picture_end = float(picture.timestamps[-1]) + frame_seconds(picture.timestamps)
            except VideoError as found:
                absent["video"] = (
                    _SOUND_ONLY
                    if found.reason == NO_PICTURE
                    else f"the picture cannot be read: {found.reason}"
                )
    if "sound" in wanted:
        if name is None:
            absent["sound"] = "no file with sound was given"
        else:
            checking("sound")
            sound_end, problem, absent_sound = _measure(name)
            if absent_sound:
                absent["sound"] = absent_sound
    if "text" in wanted:
        if lines is None:
            absent["text"] = "no transcript was given"
        elif not lines:
            absent["text"] = "the transcript has no words"
    said = tuple(lines or ())
    if picture is not None and sound_end <= picture_end + _FILLING:
        duration, measured = picture_end, "picture"
    elif sound_end:
        duration, measured = sound_end, "sound"
    elif said and 0 < (last := max(line.end for line in said)) < math.inf:
        duration, measured = last, "transcript"
    else:
        duration = TOKEN_SECONDS * sum(len(line.text.split()) for line in said)
        measured = "words"
    return Recording(
        name, said, duration, measured, absent, picture, picture_end, sound_end, problem
    )


def _measure(path: str) -> tuple[float, str, str]:
    """Return where a file's sound ends, what is wrong with it, and why there is none."""
    end, problem, first = 0.0, "", None
    for piece in iter_sound(path, _PIECE):
        first = first or piece
        end = piece.start + len(piece.samples) / piece.sample_rate
        problem = piece.problem
    if first is None or (end == 0 and not first.problem):
        return 0.0, "", "the sound is empty"
    if end == 0:
        return 0.0, "", why_unusable(first)
    return end, problem, ""


class WindowSamples:
    """The samples of a recording's windows, as the DataModule makes those of utterances.

    Picture and sound are read once more, in order, in memory that a window bounds.

    Args:
        recording: What there is.
        start: float64 ``(N,)`` seconds, ascending: where each window begins.
        end: float64 ``(N,)`` seconds: where it ends.
        modalities: What is read; those that the recording lacks as a whole are left out.
        spec: How sound and words are read.
        clip: Frames and geometry of the picture; needed with ``video``.
        tokenizer: Of the words; needed with ``text``.
        cache: As for :func:`open_recording`.
    """

    def __init__(
        self,
        recording: Recording,
        start: Times,
        end: Times,
        modalities: Sequence[Modality],
        spec: UtteranceSpec,
        *,
        clip: ClipSpec | None = None,
        tokenizer: Tokenizer | None = None,
        cache: IndexCache | None = None,
    ) -> None:
        self.recording = recording
        self.start = start
        self.end = end
        self.modalities = tuple(name for name in modalities if name not in recording.absent)
        self.spec = spec
        self.clip = clip
        self.tokenizer = tokenizer
        self.cache = cache

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.start)

    def __iter__(self) -> Iterator[SentimentSample]:
        """Yield the sample of each window; ``error`` says why one has nothing.

        Raises:
            VideoError: If the file changed since it was opened.
        """
        readers = {"video": self._pictures, "sound": self._sounds, "text": self._words}
        streams = [readers[name]() for name in self.modalities]
        try:
            for window, parts in enumerate(zip(*streams, strict=True)):
                yield self._sample(window, parts)
        finally:
            for stream in streams:
                stream.close()

    def said(self, window: int) -> list[Line]:
        """Return what is said in a window; nothing where its words have no times to tell."""
        start, end = float(self.start[window]), float(self.end[window])
        near = [each for each in self.recording.lines if each.start < end and each.end >= start]
        if len(self) > 1 and not self.recording.has_times:
            return []
        return lines_between(near, start, end)

    def _sample(self, window: int, parts: Sequence[_Part]) -> SentimentSample:
        values: dict[str, Values] = {}
        seconds: dict[str, NDArray[np.float32]] = {}
        missing: dict[str, str] = {str(name): why for name, why in self.recording.absent.items()}
        for name, part in zip(self.modalities, parts, strict=True):
            if isinstance(part, str):
                missing[name] = part
                continue
            values[name] = part[0]
            if part[1] is not None:
                seconds[name] = part[1]
        error = "" if values else "; ".join(f"{name}: {why}" for name, why in missing.items())
        return {
            "values": values,
            "seconds": seconds,
            "missing": missing,
            "label": -1,
            "score": math.nan,
            "affect": np.full(2, np.nan, np.float32),
            "index": window,
            "counts": not error,
            "video_id": self.recording.path or "",
            "error": error,
            "unread": [],
        }

    def _pictures(self) -> _Stream:
        recording, spec = self.recording, self.clip
        assert recording.path is not None
        assert recording.picture is not None
        assert spec is not None
        times = recording.picture.timestamps
        shown = self.start < recording.picture_end
        windows = place_frames(times, self.start[shown], self.end[shown])
        with VideoReader(recording.path, "pyav", cache=self.cache) as reader:
            clips = WindowClips(reader, windows, spec)
            for window, (frames, real) in enumerate(clips):
                part = times[windows.first[window] : windows.stop[window]]
                chosen = choose_frames(part, spec)
                # A frame that was on screen before the window is seen from its beginning.
                at = np.maximum(part[chosen.indices[chosen.real]] - self.start[window], 0)
                yield frames[real], at.astype(np.float32)
        for _ in range(len(self) - len(windows.start)):
            yield f"the picture ends at {recording.picture_end:.1f} s"

    def _sounds(self) -> _Stream:
        assert self.recording.path is not None
        spans = zip(self.start.tolist(), self.end.tolist(), strict=True)
        sounds = iter_ranges(self.recording.path, spans, sample_rate=self.spec.sample_rate)
        taps = self._filter() if self.spec.even_out else None
        for start, sound in zip(self.start.tolist(), sounds, strict=True):
            why = why_unusable(sound)
            if why and start >= self.recording.sound_end:
                why = f"the sound ends at {self.recording.sound_end:.1f} s"
            samples = sound.samples if taps is None else even_out(sound.samples, taps)
            yield why or (samples, None)

    def _filter(self) -> NDArray[np.float32]:
        """Listen to all windows once: who is heard in a recording is taken as one speaker."""
        assert self.recording.path is not None
        spans = zip(self.start.tolist(), self.end.tolist(), strict=True)
        sounds = iter_ranges(self.recording.path, spans, sample_rate=self.spec.sample_rate)
        return level_filter(sound.samples for sound in sounds if not why_unusable(sound))

    def _words(self) -> _Stream:
        assert self.tokenizer is not None
        for window, start in enumerate(self.start.tolist()):
            said = self.said(window)
            if not said:
                timeless = len(self) > 1 and not self.recording.has_times
                yield (
                    "the transcript has no times, so its words belong to no window"
                    if timeless
                    else "there are no words in this window"
                )
                continue
            before = [Utterance(line.text, line.speaker) for line in self._before(start)]
            tokens = self.tokenizer.encode(_utterance(said), before, self.spec.max_tokens)
            first, last = said[0].start, max(line.end for line in said)
            if math.isinf(last):
                first, last = start, float(self.end[window])
            separator = separator_of(self.tokenizer)
            yield (
                tokens.numpy(),
                token_seconds(tokens, separator, last - first, start=first - start),
            )

    def _before(self, start: float) -> list[Line]:
        """Return what was said before a time, oldest first, as far as the model reads it."""
        found: list[Line] = []
        if start <= 0 or not self.spec.context or not self.recording.has_times:
            return found
        for line in reversed(self.recording.lines):
            if len(found) == self.spec.context:
                break
            found += lines_between([line], 0.0, start)
        return found[::-1]


# A modality of a window: its values and the times of its steps, or why it is missing.
_Part = tuple[Values, NDArray[np.float32] | None] | str
_Stream = Generator[_Part, None, None]


def _utterance(lines: Sequence[Line]) -> Utterance:
    """Return lines as one utterance, of whoever says most of it."""
    words: dict[str, int] = {}
    for line in lines:
        words[line.speaker] = words.get(line.speaker, 0) + len(line.text)
    return Utterance(" ".join(line.text for line in lines), max(words, key=words.__getitem__))
