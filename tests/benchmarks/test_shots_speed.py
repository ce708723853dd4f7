"""What cutting a video into shots costs, beside the published programme, side by side in one run.

Run with ``make bench``. Rows are 2 a second: 470 and 1294 are the mean and the longest video of
TVSum, 2000 are 17 minutes, 7200 an hour. One thread.
"""

import math
import multiprocessing
import re
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from videolit.ops.shots import kernel_segments, segment_objective

WIDTH = 1024


def scenes(rows, noise):
    """Rows of norm 1 around centres that change after 20 rows on average."""
    rng = np.random.default_rng(0)
    features, begin = np.zeros((rows, WIDTH)), 0
    while begin < rows:
        stop = begin + 1 + int(rng.exponential(20))
        features[begin:stop] = rng.normal(size=WIDTH)
        begin = stop
    features += noise * rng.normal(size=features.shape)
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def plain(features):
    """Kernel, scatter of all segments, and a programme over the number of segments: ``O(N³)``.

    The published program runs its own such programme twice. Returns the least objective.
    """
    rows = len(features)
    kernel = (features @ features.T).astype(np.float64)
    area = np.zeros((rows + 1, rows + 1))
    area[1:, 1:] = kernel.cumsum(0).cumsum(1)
    diagonal, corner = np.append(0, np.cumsum(np.diag(kernel))), np.diag(area)
    i, j = np.arange(rows + 1)[:, None], np.arange(rows + 1)[None]
    square = corner[j] + corner[i] - area - area.T
    scatter = diagonal[j] - diagonal[i] - square / np.maximum(j - i, 1)
    scatter[j <= i] = np.inf
    # End by start, so that the minimum runs along rows.
    scatter = np.ascontiguousarray(scatter.T)
    cost = scatter[:, 0].copy()
    least = cost[rows] / rows
    for m in range(1, rows):
        # m change points lie before the end only where there are as many rows.
        cost[m:] = [
            (cost[m - 1 : end] + scatter[end, m - 1 : end]).min() for end in range(m, rows + 1)
        ]
        least = min(least, cost[rows] / rows + m / (2 * rows) * (math.log(rows / m) + 1))
    return least


def peak_bytes():
    """The most memory this process held; getrusage would begin with that of its parent."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"VmHWM:\s*(\d+) kB", status)[1])


def segment_and_measure(path, queue):
    """In a process of its own, which only loads the features: by how many bytes the peak rises."""
    features = np.load(path)
    before = peak_bytes()
    kernel_segments(features)
    queue.put(peak_bytes() - before)


@pytest.mark.benchmark
@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.5, 2])
@pytest.mark.parametrize("rows", [470, 1294, 2000, 7200])
def test_shots_speed(benchmark, rows, noise):
    features = scenes(rows, noise)
    starts = benchmark.pedantic(
        kernel_segments, (features,), {"penalty": 1.0}, rounds=3, warmup_rounds=1
    )
    ours = benchmark.stats.stats.median
    line = f"\n{rows} rows, noise {noise}: {len(starts)} segments in {ours:.3f} s"
    if rows <= 1294:
        begin = time.perf_counter()
        least = plain(features)
        plain_seconds = time.perf_counter() - begin
        benchmark.extra_info["plain_s"] = round(plain_seconds, 3)
        line += f"; the plain programme once {plain_seconds:.2f} s, {plain_seconds / ours:.0f}×"
        # Not a time: both found the same.
        assert segment_objective(features, starts) == pytest.approx(least, abs=1e-6)
    print(line)
    assert starts[0] == 0


@pytest.mark.benchmark
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_shots_memory(benchmark, tmp_path):
    np.save(tmp_path / "features.npy", scenes(7200, 0.5))
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=segment_and_measure, args=(tmp_path / "features.npy", queue))
    child.start()
    peak = benchmark.pedantic(queue.get, rounds=1)
    child.join()
    benchmark.extra_info["peak_mb"] = round(peak / 1e6)
    print(f"\n7200 rows: peak memory {peak / 1e6:.0f} MB above that before the call")
    # The sums alone are 59 MB; a kernel of all rows would be 415 MB.
    assert 50e6 < peak < 400e6
