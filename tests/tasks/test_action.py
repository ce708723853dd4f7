import json
from functools import partial

import lightning.pytorch as pl
import pytest
import torch
import torchvision

from contracts import check_task
from videolit import ActionDataModule, ActionTask, ClipSpec, load_task
from videolit.encoders import (
    IdentityEncoder,
    SmallClipEncoder,
    SmallFrameEncoder,
    TorchvisionClipEncoder,
)
from videolit.ops.mixing import mixup, multi_hot
from videolit.tasks.base import VideoTask
from videolit.tasks.classes import loss_weights
from videolit.temporal import RNN, AttentionPool, MeanPool
from videolit.types import InputError

SPEC = ClipSpec(num_frames=4, size=32, resize=32)
NAMES = ["go_left", "go_right", "stay"]


def data(root, **settings):
    chosen = {"clip": SPEC, "batch_size": 4, "num_workers": 0, **settings}
    return ActionDataModule(str(root), **chosen)


def small_task(**settings):
    pl.seed_everything(1, verbose=False)
    return ActionTask(SmallFrameEncoder(width=4), partial(RNN, hidden_size=8), **settings)


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


def with_head(task, names=NAMES):
    """Build a task's head without a Trainer."""
    task.class_names = list(names)
    task._build(len(names))
    return task


@pytest.mark.parametrize(
    ("encoder", "temporal"),
    [
        (partial(SmallFrameEncoder, width=4), MeanPool),
        (partial(SmallFrameEncoder, width=4, motion="difference"), AttentionPool),
        (partial(SmallClipEncoder, width=4), partial(RNN, cell="gru", hidden_size=8)),
        (partial(SmallClipEncoder, width=4), partial(RNN, bidirectional=False, hidden_size=8)),
    ],
)
def test_contract(encoder, temporal, tiny_set, tmp_path):
    def make():
        pl.seed_everything(0, verbose=False)
        return ActionTask(encoder(), temporal, class_weights="balanced", dropout=0.2)

    check_task(make, lambda: data(tiny_set), tmp_path)


@pytest.mark.parametrize("name", ["r3d_18", "mc3_18", "r2plus1d_18"])
def test_logits_are_torchvisions(name):
    torch.manual_seed(0)
    theirs = torchvision.models.get_model(name, weights=None).eval()
    task = with_head(ActionTask(TorchvisionClipEncoder(name)), [str(k) for k in range(400)])
    encoder_state = {k: v for k, v in theirs.state_dict().items() if not k.startswith("fc.")}
    task.encoder.network.load_state_dict(encoder_state)
    task.head.load_state_dict(theirs.fc.state_dict())
    video = torch.randint(0, 256, (1, 16, 3, 112, 112), dtype=torch.uint8)
    # Torchvision's own preprocessing of Kinetics' models.
    mean = torch.tensor([0.43216, 0.394666, 0.37645]).view(3, 1, 1)
    std = torch.tensor([0.22803, 0.22145, 0.216989]).view(3, 1, 1)
    with torch.inference_mode():
        expected = theirs(((video / 255 - mean) / std).transpose(1, 2))
        found = task.eval()(video)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_it_learns_a_batch_by_heart(tiny_set, tmp_path):
    task = small_task(optimizer=partial(torch.optim.AdamW, lr=1e-2), schedule="constant")
    run = trainer(tmp_path, overfit_batches=1, max_epochs=40)
    run.fit(task, datamodule=data(tiny_set, batch_size=6))
    assert run.callback_metrics["train/loss"] < 0.1


def test_encoder_and_head_have_their_own_learning_rates(tiny_set, tmp_path):
    task = small_task(
        optimizer=partial(torch.optim.SGD, lr=0.5, momentum=0.9),
        encoder_lr=0.01,
        warmup=0.0,
        schedule="constant",
    )
    run = trainer(tmp_path, limit_train_batches=1)
    run.fit(task, datamodule=data(tiny_set))
    groups = {group["name"]: group for group in run.optimizers[0].param_groups}
    assert groups["encoder"]["lr"] == 0.01
    assert groups["head"]["lr"] == 0.5
    assert isinstance(run.optimizers[0], torch.optim.SGD)
    count = sum(len(group["params"]) for group in groups.values())
    assert count == len(list(task.parameters()))


