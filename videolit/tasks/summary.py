"""Video summary: how much each moment of a video matters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, TypedDict, cast, get_args

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from videolit.encoders import IdentityEncoder, VideoEncoder
from videolit.metrics import VideoFigures
from videolit.metrics.summary_video import BASELINES, FIGURES, baseline_figures, video_figures
from videolit.ops.losses import ranking_loss
from videolit.ops.rewards import summary_reward
from videolit.tasks.base import VideoTask, refuse_test_monitor
from videolit.tasks.checkpoint import read_record
from videolit.tasks.groups import Schedule
from videolit.temporal import LocalTransformer, TemporalModel
from videolit.types import InputError, SummaryBatch, SummarySource

Objective = Literal["scores", "reward"]
Targets = Literal["users", "mean"]

# Weight of the squared distance of the mean probability from 1/2, and episodes (section 3.3).
_HALF_WEIGHT = 0.01
_EPISODES = 5


class SummaryPrediction(TypedDict):
    """What :meth:`SummaryTask.predict_step` returns for a batch.

    Attributes:
        index: int64 ``(B,)``.
        scores: float32 ``(B, T)`` in [0, 1], on the CPU; 0 at padding.
        mask: bool ``(B, T)``.
        sample_mask: bool ``(B,)``; False = repeats another video or could not be read.
        video_id: the videos.
        error: why a video could not be read, ``""`` when it could.
    """

    index: Tensor
    scores: Tensor
    mask: Tensor
    sample_mask: Tensor
    video_id: list[str]
    error: list[str]


class SummaryTask(VideoTask):
    """Score each step of a video: encoder, temporal model, a linear layer, a sigmoid.

    It learns from annotators' scores, or without any label from a reward. Frames and stored
    features run through the same task: with features, take
    :class:`~videolit.encoders.IdentityEncoder`.

    Args:
        encoder: Frames to features, or :class:`~videolit.encoders.IdentityEncoder`. Frames are
            encoded in clips of ``steps_per_clip`` steps that follow each other.
        temporal: Called with the encoder's ``num_features``, returns the temporal model; None =
            :class:`~videolit.temporal.LocalTransformer`.
        objective: ``"scores"``: squared error to the annotators' common score and ranking loss.
            ``"reward"``: no labels; diversity and representativeness of what is chosen, by policy
            gradients (Zhou et al. 2018, DR-DSN; the baseline is the mean of the other episodes of
            the same step, instead of a moving mean).
        ranking: Weight of the ranking loss beside the squared error, at least 0; see
            :func:`~videolit.ops.losses.ranking_loss`.
        targets: Whom the ranking loss compares with: ``"users"``, each annotator where the data
            has them, or the ``"mean"``.
        dropout: Probability of dropping a feature before the head.
        steps_per_clip: Frames that the encoder gets at once; also bounds its memory. A clip
            encoder needs a number that it accepts; where it returns fewer steps, they are
            interpolated.
        optimizer: Called with the parameters; None = AdamW.
        encoder_lr: Learning rate of the encoder; None = the optimizer's.
        layer_decay: Factor of the learning rate from each layer of the encoder to the one below.
        norm_weight_decay: Weight decay of norms and biases; None = the optimizer's.
        schedule: ``"cosine"`` or ``"constant"``.
        warmup: Share of all steps with a rising learning rate.
        freeze_encoder: Train temporal model and head only.
        freeze_epochs: Train temporal model and head only for so many epochs, then all.
        recompute: Keep less of the encoder in memory while training, at the cost of time.
        init_from: A file of weights for the encoder; see :class:`VideoTask`.
        compile_model: Use ``torch.compile``.
    """

    encoder: VideoEncoder
    temporal: TemporalModel

    def __init__(
        self,
        encoder: VideoEncoder,
        temporal: Callable[[int], TemporalModel] | None = None,
        *,
        objective: Objective = "scores",
        ranking: float = 1.0,
        targets: Targets = "users",
        dropout: float = 0.0,
        steps_per_clip: int = 16,
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
        super().__init__(
            encoder,
            temporal or LocalTransformer,
            optimizer=optimizer,
            encoder_lr=encoder_lr,
            layer_decay=layer_decay,
            norm_weight_decay=norm_weight_decay,
            schedule=schedule,
            warmup=warmup,
            freeze_encoder=freeze_encoder,
            freeze_epochs=freeze_epochs,
            recompute=recompute,
            init_from=init_from,
            compile_model=compile_model,
        )
        for name, value, known in (
            ("objective", objective, get_args(Objective)),
            ("targets", targets, get_args(Targets)),
        ):
            if value not in known:
                raise InputError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        if ranking < 0 or not 0 <= dropout < 1 or steps_per_clip < 1:
            raise InputError(
                "expected ranking at least 0, dropout in [0, 1) and steps_per_clip at least 1, got "
                f"{ranking}, {dropout} and {steps_per_clip}"
            )
        self.objective: Objective = objective
        self.ranking = ranking
        self.targets: Targets = targets
        self.dropout = dropout
        self.steps_per_clip = steps_per_clip
        self.head = nn.Linear(self.temporal.num_features, 1)
        self.figures = nn.ModuleDict(
            {split: VideoFigures((*FIGURES, "loss")) for split in ("val", "test")}
        )
        self.baselines = VideoFigures(BASELINES)
        # What made the stored features that it was trained on, as JSON.
        self.feature_record: str | None = None

    # Meeting the data, and coming back from a checkpoint.

    def setup(self, stage: str) -> None:
        """Remember how the videos of a training are read.

        Raises:
            InputError: If a callback chooses the model by its test result, or the encoder does not
                take what the data has.
        """
        refuse_test_monitor(self.trainer.callbacks)  # type: ignore[attr-defined]
        source = cast("SummarySource | None", getattr(self.trainer, "datamodule", None))
        if source is None:
            return
        check_features(self.encoder, source.num_features)
        if stage == "fit":
            self.clip_spec = source.clip_spec
            self.feature_record = source.feature_record
            self.train_ids = torch.cat([source.sample_ids(s) for s in ("train", "val")])
        elif stage == "test":
            self.tell_seen(source.sample_ids("test"), "videos", "seed, fold and split")

    def record(self) -> dict[str, Any]:
        """Return what a checkpoint says, with what made the features."""
        return {**super().record(), "features": self.feature_record}

    def restore(self, record: dict[str, Any]) -> None:
        """Take over what made the features of a checkpoint."""
        super().restore(record)
        self.feature_record = record.get("features")

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of another model, or of another task.

        Raises:
            InputError: If encoder, temporal model or task differ from this one's.
        """
        super().on_load_checkpoint(checkpoint)
        record = read_record(checkpoint, "the checkpoint")
        if self.trainer.state.fn != "fit":
            self.feature_record = record.get("features")

    # Computing.

    def steps(self, video: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return a feature for each step of whole videos.

        Args:
            video: Stored features, float ``(B, T, D)``, or frames ``(B, T, C, H, W)``.
            mask: bool ``(B, T)``; None = all are real.

        Returns:
            float ``(B, T, num_features)`` and bool ``(B, T)``.
        """
        if video.ndim == 3:
            return super().steps(video, mask)
        if mask is None:
            mask = torch.ones(video.shape[:2], dtype=torch.bool, device=video.device)
        return self.frame_steps(video, mask, self.steps_per_clip), mask

    def score_features(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return the logit of each step, float ``(B, T)``, from the encoder's features.

        Args:
            features: float ``(B, T, encoder.num_features)``.
            mask: bool ``(B, T)``.
        """
        found = self.temporal(features, mask)
        found = nn.functional.dropout(found, self.dropout, self.training)
        logits: Tensor = self.head(found)[..., 0]
        return logits

    def forward(self, video: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the logit of each step, float ``(B, T)``; arguments as for :meth:`steps`."""
        return self.score_features(*self.steps(video, mask))

    def scores(self, video: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return how much each step matters, float32 ``(B, T)`` in [0, 1], 0 at padding."""
        scores = self(video, mask).float().sigmoid()
        return scores if mask is None else torch.where(mask, scores, 0.0)

    def training_step(self, batch: SummaryBatch, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        features, mask = self.steps(batch["video"], batch["mask"])
        logits = self.score_features(features, mask).float()
        if self.objective == "reward":
            loss, reward = self._reward_loss(logits, features.detach().float(), mask)
            self._log_mean("train/reward", reward, len(mask))
        else:
            loss = self._score_loss(logits, batch)
        self.log("train/loss_step", loss, prog_bar=True, batch_size=len(mask))
        self._log_mean("train/loss", loss, len(mask))
        return loss

    def _log_mean(self, name: str, value: Tensor, size: int) -> None:
        self.log(name, value, on_step=False, on_epoch=True, sync_dist=True, batch_size=size)

    def _score_loss(self, logits: Tensor, batch: SummaryBatch) -> Tensor:
        """Return squared error and ranking loss."""
        if "scores" not in batch:
            raise InputError(
                "training on scores needs videos that have them; without labels set "
                "--model.objective reward"
            )
        loss = squared_error(logits, batch["scores"], batch["mask"]).mean()
        if self.ranking > 0:
            loss = loss + self.ranking * self._ranking_loss(logits, batch, slice(None))
        return loss

    def _ranking_loss(self, logits: Tensor, batch: SummaryBatch, rows: slice) -> Tensor:
        """Return the ranking loss of some videos; the same each time unless in training."""
        target, mask = batch["scores"], batch["mask"]
        users, known = target[:, None], torch.ones_like(mask[:, :1])
        if self.targets == "users" and "user_scores" in batch:
            users, known = batch["user_scores"], batch["user_mask"]
        return ranking_loss(logits[rows], users[rows], mask[rows], known[rows], draw=self.training)

    def _reward_loss(self, logits: Tensor, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the policy's loss and the mean reward."""
        losses, rewards = [], []
        for row, feature, real in zip(logits, features, mask, strict=True):
            policy = torch.distributions.Bernoulli(logits=row[real])
            picks = policy.sample((_EPISODES,))  # type: ignore[no-untyped-call]
            got = torch.stack([summary_reward(feature[real], p.nonzero()[:, 0]) for p in picks])
            others = (got.sum() - got) / (_EPISODES - 1)
            chance = policy.log_prob(picks).mean(1)  # type: ignore[no-untyped-call]
            half = (policy.probs.mean() - 0.5).square()
            losses.append(_HALF_WEIGHT * half - ((got - others) * chance).mean())
            rewards.append(got.mean())
        return torch.stack(losses).mean(), torch.stack(rewards).mean()

    # Measuring.

    def validation_step(self, batch: SummaryBatch, batch_idx: int) -> None:
        """Compare a batch with its annotators."""
        self._evaluate(batch, "val")

    def test_step(self, batch: SummaryBatch, batch_idx: int) -> dict[str, Tensor]:
        """Compare a batch, and what needs no model, with its annotators."""
        scores = self._evaluate(batch, "test")
        for row in range(len(scores)):
            if bool(batch["sample_mask"][row]):
                index = int(batch["index"][row])
                found = baseline_figures(batch["truth"][row], seed=index)
                self._keep(self.baselines, index, found)
        return {"scores": scores}

    def _evaluate(self, batch: SummaryBatch, split: Literal["val", "test"]) -> Tensor:
        """Update a split's figures with the videos that count; return all scores."""
        mask = batch["mask"]
        logits = self(batch["video"], mask).float()
        scores = torch.where(mask, logits.sigmoid(), 0.0)
        errors = [math.nan] * len(mask)
        if "scores" in batch:
            errors = squared_error(logits, batch["scores"], mask).tolist()
            if self.objective == "scores" and self.ranking > 0:
                # The sum that is trained, so that its curves can be compared.
                errors = [
                    error + self.ranking * float(self._ranking_loss(logits, batch, slice(r, r + 1)))
                    for r, error in enumerate(errors)
                ]
        figures = cast("VideoFigures", self.figures[split])
        for row, truth in enumerate(batch["truth"]):
            if bool(batch["sample_mask"][row]):
                steps = int(mask[row].sum())
                found = video_figures(scores[row, :steps].double().cpu().numpy(), truth)
                found["loss"] = errors[row]
                self._keep(figures, int(batch["index"][row]), found)
        return scores

    def _keep(self, figures: VideoFigures, index: int, found: dict[str, float]) -> None:
        values = torch.tensor([[found[name] for name in figures.names]], device=self.device)
        figures.update(torch.tensor([index], device=self.device), values)

    def on_validation_epoch_start(self) -> None:
        """Forget the figures of the epoch before."""
        cast("VideoFigures", self.figures["val"]).reset()

    def on_test_epoch_start(self) -> None:
        """Forget the figures of the test before."""
        cast("VideoFigures", self.figures["test"]).reset()
        self.baselines.reset()

    def on_validation_epoch_end(self) -> None:
        """Log the means over videos."""
        self._log_figures("val")

    def on_test_epoch_end(self) -> None:
        """Log the means over videos, and what no model and people get."""
        self._log_figures("test")
        for name, value in known_means(self.baselines).items():
            self.log(f"test/{name}", value)

    def _log_figures(self, split: Literal["val", "test"]) -> None:
        figures = cast("VideoFigures", self.figures[split])
        for name, value in known_means(figures).items():
            self.log(f"{split}/{name}", value, prog_bar=(split, name) == ("val", "tau"))

    @property
    def test_figures(self) -> VideoFigures:
        """The figures of each video of the last test, of all processes once computed."""
        return cast("VideoFigures", self.figures["test"])

    def predict_step(self, batch: SummaryBatch, batch_idx: int) -> SummaryPrediction:
        """Return the scores of a batch and what tells whose they are."""
        return {
            "index": batch["index"].cpu(),
            "scores": self.scores(batch["video"], batch["mask"]).cpu(),
            "mask": batch["mask"].cpu(),
            "sample_mask": batch["sample_mask"].cpu(),
            "video_id": batch["video_id"],
            "error": batch["error"],
        }

    def remember_training(self, checkpoint: dict[str, Any], record: dict[str, Any]) -> None:
        """Take over from a checkpoint what its model was trained on."""
        super().remember_training(checkpoint, record)
        self.feature_record = record.get("features")


def known_means(figures: VideoFigures) -> dict[str, float]:
    """Return the means over videos of the figures that any video has."""
    return {name: mean for name, mean in figures.means().items() if not math.isnan(mean)}


def squared_error(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return each video's mean squared error, float ``(B,)``.

    Args:
        logits: float ``(B, T)``.
        target: float ``(B, T)`` in [0, 1].
        mask: bool ``(B, T)``.
    """
    error = torch.where(mask, (logits.sigmoid() - target).square(), 0.0)
    return error.sum(1) / mask.sum(1)


def check_features(encoder: VideoEncoder, num_features: int) -> None:
    """Refuse features of another length than the model's, and features for an encoder of frames.

    Args:
        encoder: The model's.
        num_features: How many numbers a stored feature of the data has; 0 = raw videos.

    Raises:
        InputError: Says which setting fits the data.
    """
    stored = isinstance(encoder, IdentityEncoder)
    if stored and num_features == 0:
        raise InputError(
            f"the model takes stored features of {encoder.num_features} numbers, and the data is "
            "raw videos: make features of them (videolit features), or take an encoder of frames "
            "(--config summary/folder_frames)"
        )
    if num_features and not stored:
        raise InputError(
            f"the data is stored features of {num_features} numbers, and {type(encoder).__name__} "
            "takes frames: set --model.encoder IdentityEncoder "
            f"--model.encoder.init_args.num_features {num_features}"
        )
    if num_features and encoder.num_features != num_features:
        raise InputError(
            f"the stored features have {num_features} numbers, and the model takes "
            f"{encoder.num_features}: set --model.encoder.init_args.num_features {num_features}"
        )
