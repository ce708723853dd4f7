import json
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import videolit
from videolit import cli
from videolit.commands import doctor
from videolit.commands.trainer import claim_run, plain_error
from videolit.data.writer import write_video
from videolit.types import InputError


@pytest.fixture(scope="module")
def checkpoint(tiny_set, tmp_path_factory):
    """A checkpoint made through the command line."""
    out = tmp_path_factory.mktemp("runs")
    code = cli.main(
        [
            "fit",
            *("--config", "action/small_cnn_rnn", "--data.root", str(tiny_set)),
            *("--data.batch_size", "4", "--data.num_workers", "0"),
            *("--data.clip.num_frames", "4", "--model.encoder.init_args.width", "4"),
            *("--trainer.max_epochs", "1", "--trainer.accelerator", "cpu"),
            *("--trainer.default_root_dir", str(out)),
        ]
    )
    assert code == 0
    return out / "small_cnn_rnn" / "fit_0" / "checkpoints" / "best.ckpt"


def test_fit_leaves_checkpoints_log_and_configuration(checkpoint, capsys):
    run = checkpoint.parent.parent
    assert {p.name for p in checkpoint.parent.iterdir()} == {"best.ckpt", "last.ckpt"}
    assert (run / "metrics.csv").is_file()
    assert (run / "config.yaml").is_file()
    assert list(run.glob("events.out.tfevents.*"))


def test_predict_files_and_folders(checkpoint, tiny_set, tmp_path, capsys):
    (tmp_path / "broken.mp4").write_bytes(b"\0" * 100)
    code = cli.main(
        ["predict", "--ckpt_path", str(checkpoint), str(tiny_set / "stay"), "--num_workers", "0"]
        + [str(tmp_path / "broken.mp4"), "--output", str(tmp_path / "out")]
    )
    told = capsys.readouterr().out
    assert code == 1
    rows = [json.loads(line) for line in (tmp_path / "out/predictions.jsonl").open()]
    assert len(rows) == 7
    assert [row["status"] for row in rows] == ["ok"] * 6 + ["error"]
    assert "ann_stay.mp4" in told
    assert "1 of 7 files could not be read" in told
    assert rows[0]["label"] in told


def test_predict_in_python_equals_the_command(checkpoint, tiny_set, tmp_path):
    file = tiny_set / "go_left" / "ann_go_left.mp4"
    (row,) = videolit.predict(checkpoint, file)
    cli.main(["predict", "--ckpt_path", str(checkpoint), str(file), "--output", str(tmp_path)])
    (written,) = [json.loads(line) for line in (tmp_path / "predictions.jsonl").open()]
    assert written == row
    task = videolit.load_task(checkpoint)
    assert task.class_names == ["go_left", "go_right", "stay"]
    assert task.clip_spec.num_frames == 4


def test_predict_says_what_is_wrong(checkpoint, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    code = cli.main(["predict", "--ckpt_path", str(checkpoint), str(tmp_path / "empty")])
    assert code == 2
    assert "no video in the folder" in capsys.readouterr().err


def test_check_lists_broken_files(tmp_path, capsys):
    for name in ("a", "b"):
        for number in range(2):
            frames = np.full((6, 32, 32, 3), 40 * number, np.uint8)
            write_video(tmp_path / name / f"{number}.mp4", frames, 10)
    assert cli.main(["check", str(tmp_path), "--workers", "1"]) == 0
    assert "4 of 4 videos can be used" in capsys.readouterr().out
    (tmp_path / "a" / "2.mp4").write_bytes((tmp_path / "a" / "0.mp4").read_bytes()[:700])
    (tmp_path / "b" / "2.mp4").write_text("<html>404</html>")
    assert cli.main(["check", str(tmp_path), "--workers", "2"]) == 1
    told = capsys.readouterr().out
    assert "4 of 6 videos can be used" in told
    assert "not a video" in told


def test_doctor_finds_this_machine_in_order(capsys):
    code = cli.main(["doctor"])
    told = capsys.readouterr().out
    for word in ("videolit", "Python", "torch", "pyav", "decord", "cores", "cache"):
        assert word in told
    assert code == 0, told


def test_doctor_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(doctor, "_driver", lambda: "470.1")
    assert cli.main(["doctor"]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "driver 470.1 found, but torch" in told
    assert "update the driver" in told

    def broken():
        raise ImportError("libfoo.so.1: cannot open shared object file")
        yield

    monkeypatch.setattr(doctor, "LOOKS", (broken,))
    assert cli.main(["doctor"]) == 1
    assert "libfoo.so.1" in capsys.readouterr().out


def test_runs_are_numbered(tmp_path):
    assert claim_run(tmp_path, "fit") == "fit_0"
    for name in ("fit_7", "test_9", "fit_x"):
        (tmp_path / name).mkdir()
    assert claim_run(tmp_path, "fit") == "fit_8"
    # Another run may claim a number between looking and making.
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda _: claim_run(tmp_path, "fit"), range(8)))
    assert len(set(names)) == 8


