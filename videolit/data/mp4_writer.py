"""MP4 that browsers play, from frames with times and blocks of sound."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.container import OutputContainer

from videolit.data.index import VideoIndex
from videolit.data.pictures import LAYOUT, LIMITED_RANGE, Upright
from videolit.data.splice import Samples, Sound
from videolit.ops.cores import usable_cores

# Times of all usual rates are whole numbers of these, as in MPEG.
TICKS = 90_000
_MAX_THREADS = 8
# Bits per second and channel: AAC of FFmpeg is taken for transparent at 128 kbit/s stereo.
_SOUND_BITS = 64_000


class Mp4Writer:
    """Writes decoded frames, and sound up to the same moment, so that the muxer holds little.

    Args:
        path: File to write, ``.mp4``.
        index: Record of the video that the frames come from.
        pixel_aspect: Width by height of a pixel, upright; None = unknown.
        crf: Quality, 0 to 51.
        preset: Of x264.
    """

    def __init__(
        self, path: Path, index: VideoIndex, pixel_aspect: Fraction | None, crf: int, preset: str
    ) -> None:
        # Without "bitexact" the file carries the version of FFmpeg.
        options = {"movflags": "+faststart", "fflags": "+bitexact"}
        self._file: OutputContainer = av.open(str(path), "w", options=options)
        # Without B-frames the times in the file are those on the screen: a player that ignores
        # edit lists starts with sound and picture together, and the last frame ends when it should.
        # It costs a few per cent of size.
        settings = {"crf": str(crf), "preset": preset, "bf": "0"}
        # Only a hint to the encoder, as every frame has its time.
        rate = max(Fraction(index.fps).limit_denominator(1001), Fraction(1, 1001))
        self._video = self._file.add_stream("libx264", rate=rate, options=settings)
        context = self._video.codec_context
        context.time_base = Fraction(1, TICKS)
        context.thread_count = min(usable_cores(), _MAX_THREADS)
        context.flags |= Flags.frame_duration
        self._video.pix_fmt = LAYOUT
        self._video.width = index.width // 2 * 2
        self._video.height = index.height // 2 * 2
        if pixel_aspect is not None:
            context.sample_aspect_ratio = pixel_aspect
        self._upright = Upright()
        self._marked = False
        self._sound: AudioStream | None = None
        self._blocks: Iterator[Samples] = iter(())
        self._samples = 0

    def add_sound(self, sound: Sound, blocks: Iterator[Samples]) -> None:
        """Add a sound stream, to be filled with blocks as the pictures go on."""
        self._layout = "mono" if sound.channels == 1 else "stereo"
        self._sound = self._file.add_stream("aac", rate=sound.rate, layout=self._layout)
        self._sound.bit_rate = _SOUND_BITS * sound.channels
        self._blocks = blocks

    def write(self, frame: av.VideoFrame, start: int, end: int) -> None:
        """Write a decoded frame that is on the screen between two times, in ticks."""
        picture = self._upright(frame)
        if not self._marked:
            context = self._video.codec_context
            context.color_range = LIMITED_RANGE
            context.colorspace = picture.colorspace
            context.color_primaries = picture.color_primaries
            context.color_trc = picture.color_trc
            self._marked = True
        picture.pts, picture.time_base = start, Fraction(1, TICKS)
        picture.duration = end - start
        # Else the encoder repeats the source's kinds of frames.
        picture.pict_type = 0
        self._file.mux(self._video.encode(picture))
        self._write_sound(end / TICKS)

    def _write_sound(self, seconds: float) -> None:
        if self._sound is None:
            return
        while self._samples < seconds * self._sound.rate:
            block = next(self._blocks, None)
            if block is None:
                return
            sound = av.AudioFrame.from_ndarray(block, format="fltp", layout=self._layout)
            sound.sample_rate = self._sound.rate
            sound.pts, sound.time_base = self._samples, Fraction(1, self._sound.rate)
            self._samples += block.shape[1]
            self._file.mux(self._sound.encode(sound))

    def finish(self) -> None:
        """Write what the encoders still hold."""
        self._file.mux(self._video.encode())
        if self._sound is not None:
            self._write_sound(math.inf)
            self._file.mux(self._sound.encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._file.close()
