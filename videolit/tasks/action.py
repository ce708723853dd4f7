"""Action recognition: one label per clip, or several."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypedDict, cast, get_args

import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection

from videolit.encoders import VideoEncoder
from videolit.metrics import MajorityBaseline, SampleScores, f1_scores, mean_average_precision
from videolit.ops.losses import binary_cross_entropy, cross_entropy, focal_loss
from videolit.ops.mixing import cutmix, mixup, multi_hot
from videolit.tasks.base import VideoTask
from videolit.tasks.checkpoint import read_record
from videolit.tasks.classes import build_metrics, label_order, loss_weights
from videolit.tasks.groups import Schedule
from videolit.temporal import MeanPool, TemporalModel
from videolit.types import ClassSource, InputError, VideoBatch


class ActionPrediction(TypedDict):
    """What :meth:`ActionTask.predict_step` returns for a batch.

    Attributes:
        index: int64 ``(B,)``.
        scores: float32 ``(B, K)``, probabilities, on the CPU.
        sample_mask: bool ``(B,)``; False = repeats another sample or could not be read.
        video_id: the files.
        error: why a file could not be read, ``""`` when it could.
        label: int64 ``(B,)``, or float ``(B, K)`` of several labels, where the data knows it.
    """

    index: Tensor
    scores: Tensor
    sample_mask: Tensor
    video_id: list[str]
    error: list[str]
    label: Tensor | None


Loss = Literal["cross_entropy", "bce", "focal"]


class ActionTask(VideoTask):
    """Recognise the action of a clip, or all its actions: encoder, temporal model, linear layer.

    The head is built for the data's class names when training starts, or for those of the
    checkpoint. A checkpoint keeps its own label order: data that names the same classes in another
    order is understood.

    Args:
        encoder: Clips to feature sequences.
        temporal: Called with the encoder's ``num_features``, returns the temporal model.
        class_names: Names in label order; None = the DataModule's.
        multi_label: Whether a clip can have several labels, or none: each class is a decision of
            its own (sigmoid instead of softmax). None = as the data or the checkpoint has it.
        loss: ``"cross_entropy"``; ``"bce"``, one decision per class, for one label as well
            (Wightman et al. 2021); or ``"focal"`` (Lin et al. 2017), which forgets easy samples.
            None = bce with several labels, cross-entropy with one.
        focal_gamma: How much less the focal loss counts what is classified well.
        dropout: Probability of dropping a feature before the head.
        label_smoothing: Share of each label that is spread over all classes.
        class_weights: Weights of the classes in the loss: ``"balanced"`` = inversely proportional
            to their training samples, with mean 1; or a list; None = all equal.
        mixup: Blend clips and labels with a share drawn from Beta(mixup, mixup); 0 = off.
        cutmix: Put a box of one clip into another, of an area drawn from Beta(cutmix, cutmix); 0 =
            off. With mixup, each batch gets one of the two by chance.
        clips_per_step: Most clips at once when a video has several views.
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
        temporal: Callable[[int], TemporalModel] = MeanPool,
        *,
        class_names: list[str] | None = None,
        multi_label: bool | None = None,
        loss: Loss | None = None,
        focal_gamma: float = 2.0,
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
        class_weights: Literal["balanced"] | list[float] | None = None,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        clips_per_step: int = 32,
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
            temporal,
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
        if clips_per_step < 1:
            raise InputError(f"clips_per_step must be at least 1, got {clips_per_step}")
        for name, value in (("mixup", mixup), ("cutmix", cutmix), ("focal_gamma", focal_gamma)):
            if value < 0:
                raise InputError(f"{name} must be at least 0, got {value}")
        if loss is not None and loss not in get_args(Loss):
            raise InputError(f"loss must be one of {', '.join(get_args(Loss))}, got {loss!r}")
        if loss == "cross_entropy" and multi_label:
            raise InputError(
                "the loss 'cross_entropy' knows one label a clip: with multi_label take 'bce' or "
                "'focal'"
            )
        if loss == "focal" and label_smoothing:
            raise InputError("the focal loss has no label_smoothing; set one of them")
        self.class_names = list(class_names) if class_names else None
        self.multi_label = multi_label
        self.loss: Loss | None = loss
        self.focal_gamma = focal_gamma
        self.dropout = dropout
        self.label_smoothing = label_smoothing
        self.class_weights = class_weights
        self.mixup = mixup
        self.cutmix = cutmix
        self.clips_per_step = clips_per_step
        self.head: nn.Linear | None = None
        # The data's labels in this task's order, and the classes' weights in the loss.
        self.label_map: Tensor | None
        self.loss_weights: Tensor | None
        self.register_buffer("label_map", None, persistent=False)
        self.register_buffer("loss_weights", None, persistent=False)
        self._built = (False, 0)
        self._source: ClassSource | None = None

    # Building: class names decide the head.

    def setup(self, stage: str) -> None:
        """Meet the data: adopt its class names, or understand them in this task's order.

        Raises:
            InputError: If no one knows the classes, or the data has some that the task has not.
        """
        source = cast("ClassSource | None", getattr(self.trainer, "datamodule", None))
        self._source = source if source is not None and len(source.class_names) > 0 else None
        if self._source is not None:
            self._meet(self._source)
        elif self.class_names is None and stage != "predict":
            # When predicting, the checkpoint brings the classes.
            raise InputError(
                "the classes are unknown: give the Trainer a DataModule, or the task class_names"
            )
        if stage == "fit" and self._source is not None:
            self.clip_spec = self._source.clip_spec
            self.train_ids = torch.cat([self._source.sample_ids(s) for s in ("train", "val")])
            self.loss_weights = self._weights()

    def configure_model(self) -> None:
        """Build head and metrics for the class names, unless a checkpoint has built them."""
        if self._source is None and self._trainer is not None:
            # A callback that averages weights wants the whole model before the task's setup.
            self.setup(self.trainer.state.fn or "fit")
        if self.class_names is not None:
            self._build(len(self.class_names))
        super().configure_model()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the data out of copies of the model."""
        return {**super().__getstate__(), "_source": None}

    def restore(self, record: dict[str, Any]) -> None:
        """Take over the clip settings of a checkpoint and build the head for its classes."""
        super().restore(record)
        assert self.class_names is not None
        self._build(len(self.class_names))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adopt the checkpoint's classes in their order, and map the data's labels to it.

        Raises:
            InputError: If the model differs, or the data has classes that the checkpoint has not.
        """
        super().on_load_checkpoint(checkpoint)
        settings = read_record(checkpoint, "the checkpoint")["task"]["init_args"]
        self.class_names = settings["class_names"]
        self.multi_label = settings.get("multi_label", False)
        self._build(len(self.class_names))
        if self._source is not None:
            self._meet(self._source)
            if self.loss_weights is not None:
                self.loss_weights = self._weights()

    def _build(self, num_classes: int) -> None:
        """Make head and metrics for K classes; those that fit are kept."""
        built = bool(self.multi_label), num_classes
        if self.head is not None and self._built == built:
            return
        self._built = built
        self.head = nn.Linear(self.temporal.num_features, num_classes).to(self.device)
        self.metrics = build_metrics(num_classes, several=bool(self.multi_label))
        self.metrics.to(self.device)

    def _meet(self, source: ClassSource) -> None:
        """Bring the data's classes and this task's together."""
        if self.multi_label is None:
            self.multi_label = source.multi_label
        if source.multi_label and not self.multi_label:
            raise InputError(
                "the data has several labels a clip, the model knows one: train it with "
                "multi_label, or test it on data with a column 'label'"
            )
        names = list(source.class_names)
        if self.class_names is None:
            self.class_names = names
        order = label_order(names, self.class_names)
        identity = order == list(range(len(self.class_names)))
        self.label_map = None if identity else torch.tensor(order, device=self.device)

    def _weights(self) -> Tensor | None:
        """Return the classes' weights in the loss, float ``(K,)``."""
        assert self._source is not None
        assert self.class_names is not None
        counts = dict(zip(self._source.class_names, self._source.class_counts, strict=True))
        ordered = [counts.get(name, 0) for name in self.class_names]
        weights = loss_weights(self.class_weights, ordered, self.class_names)
        return None if weights is None else weights.to(self.device)

    # Computing.

    def forward(self, video: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the class logits of clips.

        Args:
            video: ``(B, T, C, H, W)``.
            mask: bool ``(B, T)``; None = all frames are real.

        Returns:
            float ``(B, K)``.
        """
        if self.head is None:
            raise InputError(
                "the head is not built yet: it is when a Trainer starts, or by load_task; without "
                "either, the classes are unknown"
            )
        features = nn.functional.dropout(self.encode(video, mask), self.dropout, self.training)
        logits: Tensor = self.head(features)
        return logits

    def probabilities(self, video: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return class probabilities, averaged over the views of each video.

        One decision between all classes (softmax), or with ``multi_label`` one for each (sigmoid).

        Args:
            video: ``(B, T, C, H, W)`` or ``(B, V, T, C, H, W)``; views are computed in chunks of
                ``clips_per_step`` clips.
            mask: bool ``(B, T)`` or ``(B, V, T)``.

        Returns:
            float32 ``(B, K)``; rows sum to 1 unless ``multi_label``.
        """
        if video.ndim == 5:
            return self._scores(video, mask)
        clips = torch.split(video.flatten(0, 1), self.clips_per_step)
        masks: Sequence[Tensor | None] = [None] * len(clips)
        if mask is not None:
            masks = torch.split(mask.flatten(0, 1), self.clips_per_step)
        scores = torch.cat([self._scores(c, m) for c, m in zip(clips, masks, strict=True)])
        return scores.view(*video.shape[:2], -1).mean(1)

    def training_step(self, batch: VideoBatch, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        video, mask, label = batch["video"], batch["mask"], self.labels(batch)
        target = label
        mixes = self.mixup > 0 or self.cutmix > 0
        if mixes:
            video, mask, target = self._mix(video, mask, label)
        logits = self(video, mask).float()
        loss = self.loss_of(logits, target)
        size = len(label)
        self.log("train/loss_step", loss, prog_bar=True, batch_size=size)
        self.log("train/loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=size)
        if not mixes and not self.multi_label:
            hits = (logits.detach().argmax(-1) == label).float().mean()
            self.log(
                "train/accuracy",
                hits,
                on_step=False,
                on_epoch=True,
                sync_dist=True,
                batch_size=size,
            )
        return loss

    def loss_of(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the training loss.

        Args:
            logits: float ``(B, K)``.
            target: int64 ``(B,)``, or float ``(B, K)``: shares of one label, or several labels.
        """
        weight, smoothing = self.loss_weights, self.label_smoothing
        loss = self.loss or ("bce" if self.multi_label else "cross_entropy")
        if loss == "cross_entropy":
            return cross_entropy(logits, target, weight, smoothing)
        target = multi_hot(target, logits.shape[-1])
        if loss == "bce":
            return binary_cross_entropy(logits, target, weight, smoothing)
        binary = bool(self.multi_label)
        return focal_loss(logits, target, self.focal_gamma, weight, binary=binary)

    def _mix(self, video: Tensor, mask: Tensor, label: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return clips that are mixed with others of the batch, their mask and labels' shares."""
        assert self.class_names is not None
        target = multi_hot(label, len(self.class_names))
        blends = self.cutmix == 0 or (self.mixup > 0 and bool(torch.rand(()) < 0.5))
        alpha = self.mixup if blends else self.cutmix
        share = float(torch.distributions.Beta(alpha, alpha).sample())
        partner = torch.randperm(len(label), device=label.device)
        if blends:
            video, target = mixup(video, target, share, partner)
        else:
            y, x = torch.rand(2).tolist()
            video, target = cutmix(video, target, share, partner, (y, x))
        # A frame is real where either of the two is.
        return video, mask | mask[partner], target

    def on_validation_epoch_start(self) -> None:
        """Forget the samples of the epoch before."""
        if self.multi_label:
            cast("SampleScores", self.metrics["val_samples"]).reset()

    def on_validation_epoch_end(self) -> None:
        """Score the samples of all processes together, where they have several labels."""
        self._score_sets("val")

    def on_test_epoch_end(self) -> None:
        """Score the samples of all processes together, where they have several labels."""
        self._score_sets("test")

    def _score_sets(self, split: Literal["val", "test"]) -> None:
        if not self.multi_label:
            return
        _, target, scores = cast("SampleScores", self.metrics[f"{split}_samples"]).compute()
        micro, macro = f1_scores(scores, target)
        self.log(f"{split}/map", mean_average_precision(scores, target), prog_bar=split == "val")
        self.log_dict({f"{split}/micro_f1": micro, f"{split}/macro_f1": macro})

    def _evaluate_sets(
        self, split: Literal["val", "test"], index: Tensor, truth: Tensor, scores: Tensor
    ) -> None:
        """Keep the scores of samples with several labels, and update the loss."""
        loss = cast("MeanMetric", self.metrics[f"{split}_loss"])
        if len(truth) > 0:
            cast("SampleScores", self.metrics[f"{split}_samples"]).update(index, truth, scores)
            chance = scores.clamp(1e-7, 1 - 1e-7)
            losses = -(truth * chance.log() + (1 - truth) * (1 - chance).log())
            loss.update(losses.sum(-1))
        self.log(f"{split}/loss", loss, on_step=False, on_epoch=True)

    def validation_step(self, batch: VideoBatch, batch_idx: int) -> None:
        """Update the validation metrics."""
        self._evaluate(batch, "val")

    def test_step(self, batch: VideoBatch, batch_idx: int) -> dict[str, Tensor]:
        """Update the test metrics; return the probabilities for callbacks that show samples."""
        scores = self._evaluate(batch, "test")
        keep, label = batch["sample_mask"], self.labels(batch)
        if not self.multi_label:
            self.test_samples.update(batch["index"][keep], label[keep], scores[keep])
        return {"scores": scores, "label": label}

    def on_test_epoch_start(self) -> None:
        """Forget the scores of an earlier test, and say where it differs from the training."""
        self.test_samples.reset()
        self.num_seen = 0
        if self._source is not None:
            self._compare_with_training(self._source)

    def _compare_with_training(self, source: ClassSource) -> None:
        """Warn of another preprocessing, and of samples that the model was trained on."""
        if self.clip_spec is not None:
            # More views and crops are the test's own affair.
            specs = [
                dataclasses.replace(spec, num_views=1, num_crops=1)
                for spec in (self.clip_spec, source.clip_spec)
            ]
            if specs[0] != specs[1]:
                rank_zero_warn(
                    f"the model was trained on other clips ({specs[0].describe()}) than it is "
                    f"tested on ({specs[1].describe()}): repeat the options of the training, or "
                    "use the config.yaml in its folder"
                )
        self.tell_seen(source.sample_ids("test"), "samples", "seed, groups and fractions")

    @property
    def test_samples(self) -> SampleScores:
        """The scores of each sample of the last test, of all processes once computed."""
        return cast("SampleScores", self.metrics["test_samples"])

    def predict_step(self, batch: VideoBatch, batch_idx: int) -> ActionPrediction:
        """Return the probabilities of a batch and what tells whose they are."""
        return {
            "index": batch["index"].cpu(),
            "scores": self.probabilities(batch["video"], batch["mask"]).cpu(),
            "sample_mask": batch["sample_mask"].cpu(),
            "video_id": batch["video_id"],
            "error": batch["error"],
            "label": self.labels(batch).cpu() if "label" in batch else None,
        }

    def labels(self, batch: VideoBatch) -> Tensor:
        """Return a batch's labels in this task's order: int64 ``(B,)``, or float ``(B, K)``."""
        label = batch["label"]
        if not label.is_floating_point():
            label = label if self.label_map is None else self.label_map[label]
            # Data of one label each, for a model that knows several.
            return multi_hot(label, len(self.class_names or ())) if self.multi_label else label
        if self.label_map is None:
            return label
        ordered = label.new_zeros(len(label), len(self.class_names or ()))
        return ordered.index_copy(1, self.label_map, label)

    def _scores(self, video: Tensor, mask: Tensor | None) -> Tensor:
        # In float32 whatever the precision of the model: bfloat16 cannot tell 0.999 from 1.
        logits: Tensor = self(video, mask).float()
        return logits.sigmoid() if self.multi_label else logits.softmax(-1)

    def _evaluate(self, batch: VideoBatch, split: Literal["val", "test"]) -> Tensor:
        """Update a split's metrics with the samples that count; return all probabilities."""
        keep, label = batch["sample_mask"], self.labels(batch)
        scores = self.probabilities(batch["video"], batch["mask"])
        counted, truth = scores[keep], label[keep]
        if self.multi_label:
            self._evaluate_sets(split, batch["index"][keep], truth, counted)
            return scores
        metrics = cast("MetricCollection", self.metrics[f"{split}_scores"])
        loss = cast("MeanMetric", self.metrics[f"{split}_loss"])
        majority = cast("MajorityBaseline", self.metrics[f"{split}_majority"])
        if len(truth) > 0:
            metrics.update(counted, truth)
            majority.update(truth)
            loss.update(-counted.gather(1, truth[:, None]).clamp(min=1e-12).log())
        for name, metric in metrics.items():
            bar = name == "val/accuracy"
            self.log(name, metric, on_step=False, on_epoch=True, prog_bar=bar)
        self.log(f"{split}/loss", loss, on_step=False, on_epoch=True)
        self.log(f"{split}/majority", majority, on_step=False, on_epoch=True)
        return scores
