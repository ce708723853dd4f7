"""Errors that a device raises and a user can mend, told in a sentence."""

from __future__ import annotations

import torch


def device_advice(problem: RuntimeError) -> str:
    """Return what a user can do about an error of the device, ``""`` for other errors.

    Args:
        problem: What PyTorch raised in training or evaluation.
    """
    first = (str(problem).splitlines() or [""])[0]
    if isinstance(problem, torch.OutOfMemoryError):
        return (
            f"too little memory: {first}. Set a smaller --data.batch_size (and "
            "--trainer.accumulate_grad_batches, which makes up for it), --trainer.precision "
            "bf16-mixed or --model.recompute true"
        )
    if "does not have a deterministic implementation" in first:
        operation = first.partition(" ")[0]
        return (
            f"--trainer.deterministic true: {operation} of PyTorch cannot be repeated exactly on "
            "this device. Set it to warn, or take another encoder or temporal model"
        )
    if type(problem).__module__.startswith(("torch._dynamo", "torch._inductor")):
        return (
            f"torch.compile of PyTorch {torch.__version__} cannot compile this model here: "
            f"{first}. Leave --model.compile_model out; a newer PyTorch may be able to"
        )
    return ""
