"""Every file under configs/ is parsed, instantiated and run; a new one needs no line here."""

from pathlib import Path

import pytest
import yaml

from videolit import cli

FOLDER = Path(__file__).parent.parent / "configs"
EXPERIMENTS = sorted(FOLDER.glob("action/*.yaml"))
TRAINERS = sorted(FOLDER.glob("trainer/*.yaml"))


def run(verb, config, data, out, *more):
    """Run a verb for one batch, small and without the network."""
    text = config.read_text()
    settings = yaml.safe_load(text)["data"]["init_args"]["clip"]
    small = []
    if settings["size"] > 64:
        small = ["--data.clip.size", "64", "--data.clip.resize", "64"]
    if settings["num_frames"] > 4:
        small += ["--data.clip.num_frames", "4"]
    if "weights:" in text:
        small += ["--model.encoder.init_args.weights", "null"]
    return cli.main(
        [
            verb,
            *("--config", str(config)),
            *("--data.root", str(data)),
            *("--data.num_workers", "0"),
            *("--data.batch_size", "2"),
            *("--trainer.accelerator", "cpu"),
            *("--trainer.default_root_dir", str(out)),
            *("--trainer.fast_dev_run", "1"),
            *small,
            *more,
        ]
    )


@pytest.mark.parametrize("config", EXPERIMENTS, ids=lambda path: path.stem)
@pytest.mark.parametrize("verb", ["fit", "validate", "test", "predict"])
def test_experiment_runs(config, verb, tiny_set, tmp_path):
    assert run(verb, config, tiny_set, tmp_path) == 0


@pytest.mark.parametrize("config", EXPERIMENTS, ids=lambda path: path.stem)
def test_experiment_says_where_it_comes_from_and_what_to_expect(config):
    header = [line for line in config.read_text().splitlines() if line.startswith("#")]
    assert any("Expected" in line for line in header)
    assert any("Recipe" in line or "control" in line for line in header)


@pytest.mark.parametrize("trainer", TRAINERS, ids=lambda path: path.stem)
def test_trainer_composes_with_an_experiment(trainer, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(
            ["fit", "--config", "action/small_r2plus1d", "--config", f"trainer/{trainer.stem}"]
            + ["--print_config"]
        )
    assert stop.value.code == 0
    merged = yaml.safe_load(capsys.readouterr().out)
    added = yaml.safe_load(trainer.read_text())["trainer"]
    # What is added to a list stands at its end; some values are written out in full.
    for settings in added.pop("callbacks+", []):
        found = merged["trainer"]["callbacks"][-1]
        assert found["class_path"] == settings["class_path"]
        assert found["init_args"].items() >= settings["init_args"].items()
    assert {name: merged["trainer"][name] for name in added} == added
    assert merged["model"]["class_path"] == "videolit.ActionTask"


def test_there_is_something_to_test():
    assert len(EXPERIMENTS) >= 5
    assert len(TRAINERS) >= 4
