"""Small videos whose frames tell their own index."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from videolit.data import verify
from videolit.data.index import IndexCache

BITS = 8


def coded_frame(index: int, width: int, height: int) -> np.ndarray:
    """A frame with its index in black and white blocks on top, and a bar that moves, below."""
    image = np.full((height, width, 3), 96, np.uint8)
    block = width // BITS
    for bit in range(BITS):
        image[: height // 2, bit * block : (bit + 1) * block] = 235 * (index >> bit & 1)
    left = index * 7 % width
    image[height // 2 :, left : left + width // 8] = (200, 40, 40)
    return image


@pytest.fixture(scope="session")
def codes():
    """A function that reads the index out of each frame of ``(T, H, W, 3)``."""

    def read(frames: np.ndarray) -> list[int]:
        block = frames.shape[2] // BITS
        found = []
        for frame in frames:
            rows = frame[frame.shape[0] // 8 : frame.shape[0] * 3 // 8]
            bits = [
                rows[:, bit * block + block // 4 : bit * block + block * 3 // 4].mean() > 117
                for bit in range(BITS)
            ]
            found.append(sum(1 << bit for bit, on in enumerate(bits) if on))
        return found

    return read


@pytest.fixture(scope="session")
def write_coded():
    """A function that encodes a coded video."""

    def write(
        path: Path,
        *,
        codec: str = "libx264",
        num_frames: int = 48,
        size: tuple[int, int] = (128, 96),
        fps: int = 25,
        options: dict[str, str] | None = None,
        container_options: dict[str, str] | None = None,
        pix_fmt: str = "yuv420p",
        times: list[int] | None = None,
        rotation: int = 0,
        sound: bool = False,
        container_format: str | None = None,
    ) -> Path:
        with av.open(
            str(path), "w", options=container_options or {}, format=container_format
        ) as file:
            stream = file.add_stream(codec, rate=fps, options=options or {"g": "12"})
            stream.width, stream.height = size
            stream.pix_fmt = pix_fmt
            stream.codec_context.thread_count = 1
            stream.codec_context.time_base = Fraction(1, fps)
            if rotation:
                stream.set_display_rotation(rotation)
            voice = file.add_stream("aac", rate=16000, layout="mono") if sound else None
            for index in range(num_frames):
                frame = av.VideoFrame.from_ndarray(coded_frame(index, *size), format="rgb24")
                frame.pts = index if times is None else times[index]
                frame.time_base = Fraction(1, fps)
                file.mux(stream.encode(frame))
            file.mux(stream.encode())
            if voice is not None:
                tone = av.AudioFrame.from_ndarray(
                    np.zeros((1, 16000), np.float32), format="fltp", layout="mono"
                )
                tone.sample_rate, tone.pts = 16000, 0
                file.mux(voice.encode(tone))
                file.mux(voice.encode())
        return path

    return write


@pytest.fixture(scope="session")
def coded_mp4(write_coded, tmp_path_factory) -> Path:
    """48 frames, H.264, closed GOPs of 12 frames, 25 fps, sound."""
    path = tmp_path_factory.mktemp("coded") / "coded.mp4"
    return write_coded(path, options={"g": "12", "bf": "2", "sc_threshold": "0"}, sound=True)


@pytest.fixture
def memory() -> IndexCache:
    return IndexCache()


@pytest.fixture
def fake_decord(monkeypatch, tmp_path):
    """A function that puts another decord in the place of the installed one, for ``auto`` too.

    Its argument is the body of ``VideoReader.get_batch(self, indices)``, which may use
    ``self.frames``, the true frames; a second one runs when a file is opened.
    """

    def put(body: str, opening: str = "pass") -> None:
        folder = tmp_path / "fake"
        folder.mkdir(exist_ok=True)
        (folder / "decord.py").write_text(
            "import os, time, types\n"
            "import av\n"
            "import numpy as np\n"
            "logging = types.SimpleNamespace(set_level=lambda level: None, QUIET=0)\n"
            "cpu = lambda index: None\n"
            "class VideoReader:\n"
            "    def __init__(self, path, ctx, num_threads):\n"
            "        with av.open(path) as file:\n"
            "            self.frames = np.stack(\n"
            "                [f.to_ndarray(format='rgb24') for f in file.decode(video=0)])\n"
            f"        {opening}\n"
            "    def __len__(self):\n"
            "        return len(self.frames)\n"
            "    def get_batch(self, indices):\n"
            f"        {body}\n"
        )
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setattr(verify, "installed_version", lambda package: "1")
        monkeypatch.setattr(verify, "AUTO_DECODER", "decord")
        fresh = verify.Verifier()
        monkeypatch.setattr(verify, "_verifier", lambda process: fresh)
        closing.append(fresh)

    closing: list[verify.Verifier] = []
    yield put
    for verifier in closing:
        verifier.close()
