"""Every encoder of the package: one training step, and a checkpoint that gives the same answers."""

import pytest
import torch

import videolit.encoders
from contracts import small_clip
from videolit import ActionTask, load_task
from videolit.commands.bench_encoders import ENCODERS


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ENCODERS)
def test_it_trains_and_its_checkpoint_is_whole(name, tmp_path):
    torch.manual_seed(0)
    entry = ENCODERS[name]
    task = ActionTask(getattr(videolit.encoders, entry.kind)(**entry.arguments))
    task.class_names = ["one", "two", "three"]
    task.configure_model()
    frames, size = small_clip(task.encoder)
    video = torch.randint(0, 256, (2, frames, 3, size, size), dtype=torch.uint8)
    optimizer, _ = task.build_optimizer()
    before = {key: value.clone() for key, value in task.named_parameters()}
    loss = task.loss_of(task.train()(video), torch.tensor([0, 2]))
    loss.backward()
    assert torch.isfinite(loss)
    without = [key for key, p in task.named_parameters() if p.grad is None]
    assert without == []
    assert all(p.grad.isfinite().all() for p in task.parameters())
    # Stochastic depth may have left out a block of a transformer for both clips.
    moved = {key for key, p in task.named_parameters() if p.grad.any()}
    assert len(moved) > 0.7 * len(before)
    optimizer.step()
    assert all(not torch.equal(before[key], task.get_parameter(key)) for key in moved)
    checkpoint = {"state_dict": task.state_dict()}
    task.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, tmp_path / "a.ckpt")
    loaded = load_task(tmp_path / "a.ckpt")
    with torch.no_grad():
        expected = task.eval().probabilities(video)
        torch.testing.assert_close(loaded.probabilities(video), expected, rtol=0, atol=0)