def test_parser_errors_are_boiled_down():
    tree = (
        'Parser key "data":\n  Does not validate against any of the Union subtypes\n'
        "  Subtypes: [x]\n  Errors:\n    - Problem with given class_path 'videolit.ActionTask':\n"
        "        Option 'rot' is not accepted\n    - Expected a <class 'NoneType'>\n"
        "  Given value type: y\n  Given value: z"
    )
    text = str(plain_error(tree, None))
    assert "Option 'rot' is not accepted" in text
    assert "Union" not in text
    assert "NoneType" not in text
    cause = ValueError("outer")
    cause.__cause__ = InputError("the real reason")
    assert str(plain_error(tree, cause)) == "the real reason"


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        (
            "data.test_groups",
            "[01,02]",
            "test_groups: expected a list of strings or null, got [1, 2]: quote what looks like a "
            """number, as '["01", "02"]'""",
        ),
        ("data.test_groups", "[99]", "expected a list of strings or null, got [99]"),
        ("data.modalities", "sound", "'text' or null, got sound: write it in brackets"),
        (
            "data.modalities",
            "[sond]",
            "a list of one of 'video', 'sound', 'text' or null, got ['so",
        ),
        (
            "model.targets",
            "{score:1.0}",
            "targets: expected a mapping of strings to numbers or null, got {score:1.0}: write it "
            "in braces with a space after each colon, as '{name: 1.0}'",
        ),
        ("model.targets", "score", "expected a mapping of strings to numbers or null, got score"),
        ("model.score_loss", "foo", "score_loss: expected one of 'l1', 'huber', got foo"),
        ("model.class_weights", "foo", "a number, a list of numbers or null, got foo"),
        ("data.batch_size", "x", "batch_size: expected a whole number, got x"),
        ("trainer.max_epochs", "x", "trainer.max_epochs: expected a whole number or null, got x"),
    ],
)
def test_parser_says_what_was_expected_and_what_came(option, value, told, capsys):
    start = ["fit", "--config", "sentiment/speech", "--data.root", "X"]
    assert cli.main([*start, f"--{option}", value]) == 2
    assert told in capsys.readouterr().err


def test_demo_end_to_end_in_small(tmp_path, capsys):
    code = cli.main(
        ["demo", "--out", str(tmp_path / "demo"), "--train", "20", "--val", "10", "--test", "10"]
        + ["--epochs", "1"]
    )
    told = capsys.readouterr().out
    assert code == 0
    page = (tmp_path / "demo" / "report.html").read_text()
    for word in ("R(2+1)D", "CNN + GRU", "no order"):
        assert word in told
        assert word in page
    assert "0.70" in told
    assert page.count("<img") > 40


def test_a_runs_own_configuration_starts_a_run_of_its_own(checkpoint, tiny_set, tmp_path):
    run = checkpoint.parent.parent
    before = {file: (run / file).read_bytes() for file in ("metrics.csv", "config.yaml")}
    settings = ["--config", str(run / "config.yaml"), "--ckpt_path", str(checkpoint)]
    assert cli.main(["test", *settings, "--trainer.enable_progress_bar", "false"]) == 0
    assert {file: (run / file).read_bytes() for file in before} == before
    assert (run.parent / "test_0").is_dir()


