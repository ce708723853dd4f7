"""Averages of weights by Lightning's callbacks."""

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint

from videolit import ActionDataModule, ActionTask, ClipSpec, load_task
from videolit.callbacks import LastEpochsAverage
from videolit.encoders import SmallClipEncoder
from videolit.types import InputError


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_the_average_is_validated_and_saved(kind, tiny_set, tmp_path):
    pl.seed_everything(1, verbose=False)
    callback = {
        "ema": lambda: EMAWeightAveraging(decay=0.5),
        "swa": lambda: LastEpochsAverage(share=0.5),
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
        steps = len(stepped) // 4
        ends = torch.stack([stepped[steps * epoch - 1] for epoch in (3, 4)])
        torch.testing.assert_close(saved.head.weight, ends.mean(0))


def test_before_the_last_epochs_the_weights_are_validated_as_they_are(tiny_set, tmp_path):
    pl.seed_everything(1, verbose=False)
    task = ActionTask(SmallClipEncoder(width=4))
    trained, validated = [], []

    class Watch(pl.Callback):
        def on_train_batch_end(self, trainer, task, *_):
            trained.append(task.head.weight.detach().clone())

        def on_validation_batch_start(self, trainer, task, *_):
            validated.append(task.head.weight.detach().clone())

    data = ActionDataModule(
        str(tiny_set),
        clip=ClipSpec(num_frames=4, size=32, resize=32),
        batch_size=12,
        num_workers=0,
    )
    pl.Trainer(
        accelerator="cpu",
        max_epochs=4,
        limit_val_batches=1,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[LastEpochsAverage(share=0.5), Watch()],
        default_root_dir=tmp_path,
    ).fit(task, datamodule=data)
    expected = [*trained[:3], torch.stack(trained[2:]).mean(0)]
    assert len(trained) == len(validated) == 4
    for one, two in zip(validated, expected, strict=True):
        torch.testing.assert_close(one, two)


def test_a_share_out_of_its_range_is_refused():
    with pytest.raises(InputError, match="share must lie in"):
        LastEpochsAverage(share=0.0)
