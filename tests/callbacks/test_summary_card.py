import csv
import json
import shutil
import types
from functools import partial

import h5py
import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from scipy.stats import kendalltau, spearmanr
from summary_files import eccv16_video, write_groups

from videolit import cli
from videolit.callbacks import (
    DataWait,
    OracleEpoch,
    PredictionWriter,
    RunSummary,
    SummaryAudit,
    SummaryCard,
)
from videolit.callbacks.oracle import at_rest
from videolit.callbacks.summary_audit import order_result
from videolit.callbacks.summary_card import figures_table, mean_of, undefined_of
from videolit.commands.trainer import default_callbacks
from videolit.data.summary import SummaryDataModule
from videolit.data.summary_samples import collate_summaries
from videolit.encoders import IdentityEncoder
from videolit.synth.summary_features import write_feature_set
from videolit.tasks.summary import SummaryTask
from videolit.temporal import RNN, FrameMLP
from videolit.types import SummaryTruth

FEATURES = 12


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Features with what each annotator scored: 8 videos to train, 2 to validate, 3 to test."""
    path = tmp_path_factory.mktemp("stored") / "set.h5"
    sizes = {"num_train": 8, "num_val": 2, "num_test": 3}
    return write_feature_set(
        path, **sizes, seed=2, num_steps=(40, 60), num_features=FEATURES, num_users=4
    )


def data(path, **settings):
    return SummaryDataModule(str(path), **settings)


def task(temporal=None, **settings):
    temporal = temporal or partial(FrameMLP, hidden_size=16, dropout=0.3)
    return SummaryTask(IdentityEncoder(FEATURES), temporal, **settings)


def trainer(folder, **settings):
    return pl.Trainer(
        **{
            "accelerator": "cpu",
            "max_epochs": 1,
            "logger": pl.loggers.CSVLogger(folder, name="", version="run"),
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "enable_checkpointing": False,
            "log_every_n_steps": 1,
            **settings,
        }
    )


@pytest.fixture(scope="module")
def tested(stored, tmp_path_factory):
    """The folder, card and model of a test of a checkpoint."""
    folder = tmp_path_factory.mktemp("tested")
    pl.seed_everything(3, verbose=False)
    model = task()
    fit = trainer(folder, max_epochs=3, callbacks=[DataWait(), RunSummary()])
    fit.fit(model, datamodule=data(stored))
    fit.save_checkpoint(folder / "a.ckpt")
    card, audit = SummaryCard(), SummaryAudit()
    trainer(folder, callbacks=[audit, card]).test(
        model, datamodule=data(stored), ckpt_path=folder / "a.ckpt", verbose=False
    )
    return folder, card, audit, model


def scores_of(model, sample):
    with torch.no_grad():
        return model.eval().scores(torch.from_numpy(sample["video"])[None])[0].numpy()


def test_the_card_has_the_mean_of_each_annotators_correlation(tested, stored):
    folder, callback, _, model = tested
    module = data(stored)
    module.setup("test")
    taus, rhos = [], []
    for sample in module.dataset("test"):
        scores, users = scores_of(model, sample), sample["truth"].user_scores
        taus.append(np.mean([kendalltau(scores, user).statistic for user in users]))
        rhos.append(np.mean([spearmanr(scores, user).statistic for user in users]))
    (path,) = (folder / "run").glob("evaluation-*.json")
    card = json.loads(path.read_text())
    assert card == callback.card
    assert path.name == f"evaluation-set-{card['split_hash']}.json"
    assert card["metrics"]["tau"] == pytest.approx(np.mean(taus), abs=1e-5)
    assert card["metrics"]["rho"] == pytest.approx(np.mean(rhos), abs=1e-5)
    low, high = card["intervals_95"]["tau"]
    assert min(taus) - 1e-5 <= low <= np.mean(taus) <= high <= max(taus) + 1e-5
    assert card["correlation"] == ["annotators"]
    assert (card["undefined_correlations"], card["correlations"]) == (0, 12)
    assert card["num_scored"] == card["num_samples"] == 3
    assert abs(card["metrics"]["random_tau"]) < 0.1 < card["metrics"]["human_tau"]
    assert card["f1_over_random"] == card["metrics"]["f1"] / card["metrics"]["random_f1"]
    assert card["model"]["temporal"] == "FrameMLP"
    assert len(card["checkpoint_sha256"]) == 64


def test_the_table_of_videos_adds_up_to_the_card(tested):
    folder, callback, _, _ = tested
    (path,) = (folder / "run").glob("videos-*.csv")
    with path.open() as handle:
        rows = list(csv.DictReader(handle))
    assert [row["video"] for row in rows] == ["video_11", "video_12", "video_13"]
    for name in ("tau", "rho", "f1", "random_f1", "uniform_f1", "human_tau"):
        mean = np.mean([float(row[name]) for row in rows])
        assert mean == pytest.approx(callback.card["metrics"][name], abs=1e-5)
    # Annotators' scores are there, so the common score is compared with by nobody.
    assert {row["map50"] for row in rows} == {""}


def test_constant_scores_are_counted_and_warned_of(stored, tmp_path):
    model = task()
    torch.nn.init.zeros_(model.head.weight)
    callback = SummaryCard()
    with pytest.warns(UserWarning, match="12 of 12 rank correlations are undefined"):
        trainer(tmp_path, callbacks=[callback]).test(model, datamodule=data(stored), verbose=False)
    assert callback.card["metrics"]["tau"] == 0
    assert callback.card["undefined_correlations"] == 12


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (("user_scores", "user_summary", "gtscore"), (3, 3)),
        (("user_summary", "gtscore"), (1, 1)),
        (("gtscore",), (1, 1)),
        ((), (0, 0)),
    ],
)
def test_constant_scores_leave_every_correlation_of_the_protocol_undefined(known, expected):
    rng = np.random.default_rng(0)
    # No shot fits into the budget: the summary is constant too.
    truth = SummaryTruth(
        picks=np.arange(0, 60, 10),
        num_frames=60,
        shots=np.array([[0, 30], [30, 60]]),
        user_scores=rng.random((3, 6), np.float32) if "user_scores" in known else None,
        user_summary=rng.random((3, 60)) > 0.5 if "user_summary" in known else None,
        gtscore=rng.random(6, np.float32) if "gtscore" in known else None,
        reduce="mean",
    )
    assert undefined_of(np.full(6, 0.5), truth) == expected


def test_a_mean_is_of_the_videos_that_have_the_figure():
    assert mean_of([{"tau": 0.5}, {"tau": None}, {"tau": 0.1}, {}], "tau") == pytest.approx(0.3)
    assert mean_of([{"tau": None}], "tau") is None


def test_the_table_shows_what_is_known_only():
    table = figures_table({"tau": 0.2, "f1": 0.5, "random_tau": 0.0, "random_f1": 0.4}, "mine")
    cells = [list(column.cells) for column in table.columns]
    assert cells == [["mine", "random"], ["0.200", "0.000"], ["0.500", "0.400"]]


def test_shuffled_scores_of_single_steps_are_the_same_once_in_order(tested):
    _, card, audit, _ = tested
    for kind in ("shuffled", "reversed"):
        assert audit.result[kind]["tau"] == pytest.approx(card.card["metrics"]["tau"], abs=1e-6)


def test_the_audit_tells_a_model_of_order(stored, tmp_path):
    pl.seed_everything(0, verbose=False)
    model, audit = task(partial(RNN, hidden_size=8)), SummaryAudit()
    trainer(tmp_path, callbacks=[audit]).test(model, datamodule=data(stored), verbose=False)
    assert audit.result["shuffled"]["tau"] != pytest.approx(audit.result["unchanged"]["tau"])
    (path,) = (tmp_path / "run").glob("audit-set-*.json")
    assert json.loads(path.read_text()) == audit.result


@pytest.mark.parametrize(
    ("shuffled", "words"),
    [(0.1, "depends on the order"), (0.24, "for a part"), (0.3, "hardly uses the order")],
)
def test_the_audits_sentence_follows_the_loss(shuffled, words):
    means = {
        kind: {"tau": tau, "rho": 0.1, "f1": float("nan")}
        for kind, tau in (("unchanged", 0.3), ("shuffled", shuffled), ("reversed", 0.3))
    }
    result = order_result(means)
    assert words in result["sentence"]
    assert result["lost"]["shuffled"] == pytest.approx(1 - shuffled / 0.3)
    assert result["shuffled"]["f1"] is None


def test_there_is_nothing_to_audit_of_a_model_without_tau():
    means = {k: {"tau": 0.01, "rho": 0, "f1": 0} for k in ("unchanged", "shuffled", "reversed")}
    assert "nothing to audit" in order_result(means)["sentence"]


def trained(stored, folder, callbacks):
    pl.seed_everything(5, verbose=False)
    model = task(partial(RNN, hidden_size=8), dropout=0.3)
    run = trainer(folder, max_epochs=3, callbacks=callbacks)
    run.fit(model, datamodule=data(stored))
    return model, run


def test_looking_at_the_test_split_changes_no_weight(stored, tmp_path):
    oracle = OracleEpoch()
    seen, run = trained(stored, tmp_path / "a", [oracle])
    blind, _ = trained(stored, tmp_path / "b", [])
    for name, value in seen.state_dict().items():
        assert torch.equal(value, blind.state_dict()[name]), name
    assert not [name for name in run.callback_metrics if "test" in name or "oracle" in name]
    epochs = [epoch["tau"] for epoch in oracle.result["epochs"]]
    assert len(epochs) == 3
    assert oracle.result["tau"] == {"best": max(epochs), "epoch": int(np.argmax(epochs))}
    assert json.loads((tmp_path / "a" / "run" / "oracle.json").read_text()) == oracle.result
    # The last epoch's figures are those of a test of the last weights.
    (figures,) = trainer(tmp_path / "c").test(seen, datamodule=data(stored), verbose=False)
    for name in ("tau", "rho", "f1"):
        assert oracle.result["epochs"][-1][name] == pytest.approx(figures[f"test/{name}"], abs=1e-5)


def test_modes_and_random_numbers_are_as_before():
    model = task()
    model.train()
    model.head.eval()
    state = torch.random.get_rng_state()
    with at_rest(model):
        assert not any(module.training for module in model.modules())
        assert not torch.is_grad_enabled()
        torch.rand(3)
    assert model.training
    assert not model.head.training
    assert torch.equal(torch.random.get_rng_state(), state)


def test_predictions_have_the_score_of_each_frame_that_was_seen(stored, tmp_path):
    model, module = task(), data(stored, eval_batch_size=2)
    trainer(tmp_path, callbacks=[PredictionWriter(str(tmp_path))]).predict(
        model, datamodule=module, return_predictions=False
    )
    lines = (tmp_path / "predictions.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["path"] for row in rows] == ["video_11", "video_12", "video_13"]
    for row, sample in zip(rows, module.dataset("test"), strict=True):
        assert row["status"] == "ok"
        assert row["picks"] == sample["truth"].picks.tolist()
        assert row["scores"] == pytest.approx(scores_of(model, sample), abs=1e-5)
    assert not list(tmp_path.glob("*.part"))


def test_a_video_that_cannot_be_read_gets_a_row_that_says_why(stored):
    from videolit.callbacks.predictions import summary_rows

    module = data(stored)
    module.setup("predict")
    samples = list(module.dataset("predict"))[:2]
    samples[0] = {**samples[0], "error": "torn", "counts": False}
    batch = collate_summaries(samples)
    output = {**batch, "scores": torch.rand(batch["mask"].shape)}
    bad, good = summary_rows(output, batch["truth"])
    assert bad == {"index": 0, "path": "video_11", "status": "error", "error": "torn"}
    assert len(good["scores"]) == len(good["picks"])


def test_every_task_gets_callbacks_of_its_own():
    names = {type(callback).__name__ for callback in default_callbacks(task())}
    assert "SummaryCard" in names
    assert not names & {"ChanceWarning", "EvaluationCard", "TestReport"}


def arguments(verb, path, out, *more):
    return [
        *(verb, "--config", "summary/tvsum_mlp", "--data.root", str(path)),
        *("--trainer.accelerator", "cpu", "--trainer.default_root_dir", str(out)),
        *("--trainer.enable_progress_bar", "false", "--trainer.max_epochs", "1", *more),
    ]


def test_features_of_another_length_are_refused_by_both_numbers(stored, tmp_path, capsys):
    assert cli.main(arguments("fit", stored, tmp_path)) == 2
    told = capsys.readouterr().err
    assert "have 12 numbers, and the model takes 1024" in told
    assert "num_features 12" in told


def test_sanity_and_oracle_say_whom_they_are_for(stored, tmp_path, tiny_set, capsys):
    width = ("--model.encoder.init_args.num_features", "12")
    assert cli.main(arguments("fit", stored, tmp_path, "--sanity", *width)) == 2
    assert "--sanity checks action models" in capsys.readouterr().err
    assert cli.main(arguments("test", stored, tmp_path, "--oracle")) == 2
    assert "--oracle belongs to fit" in capsys.readouterr().err
    action = ["fit", "--config", "action/small_r2plus1d", "--data.root", str(tiny_set), "--oracle"]
    assert cli.main([*action, "--trainer.fast_dev_run", "1"]) == 2
    assert "--oracle compares summary models" in capsys.readouterr().err


def test_all_verbs_run_from_the_command_line(stored, tmp_path, capsys):
    width = ("--model.encoder.init_args.num_features", "12")
    assert cli.main(arguments("fit", stored, tmp_path, *width)) == 0
    told = capsys.readouterr().out
    assert "8 training and 2 validation videos" in told
    run = tmp_path / "tvsum_mlp" / "fit_0"
    # Published features: `summarize` could not make them for a new file.
    assert f"Use it:   videolit predict --config {run / 'config.yaml'} --ckpt_path" in told
    again = ["--config", str(run / "config.yaml"), "--trainer.enable_progress_bar", "false"]
    again += ["--ckpt_path", str(run / "checkpoints" / "best.ckpt")]
    assert cli.main(["validate", *again]) == 0
    assert cli.main(["predict", *again]) == 0
    assert cli.main(["test", *again, "--audit"]) == 0
    told = capsys.readouterr().out
    for words in ("people, each with the others", "evenly spread shots", "Temporal audit: "):
        assert words in told
    assert (run.parent / "predict_0" / "predictions.jsonl").is_file()


def test_summaries_of_annotators_have_a_protocol_of_their_own(tmp_path):
    path = write_groups(
        tmp_path / "eccv16_dataset_summe.h5",
        {
            f"video_{n}": eccv16_video(num_frames=600, seed=n, features=FEATURES)
            for n in range(1, 11)
        },
    )
    callback = SummaryCard()
    trainer(tmp_path, callbacks=[callback]).test(task(), datamodule=data(path), verbose=False)
    card = callback.card
    assert card["correlation"] == ["summary_vs_mean"]
    assert card["division"] == "fold 0 of 5, drawn here with seed 0"
    assert "human_tau" not in card["metrics"]
    assert card["metrics"]["human_f1"] > 0


@pytest.mark.parametrize("bad", [1, 3])
def test_videos_that_cannot_be_read_are_missing_on_the_card(stored, tmp_path, bad):
    path = tmp_path / "set.h5"
    shutil.copy(stored, path)
    shutil.copy(stored.with_name("set_splits.json"), tmp_path)
    with h5py.File(path, "a") as file:
        for number in range(bad):
            file[f"video_{11 + number}/features"][0, 0] = np.nan
    callback, module = SummaryCard(), data(path)
    with pytest.warns(UserWarning, match="cannot read video_11"):
        trainer(tmp_path, callbacks=[SummaryAudit(), callback]).test(
            task(), datamodule=module, verbose=False
        )
    assert (callback.card["num_scored"], callback.card["num_samples"]) == (3 - bad, 3)
    assert len(module.unreadable.found) == bad
    assert ("tau" in callback.card["metrics"]) == (bad < 3)


def test_advice_on_loading_is_of_what_summaries_have(stored):
    module = data(stored, num_workers=0)
    module.setup("fit")
    run = types.SimpleNamespace(datamodule=module, num_devices=1)
    told = "; ".join(DataWait()._advice(run))
    assert "--data.max_steps" in told
    assert "--data.clip" not in told
    assert "prepare" not in told
