import json

import av
import numpy as np
import pytest

from videolit.commands.synth import main
from videolit.synth.ceilings import ceilings
from videolit.synth.importance import BELL, EVENTS, FIRST, NEARER, WORTH
from videolit.synth.summaries import FRAME_RATE, plan_set, write_summary_set
from videolit.types import InputError

SMALL = {"num_train": 1, "num_val": 0, "num_test": 1, "seconds": (24, 28), "size": (48, 36)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_summary_set(tmp_path_factory.mktemp("set"), seed=3, **SMALL)


@pytest.fixture(scope="module")
def plans():
    return plan_set({"train": 40, "val": 0, "test": 40}, seed=0)


def _read(path):
    """Return the pictures, and the sound with the time of its first sample."""
    with av.open(str(path)) as file:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])
    with av.open(str(path)) as file:
        blocks = [(float(block.time), block.to_ndarray()[0]) for block in file.decode(audio=0)]
    return frames, np.concatenate([block for _, block in blocks]), blocks[0][0]


def test_a_set_is_what_its_files_say(made):
    scores, truth = (json.loads((made / f"{n}.json").read_text()) for n in ("scores", "truth"))
    assert sorted(scores) == sorted(truth) == ["test/000.mp4", "train/000.mp4"]
    for name, said in scores.items():
        frames, sound, _ = _read(made / name)
        seconds = len(frames) / FRAME_RATE
        assert 24 <= seconds <= 28.1
        assert frames.shape[1:] == (36, 48, 3)
        assert len(sound) / 16000 == pytest.approx(seconds, abs=0.1)
        assert sorted(said["users"]) == [f"u{n}" for n in range(8)]
        for rows in said["users"].values():
            starts, ends, values = np.array(rows).T
            assert np.array_equal(starts, 2.0 * np.arange(len(starts)))
            assert np.array_equal(ends[:-1], starts[1:])
            assert ends[-1] == pytest.approx(seconds, abs=1e-5)
            assert set(values) <= {0, 0.25, 0.5, 0.75, 1}
        shots, pieces = truth[name]["shots"], truth[name]["importance"]
        for parts in (shots, [{"start": a, "end": b} for a, b, _ in pieces]):
            assert parts[0]["start"] == 0
            assert parts[-1]["end"] == pytest.approx(seconds, abs=1e-5)
            assert all(a["end"] == b["start"] for a, b in zip(parts, parts[1:], strict=False))


def test_the_picture_jumps_where_a_shot_ends(made):
    truth = json.loads((made / "truth.json").read_text())
    for name, told in truth.items():
        frames, _, _ = _read(made / name)
        change = np.abs(np.diff(frames.astype(int), axis=0)).mean((1, 2, 3))
        bells = [round(s["bell"] * FRAME_RATE) for s in told["shots"] if s["bell"] is not None]
        frame_of_bell = np.isin(1 + np.arange(len(change)), [b + k for b in bells for k in (0, 15)])
        cuts = np.isin(
            1 + np.arange(len(change)), [round(s["start"] * FRAME_RATE) for s in told["shots"][1:]]
        )
        assert cuts.sum() == len(told["shots"]) - 1 >= 3
        assert change[cuts].min() > 1.3 * change[~cuts & ~frame_of_bell].max()


