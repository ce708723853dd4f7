from fractions import Fraction

import av
import numpy as np
import pytest

from videolit.data.sound_writer import write_video_with_sound
from videolit.types import InputError

RATE = 16000


def _flashes(fps, times, seconds=4.0, size=(48, 64)):
    """Black frames and silence, with a flash and a click at each time."""
    count = round(seconds * fps)
    frames = np.zeros((count, *size, 3), np.uint8)
    sound = np.zeros(round(seconds * RATE), np.float32)
    for time in times:
        frames[round(time * fps)] = 255
        sound[round(time * RATE) : round(time * RATE) + 160] = 0.9
    return frames, sound


def _decode(path):
    """Return brightness and loudness with their times in seconds."""
    with av.open(str(path)) as file:
        light = [(float(f.time), f.to_ndarray(format="gray").mean()) for f in file.decode(video=0)]
    with av.open(str(path)) as file:
        loud = []
        for f in file.decode(audio=0):
            values = np.abs(f.to_ndarray()[0])
            loud += [(float(f.time) + n / RATE, value) for n, value in enumerate(values)]
    return np.array(light), np.array(loud)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("fps", [15, Fraction(30000, 1001)])
def test_a_click_is_heard_with_its_flash(suffix, fps, tmp_path):
    frames, sound = _flashes(float(fps), (1.0, 2.6))
    path = write_video_with_sound(tmp_path / f"x{suffix}", frames, fps, sound, RATE)
    light, loud = _decode(path)
    assert len(light) == len(frames)
    assert light[0, 0] == pytest.approx(0, abs=1e-3)
    for time in (1.0, 2.6):
        near = np.abs(light[:, 0] - time) < 0.3
        seen = light[near][light[near][:, 1].argmax(), 0]
        near = np.abs(loud[:, 0] - time) < 0.3
        heard = loud[near][loud[near][:, 1] > 0.3][0, 0]
        assert abs(seen - heard) < 0.5 / fps
        assert heard == pytest.approx(time, abs=0.005)
    assert loud[-1, 0] == pytest.approx(4.0, abs=0.1)


def test_equal_input_gives_equal_bytes(tmp_path):
    generator = np.random.default_rng(0)
    # A size at which x264 by itself gives other bytes from run to run.
    coarse = generator.integers(0, 255, (17, 21, 3)).repeat(6, axis=0).repeat(6, axis=1)
    grain = generator.integers(-4, 5, (30, 72, 96, 3))
    moving = np.stack([coarse[n : n + 72, n : n + 96] for n in range(30)])
    frames = (moving * 0.9 + 8 + grain).clip(0, 255).astype(np.uint8)
    sound = generator.uniform(-0.5, 0.5, 2 * RATE).astype(np.float32)
    contents, kept = set(), []
    for count in (100, 200_000, 7, 90_000, 30_000, 1000):
        kept.append(generator.standard_normal(count))
        path = write_video_with_sound(
            tmp_path / "a.mp4", (x.copy() for x in frames), 15, sound, RATE
        )
        contents.add(path.read_bytes())
    assert len(contents) == 1
    sound[100] += 0.4
    path = write_video_with_sound(tmp_path / "b.mp4", frames, 15, sound, RATE)
    assert path.read_bytes() not in contents


GOOD = {
    "frames": np.zeros((3, 16, 16, 3), np.uint8),
    "fps": 15,
    "sound": np.zeros(3200, np.float32),
    "sample_rate": RATE,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": np.zeros((0, 16, 16, 3), np.uint8)}, "there are no frames"),
        ({"frames": np.zeros((3, 15, 16, 3), np.uint8)}, "must be even, got 16×15"),
        ({"frames": np.zeros((3, 16, 16, 3))}, "frames must be uint8 RGB"),
        ({"frames": [np.zeros((s, 16, 3), np.uint8) for s in (16, 18)]}, "frame 1 is uint8"),
        ({"fps": 0}, "fps must be a number above 0"),
        ({"sound": np.zeros((2, 9), np.float32)}, r"sound must be float32 of shape \(N,\)"),
        ({"sound": np.zeros(9, np.int16)}, r"got int16 \(9,\)"),
        ({"sound": np.full(9, 2.0)}, "divide it by its peak"),
        ({"sound": np.full(9, np.nan)}, "without NaN"),
        ({"sample_rate": 12345}, "AAC has no sample rate 12345"),
    ],
)
def test_what_cannot_be_written_is_told_and_leaves_nothing(change, message, tmp_path):
    with pytest.raises(InputError, match=message):
        write_video_with_sound(tmp_path / "x.mp4", **GOOD | change)
    assert not list(tmp_path.iterdir())


def test_the_suffix_chooses_the_container(tmp_path):
    with pytest.raises(InputError, match=r"expected one of \.mp4"):
        write_video_with_sound(tmp_path / "x.gif", **GOOD)
