"""What all tasks share: ``Y = G(H(X))``, its optimizer and its self-contained checkpoint."""

from __future__ import annotations

import functools
import inspect
import json
import math
from collections.abc import Callable
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from videolit import __version__
from videolit.encoders import VideoEncoder
from videolit.encoders.layers import layer_parameters, recompute_layers
from videolit.encoders.pretrained import none_or_name
from videolit.tasks.checkpoint import FORMAT, IDS_KEY, KEY, describe, part_name, read_record
from videolit.tasks.weights import load_encoder
from videolit.temporal import MeanPool, TemporalModel
from videolit.types import ClipSpec, InputError

Schedule = Literal["cosine", "constant"]

# Recorded apart from the task's own arguments, or of no use once training is over.
_LEFT_OUT = frozenset({"encoder", "temporal", "optimizer", "init_from"})


class VideoTask(pl.LightningModule):
    """An encoder ``H`` and a temporal model ``G``; a task adds head, loss and metrics.

    Args:
        encoder: Clips to feature sequences.
        temporal: Called with the encoder's ``num_features``, returns the temporal model, as a
            class or ``functools.partial`` of one does.
        optimizer: Called with the parameters; None = AdamW with a learning rate of 1e-3 and a
            weight decay of 0.05.
        encoder_lr: Learning rate of the encoder; None = the optimizer's.
        layer_decay: Factor of the learning rate from each layer of the encoder to the one below
            it, in (0, 1] (Bao et al. 2022, BEiT, appendix H).
        norm_weight_decay: Weight decay of norms and biases; None = the optimizer's.
        schedule: ``"cosine"`` falls to zero over the whole training, ``"constant"`` stays.
        warmup: Share of all steps over which the learning rate first rises from zero, in [0, 1).
        freeze_encoder: Leave the encoder's weights and its BatchNorm statistics as they are.
        freeze_epochs: Leave them so for this many epochs, then train them; warmup starts anew.
        recompute: Keep only what the encoder's blocks take in and compute what lies between again
            in the backward pass: less memory, about a third more time.
        init_from: A file of weights for the encoder, in place of its own pretrained ones: a
            checkpoint of any task, or a state dict of torchvision, PyTorchVideo, MMAction2,
            PySlowFast, timm or Hugging Face style (``.pth``, ``.pt``, ``.pyth``, ``.safetensors``).
            Read at the start of fit, and not needed later.
        compile_model: Compile encoder and temporal model with ``torch.compile``.

    Raises:
        InputError: If a number is out of its range.
    """

    def __init__(
        self,
        encoder: VideoEncoder,
        temporal: Callable[[int], TemporalModel] = MeanPool,
        *,
        optimizer: OptimizerCallable | None = None,
        encoder_lr: float | None = None,
        layer_decay: float = 1.0,
        norm_weight_decay: float | None = None,
        schedule: Schedule = "cosine",
        warmup: float = 0.05,
        freeze_encoder: bool = False,
        freeze_epochs: int = 0,
        recompute: bool = False,
        init_from: str | None = None,
        compile_model: bool = False,
    ) -> None:
        super().__init__()
        if not 0 <= warmup < 1:
            raise InputError(f"warmup is a share of all steps in [0, 1), got {warmup}")
        if freeze_encoder and encoder_lr is not None:
            raise InputError(
                f"encoder_lr ({encoder_lr}) has no effect on a frozen encoder; leave it out or set "
                "freeze_encoder to false"
            )
        if not 0 < layer_decay <= 1:
            raise InputError(f"layer_decay must lie in (0, 1], got {layer_decay}")
        if norm_weight_decay is not None and norm_weight_decay < 0:
            raise InputError(f"norm_weight_decay must be at least 0, got {norm_weight_decay}")
        if freeze_epochs < 0 or (freeze_epochs and freeze_encoder):
            raise InputError(
                f"freeze_epochs must be at least 0, and 0 with freeze_encoder, got {freeze_epochs}"
            )
        self.encoder = encoder
        self.temporal = (
            temporal if isinstance(temporal, TemporalModel) else temporal(encoder.num_features)
        )
        self.optimizer = optimizer
        self.encoder_lr = encoder_lr
        self.layer_decay = layer_decay
        self.norm_weight_decay = norm_weight_decay
        self.schedule: Schedule = schedule
        self.warmup = warmup
        self.freeze_encoder = freeze_encoder
        self.freeze_epochs = freeze_epochs
        self.recompute = recompute
        self.init_from = none_or_name(init_from)
        self.compile_model = compile_model
        self._is_compiled = False
        # Whether the encoder's weights come from a checkpoint or have been loaded already.
        self._has_weights = False
        # What it was trained on: preprocessing, and the samples of train and val as numbers.
        self.clip_spec: ClipSpec | None = None
        self.train_ids: Tensor | None = None
        if freeze_encoder:
            self.encoder.requires_grad_(False).eval()

    def encode(self, video: Tensor, mask: Tensor | None = None) -> Tensor:
        """Turn each clip into one vector.

        Args:
            video: ``(B, T, C, H, W)`` as in :class:`~videolit.types.VideoBatch`.
            mask: bool ``(B, T)``; None = all frames are real.

        Returns:
            float ``(B, temporal.num_features)``.
        """
        features, real = self.steps(video, mask)
        sequence = self.temporal(features, real)
        return self.temporal.pool(sequence, real)

    def steps(self, video: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the encoder's features, float ``(B, T', D)``, and their mask ``(B, T')``.

        Args:
            video: ``(B, T, C, H, W)`` as in :class:`~videolit.types.VideoBatch`.
            mask: bool ``(B, T)``; None = all frames are real.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._rests):
            features, real = self.encoder(video, mask)
        if self._rests and self.training:
            # A gradient of zero for each weight: DDP waits for one.
            features = features + 0 * sum(p.sum() for p in self.encoder.parameters())
        return features, real

    def train(self, mode: bool = True) -> VideoTask:
        """Switch modes; a frozen encoder stays at rest, its BatchNorm statistics included."""
        super().train(mode)
        if self.freeze_encoder or self._rests:
            self.encoder.eval()
        return self

    @property
    def _rests(self) -> bool:
        """Whether the encoder is not trained yet, in the first epochs of ``freeze_epochs``."""
        return self.freeze_epochs > 0 and (
            self._trainer is not None
            and self.trainer.state.fn == "fit"
            and self.current_epoch < self.freeze_epochs
        )

    def on_train_epoch_start(self) -> None:
        """Wake the encoder when its rest is over."""
        if self.freeze_epochs:
            self.train()

    def configure_model(self) -> None:
        """Compile the model, and recompute its blocks, where that is asked for."""
        fitting = self._trainer is not None and self.trainer.state.fn == "fit"
        if self.recompute and fitting:
            recompute_layers(self.encoder.layers())
        # Compiling pays in training only; a file or two are predicted long before it is done.
        wanted = self.compile_model and fitting
        if wanted and not self._is_compiled:
            self.encoder.compile()
            self.temporal.compile()
            self._is_compiled = True

    def on_fit_start(self) -> None:
        """Load pretrained weights, unless a checkpoint brought others.

        It is done here, not when the model is built: a configuration or a checkpoint can then be
        loaded without a network.
        """
        if self.trainer.world_size > 1:
            # All processes start with one seed; dropout and mixup must differ between them.
            torch.manual_seed(torch.initial_seed() + self.trainer.global_rank)
        if self._has_weights:
            return
        self._has_weights = True
        if self.init_from is not None:
            fit = load_encoder(self.encoder, self.init_from)
            if not fit.is_whole:
                rank_zero_warn(f"not all weights fitted: {fit.describe()}")
            elif self.trainer.is_global_zero:
                print(f"Weights: {fit.describe()}")
            return
        # One process of each machine downloads, the others find the file.
        if self.trainer.local_rank == 0:
            self.encoder.fetch_pretrained()
        self.trainer.strategy.barrier("pretrained weights")
        self.encoder.load_pretrained()

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Give the encoder, its layers and all norms their own settings; warm up, then decay.

        Raises:
            InputError: If everything is frozen or the schedule has no end.
        """
        optimizer, names = self.build_optimizer()
        steps = self.trainer.estimated_stepping_batches
        if math.isinf(steps):
            raise InputError(
                f"the schedule {self.schedule!r} needs an end: set trainer.max_epochs or "
                "trainer.max_steps"
            )
        rest = 0
        # A trial of one batch has no second epoch.
        if self.freeze_epochs and not self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            epochs = self.trainer.max_epochs or -1
            if epochs <= self.freeze_epochs:
                raise InputError(
                    f"freeze_epochs ({self.freeze_epochs}) must be below trainer.max_epochs "
                    f"({epochs}): the encoder would never be trained. Set freeze_encoder for that"
                )
            rest = math.ceil(steps * self.freeze_epochs / epochs)
        factors: list[Callable[[int], float]] = [
            functools.partial(
                _factor,
                rest=rest if name.startswith("encoder") else 0,
                steps=steps,
                warmup=self.warmup,
                schedule=self.schedule,
            )
            for name in names
        ]
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factors)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def build_optimizer(self) -> tuple[torch.optim.Optimizer, list[str]]:
        """Return a new optimizer without a schedule, and the names of its groups.

        Raises:
            InputError: If everything is frozen.
        """
        groups, scales = self._parameter_groups()
        optimizer = (self.optimizer or _default_optimizer)(groups)
        for group, scale in zip(optimizer.param_groups, scales, strict=True):
            group["lr"] *= scale
        return optimizer, [group["name"] for group in groups]

    def _parameter_groups(self) -> tuple[list[dict[str, Any]], list[float]]:
        """Return the optimizer's groups, and what each one's learning rate is multiplied by."""
        layers = [list(self.encoder.parameters())]
        if self.layer_decay < 1:
            layers = layer_parameters(self.encoder, self.encoder.layers())
        ids = {id(p) for p in self.encoder.parameters()}
        digits = len(str(len(layers)))
        parts: list[tuple[str, list[nn.Parameter], float]] = [
            (
                f"encoder.{number:0{digits}}" if len(layers) > 1 else "encoder",
                layer,
                self.layer_decay ** (len(layers) - number) if len(layers) > 1 else 1.0,
            )
            for number, layer in enumerate(layers)
        ]
        parts.append(("head", [p for p in self.parameters() if id(p) not in ids], 1.0))
        groups: list[dict[str, Any]] = []
        scales: list[float] = []
        for name, parameters, scale in parts:
            trained = [p for p in parameters if p.requires_grad]
            halves: list[tuple[str, list[nn.Parameter], dict[str, float]]] = [(name, trained, {})]
            if self.norm_weight_decay is not None:
                # Norms and biases are those without a second dimension.
                halves = [
                    (name, [p for p in trained if p.ndim > 1], {}),
                    (
                        f"{name}.norm",
                        [p for p in trained if p.ndim <= 1],
                        {"weight_decay": self.norm_weight_decay},
                    ),
                ]
            for full, chosen, settings in halves:
                if not chosen:
                    continue
                group: dict[str, Any] = {"params": chosen, "name": full, **settings}
                if self.encoder_lr is not None and name != "head":
                    group["lr"] = self.encoder_lr
                groups.append(group)
                scales.append(scale)
        if not groups:
            raise InputError("nothing to train: all parameters are frozen")
        return groups, scales

    def record(self) -> dict[str, Any]:
        """Return all that :func:`~videolit.tasks.checkpoint.load_task` needs beside the weights."""
        return {
            "format": FORMAT,
            "version": __version__,
            "task": describe(self, leave_out=_LEFT_OUT),
            "encoder": describe(self.encoder),
            "temporal": describe(self.temporal),
            "clip_spec": self.clip_spec.to_dict() if self.clip_spec is not None else None,
        }

    def restore(self, record: dict[str, Any]) -> None:
        """Build what a checkpoint decides beside its weights."""
        self._has_weights = True

    def remember_training(self, checkpoint: dict[str, Any], record: dict[str, Any]) -> None:
        """Take over from a checkpoint what its model was trained on."""
        spec = record["clip_spec"]
        self.clip_spec = ClipSpec.from_dict(spec) if spec is not None else None
        self.train_ids = checkpoint.get(IDS_KEY)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Make the checkpoint self-contained."""
        checkpoint[KEY] = json.dumps(self.record())
        if self.train_ids is not None:
            checkpoint[IDS_KEY] = self.train_ids

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of another model by its parts, not by tensor shapes.

        Raises:
            InputError: If encoder or temporal model differ from this task's.
        """
        record = read_record(checkpoint, "the checkpoint")
        self._has_weights = True
        if self.trainer.state.fn != "fit":
            self.remember_training(checkpoint, record)
        for part in ("encoder", "temporal"):
            theirs, ours = dict(record[part]), describe(getattr(self, part))
            # An argument that came after the checkpoint had its default's effect before.
            known = inspect.signature(type(getattr(self, part))).parameters
            new = {
                name: known[name].default
                for name in ours["init_args"]
                if name not in theirs["init_args"] and name in known
            }
            theirs["init_args"] = {**theirs["init_args"], **new}
            # Where the first weights came from makes no difference to the ones that are loaded.
            for one in (theirs, ours):
                one["init_args"] = {k: v for k, v in one["init_args"].items() if k != "weights"}
            if theirs != ours:
                raise InputError(
                    f"the checkpoint's {part} is {part_name(theirs)}, this model's is "
                    f"{part_name(ours)}: use the configuration that the checkpoint was trained with"
                )


def _factor(step: int, *, rest: int, steps: float, warmup: float, schedule: Schedule) -> float:
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


def _default_optimizer(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.05)
