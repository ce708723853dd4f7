"""Writing video files."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from videolit.data.writer import write_video
from videolit.types import InputError


def grey_frames(count: int = 12, height: int = 48, width: int = 64) -> np.ndarray:
    """Frame i has grey level 16·i."""
    levels = (16 * np.arange(count, dtype=np.uint8))[:, None, None, None]
    return np.broadcast_to(levels, (count, height, width, 3)).copy()


def decode(path) -> tuple[np.ndarray, Fraction]:
    with av.open(str(path)) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        return np.stack(frames), file.streams.video[0].average_rate


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("libx264", ".mp4"),
        ("libx264", ".mov"),
        ("libx264", ".ts"),
        ("libx265", ".mkv"),
        ("libvpx-vp9", ".webm"),
        ("libsvtav1", ".mp4"),
        ("mpeg4", ".avi"),
        ("mjpeg", ".avi"),
        ("ffv1", ".mkv"),
    ],
)
def test_every_codec_gives_back_each_frame_and_the_same_bytes_again(tmp_path, codec, suffix):
    frames = grey_frames()
    path = write_video(tmp_path / f"one{suffix}", frames, 12, codec=codec)
    again = write_video(tmp_path / f"two{suffix}", iter(frames), 12, codec=codec)
    found, rate = decode(path)
    assert found.shape == frames.shape
    assert rate == 12
    assert np.abs(found.mean(axis=(1, 2, 3)) - 16 * np.arange(12)).max() < 6
    assert path.read_bytes() == again.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"one{suffix}", f"two{suffix}"]


def test_colours_are_rgb_and_ffv1_loses_nothing(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (3, 33, 35, 3), dtype=np.uint8)
    found, _ = decode(write_video(tmp_path / "x.mkv", frames, 10, codec="ffv1"))
    np.testing.assert_array_equal(found, frames)
    red = np.zeros((4, 32, 32, 3), np.uint8)
    red[..., 0] = 220
    found, _ = decode(write_video(tmp_path / "red.mp4", red, 10))
    assert found[..., 0].min() > 200
    assert found[..., 1:].max() < 20


def test_ntsc_rate_is_exact(tmp_path):
    path = write_video(tmp_path / "x.mp4", grey_frames(), Fraction(30000, 1001))
    assert decode(path)[1] == Fraction(30000, 1001)
    assert decode(write_video(tmp_path / "y.mp4", grey_frames(), 12.5))[1] == Fraction(25, 2)


def test_options_reach_the_encoder(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    fine = write_video(tmp_path / "a.mp4", frames, 10, options={"crf": "10"})
    coarse = write_video(tmp_path / "b.mp4", frames, 10, options={"crf": "40"})
    assert coarse.stat().st_size < fine.stat().st_size / 2


@pytest.mark.parametrize(
    ("name", "frames", "fps", "settings", "message"),
    [
        ("x.mp4", [], 10, {}, "there are no frames"),
        ("x.mp4", grey_frames().astype(np.float32), 10, {}, "uint8 RGB.*float32.*scale values"),
        ("x.mp4", grey_frames()[0], 10, {}, r"shape \(H, W, 3\), frame 0 is uint8 \(64, 3\)"),
        ("x.mp4", grey_frames().transpose(0, 3, 1, 2), 10, {}, "move the colour axis"),
        (
            "x.mp4",
            [grey_frames()[0], grey_frames(height=32)[0]],
            10,
            {},
            r"frame 1 is \(32, 64, 3\) and the first is \(48, 64, 3\)",
        ),
        ("x.mp4", grey_frames(width=63), 10, {}, "width, which must be even, got 63×48: crop"),
        ("x.mp4", grey_frames(height=47), 10, {}, "height, which must be even"),
        ("x.mp4", grey_frames(), 0, {}, "fps must be a number above 0, got 0"),
        ("x.mp4", grey_frames(), float("nan"), {}, "fps must be"),
        ("x.gif", grey_frames(), 10, {}, r"expected one of \.mp4.*got '\.gif'"),
        ("x.mp4", grey_frames(), 10, {"codec": "h264"}, "unknown codec 'h264'; expected.*libx264"),
        ("x.webm", grey_frames(), 10, {}, r"\.webm files cannot hold libx264"),
        ("x.mp4", grey_frames(), 10, {"pix_fmt": "rgb8"}, "cannot store pix_fmt 'rgb8'"),
        ("x.mp4", grey_frames(), 10, {"options": {"preset": "no"}}, "'preset': 'no'.*options"),
    ],
)
def test_errors_say_what_to_do_and_leave_nothing(tmp_path, name, frames, fps, settings, message):
    with pytest.raises(InputError, match=message):
        write_video(tmp_path / name, frames, fps, **settings)
    assert list(tmp_path.iterdir()) == []


def test_odd_sizes_work_without_subsampling(tmp_path):
    frames = grey_frames(height=47, width=63)
    found, _ = decode(write_video(tmp_path / "x.mp4", frames, 10, pix_fmt="yuv444p"))
    assert found.shape == frames.shape


def test_a_failure_midway_keeps_the_old_file(tmp_path):
    path = write_video(tmp_path / "x.mp4", grey_frames(), 10)
    before = path.read_bytes()

    def broken():
        yield from grey_frames(5)
        raise RuntimeError("camera fell")

    with pytest.raises(RuntimeError, match="camera fell"):
        write_video(path, broken(), 10)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.mp4"]
