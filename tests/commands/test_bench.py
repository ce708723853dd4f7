"""``videolit bench`` as a user meets it."""

import json

import pytest
import torch

from videolit import ActionTask, ClipSpec, cli
from videolit.commands.bench_data import AUGMENTING, BATCHING, READING, DataFigures
from videolit.commands.bench_model import measure_model
from videolit.encoders import IdentityEncoder, SmallFrameEncoder


def bench(what, tmp_path, *options):
    out = tmp_path / "figures.json"
    common = ["--config", "action/small_cnn_rnn", "--data.clip.num_frames", "4"]
    common += ["--model.encoder.init_args.width", "4", "--trainer.accelerator", "cpu"]
    code = cli.main(["bench", what, "--seconds", "0.05", "--json", str(out), *common, *options])
    assert code == 0
    return json.loads(out.read_text())


def test_data(tiny_set, tmp_path, capsys):
    found = bench("data", tmp_path, "--data.root", str(tiny_set), "--max_workers", "1")
    assert set(found["stages"]) == {READING, AUGMENTING, BATCHING}
    assert all(seconds > 0 for seconds in found["stages"].values())
    assert set(found["rates"]) == {"0", "1"}
    assert all(rate > 0 for rate in found["rates"].values())
    assert found["clip_bytes"] == 4 * 3 * 64 * 64
    told = " ".join(capsys.readouterr().out.split())
    assert "Slowest: " in told
    assert found["advice"] in told
    assert "decoder auto" in told


def test_model(tmp_path, capsys):
    found = bench("model", tmp_path)
    assert found["device"] == "cpu"
    assert set(found["rows"]) == {"32-true", "bf16-mixed"}
    for row in found["rows"].values():
        assert all(value > 0 for value in row.values())
    assert "GFLOPs a clip" in " ".join(capsys.readouterr().out.split())


def test_train_leaves_nothing_behind(tiny_set, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    found = bench("train", tmp_path, "--data.root", str(tiny_set), "--data.batch_size", "1",
                  "--data.num_workers", "0", "--steps", "12")  # fmt: skip
    assert found["steps"] == 12
    assert found["steps_per_second"] > 0
    assert found["clips_per_second"] == pytest.approx(found["steps_per_second"])
    assert 0 < found["data_wait"] < 1
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"]
    assert "waiting for data" in " ".join(capsys.readouterr().out.split())


def test_flops_and_parameters_are_those_of_the_layers():
    """One layer of 6 × 5 on 4 frames, after an encoder without any."""
    import lightning.pytorch as pl

    class Flat(IdentityEncoder):
        def encode(self, video, mask):
            return video.float().flatten(3).mean(-1).repeat(1, 1, 2), mask

        forward = SmallFrameEncoder.forward

    task = ActionTask(Flat(num_features=6))
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    spec = ClipSpec(num_frames=4, size=16, resize=16)
    found = measure_model(task, list("abcde"), spec, 3, trainer, seconds=0.01)
    assert found.parameters == 6 * 5 + 5
    assert found.flops == 2 * 6 * 5
    assert found.batch_size == 3
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("slowest", "is_prepared", "said"),
    [
        (READING, False, "videolit prepare my_videos"),
        (READING, True, "--short-side"),
        (AUGMENTING, True, "--data.train_transform"),
        (BATCHING, True, "--data.clip.size"),
    ],
)
def test_the_advice_fits_the_slowest_stage(slowest, is_prepared, said):
    stages = {name: 3.0 if name == slowest else 1.0 for name in (READING, AUGMENTING, BATCHING)}
    figures = DataFigures(
        samples=1,
        protocol="",
        source="",
        is_prepared=is_prepared,
        root="my_videos",
        batch_size=1,
        clip_bytes=1,
        stages=stages,
        rates={0: 1.0, 2: 5.0, 4: 3.0},
    )
    assert figures.advice().startswith(f"Slowest: {slowest}, 60% of the time.")
    assert said in figures.advice()
    assert "--data.num_workers 2" in figures.advice()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data"], "bench needs --config"),
        (["data", "--config", "action/small_cnn_rnn"], "no data: give the folder"),
        (["data", "--config", "nothing"], "no such file"),
        (["train", "--config", "action/small_cnn_rnn", "--steps", "0"], "--steps must be above 0"),
    ],
)
def test_mistakes(words, message, capsys):
    assert cli.main(["bench", *words]) == 2
    assert message in capsys.readouterr().err


def test_encoders(tmp_path, capsys):
    out = tmp_path / "costs.json"
    names = ["small_clip", "x3d_xs"]
    arguments = ["--only", *names, "--threads", "1", "--seconds", "0.01", "--json", str(out)]
    assert cli.main(["bench", "encoders", *arguments, "--accelerator", "cpu"]) == 0
    found = json.loads(out.read_text())["encoders"]
    assert list(found) == names
    # Published: 0.60 G and, without the classifier, 2.9 M.
    assert found["x3d_xs"]["gflops"] == pytest.approx(0.6, rel=0.02)
    assert found["x3d_xs"]["parameters"] == pytest.approx(2.97e6, rel=0.02)
    for row in found.values():
        assert row["latency"]["1"] > 0
        assert row["latency_bf16"]["1"] > 0
        assert 0 < row["memory_mb"] < 2000
    assert "x3d_xs" in capsys.readouterr().out


def test_an_encoder_that_takes_too_long_is_a_row_that_says_so(capsys):
    arguments = ["--only", "small_frame", "--limit", "0.1", "--accelerator", "cpu"]
    assert cli.main(["bench", "encoders", *arguments]) == 1
    assert "not done after 0.1 s" in capsys.readouterr().out
    assert cli.main(["bench", "encoders", "--only", "resnet"]) == 2
    assert "unknown encoder 'resnet'; known: small_frame" in capsys.readouterr().err


def test_a_gpu_that_is_not_there_is_told(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cli.main(["bench", "encoders", "--only", "small_frame", "--accelerator", "gpu"]) == 2
    assert "there is no CUDA device here (videolit doctor says why)" in capsys.readouterr().err


def test_every_encoder_of_the_table_can_be_built():
    import videolit.encoders
    from videolit.commands.bench_encoders import ENCODERS

    for entry in ENCODERS.values():
        with torch.device("meta"):
            encoder = getattr(videolit.encoders, entry.kind)(**entry.arguments)
        low, high = encoder.num_frames
        assert low <= entry.num_frames <= (high or entry.num_frames)
        low, high = encoder.size
        assert low <= entry.size <= (high or entry.size)
