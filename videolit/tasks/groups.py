"""The optimizer's groups of parameters, and the learning rate over a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import nn

from videolit.encoders import VideoEncoder
from videolit.encoders.layers import layer_parameters
from videolit.types import InputError

Schedule = Literal["cosine", "constant"]


def parameter_groups(
    task: nn.Module,
    encoders: Mapping[str, tuple[nn.Module, float | None]],
    layer_decay: float,
    norm_weight_decay: float | None,
) -> tuple[list[dict[str, Any]], list[float]]:
    """Return the optimizer's groups, and what each one's learning rate is multiplied by.

    Args:
        task: All parameters; those of no encoder are the group ``head``.
        encoders: Encoders by name, each with its learning rate, None = the optimizer's.
        layer_decay: Factor of the learning rate from each layer of a video encoder to the one
            below.
        norm_weight_decay: Weight decay of norms and biases; None = the optimizer's.

    Raises:
        InputError: If everything is frozen.
    """
    parts: list[tuple[str, list[nn.Parameter], float | None, float]] = []
    ids: set[int] = set()
    for part, (encoder, rate) in encoders.items():
        layers = [list(encoder.parameters())]
        if layer_decay < 1 and isinstance(encoder, VideoEncoder):
            layers = layer_parameters(encoder, encoder.layers())
        digits = len(str(len(layers)))
        for number, layer in enumerate(layers):
            several = len(layers) > 1
            name = f"{part}.{number:0{digits}}" if several else part
            scale = layer_decay ** (len(layers) - number) if several else 1.0
            parts.append((name, layer, rate, scale))
        ids |= {id(p) for p in encoder.parameters()}
    parts.append(("head", [p for p in task.parameters() if id(p) not in ids], None, 1.0))
    groups: list[dict[str, Any]] = []
    scales: list[float] = []
    for name, parameters, rate, scale in parts:
        trained = [p for p in parameters if p.requires_grad]
        halves: list[tuple[str, list[nn.Parameter], dict[str, float]]] = [(name, trained, {})]
        if norm_weight_decay is not None:
            # Norms and biases are those without a second dimension.
            halves = [
                (name, [p for p in trained if p.ndim > 1], {}),
                (
                    f"{name}.norm",
                    [p for p in trained if p.ndim <= 1],
                    {"weight_decay": norm_weight_decay},
                ),
            ]
        for full, chosen, settings in halves:
            if not chosen:
                continue
            group: dict[str, Any] = {"params": chosen, "name": full, **settings}
            if rate is not None:
                group["lr"] = rate
            groups.append(group)
            scales.append(scale)
    if not groups:
        raise InputError("nothing to train: all parameters are frozen")
    return groups, scales


def rate_factor(step: int, *, rest: int, steps: float, warmup: float, schedule: Schedule) -> float:
    """Return the learning rate at a step as a share of its highest value.

    Args:
        step: From 0 on.
        rest: Steps of rest before the warmup.
        steps: All steps.
        warmup: Share of the steps after the rest over which it rises.
        schedule: What follows.
    """
    if step < rest:
        return 0.0
    step, steps = step - rest, steps - rest
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    done = (step - rising) / max(steps - rising, 1)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0))) if schedule == "cosine" else 1.0


def default_optimizer(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """Return AdamW with a learning rate of 1e-3 and a weight decay of 0.05."""
    return torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.05)
