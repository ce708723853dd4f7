"""Hard cuts, seen while a video is scanned."""

import sys

import numpy as np
import pytest

from videolit.data.scan import VideoScan
from videolit.data.scenes import CutWatcher
from videolit.data.writer import write_video
from videolit.types import InputError

CUTS = [40, 85, 130]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Four scenes of colours of their own, with a bar that moves."""
    frames = np.zeros((180, 48, 64, 3), np.uint8)
    for number, colour in enumerate([(200, 40, 40), (30, 60, 180), (220, 220, 60), (20, 150, 60)]):
        first, stop = [0, *CUTS][number], [*CUTS, 180][number]
        frames[first:stop] = colour
    for number in range(180):
        frames[number, 10:20, number % 56 : number % 56 + 8] = 255
    path = tmp_path_factory.mktemp("scenes") / "a.mp4"
    return write_video(path, frames, 25, options={"crf": "10"})


@pytest.mark.parametrize("detector", ["adaptive", "content"])
def test_cuts_are_found_to_the_frame(scenes, detector):
    watcher = CutWatcher(detector)
    scan = VideoScan(scenes)
    scan.run(lambda step: None, watcher=watcher)
    assert watcher.starts == CUTS
    # The greatest changes of the scan are the same frames.
    assert sorted(np.argsort(scan.changes)[-3:].tolist()) == CUTS


def test_a_still_video_has_no_cut():
    watcher = CutWatcher("content")
    for number in range(60):
        watcher.see(number, number / 25, np.full((36, 64, 3), 90, np.uint8))
    assert watcher.starts == []


def test_without_pyscenedetect_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scenedetect", None)
    with pytest.raises(
        InputError, match=r"'adaptive' need PySceneDetect: pip install 'videolit\[scenes\]'"
    ):
        CutWatcher()
