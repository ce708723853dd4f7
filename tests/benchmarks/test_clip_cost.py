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
from videolit.data.reader import VideoReader
from videolit.data.sampler import SampleKey
from videolit.data.transforms import ClipTransform
from videolit.data.writer import write_video
from videolit.ops.cores import usable_cores
from videolit.types import ClipSpec

SPEC = ClipSpec(sampling="dense", num_frames=16, frame_stride=4, size=112, resize=112)
TRANSFORM = ClipTransform(scale=(0.5, 1.0), brightness=0.0, contrast=0.0, saturation=0.0)
FRAMES = 300
ROUNDS = 5


def texture(rng, height, width):
    """Coarse and fine grey, with a slow change of colour, as most things have it."""
    grey = sum(
        share * part / part.std()
        for share, sigma in ((8, 1.5), (25, 6), (40, 25))
        for part in [cv2.GaussianBlur(rng.normal(0, 1, (height, width)), (0, 0), sigma)]
    )
    tint = cv2.GaussianBlur(rng.normal(0, 1, (height, width, 3)), (0, 0), 25)
    return np.clip(128 + grey[..., None] + 15 * tint / tint.std(), 0, 255).astype(np.uint8)


def scene(seed):
    """Patterned things that turn and cross a room, a moving camera and its sensor's noise.

    Contrast and noise are set so that a frame takes as many bits as one of a real film of Kinetics
    at this size: 7.6 kB as JPEG (there 7.3); as H.264 it takes fewer, 320 kbit/s (there 641).
    """
    rng = np.random.default_rng(seed)
    wall = texture(rng, 420, 560)
    things = [
        (int(rng.integers(20, 60)), rng.uniform(0.5, 4, 2), texture(rng, 120, 120)) for _ in "abcd"
    ]
    for i in range(FRAMES):
        camera = (250 + 60 * np.sin(i / 40 + seed), 188 + 40 * np.cos(i / 55))
        frame = cv2.getRectSubPix(wall, (340, 256), camera)
        for radius, speed, pattern in things:
            turn = cv2.getRotationMatrix2D((60, 60), 2 * i * speed[0], 1.0)
            turned = cv2.warpAffine(pattern, turn, (120, 120), borderMode=cv2.BORDER_REFLECT)
            disc = np.zeros((256, 340), np.uint8)
            cv2.circle(disc, (speed * i % (340, 256)).astype(int).tolist(), radius, 1, -1)
            frame[disc > 0] = np.tile(turned, (3, 3, 1))[:256, :340][disc > 0]
        yield np.clip(frame + rng.normal(0, 2, frame.shape), 0, 255).astype(np.uint8)


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


@pytest.fixture(scope="module")
def film(real_data, tmp_path_factory):
    """A real film of Kinetics, 10 s of 340×256, raw and prepared; one key frame per 250 frames."""
    root = tmp_path_factory.mktemp("film")
    with VideoReader(real_data / "odd_videos/mmaction2__data__test.mp4") as reader:
        frames = reader.read(np.arange(FRAMES))
    for seed in range(2):
        write_video(root / f"raw/{'ab'[seed]}/film.mp4", frames, 30, options={"g": "250"})
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
@pytest.mark.parametrize("source", ["sets", pytest.param("film", marks=pytest.mark.real)])
def test_a_clip_of_a_prepared_set(source, request):
    decord = pytest.importorskip("decord")
    root = request.getfixturevalue(source)
    raw, ready = dataset(root / "raw"), dataset(root / "prepared")
    sources = [raw.manifest.path(row) for row in range(len(raw))]

    def bare_decord(i):
        generator = np.random.default_rng(i)
        reader = decord.VideoReader(sources[i % len(sources)], num_threads=1)
        start = int(generator.integers(0, len(reader) - 60))
        frames = reader.get_batch(start + 4 * np.arange(16)).asnumpy()
        return TRANSFORM(frames, 112, generator)[0]

    # The limit: the JPEG files are in memory, nothing is drawn or looked up.
    content = []
    for row in range(len(ready)):
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
            frame = cv2.imdecode(content[i % len(content)][start + 4 * k], cv2.IMREAD_COLOR_RGB)
            cv2.resize(frame[8:118, 20:150], (112, 112))

    def clip_of(data):
        return lambda i: data[SampleKey(i, i % len(data), True)]

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
    size = sum(Path(file).stat().st_size for file in sources) / len(sources)
    frame = sum(len(jpeg) for video in content for jpeg in video) / len(content) / FRAMES
    print(
        f"\n{source}: {size * 8 / 10 / 1e3:.0f} kbit/s, {frame / 1e3:.1f} kB a prepared frame; "
        f"median of {ROUNDS} rounds"
    )
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
