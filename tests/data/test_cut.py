"""Cuts whose frames carry their number, and whose flashes are heard as clicks."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest

from videolit.data.cut import write_cut
from videolit.data.reader import VideoReader
from videolit.data.verify import verified_index

BITS = 8
EVERY, FIRST = 10, 7
LOUD = 0.7


def picture(index: int, width: int, height: int) -> np.ndarray:
    """The index in black and white blocks above; white below in one frame of ten."""
    image = np.full((height, width, 3), 40, np.uint8)
    block = width // BITS
    for bit in range(BITS):
        image[: height // 2, bit * block : (bit + 1) * block] = 235 * (index >> bit & 1)
    if index % EVERY == FIRST:
        image[height // 2 :] = 235
    return image


def clicks(moments: np.ndarray, seconds: float, rate: int) -> np.ndarray:
    """5 ms of a sine at each moment, float32 ``(N,)``."""
    wave = np.zeros(round(seconds * rate), np.float32)
    burst = LOUD * np.sin(2 * np.pi * 1500 * np.arange(rate // 200) / rate)
    for moment in moments:
        place = round(moment * rate)
        if 0 <= place <= len(wave) - len(burst):
            wave[place : place + len(burst)] = burst
    return wave


def make(
    path,
    *,
    times=None,
    num_frames=100,
    fps=25,
    size=(64, 48),
    codec="libx264",
    pix_fmt="yuv420p",
    options=None,
    rotation=0,
    voice="aac",
    rate=48000,
    layout="stereo",
    sound_start=0.0,
    sound_end=None,
):
    """Write a source; ``times`` are in ms. The sound is that of the pictures' clock."""
    at = np.arange(num_frames) / fps if times is None else np.asarray(times) / 1000
    end = at[-1] + 1 / fps if sound_end is None else sound_end
    wave = clicks(at[FIRST::EVERY], max(at[-1] + 1, end), rate)[: round(end * rate)]
    wave = wave[round(sound_start * rate) :]
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=fps, options=options or {"g": "12"})
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        track = file.add_stream(voice, rate=rate, layout=layout) if voice else None
        voices = sounds(track, wave, sound_start) if voice else iter(())
        pending = next(voices, None)
        for index, time in enumerate(at):
            frame = av.VideoFrame.from_ndarray(picture(index, *size), format="rgb24")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            file.mux(stream.encode(frame))
            while pending is not None and pending.time <= time:
                file.mux(track.encode(pending))
                pending = next(voices, None)
        file.mux(stream.encode())
        while pending is not None:
            file.mux(track.encode(pending))
            pending = next(voices, None)
        if voice:
            file.mux(track.encode())
    return path


