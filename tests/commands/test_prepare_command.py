"""``videolit prepare`` as a user meets it."""

import json

import pytest

from videolit import cli
from videolit.data.prepare import target_of


@pytest.fixture
def data(tiny_set, tmp_path):
    root = tmp_path / "data"
    for file in sorted(tiny_set.rglob("*.mp4")):
        target = root / file.relative_to(tiny_set)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    return root


def test_prepare_then_train_test_and_check(data, tmp_path, capsys):
    out = tmp_path / "prepared"
    command = ["prepare", str(data), "--out", str(out), "--short-side", "32", "--workers", "2"]
    assert cli.main(command) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "18 of 18 videos are prepared" in told
    assert "(18 of them now" in told
    assert f"videolit fit --config action/folder_r2plus1d --data.root {out}" in told
    assert cli.main(command) == 0
    assert "(0 of them now" in " ".join(capsys.readouterr().out.split())

    runs = tmp_path / "runs"
    shared = ["--config", "action/small_cnn_rnn", "--data.root", str(out)]
    shared += ["--data.num_workers", "0", "--trainer.default_root_dir", str(runs)]
    shared += ["--data.clip.size", "32", "--data.clip.resize", "32"]
    assert cli.main(["fit", *shared, "--trainer.max_epochs", "1"]) == 0
    best = runs / "small_cnn_rnn/fit_0/checkpoints/best.ckpt"
    assert cli.main(["test", *shared, "--ckpt_path", str(best)]) == 0
    card = json.loads(next(runs.rglob("evaluation-*.json")).read_text())
    assert card["decoder"] == "prepared: short side 32, JPEG quality 90"

    capsys.readouterr()
    assert cli.main(["prepare", "--check", str(out)]) == 0
    assert "18 of 18 videos are as they were written" in capsys.readouterr().out
    target_of(out, "stay/ann_stay.mp4").unlink()
    assert cli.main(["prepare", "--check", str(out)]) == 1
    assert "missing" in capsys.readouterr().out
    assert cli.main(command) == 0
    assert "(1 of them now" in " ".join(capsys.readouterr().out.split())
    assert cli.main(["prepare", "--check", str(out)]) == 0


def test_broken_videos_are_listed_and_left_out(data, tmp_path, capsys):
    for file in (data / "stay").iterdir():
        file.write_bytes(b"no video" * 50)
    code = cli.main(["prepare", str(data), "--out", str(tmp_path / "p"), "--workers", "1"])
    told = " ".join(capsys.readouterr().out.split())
    assert code == 1
    assert "12 of 18 videos are prepared" in told
    assert "stay/ann_stay.mp4 not a video" in told
    assert "No video is left of the class stay" in told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["DATA"], "--out DIR is missing"),
        (["DATA", "--out", "DATA/prepared"], "lies inside the data"),
        (["DATA", "--out", "DATA"], "lies inside the data"),
        (["nowhere", "--out", "OUT"], "no data at"),
        (["DATA", "--out", "OUT", "--quality", "101"], "quality must be 1 to 100"),
        (["DATA", "--out", "OUT", "--workers", "0"], "--workers must be at least 1"),
        (["--check", "DATA"], "no prepared set"),
    ],
)
def test_mistakes_are_told_in_one_message(options, message, data, tmp_path, capsys):
    places = {"DATA": str(data), "OUT": str(tmp_path / "out")}
    words = [word.replace("DATA", places["DATA"]).replace("OUT", places["OUT"]) for word in options]
    assert cli.main(["prepare", *words]) == 2
    told = capsys.readouterr().err
    assert told.startswith("videolit: error: ")
    assert message in told
    assert not (tmp_path / "out").exists()


def test_videolit_check_sends_to_the_right_command(data, tmp_path, capsys):
    out = str(tmp_path / "out")
    cli.main(["prepare", str(data), "--out", out, "--workers", "1"])
    assert cli.main(["check", out]) == 2
    assert "videolit prepare --check" in capsys.readouterr().err