def test_predicting_labelled_parts_tells_them_apart(checkpoint, tiny_set, tmp_path):
    listing = tiny_set / "parts.csv"
    listing.write_text(
        "path,start,end\nstay/ann_stay.mp4,0,0.5\nstay/ann_stay.mp4,0.5,1.0\nstay/bob_stay.mp4,,\n"
    )
    cli.main(["predict", "--ckpt_path", str(checkpoint), str(listing), "--output", str(tmp_path)])
    listing.unlink()
    rows = [json.loads(line) for line in (tmp_path / "predictions.jsonl").open()]
    assert [(row.get("start"), row.get("end")) for row in rows] == [
        (0, 0.5),
        (0.5, 1),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["test"], "test needs --ckpt_path"),
        (["validate"], "validate needs --ckpt_path"),
        (["test", "--ckpt_path", "nope.ckpt"], "nope.ckpt: no such checkpoint"),
        (["test", "--ckpt_path", __file__], "not in PyTorch's file format"),
        (["fit", "--trainer.accelerator", "gpu"], "gpu|GPU|CUDA"),
        (["fit", "--data.batch_size", "0"], "batch_size must be at least 1, got 0"),
        (["fit", "--audit"], "--audit belongs to test"),
        (["fit", "--model.temporal", "LSTM"], "there is no class LSTM"),
    ],
)
def test_mistakes_are_told_and_leave_nothing(arguments, message, tiny_set, tmp_path, capsys):
    verb, *rest = arguments
    shared = ["--config", "action/small_cnn_rnn", "--data.root", str(tiny_set)]
    code = cli.main([verb, *shared, "--trainer.default_root_dir", str(tmp_path / "runs"), *rest])
    told = capsys.readouterr().err
    assert code == 2
    assert re.search(message, told), told
    assert not list((tmp_path / "runs").glob("*/*"))


def test_segments_after_the_end_are_found_before_training(tiny_set, capsys):
    listing = tiny_set / "late.csv"
    listing.write_text("path,label,start,end\nstay/ann_stay.mp4,a,100,101\nstay/bob_stay.mp4,b,,\n")
    code = cli.main(["check", str(listing), "--workers", "1"])
    listing.unlink()
    assert code == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "2 of 3 videos can be used" in told
    assert "labelled from 100 s o" in told


@pytest.fixture
def damaged(tiny_set, tmp_path):
    """The tiny set with one broken file in each split."""
    root = tmp_path / "damaged"
    for file in sorted(tiny_set.rglob("*.mp4")):
        person = file.name.partition("_")[0]
        split = {"eva": "val", "fay": "test"}.get(person, "train")
        target = root / split / file.relative_to(tiny_set)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"" if file.stem in BROKEN else file.read_bytes())
    return root


BROKEN = ("bob_stay", "eva_stay", "fay_stay")


@pytest.mark.filterwarnings("default:.*cannot read:UserWarning")
def test_broken_files_are_named_once_listed_and_never_in_a_figure(
    damaged, checkpoint, tmp_path, capsys, recwarn
):
    shared = ["--config", "action/small_cnn_rnn", "--data.root", str(damaged)]
    shared += ["--data.num_workers", "0", "--trainer.default_root_dir", str(tmp_path / "runs")]
    shared += ["--data.clip.num_frames", "4", "--data.batch_size", "4"]
    shared += ["--model.encoder.init_args.width", "4"]
    fit = ["fit", *shared, "--trainer.max_epochs", "3"]
    assert cli.main([*fit, "--data.max_bad_fraction", "0.2"]) == 0
    run = tmp_path / "runs/small_cnn_rnn/fit_0"
    listed = [json.loads(line) for line in (run / "quarantine.jsonl").open()]
    assert {row["path"] for row in listed} == {
        "train/stay/bob_stay.mp4",
        "val/stay/eva_stay.mp4",
    }
    assert len(listed) == 2
    assert all(row["reason"] and row["decoder"] == "auto" for row in listed)
    assert "data/unreadable" in (run / "metrics.csv").read_text().partition("\n")[0]
    named = [str(w.message) for w in recwarn if "cannot read" in str(w.message)]
    assert len(named) == 2

    assert cli.main(fit) == 2
    told = capsys.readouterr().err
    assert "more than the 1.0% that max_bad_fraction accepts" in told
    assert "eva_stay.mp4: " in told

    quarantine = ["--data.exclude", str(run / "quarantine.jsonl")]
    assert cli.main([*fit, *quarantine]) == 0

    test = ["test", *shared, "--ckpt_path", str(checkpoint)]
    assert cli.main(test) == 1
    told = capsys.readouterr()
    assert "on 2 of 3 samples" in told.out
    assert "1 file(s) could not be read" in told.err
    assert cli.main([*test, "--allow_missing"]) == 0