def sounds(track, wave, start):
    """Yield a wave as the frames of a sound stream."""
    form, channels = track.codec_context.format, track.layout.nb_channels
    for first in range(0, len(wave), 1152):
        data = wave[first : first + 1152]
        if form.name.startswith("s"):
            bits = 16 if form.name.startswith("s16") else 32
            data = (data * (2.0 ** (bits - 1) - 1)).astype(f"int{bits}")
        data = np.repeat(data[None], channels, 0)
        if not form.is_planar:
            data = np.ascontiguousarray(data.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(data, format=form.name, layout=track.layout.name)
        frame.sample_rate = track.rate
        frame.pts, frame.time_base = round(start * track.rate) + first, Fraction(1, track.rate)
        yield frame


class Result:
    """A written cut, read by PyAV alone.

    Attributes:
        numbers: The number in each frame.
        times: When each frame comes, in seconds.
        flashes: Times of the frames that flash.
        wave: float32 ``(N,)``, the sound from 0 on, one channel.
        clicks: Times at which a click is heard.
    """

    def __init__(self, path, codes):
        with av.open(str(path)) as file:
            self.streams = [(s.type, float(s.duration * s.time_base)) for s in file.streams]
            self.seconds = file.duration / 1e6
            self.video = file.streams.video[0]
            frames = list(file.decode(video=0))
        self.images = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
        self.numbers = codes(self.images)
        self.times = np.array([frame.pts * float(frame.time_base) for frame in frames])
        lower = self.images[:, self.images.shape[1] * 5 // 8 :].reshape(len(frames), -1).mean(1)
        self.flashes = self.times[lower > 150]
        self.rate, self.channels, self.wave = 0, 0, np.zeros(0, np.float32)
        with av.open(str(path)) as file:
            if file.streams.audio:
                parts = []
                for frame in file.decode(audio=0):
                    self.rate, self.channels = frame.sample_rate, frame.layout.nb_channels
                    parts.append(frame.to_ndarray()[0])
                self.wave = np.concatenate(parts)
                assert file.streams.audio[0].start_time == 0
        self.clicks = onsets(self.wave, self.rate)


def onsets(wave, rate):
    loud = np.flatnonzero(np.abs(wave) > 0.3 * LOUD)
    # A new click comes after 20 ms of silence.
    return loud[np.diff(loud, prepend=-rate) > rate // 50] / max(rate, 1)


def assert_in_step(result, tolerance=0.012):
    """Each flash is heard, within the blur of AAC."""
    assert len(result.flashes) == len(result.clicks) > 0
    assert np.abs(result.flashes - result.clicks).max() < tolerance


SEGMENTS = [(0.2, 1.0), (1.72, 2.4), (3.0, 3.8)]
KEPT = [*range(5, 25), *range(43, 60), *range(75, 95)]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("a.mp4", {"options": {"g": "12", "bf": "3", "sc_threshold": "0"}}),
        # Open groups of pictures: some frames refer to what lies before the key frame.
        (
            "open.mp4",
            {"options": {"g": "12", "bf": "3", "sc_threshold": "0", "x264-params": "open-gop=1"}},
        ),
        ("a.mov", {"rate": 44100}),
        ("a.mkv", {"voice": "pcm_s16le", "rate": 22050, "layout": "mono"}),
        ("a.webm", {"codec": "libvpx-vp9", "voice": "libopus"}),
        ("a.ts", {"voice": "mp2"}),
        ("a.avi", {"codec": "mpeg4", "voice": "pcm_s16le", "rate": 16000}),
        ("a.flv", {"rate": 44100}),
        ("odd.mkv", {"codec": "ffv1", "pix_fmt": "bgr0", "size": (65, 49)}),
        ("full.mp4", {"pix_fmt": "yuv444p", "voice": "libmp3lame"}),
        ("ten.mkv", {"pix_fmt": "yuv420p10le", "voice": "flac", "rate": 96000}),
    ],
)
def test_the_frames_of_the_segments_with_their_sound(name, settings, codes, tmp_path):
    source = make(tmp_path / name, **settings)
    cut = write_cut(source, tmp_path / "cut.mp4", SEGMENTS)
    result = Result(tmp_path / "cut.mp4", codes)
    assert result.numbers == KEPT
    assert cut[0] == len(KEPT)
    assert cut.seconds == pytest.approx(2.28)
    assert cut[2:] == ("kept", "")
    assert_in_step(result)
    assert np.allclose(result.times, np.arange(len(KEPT)) / 25, atol=1e-3)
    for _, seconds in result.streams:
        assert seconds == pytest.approx(2.28, abs=2e-3)
    assert result.video.codec_context.pix_fmt == "yuv420p"
    width, height = settings.get("size", (64, 48))
    assert result.images.shape[1:3] == (height // 2 * 2, width // 2 * 2)
    expected = min(settings.get("rate", 48000), 48000)
    assert (result.rate, result.channels) == (
        expected,
        1 if settings.get("layout") == "mono" else 2,
    )


def test_only_the_last_frames_of_many_segments_drift_by_nothing(codes, tmp_path):
    source = make(tmp_path / "a.mp4", num_frames=250, rate=44100)
    # 24 segments of 0.2 s less 3 ms: none is a whole number of samples or AAC frames.
    segments = [(0.4 * k + 0.2, 0.4 * k + 0.397) for k in range(24)]
    write_cut(source, tmp_path / "cut.mp4", segments)
    result = Result(tmp_path / "cut.mp4", codes)
    assert result.numbers == [10 * k + i for k in range(24) for i in range(5, 10)]
    # The fade at the joints takes the beginning of these clicks, not their end.
    ends = np.flatnonzero(np.abs(result.wave) > 0.3 * LOUD)
    ends = ends[np.diff(ends, append=ends[-1] + result.rate) > result.rate // 50] / result.rate
    assert len(ends) == 24
    assert np.abs(ends - 0.005 - result.flashes).max() < 0.012
    assert len(result.wave) / result.rate == pytest.approx(24 * 0.197, abs=0.03)


def test_each_frame_keeps_its_own_time(codes, tmp_path):
    steps = np.random.default_rng(3).choice([17, 33, 50, 120], 99)
    times = np.concatenate([[0], np.cumsum(steps)])
    source = make(tmp_path / "a.mkv", times=times)
    at = verified_index(source).timestamps
    segments = [(float(at[7]), float(at[31])), (float(at[50]) + 0.001, float(at[77]) - 0.002)]
    cut = write_cut(source, tmp_path / "cut.mp4", segments)
    result = Result(tmp_path / "cut.mp4", codes)
    assert result.numbers == [*range(7, 31), *range(50, 77)]
    first = at[31] - at[7]
    expected = [*(at[7:31] - at[7]), *(first + np.maximum(at[50:77] - at[50] - 0.001, 0))]
    assert np.abs(result.times - expected).max() < 2e-4
    assert result.seconds == pytest.approx(cut.seconds, abs=2e-3)
    assert cut.seconds == pytest.approx(first + at[77] - at[50] - 0.003, abs=1e-4)
    assert_in_step(result)


def test_a_picture_that_stands_still_as_a_segment_starts_is_shown(codes, tmp_path):
    # Frame 20 stands for 5 s.
    times = np.arange(60) * 40 + 5000 * (np.arange(60) > 20)
    source = make(tmp_path / "a.mp4", times=times)
    write_cut(source, tmp_path / "cut.mp4", [(2.0, 3.0), (5.0, 6.0)])
    result = Result(tmp_path / "cut.mp4", codes)
    assert result.numbers == [20, 20, *range(21, 25)]
    assert np.allclose(result.times, [0, 1, *(1.84 + 0.04 * k for k in range(4))], atol=1e-3)


@pytest.mark.parametrize("rotation", [90, 180, 270])
@pytest.mark.parametrize("size", [(64, 48), (64, 50)])
def test_rotation_is_in_the_pixels(rotation, size, tmp_path):
    source = make(tmp_path / "a.mp4", rotation=rotation, size=size, num_frames=30)
    write_cut(source, tmp_path / "cut.mp4", [(0.4, 0.6)], crf=4)
    with VideoReader(source) as before, VideoReader(tmp_path / "cut.mp4") as after:
        assert after.index.rotation == 0
        wanted = before.read(range(10, 15))
        found = after.read(range(after.num_frames))
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).mean() < 3


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"codec": "ffv1", "pix_fmt": "bgr0"}, (96, 64)),
        # Players take this for BT.709, with another green.
        ({"codec": "ffv1", "pix_fmt": "bgr0"}, (64, 720)),
        ({"codec": "mjpeg", "pix_fmt": "yuvj420p"}, (96, 64)),
        ({"codec": "libx264", "pix_fmt": "yuvj444p"}, (96, 64)),
        ({"codec": "ffv1", "pix_fmt": "yuv422p10le"}, (96, 64)),
        ({"codec": "ffv1", "pix_fmt": "gray"}, (96, 64)),
    ],
)
def test_colours_stay(settings, size, tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as file:
        stream = file.add_stream(settings["codec"], rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = settings["pix_fmt"]
        image = np.zeros((size[1], size[0], 3), np.uint8)
        image[:, : size[0] // 2] = (30, 200, 60)
        image[:, size[0] // 2 :] = (250, 250, 250)
        for index in range(5):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = index
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    write_cut(tmp_path / "a.mkv", tmp_path / "cut.mp4", [(0.0, 0.2)], crf=4)
    with VideoReader(tmp_path / "a.mkv") as before, VideoReader(tmp_path / "cut.mp4") as after:
        quarter = size[0] // 4
        for column in (quarter, 3 * quarter):
            wanted = before.read([2])[0][:, column].mean(0)
            found = after.read([2])[0][:, column].mean(0)
            assert np.abs(found - wanted).max() < 6, (column, wanted, found)


def test_colour_marks_and_pixel_shape_are_kept(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx265", rate=25, options={"x265-params": "log-level=error"})
        stream.width, stream.height = 96, 64
        stream.pix_fmt = "yuv420p10le"
        context = stream.codec_context
        # BT.2020 with PQ: HDR10.
        context.color_primaries, context.color_trc, context.colorspace = 9, 16, 9
        context.color_range = 1
        context.sample_aspect_ratio = Fraction(4, 3)
        for index in range(5):
            frame = av.VideoFrame.from_ndarray(picture(index, 96, 64), format="rgb24")
            frame.pts = index
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    write_cut(path, tmp_path / "cut.mp4", [(0.0, 0.2)])
    with av.open(str(tmp_path / "cut.mp4")) as file:
        stream = file.streams.video[0]
        assert stream.sample_aspect_ratio == Fraction(4, 3)
        frame = next(file.decode(stream))
        marks = (frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range)
        assert marks == (9, 16, 9, 1)


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv"])
def test_sound_that_starts_late_or_ends_early_leaves_silence(name, codes, tmp_path):
    source = make(tmp_path / name, sound_start=0.5, sound_end=2.9)
    write_cut(source, tmp_path / "cut.mp4", [(0.2, 2.0), (2.2, 4.0)])
    result = Result(tmp_path / "cut.mp4", codes)
    # Those at 0.28, 3.08 and 3.48 are seen only, and 3.88 too.
    heard = result.flashes[1:-3]
    assert len(result.clicks) == len(heard) == 6
    assert np.abs(heard - result.clicks).max() < 0.012
    assert [seconds for _, seconds in result.streams] == pytest.approx([3.6, 3.6], abs=2e-3)


def test_a_file_without_sound_stays_without(codes, tmp_path):
    source = make(tmp_path / "a.mp4", voice=None)
    cut = write_cut(source, tmp_path / "cut.mp4", [(1.0, 1.04)])
    result = Result(tmp_path / "cut.mp4", codes)
    assert cut[2:] == ("none", "")
    assert result.numbers == [25]
    assert result.streams == [("video", pytest.approx(0.04))]


def test_one_frame_segments_with_sound(codes, tmp_path):
    source = make(tmp_path / "a.mp4")
    segments = [(k / 25, (k + 1) / 25) for k in (0, 10, 20, 21, 22, 99)]
    write_cut(source, tmp_path / "cut.mp4", segments)
    result = Result(tmp_path / "cut.mp4", codes)
    assert result.numbers == [0, 10, 20, 21, 22, 99]
    assert [seconds for _, seconds in result.streams] == pytest.approx([0.24, 0.24], abs=2e-3)


def test_edit_lists_decide_what_the_first_frame_is(codes, tmp_path):
    source = make(tmp_path / "a.mp4", options={"g": "12", "bf": "0", "sc_threshold": "0"})
    # Copying from frame 18 on keeps the key frame 12 and hides what comes before.
    done = shutil.which("ffmpeg")
    if done is None:
        pytest.skip("no ffmpeg to make the edit list with")
    trimmed = tmp_path / "trimmed.mp4"
    subprocess.run(
        [done, "-v", "error", "-ss", "0.72", "-i", str(source), "-c", "copy", str(trimmed)],
        check=True,
        timeout=60,
    )
    index = verified_index(trimmed)
    assert index.edit_list
    with VideoReader(trimmed) as video:
        numbers = codes(video.read(range(video.num_frames)))
    write_cut(trimmed, tmp_path / "cut.mp4", [(0.4, 1.2), (1.6, 2.4)])
    result = Result(tmp_path / "cut.mp4", codes)
    assert result.numbers == [*numbers[10:30], *numbers[40:60]]
    assert_in_step(result)
