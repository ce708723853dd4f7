"""The summary task: training on annotators and on a reward, figures, checkpoints, every model."""

import json
import math

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from summary_files import eccv16_video, write_groups

from contracts import check_summary_task
from videolit import ActionTask, load_task, temporal
from videolit.data.summary import SummaryDataModule
from videolit.encoders import IdentityEncoder, SmallClipEncoder, SmallFrameEncoder
from videolit.metrics.summary_video import baseline_figures, video_figures
from videolit.ops.losses import ranking_loss
from videolit.ops.rewards import summary_reward
from videolit.synth.summary_features import write_feature_set
from videolit.tasks.base import refuse_test_monitor
from videolit.tasks.summary import SummaryTask, squared_error
from videolit.temporal import RNN, FrameMLP, LocalTransformer, MeanPool
from videolit.types import InputError

WIDTH = 16


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Generated features of 10 videos, in train, val and test."""
    return write_feature_set(
        tmp_path_factory.mktemp("stored") / "set.h5",
        num_train=6, num_val=2, num_test=2, seed=0,
        num_steps=(60, 80), num_features=WIDTH, num_users=4,
    )  # fmt: skip


def data_of(path, **settings):
    return SummaryDataModule(str(path), **{"num_workers": 0, "batch_size": 3, **settings})


def task_of(model=FrameMLP, **settings):
    torch.manual_seed(0)
    return SummaryTask(IdentityEncoder(WIDTH), model, **settings)


def trainer(folder, **settings):
    return pl.Trainer(
        **{
            "accelerator": "cpu", "max_epochs": 1, "logger": False,
            "default_root_dir": str(folder), "enable_progress_bar": False,
            "enable_model_summary": False, "enable_checkpointing": False,
            "num_sanity_val_steps": 0, **settings,
        }
    )  # fmt: skip


def model_of(name):
    """Return a small model of a name that gives a feature for each step."""
    kinds = {
        "CSTA": lambda d: temporal.CSTA(d),
        "RNN": lambda d: RNN(d, hidden_size=8),
        "FrameMLP": FrameMLP,
        "LocalTransformer": LocalTransformer,
        "PGLSum": temporal.PGLSum,
        "TCN": temporal.TCN,
        "Transformer": temporal.Transformer,
        "VASNet": temporal.VASNet,
    }
    return kinds[name]


SEQUENCE_MODELS = [
    "CSTA", "RNN", "FrameMLP", "LocalTransformer", "PGLSum", "TCN", "Transformer", "VASNet",
]  # fmt: skip

# ---- fit, test, predict, checkpoints ------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"objective": "reward"}, {"dropout": 0.5}])
def test_it_keeps_the_contract(stored, tmp_path, settings):
    path, figures = check_summary_task(
        lambda: task_of(RNN if settings else FrameMLP, **settings),
        lambda: data_of(stored),
        tmp_path,
    )
    assert {"test/f1", "test/human_tau", "test/uniform_f1"} <= set(figures)
    loaded = load_task(path)
    assert loaded.feature_record is None
    assert loaded.objective == settings.get("objective", "scores")


def test_the_figures_are_the_means_over_videos(stored, tmp_path):
    task, data = task_of(), data_of(stored, eval_batch_size=2)
    (found,) = trainer(tmp_path).test(task, datamodule=data, verbose=False)
    expected, chance = [], []
    for index, record in enumerate(data.records("test")):
        features = torch.from_numpy(record.read_features())[None]
        with torch.no_grad():
            scores = task.eval().scores(features)[0].double().numpy()
        truth = data.dataset("test")[index]["truth"]
        expected.append(video_figures(scores, truth))
        chance.append(baseline_figures(truth, seed=index))
    for name in ("tau", "rho", "f1", "precision", "recall"):
        mean = np.mean([figures[name] for figures in expected])
        assert found[f"test/{name}"] == pytest.approx(mean, abs=1e-6), name
    for name in ("random_tau", "random_f1", "uniform_f1", "human_tau", "human_f1"):
        mean = np.mean([figures[name] for figures in chance])
        assert found[f"test/{name}"] == pytest.approx(mean, abs=1e-6), name
    assert "test/map50" not in found, "there are annotators"
    _, values = task.test_figures.compute()
    assert values[:, 0].tolist() == pytest.approx([f["tau"] for f in expected], abs=1e-6)


def test_batches_of_several_videos_give_the_figures_of_one(stored, tmp_path):
    task = task_of(lambda d: RNN(d, hidden_size=8))
    found = [
        trainer(tmp_path).test(task, datamodule=data_of(stored, eval_batch_size=n), verbose=False)
        for n in (1, 2)
    ]
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-6)


def test_a_training_learns_what_annotators_say(stored, tmp_path):
    task = task_of(optimizer=lambda groups: torch.optim.AdamW(groups, lr=1e-2))
    fit = trainer(tmp_path, max_epochs=15)
    (before,) = fit.validate(task, datamodule=data_of(stored), verbose=False)
    fit.fit(task, datamodule=data_of(stored))
    assert abs(before["val/tau"]) < 0.05
    assert float(fit.callback_metrics["val/tau"]) > 0.1
    # One and the same sum of losses in training and validation.
    assert float(fit.callback_metrics["train/loss"]) < before["val/loss"]


def test_the_loss_is_squared_error_and_ranking(stored):
    data = data_of(stored)
    data.setup()
    batch = next(iter(data.train_dataloader()))
    task = task_of(ranking=0.7).eval()
    logits = task(batch["video"], batch["mask"])
    plain = squared_error(logits, batch["scores"], batch["mask"]).mean()
    by_hand = torch.stack(
        [
            (logits[row, : int(n)].sigmoid() - batch["scores"][row, : int(n)]).square().mean()
            for row, n in enumerate(batch["mask"].sum(1))
        ]
    ).mean()
    torch.testing.assert_close(plain, by_hand)
    rank = ranking_loss(logits, batch["user_scores"], batch["mask"], batch["user_mask"])
    torch.testing.assert_close(task._score_loss(logits, batch), plain + 0.7 * rank)
    of_mean = ranking_loss(
        logits, batch["scores"][:, None], batch["mask"], torch.ones(len(logits), 1).bool()
    )
    for settings in ({"targets": "mean"}, {}):
        less = dict(batch)
        if not settings:
            del less["user_scores"], less["user_mask"]
        found = task_of(ranking=0.7, **settings)._score_loss(logits, less)
        torch.testing.assert_close(found, plain + 0.7 * of_mean)
    torch.testing.assert_close(task_of(ranking=0.0)._score_loss(logits, batch), plain)


def test_training_on_scores_needs_scores(tmp_path):
    video = {**eccv16_video(features=WIDTH), "gtscore": None, "user_summary": None}
    path = write_groups(tmp_path / "set.h5", {name: video for name in "abcd"})
    data = data_of(path, num_folds=2, val_fraction=0.5)
    with pytest.raises(InputError, match="without labels set --model.objective reward"):
        trainer(tmp_path).fit(task_of(), datamodule=data)
    fit = trainer(tmp_path)
    fit.fit(task_of(objective="reward"), datamodule=data_of(path, num_folds=2, val_fraction=0.5))
    assert math.isfinite(fit.callback_metrics["train/reward"])
    assert "val/tau" not in fit.callback_metrics


def test_a_reward_rises_without_labels():
    torch.manual_seed(0)
    # Runs of near copies: what is chosen should differ.
    base = torch.randn(6, WIDTH)
    features = base[torch.tensor([0] * 12 + [1] * 2 + [2] * 12 + [3] * 2 + [4] * 6 + [5] * 6)]
    features = features + 0.05 * torch.randn_like(features)
    task = task_of(lambda d: RNN(d, hidden_size=16), objective="reward").train()
    optimizer = torch.optim.Adam(task.parameters(), 1e-2)
    mask = torch.ones(1, len(features)).bool()
    rewards = []
    for _ in range(150):
        logits = task(features[None], mask)
        loss, reward = task._reward_loss(logits, features[None], mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rewards.append(float(reward))
    assert np.mean(rewards[-20:]) > np.mean(rewards[:20]) + 0.02


def test_the_policys_loss_is_that_of_the_paper(monkeypatch):
    torch.manual_seed(0)
    features, mask = torch.randn(1, 7, 5), torch.ones(1, 7).bool()
    mask[0, 6] = False
    logits = torch.tensor([[0.3, -0.2, 0.1, 0.5, -1.0, 2.0, 99.0]], requires_grad=True)
    picks = torch.randint(0, 2, (5, 6)).float()
    picks[4] = 0

    def drawn(self, shape):
        assert shape == (5,)
        return picks

    monkeypatch.setattr(torch.distributions.Bernoulli, "sample", drawn)
    found, reward = task_of(objective="reward")._reward_loss(logits, features, mask)
    chances = [1 / (1 + math.exp(-value)) for value in logits[0, :6].tolist()]
    rewards = [float(summary_reward(features[0, :6], p.nonzero()[:, 0])) for p in picks]
    total = 0.0
    for number, pick in enumerate(picks.tolist()):
        logs = [math.log(c if chosen else 1 - c) for c, chosen in zip(chances, pick, strict=True)]
        # The baseline is what the other episodes got.
        baseline = (sum(rewards) - rewards[number]) / 4
        total += (rewards[number] - baseline) * sum(logs) / 6
    half = 0.01 * (sum(chances) / 6 - 0.5) ** 2
    assert float(found.detach()) == pytest.approx(half - total / 5, abs=1e-6)
    assert float(reward) == pytest.approx(sum(rewards) / 5, abs=1e-6)
    assert rewards[4] == 0
    found.backward()
    assert logits.grad[0, 6] == 0


# ---- every model and length ---------------------------------------------------------------------


@pytest.mark.parametrize("name", SEQUENCE_MODELS)
@pytest.mark.parametrize("steps", [1, 2, 9, 60, 61])
def test_every_model_scores_every_length(name, steps):
    width = 32
    torch.manual_seed(0)
    task = SummaryTask(IdentityEncoder(width), model_of(name)).eval()
    features = torch.randn(2, steps, width)
    mask = torch.ones(2, steps, dtype=torch.bool)
    mask[1, max(1, steps // 2) :] = False
    with torch.no_grad():
        scores = task.scores(features, mask)
    assert scores.shape == (2, steps)
    assert scores.isfinite().all()
    assert (scores[~mask] == 0).all()
    assert ((scores[mask] > 0) & (scores[mask] < 1)).all()
    task.train()
    loss = task._score_loss(task(features, mask), {
        "scores": torch.rand(2, steps), "mask": mask,
        "user_scores": torch.rand(2, 3, steps), "user_mask": torch.ones(2, 3).bool(),
    })  # fmt: skip
    loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in task.parameters())


def test_hours_are_scored_by_the_local_transformer():
    task = SummaryTask(IdentityEncoder(8), lambda d: LocalTransformer(d, hidden_size=16)).eval()
    features = torch.randn(1, 20_000, 8)
    with torch.no_grad():
        scores = task.scores(features)
    assert scores.shape == (1, 20_000)
    assert scores.isfinite().all()


def test_one_step_videos_train_and_test(tmp_path):
    videos = {}
    for number, name in enumerate("abcdef"):
        videos[name] = eccv16_video(num_frames=40, step=15 if number % 2 else 40, features=WIDTH)
    path = write_groups(tmp_path / "set.h5", videos)
    fit = trainer(tmp_path, max_epochs=2)
    task = task_of()
    fit.fit(task, datamodule=data_of(path, num_folds=2))
    assert all(math.isfinite(value) for value in fit.callback_metrics.values())
    (found,) = trainer(tmp_path).test(task, datamodule=data_of(path, num_folds=2), verbose=False)
    assert all(math.isfinite(value) for value in found.values())


# ---- frames and features ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "arguments"), [(SmallFrameEncoder, {"width": 4}), (SmallClipEncoder, {"width": 4})]
)
def test_frames_and_features_of_one_encoder_get_equal_scores(kind, arguments):
    torch.manual_seed(0)
    on_frames = SummaryTask(kind(**arguments), FrameMLP, steps_per_clip=8).eval()
    on_features = SummaryTask(IdentityEncoder(on_frames.encoder.num_features), FrameMLP).eval()
    rest = {k: v for k, v in on_frames.state_dict().items() if not k.startswith("encoder.")}
    on_features.load_state_dict(rest)
    video = torch.randint(0, 256, (2, 20, 3, 32, 32), dtype=torch.uint8)
    mask = torch.ones(2, 20).bool()
    mask[1, 13:] = False
    with torch.no_grad():
        features, _ = on_frames.steps(video, mask)
        expected = on_frames.scores(video, mask)
        torch.testing.assert_close(on_features.scores(features, mask), expected)
        alone = on_frames.scores(video[1:, :13])
    torch.testing.assert_close(expected[1:, :13], alone, atol=1e-5, rtol=1e-4)


def test_an_action_checkpoints_encoder_fits(tmp_path, capsys, stored):
    torch.manual_seed(0)
    action = ActionTask(SmallFrameEncoder(width=4), MeanPool)
    action.class_names = ["a", "b"]
    action.configure_model()
    checkpoint = {"state_dict": action.state_dict()}
    action.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, tmp_path / "action.ckpt")
    torch.manual_seed(1)
    task = SummaryTask(
        SmallFrameEncoder(width=4), FrameMLP, init_from=str(tmp_path / "action.ckpt")
    )
    assert not torch.equal(next(task.encoder.parameters()), next(action.encoder.parameters()))
    task._trainer = trainer(tmp_path)
    task.on_fit_start()
    for one, two in zip(
        task.encoder.state_dict().values(), action.encoder.state_dict().values(), strict=True
    ):
        assert torch.equal(one, two)
    assert "Weights:" in capsys.readouterr().out


def test_a_frozen_encoder_stays_as_it_is(tmp_path):
    torch.manual_seed(0)
    task = SummaryTask(SmallFrameEncoder(width=4), FrameMLP, freeze_encoder=True)
    optimizer, names = task.build_optimizer()
    assert names == ["head"]
    task.train()
    assert not task.encoder.training
    assert task.temporal.training


# ---- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": "labels"}, "objective must be one of scores, reward, got 'labels'"),
        ({"targets": "all"}, "targets must be one of users, mean, got 'all'"),
        ({"ranking": -1}, "ranking at least 0"),
        ({"dropout": 1.0}, r"dropout in \[0, 1\)"),
        ({"steps_per_clip": 0}, "steps_per_clip at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        task_of(**settings)


def test_no_model_is_chosen_on_the_test_split(stored, tmp_path):
    refuse_test_monitor([ModelCheckpoint(monitor="val/tau"), EarlyStopping("val/loss"), object()])
    for callback in (ModelCheckpoint(monitor="test/tau"), EarlyStopping("test/f1")):
        with pytest.raises(InputError, match=f"{type(callback).__name__} monitors 'test/"):
            trainer(tmp_path, callbacks=[callback], enable_checkpointing=True).fit(
                task_of(), datamodule=data_of(stored)
            )


def test_a_test_on_videos_of_the_training_is_no_result(stored, tmp_path):
    fit = trainer(tmp_path)
    task = task_of()
    fit.fit(task, datamodule=data_of(stored))
    fit.save_checkpoint(tmp_path / "a.ckpt")
    clean = data_of(stored)
    trainer(tmp_path).test(task, datamodule=clean, verbose=False)
    assert task.num_seen == 0

    class Swapped(SummaryDataModule):
        def records(self, split):
            return super().records("train" if split == "test" else split)

    loaded = load_task(tmp_path / "a.ckpt")
    swapped = Swapped(str(stored), num_workers=0)
    with pytest.warns(UserWarning, match="6 of 6 test videos were used in training"):
        trainer(tmp_path).test(loaded, datamodule=swapped, verbose=False)
    assert loaded.num_seen == 6


def test_a_loss_that_is_no_number_stops_the_training(stored, tmp_path):
    task = task_of()
    torch.nn.init.constant_(task.head.weight, float("nan"))
    with pytest.raises(InputError, match="the training loss became nan in epoch 0"):
        trainer(tmp_path, limit_val_batches=0).fit(task, datamodule=data_of(stored))


def test_a_checkpoint_of_another_model_is_refused(stored, tmp_path):
    fit = trainer(tmp_path)
    fit.fit(task_of(), datamodule=data_of(stored))
    fit.save_checkpoint(tmp_path / "a.ckpt")
    with pytest.raises(InputError, match="the checkpoint's temporal is FrameMLP"):
        trainer(tmp_path).test(
            task_of(lambda d: RNN(d, hidden_size=8)), datamodule=data_of(stored),
            ckpt_path=tmp_path / "a.ckpt", verbose=False, weights_only=True,
        )  # fmt: skip


def test_what_made_the_features_goes_with_the_model(stored, tmp_path):
    class Known(SummaryDataModule):
        @property
        def feature_record(self):
            return json.dumps({"encoder": "mine"})

    fit = trainer(tmp_path)
    fit.fit(task_of(), datamodule=Known(str(stored), num_workers=0))
    fit.save_checkpoint(tmp_path / "a.ckpt")
    assert json.loads(load_task(tmp_path / "a.ckpt").feature_record) == {"encoder": "mine"}
    other = task_of()
    trainer(tmp_path).test(
        other, datamodule=data_of(stored), ckpt_path=tmp_path / "a.ckpt", verbose=False,
        weights_only=True,
    )  # fmt: skip
    assert json.loads(other.feature_record) == {"encoder": "mine"}
