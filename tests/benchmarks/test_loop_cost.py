"""What Lightning and the task add to a bare PyTorch loop, side by side in one run.

Run with ``make bench``. The two loops alternate, so that a busy machine slows both.
"""

import time

import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from videolit import ActionTask
from videolit.encoders import SmallClipEncoder

STEPS = 30
BATCH = 16


class Batches(torch.utils.data.Dataset):
    """The demo's batches from memory: the same work for both loops."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.video = torch.randint(0, 256, (BATCH, 16, 3, 64, 64), generator=generator).byte()
        self.label = torch.randint(0, 10, (BATCH,), generator=generator)

    def __len__(self):
        return STEPS

    def __getitem__(self, index):
        return {
            "video": self.video,
            "mask": torch.ones(BATCH, 16, dtype=torch.bool),
            "label": self.label,
            "index": torch.arange(BATCH),
            "sample_mask": torch.ones(BATCH, dtype=torch.bool),
            "video_id": [""] * BATCH,
            "error": [""] * BATCH,
            "unread": [],
        }


def loader():
    return torch.utils.data.DataLoader(Batches(), batch_size=None)


def new_task():
    pl.seed_everything(0, verbose=False)
    return ActionTask(
        SmallClipEncoder(motion="difference"), class_names=[f"c{i}" for i in range(10)]
    )


class Clock(pl.Callback):
    """Times the steps, without set-up and tear-down."""

    def __init__(self):
        self.times = []

    def on_train_batch_start(self, *_):
        self.times.append(time.perf_counter())

    def on_train_epoch_end(self, *_):
        self.times.append(time.perf_counter())


def lightning_loop(folder):
    clock = Clock()
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=pl.loggers.CSVLogger(folder),
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        callbacks=[clock],
    )
    trainer.fit(new_task(), loader())
    return np.diff(clock.times)


def bare_loop():
    task = new_task()
    task.setup = lambda stage: None
    task._build(10)
    optimizer = torch.optim.AdamW(task.parameters(), lr=1e-3, weight_decay=0.05)
    task.train()
    times = []
    for batch in loader():
        times.append(time.perf_counter())
        loss = torch.nn.functional.cross_entropy(
            task(batch["video"], batch["mask"]), batch["label"]
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    times.append(time.perf_counter())
    return np.diff(times)


@pytest.mark.benchmark
@pytest.mark.slow
def test_loop_cost(benchmark, tmp_path):
    bare, ours = [], []

    def both():
        # The first steps warm allocators up.
        bare.append(np.median(bare_loop()[3:]))
        ours.append(np.median(lightning_loop(tmp_path)[3:]))

    benchmark.pedantic(both, rounds=5, warmup_rounds=1)
    added = np.median(np.array(ours) - np.array(bare))
    benchmark.extra_info["bare_ms"] = round(float(np.median(bare)) * 1e3, 2)
    benchmark.extra_info["videolit_ms"] = round(float(np.median(ours)) * 1e3, 2)
    benchmark.extra_info["added_ms"] = round(float(added) * 1e3, 2)
    print(
        f"\nbare loop {np.median(bare) * 1e3:.1f} ms a step, videolit {np.median(ours) * 1e3:.1f} ms: "
        f"{added * 1e3:+.2f} ms, {added / np.median(bare):+.1%}"
    )
    # Not a time: both did the same number of steps.
    assert len(bare) == len(ours) == 6
