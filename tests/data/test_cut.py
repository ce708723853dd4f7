"""Cuts whose frames carry their number, and whose flashes are heard as clicks."""

from __future__ import annotations

import dataclasses
import functools
import http.server
import itertools
import json
import queue
import shutil
import subprocess
import threading
from fractions import Fraction

import av
import numpy as np
import pytest

from videolit.data import pictures, sound
from videolit.data.cut import write_cut
from videolit.data.decoders import InOrderFrames, quarter_turns
from videolit.data.reader import VideoReader
from videolit.data.verify import verified_index
from videolit.types import InputError, VideoError

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
    gap=(0.0, 0.0),
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
        voices = sounds(track, wave, sound_start, gap) if voice else iter(())
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


def sounds(track, wave, start, gap):
    """Yield a wave as the frames of a sound stream; what lies in the gap was never recorded."""
    form, channels = track.codec_context.format, track.layout.nb_channels
    for first in range(0, len(wave), 1152):
        if gap[0] <= start + first / track.rate < gap[1]:
            continue
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
    with av.open(str(tmp_path / "cut.mp4")) as file:
        matrix = next(file.decode(video=0)).colorspace
    if settings["pix_fmt"] == "bgr0":
        assert matrix == (1 if size[1] == 720 else 6)


@pytest.mark.parametrize(("rotation", "aspect"), [(0, "4/3"), (90, "3/4")])
def test_colour_marks_and_pixel_shape_are_kept(rotation, aspect, tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx265", rate=25, options={"x265-params": "log-level=error"})
        stream.width, stream.height = 96, 64
        stream.pix_fmt = "yuv420p10le"
        if rotation:
            stream.set_display_rotation(rotation)
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
        assert stream.sample_aspect_ratio == Fraction(aspect)
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


def test_a_gap_in_the_sound_does_not_move_what_follows(codes, tmp_path):
    source = make(tmp_path / "a.mkv", voice="pcm_s16le", gap=(1.3, 2.2))
    write_cut(source, tmp_path / "cut.mp4", [(0.2, 3.0)])
    result = Result(tmp_path / "cut.mp4", codes)
    # Those at 1.48 and 1.88 were not recorded.
    heard = np.delete(result.flashes, [3, 4])
    assert len(result.clicks) == len(heard) == 5
    assert np.abs(heard - result.clicks).max() < 0.012


def test_a_cut_between_two_frames_shows_the_next_at_once(codes, tmp_path):
    source = make(tmp_path / "a.mp4")
    write_cut(source, tmp_path / "cut.mp4", [(0.22, 0.42), (1.02, 1.22)])
    result = Result(tmp_path / "cut.mp4", codes)
    assert result.numbers == [*range(6, 11), *range(26, 31)]
    assert np.allclose(result.times[:5], [0, 0.06, 0.10, 0.14, 0.18], atol=1e-3)
    assert np.allclose(result.times[5:], [0.2, 0.26, 0.30, 0.34, 0.38], atol=1e-3)
    # The sound keeps its distance to the frames of the source.
    assert_in_step(result)


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


def test_a_source_of_key_frames_only_gets_few_of_them(tmp_path):
    source = make(tmp_path / "a.mp4", options={"g": "1"}, voice=None)
    write_cut(source, tmp_path / "cut.mp4", [(0.0, 2.0)])
    with av.open(str(tmp_path / "cut.mp4")) as file:
        keys = sum(packet.is_keyframe for packet in file.demux(video=0))
    # The encoder itself makes some where the blocks change much.
    assert keys < 25


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


@pytest.mark.parametrize("gop", ["", "open-gop=1"])
def test_jumps_give_the_frames_of_decoding_in_order(gop, monkeypatch, tmp_path):
    options = {"g": "12", "bf": "3", "sc_threshold": "0", "x264-params": gop or "ref=2"}
    source = make(tmp_path / "a.mp4", options=options, voice=None)
    index = verified_index(source)
    ranges = [(3, 5), (14, 15), (15, 18), (36, 37), (40, 49), (71, 80), (99, 100)]
    jumped = list(pictures._by_jumps(str(source), index, ranges))
    sought = []
    monkeypatch.setattr(pictures, "choose_decoder", lambda index: "pyav")
    for frame in pictures.read_ranges(str(source), index, ranges):
        sought.append(frame)
    assert [frame.pts for frame in jumped] == [
        index.pts[i] for bounds in ranges for i in range(*bounds)
    ]
    for one, other in zip(jumped, sought, strict=True):
        assert (one.to_ndarray() == other.to_ndarray()).all()


def test_a_jump_that_fails_is_made_good_in_order(codes, monkeypatch, tmp_path):
    real = pictures._by_jumps

    def breaks(path, index, ranges):
        for number, frame in enumerate(real(path, index, ranges)):
            if number == 27:
                raise VideoError(path, "not where it is jumped to")
            yield frame

    monkeypatch.setattr(pictures, "_by_jumps", breaks)
    write_cut(make(tmp_path / "a.mp4"), tmp_path / "cut.mp4", SEGMENTS)
    assert Result(tmp_path / "cut.mp4", codes).numbers == KEPT


def test_a_jump_past_its_frame_is_noticed(monkeypatch, tmp_path):
    source = make(tmp_path / "a.mp4", options={"g": "12", "sc_threshold": "0"}, voice=None)
    index = verified_index(source)
    # The record says 36, and the file has 60 there.
    moved = [*index.pts[:36], index.pts[60], *index.pts[37:]]
    wrong = dataclasses.replace(index, pts=tuple(moved))
    with pytest.raises(VideoError, match="frame 40 is not where it is jumped to"):
        list(pictures._by_jumps(str(source), wrong, [(40, 42)]))


# Sound


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_sound_after_jumps_is_that_of_decoding_in_order(name, monkeypatch, tmp_path):
    # Key frames every 0.2 s, and every jump to one: decoders have just the sound before it.
    voice = "aac" if name == "a.mp4" else "libopus"
    source = make(tmp_path / name, fps=5, voice=voice, options={"g": "1"})
    places = (9600 * np.array([3, 12, 20, 31, 47, 60, 77, 90, 98])).tolist()
    container = verified_index(source).container

    def read(jump):
        monkeypatch.setattr(sound, "_JUMP", jump)
        reader, problem = sound.open_sound(str(source), container, Fraction(0))
        assert problem == ""
        pieces = [reader.read(place, 4000) for place in places]
        reader.close()
        return np.stack(pieces), reader._can_seek

    (jumped, could), (in_order, _) = read(1.2), read(1e9)
    assert could
    # Matroska's times are whole ms, so that a jump may be off by half of one.
    shift = 0 if name == "a.mp4" else 24
    for one, other in zip(jumped[:, 0], in_order[:, 0], strict=True):
        errors = [np.abs(np.roll(one, s) - other)[50:-50].max() for s in range(-shift, shift + 1)]
        assert min(errors) < 1e-3


def test_broken_sound_is_silent_there_and_told(codes, tmp_path):
    source = make(tmp_path / "a.mp4", voice="aac")
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as file:
        packets = [
            (p.pos, p.size, float(p.pts * p.time_base)) for p in file.demux(audio=0) if p.size
        ]
    for place, size, time in packets:
        if time > 1.5:
            data[place : place + size] = b"\xff" * size
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(data)
    cut = write_cut(broken, tmp_path / "cut.mp4", SEGMENTS)
    result = Result(tmp_path / "cut.mp4", codes)
    assert cut.audio == "damaged"
    assert cut.problem.startswith("its sound is damaged: ")
    assert "\n" not in cut.problem
    assert result.numbers == KEPT
    assert [seconds for _, seconds in result.streams] == pytest.approx([2.28, 2.28], abs=2e-3)
    # Damaged AAC decodes to noise at times; what was before is whole.
    assert np.abs(result.clicks[:2] - result.flashes[:2]).max() < 0.012


# Refusals


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    return make(tmp_path_factory.mktemp("short") / "a.mp4", num_frames=20)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"segments": []}, "no segments"),
        ({"segments": [(0.0, 0.2), (0.1, 0.4)]}, "segment 1 starts at 0.1 s, before segment 0"),
        ({"segments": [(0.0, 0.2), (0.195, 0.199)]}, "segment 1 lies within segment 0"),
        ({"segments": [(0.2, 0.2)]}, "must end after it starts"),
        ({"segments": [(0.2, float("nan"))]}, "must end after it starts"),
        ({"segments": [(-0.1, 0.2)]}, "outside of"),
        ({"segments": [(0.1, 9.0)]}, "last frame is at 0.760 s"),
        ({"target": "cut.avi"}, "name it .mp4"),
        ({"target": "a.mp4"}, "that is the video to cut"),
        ({"crossfade": -1.0}, "crossfade must be"),
        ({"crf": 52}, "crf must be"),
        ({"preset": "quick"}, "preset must be one of ultrafast"),
    ],
)
def test_what_cannot_be_cut_is_refused(settings, message, short):
    settings = {"segments": [(0.0, 0.2)], "target": "cut.mp4", **settings}
    target = short.with_name(settings.pop("target"))
    with pytest.raises(InputError, match=message):
        write_cut(short, target, settings.pop("segments"), **settings)
    assert [path.name for path in short.parent.iterdir()] == ["a.mp4"]