def test_warm_up_and_cosine(tiny_set, tmp_path):
    task = small_task(optimizer=partial(torch.optim.AdamW, lr=1.0), warmup=0.4)
    rates = []

    class Watch(pl.Callback):
        def on_train_batch_start(self, run, *_):
            rates.append(run.optimizers[0].param_groups[0]["lr"])

    run = trainer(tmp_path, max_epochs=5, limit_train_batches=2, callbacks=[Watch()])
    run.fit(task, datamodule=data(tiny_set))
    # Ten steps: four of warm-up, then half a cosine that would be zero at the eleventh.
    expected = [0.2, 0.4, 0.6, 0.8]
    expected += [0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * k / 6)))) for k in range(6)]
    assert rates == pytest.approx(expected)


def test_a_frozen_encoder_rests(tiny_set, tmp_path):
    task = small_task(freeze_encoder=True)
    before = {name: value.clone() for name, value in task.encoder.state_dict().items()}
    trainer(tmp_path, max_epochs=2).fit(task, datamodule=data(tiny_set))
    after = task.encoder.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not task.train().encoder.training
    assert task.temporal.training
    with pytest.raises(InputError, match="no effect on a frozen encoder"):
        small_task(freeze_encoder=True, encoder_lr=0.1)


def test_an_encoder_that_is_not_frozen_moves(tiny_set, tmp_path):
    task = small_task()
    before = {name: value.clone() for name, value in task.encoder.state_dict().items()}
    trainer(tmp_path).fit(task, datamodule=data(tiny_set))
    assert any(
        not torch.equal(before[name], value) for name, value in task.encoder.state_dict().items()
    )


def test_layers_of_the_encoder_learn_slower_the_deeper_they_lie(tiny_set, tmp_path):
    settings = {"warmup": 0.0, "schedule": "constant", "layer_decay": 0.5}
    task = small_task(optimizer=partial(torch.optim.SGD, lr=0.8), encoder_lr=0.4, **settings)
    run = trainer(tmp_path, limit_train_batches=1)
    run.fit(task, datamodule=data(tiny_set))
    rates = {group["name"]: group["lr"] for group in run.optimizers[0].param_groups}
    layers = [0.4 * 0.5**depth for depth in (4, 3, 2, 1)]
    names = [f"encoder.{number}" for number in range(4)]
    assert rates == pytest.approx({**dict(zip(names, layers, strict=True)), "head": 0.8})


def test_norms_and_biases_have_their_own_weight_decay(tiny_set, tmp_path):
    task = small_task(
        optimizer=partial(torch.optim.AdamW, lr=0.1, weight_decay=0.3), norm_weight_decay=0.0
    )
    run = trainer(tmp_path, limit_train_batches=1)
    run.fit(task, datamodule=data(tiny_set))
    names = {id(p): name for name, p in task.named_parameters()}
    decays = {
        names[id(p)]: group["weight_decay"]
        for group in run.optimizers[0].param_groups
        for p in group["params"]
    }
    assert decays.keys() == set(names.values())
    assert decays["encoder.stages.0.weight"] == 0.3
    assert decays["encoder.stages.1.weight"] == decays["encoder.stages.1.bias"] == 0.0
    assert decays["head.weight"] == 0.3
    assert decays["head.bias"] == 0.0


