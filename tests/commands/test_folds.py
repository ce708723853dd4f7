import csv
import json
import statistics

import pytest
from summary_files import eccv16_video, write_groups

from videolit import cli
from videolit.commands.folds_table import fold_figures, results_table

WIDTH = 6


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Eight videos without a division."""
    path = tmp_path_factory.mktemp("stored") / "eccv16_dataset_tvsum.h5"
    videos = {
        f"video_{n}": eccv16_video(num_frames=450, seed=n, features=WIDTH) for n in range(1, 9)
    }
    return write_groups(path, videos)


def arguments(stored, out, *more):
    return [
        *("folds", "--config", "summary/tvsum_mlp", "--data.root", str(stored), "--out", str(out)),
        *("--model.encoder.init_args.num_features", str(WIDTH), "--trainer.accelerator", "cpu"),
        *("--trainer.max_epochs", "2", "--model.temporal.init_args.hidden_size", "8", *more),
    ]


@pytest.fixture(scope="module")
def done(stored, tmp_path_factory):
    out = tmp_path_factory.mktemp("folds") / "out"
    more = ("--folds", "2", "--seeds", "2", "--oracle")
    assert cli.main(arguments(stored, out, *more)) == 0
    return out, more


def test_every_fold_is_tested_once_by_each_seed(done):
    out, _ = done
    told = json.loads((out / "folds.json").read_text())
    tested = {}
    for run in told["runs"]:
        result = json.loads(
            (out / f"fold-{run['fold']}-seed-{run['seed']}/result.json").read_text()
        )
        tested.setdefault(run["seed"], []).extend(v["video"] for v in result["videos"])
        assert result["card"]["num_seen_in_training"] == 0
    assert sorted(tested) == [0, 1]
    for videos in tested.values():
        assert sorted(videos) == [f"video_{n}" for n in range(1, 9)]


def test_the_files_agree_with_each_other_and_the_trainings(done):
    out, _ = done
    told = json.loads((out / "folds.json").read_text())
    with (out / "folds.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    for name in ("tau", "rho", "f1"):
        seeds = [
            statistics.fmean(float(row[name]) for row in rows if row["seed"] == seed)
            for seed in ("0", "1")
        ]
        figure = told["figures"]["over_folds"][name]
        assert figure["mean"] == pytest.approx(statistics.fmean(seeds), abs=1e-4)
        assert figure["std"] == pytest.approx(statistics.stdev(seeds), abs=1e-4)
        for row in rows:
            # The chosen epoch is one of those that the oracle chooses from.
            assert float(row[f"oracle_{name}"]) >= float(row[name]) - 1e-4
    assert told["monitor"] == "val/tau"
    assert told["figures"]["random"]["f1"]["std"] is None
    assert all(run["checkpoint"].endswith("best.ckpt") for run in told["runs"])


def test_what_is_done_is_not_done_again_and_the_rest_comes_out_the_same(done, stored, capsys):
    out, more = done
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/result.json")}
    lost = out / "fold-1-seed-1" / "result.json"
    kept = json.loads(lost.read_text())
    lost.unlink()
    assert cli.main(arguments(stored, out, *more)) == 0
    told = capsys.readouterr().out
    assert told.count("done before") == 3
    for name in ("model, mean over folds", "best test epoch (not honest)", "people", "random"):
        assert name in told
    for path, time in before.items():
        assert (path.stat().st_mtime_ns == time) == (path != lost)
    # Nothing of the trainings before it has an effect on the one that is repeated.
    assert json.loads(lost.read_text())["videos"] == kept["videos"]


def test_other_settings_need_another_folder(done, stored, capsys):
    out, more = done
    assert cli.main(arguments(stored, out, *more, "--data.batch_size", "2")) == 2
    assert "trainings of other settings" in capsys.readouterr().err


def test_a_split_file_has_as_many_folds_as_splits(stored, tmp_path):
    names = [f"video_{n}" for n in range(1, 9)]
    splits = [{"train_keys": names[2:], "test_keys": names[:2]}]
    (tmp_path / "splits.json").write_text(json.dumps(splits))
    more = ("--seeds", "1", "--data.split_file", str(tmp_path / "splits.json"))
    with pytest.warns(UserWarning, match="no cross-validation"):
        assert cli.main(arguments(stored, tmp_path / "out", *more)) == 0
    told = json.loads((tmp_path / "out" / "folds.json").read_text())
    assert told["num_folds"] == 1
    assert [run["division"] for run in told["runs"]] == ["splits.json, split 0"]
    assert told["figures"]["over_folds"]["tau"]["std"] is None
    assert "oracle" not in told["figures"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--data.fold", "1"), "all folds are trained"),
        (("--ckpt_path=a.ckpt",), "every training starts anew"),
        (("--seeds", "0"), "--seeds must be at least 1"),
        (("--folds", "99"), "num_folds must be 2 to 8"),
        (("--trainer.callbacks", "null"), "must have monitor val/tau"),
    ],
)
def test_what_folds_cannot_use_is_refused_before_training(stored, tmp_path, capsys, more, words):
    assert cli.main(arguments(stored, tmp_path / "out", *more)) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_folds_of_data_that_is_divided_already_are_refused(stored, tmp_path, capsys):
    (tmp_path / "set.h5").write_bytes(stored.read_bytes())
    names = [f"video_{n}" for n in range(1, 9)]
    parts = {"train_keys": names[:4], "val_keys": names[4:6], "test_keys": names[6:]}
    (tmp_path / "set_splits.json").write_text(json.dumps(parts))
    assert cli.main(arguments(tmp_path / "set.h5", tmp_path / "out", "--folds", "3")) == 2
    assert "divided already, into 1 fold: leave --folds out" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_action_models_have_no_folds(tmp_path, capsys):
    out = ["--out", str(tmp_path / "out")]
    assert cli.main(["folds", "--config", "action/small_r2plus1d", *out]) == 2
    assert "folds trains summary models" in capsys.readouterr().err


def run(fold, seed, taus, oracle=None):
    videos = [{"tau": tau, "random_tau": 0.0, "human_f1": 0.5} for tau in taus]
    return {"fold": fold, "seed": seed, "videos": videos, "oracle": oracle}


def test_means_over_folds_weigh_folds_and_means_over_videos_weigh_videos():
    runs = [
        run(0, 0, [0.1, 0.2, 0.3], {"tau": {"best": 0.4, "epoch": 1}}),
        run(1, 0, [0.6], {"tau": {"best": 0.8, "epoch": 0}}),
        run(0, 1, [0.2, None, 0.4], {"tau": {"best": 0.5, "epoch": 1}}),
        run(1, 1, [0.5], {"tau": {"best": 0.5, "epoch": 1}}),
    ]
    found = fold_figures(runs)
    assert found["over_folds"]["tau"]["mean"] == pytest.approx((0.4 + 0.4) / 2)
    assert found["over_folds"]["tau"]["std"] == pytest.approx(0)
    by_seed = [1.2 / 4, 1.1 / 3]
    assert found["over_videos"]["tau"]["mean"] == pytest.approx(statistics.fmean(by_seed))
    assert found["over_videos"]["tau"]["std"] == pytest.approx(statistics.stdev(by_seed))
    assert found["oracle"]["tau"]["mean"] == pytest.approx((0.6 + 0.5) / 2)
    assert found["random"]["tau"] == {"mean": 0.0, "std": None}
    assert found["human"] == {"f1": {"mean": 0.5, "std": None}}
    assert "uniform" not in found
    assert [len(list(column.cells)) for column in results_table(found).columns] == [5] * 4
