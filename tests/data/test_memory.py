"""Reading for days must not fill the memory: a process's growth while it reads many clips.

``python tests/data/test_memory.py 20000`` measures as many clips as one likes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

READ_CLIPS = """
import sys
from videolit.data.clips import ClipDataset, collate
from videolit.data.listing import read_manifest
from videolit.data.sampler import SampleKey
from videolit.data.transforms import ClipTransform
from videolit.types import ClipSpec

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

root, count = sys.argv[1], int(sys.argv[2])
spec = ClipSpec(num_frames=8, size=32, resize=32)
data = ClipDataset(read_manifest(root), spec, transform=ClipTransform())
warm = min(400, count // 3)
for number in range(count):
    if number == warm:
        before = resident()
    epoch, row = divmod(number, len(data))
    samples = [data[SampleKey(epoch, row, True)]]
    assert not samples[0]["error"] or "broken" in samples[0]["video_id"]
    collate(samples)
print(resident() - before, len(open("/proc/self/maps").readlines()))
"""

OPEN_AND_CLOSE = """
import os, sys
from pathlib import Path
from videolit.data.reader import VideoReader
from videolit.types import VideoError

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

files, decoder = sorted(str(p) for p in Path(sys.argv[1]).rglob("*.mp4")), sys.argv[2]
for number in range(1200):
    # The allocator keeps some 20 MB once and for all, after up to 600 files.
    if number == 700:
        before, handles = resident(), len(os.listdir("/proc/self/fd"))
    try:
        with VideoReader(files[number % len(files)], decoder) as video:
            video.read([0, video.num_frames - 1])
    except VideoError:
        pass
print(resident() - before, len(os.listdir("/proc/self/fd")) - handles)
"""


def write_files(root: Path) -> Path:
    """Thirty good files of 64×48 pixels, and as many broken ones as a bad day brings."""
    from videolit.data.writer import write_video

    random = np.random.default_rng(0)
    for number in range(30):
        frames = random.integers(0, 256, (24, 48, 64, 3), dtype=np.uint8)
        write_video(root / "ab"[number % 2] / f"{number}.mp4", frames, 12)
    return root


def break_some(root: Path) -> None:
    content = (root / "a" / "0.mp4").read_bytes()
    for number, broken in enumerate((b"", b"text" * 99, content[:999], content[:-99])):
        (root / "b" / f"broken{number}.mp4").write_bytes(broken)


def measured(code: str, *arguments: object) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    return [float(word) for word in done.stdout.split()]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_files(tmp_path_factory.mktemp("memory") / "raw")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["raw", "damaged", "prepared"])
def test_reading_many_clips(kind, files, tmp_path):
    from videolit.data.listing import read_manifest
    from videolit.data.prepare import prepare
    from videolit.data.prepared import PreparedSpec

    root = files
    if kind == "prepared":
        root = tmp_path / "prepared"
        list(prepare(read_manifest(files), root, PreparedSpec(short_side=48)))
    elif kind == "damaged":
        root = write_files(tmp_path / "damaged")
        break_some(root)
    growth, _ = measured(READ_CLIPS, root, 2400)
    assert growth < 15


@pytest.mark.timeout(300)
@pytest.mark.parametrize("decoder", ["auto", "pyav"])
def test_opening_and_closing(decoder, tmp_path):
    root = write_files(tmp_path / "files")
    break_some(root)
    growth, handles = measured(OPEN_AND_CLOSE, root, decoder)
    assert growth < 10
    assert handles <= 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        root = write_files(Path(folder) / "raw")
        print(f"{measured(READ_CLIPS, root, sys.argv[1])[0]:.1f} MB more after {sys.argv[1]} clips")
