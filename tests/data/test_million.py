"""A list of very many samples: how long it takes to read, and what loading processes add to it.

``python tests/data/test_million.py 1000000`` measures as many rows as one likes.
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

WORKERS = 8
MEASURE = """
import multiprocessing, os, sys, time
from videolit import ActionDataModule
from videolit.types import ClipSpec

def private(pid):
    lines = open(f"/proc/{pid}/smaps_rollup").read().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024

data = ActionDataModule(
    sys.argv[1], clip=ClipSpec(num_frames=4, size=32, resize=32), batch_size=4,
    num_workers=int(sys.argv[2]), val_fraction=0.01, test_fraction=0,
)
before = private("self")
start = time.perf_counter()
data.setup("fit")
seconds = time.perf_counter() - start
# Before there are other processes to share with.
held = private("self") - before
batches = iter(data.train_dataloader())
for _ in range(10 * int(sys.argv[2])):
    batch = next(batches)
    assert not any(batch["error"])
workers = [worker.pid for worker in multiprocessing.active_children()]
assert len(workers) == int(sys.argv[2])
print(seconds, held, sum(private(pid) for pid in workers))
"""


def write_list(root: Path, rows: int, *, several: bool = False) -> Path:
    """Segments of a hundredth of a second of a few files: each row is a sample of its own."""
    from videolit.data.writer import write_video

    frames = np.random.default_rng(0).integers(0, 256, (24, 48, 64, 3), dtype=np.uint8)
    if not (root / "a_folder").exists():
        for number in range(100):
            write_video(root / f"a_folder/video_{number:04d}.mp4", frames, 12)
    path = root / "list.csv"
    with path.open("w") as file:
        file.write(f"path,{'labels' if several else 'label'},start,end,group\n")
        for row in range(rows):
            video, part = row % 100, row // 100
            code = (row + part) % 400
            label = f"class {code}" + (f";class {(code + 7) % 400}" if several else "")
            file.write(
                f"a_folder/video_{video:04d}.mp4,{label},{part * 1e-5:.5f},{2 + part * 1e-5:.5f},"
                f"video {video}\n"
            )
    return path


def measured(path: Path) -> tuple[float, float, float]:
    """Return seconds to read the list, MB of the main process and MB of all loading processes."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), str(WORKERS)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seconds, main, workers = map(float, done.stdout.split())
    return seconds, main, workers


@pytest.mark.timeout(600)
def test_loading_processes_share_the_list(tmp_path):
    few = measured(write_list(tmp_path, 2_000))
    for several in (False, True):
        many = measured(write_list(tmp_path, 200_000, several=several))
        # Held in columns: some tens of bytes a row, once; no process has a copy of its own.
        assert (many[1] - few[1]) * 2**20 < 400 * 200_000
        assert many[2] - few[2] < 100


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        path = write_list(Path(folder), int(sys.argv[1]), several="several" in sys.argv[2:])
        seconds, main, workers = measured(path)
        print(
            f"{sys.argv[1]} rows: read and split in {seconds:.1f} s; the main process holds "
            f"{main:.0f} MB more, {WORKERS} loading processes have {workers:.0f} MB of their own"
        )