def test_an_encoder_wakes_after_its_epochs_of_rest(tiny_set, tmp_path):
    task = small_task(freeze_epochs=2, optimizer=partial(torch.optim.AdamW, lr=0.01), warmup=0.75)
    states, rates = [], []

    class Watch(pl.Callback):
        def on_train_epoch_end(self, run, task):
            states.append({k: v.clone() for k, v in task.encoder.state_dict().items()})
            rates.append([group["lr"] for group in run.optimizers[0].param_groups])

    before = {k: v.clone() for k, v in task.encoder.state_dict().items()}
    run = trainer(tmp_path, max_epochs=4, limit_train_batches=2, callbacks=[Watch()])
    run.fit(task, datamodule=data(tiny_set))
    # Weights and BatchNorm statistics: as they were for two epochs, then both moving.
    for state in states[:2]:
        assert all(torch.equal(before[name], state[name]) for name in before)
    assert all(not torch.equal(before[n], states[3][n]) for n in before if "weight" in n)
    assert not torch.equal(before["stages.1.running_mean"], states[2]["stages.1.running_mean"])
    # Its own warmup begins when it wakes; the head's is over by then.
    assert rates[0][0] == 0.0
    assert 0 < rates[2][0] < 0.01
    assert task.train().encoder.training
    with pytest.raises(InputError, match="must be below trainer.max_epochs"):
        trainer(tmp_path, max_epochs=2).fit(small_task(freeze_epochs=2), datamodule=data(tiny_set))
    with pytest.raises(InputError, match="0 with freeze_encoder"):
        small_task(freeze_epochs=1, freeze_encoder=True)


def test_recomputing_trains_the_same_weights(tiny_set, tmp_path):
    weights = []
    for recompute in (False, True):
        pl.seed_everything(1, verbose=False)
        task = ActionTask(SmallClipEncoder(width=4), recompute=recompute)
        run = trainer(tmp_path, limit_train_batches=2)
        run.fit(task, datamodule=data(tiny_set))
        weights.append(task.state_dict())
        run.save_checkpoint(tmp_path / "lean.ckpt")
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], rtol=1e-4, atol=1e-5, msg=name)
    assert load_task(tmp_path / "lean.ckpt").recompute


def test_views_are_averaged_and_chunks_change_nothing():
    task = with_head(small_task()).eval()
    video = torch.randint(0, 256, (2, 5, 4, 3, 32, 32), dtype=torch.uint8)
    mask = torch.ones(2, 5, 4, dtype=torch.bool)
    with torch.inference_mode():
        whole = task.probabilities(video, mask)
        single = torch.stack([task.probabilities(video[:, view]) for view in range(5)], 1)
        task.clips_per_step = 3
        chunked = task.probabilities(video, mask)
    torch.testing.assert_close(whole, single.mean(1))
    torch.testing.assert_close(whole, chunked)
    torch.testing.assert_close(whole.sum(-1), torch.ones(2))


def test_mixup_blends_clips_and_labels():
    video = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1, 1).expand(2, 2, 3, 4, 4)
    shares = multi_hot(torch.tensor([0, 2]), 3)
    mixed, target = mixup(video, shares, 0.75, torch.tensor([1, 0]))
    torch.testing.assert_close(mixed[:, 0, 0, 0, 0], torch.tensor([0.25, 0.75]))
    torch.testing.assert_close(target, torch.tensor([[0.75, 0, 0.25], [0.25, 0, 0.75]]))


def test_training_with_mixup_and_smoothing(tiny_set, tmp_path):
    task = small_task(mixup=0.4, label_smoothing=0.1, class_weights=[1.0, 2.0, 3.0])
    run = trainer(tmp_path)
    run.fit(task, datamodule=data(tiny_set))
    assert torch.isfinite(run.callback_metrics["train/loss"])
    assert "train/accuracy" not in run.callback_metrics


@pytest.mark.parametrize(
    "settings",
    [
        {"cutmix": 1.0},
        {"cutmix": 1.0, "mixup": 0.2, "label_smoothing": 0.1},
        {"loss": "bce", "mixup": 0.2},
        {"loss": "focal", "class_weights": "balanced"},
        {"loss": "focal", "cutmix": 0.5},
    ],
)
def test_it_trains_with_every_loss_and_mix(settings, tiny_set, tmp_path):
    task = small_task(**settings)
    run = trainer(tmp_path, max_epochs=2)
    run.fit(task, datamodule=data(tiny_set))
    assert torch.isfinite(run.callback_metrics["train/loss"])
    run.test(task, datamodule=data(tiny_set), verbose=False)
    assert 0 <= run.callback_metrics["test/accuracy"] <= 1


