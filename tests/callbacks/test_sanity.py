"""Checks before a training."""

import warnings

import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from videolit import ActionDataModule, ActionTask, ClipSpec, cli
from videolit.callbacks import SanityChecks
from videolit.data.clips import ClipDataset
from videolit.data.writer import write_video
from videolit.encoders import SmallFrameEncoder
from videolit.types import InputError


def data(root, **settings):
    spec = ClipSpec(num_frames=4, size=32, resize=32)
    return ActionDataModule(
        str(root), **{"clip": spec, "batch_size": 6, "num_workers": 0, **settings}
    )


def fit(task, root, folder, checks, **settings):
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        callbacks=[checks] if checks else [],
        default_root_dir=folder,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer.fit(task, datamodule=data(root, **settings))
    return [str(w.message) for w in caught if str(w.message).startswith("sanity")]


def task(**settings):
    pl.seed_everything(3, verbose=False)
    return ActionTask(SmallFrameEncoder(width=4), **settings)


def test_a_good_start_is_told_and_leaves_no_trace(tiny_set, tmp_path, capsys):
    checks = SanityChecks(shuffle_steps=4)
    checked = task()
    assert fit(checked, tiny_set, tmp_path, checks) == []
    assert checks.result["expected_loss"] == pytest.approx(np.log(3))
    assert checks.result["first_loss"] == pytest.approx(np.log(3), rel=0.5)
    assert checks.result["batch_accuracy"] >= 0.95
    assert checks.result["batch_loss"] < 0.2 * checks.result["first_loss"]
    assert capsys.readouterr().out.count("Sanity ok") == 3
    plain = task()
    fit(plain, tiny_set, tmp_path, None)
    for (name, one), two in zip(
        checked.state_dict().items(), plain.state_dict().values(), strict=True
    ):
        assert torch.equal(one, two), name


def test_a_badly_scaled_start_and_a_network_that_cannot_learn_are_told(tiny_set, tmp_path):
    checks = SanityChecks(steps=5, shuffle_steps=0)
    bad = task(freeze_encoder=True)

    class Blind(SmallFrameEncoder):
        def encode(self, video, mask):
            features, mask = super().encode(video, mask)
            return 0 * features + 1, mask

    bad.encoder = Blind(width=4)
    bad.class_names = ["go_left", "go_right", "stay"]
    bad._build(3)
    with torch.no_grad():
        bad.head.bias.copy_(torch.tensor([20.0, 0, -20.0]))
    told = fit(bad, tiny_set, tmp_path, checks)
    assert len(told) == 2
    assert "first loss" in told[0]
    assert "1.099 if all classes were equally likely" in told[0]
    assert "should be learnt by heart" in told[1]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"loss": "bce"}, 3 * np.log(2)),
        ({"loss": "focal", "focal_gamma": 2.0}, (2 / 3) ** 2 * np.log(3)),
        ({"label_smoothing": 0.3, "class_weights": [1.0, 2.0, 3.0]}, np.log(3)),
    ],
)
def test_what_the_first_loss_should_be(settings, expected, tiny_set, tmp_path):
    checks = SanityChecks(steps=1, shuffle_steps=0)
    fit(task(**settings), tiny_set, tmp_path, checks)
    assert checks.result["expected_loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("leaks", [False, True])
def test_labels_that_leak_are_told(leaks, tmp_path, monkeypatch):
    root = tmp_path / "set"
    for i in range(24):
        frames = np.random.default_rng(i).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
        write_video(root / ("odd" if i % 2 else "even") / f"{i}.mp4", frames, 10)
    if leaks:
        made = ClipDataset._made

        def painted(self, key, clips):
            samples = made(self, key, clips)
            for sample in samples:
                sample["video"][..., :8, :, :] = 250 * sample["label"]
            return samples

        monkeypatch.setattr(ClipDataset, "_made", painted)
    checks = SanityChecks(steps=1, shuffle_steps=30)
    told = fit(task(), root, tmp_path, checks, val_fraction=0.4, test_fraction=0)
    assert checks.result["chance_limit"] == pytest.approx(0.5 + 1.96 * np.sqrt(0.25 / 10), abs=0.1)
    assert (checks.result["shuffled_accuracy"] > checks.result["chance_limit"]) == leaks
    assert any("the labels leak" in message for message in told) == leaks


def test_the_flag(tiny_set, tmp_path, capsys):
    arguments = [
        *("fit", "--config", "action/small_cnn_rnn", "--data.root", str(tiny_set)),
        *("--data.num_workers", "0", "--data.clip.size", "32", "--data.clip.resize", "32"),
        *("--trainer.max_steps", "1", "--trainer.accelerator", "cpu", "--sanity"),
        *("--trainer.default_root_dir", str(tmp_path), "--trainer.enable_progress_bar", "false"),
    ]
    assert cli.main(arguments) == 0
    assert "Sanity" in capsys.readouterr().out
    assert cli.main(["test", "--config", "action/small_cnn_rnn", "--sanity"]) == 2
    assert "--sanity belongs to fit, not to test" in capsys.readouterr().err


def test_refuses_what_is_out_of_range():
    with pytest.raises(InputError, match="steps and num_samples of at least 1"):
        SanityChecks(steps=0)
