"""The frame at index i is frame i, or an error; never a neighbour."""

from __future__ import annotations

import dataclasses
import os
import sys

import av
import numpy as np
import pytest

from videolit.data import decoders, verify
from videolit.data import reader as reader_module
from videolit.data.decoders import InOrderFrames
from videolit.data.index import IndexCache, installed_version
from videolit.data.reader import VideoReader
from videolit.data.verify import verified_index
from videolit.types import InputError, VideoError

needs_decord = pytest.mark.skipif(not installed_version("decord"), reason="decord has no wheel")

CLOSED = {"g": "12", "bf": "2"}
OPEN = {"g": "12", "bf": "3", "x264-params": "open-gop=1:scenecut=0"}
KINDS = {
    "h264.mp4": {"options": CLOSED},
    "h264_open_gop.mp4": {"options": OPEN},
    "h264_open_gop.mkv": {"options": OPEN},
    "h264_long_gop.mp4": {"options": {"g": "250"}},
    "h264_intra.mp4": {"options": {"g": "1"}},
    "fragmented.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "faststart.mov": {"container_options": {"movflags": "faststart"}},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "keyint=12:log-level=none"}},
    "vp8.webm": {"codec": "libvpx"},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "12", "cpu-used": "8"}},
    "av1.mp4": {"codec": "libsvtav1", "options": {"preset": "12", "svtav1-params": "lp=1"}},
    "xvid.avi": {"codec": "mpeg4", "options": {"g": "12"}},
    "bframes.avi": {"codec": "mpeg4", "options": {"g": "12", "bf": "2"}},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "mjpeg.mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "ffv1.mkv": {"codec": "ffv1"},
    "h264.ts": {"options": CLOSED},
    "mpeg2.mpg": {"codec": "mpeg2video"},
    "h264.flv": {"options": CLOSED},
    "wmv2.wmv": {"codec": "wmv2"},
    "odd_size.mkv": {"codec": "ffv1", "size": (131, 97)},
    "odd_444.mp4": {"size": (129, 97), "pix_fmt": "yuv444p"},
    "ten_bit.mp4": {"pix_fmt": "yuv420p10le"},
    "tiny.mp4": {"size": (16, 16)},
    "one_frame.mp4": {"num_frames": 1},
    "two_frames.mp4": {"num_frames": 2},
    "vfr.mp4": {"times": [i * i // 8 + i for i in range(48)]},
    "vfr.mkv": {"times": [i * i // 8 + i for i in range(48)]},
    "late_start.mp4": {"times": [i + 125 for i in range(48)]},
}


@pytest.fixture(scope="module")
def kinds(write_coded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    made = {}

    def make(name):
        if name not in made:
            made[name] = write_coded(folder / name, **KINDS[name])
        return made[name]

    return make


@pytest.mark.parametrize("name", KINDS)
def test_every_index_gives_its_own_frame(kinds, codes, memory, name):
    num_frames = KINDS[name].get("num_frames", 48)
    width, height = KINDS[name].get("size", (128, 96))
    rng = np.random.default_rng(0)
    uniform = np.linspace(0, num_frames - 1, 16).astype(int)
    with VideoReader(kinds(name), cache=memory) as video:
        assert (video.num_frames, video.height, video.width) == (num_frames, height, width)
        orders = [uniform, rng.integers(0, num_frames, 12), [num_frames - 1], range(num_frames)]
        for order in [*orders, *([i] for i in rng.integers(0, num_frames, 8))]:
            frames = video.read(list(order))
            assert frames.shape == (len(order), height, width, 3)
            assert frames.dtype == np.uint8
            if width >= 64:
                assert codes(frames) == list(order)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("decoder", ["pyav_seek", pytest.param("decord", marks=needs_decord)])
def test_fast_decoders_give_the_same_frames_or_are_refused(kinds, codes, memory, decoder, name):
    num_frames = KINDS[name].get("num_frames", 48)
    rng = np.random.default_rng(0)
    reason = ""
    try:
        video = VideoReader(kinds(name), decoder, cache=memory)
    except VideoError as error:
        reason = error.reason
    if reason:
        assert reason.startswith(f"{decoder} ")
        assert reason.endswith("; use decoder: auto or pyav")
        return
    with video, VideoReader(kinds(name), "pyav", cache=memory) as truth:
        for _ in range(20):
            indices = rng.integers(0, num_frames, 6).tolist()
            frames = video.read(indices)
            if frames.shape[2] >= 64:
                assert codes(frames) == indices
            if decoder == "pyav_seek":
                np.testing.assert_array_equal(frames, truth.read(indices))


class CountedFile:
    """An open file whose packets count the frames that they decode to."""

    def __init__(self, file):
        self.file = file
        self.frames = 0

    def seek(self, *place, **how):
        self.file.seek(*place, **how)

    def demux(self, stream):
        for packet in self.file.demux(stream):
            yield CountedPacket(packet, self)


class CountedPacket:
    def __init__(self, packet, file):
        self.packet = packet
        self.pts = packet.pts
        self.file = file

    def decode(self):
        frames = self.packet.decode()
        self.file.frames += len(frames)
        return frames


def test_frames_that_nothing_needs_are_not_decoded(write_coded, tmp_path, memory, codes):
    options = {"g": "250", "bf": "3", "b-pyramid": "none", "b-adapt": "0"}
    path = write_coded(tmp_path / "x.mp4", options=options)
    with VideoReader(path, "pyav", cache=memory) as video:
        source = reader_module.open_frames("pyav_seek", str(path), video.index)
    counted = source.file = CountedFile(source.file)
    assert codes(source.read(np.array([41]))) == [41]
    assert counted.frames < 25
    counted.frames = 0
    assert codes(source.read(np.arange(48))) == list(range(48))
    assert counted.frames == 48
    counted.file.close()


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv"])
def test_disordered_times_are_not_trusted(name, write_coded, tmp_path, memory, codes):
    times = list(range(48))
    times[20], times[21] = times[21], times[20]
    source = write_coded(tmp_path / "source.mp4", options={"g": "12", "bf": "0"})
    with av.open(str(source)) as old, av.open(str(tmp_path / name), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for number, packet in enumerate(p for p in old.demux(video=0) if p.size):
            packet.stream = stream
            packet.dts = 512 * number  # 1 / 25 s
            packet.pts = 512 * (times[number] + 2)
            new.mux(packet)
    with VideoReader(tmp_path / name, cache=memory) as video:
        assert not video.index.own_times
        # Before any frame is compared: only some are.
        assert video.index.verdicts["pyav_seek"].endswith("cannot be told apart by their times")
        with VideoReader(tmp_path / name, "pyav", cache=memory) as truth:
            for indices in ([20], [21], [19, 20, 21, 22]):
                np.testing.assert_array_equal(video.read(indices), truth.read(indices))


def test_frames_without_times_of_their_own_are_read_in_order(kinds, memory, codes):
    with VideoReader(kinds("h264.mp4"), "pyav", cache=memory) as video:
        index = video.index
    twice = dataclasses.replace(index, pts=(0, *index.pts[:-1]))
    with pytest.raises(VideoError, match="cannot be told apart by their times"):
        reader_module.open_frames("pyav_seek", str(kinds("h264.mp4")), twice)


@pytest.mark.parametrize("name", ["h264.mp4", "bframes.avi", "vp9.webm", "h264.ts"])
def test_pixels_are_those_of_pyav_in_order(kinds, memory, name):
    with av.open(str(kinds(name))) as file:
        truth = np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])
    with VideoReader(kinds(name), "pyav", cache=memory) as video:
        np.testing.assert_array_equal(video.read([5, 40, 3]), truth[[5, 40, 3]])
        frames = list(video.iter_frames())
    assert [index for index, _ in frames] == list(range(48))
    np.testing.assert_array_equal(np.stack([frame for _, frame in frames]), truth)


def test_auto_seeks_where_that_is_verified(kinds, memory):
    used = {}
    for name in ("h264.mp4", "fragmented.mp4", "vp9.webm", "av1.mp4", "xvid.avi", "h264.ts"):
        with VideoReader(kinds(name), cache=memory) as video:
            used[name] = video.decoder
    assert used == {
        "h264.mp4": "pyav_seek",
        "fragmented.mp4": "pyav_seek",
        "vp9.webm": "pyav_seek",
        "av1.mp4": "pyav_seek",
        "xvid.avi": "pyav",
        "h264.ts": "pyav",
    }


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_is_applied(write_coded, tmp_path, memory, codes, rotation):
    path = write_coded(tmp_path / "x.mp4", rotation=rotation, num_frames=20)
    with VideoReader(path, cache=memory) as video, VideoReader(path, "pyav", cache=memory) as slow:
        turns = video.index.rotation // 90
        size = (128, 96) if turns % 2 else (96, 128)
        assert (video.height, video.width) == size
        assert video.index.rotation in (rotation, 360 - rotation)
        frames = video.read([3, 17, 9])
        np.testing.assert_allclose(frames, slow.read([3, 17, 9]), atol=3)
        assert codes(np.rot90(frames, -turns, axes=(1, 2))) == [3, 17, 9]


def test_edit_list_cuts_frames(kinds, codes, memory, tmp_path):
    source, target = kinds("h264_long_gop.mp4"), tmp_path / "trimmed.mp4"
    with (
        av.open(str(source)) as old,
        av.open(str(target), "w", options={"avoid_negative_ts": "disabled"}) as new,
    ):
        stream = new.add_stream_from_template(old.streams.video[0])
        shift = int(10 / 25 / old.streams.video[0].time_base)
        for packet in old.demux(video=0):
            if packet.size:
                packet.pts -= shift
                packet.dts -= shift
                packet.stream = stream
                new.mux(packet)
    with VideoReader(target, cache=memory) as video:
        assert video.index.edit_list
        assert video.decoder == "pyav"
        assert video.num_frames == 38
        assert codes(video.read([0, 20, 37])) == [10, 30, 47]


def test_times_of_variable_frame_rate(kinds, memory):
    times = KINDS["vfr.mp4"]["times"]
    with VideoReader(kinds("vfr.mp4"), cache=memory) as video:
        np.testing.assert_allclose(video.timestamps, np.array(times) / 25, atol=1e-3)
        assert video.timestamps.dtype == np.float64
        assert video.fps == pytest.approx(47 / (times[-1] / 25), rel=1e-3)
        asked = [-1.0, 0.0, times[20] / 25 + 0.001, times[21] / 25 - 0.001, 1e9]
        assert video.indices_at(asked).tolist() == [0, 0, 20, 20, 47]


def test_read_at_gives_the_frame_on_screen(kinds, memory, codes):
    with VideoReader(kinds("late_start.mp4"), cache=memory) as video:
        assert video.timestamps[0] == 0
        assert codes(video.read_at([0.0, 1.01, 0.5])) == [0, 25, 12]
        with pytest.raises(InputError, match="times must be finite, got nan"):
            video.read_at([0.0, float("nan")])


def test_order_repeats_and_nothing(coded_mp4, memory, codes):
    for decoder in ("auto", "pyav"):
        with VideoReader(coded_mp4, decoder, cache=memory) as video:
            assert codes(video.read([30, 2, 30, 2, 47])) == [30, 2, 30, 2, 47]
            assert video.read([]).shape == (0, 96, 128, 3)
            assert len(video) == 48


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([0, -1], r"coded\.mp4: frame indices must lie in 0\.\.47, got -1"),
        ([48], r"frame indices must lie in 0\.\.47, got 48"),
        ([0.5], "must be a flat list of integers, got float64"),
        ([[1, 2]], r"got int64 of shape \(1, 2\)"),
    ],
)
def test_bad_indices_are_named(coded_mp4, memory, indices, message):
    with VideoReader(coded_mp4, cache=memory) as video, pytest.raises(InputError, match=message):
        video.read(indices)


def test_pyav_decodes_no_further_than_asked(coded_mp4):
    with InOrderFrames(str(coded_mp4), "mp4") as source:
        source.read(np.array([3, 7]))
        following = next(source.decode())
    assert round(following.time * 25) == 8


@pytest.mark.parametrize(
    "name", ["a%03d#?.mp4", "10:30 clip.mp4", "new\nline.mp4", "😀 é.mp4", "-", "bad\udcff.mp4"]
)
def test_odd_names(coded_mp4, memory, codes, tmp_path, monkeypatch, name):
    (tmp_path / name).write_bytes(coded_mp4.read_bytes())
    monkeypatch.chdir(tmp_path)
    with VideoReader(name, cache=memory) as video:
        assert codes(video.read([1, 46])) == [1, 46]
        assert video.path == str(tmp_path / name)


def test_a_reader_stays_in_its_process(coded_mp4, memory):
    with VideoReader(coded_mp4, "pyav", cache=memory) as video:
        child = os.fork()
        if child == 0:
            try:
                video.read([0])
            except RuntimeError as error:
                os._exit(7 if "open a reader in the process that reads" in str(error) else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert video.read([0]).shape == (1, 96, 128, 3)


def test_a_forked_process_checks_files_with_its_own_child(coded_mp4, codes):
    verified_index(coded_mp4, "pyav", IndexCache())
    child = os.fork()
    if child == 0:
        try:
            with VideoReader(coded_mp4, "pyav", cache=IndexCache()) as video:
                os._exit(7 if codes(video.read([11])) == [11] else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert verified_index(coded_mp4, "pyav", IndexCache()).num_frames == 48


def test_a_closed_reader_says_so(coded_mp4, memory):
    video = VideoReader(coded_mp4, cache=memory)
    video.close()
    video.close()
    with pytest.raises(RuntimeError, match="is closed"):
        video.read([0])


def test_closing_frees_the_file(coded_mp4, memory):
    before = len(os.listdir("/proc/self/fd"))
    for decoder in ("auto", "pyav"):
        for _ in range(3):
            with VideoReader(coded_mp4, decoder, cache=memory) as video:
                video.read([0, 20])
    assert len(os.listdir("/proc/self/fd")) <= before + 3  # the pipes of the child


def test_a_file_that_changed_is_an_error(coded_mp4, write_coded, memory, tmp_path):
    path = tmp_path / "x.mp4"
    path.write_bytes(coded_mp4.read_bytes())
    with VideoReader(path, "pyav", cache=memory) as video:
        write_coded(path, num_frames=10)
        with pytest.raises(VideoError, match="ends after 10 frames, frame 40 was asked"):
            video.read([40])


def test_auto_falls_back_when_the_fast_decoder_fails(coded_mp4, memory, codes, monkeypatch):
    class Broken:
        def __init__(self, path):
            pass

        def read(self, indices):
            raise OSError("gone")

        def close(self):
            pass

    verified_index(coded_mp4, "auto", memory)
    monkeypatch.setattr(reader_module, "choose_decoder", lambda index: "decord")
    monkeypatch.setattr(decoders, "_DecordFrames", Broken)
    with VideoReader(coded_mp4, cache=memory) as video:
        assert video.decoder == "decord"
        assert codes(video.read([44, 40])) == [44, 40]
        assert video.decoder == "pyav"


@needs_decord
def test_an_explicit_decoder_does_not_fall_back(coded_mp4, memory, monkeypatch):
    def fail(self, indices):
        raise OSError("gone")

    monkeypatch.setattr(decoders._DecordFrames, "read", fail)
    with VideoReader(coded_mp4, "decord", cache=memory) as video:
        with pytest.raises(VideoError, match=r"coded\.mp4: decord failed: gone"):
            video.read([44])


def test_unknown_or_absent_decoders(coded_mp4, memory, monkeypatch):
    with pytest.raises(InputError, match="must be one of auto, pyav, pyav_seek.*, got 'cv2'"):
        VideoReader(coded_mp4, "cv2", cache=memory)
    monkeypatch.setattr("videolit.data.verify.installed_version", lambda package: "")
    with pytest.raises(InputError, match=r"pip install 'videolit\[torchcodec\]'.*FFmpeg's shared"):
        VideoReader(coded_mp4, "torchcodec", cache=memory)
    with pytest.raises(InputError, match="pip install decord, or use decoder: auto"):
        VideoReader(coded_mp4, "decord", cache=memory)
    with VideoReader(coded_mp4, cache=memory) as video:
        assert video.decoder == "pyav_seek"


@pytest.mark.parametrize("shift", [0, 1])
def test_torchcodec_is_verified_when_asked(coded_mp4, memory, codes, monkeypatch, tmp_path, shift):
    package = tmp_path / "fake" / "torchcodec"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "decoders.py").write_text(
        "import types, av, numpy as np\n"
        "class VideoDecoder:\n"
        "    def __init__(self, path, dimension_order, num_ffmpeg_threads, seek_mode):\n"
        "        assert (dimension_order, num_ffmpeg_threads, seek_mode) == ('NHWC', 1, 'exact')\n"
        "        with av.open(path) as file:\n"
        "            self.frames = np.stack(\n"
        "                [f.to_ndarray(format='rgb24') for f in file.decode(video=0)])\n"
        "    def __len__(self):\n"
        "        return len(self.frames)\n"
        "    def get_frames_at(self, indices):\n"
        f"        found = self.frames[np.maximum(np.array(indices) - {shift}, 0)]\n"
        "        return types.SimpleNamespace(\n"
        "            data=types.SimpleNamespace(numpy=lambda: found))\n"
    )
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setattr(verify, "installed_version", lambda package: "1")
    fresh = verify.Verifier()
    monkeypatch.setattr(verify, "_verifier", lambda process: fresh)
    try:
        if shift:
            with pytest.raises(VideoError, match="torchcodec reads other frames .* at frame 1;"):
                VideoReader(coded_mp4, "torchcodec", cache=memory)
        else:
            with VideoReader(coded_mp4, "torchcodec", cache=memory) as video:
                assert video.decoder == "torchcodec"
                assert codes(video.read([40, 3])) == [40, 3]
    finally:
        fresh.close()
        # Tests that follow must not take the made one for the real one.
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchcodec"]:
            del sys.modules[name]


def test_the_message_of_a_missing_file(tmp_path):
    with pytest.raises(VideoError, match=r"^.*gone\.mp4: no such file$"):
        VideoReader(tmp_path / "gone.mp4")


def _truth(path: str, container: str, indices: np.ndarray) -> np.ndarray:
    with InOrderFrames(path, container) as source:
        return source.read(indices)


@pytest.mark.real
@pytest.mark.parametrize(
    ("sizes", "least"),
    [
        (range(100_000), (30, 20)),
        pytest.param(
            range(100_000, 1 << 40), (50, 1), marks=[pytest.mark.slow, pytest.mark.timeout(900)]
        ),
    ],
)
def test_odd_videos_are_right_or_refused_in_one_line(real_data, sizes, least):
    cache = IndexCache()
    served, reasons = 0, []
    # Some files are there under several names.
    files = {path.read_bytes(): path for path in sorted((real_data / "odd_videos").iterdir())}
    for path in files.values():
        if path.suffix == ".csv" or path.stat().st_size not in sizes:
            continue
        try:
            video = VideoReader(path, cache=cache)
        except VideoError as error:
            reasons.append(error.reason)
            continue
        served += 1
        with video:
            indices = np.unique(np.linspace(0, video.num_frames - 1, 16).astype(np.int64))
            frames = video.read(indices)
            truth = _truth(video.path, video.index.container, indices)
        errors = np.abs(frames.astype(np.int16) - truth).reshape(len(indices), -1).mean(1)
        assert errors.max() <= 2, (path.name, errors)
    assert served >= least[0]
    assert len(reasons) >= least[1]
    assert all("\n" not in reason and len(reason) <= 300 for reason in reasons)
