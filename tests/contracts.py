"""What every encoder, temporal model, DataModule and task promises, as plain functions.

Each test file calls the function of its kind for each class, so that a new class is held to the
whole contract by one line.
"""

from __future__ import annotations

import inspect
import json
import pickle

import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from videolit.tasks.checkpoint import load_task
from videolit.types import ClipSpec, InputError


def recorded(part: nn.Module) -> dict:
    """Return the constructor's arguments, read back by its signature and through JSON."""
    names = list(inspect.signature(type(part).__init__).parameters)[1:]
    return json.loads(json.dumps({name: getattr(part, name) for name in names}))


def twin(part: nn.Module) -> nn.Module:
    """Return another object with equal weights, built from the recorded arguments and a state dict."""
    other = type(part)(**recorded(part))
    assert recorded(other) == recorded(part)
    other.load_state_dict(part.state_dict())
    return other.to(next(part.parameters(), torch.zeros(())).dtype).train(part.training)


def small_clip(encoder):
    """Return frames and size of the smallest clip of at least 4 and 64 that an encoder accepts."""
    fewest, most = encoder.num_frames
    low, high = encoder.size
    frames = min(max(fewest, 4), most or 4)
    size = min(max(low, 64), high or max(low, 64))
    return frames, size


def check_encoder(encoder: nn.Module, num_frames: int, size: int) -> None:
    """Check ``videolit.encoders.VideoEncoder``'s contract on clips that the encoder accepts."""
    assert num_frames not in (1, 3), "one frame cannot be padded, three look like channels"
    encoder.eval()
    generator = torch.Generator().manual_seed(0)
    shape = (2, num_frames, 3, size, size)
    video = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    kept = video.clone()

    # Shapes and dtypes.
    with torch.no_grad():
        features, mask = encoder(video)
    steps = features.shape[1]
    assert features.shape == (2, steps, encoder.num_features)
    assert 1 <= steps <= num_frames
    assert features.dtype == next(encoder.parameters()).dtype
    assert mask.dtype == torch.bool
    assert mask.shape == (2, steps)
    assert mask.all()
    assert torch.equal(video, kept), "the encoder changed its input"
    close = {"atol": 1e-4 * float(features.abs().max()), "rtol": 1e-4}

    # uint8 and float in [0, 1] are the same; no mask is a mask of real frames.
    all_real = torch.ones(2, num_frames, dtype=torch.bool)
    with torch.no_grad():
        torch.testing.assert_close(encoder(video.float() / 255, all_real)[0], features, **close)

    # Wrong input is refused by what was expected and what came.
    with pytest.raises(InputError) as caught:
        encoder(video.transpose(1, 2))
    for said in ("(B, T, C, H, W)", "(B, C, T, H, W)", str(tuple(video.transpose(1, 2).shape))):
        assert said in str(caught.value)
    with pytest.raises(InputError, match=r"\(B, T, H, W, C\)"):
        encoder(video.permute(0, 1, 3, 4, 2))
    with pytest.raises(InputError, match=r"\[0, 1\], got values from 0 to 255"):
        encoder(video.float())
    with pytest.raises(InputError, match="uint8.*got torch.int64"):
        encoder(video.long())
    with pytest.raises(InputError, match="mask"):
        encoder(video, all_real[:, 1:])

    # Clips do not see each other.
    with torch.no_grad():
        torch.testing.assert_close(encoder(video[1:])[0], features[1:], **close)

    # What stands at padding makes no difference, and steps of padding alone are marked.
    real = all_real.clone()
    real[1, 1:] = False
    other = video.clone()
    other[1, 1:] = 255 - other[1, 1:]
    with torch.no_grad():
        padded, padded_mask = encoder(video, real)
        again, _ = encoder(other, real)
    torch.testing.assert_close(padded[padded_mask], again[padded_mask], rtol=0, atol=0)
    assert padded_mask[0].all()
    assert padded_mask[1].tolist() == [True] + [False] * (steps - 1)
    torch.testing.assert_close(padded[0], features[0], **close)

    # Gradients reach the first layer.
    first = next(weight for weight in encoder.parameters() if weight.ndim > 1)
    encoder.zero_grad()
    encoder(video)[0].square().sum().backward()
    assert first.grad is not None
    assert float(first.grad.abs().max()) > 0
    encoder.zero_grad()

    # Arguments and state dict make the same encoder; constants are not in it.
    assert not {"mean", "std"} & set(encoder.state_dict())
    with torch.no_grad():
        assert torch.equal(twin(encoder)(video)[0], features)

    # Every precision that Lightning may ask for.
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert encoder(video, real)[0].isfinite().all()
    for dtype in (torch.bfloat16, torch.float64):
        cast = twin(encoder).to(dtype)
        with torch.no_grad():
            found = cast(video, real)[0]
        assert found.dtype == dtype
        assert found.isfinite().all()


