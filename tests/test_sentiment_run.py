"""Sentiment from files to an evaluation card, through the command line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest
import torch
import yaml
from sentiment_files import write_own_set

from videolit import cli
from videolit.data.sentiment import SentimentDataModule
from videolit.tasks.checkpoint import load_task
from videolit.types import ClipSpec

CONFIG = {
    "model": {
        "class_path": "SentimentTask",
        "init_args": {
            "encoder": {"class_path": "SmallFrameEncoder", "init_args": {"width": 8}},
            "sound": {
                "class_path": "SoundEncoder",
                "init_args": {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "num_mels": 16},
            },
            "text": {
                "class_path": "TextEncoder",
                "init_args": {"num_tokens": 200, "hidden_size": 16, "dropout": 0.1},
            },
            "fusion": {"class_path": "BottleneckFusion", "init_args": {"num_features": 16}},
            "targets": {"classes": 1.0, "score": 0.3, "affect": 0.3},
            "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.01}},
        },
    },
    "data": {
        "class_path": "SentimentDataModule",
        "init_args": {
            "clip": {"sampling": "whole", "num_frames": 4, "fps": 5, "size": 16, "resize": 20},
            "batch_size": 2,
            "num_workers": 0,
            "fold": 0,
            "num_folds": 2,
            "min_count": 1,
        },
    },
    "trainer": {
        "accelerator": "cpu",
        "max_epochs": 6,
        "enable_progress_bar": False,
        "callbacks": [
            {
                "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
                "init_args": {"monitor": "val/loss", "filename": "best"},
            },
            {
                "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
                "init_args": {"filename": "last", "enable_version_counter": False},
            },
        ],
    },
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a function that runs a verb, and the folder of the runs; a model is trained there."""
    folder = tmp_path_factory.mktemp("run")
    root = write_own_set(folder / "own", speakers=6)
    config = folder / "tiny.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    lexicon = folder / "rated.csv"
    lexicon.write_text("lovely,2\nsad,-2\n")

    def start(verb, *more):
        base = [verb, "--config", str(config), "--data.root", str(root)]
        base += ["--data.lexicon", str(lexicon)]
        return cli.main([*base, "--trainer.default_root_dir", str(folder / "runs"), *more])

    assert start("fit") == 0
    return start, folder


def last(folder, verb):
    return max((folder / "runs" / "tiny").glob(f"{verb}_*"))


def test_the_card_names_its_conventions_and_stands_beside_constants(run, capsys):
    start, folder = run
    best = last(folder, "fit") / "checkpoints" / "best.ckpt"
    assert start("test", "--ckpt_path", str(best)) == 0
    shown = capsys.readouterr().out
    heads = [f"{name}'s own head" for name in ("video", "sound", "text")]
    for said in ("weighted_f1", *heads, "most frequent class", "without the fusion"):
        assert said in shown
    (path,) = last(folder, "test").glob("evaluation-own-*.json")
    card = json.loads(path.read_text())
    metrics = card["metrics"]
    assert card["num_scored"] == card["num_samples"] == 6
    assert card["convention"] == "emotion"
    assert card["division"] == "fold 0 of 2 by group, seed 0"
    assert card["num_with"] == {"video": 4, "sound": 3, "text": 5}
    assert card["missing"]["sound: the sound is silent"] == 1
    for name in ("war", "uar", "weighted_f1", "mae", "corr", "acc2_has0", "acc2_non0", "ccc"):
        assert name in metrics
    assert {"weighted_f1", "acc2_has0", "acc2_non0", "acc7_away", "ccc"} <= set(card["meaning"])
    # Two classes, equally many: the most frequent one is right half of the time.
    assert metrics["majority_war"] == 0.5
    assert metrics["uar"] >= 0.5
    assert set(card["alone"]) == {"video", "sound", "text"}
    assert card["model"]["sound"] == "SoundEncoder"
    assert sum(card["mean_weight"].values()) == pytest.approx(1, abs=1e-5)
    (samples,) = last(folder, "test").glob("samples-own-*.csv")
    with samples.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    right = sum(row["label"] == row["predicted"] for row in rows) / 6
    assert right == pytest.approx(metrics["war"])
    error = sum(abs(float(row["score"]) - float(row["true_score"])) for row in rows) / 6
    assert error == pytest.approx(metrics["mae"], abs=1e-3)