def test_a_bell_is_heard_when_it_is_seen(made):
    truth = json.loads((made / "truth.json").read_text())
    heard = 0
    for name, told in truth.items():
        frames, sound, begin = _read(made / name)
        # The frame around the picture: its yellow has no blue.
        edge = np.concatenate([frames[:, 1, 8:-8], frames[:, -2, 8:-8]], axis=1).astype(float)
        yellow = (edge[..., 0] - edge[..., 2]).mean(1) > 120
        assert begin == pytest.approx(0, abs=1e-3)
        # 1050 Hz and its partials are the bell's alone.
        size = 16000 // FRAME_RATE
        windows = sound[: len(sound) // size * size].reshape(-1, size) * np.hanning(size)
        power = np.abs(np.fft.rfft(windows)) ** 2
        pitch = np.fft.rfftfreq(size, 1 / 16000)
        loud = power[:, np.abs(pitch - 1260) < 40].sum(1)
        for shot in told["shots"]:
            if shot["bell"] is not None:
                at = round(shot["bell"] * FRAME_RATE)
                assert yellow[at : at + 15].all()
                assert not yellow[at - 5 : at].any()
                assert loud[at] > 20 * loud[at - 5 : at].max()
                heard += 1
    assert heard >= 1


def test_a_seed_gives_one_set_whatever_the_workers(made, tmp_path):
    again = write_summary_set(tmp_path / "again", seed=3, workers=2, **SMALL)
    for file in ("train/000.mp4", "test/000.mp4", "scores.json", "truth.json"):
        assert (again / file).read_bytes() == (made / file).read_bytes(), file


def test_a_run_goes_on_and_other_settings_are_refused(made):
    before = {file: file.stat().st_mtime_ns for file in made.rglob("*.*")}
    (made / "test/000.mp4").unlink()
    write_summary_set(made, seed=3, **SMALL)
    after = {file: file.stat().st_mtime_ns for file in made.rglob("*.*")}
    assert before.keys() == after.keys()
    assert before[made / "train/000.mp4"] == after[made / "train/000.mp4"]
    with pytest.raises(InputError, match="holds videos to summarise generated with other settings"):
        write_summary_set(made, seed=4, **SMALL)


def test_importance_follows_the_rule(plans):
    for plan in plans[:20]:
        seen = set()
        echo = np.zeros(len(plan.importance), bool)
        for shot in plan.shots:
            assert shot.first == (shot.event not in seen)
            seen.add(shot.event)
            if shot.bell is not None:
                assert shot.start < shot.bell <= shot.stop - 15
                echo[shot.bell + 15 : shot.bell + 15 + 120] = True
            if shot.replay_of is not None:
                assert plan.shots[shot.replay_of].event == shot.event
        for shot in plan.shots:
            plain = WORTH * EVENTS[shot.event] + FIRST * shot.first + NEARER * shot.nearer
            expected = plain + BELL * echo[shot.start : shot.stop]
            assert np.allclose(plan.importance[shot.start : shot.stop], expected)
        assert plan.shots[-1].stop == len(plan.importance)


def test_causes_do_not_tell_each_other(plans):
    shots = [shot for plan in plans for shot in plan.shots[1:]]
    causes = np.array([[EVENTS[s.event], s.first, s.bell is not None, s.nearer] for s in shots])
    # Four standard errors of a correlation of zero.
    assert np.abs(np.corrcoef(causes.T) - np.eye(4)).max() < 4 / len(shots) ** 0.5
    place = np.concatenate([np.linspace(0, 1, len(p.shots))[1:] for p in plans])
    assert abs(np.corrcoef(place, causes[:, 1])[0, 1]) < 4 / len(shots) ** 0.5


def test_memory_is_worth_more_than_a_frame_tells(plans):
    table = ceilings(plans)
    tau = {name: pair[0] for name, pair in table.items()}
    assert 0.45 < tau["rule"] < 0.6
    assert 0.15 < tau["event"] < 0.25
    assert tau["event"] + 0.1 < tau["bell and event"] < tau["without order"] < tau["rule"]
    assert abs(tau["random"]) < 0.02
    assert 0.3 < tau["annotators"] < tau["rule"]
    levels = np.concatenate([plan.scores.ravel() for plan in plans])
    shares = [np.mean(levels == level / 4) for level in range(5)]
    assert min(shares) > 0.08
    assert sum(shares) == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_train": -1}, "give at least one video"),
        ({"num_train": 0, "num_test": 0}, "give at least one video"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"num_users": 0}, "num_users and workers at least 1"),
        ({"seconds": (5, 20)}, "seconds must be"),
        ({"size": (97, 72)}, "size must be even"),
    ],
)
def test_settings_out_of_range_are_told(change, message, tmp_path):
    with pytest.raises(InputError, match=message):
        write_summary_set(tmp_path / "x", **SMALL | change)
    assert not (tmp_path / "x").exists()


def test_the_command_tells_what_is_attainable(tmp_path, capsys):
    assert main(["summary", str(tmp_path / "x"), "--train=0", "--val=0", "--test=1"]) == 0
    told = capsys.readouterr().out
    assert "what a single frame tells" in told
    assert "Written: 1 in" in told
    assert (tmp_path / "x/test/000.mp4").exists()