def check_temporal(model: nn.Module, tolerance: float = 1e-6) -> None:
    """Check ``videolit.temporal.TemporalModel``'s contract."""
    model.eval()
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(3, 6, model.in_features, generator=generator)
    mask = torch.arange(6) < torch.tensor([6, 4, 1])[:, None]

    # Shapes; zero at padding.
    with torch.no_grad():
        sequence = model(features, mask)
        vector = model.pool(sequence, mask)
    assert sequence.shape == (3, 6, model.num_features)
    assert vector.shape == (3, model.num_features)
    assert sequence.dtype == vector.dtype == features.dtype
    assert (sequence[~mask] == 0).all()
    assert vector.isfinite().all()

    # More padding, full of garbage, changes nothing; nor does having none of it.
    garbage = torch.full((3, 3, model.in_features), float("nan"))
    longer = torch.cat([features, garbage], 1)
    longer[:, :6][~mask] = 1e9
    longer_mask = torch.cat([mask, torch.zeros(3, 3, dtype=torch.bool)], 1)
    close = {"atol": tolerance, "rtol": tolerance}
    with torch.no_grad():
        found = model(longer, longer_mask)
        torch.testing.assert_close(found[:, :6], sequence, **close)
        torch.testing.assert_close(model.pool(found, longer_mask), vector, **close)
        for row, length in enumerate((6, 4, 1)):
            alone, real = features[row : row + 1, :length], mask[row : row + 1, :length]
            found = model(alone, real)
            torch.testing.assert_close(found[0], sequence[row, :length], **close)
            torch.testing.assert_close(model.pool(found, real)[0], vector[row], **close)

    # Gradients reach the features, and only the real ones; NaN at padding stays out of them.
    longer.requires_grad_()
    model.pool(model(longer, longer_mask), longer_mask).square().sum().backward()
    assert longer.grad.isfinite().all()
    assert (longer.grad[~longer_mask] == 0).all()
    assert (longer.grad.abs().amax((1, 2)) > 0).all()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in model.parameters())

    # Each real step can change the result. Not by its gradient: a maximum has one step's only.
    for row, length in enumerate((6, 4, 1)):
        for step in range(length):
            changed = features.clone()
            changed[row, step] += 3
            with torch.no_grad():
                found = model.pool(model(changed, mask), mask)
            assert not torch.allclose(found[row], vector[row], atol=1e-4), (
                f"step {step} of {length}"
            )

    # What the contract excludes is refused.
    with pytest.raises(InputError, match=rf"\(B, T, {model.in_features}\)"):
        model(torch.zeros(3, 6, model.in_features + 1), mask)
    with pytest.raises(InputError, match="mask"):
        model(features, mask.float())
    with pytest.raises(InputError, match=r"without a real frame.*\[1\]"):
        model(features, mask & torch.tensor([True, False, True])[:, None])
    with pytest.raises(InputError, match=r"padding must follow.*\[1, 2\]"):
        model(features, mask.flip(1))

    # Arguments and state dict make the same model.
    with torch.no_grad():
        assert torch.equal(twin(model)(features, mask), sequence)

    # Every precision that Lightning may ask for.
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert model.pool(model(features, mask), mask).isfinite().all()
    for dtype in (torch.bfloat16, torch.float64):
        cast = twin(model).to(dtype)
        with torch.no_grad():
            found = cast.pool(cast(features.to(dtype), mask), mask)
        assert found.dtype == dtype
        assert found.isfinite().all()


