"""Two processes through the command line give what one process gives."""

import csv
import json
import os
import subprocess
import sys

import pytest

from videolit import cli


@pytest.fixture(scope="module")
def listing(tiny_set):
    """Name the split of each person: test splits of 6 (even) and of 9 (odd over two processes)."""
    files = {}
    for name, test in {"even": ("eva", "fay"), "odd": ("dia", "eva", "fay")}.items():
        files[name] = tiny_set / f"{name}.csv"
        with files[name].open("w", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow(["path", "label", "split", "group"])
            for path in sorted(tiny_set.glob("*/*.mp4")):
                person = path.stem.partition("_")[0]
                split = "test" if person in test else "val" if person == "ann" else "train"
                row = [path.relative_to(tiny_set).as_posix(), path.parent.name, split, person]
                writer.writerow(row)
    yield files
    for file in files.values():
        file.unlink()


def arguments(verb, data, out, *more):
    return [
        verb,
        *("--config", "action/small_cnn_rnn", "--data.root", str(data)),
        *("--data.batch_size", "2", "--data.num_workers", "0", "--data.clip.num_frames", "4"),
        *("--model.encoder.init_args.width", "4", "--trainer.max_epochs", "2"),
        *("--trainer.accelerator", "cpu", "--trainer.default_root_dir", str(out)),
        *("--trainer.enable_progress_bar", "false"),
        *more,
    ]


def two_processes(verb, data, out, *more):
    """Run a verb with two gloo processes, as a user would."""
    command = [sys.executable, "-m", "videolit", *arguments(verb, data, out, *more)]
    command += ["--trainer.strategy", "ddp", "--trainer.devices", "2"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-30000:]
    return out / "small_cnn_rnn" / f"{verb}_0"


def one_process(verb, data, out, *more):
    assert cli.main(arguments(verb, data, out, *more)) == 0
    return out / "small_cnn_rnn" / f"{verb}_0"


@pytest.fixture(scope="module")
def trained(listing, tmp_path_factory):
    """A run of fit on two processes, without the people of either test split."""
    return two_processes("fit", listing["odd"], tmp_path_factory.mktemp("two"))


def test_fit_logs_the_metrics_that_one_process_finds(trained, listing, tmp_path):
    last = str(trained / "checkpoints" / "last.ckpt")
    validated = one_process("validate", listing["odd"], tmp_path, "--ckpt_path", last)
    with (trained / "metrics.csv").open() as handle:
        rows = [row for row in csv.DictReader(handle) if row["val/loss"]]
    with (validated / "metrics.csv").open() as handle:
        (expected,) = csv.DictReader(handle)
    for name in ("val/accuracy", "val/loss", "val/mean_class_accuracy", "val/majority"):
        assert float(rows[-1][name]) == pytest.approx(float(expected[name]), abs=1e-6), name


@pytest.mark.parametrize("split", ["even", "odd"])
def test_test_counts_every_sample_once(trained, listing, split, tmp_path):
    best = ("--ckpt_path", str(trained / "checkpoints" / "best.ckpt"), "--audit")
    folders = [
        run("test", listing[split], tmp_path / run.__name__, *best)
        for run in (one_process, two_processes)
    ]
    one, two = (json.loads(next(f.glob("evaluation-*.json")).read_text()) for f in folders)
    assert one["num_scored"] == two["num_scored"] == {"even": 6, "odd": 9}[split]
    assert two["metrics"] == pytest.approx(one["metrics"], abs=1e-6)
    assert two["confusion"] == one["confusion"]
    assert two["accuracy_interval_95"] == one["accuracy_interval_95"]
    assert (one["devices"], two["devices"]) == ("1 × cpu", "2 × cpu")
    for kind in ("samples", "confusion"):
        tables = [next(folder.glob(f"{kind}-*.csv")).read_text() for folder in folders]
        assert tables[0] == tables[1], kind


def test_predict_gives_each_row_once_in_order(trained, listing, tmp_path):
    best = ("--ckpt_path", str(trained / "checkpoints" / "best.ckpt"))
    folders = [
        run("predict", listing["odd"], tmp_path / run.__name__, *best)
        for run in (one_process, two_processes)
    ]
    one, two = (
        [json.loads(line) for line in (folder / "predictions.jsonl").open()] for folder in folders
    )
    assert len(one) == 9
    assert [row["path"] for row in two] == [row["path"] for row in one]
    for first, second in zip(one, two, strict=True):
        assert second["probabilities"] == pytest.approx(first["probabilities"], abs=1e-5)
    assert not list(folders[1].glob("*.part"))
