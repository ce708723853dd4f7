"""Resuming in the middle of an epoch, several clips of a video, and what ends a loading process."""

import ctypes
import os
import signal
import subprocess
import sys
import time

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback, LambdaCallback, ModelCheckpoint

from videolit import ActionDataModule, ActionTask, ClipSpec
from videolit.data.clips import collate
from videolit.data.reader import VideoReader
from videolit.data.sampler import ClipSampler
from videolit.encoders import SmallFrameEncoder
from videolit.temporal import MeanPool
from videolit.types import InputError

SPEC = ClipSpec(num_frames=4, size=24, resize=32)


def module(root, **settings):
    chosen = {"clip": SPEC, "batch_size": 2, "num_workers": 0, "val_fraction": 0.2}
    return ActionDataModule(str(root), **{**chosen, "test_fraction": 0.0, **settings})


class Seen(Callback):
    """Notes the samples of each training step, and may end the run like a power cut."""

    def __init__(self, stop=None):
        self.steps = []
        self.stop = stop

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if self.stop == len(self.steps):
            raise KeyError("power cut")
        pixels = batch["video"].float().mean((1, 2, 3, 4)).tolist()
        self.steps.append((trainer.current_epoch, batch_idx, batch["index"].tolist(), pixels))


def train(root, folder, workers, seen, resumed=None, limits=None, more=(), **settings):
    pl.seed_everything(0, verbose=False)
    task = ActionTask(SmallFrameEncoder(width=4), MeanPool)
    trainer = pl.Trainer(
        accelerator="cpu",
        **{"max_epochs": 3, **(limits or {})},
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=[
            seen,
            ModelCheckpoint(folder, every_n_train_steps=1, filename="{step}", save_top_k=-1),
            *more,
        ],
    )
    data = module(root, num_workers=workers, **settings)
    trainer.fit(task, datamodule=data, ckpt_path=resumed, weights_only=False)
    return task.state_dict()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_that_was_cut_goes_on_as_if_it_had_not_been(workers, tiny_set, tmp_path):
    whole = Seen()
    expected = train(tiny_set, tmp_path / "whole", workers, whole)
    steps = [step[:2] for step in whole.steps]
    per_epoch = len(steps) // 3
    assert per_epoch >= 6
    assert steps == [(epoch, step) for epoch in range(3) for step in range(per_epoch)]
    # In the middle of an epoch, on its last step, and right after it.
    for cut in (per_epoch + 2, 2 * per_epoch - 1, 2 * per_epoch):
        folder = tmp_path / f"cut{cut}"
        with pytest.raises(KeyError, match="power cut"):
            train(tiny_set, folder, workers, Seen(cut))
        rest = Seen()
        found = train(tiny_set, folder, workers, rest, folder / f"step={cut}.ckpt")
        assert rest.steps == whole.steps[cut:]
        for name, weights in expected.items():
            assert torch.equal(found[name], weights), name


@pytest.mark.parametrize("limits", [{"limit_train_batches": 5}, {"max_steps": 17}])
def test_runs_with_limits_go_on_too(limits, tiny_set, tmp_path):
    whole = Seen()
    train(tiny_set, tmp_path / "whole", 0, whole, limits=limits)
    per_epoch = max(step for _, step, *_ in whole.steps) + 1
    assert len(whole.steps) in (15, 17)
    for cut in (per_epoch - 1, per_epoch, per_epoch + 2):
        folder = tmp_path / f"cut{cut}"
        with pytest.raises(KeyError, match="power cut"):
            train(tiny_set, folder, 0, Seen(cut), limits=limits)
        rest = Seen()
        train(tiny_set, folder, 0, rest, folder / f"step={cut}.ckpt", limits=limits)
        assert rest.steps == whole.steps[cut:]


def test_after_an_epoch_that_a_limit_ended_the_next_one_is_whole(tiny_set, tmp_path):
    whole = Seen()
    train(tiny_set, tmp_path / "whole", 0, whole)
    per_epoch = len(whole.steps) // 3
    first = Seen()
    last = ModelCheckpoint(tmp_path, filename="last", enable_version_counter=False)
    save = LambdaCallback(on_train_end=lambda t, m: t.save_checkpoint(tmp_path / "after.ckpt"))
    train(tiny_set, tmp_path, 0, first, limits={"max_steps": per_epoch + 2}, more=[last, save])
    assert first.steps == whole.steps[: per_epoch + 2]
    # As the epoch's end is noted, and when it is over.
    for name in ("last", "after"):
        rest = Seen()
        train(tiny_set, tmp_path, 0, rest, tmp_path / f"{name}.ckpt")
        assert rest.steps == whole.steps[2 * per_epoch :], name


