"""Sentiment and emotion of utterances, from picture, sound and words, or any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from videolit.encoders import NGramEncoder, VideoEncoder
from videolit.fusion import BottleneckFusion, Fusion, Stream
from videolit.metrics import SampleScores
from videolit.tasks.base import VideoTask, refuse_test_monitor
from videolit.tasks.checkpoint import read_record
from videolit.tasks.classes import label_order
from videolit.tasks.groups import Schedule
from videolit.tasks.sentiment_meeting import (
    check_meeting,
    check_monitors,
    compare_with_training,
)
from videolit.tasks.sentiment_output import SentimentOutput, SentimentPrediction, prediction
from videolit.tasks.sentiment_streams import streams_of
from videolit.tasks.sentiment_targets import (
    AnswerLoss,
    Answers,
    Convention,
    Interval,
    Target,
    baseline_figures,
    class_weights_of,
    constants_of,
    figures_of,
    require_told,
    untold,
    update_figures,
)
from videolit.temporal import TemporalModel
from videolit.types import (
    InputError,
    Modality,
    SentimentBatch,
    SentimentSource,
    UtteranceSpec,
)

# What each convention is about, where the configuration does not say.
_TARGETS: dict[str, dict[str, float]] = {
    "emotion": {"classes": 1.0},
    "affect": {"affect": 1.0},
}
_SCORE = {"score": 1.0}
# Kept out of the log: a number for each class; the evaluation card has them.
_OF_CLASSES = ("f1/", "recall/")


class SentimentTask(VideoTask):
    """Tell emotion, sentiment, or valence and arousal from any of picture, sound and words.

    Each modality has an encoder; a fusion brings them together. One head answers from what is
    fused, and one for each modality from it alone, so that a user sees which of them says what;
    a late fusion has no head of its own and weighs the others' answers. A sample may lack any
    modality but the last one.

    The heads are built for the data's classes when training starts, or for those of the checkpoint,
    which keeps its own label order.

    Args:
        encoder: Frames to features, or :class:`~videolit.encoders.IdentityEncoder` of stored ones;
            None = no picture.
        temporal: Called with the encoder's ``num_features``, returns a model of the frames' order
            that the picture goes through before it is fused; None = none.
        sound: Samples to features, as :class:`~videolit.encoders.SoundEncoder`,
            :class:`~videolit.encoders.HFSoundEncoder`, or ``IdentityEncoder``; None = no sound.
        text: Tokens to features, as :class:`~videolit.encoders.TextEncoder`,
            :class:`~videolit.encoders.NGramEncoder`,
            :class:`~videolit.encoders.HFTextEncoder`, or ``IdentityEncoder``; None = no words.
        fusion: Called with the feature sizes of the modalities by name, returns the fusion; None =
            :class:`~videolit.fusion.BottleneckFusion`.
        targets: What is learnt and how much each counts in the loss: ``classes``, ``score``,
            ``affect`` (valence and arousal); None = what the data set's published figures are of.
        score_loss: ``"l1"``, the absolute error, or ``"huber"``.
        huber_delta: Errors up to this count by their square.
        label_smoothing: Share of each label that is spread over all classes.
        class_weights: Weights of the classes in the loss: a power of their training samples (1 =
            all classes count alike, 0.5 lies between), or a weight each; None = samples count
            alike.
        own_loss: Weight of the loss of each modality's own head beside the fused one.
        steps_per_clip: Frames that the encoder gets at once. A clip encoder needs a number that it
            accepts; where it returns fewer steps, they are interpolated.
        class_names: Names in label order; None = the data's.
        score_range: Lowest and highest score; None = the data's.
        affect_range: Lowest and highest valence and arousal; None = the data's.
        convention: Which published figures are computed; None = the data's.
        optimizer: Called with the parameters; None = AdamW.
        encoder_lr: Learning rate of the encoder of the picture; None = the optimizer's.
        sound_lr: Learning rate of the encoder of the sound; None = the optimizer's.
        text_lr: Learning rate of the encoder of the words; None = the optimizer's.
        layer_decay: Factor of the learning rate from each layer of the encoder to the one below.
        norm_weight_decay: Weight decay of norms and biases; None = the optimizer's.
        schedule: ``"cosine"`` or ``"constant"``.
        warmup: Share of all steps with a rising learning rate.
        freeze_encoder: Leave the encoder of the picture as it is.
        freeze_sound: Leave the encoder of the sound as it is.
        freeze_text: Leave the encoder of the words as it is.
        freeze_epochs: Leave the encoder of the picture as it is for so many epochs.
        recompute: Keep less of the encoder in memory while training, at the cost of time.
        init_from: A file of weights for the encoder of the picture, as the checkpoint of an action
            model; see :class:`VideoTask`.
        compile_model: Use ``torch.compile``.

    Attributes:
        names: The modalities, in the order of all results.

    Raises:
        InputError: If there is no encoder, or a number is out of its range.
    """

    def __init__(
        self,
        encoder: VideoEncoder | None = None,
        temporal: Callable[[int], TemporalModel] | None = None,
        *,
        sound: nn.Module | None = None,
        text: nn.Module | None = None,
        fusion: Callable[[Mapping[str, int]], Fusion] | None = None,
        targets: dict[str, float] | None = None,
        score_loss: Literal["l1", "huber"] = "l1",
        huber_delta: float = 1.0,
        label_smoothing: float = 0.0,
        class_weights: float | list[float] | None = None,
        own_loss: float = 0.3,
        steps_per_clip: int = 16,
        class_names: list[str] | None = None,
        score_range: Interval | None = None,
        affect_range: Interval | None = None,
        convention: Convention | None = None,
        optimizer: OptimizerCallable | None = None,
        encoder_lr: float | None = None,
        sound_lr: float | None = None,
        text_lr: float | None = None,
        layer_decay: float = 1.0,
        norm_weight_decay: float | None = None,
        schedule: Schedule = "cosine",
        warmup: float = 0.05,
        freeze_encoder: bool = False,
        freeze_sound: bool = False,
        freeze_text: bool = False,
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
        if own_loss < 0 or steps_per_clip < 1:
            raise InputError(
                "own_loss must be at least 0 and steps_per_clip at least 1, got "
                f"{own_loss} and {steps_per_clip}"
            )
        self.sound = sound
        self.text = text
        self.targets = targets
        self.loss_of = AnswerLoss(
            score_loss=score_loss, huber_delta=huber_delta, label_smoothing=label_smoothing
        )
        self.score_loss = score_loss
        self.huber_delta = huber_delta
        self.label_smoothing = label_smoothing
        self.class_weights = class_weights
        self.own_loss = own_loss
        self.steps_per_clip = steps_per_clip
        self.class_names = list(class_names) if class_names else None
        self.score_range = score_range
        self.affect_range = affect_range
        self.convention: Convention | None = convention
        self.sound_lr = sound_lr
        self.text_lr = text_lr
        self.freeze_sound = freeze_sound
        self.freeze_text = freeze_text
        sizes: dict[str, int] = {}
        if self.encoder is not None:
            sizes["video"] = int((self.temporal or self.encoder).num_features)
        for name, part in (("sound", sound), ("text", text)):
            if part is not None:
                sizes[name] = int(cast("int", part.num_features))
        if not sizes:
            raise InputError("a sentiment model needs at least one of encoder, sound and text")
        self.names = cast("tuple[Modality, ...]", tuple(sizes))
        self.fusion: Fusion = (
            fusion if isinstance(fusion, Fusion) else (fusion or BottleneckFusion)(sizes)
        )
        for part, frozen in ((sound, freeze_sound), (text, freeze_text)):
            if part is not None and frozen:
                part.requires_grad_(False).eval()
        # Built when targets and classes are known.
        self.answers: Answers | None = None
        self.head: nn.Linear | None = None
        self.own_heads = nn.ModuleList()
        self.figures = nn.ModuleDict()
        self.label_map: Tensor | None
        self.loss_weights: Tensor | None
        self.register_buffer("label_map", None, persistent=False)
        self.register_buffer("loss_weights", None, persistent=False)
        # How sound and words of the training were read, and what constant answers need to know.
        self.utterance_spec: UtteranceSpec | None = None
        self.constants: dict[str, list[float]] = {}
        self._source: SentimentSource | None = None

    def parts(self) -> dict[str, nn.Module | None]:
        """Return what a checkpoint names by class and arguments, None where the task has none."""
        return {**super().parts(), "sound": self.sound, "text": self.text, "fusion": self.fusion}

    def encoders(self) -> dict[str, tuple[nn.Module, float | None]]:
        """Return the encoders, each with its learning rate, None = the optimizer's."""
        found = super().encoders()
        for name, part, rate in (
            ("sound", self.sound, self.sound_lr),
            ("text", self.text, self.text_lr),
        ):
            if part is not None:
                found[name] = part, rate
        return found

    def train(self, mode: bool = True) -> SentimentTask:
        """Switch modes; frozen encoders stay at rest."""
        super().train(mode)
        for part, frozen in ((self.sound, self.freeze_sound), (self.text, self.freeze_text)):
            if part is not None and frozen:
                part.eval()
        return self

    # Meeting the data, and coming back from a checkpoint.

    def setup(self, stage: str) -> None:
        """Meet the data: adopt its targets, or understand its labels in this task's order.

        Raises:
            InputError: If a callback chooses the model by its test result, or model and data do
                not fit.
        """
        refuse_test_monitor(self.trainer.callbacks, "val/loss")  # type: ignore[attr-defined]
        self._source = cast("SentimentSource | None", getattr(self.trainer, "datamodule", None))
        if self._source is None:
            return
        if self.utterance_spec is not None and self.utterance_spec.tokenizer is not None:
            self._source.adopt_tokenizer(self.utterance_spec.tokenizer)
        check_meeting(self, self._source, fitting=stage == "fit")
        self._meet(self._source)
        if stage == "fit":
            check_monitors(self.trainer.callbacks, self.targets or {})  # type: ignore[attr-defined]
            self.clip_spec = self._source.clip_spec
            self.utterance_spec = self._source.utterance_spec
            self.constants = constants_of(
                self._source.train_targets(), self._source.class_names, self.class_names or ()
            )
            ids = [self._source.sample_ids(name) for name in ("train", "val")]
            self.train_ids = torch.cat(ids)
        new = isinstance(self.text, NGramEncoder) and not self.text.is_learnt
        # A set of test utterances has no words to learn from: a checkpoint brings them.
        if new and self._source.num_tokens:
            cast("NGramEncoder", self.text).learn(self._source.train_tokens())
        self.loss_weights = self._weights()

    def configure_model(self) -> None:
        """Build the heads."""
        if self.answers is None and self._trainer is not None and self.convention is None:
            # A callback that averages weights wants the whole model before the task's setup.
            self.setup(self.trainer.state.fn or "fit")
        if self.convention is not None:
            self._build()
        super().configure_model()

    def record(self) -> dict[str, Any]:
        """Return what a checkpoint says, with how sound and words are read."""
        spec = self.utterance_spec
        return {
            **super().record(),
            "utterance_spec": None if spec is None else spec.to_dict(),
            "constants": self.constants,
        }

    def restore(self, record: dict[str, Any]) -> None:
        """Build the heads of a checkpoint."""
        super().restore(record)
        self._build()

    def remember_training(self, checkpoint: dict[str, Any], record: dict[str, Any]) -> None:
        """Take over from a checkpoint what its model was trained on."""
        super().remember_training(checkpoint, record)
        spec = record["utterance_spec"]
        self.utterance_spec = None if spec is None else UtteranceSpec.from_dict(spec)
        self.constants = record["constants"]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adopt the checkpoint's targets, classes and words.

        Raises:
            InputError: If the model differs, or the data has classes that the checkpoint has not.
        """
        super().on_load_checkpoint(checkpoint)
        record = read_record(checkpoint, "the checkpoint")
        settings = record["task"]["init_args"]
        self.targets = settings["targets"]
        self.class_names = settings["class_names"]
        self.convention = settings["convention"]
        for name in ("score_range", "affect_range"):
            bounds = settings[name]
            setattr(self, name, None if bounds is None else (bounds[0], bounds[1]))
        self.answers = None
        self._build()
        spec = record["utterance_spec"]
        if self._source is None:
            return
        self._meet(self._source)
        if spec is not None and spec["tokenizer"] is not None:
            self._source.adopt_tokenizer(spec["tokenizer"])
            if self.trainer.state.fn == "fit":
                self.utterance_spec = self._source.utterance_spec
        self.loss_weights = self._weights()

    def _meet(self, source: SentimentSource) -> None:
        """Adopt what the data tells, where neither configuration nor checkpoint does."""
        convention = self.convention or source.convention
        targets = self.targets
        if targets is None:
            targets = dict(_TARGETS.get(convention, _SCORE))
        names = self.class_names or source.class_names
        told = (
            names,
            self.score_range or source.score_range,
            self.affect_range or source.affect_range,
        )
        predicting = self._trainer is not None and self.trainer.state.fn == "predict"
        if predicting:
            # Predicting reads no label: the data may tell nothing, or other things. A checkpoint
            # tells what is answered, and builds the heads.
            if self.answers is not None or untold(targets, *told):
                return
        else:
            # Here and not only where heads are built: classes that are no target are known here
            # alone.
            require_told(targets, *told)
        self.convention, self.targets = convention, targets
        _, self.score_range, self.affect_range = told
        if "classes" in targets and len(source.class_names):
            self.class_names = list(names)
            if predicting:
                return
            order = label_order(source.class_names, self.class_names)
            same = order == list(range(len(self.class_names)))
            self.label_map = None if same else torch.tensor(order, device=self.device)

    def _weights(self) -> Tensor | None:
        if self.class_names is None or "counts" not in self.constants:
            return None
        counts = [int(count) for count in self.constants["counts"]]
        found = class_weights_of(self.class_weights, counts, self.class_names)
        return None if found is None else found.to(self.device)

    def _build(self) -> None:
        """Make heads and metrics for the targets; those that fit are kept."""
        assert self.convention is not None
        answers = Answers(
            weights=self.targets or {},
            class_names=self.class_names or (),
            score_range=self.score_range,
            affect_range=self.affect_range,
            convention=self.convention,
        )
        if self.answers == answers:
            return
        self.answers = answers
        size, count = sum(answers.sizes.values()), self.fusion.num_features
        fits = len(self.own_heads) and cast("nn.Linear", self.own_heads[0]).out_features == size
        if not fits:
            if not self.fusion.is_late:
                self.head = nn.Linear(count, size).to(self.device)
            self.own_heads = nn.ModuleList(nn.Linear(count, size) for _ in self.names)
            self.own_heads.to(self.device)
        self.figures = nn.ModuleDict(
            {
                split: nn.ModuleDict(cast("dict[str, nn.Module]", answers.figures()))
                for split in ("val", "test")
            }
        ).to(self.device)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the data out of copies of the model."""
        return {**super().__getstate__(), "_source": None}

    # Computing.

    def forward(self, batch: SentimentBatch) -> SentimentOutput:
        """Return what all heads say of a batch.

        Raises:
            InputError: If a sample has no modality, or the heads are not built yet.
        """
        if self.answers is None:
            raise InputError(
                "the heads are not built yet: they are when a Trainer starts, or by load_task; "
                "without either, the targets are unknown"
            )
        return self.answer(streams_of(self, batch))

    def answer(self, streams: Mapping[str, Stream]) -> SentimentOutput:
        """Return what all heads say of encoded modalities; each sample has at least one of them."""
        fused = self.fusion(streams)
        own = torch.stack(
            [head(fused.parts[:, place]) for place, head in enumerate(self.own_heads)], 1
        )
        if self.head is None:
            return SentimentOutput(
                self.fusion.combine(own, fused.weights), own, fused.weights, fused.present
            )
        return SentimentOutput(self.head(fused.vector), own, fused.weights, fused.present)

    def labels(self, batch: SentimentBatch) -> Tensor:
        """Return a batch's labels in this task's order, int64 ``(B,)``, -1 = not told."""
        label = batch["label"]
        if self.label_map is None:
            return label
        return torch.where(label >= 0, self.label_map[label.clamp(min=0)], label)

    def loss(self, output: SentimentOutput, batch: SentimentBatch) -> Tensor:
        """Return the loss of a batch: that of the fused answer, and of each modality's own."""
        assert self.answers is not None
        label, weights = self.labels(batch), self.answers.weights
        counted = batch["sample_mask"]
        read, more = self.answers.read, (weights, self.loss_weights)
        loss = self.loss_of(read(output.fused), batch, label, counted, *more)
        if self.own_loss and len(self.names) > 1:
            for place in range(len(self.names)):
                heard = counted & output.present[:, place]
                own = read(output.own[:, place])
                loss = loss + self.own_loss * self.loss_of(own, batch, label, heard, *more)
        return loss

    def training_step(self, batch: SentimentBatch, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        loss = self.loss(self(batch), batch)
        size = len(batch["index"])
        self.log("train/loss_step", loss, prog_bar=True, batch_size=size)
        self.log("train/loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=size)
        return loss

    # Measuring.

    def validation_step(self, batch: SentimentBatch, batch_idx: int) -> None:
        """Compare a batch with the truth."""
        self._evaluate(batch, "val")

    def test_step(self, batch: SentimentBatch, batch_idx: int) -> SentimentPrediction:
        """Compare a batch with the truth; return the answers for callbacks that show samples."""
        return self._predicted(self._evaluate(batch, "test"), batch)

    def _evaluate(self, batch: SentimentBatch, split: Literal["val", "test"]) -> SentimentOutput:
        assert self.answers is not None
        output: SentimentOutput = self(batch)
        counted = batch["sample_mask"]
        loss, size = self.loss(output, batch), int(counted.sum())
        self.log(
            f"{split}/loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=size
        )
        found, figures = self.answers.read(output.fused), self.split_figures(split)
        update_figures(figures, found, batch, self.labels(batch), counted)
        return output

    def split_figures(self, split: Literal["val", "test"]) -> dict[Target, SampleScores]:
        """Return the metrics of a split, by target: the answers of each sample once computed."""
        held = cast("nn.ModuleDict", self.figures[split])
        return {cast("Target", name): cast("SampleScores", held[name]) for name in held}

    def on_validation_epoch_start(self) -> None:
        """Forget the samples of the epoch before."""
        self._forget("val")

    def on_test_epoch_start(self) -> None:
        """Forget an earlier test, and say where this one differs from the training."""
        self._forget("test")
        if self._source is not None:
            compare_with_training(self, self._source)

    def _forget(self, split: Literal["val", "test"]) -> None:
        for metric in self.split_figures(split).values():
            metric.reset()

    def on_validation_epoch_end(self) -> None:
        """Log the figures, and what constant answers get."""
        self._log_figures("val")

    def on_test_epoch_end(self) -> None:
        """Log the figures, and what constant answers get."""
        self._log_figures("test")

    def _log_figures(self, split: Literal["val", "test"]) -> None:
        bar = {"weighted_f1", "mae", "ccc"}
        for target, metric in self.split_figures(split).items():
            found = figures_of(metric)
            found |= baseline_figures(target, metric, self.constants)
            # So that the same two can be monitored on any scale.
            for name in ("mae", "corr"):
                if f"{name}_score" in found:
                    found[name] = found[f"{name}_score"]
            for name, value in found.items():
                if not name.startswith(_OF_CLASSES):
                    shown = split == "val" and name in bar
                    self.log(f"{split}/{name}", float(value), prog_bar=shown)

    def predict_step(self, batch: SentimentBatch, batch_idx: int) -> SentimentPrediction:
        """Return the answers of a batch and what tells whose they are."""
        return self._predicted(self(batch), batch)

    def _predicted(self, output: SentimentOutput, batch: SentimentBatch) -> SentimentPrediction:
        assert self.answers is not None
        read = self.answers.read
        return prediction(self.names, output, read(output.fused), read(output.own), batch)
