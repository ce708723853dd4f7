"""One pass over a video: its steps, its changes, its record, and what it refuses."""

import dataclasses

import av
import numpy as np
import pytest

from videolit.data.index import IndexCache
from videolit.data.layouts.raw_summary import pick_frames
from videolit.data.reader import VideoReader
from videolit.data.scan import VideoScan
from videolit.data.verify import verified_index
from videolit.data.writer import write_video
from videolit.types import InputError, VideoError


def passed(path, fps=2.0, **more):
    """Return a scan after its pass, and its steps."""
    scan = VideoScan(path, fps)
    steps = []
    scan.run(steps.append, **more)
    return scan, steps


def grey(path, levels, fps=10, size=(48, 64)):
    frames = np.zeros((len(levels), *size, 3), np.uint8)
    frames += np.array(levels, np.uint8)[:, None, None, None]
    return write_video(path, frames, fps, options={"crf": "1"})


@pytest.mark.parametrize("fps", [0.5, 1.0, 2.0, 3.0, 10.0, 25.0, 60.0])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_steps_are_the_frames_that_annotations_are_read_at(write_coded, codes, tmp_path, fps, name):
    path = write_coded(tmp_path / name, num_frames=70, fps=30)
    scan, steps = passed(path, fps)
    reader = VideoReader(path)
    assert scan.frames.tolist() == pick_frames(reader.timestamps, fps).tolist()
    np.testing.assert_array_equal(scan.times, reader.timestamps[scan.frames])
    assert [step.frame for step in steps] == scan.frames.tolist()
    np.testing.assert_allclose([step.time for step in steps], scan.times, atol=1e-6)
    assert codes(np.stack([step.image for step in steps])) == scan.frames.tolist()
    np.testing.assert_array_equal(
        np.stack([step.image for step in steps]), reader.read(scan.frames)
    )
    assert scan.frames[0] == 0
    if fps == 60:
        assert scan.frames.tolist() == list(range(70))
    if fps == 3:
        assert scan.frames.tolist() == [0, 10, 20, 30, 40, 50, 60]


def test_a_variable_rate_has_steps_by_time(write_coded, codes, tmp_path):
    # Dense, then a gap of two seconds, then sparse.
    times = [*range(25), *range(75, 100, 5), *range(100, 200, 25)]
    path = write_coded(tmp_path / "vfr.mp4", num_frames=len(times), times=times)
    scan, steps = passed(path)
    seconds = VideoReader(path).timestamps
    np.testing.assert_allclose(seconds, np.array(times) / 25, atol=1e-6)
    expected = sorted(
        {
            max(i for i, t in enumerate(seconds) if t <= k / 2 + 5e-4)
            for k in range(20)
            if k / 2 <= seconds[-1]
        }
    )
    assert scan.frames.tolist() == expected
    assert 24 in expected, "it is on screen through the gap"
    assert codes(np.stack([step.image for step in steps])) == expected
    assert scan.duration == pytest.approx(seconds[-1] + 1 / 25)


def test_one_frame_lasts_as_long_as_its_rate_says(tmp_path):
    scan, _ = passed(grey(tmp_path / "a.mp4", [90], fps=100))
    assert scan.duration == pytest.approx(1 / scan.index.fps)
    assert scan.duration < 1 / 50


def test_one_frame_is_one_step(write_coded, tmp_path):
    scan, steps = passed(write_coded(tmp_path / "one.mp4", num_frames=1))
    assert scan.frames.tolist() == [0]
    assert scan.times.tolist() == scan.motion.tolist() == scan.changes.tolist() == [0]
    assert scan.duration == pytest.approx(1 / 25)
    assert len(steps) == 1


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_steps_are_upright(write_coded, tmp_path, rotation):
    path = write_coded(tmp_path / "r.mp4", rotation=rotation)
    scan, steps = passed(path)
    expected = VideoReader(path, "pyav").read(scan.frames)
    assert expected.shape[1:] == ((96, 128, 3) if rotation == 180 else (128, 96, 3))
    np.testing.assert_array_equal(np.stack([step.image for step in steps]), expected)


def test_the_record_is_that_of_the_reader(coded_mp4, write_coded, tmp_path):
    paths = [
        coded_mp4,
        write_coded(tmp_path / "a.mkv", num_frames=30),
        write_coded(tmp_path / "a.avi", codec="mpeg4", options={"g": "12", "bf": "2"}),
        write_coded(tmp_path / "r.mov", rotation=90, num_frames=30),
    ]
    for path in paths:
        scan, _ = passed(path)
        expected = verified_index(path, cache=IndexCache())
        assert dataclasses.asdict(scan.index) == dataclasses.asdict(expected), path.name
        assert scan.has_audio == expected.audio
    assert paths[0] == coded_mp4
    assert passed(coded_mp4)[0].index.verdicts == {"pyav_seek": ""}


