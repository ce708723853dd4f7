"""What all tasks share: ``Y = G(H(X))``, its optimizer and its self-contained checkpoint."""

from __future__ import annotations

import functools
import inspect
import json
import math
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import lightning.pytorch as pl
import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from videolit import __version__
from videolit.encoders import VideoEncoder
from videolit.encoders.layers import recompute_layers
from videolit.encoders.pretrained import none_or_name
from videolit.encoders.steps import encode_steps
from videolit.tasks.checkpoint import FORMAT, IDS_KEY, KEY, describe, part_name, read_record
from videolit.tasks.groups import Schedule, default_optimizer, parameter_groups, rate_factor
from videolit.tasks.weights import load_encoder
from videolit.temporal import MeanPool, TemporalModel
from videolit.types import ClipSpec, InputError

# Of no use once training is over.
_LEFT_OUT = frozenset({"optimizer", "init_from"})


@runtime_checkable
class Pretrained(Protocol):
    """An encoder that may have pretrained weights to fetch."""

    def fetch_pretrained(self) -> None:
        """Download them, unless there are none."""
        ...

    def load_pretrained(self) -> None:
        """Load them, unless there are none."""
        ...


class VideoTask(pl.LightningModule):
    """An encoder ``H`` and a temporal model ``G``; a task adds head, loss and metrics.

    A task with more encoders than that of the picture says so in :meth:`encoders` and
    :meth:`parts`.

    Args:
        encoder: Clips to feature sequences; None = the task has no picture.
        temporal: Called with the encoder's ``num_features``, returns the temporal model, as a
            class or ``functools.partial`` of one does; None = none.
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
        encoder: VideoEncoder | None,
        temporal: Callable[[int], TemporalModel] | None = MeanPool,
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
        if encoder is None and (init_from is not None or freeze_encoder or freeze_epochs):
            raise InputError(
                "init_from, freeze_encoder and freeze_epochs are about the encoder of the picture, "
                "and the model has none: leave them out"
            )
        self.encoder = encoder
        self.temporal: TemporalModel | None = None
        if encoder is not None and temporal is not None:
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
        # How many samples of the last test the model was trained on.
        self.num_seen = 0
        if freeze_encoder and encoder is not None:
            encoder.requires_grad_(False).eval()

    def parts(self) -> dict[str, nn.Module | None]:
        """Return what a checkpoint names by class and arguments, None where the task has none."""
        return {"encoder": self.encoder, "temporal": self.temporal}

    def encoders(self) -> dict[str, tuple[nn.Module, float | None]]:
        """Return the encoders, each with its learning rate, None = the optimizer's."""
        return {} if self.encoder is None else {"encoder": (self.encoder, self.encoder_lr)}

    def encode(self, video: Tensor, mask: Tensor | None = None) -> Tensor:
        """Turn each clip into one vector.

        Args:
            video: ``(B, T, C, H, W)`` as in :class:`~videolit.types.VideoBatch`.
            mask: bool ``(B, T)``; None = all frames are real.

        Returns:
            float ``(B, temporal.num_features)``.
        """
        features, real = self.steps(video, mask)
        assert self.temporal is not None
        sequence = self.temporal(features, real)
        return self.temporal.pool(sequence, real)

    def steps(self, video: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the encoder's features, float ``(B, T', D)``, and their mask ``(B, T')``.

        Args:
            video: ``(B, T, C, H, W)`` as in :class:`~videolit.types.VideoBatch`.
            mask: bool ``(B, T)``; None = all frames are real.
        """
        assert self.encoder is not None
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._rests):
            features, real = self.encoder(video, mask)
        if self._rests and self.training:
            # A gradient of zero for each weight: DDP waits for one.
            features = features + 0 * sum(p.sum() for p in self.encoder.parameters())
        return features, real

    def frame_steps(self, video: Tensor, mask: Tensor, steps_per_clip: int) -> Tensor:
        """Return a feature for each frame of whole videos.

        Args:
            video: ``(B, T, C, H, W)``.
            mask: bool ``(B, T)``.
            steps_per_clip: Frames that the encoder gets at once; where it returns fewer steps, they
                are interpolated.

        Returns:
            float ``(B, T, encoder.num_features)``.
        """
        assert self.encoder is not None
        least = self.encoder.num_frames[0]
        return encode_steps(self._clip_steps, video, mask, steps_per_clip, least)

    def _clip_steps(self, video: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return VideoTask.steps(self, video, mask)

    def train(self, mode: bool = True) -> VideoTask:
        """Switch modes; a frozen encoder stays at rest, its BatchNorm statistics included."""
        super().train(mode)
        if self.encoder is not None and (self.freeze_encoder or self._rests):
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

    def on_train_epoch_end(self) -> None:
        """Stop when the loss is no number any more.

        Raises:
            InputError: Says what to try.
        """
        loss = self.trainer.callback_metrics.get("train/loss_step")
        if loss is not None and not bool(torch.isfinite(loss)):
            raise InputError(
                f"the training loss became {float(loss)} in epoch {self.trainer.current_epoch}: "
                "try a lower learning rate, --trainer.gradient_clip_val 1, or precision 32-true"
            )

    def configure_model(self) -> None:
        """Compile the model, and recompute its blocks, where that is asked for."""
        fitting = self._trainer is not None and self.trainer.state.fn == "fit"
        if self.recompute and fitting and self.encoder is not None:
            recompute_layers(self.encoder.layers())
        # Compiling pays in training only; a file or two are predicted long before it is done.
        wanted = self.compile_model and fitting
        if wanted and not self._is_compiled:
            for part in (self.encoder, self.temporal):
                if part is not None:
                    part.compile()
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
        wanted = [
            part
            for name, (part, _) in self.encoders().items()
            if isinstance(part, Pretrained) and not (name == "encoder" and self.init_from)
        ]
        if self.init_from is not None and self.encoder is not None:
            fit = load_encoder(self.encoder, self.init_from)
            if not fit.is_whole:
                rank_zero_warn(f"not all weights fitted: {fit.describe()}")
            elif self.trainer.is_global_zero:
                print(f"Weights: {fit.describe()}")
        # One process of each machine downloads, the others find the file.
        if self.trainer.local_rank == 0:
            for part in wanted:
                part.fetch_pretrained()
        self.trainer.strategy.barrier("pretrained weights")
        for part in wanted:
            part.load_pretrained()

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
                rate_factor,
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
        groups, scales = parameter_groups(
            self, self.encoders(), self.layer_decay, self.norm_weight_decay
        )
        optimizer = (self.optimizer or default_optimizer)(groups)
        for group, scale in zip(optimizer.param_groups, scales, strict=True):
            group["lr"] *= scale
        return optimizer, [group["name"] for group in groups]

    def record(self) -> dict[str, Any]:
        """Return all that :func:`~videolit.tasks.checkpoint.load_task` needs beside the weights."""
        parts = self.parts()
        return {
            "format": FORMAT,
            "version": __version__,
            "task": describe(self, leave_out=_LEFT_OUT | set(parts)),
            **{name: None if part is None else describe(part) for name, part in parts.items()},
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

    def tell_seen(self, test_ids: Tensor, what: str, advice: str) -> None:
        """Count the test samples that the model was trained on, and warn of them.

        Args:
            test_ids: int64 ``(N,)``, numbers that stand for the samples.
            what: What a sample is called.
            advice: Which settings to repeat.
        """
        self.num_seen = 0
        if self.train_ids is None:
            return
        self.num_seen = int(torch.isin(test_ids, self.train_ids.cpu()).sum())
        if self.num_seen:
            rank_zero_warn(
                f"{self.num_seen} of {len(test_ids)} test {what} were used in training or to "
                "choose the model: these figures are no result. Repeat the "
                f"{advice} of the training, or use the config.yaml in its folder"
            )

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of another model by its parts, not by tensor shapes.

        Raises:
            InputError: If a part, as the encoder, differs from this task's.
        """
        record = read_record(checkpoint, "the checkpoint")
        self._has_weights = True
        if self.trainer.state.fn != "fit":
            self.remember_training(checkpoint, record)
        for part, module in self.parts().items():
            if module is None or record.get(part) is None:
                if module is not None or record.get(part) is not None:
                    has, lacks = (
                        ("checkpoint", "model") if module is None else ("model", "checkpoint")
                    )
                    raise InputError(
                        f"the {has} has a part {part!r}, the {lacks} has none: use the "
                        "configuration that the checkpoint was trained with"
                    )
                continue
            theirs, ours = dict(record[part]), describe(module)
            # An argument that came after the checkpoint had its default's effect before.
            known = inspect.signature(type(module)).parameters
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


def refuse_test_monitor(callbacks: list[Any], instead: str = "val/tau") -> None:
    """Refuse callbacks that choose an epoch by the test split.

    Args:
        callbacks: A trainer's.
        instead: What to look at.

    Raises:
        InputError: Names the callback and what it looks at.
    """
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        if isinstance(monitor, str) and monitor.startswith("test"):
            raise InputError(
                f"{type(callback).__name__} monitors {monitor!r}: a model that is chosen on the "
                f"test split has no honest test result. Monitor {instead!r}; the validation split "
                "is taken from what is not tested"
            )
