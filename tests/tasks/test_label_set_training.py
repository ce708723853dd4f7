"""Training, testing and predicting with several labels a clip."""

import csv
import json

import pytest
import torch

from videolit import ActionDataModule, ActionTask, ClipSpec, cli, load_task
from videolit.encoders import SmallFrameEncoder
from videolit.types import InputError


@pytest.fixture(scope="module")
def listing(tiny_set):
    """The bar's side, and "moves" wherever there is one; some clips without a label."""
    path = tiny_set / "several.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "labels", "split"])
        people = ("ann", "bob", "cem", "dia", "eva", "fay")
        for person, split in zip(people, ("train",) * 3 + ("val", "val", "test"), strict=True):
            rows.writerow([f"go_left/{person}_go_left.mp4", "go_left;moves", split])
            rows.writerow([f"go_right/{person}_go_right.mp4", "moves;go_right", split])
            rows.writerow([f"stay/{person}_stay.mp4", "", split])
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def trained(listing, tmp_path_factory):
    out = tmp_path_factory.mktemp("several")
    arguments = [
        *("--config", "action/folder_multilabel", "--data.root", str(listing)),
        *("--model.encoder", "SmallFrameEncoder", "--model.encoder.width", "8"),
        *("--data.clip.size", "32", "--data.clip.resize", "32", "--data.clip.num_frames", "4"),
        *(
            "--data.clip.num_views",
            "2",
            "--data.clip.stretch",
            "true",
            "--data.num_workers",
            "0",
            "--data.batch_size",
            "9",
        ),
        *("--data.train_transform.scale", "[0.9,1.0]", "--model.optimizer.lr", "0.01"),
        *("--model.encoder_lr", "0.01", "--model.dropout", "0", "--trainer.accelerator", "cpu"),
        *("--trainer.default_root_dir", str(out), "--trainer.enable_progress_bar", "false"),
    ]
    assert cli.main(["fit", *arguments, "--trainer.max_epochs", "30"]) == 0
    ckpt = out / "folder_multilabel/fit_0/checkpoints/best.ckpt"
    assert cli.main(["test", *arguments, "--ckpt_path", str(ckpt)]) == 0
    return arguments, ckpt, out


def test_it_learns_and_the_card_says_so(trained):
    _, _, out = trained
    folder = out / "folder_multilabel/test_0"
    card = json.loads(next(folder.glob("evaluation-*.json")).read_text())
    assert card["metrics"]["map"] > 0.9
    assert card["metrics"]["chance_map"] == pytest.approx((1 / 3 + 1 / 3 + 2 / 3) / 3)
    assert card["metrics"]["macro_f1"] > 0.5
    assert 0 <= card["metrics"]["calibration_error"] <= 1
    assert card["map_interval_95"][0] <= card["metrics"]["map"]
    assert {row["class"]: row["samples"] for row in card["per_class"]} == {
        "go_left": 1,
        "go_right": 1,
        "moves": 2,
    }
    assert "confusion" not in card
    assert not list(folder.glob("confusion-*"))
    with next(folder.glob("samples-*.csv")).open(newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    assert rows["go_left/fay_go_left.mp4"]["labels"] == "go_left;moves"
    assert rows["stay/fay_stay.mp4"]["labels"] == ""
    assert float(rows["stay/fay_stay.mp4"]["moves"]) < 0.5
    page = next(folder.glob("report-*.html")).read_text()
    assert "test mAP" in page
    assert "Calibration" in page


def test_the_checkpoint_says_that_there_are_several(trained, tiny_set):
    _, ckpt, _ = trained
    task = load_task(ckpt)
    assert task.multi_label
    video = torch.randint(0, 256, (2, 4, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(task.probabilities(video), task(video).sigmoid())


def test_predictions_list_all_classes(trained, tmp_path):
    arguments, ckpt, _ = trained
    assert cli.main(["predict", *arguments, "--ckpt_path", str(ckpt)]) == 0
    found = sorted((ckpt.parent.parent.parent).glob("predict_*/predictions.jsonl"))[-1]
    rows = {row["path"]: row for row in map(json.loads, found.read_text().splitlines())}
    row = rows["go_right/fay_go_right.mp4"]
    assert row["true_labels"] == ["go_right", "moves"]
    assert set(row["probabilities"]) == {"go_left", "go_right", "moves"}
    assert rows["stay/fay_stay.mp4"]["true_labels"] == []


def test_the_audit_says_that_it_cannot(trained, capsys):
    arguments, ckpt, _ = trained
    assert cli.main(["test", *arguments, "--ckpt_path", str(ckpt), "--audit"]) == 2
    assert "several labels a clip do not have" in capsys.readouterr().err


def test_a_model_of_one_label_refuses_several(listing, tmp_path):
    import lightning.pytorch as pl

    data = ActionDataModule(
        str(listing), clip=ClipSpec(num_frames=4, size=32, resize=32), num_workers=0
    )
    trainer = pl.Trainer(accelerator="cpu", fast_dev_run=1, default_root_dir=tmp_path)
    with pytest.raises(InputError, match="several labels a clip, the model knows one"):
        trainer.fit(ActionTask(SmallFrameEncoder(4), multi_label=False), datamodule=data)
    # Left open, the data decides.
    task = ActionTask(SmallFrameEncoder(4))
    trainer = pl.Trainer(accelerator="cpu", fast_dev_run=1, default_root_dir=tmp_path)
    trainer.fit(task, datamodule=data)
    assert task.multi_label


def test_labels_follow_the_tasks_order():
    task = ActionTask(SmallFrameEncoder(4), class_names=["a", "b", "c"], multi_label=True)
    task.label_map = torch.tensor([2, 0])
    label = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    assert task.labels({"label": label}).tolist() == [[0, 0, 1], [1, 0, 1]]
    assert task.labels({"label": torch.tensor([1, 0])}).tolist() == [[1, 0, 0], [0, 0, 1]]
