"""A batch of utterances to the feature sequences that a fusion takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from videolit.fusion import Stream
from videolit.types import InputError, Modality, SentimentBatch

if TYPE_CHECKING:
    from videolit.tasks.sentiment import SentimentTask


def streams_of(task: SentimentTask, batch: SentimentBatch) -> dict[str, Stream]:
    """Return the features of each modality that the model has.

    Only samples that have a modality go through its encoder.

    Args:
        task: The model.
        batch: With values, masks and seconds of any modalities.

    Raises:
        InputError: If stored features come without their times.
    """
    found: dict[str, Stream] = {}
    tensors = cast("Mapping[str, Tensor]", batch)
    for name in task.names:
        mask = tensors.get(f"{name}_mask")
        if mask is None or not bool(mask.any()):
            found[name] = _absent(task, name, len(batch["index"]))
            continue
        rows = mask.any(1).nonzero()[:, 0]
        seconds = tensors.get(f"{name}_seconds")
        own = None if seconds is None else seconds[rows]
        stream = _encoded(task, name, tensors[name][rows], mask[rows], own)
        if len(rows) < len(mask):
            stream = Stream(*(_spread(part, rows, len(mask)) for part in stream))
        found[name] = stream
    return found


def _encoded(
    task: SentimentTask, name: Modality, values: Tensor, mask: Tensor, seconds: Tensor | None
) -> Stream:
    """Encode the samples that have a modality."""
    if name == "video":
        if values.ndim == 3:
            features, mask = task.steps(values, mask)
        else:
            features = task.frame_steps(values, mask, task.steps_per_clip)
        if task.temporal is not None:
            features = task.temporal(features, mask)
    else:
        encoder = task.sound if name == "sound" else task.text
        assert encoder is not None
        # A sound encoder tells the times of its steps, as it makes them.
        features, real, *times = encoder(values, mask)
        if times:
            seconds = times[0].float().expand(real.shape)
        elif seconds is not None and real.shape[1] == 1 < mask.shape[1]:
            # One step for all of an utterance stands in its middle.
            seconds = (seconds * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True)
        mask = real
    if seconds is None:
        raise InputError(f"{name} needs {name}_seconds in the batch, float (B, T)")
    return Stream(features, mask, seconds)


def _absent(task: SentimentTask, name: Modality, size: int) -> Stream:
    """Return a modality that no sample of a batch has."""
    like = cast("Tensor", task.fusion.missing)
    features = like.new_zeros(size, 1, task.fusion.in_features[name])
    if task.training:
        parts: tuple[nn.Module | None, ...] = (
            (task.encoder, task.temporal) if name == "video" else (getattr(task, name),)
        )
        # A gradient of zero for each weight: DDP waits for one.
        weights = (p.sum() for part in parts if part is not None for p in part.parameters())
        features = features + 0 * sum(weights, start=like.new_zeros(()))
    nothing = torch.zeros(size, 1, device=like.device)
    return Stream(features, nothing > 0, nothing)


def _spread(part: Tensor, rows: Tensor, size: int) -> Tensor:
    """Return rows at their places among ``size``, with zeros, or False, elsewhere."""
    whole = part.new_zeros(size, *part.shape[1:])
    return whole.index_copy(0, rows, part)
