"""Commands beside training on a CUDA device: predict, long videos, summaries, features, figures."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from videolit import cli, predict
from videolit.data.sound_writer import write_video_with_sound

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(150),
    # What runs warn of (chance, waiting for data) depends on the machine.
    pytest.mark.filterwarnings(r"default:::videolit(\.|$)"),
]

RATE = 16_000


@pytest.fixture(scope="module")
def trained(device, tiny_set, tmp_path_factory):
    """A checkpoint of an action model that was trained on the device."""
    out = tmp_path_factory.mktemp("trained")
    words = [
        *("fit", "--config", "action/small_cnn_rnn", "--data.root", str(tiny_set)),
        *("--model.encoder.init_args.width", "4", "--data.clip.num_frames", "4"),
        *("--data.clip.size", "32", "--data.clip.resize", "32", "--data.num_workers", "0"),
        *("--trainer.max_epochs", "2", "--trainer.default_root_dir", str(out)),
        *("--trainer.accelerator", "gpu" if device.type == "cuda" else "cpu"),
        *("--trainer.precision", "bf16-mixed", "--trainer.enable_progress_bar", "false"),
    ]
    assert cli.main(words) == 0
    return out / "small_cnn_rnn" / "fit_0" / "checkpoints" / "last.ckpt"


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Four scenes of twenty seconds with sound."""
    frames = []
    for number in range(4):
        tiles = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
        scene = np.repeat(tiles.repeat(12, 0).repeat(16, 1)[None], 50, 0)
        for place in range(50):
            scene[place, 16:24, 3 * place % 60 : 3 * place % 60 + 4] = 255
        frames.append(scene)
    sound = 0.3 * np.sin(2 * np.pi * 300 * np.arange(20 * RATE) / RATE)
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    return write_video_with_sound(path, np.concatenate(frames), 10, sound.astype(np.float32), RATE)


def test_predictions_are_those_of_the_cpu(trained, tiny_set, accelerator):
    here, there = (
        predict(trained, tiny_set, num_workers=0, accelerator=kind) for kind in ("cpu", accelerator)
    )
    assert len(here) == 18
    for one, two in zip(here, there, strict=True):
        assert two["path"] == one["path"]
        assert two["probabilities"] == pytest.approx(one["probabilities"], abs=1e-4)


def test_actions_of_a_long_video_are_those_of_the_cpu(trained, long, accelerator, tmp_path):
    found = {}
    for kind in ("cpu", accelerator):
        out = tmp_path / kind
        words = ["predict", "--ckpt_path", str(trained), str(long), "--window", "2", "--hop", "1"]
        assert cli.main([*words, "--accelerator", kind, "--output", str(out)]) == 0
        found[kind] = json.loads(next(out.rglob("*.json")).read_text())
    one, two = (found[kind]["windows"] for kind in ("cpu", accelerator))
    assert len(one["start"]) > 10
    assert two["start"] == one["start"]
    for name, chances in one["probabilities"].items():
        assert two["probabilities"][name] == pytest.approx(chances, abs=1e-4)


@pytest.mark.parametrize(
    "model",
    [
        [],
        ["--encoder", "TorchvisionFrameEncoder", "--encoder_args", '{"name": "resnet18"}'],
        ["--encoder", "SmallFrameEncoder"],
    ],
    ids=["plain", "resnet18", "small"],
)
def test_a_summary_without_training_is_that_of_the_cpu(model, long, accelerator, tmp_path):
    if "resnet18" in str(model):
        model = [*model[:3], '{"name": "resnet18", "weights": null}']
    shots = {}
    for kind in ("cpu", accelerator):
        # Encoders of random weights are drawn anew.
        torch.manual_seed(0)
        words = ["summarize", str(long), "--out", str(tmp_path / kind), "--ratio", "0.4", *model]
        assert cli.main([*words, "--accelerator", kind, "--no-video"]) == 0
        found = json.loads((tmp_path / kind / "summary.json").read_text())
        shots[kind] = found["segments"]
    for one, two in zip(shots["cpu"], shots[accelerator], strict=True):
        assert (one["start_frame"], one["end_frame"]) == (two["start_frame"], two["end_frame"])
        assert two["score"] == pytest.approx(one["score"], abs=1e-2)