def test_another_batch_size_within_an_epoch_is_told(tiny_set, tmp_path):
    with pytest.raises(KeyError, match="power cut"):
        train(tiny_set, tmp_path, 0, Seen(3))
    with pytest.warns(UserWarning, match="of 2 videos a step, now there are 4: the rest of this"):
        train(tiny_set, tmp_path, 0, Seen(), tmp_path / "step=3.ckpt", batch_size=4)


def test_every_process_skips_its_own_part():
    whole, rest = [], []
    for rank in range(2):
        sampler = ClipSampler(11, num_replicas=2, rank=rank, shuffle=True, seed=3)
        sampler.set_epoch(5)
        keys = list(sampler)
        sampler.skip = 4
        assert list(sampler) == keys[4:]
        assert list(sampler) == keys, "the epoch after it is whole"
        whole += keys
        rest += keys[4:]
    assert len({key.index for key in whole}) == 11
    assert len({key.index for key in rest if key.counts}) == 11 - 8


def test_several_clips_of_a_video(tiny_set):
    data = module(tiny_set, batch_size=6, clips_per_video=3)
    data.setup("fit")
    once = module(tiny_set)
    once.setup("fit")
    loader = data.train_dataloader()
    batches = list(loader)
    assert len(loader) == len(once.train_dataloader()), "two videos a batch in both"
    rows = torch.cat([batch["index"] for batch in batches]).view(-1, 3)
    assert (rows == rows[:, :1]).all()
    assert sorted(rows[:, 0].tolist()) == list(range(len(data.manifest("train"))))
    video = torch.cat([batch["video"] for batch in batches]).view(len(rows), 3, -1)
    for one in range(3):
        for other in range(one):
            assert (video[:, one] != video[:, other]).any(1).float().mean() > 0.9
    # The first clip is the one that would be made without the others.
    first = torch.cat([batch["video"] for batch in once.train_dataloader()])
    assert torch.equal(video[:, 0], first.flatten(1))