def check_datamodule(make, *, num_workers=2):
    """Check what every DataModule promises about its batches.

    Args:
        make: ``make(num_workers=..., seed=...)`` returns a fresh DataModule, not set up.
        num_workers: Loading processes to compare with none.
    """
    pickle.loads(pickle.dumps(make(num_workers=0, seed=0)))
    data = make(num_workers=0, seed=0)
    data.setup("fit")
    data.setup("test")
    spec = data.clip_spec
    assert ClipSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert len(data.class_counts) == len(data.class_names)
    assert sum(data.class_counts) == len(data.dataset("train"))
    for split in ("train", "val", "test"):
        batches = list(getattr(data, f"{split}_dataloader")())
        for batch in batches:
            check_batch(
                batch, spec, views=spec.num_views * spec.num_crops if split == "test" else 1
            )
        seen = torch.cat([batch["index"] for batch in batches]).tolist()
        assert sorted(seen) == list(range(len(data.dataset(split)))), split
    # Training changes from epoch to epoch, and with the seed; nothing else changes anything.
    first = epoch_of(make(num_workers=0, seed=0), 0)
    assert same_batches(first, epoch_of(make(num_workers=num_workers, seed=0), 0))
    assert not same_batches(first, epoch_of(make(num_workers=0, seed=0), 1))
    assert not same_batches(first, epoch_of(make(num_workers=0, seed=1), 0))
    evaluated = [list(make_ready(make, seed).val_dataloader()) for seed in (0, 0)]
    assert same_batches(*evaluated)


def check_batch(batch, spec, views=1):
    """Check one batch against :class:`~videolit.types.VideoBatch`."""
    video, size = batch["video"], len(batch["index"])
    frames = video.shape[-4]
    shape = (size, *([views] if views > 1 else []), frames, 3, spec.size, spec.size)
    assert video.shape == shape
    assert frames <= spec.num_frames
    assert spec.sampling == "whole" or frames == spec.num_frames
    assert video.dtype == torch.uint8
    assert video.is_contiguous()
    assert batch["mask"].dtype == torch.bool
    assert batch["mask"].shape == shape[:-3]
    assert batch["mask"][..., 0].all()
    assert batch["label"].dtype == torch.int64
    assert batch["sample_mask"].all()
    assert len(batch["video_id"]) == len(batch["error"]) == size
    assert not any(batch["error"])


def make_ready(make, seed):
    """Return a DataModule that is set up for training."""
    data = make(num_workers=0, seed=seed)
    data.setup("fit")
    return data


def epoch_of(data, epoch):
    """Return all training batches of an epoch."""
    data.setup("fit")
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return list(loader)


def same_batches(one, two):
    """Tell whether two lists of batches are equal, pixel by pixel."""
    return len(one) == len(two) and all(
        torch.equal(a["index"], b["index"])
        and torch.equal(a["label"], b["label"])
        and torch.equal(a["video"], b["video"])
        for a, b in zip(one, two, strict=True)
    )


