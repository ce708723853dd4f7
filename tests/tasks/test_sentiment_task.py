"""The sentiment task by itself: batches that are made here, no data set."""

from __future__ import annotations

import functools
import math

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from videolit.encoders import (
    IdentityEncoder,
    NGramEncoder,
    SmallFrameEncoder,
    SoundEncoder,
    TextEncoder,
)
from videolit.fusion import (
    BottleneckFusion,
    CrossmodalFusion,
    EarlyFusion,
    LateFusion,
    LinearFusion,
    TensorFusion,
)
from videolit.ops.modality import subsets
from videolit.tasks.checkpoint import load_task
from videolit.tasks.sentiment import SentimentTask
from videolit.types import InputError, SentimentTargets, UtteranceSpec

NAMES = ["joy", "anger", "fear"]
ALL = ("video", "sound", "text")


def make_batch(size=3, names=ALL, seed=0, frames=5, samples=3200, tokens=7):
    """Return a batch whose rows have different lengths."""
    rng = torch.Generator().manual_seed(seed)
    rows = torch.arange(size)

    def lengths(most):
        return torch.arange(most) < (most - rows % 3 * (most // 4))[:, None]

    batch = {
        "label": rows % 3,
        "score": rows.float() - 1,
        "affect": torch.rand(size, 2, generator=rng) * 2 - 1,
        "index": rows,
        "sample_mask": torch.ones(size, dtype=torch.bool),
        "video_id": [f"u{row}" for row in rows.tolist()],
        "error": [""] * size,
        "unread": [],
        "missing": [{} for _ in range(size)],
    }
    if "video" in names:
        shape = (size, frames, 3, 16, 16)
        batch["video"] = torch.randint(0, 256, shape, generator=rng, dtype=torch.uint8)
        batch["video_mask"] = lengths(frames)
        batch["video_seconds"] = (torch.arange(frames) / 2.0).repeat(size, 1)
    if "sound" in names:
        batch["sound"] = torch.rand(size, samples, generator=rng) - 0.5
        batch["sound_mask"] = lengths(samples)
    if "text" in names:
        batch["text"] = torch.randint(6, 20, (size, tokens), generator=rng)
        batch["text_mask"] = lengths(tokens)
        batch["text_seconds"] = (torch.arange(tokens) / 3.0).repeat(size, 1)
    return batch


class Source(pl.LightningDataModule):
    """A DataModule of two batches, which says of itself what the task asks for."""

    affect_range = (-1.0, 1.0)

    def __init__(self, names=ALL, classes=NAMES, convention="emotion", num_features=None, **more):
        super().__init__()
        if "affect_range" in more:
            self.affect_range = more.pop("affect_range")
        self.class_names = classes
        self.convention = convention
        self.given_modalities = names
        self.score_range = (-3.0, 3.0)
        self.num_features = num_features or {}
        self.clip_spec = None
        self.utterance_spec = UtteranceSpec(tokenizer="words")
        self.num_tokens = 20
        self.separator = 4
        self.more = more

    def batches(self, seed):
        return [make_batch(names=self.given_modalities, seed=seed + k, **self.more) for k in (0, 1)]

    def adopt_tokenizer(self, text):
        assert text == "words"

    def train_tokens(self):
        return (
            row[mask]
            for b in self.batches(0)
            for row, mask in zip(b["text"], b["text_mask"], strict=True)
        )

    def train_targets(self):
        labels = np.array([0, 1, 1, 2], np.int64) % max(len(self.class_names), 1)
        scores = np.array([-1, 0, 1, 2], np.float32)
        return SentimentTargets(labels, scores, np.zeros((4, 2), np.float32))

    def sample_ids(self, split):
        return torch.arange(3) + (100 if split == "test" else 0)

    def _loader(self, seed):
        return DataLoader(self.batches(seed), batch_size=None)

    def train_dataloader(self):
        return self._loader(0)

    def val_dataloader(self):
        return self._loader(10)

    def test_dataloader(self):
        return self._loader(20)

    predict_dataloader = test_dataloader


def make_task(names=ALL, fusion=None, **settings):
    """Return a small task of some modalities."""
    torch.manual_seed(0)
    parts = {
        "encoder": lambda: SmallFrameEncoder(width=8),
        "sound": lambda: SoundEncoder(hidden_size=16, num_layers=1, num_heads=2, num_mels=16),
        "text": lambda: TextEncoder(20, hidden_size=16, dropout=0.0, token_dropout=0.0),
    }
    wanted = {"encoder" if name == "video" else name for name in names}
    fusion = fusion or functools.partial(BottleneckFusion, num_features=16, num_heads=2)
    built = {name: make() for name, make in parts.items() if name in wanted}
    return SentimentTask(**built, fusion=fusion, **settings)


def trainer(folder, **settings):
    return pl.Trainer(
        **{
            "accelerator": "cpu",
            "max_epochs": 1,
            "logger": False,
            "default_root_dir": folder,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "enable_checkpointing": False,
            **settings,
        }
    )


def ready(task, source=None):
    """Return a task whose heads are built, at rest."""
    task._meet(source or Source())
    task._build()
    return task.eval()


@pytest.mark.parametrize("names", subsets(ALL), ids="+".join)
def test_every_subset_of_modalities_trains_and_answers(names, tmp_path):
    task = make_task(names)
    assert task.names == names
    fit = trainer(tmp_path)
    fit.fit(task, datamodule=Source(names))
    assert {"train/loss", "val/loss", "val/uar", "val/majority_uar"} <= set(fit.callback_metrics)
    found = trainer(tmp_path).predict(task, datamodule=Source(names))[0]
    assert found["probabilities"].shape == (3, 3)
    assert found["own_probabilities"].shape == (3, len(names), 3)
    torch.testing.assert_close(found["probabilities"].sum(1), torch.ones(3))
    torch.testing.assert_close(found["weights"].sum(1), torch.ones(3))
    assert found["present"].all()
    assert found["modalities"] == names


@pytest.mark.parametrize(
    "fusion",
    [
        *(
            functools.partial(kind, num_features=16)
            for kind in (BottleneckFusion, CrossmodalFusion, EarlyFusion, LateFusion, TensorFusion)
        ),
        LinearFusion,
    ],
)
def test_padding_changes_no_answer(fusion):
    task = ready(make_task(fusion=fusion))
    batch = make_batch()
    longer = dict(batch)
    for name in ALL:
        values, more = batch[name], 800 if name == "sound" else 3
        longer[name] = torch.cat([values, torch.ones_like(values[:, :more])], 1)
        mask = batch[f"{name}_mask"]
        longer[f"{name}_mask"] = torch.cat([mask, torch.zeros_like(mask[:, :more])], 1)
        if f"{name}_seconds" in batch:
            seconds = batch[f"{name}_seconds"]
            longer[f"{name}_seconds"] = torch.cat([seconds, seconds[:, :more] + 9], 1)
    with torch.no_grad():
        for one, two in zip(task(batch), task(longer), strict=True):
            torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)
        # Nor does who else is in the batch.
        alone = {
            key: value[1:2] if isinstance(value, torch.Tensor) else value
            for key, value in batch.items()
        }
        torch.testing.assert_close(task(alone).fused, task(batch).fused[1:2], atol=1e-5, rtol=1e-5)


def test_a_missing_modality_of_one_sample_leaves_the_others_alone():
    task = ready(make_task())
    batch = make_batch()
    with torch.no_grad():
        whole = task(batch)
        batch["sound_mask"] = batch["sound_mask"].clone()
        batch["sound_mask"][1] = False
        found = task(batch)
    assert found.present.tolist() == [[True] * 3, [True, False, True], [True] * 3]
    assert found.weights[1, 1] == 0
    torch.testing.assert_close(found.fused[[0, 2]], whole.fused[[0, 2]], atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(found.own[1, [0, 2]], whole.own[1, [0, 2]], atol=1e-6, rtol=1e-6)
    assert not torch.allclose(found.fused[1], whole.fused[1])


def test_a_modality_that_no_sample_has_leaves_a_gradient_of_zero():
    task = ready(make_task()).train()
    batch = make_batch(names=("video", "text"))
    task.loss(task(batch), batch).backward()
    assert all(weight.grad is not None for weight in task.parameters())
    assert all(not weight.grad.any() for weight in task.sound.parameters())


def test_a_sample_without_any_modality_is_refused_by_its_place():
    task = ready(make_task(("sound",)))
    batch = make_batch(names=("sound",))
    batch["sound_mask"][2] = False
    with pytest.raises(InputError, match=r"without any modality in the batch, at positions \[2\]"):
        task(batch)


def test_late_fusion_answers_by_the_weighted_answers_of_the_modalities():
    task = ready(make_task(fusion=functools.partial(LateFusion, num_features=16)))
    assert task.head is None
    found = task(make_batch())
    expected = (found.own * found.weights[:, :, None]).sum(1)
    torch.testing.assert_close(found.fused, expected)


def test_all_targets_together_are_learnt_and_measured(tmp_path):
    task = make_task(targets={"classes": 1.0, "score": 0.5, "affect": 0.5}, score_loss="huber")
    fit = trainer(tmp_path)
    fit.fit(task, datamodule=Source())
    names = {"val/uar", "val/mae", "val/acc2_non0", "val/ccc", "val/median_mae", "val/mean_mae"}
    assert names <= set(fit.callback_metrics)
    (found,) = trainer(tmp_path).test(task, datamodule=Source(), verbose=False)
    # Truth is -1, 0, 1; the training mean is 0.5.
    assert found["test/mean_mae"] == pytest.approx((1.5 + 0.5 + 0.5) / 3)
    assert found["test/majority_war"] == pytest.approx(1 / 3)
    answers = trainer(tmp_path).predict(task, datamodule=Source())[0]
    assert answers["score"].shape == (3,)
    assert answers["own_affect"].shape == (3, 3, 2)


def test_the_loss_is_that_of_the_fused_answer_and_of_each_modality_that_is_there():
    task = ready(make_task(own_loss=0.5))
    batch = make_batch()
    batch["text_mask"][0] = False
    batch["sample_mask"][2] = False
    output = task(batch)
    expected = nn.functional.cross_entropy(output.fused[:2], batch["label"][:2])
    for place, rows in enumerate(([0, 1], [0, 1], [1])):
        expected = expected + 0.5 * nn.functional.cross_entropy(
            output.own[rows, place], batch["label"][rows]
        )
    torch.testing.assert_close(task.loss(output, batch), expected)


def test_missing_truth_counts_for_nothing():
    task = ready(make_task(targets={"classes": 1.0, "score": 1.0}, own_loss=0.0))
    batch = make_batch()
    batch["label"][0], batch["score"][1] = -1, math.nan
    output = task(batch)
    read = task.answers.read(output.fused)
    expected = nn.functional.cross_entropy(read["classes"][1:], batch["label"][1:])
    expected = expected + (read["score"] - batch["score"])[[0, 2]].abs().mean()
    torch.testing.assert_close(task.loss(output, batch), expected)


def test_outputs_of_minus_one_and_one_are_the_ends_of_the_scale():
    task = ready(make_task(targets={"score": 1.0, "affect": 1.0}, affect_range=(1.0, 5.0)))
    read = task.answers.read(torch.tensor([[-1.0, 0.0, 1.0]]))
    assert read["score"].tolist() == [-3.0]
    assert read["affect"].tolist() == [[3.0, 5.0]]


def test_encoders_have_learning_rates_of_their_own():
    task = ready(make_task(encoder_lr=1e-4, sound_lr=2e-4, text_lr=3e-4, norm_weight_decay=0.0))
    optimizer, names = task.build_optimizer()
    rates = dict(zip(names, [group["lr"] for group in optimizer.param_groups], strict=True))
    parts = {"encoder": 1e-4, "sound": 2e-4, "text": 3e-4, "head": 1e-3}
    expected = {**parts, **{f"{name}.norm": rate for name, rate in parts.items()}}
    assert rates == expected
    held = [p for group in optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in held} == {id(p) for p in task.parameters()}
    assert len(held) == len({id(p) for p in held})


def test_frozen_encoders_stay_as_they_are(tmp_path):
    task = make_task(freeze_sound=True, freeze_encoder=True)
    before = {name: value.clone() for name, value in task.state_dict().items()}
    trainer(tmp_path, max_epochs=2).fit(task, datamodule=Source())
    after = task.state_dict()
    for name, value in before.items():
        frozen = name.startswith(("encoder.", "sound."))
        assert not frozen or torch.equal(after[name], value)
    assert not torch.equal(after["text.embed.weight"], before["text.embed.weight"])


def test_stored_features_go_through_identity_encoders(tmp_path):
    def stored(size=3, names=ALL, seed=0):
        batch = make_batch(size, names=(), seed=seed)
        for name in names:
            batch[name] = torch.rand(size, 4, 6)
            batch[f"{name}_mask"] = torch.ones(size, 4, dtype=torch.bool)
            batch[f"{name}_seconds"] = torch.arange(4.0).repeat(size, 1)
        return batch

    source = Source(num_features=dict.fromkeys(ALL, 6), convention="mosi")
    source.batches = lambda seed: [stored(seed=seed)]
    task = SentimentTask(IdentityEncoder(6), sound=IdentityEncoder(6), text=IdentityEncoder(6))
    fit = trainer(tmp_path)
    fit.fit(task, datamodule=source)
    assert torch.isfinite(fit.callback_metrics["val/mae"])
    with pytest.raises(InputError, match="stored features of sound .6 numbers.*model.sound Identi"):
        trainer(tmp_path).fit(
            SentimentTask(IdentityEncoder(6), sound=SoundEncoder()), datamodule=source
        )
    with pytest.raises(InputError, match="have 6 numbers, and the model takes 5"):
        trainer(tmp_path).fit(SentimentTask(IdentityEncoder(5)), datamodule=source)


@pytest.mark.parametrize(
    ("targets", "monitor", "instead"),
    [
        ({"score": 1.0}, "val/weighted_f1", "monitor val/mae in the configuration"),
        ({"affect": 1.0}, "val/mae", "monitor val/ccc in the configuration"),
        ({"classes": 1.0}, "val/ccc", "monitor val/weighted_f1 in the configuration"),
    ],
)
def test_a_figure_that_the_targets_do_not_have_is_refused_at_once(
    targets, monitor, instead, tmp_path
):
    wait = pl.callbacks.ModelCheckpoint(tmp_path, monitor=monitor)
    fit = trainer(tmp_path, callbacks=[wait], enable_checkpointing=True)
    with pytest.raises(InputError, match=f"ModelCheckpoint monitors {monitor}.*{instead}"):
        fit.fit(make_task(("text",), targets=targets), datamodule=Source(("text",)))


@pytest.mark.parametrize("bounds", [(-3.0, 3.0), (0.0, 10.0)])
def test_the_error_of_scores_can_be_monitored_on_any_scale(bounds, tmp_path):
    source = Source(("text",))
    source.score_range = bounds
    wait = pl.callbacks.ModelCheckpoint(tmp_path, monitor="val/mae")
    fit = trainer(tmp_path, callbacks=[wait], enable_checkpointing=True)
    fit.fit(make_task(("text",), targets={"score": 1.0}), datamodule=source)
    assert wait.best_model_score == fit.callback_metrics["val/mae"]


def test_a_checkpoint_is_all_that_is_needed(tmp_path):
    task = make_task(targets={"classes": 1.0, "score": 1.0}, sound_lr=1e-4)
    fit = trainer(tmp_path)
    fit.fit(task, datamodule=Source())
    path = tmp_path / "task.ckpt"
    fit.save_checkpoint(path)
    loaded = load_task(path)
    assert loaded.class_names == NAMES
    assert loaded.utterance_spec == UtteranceSpec(tokenizer="words")
    batch = make_batch(seed=5)
    with torch.no_grad():
        for one, two in zip(task.eval()(batch), loaded(batch), strict=True):
            assert torch.equal(one, two)
    first = trainer(tmp_path).test(task, datamodule=Source(), verbose=False)
    assert trainer(tmp_path).test(loaded, datamodule=Source(), verbose=False) == first
    # Training goes on, and a file of another model is refused by its parts.
    resumed = trainer(tmp_path, max_epochs=2)
    again = make_task(targets={"classes": 1.0, "score": 1.0}, sound_lr=1e-4)
    resumed.fit(again, datamodule=Source(), ckpt_path=path)
    assert resumed.current_epoch == 2
    with pytest.raises(InputError, match="checkpoint has a part 'sound', the model has none"):
        trainer(tmp_path).test(make_task(("video", "text")), datamodule=Source(), ckpt_path=path)


def test_n_grams_are_learnt_from_the_training_texts_and_kept_by_the_checkpoint(tmp_path):
    def make():
        return SentimentTask(text=NGramEncoder(20, 64), fusion=LinearFusion)

    task, fit = make(), trainer(tmp_path)
    with pytest.raises(InputError, match="knows no n-grams yet"):
        task.text(torch.tensor([[3, 7]]), torch.ones(1, 2, dtype=torch.bool))
    fit.fit(task, datamodule=Source(("text",)))
    assert (task.text.weights > 0).sum() > 3
    path = tmp_path / "task.ckpt"
    fit.save_checkpoint(path)
    batch = make_batch(names=("text",), seed=5)
    with torch.no_grad():
        (fused, own, *_), again = task.eval()(batch), load_task(path)(batch)
    assert torch.equal(again.fused, fused)
    assert torch.equal(own[:, 0], fused)
    # Testing learns nothing anew; going on from the checkpoint keeps its table, whatever the texts.
    resumed = trainer(tmp_path, max_epochs=2)
    other = Source(("text",))
    other.train_tokens = lambda: iter([torch.tensor([3, 19, 19]), torch.tensor([3, 19])])
    fresh = make()
    resumed.fit(fresh, datamodule=other, ckpt_path=path)
    assert torch.equal(fresh.text.keys, task.text.keys)
    # So does training on from the loaded model.
    loaded = load_task(path)
    trainer(tmp_path).fit(loaded, datamodule=other)
    assert torch.equal(loaded.text.keys, task.text.keys)


def test_a_checkpoint_keeps_its_own_order_of_classes(tmp_path):
    fit = trainer(tmp_path)
    task = make_task(class_weights=1.0)
    fit.fit(task, datamodule=Source())
    path = tmp_path / "task.ckpt"
    fit.save_checkpoint(path)
    turned = Source(classes=["fear", "joy", "anger"])
    plain = turned.batches
    turned.batches = lambda seed: [
        {**batch, "label": torch.tensor([1, 2, 0])[batch["label"]]} for batch in plain(seed)
    ]
    (first,) = trainer(tmp_path).test(task, datamodule=Source(), verbose=False)
    loaded = load_task(path)
    (second,) = trainer(tmp_path).test(loaded, datamodule=turned, verbose=False)
    assert second == first
    with pytest.raises(InputError, match="classes that the model was not trained for: sadness"):
        trainer(tmp_path).test(loaded, datamodule=Source(classes=["joy", "sadness", "fear"]))


def test_an_action_checkpoint_s_encoder_is_taken_over_whole(tmp_path):
    from videolit.tasks.action import ActionTask

    torch.manual_seed(1)
    action = ActionTask(SmallFrameEncoder(width=8), class_names=["a", "b"])
    action._build(2)
    fit = trainer(tmp_path)
    fit.strategy.connect(action)
    path = tmp_path / "action.ckpt"
    fit.save_checkpoint(path)
    task = make_task(init_from=str(path), encoder_lr=0.0)
    trainer(tmp_path, limit_val_batches=0).fit(task, datamodule=Source())
    for name, weight in action.encoder.named_parameters():
        assert torch.equal(dict(task.encoder.named_parameters())[name], weight)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"names": ()}, "at least one of encoder, sound and text"),
        ({"own_loss": -1.0}, "own_loss must be at least 0"),
        ({"score_loss": "l3"}, "'l1' or 'huber'"),
        ({"label_smoothing": 1.0}, "label_smoothing must lie in"),
        ({"names": ("text",), "init_from": "x.ckpt"}, "the model has none"),
    ],
)
def test_settings_out_of_range_are_refused(settings, said):
    with pytest.raises(InputError, match=said):
        make_task(**settings)


