"""The picture that stands for a part: the sharpest near its best moment."""

import numpy as np
import pytest

from videolit.data.index import IndexCache
from videolit.data.reader import VideoReader
from videolit.data.stills import AROUND, read_stills
from videolit.data.verify import verified_index
from videolit.data.writer import write_video
from videolit.ops.keyframes import sharpness


def stills(path, parts, moments):
    index = verified_index(path, cache=IndexCache())
    return list(read_stills(str(path), index, parts, moments))


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """100 frames at 10 per second; frames 17, 33 and 71 are sharp, the others flat."""
    rng = np.random.default_rng(0)
    frames = np.full((100, 48, 64, 3), 120, np.uint8)
    for number in (17, 33, 71):
        frames[number] = rng.integers(0, 256, (12, 16, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    path = tmp_path_factory.mktemp("stills") / "a.mp4"
    return write_video(path, frames, 10, options={"crf": "5", "g": "10"})


def test_the_sharpest_frame_near_the_moment_is_taken(video):
    found = stills(video, [(0, 30), (30, 60), (60, 100)], [2.0, 3.1, 7.4])
    assert [still.frame for still in found] == [17, 33, 71]
    expected = VideoReader(video, "pyav").read([17, 33, 71])
    for still, image in zip(found, expected, strict=True):
        np.testing.assert_array_equal(still.image, image)


def test_only_half_a_second_around_and_only_the_part_is_looked_at(video):
    times = VideoReader(video).timestamps
    (far,) = stills(video, [(0, 100)], [5.0])
    assert abs(times[far.frame] - 5.0) <= AROUND
    (before,) = stills(video, [(18, 30)], [1.8])
    assert before.frame >= 18, "frame 17 is sharper, and another part's"
    (after,) = stills(video, [(20, 33)], [3.2])
    assert after.frame < 33


@pytest.mark.parametrize(("part", "moment"), [((40, 41), 4.0), ((99, 100), 99.0), ((0, 1), -5.0)])
def test_a_part_of_one_frame_is_that_frame(video, part, moment):
    (found,) = stills(video, [part], [moment])
    assert found.frame == part[0]
    assert found.image.shape == (48, 64, 3)


def test_pictures_are_upright(write_coded, tmp_path):
    path = write_coded(tmp_path / "r.mp4", rotation=90)
    (found,) = stills(path, [(0, 48)], [1.0])
    assert found.image.shape == (128, 96, 3)
    np.testing.assert_array_equal(found.image, VideoReader(path, "pyav").read([found.frame])[0])


def test_sharpness_is_what_decides(write_coded, tmp_path):
    path = write_coded(tmp_path / "a.mp4")
    (found,) = stills(path, [(0, 48)], [0.9])
    frames = VideoReader(path, "pyav").read(list(range(48)))
    near = [i for i in range(48) if 0.4 <= i / 25 < 1.4]
    assert found.frame == max(near, key=lambda i: sharpness(frames[i]))
