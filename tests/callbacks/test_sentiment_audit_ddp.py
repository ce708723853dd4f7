"""Two processes audit a sentiment model as one does: each sample counts once."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from sentiment_files import write_features

SCRIPT = """
import json, sys
import lightning.pytorch as pl
import torch
from videolit.callbacks import SentimentAudit, SentimentCard
from videolit.data.sentiment import SentimentDataModule
from videolit.encoders import IdentityEncoder
from videolit.tasks.sentiment import SentimentTask

path, out, devices = sys.argv[1], sys.argv[2], int(sys.argv[3])
torch.set_num_threads(1)
torch.manual_seed(0)
task = SentimentTask(IdentityEncoder(20), sound=IdentityEncoder(5), text=IdentityEncoder(768))
audit = SentimentAudit()
two = {"strategy": "ddp", "devices": 2} if devices == 2 else {"devices": 1}
trainer = pl.Trainer(
    accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
    enable_checkpointing=False, default_root_dir=out, callbacks=[audit, SentimentCard()], **two,
)
trainer.test(task, datamodule=SentimentDataModule(path, batch_size=2, num_workers=0), verbose=False)
if trainer.is_global_zero:
    with open(out + "/found.json", "w") as file:
        json.dump(audit.result, file)
"""


def run(path, folder, devices):
    folder.mkdir()
    script = folder / "run.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), str(path), str(folder), str(devices)],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-20000:]
    assert len(list(folder.glob("audit-*.json"))) == 1
    return json.loads((folder / "found.json").read_text())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_audit_as_one(tmp_path):
    # Three samples to test: one process gets one twice.
    path = write_features(tmp_path / "mosi.pkl")
    two, one = run(path, tmp_path / "two", 2), run(path, tmp_path / "one", 1)
    assert [row["samples"] for row in two["subsets"]] == [3] * 7
    for ours, theirs in zip(two["subsets"], one["subsets"], strict=True):
        assert ours["figures"] == pytest.approx(theirs["figures"], abs=1e-5)
    for scope, curve in two["dropping"].items():
        for ours, theirs in zip(curve, one["dropping"][scope], strict=True):
            assert ours["figures"] == pytest.approx(theirs["figures"], abs=1e-5)
            assert ours.get("share_lost") == theirs.get("share_lost")
