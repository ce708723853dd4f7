"""Training on a CUDA device, as a user starts it: every precision, resuming, checkpoints, limits."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from videolit import ActionDataModule, ClipSpec, cli, load_task
from videolit.data.writer import write_video
from videolit.synth.summary_features import write_feature_set

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(150),
    # What runs warn of (chance, waiting for data) depends on the machine.
    pytest.mark.filterwarnings(r"default:::videolit(\.|$)"),
]

FEATURES = 16
# Sides matter in tiny_set, so nothing is mirrored.
SETTINGS = {
    "action/small_r2plus1d": [
        *("--model.encoder.init_args.width", "4", "--data.clip.num_frames", "8"),
        *("--data.clip.size", "32", "--data.clip.resize", "32", "--data.batch_size", "4"),
        *("--data.train_transform.init_args.flip", "0.0", "--data.num_workers", "2"),
    ],
    "action/small_cnn_rnn": [
        *("--model.encoder.init_args.width", "4", "--data.clip.num_frames", "8"),
        *("--data.clip.size", "32", "--data.clip.resize", "32", "--data.batch_size", "4"),
        *("--data.train_transform.init_args.flip", "0.0", "--data.num_workers", "0"),
    ],
    "summary/features_transformer": [
        *("--model.encoder.init_args.num_features", str(FEATURES)),
        *("--data.batch_size", "2", "--data.num_workers", "0"),
    ],
}
ACTION, RECURRENT, SUMMARY = SETTINGS


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """Stored features of eight videos to train with, three to validate with, three to test."""
    return write_feature_set(
        tmp_path_factory.mktemp("features") / "set.h5", num_train=8, num_val=3, num_test=3, seed=0,
        num_steps=(40, 80), num_features=FEATURES, num_users=4,
    )  # fmt: skip


@pytest.fixture
def run(tiny_set, features, accelerator, tmp_path, capsys):
    """Return a function that runs a verb and returns its folder."""

    def start(verb, config, *more, root=None, code=0, may_refuse=False):
        data = root or (features if config.startswith("summary/features") else tiny_set)
        words = [verb, "--config", config, "--data.root", str(data)]
        words += [*SETTINGS.get(config, []), "--trainer.default_root_dir", str(tmp_path)]
        words += ["--trainer.accelerator", accelerator, "--trainer.devices", "1"]
        words += ["--trainer.enable_progress_bar", "false", *more]
        found = cli.main(words)
        told = capsys.readouterr()
        expected = (0, 2) if may_refuse else (code,)
        assert found in expected, f"{' '.join(words)}\n{told.out[-3000:]}\n{told.err[-6000:]}"
        if found:
            return told.err
        folders = (tmp_path / config.rpartition("/")[2]).glob(f"{verb}_*")
        return max(folders, key=lambda folder: int(folder.name.rpartition("_")[2]))

    return start


def column(folder, name):
    """Return the values of a figure, one an epoch."""
    with (folder / "metrics.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file) if row.get(name)]


def last(folder):
    return folder / "checkpoints" / "last.ckpt"


def answers(path, device, dtype=torch.float32):
    """Return what a checkpoint's model says of drawn clips or features, float32 on the CPU."""
    task = load_task(path, map_location=device)
    drawn = torch.Generator().manual_seed(0)
    if hasattr(task, "class_names"):
        video = torch.randint(0, 256, (4, 8, 3, 32, 32), generator=drawn).byte()
        answer = task.probabilities
    else:
        video = torch.randn(2, 50, FEATURES, generator=drawn)
        answer = task.scores
    mask = torch.ones(video.shape[:2], dtype=torch.bool)
    mask[1, 5:] = False
    with torch.no_grad(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        return answer(video.to(device), mask.to(device)).float().cpu()


def weights(path):
    return torch.load(path, weights_only=True, map_location="cpu")["state_dict"]


def assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    apart = {n: float((v - theirs[n]).abs().max()) for n, v in ours.items() if v.numel()}
    assert not any(apart.values()), {name: value for name, value in apart.items() if value}


# First: these take longest, and begin while other processes do the rest.
@pytest.mark.parametrize("config", [ACTION, SUMMARY])
def test_a_compiled_model_trains_or_the_compiler_is_named(config, run, record_property):
    """Videos differ in length, which PyTorch 2.11 cannot compile for a GPU: that is said."""
    settings = ["--trainer.max_epochs", "2", "--model.compile_model", "true"]
    folder = run("fit", config, *settings, may_refuse=config == SUMMARY)
    if isinstance(folder, str):
        record_property("compiler", folder.strip())
        assert "torch.compile of PyTorch" in folder
        return
    assert all(np.isfinite(column(folder, "train/loss")))
    load_task(last(folder))


def test_one_process_of_ddp(tiny_set, accelerator, device, tmp_path):
    """NCCL starts, gradients pass through it, and the process ends."""
    command = [
        *(sys.executable, "-m", "videolit", "fit", "--config", ACTION, *SETTINGS[ACTION]),
        *("--data.root", str(tiny_set), "--trainer.default_root_dir", str(tmp_path)),
        *("--trainer.accelerator", accelerator, "--trainer.devices", "1"),
        *("--trainer.strategy", "ddp", "--trainer.max_epochs", "2"),
        *("--trainer.precision", "bf16-mixed", "--trainer.enable_progress_bar", "false"),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "NCCL_DEBUG": "WARN"},
    )  # fmt: skip
    told = done.stdout + done.stderr
    assert done.returncode == 0, told[-8000:]
    assert f"distributed_backend={'nccl' if device.type == 'cuda' else 'gloo'}" in told, told[
        -3000:
    ]
    assert len(column(tmp_path / "small_r2plus1d" / "fit_0", "train/loss")) == 2


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("config", SETTINGS)
def test_the_loss_falls_and_the_checkpoint_answers_alike_on_the_cpu(
    config, precision, run, device, measured, record_property
):
    epochs = "12" if config == SUMMARY else "8"
    folder = run("fit", config, "--trainer.max_epochs", epochs, "--trainer.precision", precision)
    losses = column(folder, "train/loss")
    record_property("train/loss", [round(loss, 3) for loss in losses])
    assert len(losses) == int(epochs)
    assert losses[-1] < 0.9 * losses[0], losses
    here, there = (answers(last(folder), place) for place in (torch.device("cpu"), device))
    measured("answers, float32", float((here - there).abs().max()), 1e-4)
    half = answers(last(folder), device, torch.bfloat16)
    measured("answers, bfloat16", float((here - half).abs().max()), 0.05)