def test_features_train_a_summary_model_that_summarizes(long, accelerator, tmp_path):
    root = tmp_path / "videos"
    said = {}
    for number in range(5):
        root.mkdir(exist_ok=True)
        (root / f"{number}.mp4").write_bytes(long.read_bytes())
        said[f"{number}.mp4"] = {"users": {"a": [[0, 5, 1.0]], "b": [[3, 9, 0.5 + 0.1 * number]]}}
    (root / "scores.json").write_text(json.dumps(said))
    file = tmp_path / "features.h5"
    stored = ["features", str(root), "--out", str(file), "--accelerator", accelerator]
    assert cli.main(stored) == 0
    words = [
        *("fit", "--config", "summary/features_transformer", "--data.root", str(file)),
        *("--trainer.max_epochs", "2", "--trainer.default_root_dir", str(tmp_path)),
        *("--trainer.accelerator", accelerator, "--trainer.enable_progress_bar", "false"),
    ]
    assert cli.main(words) == 0
    path = tmp_path / "features_transformer" / "fit_0" / "checkpoints" / "last.ckpt"
    scores = {}
    for kind in ("cpu", accelerator):
        words = ["summarize", str(long), "--ckpt_path", str(path), "--out", str(tmp_path / kind)]
        assert cli.main([*words, "--accelerator", kind]) == 0
        found = json.loads((tmp_path / kind / "summary.json").read_text())
        scores[kind] = [segment["score"] for segment in found["segments"]]
    assert scores[accelerator] == pytest.approx(scores["cpu"], abs=1e-3)


def test_the_doctor_names_the_gpu(device, capsys):
    code = cli.main(["doctor"])
    told = " ".join(capsys.readouterr().out.split())
    assert code == 0, told
    if device.type == "cuda":
        assert torch.cuda.get_device_name().split()[-1] in told
        assert "GPU 0" in told


def bench(what, tmp_path, tiny_set, accelerator, *more):
    out = tmp_path / "figures.json"
    words = ["bench", what, "--config", "action/small_cnn_rnn", "--data.root", str(tiny_set)]
    words += ["--seconds", "0.2", "--json", str(out), "--trainer.accelerator", accelerator]
    words += ["--trainer.devices", "1", "--data.batch_size", "4", *more]
    assert cli.main(words) == 0
    return json.loads(out.read_text())


def test_bench_of_a_model(tiny_set, accelerator, device, tmp_path):
    found = bench("model", tmp_path, tiny_set, accelerator)
    expected = {"32-true", "bf16-mixed"} | ({"16-mixed"} if device.type == "cuda" else set())
    assert set(found["rows"]) == expected
    assert all(value > 0 for row in found["rows"].values() for value in row.values())
    if device.type == "cuda":
        assert found["device"] == torch.cuda.get_device_name()


def test_bench_of_loading_and_training(tiny_set, accelerator, device, tmp_path):
    found = bench("data", tmp_path, tiny_set, accelerator, "--max_workers", "2")
    assert all(rate > 0 for rate in found["rates"].values())
    found = bench("train", tmp_path, tiny_set, accelerator, "--steps", "8")
    assert found["devices"] == f"1 × {device.type}"
    assert found["steps_per_second"] > 0


def test_bench_of_encoders(accelerator, device, tmp_path, capsys):
    out = tmp_path / "costs.json"
    names = ["small_clip", "resnet18", "x3d_xs"]
    words = ["bench", "encoders", "--only", *names, "--accelerator", accelerator]
    assert cli.main([*words, "--seconds", "0.1", "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert list(found["encoders"]) == names
    for row in found["encoders"].values():
        for kind in ("latency", "latency_bf16"):
            assert all(value > 0 for value in row[kind].values())
        assert row["memory_mb"] > 0
    told = " ".join(capsys.readouterr().out.split())
    if device.type == "cuda":
        assert torch.cuda.get_device_name() in found["machine"]
        assert torch.cuda.get_device_name() in told
        assert set(found["encoders"]["x3d_xs"]["latency"]) == {"gpu"}
    assert found["encoders"]["x3d_xs"]["gflops"] == pytest.approx(0.6, rel=0.02)
