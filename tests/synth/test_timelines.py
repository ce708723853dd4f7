import numpy as np
import pytest

from videolit.data.index import IndexCache
from videolit.data.reader import VideoReader
from videolit.synth.actions import ACTIONS
from videolit.synth.timelines import write_timeline
from videolit.types import InputError

SMALL = {"num_actions": 3, "size": (64, 48), "still": (1.0, 2.0)}


def test_actions_move_and_what_lies_between_does_not(tmp_path):
    path = tmp_path / "long.mp4"
    planted = write_timeline(path, seed=4, actions=("jump", "sit_down"), **SMALL)
    assert {p.name for p in planted} <= {"jump", "sit_down"}
    assert len(planted) == 3
    with VideoReader(path, cache=IndexCache()) as reader:
        frames = reader.read(range(reader.num_frames)).astype(int)
        times, fps = reader.timestamps, reader.fps
    assert fps == pytest.approx(15)
    change = np.abs(np.diff(frames, axis=0)).mean((1, 2, 3))
    moving = np.zeros(len(change), bool)
    last = 0.0
    for start, end, _ in planted:
        assert 1 <= start - last <= 2.05
        moving |= (times[1:] > start + 1e-3) & (times[1:] < end - 1e-3)
        last = end
    assert 1 <= times[-1] + 1 / 15 - last <= 2.05
    assert np.median(change[moving]) > 1.5 * np.median(change[~moving])


def test_a_seed_gives_one_video(tmp_path):
    made = [write_timeline(tmp_path / f"{n}.mp4", seed=n // 2, **SMALL) for n in range(3)]
    assert made[0] == made[1] != made[2]
    content = [(tmp_path / f"{n}.mp4").read_bytes() for n in range(3)]
    assert content[0] == content[1] != content[2]
    assert {p.name for p in made[0]} <= set(ACTIONS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_actions": 0}, "give at least one action"),
        ({"actions": ()}, "give at least one action"),
        ({"still": (2.0, 1.0)}, "still must be"),
        ({"actions": ("fly",)}, "there is no action 'fly'"),
    ],
)
def test_settings_out_of_range(settings, message, tmp_path):
    with pytest.raises(InputError, match=message):
        write_timeline(tmp_path / "x.mp4", seed=0, **settings)
    assert not list(tmp_path.iterdir())
