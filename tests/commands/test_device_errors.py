"""Errors of a device that a user can mend are one sentence, exit code 2 and no traceback."""

import pytest
import torch
from torch._dynamo.exc import InternalTorchDynamoError

from videolit import ActionTask, cli
from videolit.commands.device_errors import device_advice


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB.\nSee docs."),
            ["too little memory: CUDA out of memory. Tried to allocate 9.00 GiB", "batch_size"],
        ),
        (
            RuntimeError(
                "max_pool3d_with_indices_backward_cuda does not have a deterministic "
                "implementation, but you set 'torch.use_deterministic_algorithms(True)'."
            ),
            ["--trainer.deterministic true: max_pool3d_with_indices_backward_cuda", "warn"],
        ),
        (
            InternalTorchDynamoError("ValueError: The argument is not comparable."),
            ["cannot compile this model here: ValueError: The argument", "--model.compile_model"],
        ),
    ],
    ids=["memory", "deterministic", "compiler"],
)
def test_training_ends_with_a_sentence(problem, said, tiny_set, tmp_path, monkeypatch, capsys):
    def step(*_):
        raise problem

    monkeypatch.setattr(ActionTask, "training_step", step)
    words = ["fit", "--config", "action/small_cnn_rnn", "--data.root", str(tiny_set)]
    words += ["--data.num_workers", "0", "--trainer.fast_dev_run", "1"]
    words += ["--trainer.accelerator", "cpu", "--trainer.default_root_dir", str(tmp_path)]
    assert cli.main(words) == 2
    told = capsys.readouterr().err
    assert "Traceback" not in told
    for part in said:
        assert part in told


def test_other_errors_are_left_alone():
    assert device_advice(RuntimeError("shapes do not fit")) == ""
    assert device_advice(RuntimeError()) == ""