def check_task(make, data, folder):
    """Check a task through fit, test and predict, and its checkpoint.

    Args:
        make: Returns a fresh task.
        data: Returns a fresh DataModule.
        folder: Where to write.
    """

    def trainer(**settings):
        return pl.Trainer(
            **{
                "accelerator": "cpu",
                "max_epochs": 1,
                "limit_train_batches": 2,
                "logger": False,
                "default_root_dir": folder,
                "enable_progress_bar": False,
                "enable_model_summary": False,
                "enable_checkpointing": False,
                **settings,
            }
        )

    task = make()
    fit = trainer()
    fit.fit(task, datamodule=data())
    path = folder / "task.ckpt"
    fit.save_checkpoint(path)
    assert {"train/loss", "val/loss"} <= set(fit.callback_metrics)
    first = trainer().test(task, datamodule=data(), verbose=False)
    # Metrics start over: a second test gives the same.
    assert trainer().test(task, datamodule=data(), verbose=False) == first
    # The checkpoint is plain data, and all that is needed.
    plain = torch.load(path, weights_only=True)
    assert json.loads(plain["videolit"])["format"] == 1
    loaded = load_task(path)
    assert not loaded.training
    ours = trainer().predict(task, datamodule=data())
    theirs = trainer().predict(loaded, datamodule=data())
    for one, two in zip(ours, theirs, strict=True):
        assert torch.equal(one["scores"], two["scores"])
        assert torch.equal(one["index"], two["index"])
    assert trainer().test(loaded, datamodule=data(), verbose=False) == first
    # Training goes on from it.
    resumed = trainer(max_epochs=2)
    resumed.fit(make(), datamodule=data(), ckpt_path=path)
    assert resumed.current_epoch == 2


def check_summary_task(make, data, folder):
    """Check a summary task through fit, test and predict, and its checkpoint.

    Args:
        make: Returns a fresh task.
        data: Returns a fresh DataModule.
        folder: Where to write.

    Returns:
        Path of the checkpoint, and the figures of the test.
    """

    def trainer(**settings):
        return pl.Trainer(
            **{
                "accelerator": "cpu",
                "max_epochs": 1,
                "logger": False,
                "default_root_dir": folder,
                "enable_progress_bar": False,
                "enable_model_summary": False,
                "enable_checkpointing": False,
                **settings,
            }
        )

    task = make()
    fit = trainer()
    fit.fit(task, datamodule=data())
    path = folder / "task.ckpt"
    fit.save_checkpoint(path)
    assert {"train/loss", "val/tau", "val/rho"} <= set(fit.callback_metrics)
    assert all(torch.isfinite(value) for value in fit.callback_metrics.values())
    (first,) = trainer().test(task, datamodule=data(), verbose=False)
    assert {"test/tau", "test/rho", "test/random_tau"} <= set(first)
    # Figures start over: a second test gives the same.
    assert trainer().test(task, datamodule=data(), verbose=False) == [first]
    # The checkpoint is plain data, and all that is needed.
    plain = torch.load(path, weights_only=True)
    assert json.loads(plain["videolit"])["format"] == 1
    loaded = load_task(path)
    assert type(loaded) is type(task)
    assert not loaded.training
    ours = trainer().predict(task, datamodule=data())
    theirs = trainer().predict(loaded, datamodule=data())
    for one, two in zip(ours, theirs, strict=True):
        check_summary_prediction(one)
        assert torch.equal(one["scores"], two["scores"])
        assert one["video_id"] == two["video_id"]
    assert trainer().test(loaded, datamodule=data(), verbose=False) == [first]
    # Training goes on from it.
    resumed = trainer(max_epochs=2)
    resumed.fit(make(), datamodule=data(), ckpt_path=path)
    assert resumed.current_epoch == 2
    return path, first


def check_summary_prediction(found):
    """Check what :meth:`videolit.tasks.summary.SummaryTask.predict_step` returns."""
    scores, mask = found["scores"], found["mask"]
    assert scores.dtype == torch.float32
    assert mask.dtype == torch.bool
    assert scores.shape == mask.shape
    assert len(found["video_id"]) == len(found["error"]) == len(scores) == len(found["index"])
    assert ((scores >= 0) & (scores <= 1)).all()
    assert (scores[~mask] == 0).all()
