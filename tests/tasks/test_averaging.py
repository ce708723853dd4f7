"""Averages of weights by Lightning's callbacks."""

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import (
    EMAWeightAveraging,
    ModelCheckpoint,
    StochasticWeightAveraging,
)

from videolit import ActionDataModule, ActionTask, ClipSpec, load_task
from videolit.encoders import SmallClipEncoder


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_the_average_is_validated_and_saved(kind, tiny_set, tmp_path):
    pl.seed_everything(1, verbose=False)
    callback = {
        "ema": lambda: EMAWeightAveraging(decay=0.5),
        "swa": lambda: StochasticWeightAveraging(
            swa_lrs=1e-3, swa_epoch_start=2, annealing_epochs=1, device="cpu"
        ),
    }[kind]()
    task = ActionTask(SmallClipEncoder(width=4), class_weights="balanced")
    stepped = []

    class Watch(pl.Callback):
        def on_train_batch_end(self, trainer, task, *_):
            stepped.append(task.head.weight.detach().clone())

    data = ActionDataModule(
        str(tiny_set),
        clip=ClipSpec(num_frames=4, size=32, resize=32),
        batch_size=4,
        num_workers=0,
    )
    saver = ModelCheckpoint(tmp_path, filename="last")
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=4,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[callback, saver, Watch()],
        default_root_dir=tmp_path,
    )
    trainer.fit(task, datamodule=data)
    saved = load_task(tmp_path / "last.ckpt")
    # After fit the task itself holds the average.
    for name, value in task.state_dict().items():
        torch.testing.assert_close(saved.state_dict()[name], value, msg=name)
    if kind == "ema":
        average = stepped[0]
        for weight in stepped[1:]:
            average = 0.5 * average + 0.5 * weight
        torch.testing.assert_close(saved.head.weight, average)
    else:
        # One more epoch computes BatchNorm's statistics, with the average and without a step.
        steps = len(stepped) // 5
        torch.testing.assert_close(saved.head.weight, stepped[-1])
        assert not any(torch.equal(saved.head.weight, weight) for weight in stepped[: 4 * steps])
