"""The audit of missing input, on a model whose answer to anything is known."""

from __future__ import annotations

import functools
import json
import pickle

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
import yaml
from sentiment_files import write_features, write_own_set
from torch import nn

from videolit import cli
from videolit.callbacks import SentimentAudit, SentimentCard
from videolit.callbacks.robustness import RATES, Variant, robustness_tables, variants_of
from videolit.callbacks.sentiment_audit import answers_of
from videolit.callbacks.sentiment_card import print_whole
from videolit.data.sentiment import SentimentDataModule
from videolit.encoders import IdentityEncoder, SmallFrameEncoder, SoundEncoder, TextEncoder
from videolit.fusion import (
    BottleneckFusion,
    CrossmodalFusion,
    EarlyFusion,
    Fusion,
    LateFusion,
    TensorFusion,
)
from videolit.ops.modality import subsets
from videolit.tasks.sentiment import SentimentTask
from videolit.tasks.sentiment_streams import streams_of
from videolit.types import ClipSpec

ALL = ("video", "sound", "text")
KEYS = {"video": "vision", "sound": "audio", "text": "text"}
WIDTHS = {"video": 20, "sound": 5, "text": 768}
TEST = 60
STEPS = 12
# What each modality adds to the score of each test sample.
VALUES = {
    "video": np.where(np.arange(TEST) % 2, 0.5, -0.5),
    "sound": np.full(TEST, 1.0),
    "text": np.where(np.arange(TEST) % 3, 0.25, -1.0),
}
TRUTH = sum(VALUES.values())


