import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from html.parser import HTMLParser

import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from videolit import ActionDataModule, ActionTask, ClipSpec
from videolit.callbacks import (
    AtomicCheckpointIO,
    ChanceWarning,
    EvaluationCard,
    PredictionWriter,
    TemporalAudit,
    TestReport,
)
from videolit.callbacks.audit import audit_result
from videolit.callbacks.predictions import write_predictions
from videolit.callbacks.report import add_confused
from videolit.data.transforms import ClipTransform
from videolit.encoders import SmallClipEncoder, SmallFrameEncoder
from videolit.ops.files import atomic_path
from videolit.plots import Report
from videolit.temporal import RNN

# The bars at the sides are seen in the whole frame only.
SPEC = ClipSpec(num_frames=4, size=32, resize=32, num_crops=3)


def data(root, **settings):
    return ActionDataModule(
        str(root), **{"clip": SPEC, "batch_size": 4, "num_workers": 0, **settings}
    )


def trainer(folder, **settings):
    return pl.Trainer(
        **{
            "accelerator": "cpu",
            "max_epochs": 1,
            "logger": pl.loggers.CSVLogger(folder, name="", version="run"),
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "enable_checkpointing": False,
            **settings,
        }
    )


@pytest.fixture(scope="module")
def tested(tiny_set, tmp_path_factory):
    """The folder and the callbacks of a test with everything on, of a checkpoint."""
    folder = tmp_path_factory.mktemp("tested")
    pl.seed_everything(3, verbose=False)
    task = ActionTask(
        SmallFrameEncoder(width=4),
        partial(RNN, hidden_size=8),
        optimizer=partial(torch.optim.AdamW, lr=1e-2),
    )
    fit = trainer(folder, max_epochs=6)
    fit.fit(task, datamodule=data(tiny_set))
    fit.save_checkpoint(folder / "a.ckpt")
    callbacks = [TemporalAudit(), EvaluationCard(), TestReport()]
    trainer(folder, callbacks=callbacks).test(
        task, datamodule=data(tiny_set), ckpt_path=folder / "a.ckpt", verbose=False
    )
    return folder, callbacks, task