@pytest.mark.parametrize("config", SETTINGS)
def test_two_deterministic_runs_give_the_same_weights(config, run):
    settings = ("--trainer.max_epochs", "2", "--trainer.deterministic", "true")
    one, two = (run("fit", config, *settings) for _ in range(2))
    assert_equal(weights(last(one)), weights(last(two)))
    assert column(one, "val/loss") == column(two, "val/loss")


@pytest.mark.parametrize("precision", ["32-true", "16-mixed"])
@pytest.mark.parametrize("config", [ACTION, SUMMARY])
def test_a_resumed_run_gives_the_weights_of_one_that_was_not_stopped(config, precision, run):
    settings = ["--trainer.precision", precision, "--trainer.deterministic", "true"]
    # The schedule would otherwise know how long the run is, and dropout draw anew.
    settings += ["--model.schedule", "constant", "--model.warmup", "0.0"]
    if config == SUMMARY:
        settings += ["--model.dropout", "0.0", "--model.temporal.init_args.dropout", "0.0"]
    whole = run("fit", config, *settings, "--trainer.max_epochs", "4")
    half = run("fit", config, *settings, "--trainer.max_epochs", "2")
    again = ["--trainer.max_epochs", "4", "--ckpt_path", str(last(half))]
    resumed = run("fit", config, *settings, *again)
    assert len(column(resumed, "train/loss")) == 2
    assert_equal(weights(last(resumed)), weights(last(whole)))


def test_a_run_on_the_device_goes_on_on_the_cpu(run):
    folder = run("fit", SUMMARY, "--trainer.max_epochs", "2", "--trainer.precision", "bf16-mixed")
    more = ["--ckpt_path", str(last(folder)), "--trainer.max_epochs", "3"]
    resumed = run("fit", SUMMARY, *more, "--trainer.accelerator", "cpu")
    assert len(column(resumed, "train/loss")) == 1


def test_gradients_are_accumulated(run):
    folder = run(
        "fit", ACTION, "--trainer.max_epochs", "2", "--trainer.accumulate_grad_batches", "2",
        "--trainer.precision", "16-mixed", "--trainer.gradient_clip_val", "1.0",
    )  # fmt: skip
    once = run("fit", ACTION, "--trainer.max_epochs", "2")
    steps = [torch.load(last(one), weights_only=True)["global_step"] for one in (folder, once)]
    assert 0 < steps[0] <= (steps[1] + 2) // 2 + 1 < steps[1]


@pytest.mark.parametrize("average", ["ema", "swa"])
def test_averages_are_saved_and_answer_alike_on_the_cpu(average, run, device, measured):
    more = ["--config", f"trainer/{average}", "--trainer.max_epochs", "4"]
    folder = run("fit", ACTION, *more, "--trainer.precision", "bf16-mixed")
    here, there = (answers(last(folder), place) for place in (torch.device("cpu"), device))
    measured("answers", float((here - there).abs().max()), 1e-4)


def test_the_configuration_of_one_gpu_runs(run, device):
    if device.type != "cuda":
        pytest.skip("asks for a GPU")
    run("fit", ACTION, "--config", "trainer/gpu", "--trainer.max_epochs", "2")


@pytest.mark.parametrize(
    "settings",
    [
        ["--model.mixup", "0.4", "--model.cutmix", "1.0", "--model.label_smoothing", "0.1"],
        [
            "--model.loss",
            "focal",
            "--model.class_weights",
            "balanced",
            "--model.label_smoothing",
            "0",
        ],
        ["--model.recompute", "true", "--model.dropout", "0.3"],
        ["--model.freeze_epochs", "1", "--model.layer_decay", "0.8"],
        ["--sanity"],
    ],
    ids=lambda settings: settings[0].removeprefix("--"),
)
def test_an_action_model_trains_with(settings, run):
    folder = run("fit", ACTION, "--trainer.max_epochs", "2", "--trainer.precision", "bf16-mixed",
                 *settings)  # fmt: skip
    assert all(np.isfinite(column(folder, "train/loss")))