def test_mixup_and_cutmix_take_turns():
    task = with_head(small_task(mixup=1.0, cutmix=1.0))
    torch.manual_seed(0)
    video = torch.stack([torch.full((2, 3, 8, 8), v, dtype=torch.uint8) for v in (0, 100, 200)])
    kinds = set()
    for _ in range(30):
        mixed, _, target = task._mix(video, torch.ones(3, 2, dtype=torch.bool), torch.arange(3))
        torch.testing.assert_close(target.sum(1), torch.ones(3))
        kinds.add(mixed.dtype)
        # Half of each picture may be another's, but never more than its label says.
        scale = 1.0 if mixed.dtype == torch.uint8 else 255.0
        pixels = mixed.float().mean((1, 2, 3, 4)) * scale
        torch.testing.assert_close(
            pixels, target @ torch.tensor([0.0, 100, 200]), rtol=1e-3, atol=0.1
        )
    assert kinds == {torch.uint8, torch.float32}


def test_balanced_weights_are_inverse_to_the_counts():
    weights = loss_weights("balanced", [10, 20, 40], NAMES)
    torch.testing.assert_close(weights / weights[2], torch.tensor([4.0, 2.0, 1.0]))
    assert float(weights.mean()) == pytest.approx(1.0)
    with pytest.raises(InputError, match="2 numbers for 3 classes"):
        loss_weights([1.0, 2.0], [1, 1, 1], NAMES)
    assert loss_weights(None, [1, 1, 1], NAMES) is None


@pytest.fixture(scope="module")
def trained(tiny_set, tmp_path_factory):
    """A checkpoint that knows the tiny set, and its test accuracy."""
    folder = tmp_path_factory.mktemp("trained")
    spec = ClipSpec(num_frames=4, size=32, resize=32, num_crops=3)
    task = small_task(optimizer=partial(torch.optim.AdamW, lr=1e-2))
    run = trainer(folder, max_epochs=15)
    run.fit(task, datamodule=data(tiny_set, clip=spec))
    run.save_checkpoint(folder / "a.ckpt")
    (result,) = run.test(task, datamodule=data(tiny_set, clip=spec), verbose=False)
    return folder / "a.ckpt", spec, result


def test_classes_in_another_order_are_understood(trained, tiny_set, tmp_path):
    path, spec, expected = trained
    for names in (["stay", "go_left", "go_right"], ["go_right", "stay", "go_left"]):
        other = data(tiny_set, clip=spec, class_names=names)
        (fresh,) = trainer(tmp_path).test(
            small_task(), datamodule=other, ckpt_path=path, verbose=False
        )
        (loaded,) = trainer(tmp_path).test(load_task(path), datamodule=other, verbose=False)
        assert fresh == loaded == pytest.approx(expected)


def test_other_classes_are_refused_by_name(trained, tiny_set, tmp_path):
    path, spec, _ = trained
    root = tmp_path / "set"
    root.mkdir()
    for old, new in {"go_left": "go_left", "go_right": "jump", "stay": "stay"}.items():
        (root / new).symlink_to(tiny_set / old)
    other = data(root, clip=spec, allow_outside_root=True)
    with pytest.raises(InputError, match="not trained for: jump; the model has go_right instead"):
        trainer(tmp_path).test(load_task(path), datamodule=other, verbose=False)


def test_a_checkpoint_of_another_model_is_refused_by_its_parts(trained, tiny_set, tmp_path):
    path, spec, _ = trained
    other = ActionTask(SmallFrameEncoder(width=4), MeanPool)
    with pytest.raises(InputError, match=r"temporal is RNN\(.*\), this model's is MeanPool"):
        trainer(tmp_path).test(other, datamodule=data(tiny_set, clip=spec), ckpt_path=path)


