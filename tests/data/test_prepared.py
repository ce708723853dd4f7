"""A prepared video shows the frames of its source, at their times, with its sound."""

from __future__ import annotations

import json
import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from videolit.data.convert import convert
from videolit.data.prepared import MARK, PreparedSpec, PreparedVideo, prepared_spec
from videolit.data.reader import VideoReader
from videolit.types import InputError, VideoError

SPEC = PreparedSpec(short_side=96)


@pytest.fixture
def prepared(coded_mp4, tmp_path):
    convert(str(coded_mp4), tmp_path / "x.mov", SPEC)
    return tmp_path / "x.mov"


def psnr(one, two):
    return 10 * np.log10(255**2 / np.square(one.astype(float) - two).mean())


KINDS = {
    "h264.mp4": {"options": {"g": "48", "bf": "2"}},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "av1.mkv": {"codec": "libsvtav1", "options": {"preset": "12"}},
    "mpeg4.avi": {"codec": "mpeg4"},
    "h264.ts": {"options": {"bf": "2"}},
    "late.mp4": {"times": [i + 125 for i in range(48)]},
    "uneven.mkv": {"times": [i + i // 5 * 3 for i in range(48)]},
    "one_frame.mp4": {"num_frames": 1},
    "odd_rate.mp4": {"fps": 7},
}


@pytest.mark.parametrize("name", KINDS)
def test_same_frames_at_the_same_times(name, write_coded, codes, memory, tmp_path):
    source = write_coded(tmp_path / name, **KINDS[name])
    written = convert(str(source), tmp_path / "x.mov", SPEC)
    raw = VideoReader(source, cache=memory)
    with PreparedVideo(tmp_path / "x.mov") as video:
        assert written["frames"] == video.num_frames == len(video) == raw.num_frames
        np.testing.assert_array_equal(video.timestamps, raw.timestamps)
        assert (video.height, video.width) == (raw.height, raw.width) == (96, 128)
        order = np.random.default_rng(0).permutation(raw.num_frames)
        frames = video.read(order)
        assert codes(frames) == order.tolist()
        assert psnr(frames, raw.read(order)) > 30
        if raw.num_frames > 1:
            assert video.fps == pytest.approx(raw.fps, rel=1e-6)


def test_frames_that_share_a_time_are_all_there(write_coded, codes, tmp_path):
    # Matroska stores whole milliseconds, so that frames faster than that share one.
    source = write_coded(tmp_path / "fast.mkv", fps=2000, num_frames=20, codec="mpeg4")
    convert(str(source), tmp_path / "x.mov", SPEC)
    with PreparedVideo(tmp_path / "x.mov") as video:
        assert codes(video.read(range(20))) == list(range(20))
        assert (np.diff(video.timestamps) > 0).all()


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotated_videos_are_stored_upright(rotation, write_coded, memory, tmp_path):
    source = write_coded(tmp_path / "x.mp4", rotation=rotation)
    convert(str(source), tmp_path / "x.mov", SPEC)
    raw = VideoReader(source, cache=memory)
    with PreparedVideo(tmp_path / "x.mov") as video:
        assert (video.height, video.width) == (raw.height, raw.width)
        assert psnr(video.read([7]), raw.read([7])) > 30


@pytest.mark.parametrize(
    ("short_side", "size"), [(48, (48, 64)), (96, (96, 128)), (200, (96, 128))]
)
def test_frames_shrink_to_the_short_side_and_never_grow(short_side, size, coded_mp4, tmp_path):
    convert(str(coded_mp4), tmp_path / "x.mov", PreparedSpec(short_side=short_side))
    with PreparedVideo(tmp_path / "x.mov") as video:
        assert (video.height, video.width) == size
        assert video.read([0]).shape == (1, *size, 3)


def test_shrunk_frames_are_averages_of_the_source(coded_mp4, memory, tmp_path):
    convert(str(coded_mp4), tmp_path / "x.mov", PreparedSpec(short_side=48, quality=95))
    full = VideoReader(coded_mp4, cache=memory).read([5])[0]
    expected = cv2.resize(full, (64, 48), interpolation=cv2.INTER_AREA)
    with PreparedVideo(tmp_path / "x.mov") as video:
        assert psnr(video.read([5])[0], expected) > 28


def test_quality_is_paid_for_in_bytes(coded_mp4, tmp_path):
    sizes = [
        convert(str(coded_mp4), tmp_path / "x.mov", PreparedSpec(quality=quality))["bytes"]
        for quality in (50, 95)
    ]
    assert sizes[0] < 0.9 * sizes[1]


@pytest.mark.parametrize(
    ("fps", "expected"),
    # 25 fps: on screen at 0, 0.1, 0.2 … s are the frames 0, 2, 5, 7, 10 …
    [(10, [0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25]), (12.5, list(range(0, 22, 2)))],
)
def test_a_rate_keeps_the_frames_on_screen(fps, expected, coded_mp4, codes, tmp_path):
    convert(str(coded_mp4), tmp_path / "x.mov", PreparedSpec(fps=fps))
    with PreparedVideo(tmp_path / "x.mov") as video:
        assert codes(video.read(range(11))) == expected
        np.testing.assert_allclose(video.timestamps[:11], np.array(expected) / 25)


def test_a_higher_rate_keeps_all_frames(coded_mp4, tmp_path):
    assert convert(str(coded_mp4), tmp_path / "x.mov", PreparedSpec(fps=60))["frames"] == 48


def test_any_player_reads_it(prepared, codes):
    with av.open(str(prepared)) as file:
        assert file.streams.video[0].codec_context.name == "mjpeg"
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    assert codes(np.stack(frames)) == list(range(48))


# ---- sound ------------------------------------------------------------------------------------


def tone_file(path, codec, layout="stereo", rate=48000, delay=0.0):
    """A video of 2 s with a tone of 440 Hz that starts after the picture."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libvpx-vp9" if path.suffix == ".webm" else "libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        voice = file.add_stream(codec, rate=rate, layout=layout)
        for i in range(20):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 10 * i, np.uint8))
            frame.pts, frame.time_base = i, Fraction(1, 10)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
        times = np.arange(2 * rate) / rate
        wave = np.tile(0.5 * np.sin(2 * np.pi * 440 * times), (2 if layout == "stereo" else 1, 1))
        fifo = av.AudioFifo()
        whole = av.AudioFrame.from_ndarray(wave.astype(np.float32), format="fltp", layout=layout)
        whole.sample_rate = rate
        fifo.write(whole)
        resample = av.AudioResampler(voice.codec_context.format, layout, rate)
        position = round(delay * rate)
        while piece := fifo.read(voice.codec_context.frame_size or 960, partial=True):
            for part in resample.resample(piece):
                part.pts, part.time_base = position, Fraction(1, rate)
                position += part.samples
                file.mux(voice.encode(part))
        file.mux(voice.encode())
    return path


def sound_of(path):
    """Name of the codec, start of the sound after the picture in seconds, and the samples."""
    with av.open(str(path)) as file:
        picture = next(file.decode(video=0)).time
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        resample = av.AudioResampler("fltp", "mono", 16000)
        frames = list(file.decode(stream))
        start = frames[0].time - picture
        parts = [p.to_ndarray()[0] for f in [*frames, None] for p in resample.resample(f)]
        return stream.codec_context.name, start, np.concatenate(parts)


@pytest.mark.parametrize(
    ("name", "codec", "kept", "stored"),
    [
        ("x.mp4", "aac", "copied", "aac"),
        ("x.mkv", "ac3", "copied", "ac3"),
        ("x.webm", "libopus", "alac", "alac"),
        ("x.mkv", "flac", "alac", "alac"),
    ],
)
def test_the_sound_stays_in_step_with_the_picture(name, codec, kept, stored, tmp_path):
    source = tone_file(tmp_path / name, codec, delay=0.5)
    assert convert(str(source), tmp_path / "y.mov", SPEC)["audio"] == kept
    found, start, samples = sound_of(tmp_path / "y.mov")
    _, expected_start, expected = sound_of(source)
    assert found == stored
    # Matroska tells a codec's delay of 5 ms apart from the time, QuickTime does not.
    assert start == pytest.approx(expected_start, abs=0.006)
    assert len(samples) == pytest.approx(len(expected), abs=1600)
    spectrum = np.abs(np.fft.rfft(samples[8000:24000]))
    assert spectrum.argmax() == 440


def test_broken_sound_is_told_and_costs_no_picture(tmp_path, monkeypatch):
    source = tone_file(tmp_path / "x.mp4", "aac")

    def broken(*_):
        raise ValueError("no such sound")
        yield

    monkeypatch.setattr("videolit.data.convert._copied_packets", broken)
    monkeypatch.setattr("videolit.data.convert._encoded_packets", broken)
    written = convert(str(source), tmp_path / "y.mov", SPEC)
    assert written["audio"] == "lost: no such sound"
    with PreparedVideo(tmp_path / "y.mov") as video:
        assert video.num_frames == 20


# ---- faults -----------------------------------------------------------------------------------


def test_what_training_would_refuse_is_refused(coded_mp4, tmp_path):
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(coded_mp4.read_bytes()[: coded_mp4.stat().st_size // 2])
    with pytest.raises(VideoError, match="cut short"):
        convert(str(cut), tmp_path / "x.mov", SPEC)
    assert list(tmp_path.iterdir()) == [cut]


def test_a_full_disk_leaves_nothing(coded_mp4, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("videolit.data.convert._mux", full)
    with pytest.raises(OSError, match="No space left"):
        convert(str(coded_mp4), tmp_path / "x.mov", SPEC)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 0.6])
def test_a_file_that_is_cut_is_an_error(prepared, share):
    content = prepared.read_bytes()
    prepared.write_bytes(content[: int(share * len(content))])
    with pytest.raises(VideoError) as error, PreparedVideo(prepared) as video:
        video.read(range(video.num_frames))
    assert error.value.path == str(prepared)
    assert "videolit prepare" in error.value.reason or "run it again" in error.value.reason


def test_a_file_with_any_byte_changed_gives_frames_or_an_error(prepared):
    content = prepared.read_bytes()
    tables = content.index(b"mdat")
    random = np.random.default_rng(0)
    for place in range(tables):
        changed = bytearray(content)
        changed[place] ^= 1 << int(random.integers(8))
        prepared.write_bytes(changed)
        try:
            with PreparedVideo(prepared) as video:
                assert video.num_frames <= 48
                video.read([0])
        except (VideoError, InputError):
            pass


def test_another_file_is_told(coded_mp4, tmp_path):
    with pytest.raises(VideoError, match="not a file that videolit prepare wrote"):
        PreparedVideo(coded_mp4)
    with pytest.raises(VideoError, match="does not exist|no such file|No such file"):
        PreparedVideo(tmp_path / "none.mov")


def test_frames_outside_and_closed_files(prepared):
    video = PreparedVideo(prepared)
    for index in (-1, 48):
        with pytest.raises(InputError, match=r"must lie in 0..47"):
            video.read([index])
    video.close()
    with pytest.raises(RuntimeError, match="closed"):
        video.read([0])


def test_tables_with_64_bit_offsets(prepared, codes):
    """A file of more than 4 GB has them; here they are put into a small one."""
    content = prepared.read_bytes()
    at = content.index(b"stco") - 4
    size, count = struct.unpack_from(">I4xxxxxI", content, at)
    offsets = struct.unpack_from(f">{count}I", content, at + 16)
    wide = struct.pack(">I4sII", 16 + 8 * count, b"co64", 0, count)
    grown = 4 * count
    wide += struct.pack(f">{count}Q", *(offset + grown for offset in offsets))
    changed = bytearray(content[:at] + wide + content[at + size :])
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        place = changed.index(box) - 4
        struct.pack_into(">I", changed, place, struct.unpack_from(">I", changed, place)[0] + grown)
    prepared.write_bytes(changed)
    with PreparedVideo(prepared) as video:
        assert codes(video.read(range(48))) == list(range(48))


# ---- settings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"short_side": 4}, "16 to 4096 pixels, got 4"),
        ({"quality": 0}, "1 to 100, got 0"),
        ({"fps": 0.0}, "above 0"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(InputError, match=message):
        PreparedSpec(**settings)


def test_the_mark_of_a_prepared_set(tmp_path):
    assert prepared_spec(tmp_path) is None
    assert prepared_spec(tmp_path / "none") is None
    spec = PreparedSpec(short_side=64, fps=10.0)
    mark = tmp_path / MARK
    mark.write_text(json.dumps(spec.to_json()))
    assert prepared_spec(tmp_path) == spec
    mark.write_text(json.dumps({**spec.to_json(), "format": 99}))
    with pytest.raises(InputError, match="format 99.*update videolit"):
        prepared_spec(tmp_path)
    mark.write_text("{")
    with pytest.raises(InputError, match="damaged"):
        prepared_spec(tmp_path)


@pytest.mark.parametrize("shrink", [2, 4, 8])
def test_decoding_small_shows_the_averages_of_the_frame(shrink, tmp_path, write_coded):
    source = write_coded(tmp_path / "x.mp4", num_frames=4)
    convert(str(source), tmp_path / "x.mov", PreparedSpec(short_side=92, quality=98))
    with PreparedVideo(tmp_path / "x.mov") as video:
        whole = video.read([2, 0])
        small = np.stack(video.frames([2, 0], shrink))
    height, width = whole.shape[1] // shrink, whole.shape[2] // shrink
    assert small.shape[1:3] == (-(-whole.shape[1] // shrink), -(-whole.shape[2] // shrink))
    for one, other in zip(whole, small, strict=True):
        area = one[: height * shrink, : width * shrink]
        area = cv2.resize(area, (width, height), interpolation=cv2.INTER_AREA)
        assert psnr(area, other[:height, :width]) > 30
        shifted = np.roll(area, 1, axis=1)
        assert psnr(area, other[:height, :width]) > psnr(shifted, other[:height, :width]) + 3
