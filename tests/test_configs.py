"""Every file under configs/ is parsed, instantiated and run; a new one needs no line here."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from sentiment_files import write_features, write_meld_set, write_mosi_set, write_own_set
from summary_files import eccv16_video, write_groups

from videolit import cli
from videolit.data.writer import write_video

FOLDER = Path(__file__).parent.parent / "configs"
EXPERIMENTS = sorted(FOLDER.glob("action/*.yaml"))
SUMMARIES = sorted(FOLDER.glob("summary/*.yaml"))
SENTIMENTS = sorted(FOLDER.glob("sentiment/*.yaml"))
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


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """Seven videos of four seconds, and what two people said of their halves."""
    root = tmp_path_factory.mktemp("watched")
    said = {}
    for number in range(7):
        noise = np.random.default_rng(number).integers(256, size=(40, 32, 48, 3), dtype=np.uint8)
        write_video(root / f"{number}.mp4", noise, 10)
        said[f"{number}.mp4"] = {"users": {"a": [[0, 2, 1.0]], "b": [[1, 3, 0.5]]}}
    (root / "scores.json").write_text(json.dumps(said))
    return root


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Return a file of features of ten videos, of the length that is asked for."""
    root = tmp_path_factory.mktemp("stored")

    def make(length):
        path = root / f"{length}.h5"
        if not path.is_file():
            videos = {
                f"video_{n}": eccv16_video(num_frames=600, seed=n, features=length)
                for n in range(1, 11)
            }
            write_groups(path, videos)
        return path

    return make


def summary_arguments(config, watched, stored):
    """Return the data of a summary configuration, and what keeps off the network."""
    encoder = yaml.safe_load(config.read_text())["model"]["init_args"]["encoder"]
    if "num_features" in encoder["init_args"]:
        return ["--data.root", str(stored(encoder["init_args"]["num_features"]))]
    small = ["--data.clip.size", "32", "--data.clip.resize", "32", "--data.num_workers", "0"]
    return ["--data.root", str(watched), *small, "--model.encoder.init_args.weights", "null"]


@pytest.mark.parametrize("config", SUMMARIES, ids=lambda path: path.stem)
@pytest.mark.parametrize("verb", ["fit", "test"])
def test_summary_experiment_runs(config, verb, watched, stored, tmp_path):
    settings = ["--trainer.accelerator", "cpu", "--trainer.fast_dev_run", "1"]
    data = summary_arguments(config, watched, stored)
    out = ["--trainer.default_root_dir", str(tmp_path)]
    assert cli.main([verb, "--config", str(config), *data, *settings, *out]) == 0


@pytest.mark.parametrize("config", SUMMARIES, ids=lambda path: path.stem)
def test_summary_experiment_chooses_its_epoch_by_validation(config):
    callbacks = yaml.safe_load(config.read_text())["trainer"]["callbacks"]
    monitors = [c["init_args"]["monitor"] for c in callbacks if "monitor" in c["init_args"]]
    names = [c["init_args"].get("filename") for c in callbacks]
    if config.stem == "features_dsn":
        # Of videos without scores: nothing can choose.
        assert (monitors, names) == ([], ["last"])
        return
    assert set(monitors) == {"val/tau"}
    assert names[:2] == ["best", "last"]


@pytest.fixture(scope="module")
def sentiment_sets(tmp_path_factory):
    """A small set in each layout that a configuration is for."""
    root = tmp_path_factory.mktemp("sentiments")
    return {
        "meld": write_meld_set(root / "meld"),
        "mosi_raw": write_mosi_set(root / "mosi"),
        "mmsa": write_features(root / "mosi_features.pkl"),
        None: write_own_set(root / "own"),
    }


@pytest.mark.parametrize("config", SENTIMENTS, ids=lambda path: path.stem)
@pytest.mark.parametrize("verb", ["fit", "test"])
def test_sentiment_experiment_runs(config, verb, sentiment_sets, tmp_path):
    settings = yaml.safe_load(config.read_text())
    data = settings["data"]["init_args"]
    small = ["--data.num_workers", "0", "--data.batch_size", "4"]
    if "clip" in data:
        small += ["--data.clip.size", "32", "--data.clip.resize", "32"]
    if "weights" in settings["model"]["init_args"].get("encoder", {}).get("init_args", {}):
        small += ["--model.encoder.init_args.weights", "null"]
    root = ["--data.root", str(sentiment_sets[data.get("layout")])]
    run = ["--trainer.accelerator", "cpu", "--trainer.fast_dev_run", "1"]
    out = ["--trainer.default_root_dir", str(tmp_path)]
    # Of the one utterance that has words only, a voice tells nothing.
    accept = ["--allow_missing"] if verb in ("validate", "test") else []
    assert cli.main([verb, "--config", str(config), *root, *small, *run, *out, *accept]) == 0


@pytest.mark.parametrize("config", SENTIMENTS, ids=lambda path: path.stem)
def test_sentiment_experiment_chooses_its_epoch_by_validation(config):
    callbacks = yaml.safe_load(config.read_text())["trainer"]["callbacks"]
    monitors = {
        c["init_args"]["monitor"]: c["init_args"]["mode"]
        for c in callbacks
        if "monitor" in c["init_args"]
    }
    expected = {"val/weighted_f1": "max", "val/uar": "max", "val/mae": "min", "val/ccc": "max"}
    assert len(monitors) == 1
    assert monitors.items() <= expected.items()
    names = [c["init_args"].get("filename") for c in callbacks]
    assert names[:2] == ["best", "last"]


@pytest.mark.parametrize("config", EXPERIMENTS + SUMMARIES + SENTIMENTS, ids=lambda path: path.stem)
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
    assert len(SUMMARIES) >= 10
    assert len(SENTIMENTS) >= 7
    assert len(TRAINERS) >= 4