def test_motion_is_what_moves_and_a_cut_is_none(tmp_path):
    still, _ = passed(grey(tmp_path / "still.mp4", [120] * 40))
    assert still.motion.max() < 1e-3
    assert still.changes.max() < 1e-3
    cut, _ = passed(grey(tmp_path / "cut.mp4", [40] * 18 + [220] * 22))
    assert cut.motion.max() < 1e-3, "one frame changes, all others rest"
    assert int(cut.changes.argmax()) == 18
    assert cut.changes[18] == pytest.approx(180 / 255, abs=0.02)
    assert np.delete(cut.changes, 18).max() < 0.01
    # Two levels in turn change with each frame.
    moving, _ = passed(grey(tmp_path / "moving.mp4", ([40] * 20) + [100, 150] * 10))
    assert moving.frames.tolist() == [0, 5, 10, 15, 20, 25, 30, 35]
    np.testing.assert_allclose(moving.motion[4:], 50 / 255, atol=0.02)
    assert moving.motion[:3].max() < 1e-3
    assert moving.motion.dtype == moving.changes.dtype == np.float32
    assert moving.changes.shape == (40,)


def test_a_watcher_sees_every_frame_small(write_coded, codes, tmp_path):
    path = write_coded(tmp_path / "wide.mp4", size=(512, 128), num_frames=12)
    seen = []

    class Watcher:
        def see(self, frame, time, image):
            assert image.dtype == np.uint8
            assert image.shape == (64, 256, 3)
            seen.append((frame, round(time * 25), *codes(image[None])))

    passed(path, watcher=Watcher())
    assert seen == [(i, i, i) for i in range(12)]


def test_progress_rises_to_one(write_coded, tmp_path):
    shares = []
    passed(write_coded(tmp_path / "a.mp4", num_frames=240), progressed=shares.append)
    assert len(shares) == 5
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert 0 < shares[0] < 0.5


def test_the_origin_is_the_first_picture_in_the_container(write_coded, tmp_path):
    times = list(range(50, 74))
    path = write_coded(tmp_path / "late.mkv", num_frames=24, times=times)
    scan, _ = passed(path)
    assert scan.origin == pytest.approx(2)
    assert scan.times[0] == 0


@pytest.mark.parametrize(
    "wrong", ["gone", "text", "cut", "no index", "damaged", "folder", "empty", "head"]
)
def test_a_file_is_refused_as_the_reader_refuses_it(write_coded, tmp_path, wrong):
    path = write_coded(
        tmp_path / "a.mp4", num_frames=100, container_options={"movflags": "faststart"}
    )
    content = bytearray(path.read_bytes())
    if wrong == "gone":
        path.unlink()
    elif wrong == "text":
        path.write_text("no video at all\n" * 100)
    elif wrong == "cut":
        path.write_bytes(content[: int(0.6 * len(content))])
    elif wrong == "no index":
        path = write_coded(tmp_path / "b.mp4", num_frames=100)
        path.write_bytes(path.read_bytes()[:4000])
    elif wrong == "damaged":
        start = content.index(b"mdat") + 400
        content[start : start + 3000] = bytes(3000)
        path.write_bytes(content)
    elif wrong == "empty":
        path.write_bytes(b"")
    elif wrong == "head":
        path = write_coded(tmp_path / "b.mkv", num_frames=100)
        path.write_bytes(path.read_bytes()[:60])
    else:
        path.unlink()
        path.mkdir()
    with pytest.raises(VideoError) as expected:
        VideoReader(path, cache=IndexCache())
    with pytest.raises(VideoError) as found:
        passed(path)
    assert found.value.path == expected.value.path
    assert found.value.reason == expected.value.reason


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as file:
        voice = file.add_stream("aac", rate=16000, layout="mono")
        tone = av.AudioFrame.from_ndarray(
            np.zeros((1, 16000), np.float32), format="fltp", layout="mono"
        )
        tone.sample_rate, tone.pts = 16000, 0
        file.mux(voice.encode(tone))
        file.mux(voice.encode())
    with pytest.raises(VideoError, match="no video stream") as found:
        VideoScan(path)
    with pytest.raises(VideoError) as expected:
        VideoReader(path, cache=IndexCache())
    assert found.value.reason == expected.value.reason


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_steps_need_a_rate_above_0(coded_mp4, fps):
    with pytest.raises(InputError, match="steps per second must be above 0"):
        VideoScan(coded_mp4, fps)