def tampered(path, folder, change):
    checkpoint = torch.load(path, weights_only=True)
    record = json.loads(checkpoint["videolit"])
    change(record)
    checkpoint["videolit"] = json.dumps(record)
    torch.save(checkpoint, folder / "tampered.ckpt")
    return folder / "tampered.ckpt"


def test_a_checkpoint_from_before_an_argument_still_fits(trained, tiny_set, tmp_path):
    path, _, _ = trained
    checkpoint = torch.load(path, weights_only=True)
    record = json.loads(checkpoint["videolit"])
    assert record["encoder"]["init_args"].pop("shift") is None
    checkpoint["videolit"] = json.dumps(record)
    old = tmp_path / "old.ckpt"
    torch.save(checkpoint, old)
    run = trainer(tmp_path)
    run.test(small_task(), datamodule=data(tiny_set), ckpt_path=old, verbose=False)
    shifted = ActionTask(SmallFrameEncoder(width=4, shift="both"), partial(RNN, hidden_size=8))
    with pytest.raises(InputError, match="shift=None.*shift='both'"):
        run.test(shifted, datamodule=data(tiny_set), ckpt_path=old, verbose=False)


def test_a_checkpoint_cannot_run_foreign_code(trained, tmp_path, monkeypatch):
    path, _, _ = trained
    (tmp_path / "evil.py").write_text(
        "from videolit.encoders import SmallFrameEncoder\n"
        "open(__file__ + '.ran', 'w').close()\n"
        "class Encoder(SmallFrameEncoder): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    bad = tampered(
        path, tmp_path, lambda record: record["encoder"].update(class_path="evil.Encoder")
    )
    with pytest.raises(InputError, match=r"evil\.Encoder, which is not part of videolit.*--trust"):
        load_task(bad)
    assert not (tmp_path / "evil.py.ran").exists()
    assert type(load_task(bad, trust=True).encoder).__name__ == "Encoder"


@pytest.mark.parametrize(
    "class_path",
    [
        "videolit.tasks.checkpoint.load_task",
        "videolit.tasks.action.ActionTask",
        "videolit.encoders.small.torch",
        "videolit.encoders.Nothing",
        "videolit.data.verify.main",
    ],
)
def test_only_an_encoder_is_built_as_encoder(trained, tmp_path, class_path):
    bad = tampered(
        trained[0], tmp_path, lambda record: record["encoder"].update(class_path=class_path)
    )
    with pytest.raises(InputError, match="encoder|cannot be imported|VideoEncoder"):
        load_task(bad)


def test_unreadable_checkpoints_are_one_line(tmp_path, trained):
    (tmp_path / "text.ckpt").write_text("hello")
    (tmp_path / "cut.ckpt").write_bytes(trained[0].read_bytes()[:5000])
    torch.save({"state_dict": {}}, tmp_path / "plain.ckpt")
    for name, message in {
        "missing.ckpt": "no such checkpoint",
        "text.ckpt": "not a readable checkpoint",
        "cut.ckpt": "not a readable checkpoint",
        "plain.ckpt": "not a checkpoint of videolit",
    }.items():
        with pytest.raises(InputError, match=message) as error:
            load_task(tmp_path / name)
        assert name in str(error.value)
        assert len(str(error.value).splitlines()) == 1
    newer = tampered(trained[0], tmp_path, lambda record: record.update(format=99))
    with pytest.raises(InputError, match="update videolit"):
        load_task(newer)


def test_an_argument_that_is_not_kept_is_named():
    class Forgetful(SmallFrameEncoder):
        def __init__(self, width: int = 4, extra: int = 1) -> None:
            super().__init__(width)

    with pytest.raises(InputError, match=r"'extra' is not kept; write `self.extra = extra`"):
        with_head(ActionTask(Forgetful())).record()


