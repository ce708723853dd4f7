"""The sound of a video file, by time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from videolit.data.decoders import one_line
from videolit.data.index import AUTO_CONTAINERS
from videolit.data.sniff_sound import SOUND_DEMUXERS
from videolit.data.sound_grid import FirstFrame, trim_to_grid

Samples = NDArray[np.float32]

# Sampling rates of AAC up to 48 kHz (ISO/IEC 14496-3, table 1.18); other sound is resampled.
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_OTHER_RATE = 48_000
# Matroska and FLV round times to 1 ms. Frames within this many seconds of the end of the one
# before follow it without a gap; larger gaps are real and become silence, so none adds up.
_JITTER = 0.01
# Decoders need some sound before they give the right one: 80 ms for Opus (RFC 7845, 4.6).
_PREROLL = 1.0
# A jump within the file pays from about here.
_JUMP = 5.0
_MAX_FAILURES = 100
# Files whose times stay right after a jump; an MP3's are guessed from its mean bit rate.
_SEEKABLE = (*AUTO_CONTAINERS, "wav", "flac")


class SoundReader:
    """Decodes the sound of a file forwards, at the times of its video.

    Where the file has no sound, or cannot be decoded, there is silence.

    Args:
        path: Absolute path of a sniffed file that has sound.
        container: What it was sniffed as.
        origin: Time of the first frame of the video on the file's clock, in seconds; None = that of
            the first sample.
        rate: Samples per second; None = as in the file where AAC has that rate, else 48000.

    Attributes:
        rate: Samples per second.
        origin: Time 0 on the file's clock, in seconds.
        stream: Number of the stream in the file.
        channels: 1 or 2; more are mixed down to 2.
        ended: How many samples there are, counted from time 0; None until :meth:`read` got there.
        problem: Why there is silence in the place of sound that the file should have, ``""`` if
            there is none; may change with each :meth:`read`.

    Raises:
        ValueError: If none of the sound can be decoded.
    """

    def __init__(
        self, path: str, container: str, origin: Fraction | None, rate: int | None = None
    ) -> None:
        self._path = path
        self._container = container
        self._can_seek = container in _SEEKABLE
        self.problem = ""
        self.ended: int | None = None
        self._block: tuple[int, Samples] | None = None
        self._frames: Iterator[AudioFrame]
        self._position = 0
        self._open()
        first = next(self._frames, None)
        if first is None:
            self.close()
            raise ValueError(self.problem or "no sound in its sound stream")
        own = first.sample_rate if first.sample_rate in _AAC_RATES else _OTHER_RATE
        self.rate = own if rate is None else rate
        self._first = FirstFrame.of(first)
        self.origin = self._first.time if origin is None else origin
        self.channels = min(first.layout.nb_channels, 2)
        self._frames = itertools.chain([first], self._frames)
        self._blocks = self._place()

    def _open(self) -> None:
        self._file: InputContainer = av.open(
            self._path,
            metadata_errors="replace",
            options={
                "format_whitelist": SOUND_DEMUXERS[self._container],
                "protocol_whitelist": "file",
            },
        )
        self._stream = _choose_stream(self._file)
        self.stream = self._stream.index
        self._frames = self._decode()

    def read(self, first: int, count: int) -> Samples:
        """Return some samples; sample n is heard ``n / rate`` seconds after the first frame.

        Args:
            first: The first one; not smaller than the end of the last call's.
            count: How many.

        Returns:
            float32 ``(channels, count)`` in [-1, 1].
        """
        self._approach(first)
        samples = np.zeros((self.channels, count), np.float32)
        while True:
            if self._block is None:
                self._block = next(self._blocks, None)
            if self._block is None:
                self.ended = self._position
                return samples
            start, data = self._block
            self._position = end = start + data.shape[1]
            low, high = max(start, first), min(end, first + count)
            if low < high:
                samples[:, low - first : high - first] = data[:, low - start : high - start]
            if end > first + count:
                return samples
            self._block = None

    def _approach(self, first: int) -> None:
        """Jump forward where that is worth it."""
        if not self._can_seek or first - self._position < _JUMP * self.rate:
            return
        time = Fraction(first, self.rate) + self.origin - Fraction(_PREROLL)
        try:
            # By the file's default stream, the video: sound has no index of its own in Matroska.
            self._file.seek(int(time * av.time_base))
            self._frames = self._decode()
            self._blocks = self._place(jumped=True)
            self._block = next(self._blocks, None)
        except av.FFmpegError:
            self._block = None
        if self._block is None or self._block[0] > first - _PREROLL / 4 * self.rate:
            # Too late or nowhere: from the beginning, where nothing can be missed.
            self._can_seek = False
            self.close()
            self._open()
            self._blocks = self._place()
            self._block = None

    def _decode(self) -> Iterator[AudioFrame]:
        failures = 0
        packets = self._file.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                self._report(f"ends early: {one_line(error)}")
                return
            if packet is None:
                return
            try:
                frames = packet.decode()
            except (av.FFmpegError, ValueError) as error:
                failures += 1
                self._report(f"is damaged: {one_line(error)}")
                if failures > _MAX_FAILURES:
                    return
                continue
            yield from frames

    def _place(self, jumped: bool = False) -> Iterator[tuple[int, Samples]]:
        """Yield blocks of samples with the number of their first one."""
        resampler: AudioResampler | None = None
        form: tuple[str, str, int] | None = None
        follows: int | None = None
        layout = "mono" if self.channels == 1 else "stereo"
        # None: what the resampler still holds.
        for frame in itertools.chain(self._frames, [None]):
            converted: list[AudioFrame] = []
            try:
                if frame is not None and jumped:
                    # So that the samples are those of a file that is read from its beginning.
                    frame, time = trim_to_grid(frame, self._first, self.rate)
                    follows = round((time - self.origin) * self.rate)
                    jumped = False
                found = None if frame is None else _form(frame)
                if found != form:
                    if resampler is not None:
                        converted = resampler.resample(None)
                    resampler = None
                    if frame is not None:
                        resampler = AudioResampler("fltp", layout, self.rate)
                    form = found
                if resampler is not None:
                    converted = converted + resampler.resample(frame)
            except (av.FFmpegError, ValueError) as error:
                self._report(f"changes its form: {one_line(error)}")
                resampler, form = None, None
            for piece in converted:
                samples = piece.to_ndarray().astype(np.float32, copy=False)
                samples = np.clip(np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0), -1, 1)
                if piece.pts is not None and piece.time_base is not None:
                    at = round((piece.pts * piece.time_base - self.origin) * self.rate)
                    if follows is None or abs(at - follows) > _JITTER * self.rate:
                        follows = at
                follows = 0 if follows is None else follows
                yield follows, samples
                follows += samples.shape[1]

    def _report(self, what: str) -> None:
        if not self.problem:
            seconds = self._position / self.rate if self._position else 0.0
            self.problem = f"its sound {what} (at about {seconds:.1f} s)"

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_sound(
    path: str, container: str, origin: Fraction | None, rate: int | None = None
) -> tuple[SoundReader | None, str]:
    """Open the sound of a file.

    Args:
        path: Absolute path of a sniffed file.
        container: What it was sniffed as.
        origin: As for :class:`SoundReader`.
        rate: As for :class:`SoundReader`.

    Returns:
        The reader and ``""``; None and why if the file has no sound, or none that can be decoded;
        the reason is ``""`` where it has none.
    """
    try:
        return SoundReader(path, container, origin, rate), ""
    except _NoSoundError:
        return None, ""
    except (av.FFmpegError, ValueError) as error:
        # What the reader met begins as this does.
        why = one_line(error).removeprefix("its sound is ")
        return None, f"its sound cannot be decoded: {why}"


class _NoSoundError(Exception):
    pass


def _form(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _choose_stream(file: InputContainer) -> AudioStream:
    streams = list(file.streams.audio)
    # PyAV has no codec context where FFmpeg has no decoder.
    known = [stream for stream in streams if stream.codec_context is not None]
    if not known:
        names = ", ".join(str(stream.metadata.get("codec", "unknown codec")) for stream in streams)
        file.close()
        if not streams:
            raise _NoSoundError
        raise ValueError(names)
    # Disposition 0x1: the stream that players take.
    return next((stream for stream in known if int(stream.disposition) & 1), known[0])
