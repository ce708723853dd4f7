"""Two processes give the figures of one: each video counts once, whoever saw it."""

import json
import subprocess
import sys

import pytest

from videolit.synth.summary_features import write_feature_set

SCRIPT = """
import json, sys
import lightning.pytorch as pl
import torch
from videolit.data.summary import SummaryDataModule
from videolit.encoders import IdentityEncoder
from videolit.tasks.summary import SummaryTask
from videolit.temporal import RNN

path, out, devices, checkpoint = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
torch.set_num_threads(1)


def trainer(**more):
    two = {"strategy": "ddp", "devices": 2} if devices == 2 else {"devices": 1}
    return pl.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, default_root_dir=out, num_sanity_val_steps=0, **two, **more,
    )


def data():
    return SummaryDataModule(path, num_workers=0, batch_size=2)


torch.manual_seed(0)
task = SummaryTask(IdentityEncoder(8), lambda d: RNN(d, hidden_size=8))
found = {}
fit = trainer(max_epochs=2)
if checkpoint == "none":
    fit.fit(task, datamodule=data())
    found["fit"] = {k: float(v) for k, v in fit.callback_metrics.items()}
    fit.save_checkpoint(out + "/a.ckpt")
    checkpoint = out + "/a.ckpt"
else:
    fit.validate(task, datamodule=data(), ckpt_path=checkpoint, verbose=False)
    found["fit"] = {k: float(v) for k, v in fit.callback_metrics.items()}
test = trainer()
(found["test"],) = test.test(task, datamodule=data(), ckpt_path=checkpoint, verbose=False)
index, values = task.test_figures.compute()
found["videos"] = [index.tolist(), values.double().tolist()]
if fit.is_global_zero:
    with open(out + "/found.json", "w") as file:
        json.dump(found, file)
"""


def run(path, folder, devices, checkpoint="none"):
    folder.mkdir()
    script = folder / "run.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), str(path), str(folder), str(devices), str(checkpoint)],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-20000:]
    return json.loads((folder / "found.json").read_text())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_give_the_figures_of_one(tmp_path):
    # Three videos to test and to validate with: one process gets one twice.
    path = write_feature_set(
        tmp_path / "set.h5", num_train=4, num_val=3, num_test=3, seed=0,
        num_steps=(20, 40), num_features=8, num_users=3,
    )  # fmt: skip
    two = run(path, tmp_path / "two", 2)
    one = run(path, tmp_path / "one", 1, tmp_path / "two" / "a.ckpt")
    assert two["videos"][0] == one["videos"][0] == [0, 1, 2]
    assert two["test"] == pytest.approx(one["test"], abs=1e-6)
    for name in ("val/tau", "val/rho", "val/f1", "val/loss"):
        assert two["fit"][name] == pytest.approx(one["fit"][name], abs=1e-6), name
    for ours, theirs in zip(two["videos"][1], one["videos"][1], strict=True):
        assert ours == pytest.approx(theirs, abs=1e-6, nan_ok=True)