@pytest.mark.parametrize(
    "settings",
    [
        ["--model.objective", "reward"],
        ["--model.targets", "mean", "--model.ranking", "2.0"],
        ["--oracle"],
        ["--model.temporal", "PGLSum", "--model.temporal.num_heads", "4"],
        ["--model.temporal", "CSTA"],
        ["--model.temporal", "RNN"],
    ],
    ids=lambda settings: settings[-1].removeprefix("--"),
)
def test_a_summary_model_trains_with(settings, run):
    folder = run("fit", SUMMARY, "--trainer.max_epochs", "2", "--trainer.precision", "bf16-mixed",
                 *settings)  # fmt: skip
    assert all(np.isfinite(column(folder, "train/loss")))


@pytest.mark.parametrize("config", [ACTION, SUMMARY])
def test_a_test_with_its_audit_gives_what_it_gives_on_the_cpu(config, run, accelerator):
    folder = run("fit", config, "--trainer.max_epochs", "2")
    best = ["--ckpt_path", str(last(folder)), "--audit"]
    here = run("test", config, *best, "--trainer.accelerator", "cpu")
    there = run("test", config, *best, "--trainer.accelerator", accelerator)
    one, two = (
        json.loads(next(found.glob("evaluation-*.json")).read_text()) for found in (here, there)
    )
    assert two["metrics"] == pytest.approx(one["metrics"], abs=1e-3, nan_ok=True)
    run("validate", config, "--ckpt_path", str(last(folder)))


def test_clips_of_several_labels(tiny_set, run, tmp_path):
    listing = tiny_set / "on_the_device.csv"
    with listing.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "labels", "split"])
        for path in sorted(tiny_set.glob("*/*.mp4")):
            person, _, name = path.stem.partition("_")
            split = {"ann": "val", "bob": "test"}.get(person, "train")
            labels = "" if name == "stay" else f"{name};moves"
            rows.writerow([path.relative_to(tiny_set).as_posix(), labels, split])
    small = [
        *("--model.encoder", "SmallFrameEncoder", "--model.encoder.width", "8"),
        *("--data.clip.size", "32", "--data.clip.resize", "32", "--data.clip.num_frames", "4"),
        *("--data.num_workers", "0", "--trainer.precision", "bf16-mixed"),
    ]
    try:
        config = "action/folder_multilabel"
        folder = run("fit", config, *small, "--trainer.max_epochs", "2", root=listing)
        assert column(folder, "val/map")
        run("test", config, *small, "--ckpt_path", str(last(folder)), root=listing)
    finally:
        listing.unlink()


def test_frames_of_whole_videos(run, tmp_path):
    root = tmp_path / "watched"
    said = {}
    for number in range(7):
        noise = np.random.default_rng(number).integers(256, size=(40, 32, 48, 3), dtype=np.uint8)
        write_video(root / f"{number}.mp4", noise, 10)
        said[f"{number}.mp4"] = {"users": {"a": [[0, 2, 1.0]], "b": [[1, 3, 0.5]]}}
    (root / "scores.json").write_text(json.dumps(said))
    folder = run(
        "fit", "summary/folder_frames", "--data.clip.size", "32", "--data.clip.resize", "32",
        "--model.encoder.init_args.weights", "null", "--data.num_workers", "2",
        "--trainer.max_epochs", "2", "--trainer.precision", "bf16-mixed", root=root,
    )  # fmt: skip
    assert all(np.isfinite(column(folder, "train/loss")))


def test_batches_are_pinned_and_arrive_whole(tiny_set, device):
    if device.type != "cuda":
        pytest.skip("memory is pinned for CUDA")
    spec = ClipSpec(num_frames=4, size=32, resize=32)
    for workers in (0, 2):
        data = ActionDataModule(str(tiny_set), clip=spec, batch_size=4, num_workers=workers)
        data.setup("fit")
        batch = next(iter(data.train_dataloader()))
        for name in ("video", "mask", "label"):
            assert batch[name].is_pinned(), (name, workers)
            moved = batch[name].to(device, non_blocking=True)
            torch.cuda.synchronize()
            assert torch.equal(moved.cpu(), batch[name])


def test_too_little_memory_is_one_sentence(run, device):
    if device.type != "cuda":
        pytest.skip("CUDA's allocator")
    torch.cuda.empty_cache()
    # What is held already, and a few MiB.
    share = (torch.cuda.memory_reserved() + 2**23) / torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction(share)
    try:
        more = ["--data.clip.size", "224", "--data.clip.resize", "224", "--data.batch_size", "12"]
        told = run("fit", ACTION, *more, "--trainer.max_epochs", "1", code=2)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "too little memory" in told
    assert "--data.batch_size" in told
    assert "Traceback" not in told