@pytest.mark.parametrize(
    ("task", "source", "said"),
    [
        ({"targets": {"mood": 1.0}}, {}, "some of classes, score and affect"),
        ({}, {"classes": []}, "is to learn classes, and the data tells score, affect"),
        (
            {"targets": {"affect": 1.0}},
            {"affect_range": None},
            "is to learn affect, and the data tells classes, score:",
        ),
        ({}, {"names": ("text",)}, "takes video, sound, text, and the data gives text"),
        ({"class_weights": [1.0]}, {}, "1 numbers for 3 classes"),
    ],
)
def test_a_model_that_does_not_fit_the_data_is_refused(task, source, said, tmp_path):
    with pytest.raises(InputError, match=said):
        trainer(tmp_path).fit(make_task(**task), datamodule=Source(**source))


def test_a_vocabulary_larger_than_the_encoder_s_is_refused(tmp_path):
    source = Source()
    source.num_tokens = 21
    with pytest.raises(InputError, match="21 tokens, and the text encoder has room for 20"):
        trainer(tmp_path).fit(make_task(), datamodule=source)


def test_a_monitor_on_the_test_split_is_refused(tmp_path):
    chosen = pl.callbacks.ModelCheckpoint(tmp_path, monitor="test/uar")
    with pytest.raises(InputError, match="monitors 'test/uar'"):
        trainer(tmp_path, callbacks=[chosen], enable_checkpointing=True).fit(
            make_task(), datamodule=Source()
        )


def test_utterances_of_the_training_are_told_when_tested(tmp_path):
    task = make_task()
    trainer(tmp_path).fit(task, datamodule=Source())
    source = Source()
    source.sample_ids = lambda split: torch.arange(3)
    with pytest.warns(UserWarning, match="3 of 3 test utterances were used in training"):
        trainer(tmp_path).test(task, datamodule=source, verbose=False)
    assert task.num_seen == 3
