"""The share of time in which a model waits for data, on a clock that the test turns."""

import types

import pytest

from videolit.callbacks import DataWait
from videolit.callbacks import wait as module
from videolit.callbacks.terminal import RunProgress


class Logged:
    def __init__(self):
        self.values = {}

    def log(self, name, value, **_):
        self.values[name] = value


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])

    def turn(seconds):
        now[0] += seconds

    return turn


def fake_trainer(current_epoch=1, **data):
    data = {"is_prepared": False, "root": "my_videos", "worker_count": lambda: 0, **data}
    return types.SimpleNamespace(
        datamodule=types.SimpleNamespace(**data), num_devices=1, current_epoch=current_epoch
    )


def epoch(callback, clock, trainer, *, wait, work, steps=20, first_wait=0.0):
    logged = Logged()
    callback.on_train_epoch_start(trainer, logged)
    for step in range(steps):
        clock(first_wait if step == 0 else wait)
        callback.on_train_batch_start(trainer, logged, None, step)
        clock(work)
        callback.on_train_batch_end(trainer, logged, None, None, step)
    callback.on_validation_start(trainer, logged)
    clock(1000.0)
    callback.on_train_epoch_end(trainer, logged)
    return logged.values


def test_the_share_is_that_of_the_time_between_steps(clock):
    callback = DataWait()
    found = epoch(callback, clock, fake_trainer(), wait=0.05, work=0.95, first_wait=100.0)
    assert found["data/wait"] == pytest.approx(0.05, abs=0.005)


def test_a_long_wait_is_warned_of_once_with_advice(clock):
    callback = DataWait()
    with pytest.warns(UserWarning, match=r"7\d% of this epoch's time.*videolit prepare my_videos"):
        epoch(callback, clock, fake_trainer(), wait=3.0, work=1.0)
    assert epoch(callback, clock, fake_trainer(), wait=3.0, work=1.0)["data/wait"] > 0.7


def test_advice_does_not_repeat_what_is_done_already(clock, recwarn, monkeypatch):
    monkeypatch.setattr(module, "usable_cores", lambda: 4)
    trainer = fake_trainer(is_prepared=True, worker_count=lambda: 1)
    epoch(DataWait(), clock, trainer, wait=3.0, work=1.0)
    (warning,) = recwarn.list
    assert "videolit prepare" not in str(warning.message)
    assert "--data.num_workers 4; now 1 on 4 cores" in str(warning.message)


@pytest.mark.parametrize(("wait", "work", "steps"), [(0.09, 1.0, 20), (0.5, 0.5, 8), (3.0, 1.0, 2)])
def test_no_warning_of_little_waiting_or_little_time(clock, recwarn, wait, work, steps):
    epoch(DataWait(), clock, fake_trainer(), wait=wait, work=work, steps=steps)
    assert not recwarn.list


def test_no_warning_of_the_first_epoch_in_which_files_are_verified(clock, recwarn):
    callback = DataWait()
    found = epoch(callback, clock, fake_trainer(current_epoch=0), wait=3.0, work=1.0)
    assert found["data/wait"] > 0.7
    assert not recwarn.list
    with pytest.warns(UserWarning, match="waiting for data"):
        epoch(callback, clock, fake_trainer(), wait=3.0, work=1.0)


def test_the_bar_shows_it(clock, monkeypatch):
    callback = DataWait()
    monkeypatch.setattr(
        "lightning.pytorch.callbacks.RichProgressBar.get_metrics", lambda *_: {"v_num": 3}
    )
    trainer = types.SimpleNamespace(callbacks=[callback], training=True)
    assert RunProgress().get_metrics(trainer, None) == {}
    epoch(callback, clock, fake_trainer(), wait=0.05, work=0.95)
    assert RunProgress().get_metrics(trainer, None) == {"data wait": "5%"}
