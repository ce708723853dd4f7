"""Before a long training: does it begin as it should, can it learn, and do labels leak?"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn
from torch import Tensor

from videolit.callbacks.context import data_of, task_of
from videolit.data.clips import ClipDataset, collate
from videolit.data.sampler import SampleKey
from videolit.tasks.action import ActionTask
from videolit.types import InputError, VideoBatch

# A first loss may be so many times off that of equal probabilities.
_TOLERANCE = 1.5
# Share of a batch that must be learnt by heart, and of its loss that may be left.
_LEARNT, _LEFT = 0.95, 0.2


class SanityChecks(pl.Callback):
    """Check a training before its first epoch (after Karpathy 2019, A Recipe for Training NNs).

    - *First loss*: without training all classes should be about equally likely, so that
      cross-entropy is about ln K. Much more means that the input or the head is badly scaled.
    - *One batch by heart*: a network that cannot is too small, or its loss, labels, input or
      learning rate are wrong.
    - *Shuffled labels*: after training on labels that were dealt out anew, the true validation
      labels must not be predicted better than by chance; else they leak into the input. Not for
      several labels a clip.

    Weights, optimizer and all random numbers are as before afterwards. A check that fails is a
    warning; the training goes on.

    Args:
        steps: Optimizer steps to learn one batch by heart.
        shuffle_steps: Steps on shuffled labels; 0 leaves this check out.
        num_samples: Most validation samples that the last check looks at.

    Attributes:
        result: What was found: ``first_loss``, ``expected_loss``, ``batch_accuracy``,
            ``batch_loss``, and ``shuffled_accuracy`` with its ``chance_limit``.

    Raises:
        InputError: If a number is out of its range.
    """

    def __init__(self, steps: int = 100, shuffle_steps: int = 50, num_samples: int = 256) -> None:
        if steps < 1 or shuffle_steps < 0 or num_samples < 1:
            raise InputError(
                "SanityChecks needs steps and num_samples of at least 1 and shuffle_steps of at "
                f"least 0, got {steps}, {num_samples} and {shuffle_steps}"
            )
        self.steps = steps
        self.shuffle_steps = shuffle_steps
        self.num_samples = num_samples
        self.result: dict[str, float] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Run the checks, unless a training is resumed."""
        if trainer.global_step > 0:
            return
        task, train = task_of(pl_module), data_of(trainer).dataset("train")
        batches = _batches(train, data_of(trainer).batch_size, data_of(trainer).seed)
        first = next(batches)
        self.result = {}
        with _untouched(task):
            self._first_loss(trainer, task, first)
        with _untouched(task):
            self._by_heart(trainer, task, first)
        if self.shuffle_steps and not task.multi_label:
            with _untouched(task):
                self._shuffled(trainer, task)

    def _first_loss(self, trainer: pl.Trainer, task: ActionTask, batch: VideoBatch) -> None:
        with torch.no_grad():
            found, _ = _loss(trainer, task, batch)
        num_classes = len(task.class_names or ())
        expected = float(
            task.loss_of(torch.zeros(1, num_classes, device=task.device), _uniform(task))
        )
        self.result |= {"first_loss": float(found), "expected_loss": expected}
        what = f"first loss {float(found):.3f}, {expected:.3f} if all classes were equally likely"
        if expected / _TOLERANCE <= float(found) <= expected * _TOLERANCE:
            _say(f"ok: {what}")
        else:
            rank_zero_warn(
                f"sanity: {what}: look at the scale of the input (uint8, or float in [0, 1]) and "
                "at the weights that were loaded"
            )

    def _by_heart(self, trainer: pl.Trainer, task: ActionTask, batch: VideoBatch) -> None:
        optimizer = _optimizer(task)
        begun = loss = math.nan
        right = 0.0
        for step in range(self.steps):
            found, right = _step(trainer, task, optimizer, batch)
            begun, loss = (found if step == 0 else begun), found
            if right >= _LEARNT and loss <= _LEFT * begun:
                break
        self.result |= {"batch_loss": loss, "batch_accuracy": right}
        what = (
            f"one batch of {len(batch['index'])} clips: {right:.0%} right and loss {begun:.3f} to "
            f"{loss:.3f} in {step + 1} steps"
        )
        if right >= _LEARNT:
            _say(f"ok: {what}")
        else:
            rank_zero_warn(
                f"sanity: {what}; it should be learnt by heart: try another learning rate, less "
                "regularisation (dropout, label_smoothing, weight_decay), look at the labels, or "
                "take a larger network"
            )

    def _shuffled(self, trainer: pl.Trainer, task: ActionTask) -> None:
        data = data_of(trainer)
        train = data.dataset("train")
        deal = np.random.Generator(np.random.PCG64([data.seed, 4])).permutation(len(train))
        # Dealt out before loading: a way by which labels get into the input stays open.
        train.manifest = dataclasses.replace(
            train.manifest, labels=train.manifest.labels[deal].copy()
        )
        batches = _batches(train, data.batch_size, data.seed)
        optimizer = _optimizer(task)
        for _ in range(self.shuffle_steps):
            _step(trainer, task, optimizer, next(batches))
        val, size = data.dataset("val"), data.batch_size
        order = np.random.Generator(np.random.PCG64([data.seed, 5])).permutation(len(val))
        rows = order[: self.num_samples].tolist()
        task.eval()
        hits = 0.0
        with torch.no_grad():
            for at in range(0, len(rows), size):
                part = [SampleKey(0, row, True) for row in rows[at : at + size]]
                batch = collate(val.__getitems__(part))
                hits += _loss(trainer, task, batch)[1] * len(part)
        found = hits / len(rows)
        counts = np.bincount(data.manifest("val").labels[rows])
        chance = float(counts.max() / counts.sum())
        # The 97.5 % quantile of always answering the most frequent class, normal approximation.
        limit = chance + 1.96 * math.sqrt(chance * (1 - chance) / len(rows))
        self.result |= {"shuffled_accuracy": found, "chance_limit": limit}
        what = f"trained on shuffled labels {found:.0%} of {len(rows)} validation clips are right"
        if found <= limit:
            _say(f"ok: {what}, no more than by chance")
        else:
            rank_zero_warn(
                f"sanity: {what}, above what chance can do ({limit:.0%}): the labels leak into the "
                "input, or one class stands out so much that everything is taken for it"
            )