def test_the_card_tells_figure_and_protocol(tested, tiny_set):
    folder, (_, callback, _), task = tested
    (path,) = (folder / "run").glob("evaluation-*.json")
    card = json.loads(path.read_text())
    assert card == callback.card
    assert path.name == f"evaluation-set-{card['split_hash']}.json"
    index, label, scores = callback.samples
    accuracy = float((scores.argmax(-1) == label).float().mean())
    assert card["metrics"]["accuracy"] == pytest.approx(accuracy)
    low, high = card["accuracy_interval_95"]
    assert low <= accuracy <= high
    assert (
        card["num_scored"] == card["num_samples"] == len(index) == sum(map(sum, card["confusion"]))
    )
    assert card["checkpoint_sha256"] == hashlib.sha256((folder / "a.ckpt").read_bytes()).hexdigest()
    assert card["clip"] == SPEC.to_dict()
    assert card["protocol"] == SPEC.describe()
    assert card["decoder"] == "auto"
    assert card["metrics"]["majority"] == pytest.approx(1 / 3)
    assert card["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert set(card["versions"]) >= {"videolit", "decord", "av", "lightning"}
    assert card["classes"] == task.class_names


def test_the_samples_table_adds_up(tested):
    folder, (_, callback, _), _ = tested
    (path,) = (folder / "run").glob("samples-*.csv")
    with path.open() as handle:
        rows = list(csv.DictReader(handle))
    right = np.mean([int(row["right"]) for row in rows])
    assert right == pytest.approx(callback.card["metrics"]["accuracy"])
    assert all(row["path"].startswith(row["label"] + "/") for row in rows)
    assert next((folder / "run").glob("confusion-*.png")).stat().st_size > 5000


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


def test_the_report_is_whole_and_self_contained(tested):
    folder, (audit, callback, _), _ = tested
    (path,) = (folder / "run").glob("report-*.html")
    text = path.read_text()
    page = Page()
    page.feed(text)
    assert f"{callback.card['metrics']['accuracy']:.1%}" in text
    assert callback.card["split_hash"] in text
    assert audit.result["sentence"][1:20] in text
    sources = [a["src"] for _, a in page.tags if "src" in a]
    assert sources
    assert all(source.startswith("data:") for source in sources)
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_the_audit_scores_changed_clips(tested):
    folder, (audit, callback, _), _ = tested
    assert json.loads(next((folder / "run").glob("audit-*.json")).read_text()) == audit.result
    assert audit.result["accuracy"] == pytest.approx(callback.card["metrics"]["accuracy"])
    assert set(audit.result["per_class"]) == {"go_left", "go_right", "stay"}
    for kind in ("frozen", "shuffled", "reversed"):
        assert callback.card["metrics"][f"accuracy_{kind}"] == audit.result[kind]
        per_class = [scores[kind] for scores in audit.result["per_class"].values()]
        assert np.mean(per_class) == pytest.approx(audit.result[kind])


def test_a_model_blind_to_time_is_told_so(tiny_set, tmp_path):
    """Frames of the tiny set differ in grey only: an order-free model keeps its answers."""
    pl.seed_everything(0, verbose=False)
    task = ActionTask(SmallFrameEncoder(width=8), optimizer=partial(torch.optim.AdamW, lr=1e-2))
    # The bars at the sides tell the classes apart: neither crop may cut them off.
    whole = {
        "clip": ClipSpec(num_frames=4, size=32, resize=32, stretch=True),
        "train_transform": ClipTransform(scale=(0.9, 1.0)),
    }
    fit = trainer(tmp_path, max_epochs=25)
    fit.fit(task, datamodule=data(tiny_set, **whole))
    audit = TemporalAudit()
    run = trainer(tmp_path, callbacks=[audit])
    run.test(task, datamodule=data(tiny_set, **whole), verbose=False)
    assert audit.result["accuracy"] > 0.6
    assert audit.result["shuffled"] == audit.result["reversed"] == audit.result["accuracy"]
    assert "order" in audit.result["sentence"] or "hardly uses time" in audit.result["sentence"]
    assert "depends on the order" not in audit.result["sentence"]


@pytest.mark.parametrize(
    ("accuracy", "changed", "words"),
    [
        (0.12, {"frozen": 0.1, "shuffled": 0.1, "reversed": 0.1}, "nothing to audit"),
        (0.9, {"frozen": 0.2, "shuffled": 0.3, "reversed": 0.1}, "depends on the order"),
        (0.9, {"frozen": 0.7, "shuffled": 0.7, "reversed": 0.8}, "for a part of its answers"),
        (0.9, {"frozen": 0.5, "shuffled": 0.9, "reversed": 0.88}, "hardly their order"),
        (0.9, {"frozen": 0.9, "shuffled": 0.9, "reversed": 0.95}, "hardly uses time"),
    ],
)
def test_the_audits_sentence(accuracy, changed, words):
    result = audit_result(accuracy, changed, baseline=0.1)
    assert words in result["sentence"]
    assert all(0 <= lost <= 1 for lost in result["lost"].values())


def test_chance_is_noticed_once_early_and_at_the_end(tiny_set, tmp_path):
    task = ActionTask(SmallClipEncoder(width=4), optimizer=partial(torch.optim.SGD, lr=0.0))
    with pytest.warns(UserWarning, match="still at chance") as told:
        trainer(tmp_path, max_epochs=6, callbacks=[ChanceWarning()]).fit(
            task, datamodule=data(tiny_set, train_transform=None)
        )
    texts = [str(w.message) for w in told if "still at chance" in str(w.message)]
    assert len(texts) == 2
    assert "after epoch 2 of 6" in texts[0]
    assert "motion difference" in texts[0]
    assert "at the end" in texts[1]


def test_chance_is_not_cried_when_it_learns(tiny_set, tmp_path, recwarn):
    task = ActionTask(SmallFrameEncoder(width=4))
    callback = ChanceWarning()
    run = trainer(tmp_path, max_epochs=3, callbacks=[callback])
    run.callback_metrics["val/accuracy"] = torch.tensor(0.9)
    callback._best, callback._limit = 0.9, 0.5
    callback._warn("at the end", task)
    assert not [w for w in recwarn if "chance" in str(w.message)]


def test_predictions_keep_order_and_error_rows(tiny_set, tmp_path):
    task = ActionTask(SmallFrameEncoder(width=4), class_names=["go_left", "go_right", "stay"])
    (tmp_path / "bad.mp4").write_text("no video")
    files = [
        tiny_set / "stay/ann_stay.mp4",
        tmp_path / "bad.mp4",
        tiny_set / "go_left/bob_go_left.mp4",
    ]
    predicted = ActionDataModule(
        clip=SPEC, predict_paths=[str(f) for f in files], batch_size=2, num_workers=0
    )
    writer = PredictionWriter(folder=str(tmp_path / "out"))
    trainer(tmp_path, callbacks=[writer]).predict(
        task, datamodule=predicted, return_predictions=False
    )
    rows = [json.loads(line) for line in (tmp_path / "out/predictions.jsonl").open()]
    assert rows == writer.rows
    assert [row["status"] for row in rows] == ["ok", "error", "ok"]
    assert [row["path"].rpartition("/")[2] for row in rows] == [f.name for f in files]
    assert "not a video" in rows[1]["error"]
    assert sum(rows[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert list(rows[0]["probabilities"].values()) == sorted(
        rows[0]["probabilities"].values(), reverse=True
    )
    with (tmp_path / "out/predictions.csv").open() as handle:
        table = list(csv.DictReader(handle))
    assert [row["status"] for row in table] == ["ok", "error", "ok"]
    assert table[1]["error"] == rows[1]["error"]
    assert {f.name for f in (tmp_path / "out").iterdir()} == {
        "predictions.jsonl",
        "predictions.csv",
    }


def test_odd_file_names_survive_the_files(tmp_path):
    name = os.fsdecode('Ünï,\n"x" '.encode() + b"\xff.mp4")
    row = {
        "path": name,
        "status": "ok",
        "label": "a",
        "probability": 1.0,
        "probabilities": {"a": 1.0},
    }
    write_predictions([row], tmp_path)
    (found,) = [json.loads(line) for line in (tmp_path / "predictions.jsonl").open()]
    assert os.fsencode(found["path"]) == os.fsencode(name)
    with (tmp_path / "predictions.csv").open(errors="surrogateescape", newline="") as handle:
        assert next(csv.DictReader(handle))["path"] == name


def test_atomic_path_keeps_the_old_file_on_error(tmp_path):
    target = tmp_path / "new" / "a.json"
    with atomic_path(target) as part:
        part.write_text("old")
        assert not target.exists()
        assert part.suffix == ".json"

    def fail():
        with atomic_path(target) as part:
            part.write_text("half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="full"):
        fail()
    assert target.read_text() == "old"
    assert list(target.parent.iterdir()) == [target]


def test_a_killed_save_leaves_the_old_checkpoint(tmp_path):
    code = """
import sys, torch
from videolit.callbacks import AtomicCheckpointIO
io = AtomicCheckpointIO()
step = 0
while True:
    io.save_checkpoint({"step": step, "weights": torch.zeros(2_000_000)}, sys.argv[1])
    if step == 0:
        print("started", flush=True)
    step += 1
"""
    target = tmp_path / "last.ckpt"
    for kill in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout.readline() == "started\n"
        time.sleep(0.05 + 0.07 * kill)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert torch.load(target, weights_only=True)["step"] >= 0


def test_a_failed_save_raises_and_leaves_nothing(tmp_path):
    with pytest.raises(Exception, match="pickle|Pickl|local"):
        AtomicCheckpointIO().save_checkpoint({"x": lambda: 0}, tmp_path / "a.ckpt")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no UTF-8")
def test_files_whose_names_are_no_text_are_on_card_and_page(tiny_set, tmp_path):
    root = tmp_path / "set"
    for split, person in (("train", "ann"), ("val", "bob"), ("test", "cem")):
        for name in ("go_left", "stay"):
            folder = root / split / name
            folder.mkdir(parents=True)
            source = tiny_set / name / f"{person}_{name}.mp4"
            (folder / os.fsdecode(b"odd_\xff.mp4")).write_bytes(source.read_bytes())
    pl.seed_everything(3, verbose=False)
    task = ActionTask(SmallFrameEncoder(width=4))
    module = data(root)
    trainer(tmp_path, max_steps=1, limit_val_batches=0).fit(task, datamodule=module)
    with torch.no_grad():
        # Everything is taken for the first class, so that there is a confused pair.
        task.head.weight.zero_()
        task.head.bias.copy_(torch.tensor([5.0, 0.0]))
    callbacks = [EvaluationCard(), TestReport()]
    trainer(tmp_path, callbacks=callbacks).test(task, datamodule=module, verbose=False)
    (card,) = (tmp_path / "run").glob("evaluation-*.json")
    (pair,) = json.loads(card.read_text())["most_confused"]
    assert pair["examples"] == ["test/stay/odd_\udcff.mp4"]
    (page,) = (tmp_path / "run").glob("report-*.html")
    assert "odd_" in page.read_text(encoding="utf-8")


def test_a_report_of_a_model_without_mistakes_says_so():
    report = Report("perfect")
    add_confused(report, {"most_confused": []}, {}, 6)
    assert "No clip was taken for another class." in report.html()