def test_several_clips_of_a_video_that_cannot_be_read(tiny_set, tmp_path):
    for label in ("a", "b"):
        (tmp_path / "set" / label).mkdir(parents=True)
        for name in ("1", "2", "3", "4"):
            os.link(tiny_set / "stay/ann_stay.mp4", tmp_path / f"set/{label}/{name}.mp4")
    data = module(tmp_path / "set", batch_size=4, clips_per_video=2)
    data.setup("fit")
    dataset = data.dataset("train")
    bad = dataset.manifest.path(0)
    os.unlink(bad)
    open(bad, "w").close()
    samples = dataset.__getitems__([0, 1])
    assert [sample["error"] for sample in samples] == [""] * 4
    assert [len(sample["unread"]) for sample in samples] == [1, 0, 0, 0]
    assert samples[0]["index"] == samples[1]["index"] != 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clips_per_video": 3, "batch_size": 4}, r"multiple of clips_per_video \(3\), got 4"),
        ({"clips_per_video": 0}, "clips_per_video must be at least 1, got 0"),
        ({"time_limit": -1.0}, "time_limit must be at least 0, got -1"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(InputError, match=message):
        module("data", **settings)


def hang(self, indices):
    # Deaf to Python's signal handlers, as a decoder in an endless loop is.
    ctypes.CDLL(None).poll(None, 0, 60_000)


def crash(self, indices):
    os.kill(os.getpid(), signal.SIGSEGV)


@pytest.mark.parametrize(
    ("fault", "limit", "cause"),
    [
        # Long enough for every other video on a busy machine.
        (hang, 5.0, "took longer than the 5 s of time_limit"),
        (crash, 60.0, "crashed the decoder (segmentation fault)"),
    ],
)
def test_the_file_that_ends_a_loading_process_is_named(
    fault, limit, cause, tiny_set, tmp_path, monkeypatch
):
    read = VideoReader.read
    monkeypatch.setattr(
        VideoReader,
        "read",
        lambda self, indices: (fault if "cem_stay" in self.path else read)(self, indices),
    )
    with pytest.raises(RuntimeError, match="DataLoader worker") as caught:
        train(tiny_set, tmp_path, 2, Seen(), time_limit=limit, val_groups=["ann"],
              group_pattern=r"/(\w+?)_")  # fmt: skip
    (note,) = caught.value.__notes__
    assert note.startswith(f"{tiny_set}/stay/cem_stay.mp4: reading it {cause}")
    assert "--data.exclude" in note


def test_other_errors_are_left_alone(tiny_set):
    data = module(tiny_set)
    data.setup("fit")
    data.train_dataloader()
    assert data.explain(RuntimeError("CUDA out of memory")) == ""
    assert (
        data.explain(RuntimeError("DataLoader worker (pid 1) is killed by signal: Killed. ")) == ""
    )


def test_torchs_error_tells_the_signal_of_a_process_that_is_gone(tiny_set):
    data = module(tiny_set)
    data.setup("fit")
    loader = data.train_dataloader()
    loader.dataset.watch._table[0] = torch.tensor([4711, 3])
    error = RuntimeError("DataLoader worker (pid 4711) is killed by signal: Segmentation fault. ")
    assert loader.explain(error) == (3, "crashed the decoder (segmentation fault)")
    error = RuntimeError("DataLoader worker (pid(s) 4711) exited unexpectedly")
    assert loader.explain(error) == (3, "ended the loading process (code 0)")


def test_a_users_own_loader_needs_nothing_of_it(tiny_set):
    data = module(tiny_set)
    data.setup("fit")
    loader = torch.utils.data.DataLoader(data.dataset("train"), num_workers=2, collate_fn=collate)
    assert len(list(loader)) == len(data.manifest("train"))


def test_every_video_has_the_whole_limit_for_itself(tiny_set, monkeypatch):
    """The limit is for one video: a hundred of them may take longer together."""
    timers = torch.zeros(100, dtype=torch.float64).share_memory_()
    count = torch.zeros(1, dtype=torch.int64).share_memory_()
    read = VideoReader.read

    def note(number):
        timers[count[0]] = number
        count.add_(1)

    def noted_read(self, indices):
        note(-1)
        return read(self, indices)

    monkeypatch.setattr(signal, "setitimer", lambda _, seconds: note(seconds))
    monkeypatch.setattr(VideoReader, "read", noted_read)
    data = module(tiny_set, num_workers=1, time_limit=60)
    data.setup("fit")
    samples = sum(len(batch["index"]) for batch in data.train_dataloader())
    assert samples == len(data.manifest("train")) > 8
    # Set anew, one video read, taken away: each time.
    assert timers[: int(count)].tolist() == [60, -1, 0] * samples


def test_in_the_main_process_nothing_is_limited(tiny_set, monkeypatch):
    monkeypatch.setattr(signal, "setitimer", lambda *arguments: pytest.fail("a timer was set"))
    data = module(tiny_set, time_limit=0.001)
    data.setup("fit")
    assert isinstance(data.dataset("train")[0]["video"], np.ndarray)


HANG = """
import ctypes, os, sys
from videolit import ActionDataModule, ClipSpec
from videolit.data.reader import VideoReader

def hang(self, indices):
    os.write(1, b"%d\\n" % os.getpid())
    ctypes.CDLL(None).poll(None, 0, 60_000)

VideoReader.read = hang
data = ActionDataModule(sys.argv[1], clip=ClipSpec(num_frames=4, size=24, resize=32), num_workers=2)
data.setup("fit")
next(iter(data.train_dataloader()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_loading_process_survives_the_main_one(how, tiny_set):
    main = subprocess.Popen([sys.executable, "-c", HANG, str(tiny_set)], stdout=subprocess.PIPE)
    workers = [int(main.stdout.readline()) for _ in range(2)]
    main.send_signal(how)
    main.wait()
    end = time.monotonic() + 10
    alive = workers
    while alive and time.monotonic() < end:
        time.sleep(0.05)
        alive = [pid for pid in workers if os.path.exists(f"/proc/{pid}") and "Z" != state(pid)]
    assert not alive


def state(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(") ")[2][0]
    except OSError:
        return "Z"