def test_no_half_file_remains_when_it_goes_wrong(short, tmp_path):
    def stop(seconds):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_cut(short, tmp_path / "cut.mp4", [(0.0, 0.4)], progressed=stop)
    assert not list(tmp_path.iterdir())


def test_progress_is_the_seconds_written(short, tmp_path):
    told = []
    write_cut(short, tmp_path / "cut.mp4", [(0.0, 0.12), (0.2, 0.28)], progressed=told.append)
    assert told == pytest.approx([0.04, 0.08, 0.12, 0.16, 0.2])


# Recorded files and a browser


def grey(frame):
    """What a frame shows without its colours, upright: those of odd sizes are read in two ways."""
    return np.rot90(frame.to_ndarray(format="gray"), quarter_turns(frame)).astype(np.int16)


@pytest.mark.real
@pytest.mark.parametrize(
    ("sizes", "least"),
    [
        (range(20_000), 20),
        pytest.param(range(20_000, 300_000), 20, marks=pytest.mark.slow),
    ],
)
def test_odd_videos_are_cut_at_their_frames(real_data, sizes, least, tmp_path):
    files = {path.read_bytes(): path for path in sorted((real_data / "odd_videos").iterdir())}
    done = 0
    for path in files.values():
        if path.suffix == ".csv" or path.stat().st_size not in sizes:
            continue
        try:
            video = VideoReader(path)
        except VideoError:
            continue
        with video:
            count, times = video.num_frames, video.timestamps
            first, stop = count // 3, max(2 * count // 3, count // 3 + 1)
            end = float(times[stop]) if stop < count else float(times[-1]) + 1 / video.fps
            cut = write_cut(path, tmp_path / "cut.mp4", [(float(times[first]), end)], crf=8)
            container = video.index.container
        with InOrderFrames(str(path), container) as source:
            wanted = [grey(frame) for frame in itertools.islice(source.decode(), first, stop)]
        with InOrderFrames(str(tmp_path / "cut.mp4"), "mp4") as source:
            lengths = [float(s.duration * s.time_base) for s in source.file.streams]
            frames = [grey(frame) for frame in source.decode()]
        assert len(frames) == cut[0] == stop - first, path.name
        assert lengths == pytest.approx([end - times[first]] * len(lengths), abs=0.02), path.name
        for one, other in zip(frames, wanted, strict=True):
            height, width = one.shape
            assert np.abs(one - other[:height, :width]).mean() < 2, path.name
        done += 1
    assert done >= least