class Sum(Fusion):
    """The first number of all steps, averaged over the steps and added up over the modalities."""

    def __init__(self, in_features, num_features=4, modality_dropout=0.0, dropout=0.0):
        super().__init__(in_features, num_features, modality_dropout, dropout)
        for layer in self.enter:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
            layer.weight.data[0, 0] = 1

    def fuse(self, steps, parts, kept):
        means = [
            stream.features.sum(1) / stream.mask.sum(1, keepdim=True) * kept[:, [place]]
            for place, stream in enumerate(steps)
        ]
        return sum(means), kept / kept.sum(1, keepdim=True)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Features whose first number is their part of the score."""
    path = write_features(tmp_path_factory.mktemp("stored") / "mosi.pkl")
    content = pickle.loads(path.read_bytes())
    part = content["test"]
    part["id"] = [f"t{i // 2}$_${i}" for i in range(TEST)]
    part["raw_text"] = [f"words {i}" for i in range(TEST)]
    part["annotations"] = ["Positive"] * TEST
    part["regression_labels"] = TRUTH
    part["audio_lengths"] = part["vision_lengths"] = [STEPS] * TEST
    for name, width in WIDTHS.items():
        array = np.zeros((TEST, STEPS, width), np.float32)
        array[:, :, 0] = VALUES[name][:, None]
        part[KEYS[name]] = array
    path.write_bytes(pickle.dumps(content, 4))
    return path


def has_of(name):
    """Which samples have a modality."""
    return np.arange(TEST) >= {"video": 1, "sound": 4, "text": 0}[name]


class Lacking(SentimentDataModule):
    """The first sample has no video, the first four have no sound: files of features have all."""

    def on_after_batch_transfer(self, batch, dataloader_idx):
        for name in self.given_modalities:
            batch[f"{name}_mask"] &= torch.from_numpy(has_of(name))[batch["index"], None]
        return batch


def make_task(names=ALL, fusion=Sum):
    """A task that adds up what it is shown."""
    parts = {"encoder" if n == "video" else n: IdentityEncoder(WIDTHS[n]) for n in names}
    task = SentimentTask(**parts, fusion=fusion)
    task.convention, task.targets, task.score_range = "mosi", {"score": 1.0}, (-3.0, 3.0)
    task._build()
    task.constants = {"mean": [0.5], "median": [0.5]}
    if task.head is not None:
        nn.init.zeros_(task.head.weight)
        nn.init.zeros_(task.head.bias)
        task.head.weight.data[0, 0] = 1 / 3
    return task


def audited(folder, path, task=None, precision="32-true", kind=Lacking, **settings):
    """Return the audit and the card of a test."""
    settings = {"batch_size": 16, "num_workers": 0} | settings
    audit, card = SentimentAudit(), SentimentCard()
    trainer = pl.Trainer(
        accelerator="cpu",
        precision=precision,
        logger=pl.loggers.CSVLogger(folder, name="", version="run"),
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        callbacks=[audit, card],
    )
    data = kind(str(path), **settings)
    trainer.test(task or make_task(), datamodule=data, verbose=False)
    return audit, card


@pytest.fixture(scope="module")
def tested(stored, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tested")
    return folder, *audited(folder, stored)


def answer_of(shown):
    return sum(VALUES[name] * has_of(name) for name in shown)


def test_each_subset_has_its_exact_figures(tested):
    _, audit, _ = tested
    found = {tuple(row["modalities"]): row for row in audit.result["subsets"]}
    assert list(found) == subsets(ALL)
    for shown, row in found.items():
        kept = np.any([has_of(name) for name in shown], axis=0)
        assert (row["samples"], row["without"]) == (kept.sum(), (~kept).sum())
        said, true = answer_of(shown)[kept], TRUTH[kept]
        assert row["figures"]["mae"] == pytest.approx(np.abs(said - true).mean(), abs=1e-5)
        right = ((said >= 0) == (true >= 0)).mean()
        assert row["figures"]["acc2_has0"] == pytest.approx(right)
        # A constant answers the same samples.
        assert row["baseline"]["mae"] == pytest.approx(np.abs(0.5 - true).mean(), abs=1e-5)
    assert [row["without"] for row in found.values()] == [1, 4, 0, 1, 0, 0, 0]


def test_all_modalities_are_what_the_card_says(tested):
    _, audit, card = tested
    whole = audit.result["subsets"][-1]["figures"]
    for name in ("mae", "corr", "acc2_non0"):
        assert whole[name] == pytest.approx(card.card["metrics"][name], abs=1e-6)
    assert audit.result["targets"]["score"]["figure"] == "mae"
    assert not audit.result["targets"]["score"]["rises"]


def test_lost_steps_cost_what_they_said(tested):
    _, audit, _ = tested
    for name in ALL:
        curve = audit.result["dropping"][name]
        assert [point["rate"] for point in curve] == [0.0, *RATES]
        shares = np.array([point["share_lost"] for point in curve[1:]])
        # One of the steps stays: without it the greatest rate would take them all now and then.
        assert shares == pytest.approx(RATES, abs=0.035)
        assert (np.diff(shares) > 0).all()
        errors = [point["figures"]["mae"] for point in curve]
        assert errors[0] == pytest.approx(np.abs(answer_of(ALL) - TRUTH).mean(), abs=1e-6)
        assert {point["samples"] for point in curve} == {TEST}
    # The sound says 1 each time: what is lost of it is the error, beside the samples without any.
    sound = audit.result["dropping"]["sound"]
    rest = np.abs(answer_of(ALL) - TRUTH)[:4].sum()
    for point in sound[1:]:
        expected = (rest + point["share_lost"] * (TEST - 4)) / TEST
        assert point["figures"]["mae"] == pytest.approx(expected, abs=1e-5)
    assert audit.result["mean_over_rates"]["sound"]["mae"] == pytest.approx(
        np.mean([point["figures"]["mae"] for point in sound])
    )


def test_with_all_losing_steps_the_last_ones_still_answer(tested):
    _, audit, _ = tested
    together = audit.result["dropping"]["together"]
    assert together[-1]["samples"] == TEST
    errors = [point["figures"]["mae"] for point in together]
    alone = audit.result["dropping"]["sound"]
    assert errors[5] > alone[5]["figures"]["mae"]
    assert errors[-1] < audit.result["subsets"][0]["figures"]["mae"] + 1.5


def test_the_numbers_do_not_depend_on_the_batches(tested, stored, tmp_path):
    _, audit, _ = tested
    again, _ = audited(tmp_path, stored, batch_size=7)
    for one, two in zip(_numbers(audit.result), _numbers(again.result), strict=True):
        assert one == pytest.approx(two, abs=1e-6)


def _numbers(part):
    """All numbers of a result, in order."""
    if isinstance(part, dict):
        return [n for value in part.values() for n in _numbers(value)]
    if isinstance(part, list):
        return [n for value in part for n in _numbers(value)]
    return [part] if isinstance(part, float | int) else []


def test_card_and_audit_hold_all_numbers_and_the_protocol(tested):
    folder, audit, _ = tested
    (path,) = (folder / "run").glob("audit-*.json")
    (card,) = (folder / "run").glob("evaluation-*.json")
    assert json.loads(path.read_text()) == audit.result
    assert json.loads(card.read_text())["robustness"] == audit.result
    assert "50 ms" in audit.result["protocol"]["dropping"]
    assert path.with_suffix(".png").exists()
    assert not list((folder / "run").glob("*.part"))


def test_the_tables_fit_the_terminal_and_say_what_counts(stored, tmp_path, capsys):
    audited(tmp_path, stored)
    shown = capsys.readouterr().out
    place, end = shown.index("only it"), shown.index("Only it:")
    tables = shown[place:end].splitlines()
    assert max(map(len, tables)) <= 80
    assert "…" not in "".join(tables)
    split = next(number for number, line in enumerate(tables) if line.startswith("steps lost"))
    rows, lost = (
        {line.split()[0]: line.split()[1:] for line in part if line.strip()}
        for part in (tables[:split], tables[split:])
    )
    assert len(lost["sound"]) == len(RATES)
    kept = has_of("sound")
    expected = np.abs(VALUES["sound"] - TRUTH)[kept].mean()
    without = np.abs(answer_of(("video", "text")) - TRUTH).mean()
    assert rows["sound"] == [f"{expected:.3f}", f"{without:.3f}"]
    assert rows["together"][1] == "–"
    assert len(rows["constant"]) == 1
    assert "not the modality's own head" in shown
    assert "Of 60 samples are not counted in such a row: 1 without video, 4 without sound" in shown
    assert "without sound, the one most missed" in shown


def test_a_model_that_answers_always_the_same_misses_nothing(stored, tmp_path):
    task = make_task()
    nn.init.zeros_(task.head.weight)
    audit, _ = audited(tmp_path, stored, task)
    assert "and hardly worse without any one of them" in audit.result["sentence"]
    assert "missed" not in audit.result["sentence"]


@pytest.mark.parametrize("scale", [1, -1, 1000])
def test_no_figure_of_the_tables_is_cut(scale, stored, tmp_path, capsys, monkeypatch):
    audit, _ = audited(tmp_path, stored)
    result = audit.result
    for point in [*result["subsets"], *(p for c in result["dropping"].values() for p in c)]:
        point["figures"] = {name: 0.1234 * scale for name in point["figures"]}
    monkeypatch.setenv("COLUMNS", "60")
    capsys.readouterr()
    for table in robustness_tables(result):
        print_whole(table)
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert shown.count(f"{0.1234 * scale:.3f}") == 4 * len(RATES) + 7


@pytest.mark.parametrize("name", ALL)
def test_a_model_of_one_modality_has_one_subset(name, stored, tmp_path):
    more = {"modalities": [name], "kind": SentimentDataModule}
    audit, _ = audited(tmp_path, stored, make_task((name,)), **more)
    (row,) = audit.result["subsets"]
    assert row["modalities"] == [name]
    assert row["samples"] == TEST
    assert list(audit.result["dropping"]) == [name]
    assert "missed" not in audit.result["sentence"]
    assert [table.row_count for table in robustness_tables(audit.result)] == [3, 2]


def test_data_that_lacks_a_modality_of_the_model_is_told(stored, tmp_path):
    audit, _ = audited(tmp_path, stored, modalities=["video", "text"])
    found = {tuple(row["modalities"]): row for row in audit.result["subsets"]}
    nothing = {"samples": 0, "without": TEST, "figures": {}, "baseline": {}}
    assert found[("sound",)] == {"modalities": ["sound"], **nothing}
    assert found[("video", "sound")]["figures"] == found[("video",)]["figures"]
    assert audit.result["dropping"]["sound"][5]["share_lost"] is None


def test_in_half_precision_the_figures_are_nearly_the_same(tested, stored, tmp_path):
    _, audit, _ = tested
    half, card = audited(tmp_path, stored, precision="bf16-mixed")
    whole = half.result["subsets"][-1]["figures"]["mae"]
    assert whole == pytest.approx(card.card["metrics"]["mae"], abs=1e-6)
    for one, two in zip(audit.result["subsets"], half.result["subsets"], strict=True):
        assert one["figures"]["mae"] == pytest.approx(two["figures"]["mae"], abs=0.02)


def test_variants_of_three_modalities():
    found = variants_of(ALL)
    assert len(found) == 7 + 4 * 9
    assert len(set(found)) == len(found)
    assert Variant(ALL) in found
    assert Variant(ALL, ALL, 0.9) in found
    assert len(variants_of(("text",))) == 1 + 9


def own_task(fusion=BottleneckFusion):
    """A small model of raw files."""
    torch.manual_seed(0)
    return SentimentTask(
        SmallFrameEncoder(width=8),
        sound=SoundEncoder(hidden_size=16, num_layers=1, num_heads=2, num_mels=16),
        text=TextEncoder(300, hidden_size=16),
        fusion=functools.partial(fusion, num_features=16),
        targets={"classes": 1.0, "affect": 1.0},
        steps_per_clip=4,
    )


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    return write_own_set(tmp_path_factory.mktemp("own"), speakers=6)


OWN = {
    "clip": ClipSpec(sampling="whole", num_frames=8, fps=10, size=16, resize=20),
    "fold": 0,
    "num_folds": 2,
    "min_count": 1,
}


@pytest.mark.parametrize(
    "kind", [BottleneckFusion, CrossmodalFusion, EarlyFusion, LateFusion, TensorFusion]
)
def test_a_modality_taken_away_is_one_that_the_data_lacks(kind, own):
    data = SentimentDataModule(str(own), batch_size=6, num_workers=0, **OWN)
    data.setup("test")
    task = own_task(kind)
    task._meet(data)
    task._build()
    task.eval()
    batch = next(iter(data.test_dataloader()))
    with torch.no_grad():
        streams = streams_of(task, batch)
        for shown in subsets(ALL):
            gone = {
                f"{name}_mask": torch.zeros_like(batch[f"{name}_mask"])
                for name in ALL
                if name not in shown
            }
            masks = [batch[f"{name}_mask"].any(1) for name in shown]
            some = torch.stack(masks).any(0)
            found = answers_of(task, {name: streams[name] for name in shown})
            assert (found.isnan().all(1) == ~some).all()
            less = {
                key: value[some] if isinstance(value, torch.Tensor) else value
                for key, value in {**batch, **gone}.items()
            }
            outputs = task(less).fused
            expected = task.answers.read(outputs)
            torch.testing.assert_close(found[some, :2], expected["classes"].softmax(-1))
            torch.testing.assert_close(found[some, 2:], expected["affect"])


def test_raw_files_give_the_same_whoever_reads_them(own, tmp_path):
    one, _ = audited(
        tmp_path / "one", own, own_task(), kind=SentimentDataModule, batch_size=6, **OWN
    )
    two, _ = audited(
        tmp_path / "two",
        own,
        own_task(),
        kind=SentimentDataModule,
        batch_size=2,
        num_workers=1,
        **OWN,
    )
    for first, second in zip(_numbers(one.result), _numbers(two.result), strict=True):
        assert first == pytest.approx(second, abs=1e-4)
    assert set(one.result["targets"]) == {"classes", "affect"}
    # Only three samples have sound, 0.8 s each.
    shares = [point["share_lost"] for point in one.result["dropping"]["sound"][1:]]
    assert shares == pytest.approx(RATES, abs=0.2)


def test_sound_falls_silent_in_blocks_and_signs_between_words_stay(own, tmp_path, monkeypatch):
    seen = []

    def spy(task, batch):
        seen.append({key: value for key, value in batch.items() if torch.is_tensor(value)})
        return streams_of(task, batch)

    monkeypatch.setattr("videolit.callbacks.sentiment_audit.streams_of", spy)
    audited(tmp_path, own, own_task(), kind=SentimentDataModule, batch_size=6, context=1, **OWN)
    whole, *changed = seen
    assert len(changed) == 3 * len(RATES)
    by_name = {name: [b for b in changed if name in b] for name in ALL}
    # Each modality is encoded by itself, its mask as it was.
    for name, batches in by_name.items():
        assert len(batches) == len(RATES)
        for batch in batches:
            assert set(batch) & set(ALL) == {name}
            assert (batch[f"{name}_mask"] == whole[f"{name}_mask"]).all()
    half = by_name["sound"][4]
    row = int(whole["sound_mask"].any(1).nonzero()[0])
    blocks = half["sound"][row].split(800)
    assert {bool(block.any()) for block in blocks if len(block) == 800} == {True, False}
    for old, new in zip(whole["sound"][row].split(800), blocks, strict=True):
        assert not new.any() or (new == old).all()
    for batch in by_name["text"]:
        words = whole["text"] > 5
        assert (batch["text"][~words] == whole["text"][~words]).all()
        assert ((batch["text"] == whole["text"]) | (batch["text"] == 1)).all()
        assert ((batch["text"] != 1) & words).any(1)[words.any(1)].all()
    frames = by_name["video"][-1]["video"]
    there = whole["video_mask"].any(1)
    assert (frames.flatten(2).any(2) & whole["video_mask"]).any(1)[there].all()


def test_how_a_word_is_rated_is_lost_with_it(own, tmp_path, monkeypatch):
    seen = []

    def spy(task, batch):
        if "text" in batch:
            seen.append(batch["text"])
        return streams_of(task, batch)

    monkeypatch.setattr("videolit.callbacks.sentiment_audit.streams_of", spy)
    lexicon = tmp_path / "rated.csv"
    lexicon.write_text("lovely,2\nsad,-2\n")
    more = {"kind": SentimentDataModule, "batch_size": 6, "lexicon": str(lexicon), **OWN}
    audit, _ = audited(tmp_path, own, own_task(), **more)
    whole, *changed = seen
    marks = (whole >= 6) & (whole <= 9)
    assert marks.any()
    words = marks.roll(-1, 1)
    lost = [(batch == 1) for batch in changed]
    assert all((gone[marks] == gone[words]).all() for gone in lost)
    assert {bool(gone[marks].any()) for gone in lost} == {True, False}
    # A mark is no word, so the same ones are lost as without a list.
    plain, _ = audited(tmp_path / "plain", own, own_task(), **more | {"lexicon": None})
    shares = [
        [point["share_lost"] for point in each.result["dropping"]["text"][1:]]
        for each in (audit, plain)
    ]
    assert shares[0] == shares[1]


def test_the_command_line_tests_sentiment_with_it(stored, tmp_path, capsys):
    settings = {
        "model": {
            "class_path": "SentimentTask",
            "init_args": {
                name: {"class_path": "IdentityEncoder", "init_args": {"num_features": WIDTHS[n]}}
                for name, n in (("encoder", "video"), ("sound", "sound"), ("text", "text"))
            },
        },
        "data": {"class_path": "SentimentDataModule", "init_args": {"root": str(stored)}},
        "trainer": {
            "accelerator": "cpu",
            "max_epochs": 1,
            "enable_progress_bar": False,
            "default_root_dir": str(tmp_path / "runs"),
        },
    }
    config = tmp_path / "stored.yaml"
    config.write_text(yaml.safe_dump(settings))
    assert cli.main(["fit", "--config", str(config)]) == 0
    assert "--audit" in capsys.readouterr().out
    (best,) = (tmp_path / "runs").rglob("*.ckpt")
    assert cli.main(["test", "--config", str(config), "--ckpt_path", str(best), "--audit"]) == 0
    shown = capsys.readouterr().out
    assert "Robustness audit: mae is" in shown
    (card,) = (tmp_path / "runs").rglob("evaluation-*.json")
    assert len(json.loads(card.read_text())["robustness"]["subsets"]) == 7