def _batches(dataset: ClipDataset, size: int, seed: int) -> Iterator[VideoBatch]:
    """Yield training batches without end, apart from those of the training itself."""
    generator = np.random.Generator(np.random.PCG64([seed, 3]))
    size = max(size // dataset.clips_per_video, 1)
    epoch = 0
    while True:
        order = generator.permutation(len(dataset)).tolist()
        for at in range(0, max(len(order) - size + 1, 1), size):
            keys = [SampleKey(epoch, row, True) for row in order[at : at + size]]
            yield collate(dataset.__getitems__(keys))
        epoch += 1


def _loss(trainer: pl.Trainer, task: ActionTask, batch: VideoBatch) -> tuple[Tensor, float]:
    """Return the loss of a batch and the share of its clips that are right."""
    batch = trainer.strategy.batch_to_device(batch, task.device)
    with trainer.precision_plugin.forward_context():
        logits = task(batch["video"], batch["mask"]).float()
        label = task.labels(batch)
        loss = task.loss_of(logits, label)
    if label.is_floating_point():
        right = ((logits > 0) == (label > 0.5)).float().mean()
    else:
        right = (logits.argmax(-1) == label).float().mean()
    return loss, float(right)


def _step(
    trainer: pl.Trainer, task: ActionTask, optimizer: torch.optim.Optimizer, batch: VideoBatch
) -> tuple[float, float]:
    optimizer.zero_grad()
    loss, right = _loss(trainer, task, batch)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss), right


def _optimizer(task: ActionTask) -> torch.optim.Optimizer:
    """Return a fresh optimizer as the training's, without its schedule."""
    return task.build_optimizer()[0]


def _uniform(task: ActionTask) -> Tensor:
    """Return a label whose loss is that of every label when all classes are equally likely."""
    num_classes = len(task.class_names or ())
    if task.multi_label:
        return torch.zeros(1, num_classes, device=task.device)
    return torch.full((1, num_classes), 1 / num_classes, device=task.device)


@contextmanager
def _untouched(task: ActionTask) -> Iterator[None]:
    """Put back weights, gradients, mode and random numbers afterwards."""
    before: dict[str, Any] = copy.deepcopy(task.state_dict())
    training = task.training
    devices = [task.device] if task.device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.enable_grad():
        task.train()
        try:
            yield
        finally:
            task.load_state_dict(before)
            task.zero_grad(set_to_none=True)
            task.train(training)


@rank_zero_only
def _say(message: str) -> None:
    print(f"Sanity {message}")