def test_stored_features_run_through_the_same_task():
    task = with_head(ActionTask(IdentityEncoder(12), partial(RNN, hidden_size=4))).eval()
    logits = task(torch.randn(2, 7, 12), torch.ones(2, 7, dtype=torch.bool))
    assert logits.shape == (2, 3)


def test_pretrained_weights_are_loaded_once_at_the_start_of_fit(tiny_set, tmp_path):
    calls = []

    class Encoder(SmallFrameEncoder):
        def fetch_pretrained(self):
            calls.append("fetch")

        def load_pretrained(self):
            calls.append("load")

    Encoder.__init__.__annotations__.clear()
    task = ActionTask(Encoder(width=4))
    run = trainer(tmp_path)
    run.fit(task, datamodule=data(tiny_set))
    assert calls == ["fetch", "load"]
    run.save_checkpoint(tmp_path / "x.ckpt")
    trainer(tmp_path).test(task, datamodule=data(tiny_set), verbose=False)
    trainer(tmp_path, max_epochs=2).fit(
        ActionTask(Encoder(width=4)), datamodule=data(tiny_set), ckpt_path=tmp_path / "x.ckpt"
    )
    assert calls == ["fetch", "load"]


def test_training_starts_from_another_tasks_encoder(trained, tiny_set, tmp_path, capsys):
    path, _, _ = trained
    source = {
        k: v for k, v in load_task(path).encoder.state_dict().items() if v.is_floating_point()
    }
    copy = tmp_path / "start.ckpt"
    copy.write_bytes(path.read_bytes())
    # Other classes, another temporal model; frozen, so that the start can be seen at the end.
    task = ActionTask(
        SmallFrameEncoder(width=4), MeanPool, init_from=str(copy), freeze_encoder=True
    )
    run = trainer(tmp_path)
    run.fit(task, datamodule=data(tiny_set))
    count = len(source)
    said = capsys.readouterr().out
    assert f"Weights: {count} of the encoder's {count} tensors" in said
    assert "unused" not in said
    assert all(torch.equal(task.encoder.state_dict()[name], source[name]) for name in source)
    # Neither use nor more training needs the file again.
    run.save_checkpoint(tmp_path / "x.ckpt")
    copy.unlink()
    trainer(tmp_path).fit(task, datamodule=data(tiny_set))
    assert "start.ckpt" not in json.dumps(load_task(tmp_path / "x.ckpt").record())
    trainer(tmp_path, max_epochs=2).fit(
        ActionTask(SmallFrameEncoder(width=4), init_from=str(copy), freeze_encoder=True),
        datamodule=data(tiny_set),
        ckpt_path=tmp_path / "x.ckpt",
    )
    fresh = ActionTask(SmallFrameEncoder(width=4), init_from=str(copy))
    with pytest.raises(InputError, match="no such file of weights"):
        trainer(tmp_path).fit(fresh, datamodule=data(tiny_set))


def test_another_encoder_starts_from_what_fits_and_says_so(trained, tiny_set, tmp_path):
    path, _, _ = trained
    task = ActionTask(SmallFrameEncoder(width=10), init_from=str(path))
    with pytest.raises(InputError, match="nothing in it fits"):
        trainer(tmp_path).fit(task, datamodule=data(tiny_set))
    checkpoint = torch.load(path, weights_only=True)
    lost = next(name for name in checkpoint["state_dict"] if name.startswith("encoder."))
    del checkpoint["state_dict"][lost]
    torch.save(checkpoint, tmp_path / "part.ckpt")
    task = ActionTask(
        SmallFrameEncoder(width=4, motion="difference"), init_from=str(tmp_path / "part.ckpt")
    )
    with pytest.warns(UserWarning, match="not all weights fitted") as caught:
        trainer(tmp_path).fit(task, datamodule=data(tiny_set))
    (said,) = [str(w.message) for w in caught if "not all weights" in str(w.message)]
    assert f"left as they were: {lost.removeprefix('encoder.')}" in said
    assert "its encoder is SmallFrameEncoder(" in said
    assert "motion='rgb'" in said


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_precision(precision, tiny_set, tmp_path):
    task = ActionTask(SmallClipEncoder(width=4), partial(RNN, hidden_size=8))
    run = trainer(tmp_path, precision=precision)
    run.fit(task, datamodule=data(tiny_set))
    (result,) = run.test(task, datamodule=data(tiny_set), verbose=False)
    assert 0 <= result["test/accuracy"] <= 1


