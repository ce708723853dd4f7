"""What a training clip costs: from the source, from a prepared set, and at the limit.

Run with ``make bench``. One core, one process; the ways alternate, so that a busy machine slows all
of them. A clip is 16 frames × 4 from a drawn start, a random crop resized to 112, half of them
flipped, from 10 s of 340×256 H.264 with one key frame per 250 frames.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from videolit.data.clips import ClipDataset
from videolit.data.listing import read_manifest
from videolit.data.prepare import prepare
from videolit.data.prepared import PreparedSpec, PreparedVideo
from videolit.data.sampler import SampleKey
from videolit.data.transforms import ClipTransform
from videolit.data.writer import write_video
from videolit.ops.cores import usable_cores
from videolit.types import ClipSpec

SPEC = ClipSpec(sampling="dense", num_frames=16, frame_stride=4, size=112, resize=112)
TRANSFORM = ClipTransform(scale=(0.5, 1.0), brightness=0.0, contrast=0.0, saturation=0.0)
FRAMES = 300
ROUNDS = 5


def scene(seed):
    """A textured background under a moving camera, things that move, and a sensor's noise."""
    rng = np.random.default_rng(seed)
    blur = [cv2.GaussianBlur(rng.normal(0, 1, (420, 560, 3)), (0, 0), s) for s in (1.5, 6, 25)]
    wall = np.clip(128 + sum(40 * part / part.std() for part in blur), 0, 255).astype(np.uint8)
    things = [
        (rng.integers(20, 60), rng.uniform(0.5, 3, 2), rng.integers(0, 256, 3)) for _ in "abcd"
    ]
    for i in range(FRAMES):
        x, y = int(80 + 60 * np.sin(i / 40 + seed)), int(60 + 40 * np.cos(i / 55))
        frame = wall[y : y + 256, x : x + 340].copy()
        for radius, speed, colour in things:
            place = (speed * i % (340, 256)).astype(int).tolist()
            cv2.circle(frame, place, int(radius), colour.tolist(), -1, cv2.LINE_AA)
        yield np.clip(frame + rng.normal(0, 3, frame.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """The data raw and prepared."""
    root = tmp_path_factory.mktemp("bench")
    for seed in range(4):
        write_video(
            root / f"raw/{'ab'[seed % 2]}/{seed}.mp4", scene(seed), 30, options={"g": "250"}
        )
    list(prepare(read_manifest(root / "raw"), root / "prepared", PreparedSpec()))
    return root


def dataset(root):
    return ClipDataset(read_manifest(root), SPEC, transform=TRANSFORM)


def milliseconds(make, count, first):
    begin = time.perf_counter()
    for i in range(first, first + count):
        make(i)
    return (time.perf_counter() - begin) / count * 1e3


@pytest.mark.slow
def test_a_clip_of_a_prepared_set(sets):
    decord = pytest.importorskip("decord")
    raw, ready = dataset(sets / "raw"), dataset(sets / "prepared")
    sources = [raw.manifest.path(row) for row in range(4)]

    def bare_decord(i):
        generator = np.random.default_rng(i)
        reader = decord.VideoReader(sources[i % 4], num_threads=1)
        start = int(generator.integers(0, len(reader) - 60))
        frames = reader.get_batch(start + 4 * np.arange(16)).asnumpy()
        return TRANSFORM(frames, 112, generator)[0]

    # The limit: the JPEG files are in memory, nothing is drawn or looked up.
    content = []
    for row in range(4):
        with PreparedVideo(ready.manifest.path(row)) as video:
            whole = Path(video.path).read_bytes()
            content.append(
                [
                    np.frombuffer(whole, np.uint8, size, offset)
                    for offset, size in zip(video._offsets, video._sizes, strict=True)
                ]
            )

    def limit(i):
        start = i * 37 % (FRAMES - 60)
        for k in range(16):
            frame = cv2.imdecode(content[i % 4][start + 4 * k], cv2.IMREAD_COLOR_RGB)
            cv2.resize(frame[8:118, 20:150], (112, 112))

    def clip_of(data):
        return lambda i: data[SampleKey(i, i % 4, True)]

    ways = {
        "bare decord": (bare_decord, 12),
        "raw": (clip_of(raw), 12),
        "prepared": (clip_of(ready), 200),
        "limit": (limit, 200),
    }
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    times = {name: [] for name in ways}
    for make, _ in ways.values():
        for i in range(4):
            make(i)
    for turn in range(ROUNDS):
        for name, (make, count) in ways.items():
            times[name].append(milliseconds(make, count, turn * count))
    middle = {name: float(np.median(found)) for name, found in times.items()}
    size = sum(Path(source).stat().st_size for source in sources) / 4
    print(f"\nsource: {size * 8 / 10 / 1e3:.0f} kbit/s; median of {ROUNDS} rounds")
    for name, found in middle.items():
        print(f"{name:12} {found:7.2f} ms a clip")
    print(f"prepared vs bare decord: {middle['bare decord'] / middle['prepared']:.1f}×")
    print(f"prepared vs its limit:   {middle['limit'] / middle['prepared']:.2f}")
    print(f"raw vs bare decord:      {middle['bare decord'] / middle['raw']:.2f}×")


@pytest.mark.slow
def test_two_workers_on_two_cores(sets):
    if usable_cores() < 2:
        pytest.skip("needs two cores")
    ready = dataset(sets / "prepared")
    keys = [SampleKey(i // 4, i % 4, True) for i in range(4000)]

    def rate(workers):
        from videolit.data.clips import collate

        loader = torch.utils.data.DataLoader(
            ready,
            batch_size=8,
            sampler=keys,
            num_workers=workers,
            collate_fn=collate,
            worker_init_fn=lambda _: cv2.setNumThreads(0),
        )
        batches = iter(loader)
        for _ in range(20):
            next(batches)
        begin = time.perf_counter()
        count = sum(1 for _ in batches)
        return 8 * count / (time.perf_counter() - begin)

    one, two = zip(*((rate(1), rate(2)) for _ in range(3)), strict=True)
    print(f"\n1 worker {np.median(one):.0f} clips/s, 2 workers {np.median(two):.0f} clips/s")
    print(f"2 workers vs 2 × one: {np.median(two) / (2 * np.median(one)):.2f}")


@pytest.mark.system
def test_preparing_vs_ffmpeg(sets, tmp_path):
    if shutil.which("ffmpeg") is None:
        pytest.skip("compares with ffmpeg, which is not installed")
    files = sorted((sets / "raw").rglob("*.mp4"))

    def ffmpeg():
        begin = time.perf_counter()
        for file in files:
            command = ["ffmpeg", "-y", "-loglevel", "error", "-i", str(file), "-vf"]
            command += ["scale=-2:128:flags=area", "-c:v", "mjpeg", "-q:v", "3"]
            subprocess.run([*command, str(tmp_path / "x.mov")], check=True)
        return time.perf_counter() - begin

    def ours(out):
        begin = time.perf_counter()
        list(prepare(read_manifest(sets / "raw"), out, PreparedSpec(), workers=usable_cores()))
        return time.perf_counter() - begin

    ours(tmp_path / "warm")
    pairs = [(ffmpeg(), ours(tmp_path / f"out{turn}")) for turn in range(3)]
    theirs, own = (float(np.median(found)) for found in zip(*pairs, strict=True))
    print(f"\nffmpeg {theirs:.2f} s, videolit prepare {own:.2f} s ({os.cpu_count()} cores)")
    print(f"prepare vs ffmpeg: {theirs / own:.2f}")