class Listener(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and keeps what the page reports."""

    def do_POST(self):
        self.server.reports.put(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


PAGE = """<video id=v src=cut.mp4 muted></video><script>
v.onended = v.onerror = () => fetch("/", {method: "POST", body: JSON.stringify({
    size: [v.videoWidth, v.videoHeight], seconds: v.duration, ready: v.readyState,
    error: v.error && v.error.message, at: v.currentTime, sound: v.webkitAudioDecodedByteCount,
    frames: v.getVideoPlaybackQuality().totalVideoFrames})});
v.play();</script>"""


@pytest.mark.system
def test_a_browser_plays_it_to_the_end(tmp_path):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("no chromium: apt-get install -y --no-install-recommends chromium")
    source = make(tmp_path / "a.mkv", size=(65, 49), codec="ffv1", pix_fmt="bgr0", voice="flac")
    write_cut(source, tmp_path / "cut.mp4", SEGMENTS)
    (tmp_path / "page.html").write_text(PAGE)
    handler = functools.partial(Listener, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.reports = queue.Queue()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = subprocess.Popen(
            [
                chromium,
                *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                *("--disable-background-networking", "--disable-component-update"),
                "--autoplay-policy=no-user-gesture-required",
                # Without it nothing runs on after the page is loaded.
                "--remote-debugging-port=0",
                f"--user-data-dir={tmp_path / 'profile'}",
                f"http://127.0.0.1:{server.server_port}/page.html",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            found = json.loads(server.reports.get(timeout=60))
        finally:
            browser.terminate()
            browser.wait(timeout=30)
            server.shutdown()
    assert found["error"] is None
    assert found["size"] == [64, 48]
    assert found["seconds"] == pytest.approx(2.28, abs=0.01)
    assert found["at"] == pytest.approx(2.28, abs=0.05)
    assert found["ready"] >= 2
    assert found["frames"] >= 50
    assert found["sound"] > 1000
