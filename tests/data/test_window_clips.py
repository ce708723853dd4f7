"""The clips of a long video's windows: the right frames, and few of them at a time."""

import numpy as np
import pytest

from videolit.data.clips import ClipDataset
from videolit.data.decoders import InOrderFrames
from videolit.data.listing import list_videos
from videolit.data.reader import VideoReader
from videolit.data.windows import WindowClips
from videolit.data.writer import write_video
from videolit.ops.sampling import choose_frames
from videolit.ops.windows import slide
from videolit.types import ClipSpec, InputError

SPECS = {
    "uniform": ClipSpec(num_frames=5, size=32, resize=40),
    "dense": ClipSpec(sampling="dense", num_frames=4, frame_stride=3, size=32, resize=32),
    "rate": ClipSpec(sampling="dense", num_frames=4, fps=7, size=32, resize=32, short="mask"),
    "views": ClipSpec(sampling="dense", num_frames=6, num_views=3, num_crops=3, size=64, resize=64),
    "whole": ClipSpec(sampling="whole", num_frames=9, frame_stride=2, size=32, resize=32),
    "motion": ClipSpec(num_frames=5, size=32, resize=40, focus="motion", num_views=2),
    "long": ClipSpec(sampling="dense", num_frames=60, frame_stride=2, size=32, resize=32),
}


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize(("window", "hop"), [(1.0, 0.48), (0.3, 0.3), (9.0, 1.0)])
def test_windows_give_the_clips_of_a_test(name, window, hop, coded_mp4, memory, tmp_path):
    """Each window's clip is that of its part of the file, as a data set makes it."""
    spec = SPECS[name]
    with VideoReader(coded_mp4, "pyav", cache=memory) as reader:
        windows = slide(reader.timestamps, window, hop)
        clips = list(WindowClips(reader, windows, spec))
    assert len(clips) == len(windows.start)
    lines = ["path,start,end"]
    lines += [
        f"{coded_mp4},{max(start - 5e-4, 0)},{end - 5e-4}"
        for start, end in zip(windows.start, windows.end, strict=True)
    ]
    listing = tmp_path / "parts.csv"
    listing.write_text("\n".join(lines))
    parts = ClipDataset(list_videos([listing], allow_outside_root=True), spec, cache=memory)
    for (video, mask), row in zip(clips, range(len(parts)), strict=True):
        sample = parts[row]
        np.testing.assert_array_equal(video, sample["video"])
        np.testing.assert_array_equal(mask, sample["mask"])


def test_batches_hold_all_windows_in_order(coded_mp4, memory, codes):
    spec = ClipSpec(num_frames=2, size=96, resize=96)
    with VideoReader(coded_mp4, "pyav", cache=memory) as reader:
        windows = slide(reader.timestamps, 0.4, 0.2)
        clips = WindowClips(reader, windows, spec)
        batches = list(clips.batches(4))
        assert [len(batch["index"]) for batch in batches] == [4, 4, 1]
        index = [int(i) for batch in batches for i in batch["index"]]
        assert index == list(range(9))
        times = [reader.timestamps[a:b] for a, b in zip(windows.first, windows.stop, strict=True)]
        wanted = [
            int(first + i)
            for first, part in zip(windows.first, times, strict=True)
            for i in choose_frames(part, spec).indices
        ]
        assert wanted[:4] == [2, 7, 7, 12]
    # 96 of 128 columns remain: the blocks of bits 1 to 6 are whole.
    frames = np.concatenate([b["video"].flatten(0, 1).permute(0, 2, 3, 1) for b in batches])
    seen = [int(f[12:36, 4:12].mean() > 117) for f in frames]
    assert seen == [number >> 1 & 1 for number in wanted]


def test_frames_held_depend_on_the_window_and_not_on_the_video(tmp_path, memory):
    most = {}
    for seconds in (12, 60):
        frames = (np.full((32, 32, 3), n % 250, np.uint8) for n in range(10 * seconds))
        path = write_video(tmp_path / f"{seconds}.mp4", frames, 10)
        for window, hop in ((2.0, 1.0), (2.0, 0.1), (4.0, 0.5)):
            for name in ("uniform", "views", "whole"):
                with VideoReader(path, "pyav", cache=memory) as reader:
                    windows = slide(reader.timestamps, window, hop)
                    clips = WindowClips(reader, windows, SPECS[name])
                    held = [len(clips.held) for _ in clips]
                    assert clips.held == {}
                assert max(held) <= 10 * window
                most.setdefault((window, hop, name), set()).add(max(held))
    # As many in a video of a minute as in one of some seconds.
    assert all(len(counts) == 1 for counts in most.values()), most
    assert max(most[2.0, 1.0, "uniform"]) < 10


def test_frames_that_no_window_needs_are_not_converted(coded_mp4, memory, monkeypatch):
    spec = ClipSpec(num_frames=1, size=32, resize=32)
    converted = []
    with VideoReader(coded_mp4, "pyav", cache=memory) as reader:
        monkeypatch.setattr(
            "videolit.data.decoders.InOrderFrames.rgb",
            lambda self, frame, original=InOrderFrames.rgb: (
                converted.append(1) or original(self, frame)
            ),
        )
        windows = slide(reader.timestamps, 0.4, 0.4)
        assert len(list(WindowClips(reader, windows, spec))) == len(windows.start) == len(converted)


def test_frames_in_order_by_their_numbers(coded_mp4, memory, codes):
    with VideoReader(coded_mp4, cache=memory) as reader:
        found = list(reader.iter_frames([3, 4, 20, 47]))
        assert [index for index, _ in found] == [3, 4, 20, 47]
        assert codes(np.stack([frame for _, frame in found])) == [3, 4, 20, 47]
        for wrong in ([4, 3], [3, 3]):
            with pytest.raises(InputError, match="strictly ascending"):
                next(reader.iter_frames(wrong))
        with pytest.raises(InputError, match="must lie in"):
            next(reader.iter_frames([48]))