def test_a_set_without_training_utterances_is_read_by_the_checkpoints_words(run, capsys):
    start, folder = run
    manifest = folder / "own" / "manifest.csv"
    with manifest.open() as file:
        rows = [{**row, "split": "test"} for row in csv.DictReader(file)]
    with (folder / "own" / "tested.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    best = last(folder, "fit") / "checkpoints" / "best.ckpt"
    tested = ("--data.root", str(folder / "own" / "tested.csv"), "--data.fold", "null")
    tested += ("--data.lexicon", "null")
    with pytest.warns(UserWarning, match="of 12 test utterances were used in training"):
        assert start("test", "--ckpt_path", str(best), *tested) == 0
    card = json.loads(next(last(folder, "test").glob("evaluation-*.json")).read_text())
    assert card["num_samples"] == len(rows)
    assert card["num_with"]["text"] > 0
    # The checkpoint brings them.
    assert card["tokenizer"].endswith("tokens, 2 rated words")
    capsys.readouterr()


def test_predictions_tell_what_each_modality_says_and_why_one_is_missing(run):
    start, folder = run
    best = last(folder, "fit") / "checkpoints" / "best.ckpt"
    assert start("predict", "--ckpt_path", str(best)) == 0
    lines = (last(folder, "predict") / "predictions.jsonl").read_text().splitlines()
    rows = {row["path"]: row for row in map(json.loads, lines)}
    assert len(rows) == 6
    silent = rows["s0_1.mp4"]
    assert set(silent["modalities"]) == {"video", "text"}
    assert silent["missing"] == {"sound": "the sound is silent"}
    assert sum(each["weight"] for each in silent["modalities"].values()) == pytest.approx(1)
    assert {"label", "probabilities", "score", "valence", "arousal"} <= set(silent)
    assert set(silent["modalities"]["text"]) == {
        *("weight", "label", "probability", "probabilities", "score", "valence", "arousal")
    }


def test_what_nobody_labelled_can_be_predicted_and_nothing_else(run, tmp_path, capsys):
    start, folder = run
    with (folder / "own" / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    columns = [name for name in rows[0] if name not in ("label", "score", "valence", "arousal")]
    new = folder / "own" / "new.csv"
    with new.open("w", newline="") as file:
        table = csv.DictWriter(file, columns, extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    best = str(last(folder, "fit") / "checkpoints" / "best.ckpt")
    more = ("--data.root", str(new))
    assert start("predict", "--ckpt_path", best, *more) == 0
    found = (last(folder, "predict") / "predictions.jsonl").read_text().splitlines()
    said = [json.loads(line) for line in found]
    assert len(said) == len(rows)
    assert all(set(row["probabilities"]) == {"glad", "sad"} for row in said)
    # As the labelled set is answered, whose labels predicting never reads.
    assert start("predict", "--ckpt_path", best) == 0
    known = (last(folder, "predict") / "predictions.jsonl").read_text().splitlines()
    assert set(known) < set(found)
    # What the configuration tells of other data, and what some rows tell, changes nothing.
    with new.open("w", newline="") as file:
        table = csv.DictWriter(file, [*columns, "score"], extrasaction="ignore")
        table.writeheader()
        table.writerows(rows[:1] + [{**row, "score": ""} for row in rows[1:]])
    given = ("--data.class_names", "[a, b, c]", "--data.affect_range", "[-2, 2]")
    assert start("predict", "--ckpt_path", best, *more, *given, "--data.fold", "null") == 0
    some = (last(folder, "predict") / "predictions.jsonl").read_text().splitlines()
    assert set(some) < set(found)
    with new.open("w", newline="") as file:
        table = csv.DictWriter(file, columns, extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    for verb, why in (("fit", "the train split is empty"), ("test", "nothing to test")):
        ckpt = () if verb == "fit" else ("--ckpt_path", best)
        assert start(verb, *ckpt, *more, "--trainer.default_root_dir", str(tmp_path)) == 2
        told = capsys.readouterr().err
        assert f"{why}: none of the utterances has a label, score, valence or arousal" in told


def test_a_checkpoint_needs_no_list_of_words(run, tmp_path, capsys):
    start, folder = run
    best = ("--ckpt_path", str(last(folder, "fit") / "checkpoints" / "best.ckpt"))
    cards = []
    for lexicon in ("rated.csv", "gone.csv"):
        assert start("test", *best, "--data.lexicon", str(folder / lexicon)) == 0
        cards.append(json.loads(next(last(folder, "test").glob("evaluation-*.json")).read_text()))
    assert cards[0]["metrics"] == cards[1]["metrics"]
    assert cards[1]["tokenizer"].endswith("2 rated words")
    elsewhere = ("--trainer.default_root_dir", str(tmp_path))
    assert start("fit", "--data.lexicon", str(folder / "gone.csv"), *elsewhere) == 2
    assert "cannot read" in capsys.readouterr().err


def test_a_checkpoint_gives_equal_answers_in_a_fresh_process(run, tmp_path):
    _, folder = run
    best = last(folder, "fit") / "checkpoints" / "best.ckpt"
    task = load_task(best)
    assert task.clip_spec == ClipSpec(**CONFIG["data"]["init_args"]["clip"])
    assert task.utterance_spec.tokenizer is not None
    code = (
        "import sys, torch\n"
        "from videolit.data.sentiment import SentimentDataModule\n"
        "from videolit import load_task\n"
        "task = load_task(sys.argv[1])\n"
        "data = SentimentDataModule(sys.argv[2], clip=task.clip_spec, num_workers=0)\n"
        "data.setup()\n"
        "data.adopt_tokenizer(task.utterance_spec.tokenizer)\n"
        "batch = next(iter(data.test_dataloader()))\n"
        "with torch.no_grad():\n"
        "    torch.save(tuple(task(batch)), sys.argv[3])\n"
    )
    found = tmp_path / "found.pt"
    command = [sys.executable, "-c", code, str(best), str(folder / "own"), str(found)]
    subprocess.run(command, check=True, timeout=120)
    data = SentimentDataModule(str(folder / "own"), clip=task.clip_spec, num_workers=0)
    data.setup()
    data.adopt_tokenizer(task.utterance_spec.tokenizer)
    batch = next(iter(data.test_dataloader()))
    with torch.no_grad():
        ours = task(batch)
    for one, two in zip(ours, torch.load(found, weights_only=True), strict=True):
        assert torch.equal(one, two)


def test_training_goes_on_as_if_it_had_not_stopped(run):
    start, folder = run
    whole = torch.load(last(folder, "fit") / "checkpoints" / "last.ckpt", weights_only=True)

    assert len(whole["videolit_train_ids"]) == 6
    assert start("fit", "--trainer.max_epochs", "3", "--model.schedule", "constant") == 0
    half = last(folder, "fit") / "checkpoints" / "last.ckpt"
    assert start("fit", "--model.schedule", "constant", "--ckpt_path", str(half)) == 0
    resumed = torch.load(last(folder, "fit") / "checkpoints" / "last.ckpt", weights_only=True)
    assert resumed["global_step"] == whole["global_step"]
    assert resumed["epoch"] == whole["epoch"]
    assert (
        json.loads(resumed["videolit"])["utterance_spec"]
        == json.loads(whole["videolit"])["utterance_spec"]
    )


def test_mistakes_end_with_a_sentence_and_exit_code_2(run, capsys):
    start, _ = run
    assert start("fit", "--model.targets", "{}") == 2
    assert "videolit: error: " in capsys.readouterr().err
    assert start("fit", "--model.targets", '{"mood": 1}') == 2
    assert "some of classes, score and affect" in capsys.readouterr().err
    assert start("fit", "--data.modalities", "[text]") == 2
    assert "the model takes video, sound, text, and the data gives text" in capsys.readouterr().err
    assert start("test") == 2
    assert "needs --ckpt_path" in capsys.readouterr().err


def test_a_wrong_row_met_in_a_loading_process_is_told_without_its_traceback(tmp_path, capsys):
    root = write_own_set(tmp_path / "own", speakers=6)
    table = root / "manifest.csv"
    head, *rows = table.read_text().splitlines()
    box = "face_left,face_top,face_right,face_bottom"
    lines = [f"{head},{box}", *(f"{row},2000,0,2100,90" for row in rows)]
    table.write_text("\n".join(lines) + "\n")
    config = tmp_path / "tiny.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    base = ["fit", "--config", str(config), "--data.root", str(root), "--data.num_workers", "1"]
    assert cli.main([*base, "--trainer.default_root_dir", str(tmp_path / "runs")]) == 2
    told = capsys.readouterr().err
    assert "a face is left, top, right and bottom in pixels" in told
    assert ".mp4, utterance" in told
    assert "Traceback" not in told