def test_refuses_what_is_out_of_range(tiny_set, tmp_path):
    for settings, message in (
        ({"warmup": 1.5}, "share of all steps"),
        ({"mixup": -1.0}, "mixup must be at least 0"),
        ({"cutmix": -1.0}, "cutmix must be at least 0"),
        ({"loss": "hinge"}, "loss must be one of cross_entropy, bce, focal"),
        ({"loss": "cross_entropy", "multi_label": True}, "knows one label a clip"),
        ({"loss": "focal", "label_smoothing": 0.1}, "no label_smoothing"),
        ({"layer_decay": 0.0}, "layer_decay must lie in"),
        ({"norm_weight_decay": -0.1}, "norm_weight_decay must be at least 0"),
        ({"clips_per_step": 0}, "clips_per_step must be at least 1"),
    ):
        with pytest.raises(InputError, match=message):
            small_task(**settings)
    with pytest.raises(InputError, match="set trainer.max_epochs"):
        trainer(tmp_path, max_epochs=-1).fit(small_task(), datamodule=data(tiny_set))


def test_without_data_module_the_classes_must_be_named(tiny_set, tmp_path):
    loader = data(tiny_set)
    loader.setup("fit")
    with pytest.raises(InputError, match="classes are unknown"):
        trainer(tmp_path).fit(small_task(), loader.train_dataloader())
    task = small_task(class_names=NAMES)
    trainer(tmp_path).fit(task, loader.train_dataloader())
    assert task.head.out_features == 3


def test_two_levels_of_inheritance():
    assert ActionTask.__mro__[1] is VideoTask
    assert VideoTask.__mro__[1] is pl.LightningModule


def test_a_test_that_meets_training_samples_is_told(trained, tiny_set, tmp_path):
    path, spec, _ = trained
    task = load_task(path)
    other = data(tiny_set, clip=spec, seed=5)
    with pytest.warns(UserWarning, match=r"\d of \d test samples were used in training"):
        trainer(tmp_path).test(task, datamodule=other, verbose=False)
    assert task.num_seen > 0
    trainer(tmp_path).test(task, datamodule=data(tiny_set, clip=spec), verbose=False)
    assert task.num_seen == 0


def test_a_test_on_other_clips_is_told(trained, tiny_set, tmp_path):
    path, _, _ = trained
    with pytest.warns(UserWarning, match=r"trained on other clips \(4 frames .*5 frames"):
        trainer(tmp_path).test(
            load_task(path),
            datamodule=data(tiny_set, clip=ClipSpec(num_frames=5, size=32, resize=32)),
            verbose=False,
        )


def test_a_loss_that_is_no_number_ends_the_run(tiny_set, tmp_path):
    task = small_task(optimizer=partial(torch.optim.SGD, lr=1e30))
    with pytest.raises(InputError, match="training loss became (nan|inf).*lower learning rate"):
        trainer(tmp_path, max_epochs=3).fit(task, datamodule=data(tiny_set))


def test_the_baseline_is_the_best_constant_answer(tiny_set, tmp_path):
    """Also where the data has a test split only, or ties in training."""
    root = tmp_path / "rare"
    for name, people in {"go_left": "ann", "go_right": "ann bob cem", "stay": "ann"}.items():
        (root / "test" / name).mkdir(parents=True)
        for person in people.split():
            file = tiny_set / name / f"{person}_{name}.mp4"
            (root / "test" / name / file.name).write_bytes(file.read_bytes())
    task = small_task(class_names=NAMES)
    (result,) = trainer(tmp_path).test(task, datamodule=data(root), verbose=False)
    assert result["test/majority"] == pytest.approx(0.6)
