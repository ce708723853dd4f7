"""What all tasks share: ``Y = G(H(X))``, its optimizer and its self-contained checkpoint."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from videolit import __version__
from videolit.encoders import VideoEncoder
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
        schedule: ``"cosine"`` falls to zero over the whole training, ``"constant"`` stays.
        warmup: Share of all steps over which the learning rate first rises from zero, in [0, 1).
        freeze_encoder: Leave the encoder's weights and its BatchNorm statistics as they are.
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
        schedule: Schedule = "cosine",
        warmup: float = 0.05,
        freeze_encoder: bool = False,
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
        self.encoder = encoder
        self.temporal = (
            temporal if isinstance(temporal, TemporalModel) else temporal(encoder.num_features)
        )
        self.optimizer = optimizer
        self.encoder_lr = encoder_lr
        self.schedule: Schedule = schedule
        self.warmup = warmup
        self.freeze_encoder = freeze_encoder
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
        features, real = self.encoder(video, mask)
        sequence = self.temporal(features, real)
        return self.temporal.pool(sequence, real)

    def train(self, mode: bool = True) -> VideoTask:
        """Switch modes; a frozen encoder stays at rest, its BatchNorm statistics included."""
        super().train(mode)
        if self.freeze_encoder:
            self.encoder.eval()
        return self

    def configure_model(self) -> None:
        """Compile the model where that is asked for."""
        # Compiling pays in training only; a file or two are predicted long before it is done.
        wanted = self.compile_model and self.trainer.state.fn == "fit"
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
        """Give the encoder its own learning rate and warm up before the schedule.

        Raises:
            InputError: If everything is frozen or the schedule has no end.
        """
        encoder = [p for p in self.encoder.parameters() if p.requires_grad]
        ids = {id(p) for p in self.encoder.parameters()}
        rest = [p for p in self.parameters() if p.requires_grad and id(p) not in ids]
        groups: list[dict[str, Any]] = []
        if encoder:
            groups.append({"params": encoder, "name": "encoder"})
            if self.encoder_lr is not None:
                groups[0]["lr"] = self.encoder_lr
        if rest:
            groups.append({"params": rest, "name": "head"})
        if not groups:
            raise InputError("nothing to train: all parameters are frozen")
        build = self.optimizer or _default_optimizer
        optimizer = build(groups)
        steps = self.trainer.estimated_stepping_batches
        if math.isinf(steps):
            raise InputError(
                f"the schedule {self.schedule!r} needs an end: set trainer.max_epochs or "
                "trainer.max_steps"
            )
        warmup, cosine = round(self.warmup * steps), self.schedule == "cosine"

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / (warmup + 1)
            done = (step - warmup) / max(steps - warmup, 1)
            return 0.5 * (1 + math.cos(math.pi * min(done, 1.0))) if cosine else 1.0

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

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
            # Where the first weights came from makes no difference to the ones that are loaded.
            for one in (theirs, ours):
                one["init_args"] = {k: v for k, v in one["init_args"].items() if k != "weights"}
            if theirs != ours:
                raise InputError(
                    f"the checkpoint's {part} is {part_name(theirs)}, this model's is "
                    f"{part_name(ours)}: use the configuration that the checkpoint was trained with"
                )


def _default_optimizer(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.05)
