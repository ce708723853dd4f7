"""videolit sentiment: any of picture, sound and words, what is written, and what is refused."""

from __future__ import annotations

import csv
import errno
import itertools
import json
import math
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sentiment_files import RATE, write_wav

import videolit
from videolit import ActionTask, ClipSpec, SentimentTask, cli
from videolit.callbacks.predictions import sentiment_rows
from videolit.commands import sentiment, sentiment_files
from videolit.data.sound_writer import write_video_with_sound
from videolit.data.words import WordTokenizer
from videolit.data.writer import write_video
from videolit.encoders import IdentityEncoder, SmallFrameEncoder, SoundEncoder, TextEncoder
from videolit.fusion import EarlyFusion, LinearFusion, TensorFusion
from videolit.plots import sentiment_figure
from videolit.types import InputError, UtteranceSpec

NAMES = ["glad", "[sad] & <low>"]
ALL = ("video", "sound", "text")
SECONDS = 9.0
LINES = [(0.2, 2.8, "what a lovely day"), (3.0, 4.5, "<i>lovely</i>"), (8.2, 8.9, "so sad")]
WORDS = WordTokenizer.train(["what a lovely day this is so sad"], min_count=1)


def save(path, names=ALL, **settings):
    """Write the checkpoint of a small model that was never trained; its answers are of no matter."""
    torch.manual_seed(0)
    spec = settings.pop("spec", UtteranceSpec(max_seconds=6.0, tokenizer=WORDS.to_json()))
    parts = {
        "encoder": SmallFrameEncoder(width=8),
        "sound": SoundEncoder(hidden_size=16, num_layers=1, num_heads=2, num_mels=16),
        "text": TextEncoder(len(WORDS), hidden_size=16),
    }
    wanted = {"encoder" if name == "video" else name for name in names}
    parts = {name: part for name, part in parts.items() if name in wanted} | settings.pop(
        "parts", {}
    )
    task = SentimentTask(
        **parts,
        **{
            "convention": "emotion",
            "targets": {"classes": 1.0, "score": 1.0, "affect": 1.0},
            "class_names": NAMES,
            "score_range": (-3.0, 3.0),
            "affect_range": (-1.0, 1.0),
            **settings,
        },
    )
    task._build()
    task.clip_spec = ClipSpec(sampling="whole", num_frames=6, fps=2.0, size=16, resize=16)
    task.utterance_spec = spec
    content = {"state_dict": task.state_dict()}
    task.on_save_checkpoint(content)
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A talk in all its forms, and the checkpoint of a model."""
    folder = tmp_path_factory.mktemp("talk")
    frames = np.random.default_rng(0).integers(256, size=(90, 24, 32, 3)).astype(np.uint8)
    sound = (0.4 * np.sin(np.arange(round(SECONDS * RATE)) / 12)).astype(np.float32)
    write_video_with_sound(folder / "talk.mp4", frames, 10, sound, RATE)
    write_video(folder / "mute.mp4", frames, 10)
    write_wav(folder / "talk.wav", sound)
    cues = [f"{a:06.3f}".replace(".", ",") for line in LINES for a in line[:2]]
    blocks = [
        f"{n}\n00:00:{cues[2 * n]} --> 00:00:{cues[2 * n + 1]}\n{line[2]}\n"
        for n, line in enumerate(LINES)
    ]
    (folder / "talk.srt").write_text("\n".join(blocks))
    (folder / "talk.txt").write_text(" ".join(line[2] for line in LINES))
    save(folder / "best.ckpt")
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Run in a folder of its own, on a terminal of 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def find(home, path=None, text=None, checkpoint="best.ckpt", **settings):
    return videolit.find_sentiment(
        home / checkpoint,
        None if path is None else home / path,
        text=None if text is None else home / text,
        **{"window": 3.0, "hop": 1.5, "accelerator": "cpu", **settings},
    )


# What stands in a file, by what is given.
GIVEN = {
    ("talk.mp4", "talk.srt"): ALL,
    ("talk.mp4", None): ("video", "sound"),
    ("mute.mp4", "talk.srt"): ("video", "text"),
    ("mute.mp4", None): ("video",),
    ("talk.wav", "talk.srt"): ("sound", "text"),
    ("talk.wav", None): ("sound",),
    (None, "talk.srt"): ("text",),
}


@pytest.mark.parametrize(("given", "there"), GIVEN.items())
def test_every_subset_of_picture_sound_and_words_has_answers(home, given, there):
    record = find(home, *given)
    windows = record["windows"]
    starts = [window["start"] for window in windows]
    length = SECONDS if given[0] else 8.9
    assert record["source"]["duration"] == pytest.approx(length, abs=0.11)
    assert starts == [1.5 * k for k in range(len(starts))]
    assert windows[-1]["end"] == pytest.approx(length, abs=0.11)
    for window in windows:
        own = window["modalities"]
        used = [name for name in ALL if own[name]["used"]]
        # Nobody speaks from 4.5 to 8.2 s.
        silent = window["start"] >= 4.5 and window["end"] <= 8.2
        assert used == [name for name in there if name != "text" or not silent]
        for name in set(ALL) - set(used):
            assert own[name]["missing"]
        if not used:
            assert window["label"] is None
            continue
        assert sum(own[name]["weight"] for name in used) == pytest.approx(1, abs=1e-5)
        assert sum(window["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert window["label"] == max(window["probabilities"], key=window["probabilities"].get)
        assert {"score", "valence", "arousal", "probability"} <= set(window)
        assert all(set(own[n]) > {"label", "probabilities", "score", "valence"} for n in used)
    for name, reasons in record["missing"].items():
        assert sum(reasons.values()) == sum(not w["modalities"][name]["used"] for w in windows)
    assert sum(record["shares"].values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "names", [names for n in (1, 2) for names in itertools.combinations(ALL, n)]
)
def test_a_model_with_some_encoders_says_that_it_has_no_others(home, tmp_path, names):
    path = save(tmp_path / "some.ckpt", names)
    record = find(home, "talk.mp4", "talk.srt", checkpoint=path, window=6.0)
    assert record["model"]["modalities"] == list(names)
    for name in set(ALL) - set(names):
        reason = f"the model has no encoder of {name}"
        assert record["missing"][name] == {reason: len(record["windows"])}
    unread = ["text: the model has no encoder of text, so talk.srt was not read"]
    told = [note for note in record["notes"] if note.startswith("text: ")]
    assert told == unread * ("text" not in names)
    assert (record["source"]["transcript"] is None) == ("text" not in names)


def test_a_loaded_model_answers_as_its_file_does(home):
    model = videolit.load_sentiment(home / "best.ckpt", accelerator="cpu")
    given = {"text": home / "talk.srt", "window": 3.0, "hop": 1.5}
    assert videolit.find_sentiment(model, home / "talk.mp4", **given) == find(
        home, "talk.mp4", "talk.srt"
    )


def test_only_what_is_asked_for_is_used(home):
    record = find(home, "talk.mp4", "talk.srt", modalities=["sound"])
    assert all(window["modalities"]["sound"]["weight"] == 1 for window in record["windows"])
    assert record["missing"]["video"] == {"not asked for": len(record["windows"])}
    alone = find(home, "talk.wav")
    # Sound that went through a codec.
    for one, two in zip(record["windows"], alone["windows"], strict=True):
        assert one["probabilities"] == pytest.approx(two["probabilities"], abs=0.05)


def test_batches_and_files_change_no_answer(home, tmp_path):
    one = find(home, "talk.mp4", "talk.srt", batch_size=1)
    more = find(home, "talk.mp4", "talk.srt", batch_size=4, out=tmp_path / "out")
    for left, right in zip(one["windows"], more["windows"], strict=True):
        assert left["probabilities"] == pytest.approx(right["probabilities"], abs=1e-5)
        assert left["score"] == pytest.approx(right["score"], abs=1e-4)
    assert json.loads((tmp_path / "out" / "sentiment.json").read_text()) == more


def test_the_command_writes_and_tells(home, tmp_path, capsys):
    arguments = ["sentiment", str(home / "mute.mp4"), "--ckpt_path", str(home / "best.ckpt")]
    arguments += ["--text", str(home / "talk.srt"), "--window", "3", "--accelerator", "cpu"]
    assert cli.main(arguments) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert all(len(line.rstrip()) <= 80 for line in told.out.splitlines())
    assert "of      5 windows of 3 s, 1.5 s apart, in 0:09.0" in told.out
    assert "sound   the file has no sound" in told.out
    assert "text    missing in 1 of 5 windows: there are no words in this window" in told.out
    out = tmp_path / "sentiment_mute"
    assert sorted(path.name for path in out.iterdir()) == sorted(sentiment_files.FILES)
    record = json.loads((out / "sentiment.json").read_text())
    assert (record["schema"], record["version"]) == ("videolit.sentiment", 1)
    assert record["settings"] == {"window": 3.0, "hop": 1.5, "modalities": None}
    assert record["clip"]["num_frames"] == 6
    assert "tokenizer" not in record["utterances"]
    assert record["windows"][0]["words"] == "what a lovely day"
    for part in record["stretches"]:
        assert part["label"] in told.out
    with (out / "sentiment.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["start"]) for row in rows] == [0, 1.5, 3, 4.5, 6]
    for row, window in zip(rows, record["windows"], strict=True):
        for name in NAMES:
            assert float(row[f"probability_{name}"]) == window["probabilities"][name]
        assert float(row["video_weight"]) == window["modalities"]["video"]["weight"]
        assert row["sound_missing"] == "the file has no sound"
        assert row["sound_weight"] == ""
    assert rows[3]["text_missing"] == "there are no words in this window"
    vtt = (out / "sentiment.vtt").read_text(encoding="utf-8")
    assert vtt.startswith("WEBVTT\n\n00:00:00.000 --> ")
    assert vtt.count("-->") == len(record["stretches"])
    with Image.open(out / "sentiment.png") as picture:
        assert picture.width == 2112


def test_learnt_weights_are_the_same_on_the_terminal_and_in_the_picture(home, monkeypatch, capsys):
    drawn = {}
    monkeypatch.setattr(
        sentiment_files,
        "sentiment_figure",
        lambda *_, **settings: drawn.update(settings) or sentiment_figure(*_, **settings),
    )
    arguments = ["sentiment", str(home / "talk.mp4"), "--ckpt_path", str(home / "best.ckpt")]
    assert cli.main([*arguments, "--text", str(home / "talk.srt"), "--accelerator", "cpu"]) == 0
    told = re.findall(r"(\w+) (\d+)%", capsys.readouterr().out.split("\nby ")[1])
    assert [int(share) for _, share in told] == [round(100 * mean) for mean in drawn["means"]]
    assert sum(drawn["means"]) == pytest.approx(1, abs=1e-5)
    # Words are missing in one window.
    assert drawn["used"].min() < 1


@pytest.mark.parametrize("fusion", [EarlyFusion, TensorFusion, LinearFusion])
def test_weights_that_no_fusion_learnt_are_not_shown(home, tmp_path, capsys, fusion):
    path = save(tmp_path / "equal.ckpt", fusion=fusion)
    arguments = ["sentiment", str(home / "talk.mp4"), "--ckpt_path", str(path), "--out", "out"]
    assert cli.main([*arguments, "--accelerator", "cpu"]) == 0
    told = capsys.readouterr().out.split("\nby ")[1]
    assert told.strip().startswith("video, sound ")
    assert "%" not in told
    assert json.loads((tmp_path / "out" / "sentiment.json").read_text())["model"]["weights"] == (
        "equal"
    )
    assert find(home, "talk.wav")["model"]["weights"] == "learnt"


def test_a_transcript_alone_is_a_file_of_its_own(home, tmp_path, capsys):
    base = ["sentiment", "--ckpt_path", str(home / "best.ckpt"), "--accelerator", "cpu"]
    assert cli.main([*base, str(home / "talk.txt"), "--out", "out"]) == 0
    assert "one window of 0:02.8" in capsys.readouterr().out
    record = json.loads((tmp_path / "out" / "sentiment.json").read_text())
    assert record["source"]["measured"] == "words"
    assert record["source"]["path"] is None
    (window,) = record["windows"]
    assert window["words"] == "what a lovely day lovely so sad"
    # Beside a long recording its words belong nowhere, and the rest goes on.
    assert cli.main([*base, str(home / "talk.wav"), "--text", str(home / "talk.txt")]) == 0
    assert "text    the transcript has no times" in " ".join(capsys.readouterr().out.split("\n"))


def test_files_of_one_name_have_folders_of_their_own(home, tmp_path):
    names = ["a/talk.wav", "a/talk.srt", "b/talk.wav", "c/talk.wav"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(home / Path(name).name, tmp_path / name)
    # Once more is no other file.
    for name in [*names, *names]:
        words = ["sentiment", name, "--ckpt_path", str(home / "best.ckpt"), "--window", "6"]
        assert cli.main([*words, "--accelerator", "cpu"]) == 0
    found = {}
    for folder in tmp_path.glob("sentiment_*"):
        source = json.loads((folder / "sentiment.json").read_text())["source"]
        found[folder.name] = source["path"] or source["transcript"]
    folders = ["talk", "talk.srt", "talk.wav", "talk.wav_2"]
    assert found == {
        f"sentiment_{folder}": str(tmp_path / name)
        for folder, name in zip(folders, names, strict=True)
    }


def test_several_files_have_a_line_and_a_folder_each(home, tmp_path, capsys):
    mine = tmp_path / "mine"
    (mine / "more").mkdir(parents=True)
    for name, other in (("talk.mp4", "talk.mp4"), ("talk.wav", "more/talk.wav")):
        shutil.copy(home / name, mine / other)
    (mine / "broken.mp4").write_bytes(b"no video")
    (mine / "words").mkdir()
    shutil.copy(home / "talk.srt", mine / "words" / "talk.srt")
    base = ["sentiment", "--ckpt_path", str(home / "best.ckpt"), "--accelerator", "cpu"]
    assert cli.main([*base, str(mine), "--text", str(mine / "words"), "--out", "out"]) == 1
    shown = capsys.readouterr().out
    assert "1 of 3 files could not be used." in shown
    assert "broken.mp4" in shown
    assert "error:" in shown
    made = sorted(path.parent.name for path in (tmp_path / "out").glob("*/sentiment.json"))
    # more/talk.wav comes first and has the name; the transcript is of both.
    assert made == ["talk", "talk.mp4"]
    for name, file in zip(made, ("talk.wav", "talk.mp4"), strict=True):
        record = json.loads((tmp_path / "out" / name / "sentiment.json").read_text())
        expected = find(home, file, "talk.srt", window=4.0, hop=2.0)
        assert record["windows"] == expected["windows"]
    # Another run of the same files writes to the same places.
    assert cli.main([*base, str(mine), "--out", "out"]) == 1
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_mistake_that_all_files_share_is_told_once(home, tmp_path, capsys):
    base = ["sentiment", "--ckpt_path", str(home / "best.ckpt"), "--accelerator", "cpu"]
    files = [str(home / "talk.mp4"), str(home / "talk.wav")]
    assert cli.main([*base, *files, "--hop", "9"]) == 2
    assert "files could not be used" not in capsys.readouterr().out
    assert cli.main([*base, *files, "--text", str(home / "talk.srt")]) == 2
    assert "is the transcript of one file, and there are 2" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert cli.main([*base, str(tmp_path / "empty")]) == 2
    assert "the folder has no video and no sound file" in capsys.readouterr().err


def test_labels_without_classes_are_polarities(home, tmp_path):
    path = save(tmp_path / "score.ckpt", ["sound"], targets={"score": 1.0}, class_names=None)
    record = find(home, "talk.wav", checkpoint=path, out=tmp_path / "out")
    assert record["model"]["label_from"] == "score"
    for window in record["windows"]:
        rounded = math.floor(window["score"] + 0.5)
        assert window["label"] == ("negative", "neutral", "positive")[int(np.sign(rounded)) + 1]
    assert "probability" not in (tmp_path / "out" / "sentiment.csv").read_text().split("\n")[0]
    affect = save(tmp_path / "affect.ckpt", ["sound"], targets={"affect": 1.0}, class_names=None)
    assert find(home, "talk.wav", checkpoint=affect)["model"]["label_from"] == "valence"


def test_a_killed_run_leaves_nothing_that_looks_whole(home, tmp_path, monkeypatch):
    out = tmp_path / "out"
    find(home, "talk.wav", out=out)
    for kind in (KeyboardInterrupt, OSError):
        monkeypatch.setattr(sentiment_files, "save_figure", _raiser(kind))
        # A full disk is told as what it is, with the file that has no room.
        with pytest.raises(InputError if kind is OSError else kind) as ended:
            find(home, "talk.wav", out=out)
        assert kind is not OSError or str(ended.value) == (
            f"{out / 'sentiment.png'}: cannot be written: No space left on device"
        )
        assert not (out / "sentiment.json").exists()
        assert not [path for path in out.iterdir() if path.name not in sentiment_files.FILES]


def _raiser(kind):
    def fail(*_, **__):
        raise kind(errno.ENOSPC, "No space left on device")

    return fail


def test_a_folder_that_cannot_be_written_is_told_before_the_work(home, tmp_path, monkeypatch):
    def work(*_, **__):
        raise AssertionError("the work has begun")

    monkeypatch.setattr(sentiment, "load_task", work)
    (tmp_path / "a" / "sentiment.png").mkdir(parents=True)
    with pytest.raises(InputError, match=r"sentiment.png is a folder, but a file is to be"):
        find(home, "talk.wav", out=tmp_path / "a")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/below: cannot be written: Not a directory"):
        find(home, "talk.wav", out=tmp_path / "file" / "below")
    with pytest.raises(InputError, match=r"cannot be written: File name too long"):
        find(home, "talk.wav", out=tmp_path / ("x" * 300))
    monkeypatch.setattr(tempfile, "TemporaryFile", _raiser(OSError))
    with pytest.raises(InputError, match=r"full: cannot be written: No space left"):
        find(home, "talk.wav", out=tmp_path / "full")
    monkeypatch.undo()
    # What is made to find out does not stay where the run ends without answers.
    with pytest.raises(InputError, match="no such file"):
        find(home, "none.wav", out=tmp_path / "b" / "c")
    assert not (tmp_path / "b").exists()


def test_what_a_reader_must_know_is_noted(home, tmp_path):
    late = tmp_path / "late.srt"
    late.write_text(
        "1\n00:00:01,000 --> 00:00:02,000\nsad\n\n2\n00:01:00,000 --> 00:01:05,000\nday\n"
    )
    record = find(home, "talk.wav", late)
    (note,) = record["notes"]
    assert note.startswith("the transcript goes on to 65.0 s, the recording ends at 9.0 s")
    long = tmp_path / "long.txt"
    long.write_text("lovely " * 300)
    (note,) = find(home, None, long)["notes"]
    assert note == "1 of 1 windows has more than the 128 tokens that the model reads"


def test_numbers_beyond_the_range_are_kept_and_told(home, tmp_path, monkeypatch):
    footers = []
    monkeypatch.setattr(
        sentiment_files,
        "sentiment_figure",
        lambda *_, **settings: (
            footers.append(settings["footer"]) or sentiment_figure(*_, **settings)
        ),
    )
    assert find(home, "talk.wav", out=tmp_path / "out")["notes"] == []

    def surer(*given):
        return [
            {**row, "score": 3.5 if row["index"] < 2 else 0.0} for row in sentiment_rows(*given)
        ]

    monkeypatch.setattr(sentiment, "sentiment_rows", surer)
    record = find(home, "talk.wav", out=tmp_path / "out")
    assert [window["score"] for window in record["windows"]] == [3.5, 3.5, 0, 0, 0]
    assert record["notes"] == [
        "score: 2 of 5 windows are beyond the range -3 to 3: the model is sure beyond what it learnt"
    ]
    assert ["triangle" in footer for footer in footers] == [False, True]


def test_what_the_training_did_to_faces_and_speakers_is_noted(home, tmp_path):
    def noted(path, **settings):
        notes = find(home, path, **settings)["notes"]
        return [note for note in notes if "trained on" in note]

    spec = UtteranceSpec(max_seconds=6.0, tokenizer=WORDS.to_json(), even_out=True)
    path = save(tmp_path / "even.ckpt", spec=spec)
    (note,) = noted("talk.mp4", checkpoint=path)
    assert "all who are heard here are taken as one speaker" in note
    assert noted("mute.mp4", checkpoint=path) == []
    assert noted("mute.mp4") == []
    spec = UtteranceSpec(max_seconds=6.0, tokenizer=WORDS.to_json(), faces=True)
    path = save(tmp_path / "faces.ckpt", spec=spec)
    (note,) = noted("mute.mp4", checkpoint=path)
    assert note.startswith("the model was trained on face crops and sees whole frames here")
    assert noted("talk.wav", checkpoint=path) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to look at: give a video, a sound file or a transcript"),
        (["talk.mp4", "--window", "0"], "--window must be a number of seconds above 0, got 0"),
        (["talk.mp4", "--hop", "5"], "--hop 5 is larger than --window 4"),
        (["talk.mp4", "--window", "7"], "at most 6 s of an utterance"),
        (["talk.mp4", "--out", "best.ckpt"], "go into a folder, but"),
        (["talk.mp4", "--batch_size", "0"], "batch_size must be at least 1"),
        (["talk.srt", "--text", "talk.txt"], "two transcripts"),
        (["none.mp4"], "no such file"),
        (["best.ckpt"], "neither video nor sound"),
        (["talk.wav", "--text", "none.srt"], "none.srt: cannot be read"),
        (["talk.wav", "--text", "bad.srt"], "bad.srt: line 2: ends at 1 s, before its start"),
        (["talk.wav", "--text", "talk.mp4"], "expected a transcript (.srt, .vtt, .csv, .txt)"),
        (["mute.mp4", "--modalities", "sound"], "sound: the file has no sound"),
        (["talk.wav", "--ckpt_path", "talk.wav"], "not a readable checkpoint"),
        (["talk.wav", "--accelerator", "abacus"], "accelerator 'abacus'"),
    ],
)
def test_a_mistake_ends_with_a_sentence(home, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(home)
    (home / "bad.srt").write_text("1\n00:00:03,000 --> 00:00:01,000\nx\n")
    base = ["sentiment", "--ckpt_path", "best.ckpt", "--accelerator", "cpu"]
    assert cli.main([*base, *arguments]) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert "Traceback" not in told.err
    assert not (home / "sentiment_talk").exists()


def test_a_device_that_is_not_there_is_a_mistake_too(home, monkeypatch, capsys):
    def no_device(**_):
        raise RuntimeError("No supported gpu backend found!")

    # What Fabric does without a GPU.
    monkeypatch.setattr(sentiment, "Fabric", no_device)
    words = ["sentiment", str(home / "talk.wav"), "--ckpt_path", str(home / "best.ckpt")]
    assert cli.main([*words, "--accelerator", "gpu"]) == 2
    assert "accelerator 'gpu': No supported gpu backend found!" in capsys.readouterr().err


def test_options_that_are_none_are_refused(home, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["sentiment", "a.mp4", "--ckpt_path", "x", "--modalities", "smell"])
    assert ended.value.code == 2
    assert "expected some of video, sound, text" in capsys.readouterr().err


def test_checkpoints_of_other_kinds_are_refused(home, tmp_path, capsys):
    task = ActionTask(SmallFrameEncoder(width=8), class_names=["a", "b"])
    task._build(2)
    content = {"state_dict": task.state_dict()}
    task.on_save_checkpoint(content)
    torch.save(content, tmp_path / "action.ckpt")
    assert cli.main(["sentiment", str(home / "talk.mp4"), "--ckpt_path", "action.ckpt"]) == 2
    said = capsys.readouterr().err
    assert "a checkpoint of ActionTask; sentiment needs one of SentimentTask" in said
    assert "videolit predict" in said
    stored = {"sound": IdentityEncoder(5)}
    path = save(tmp_path / "stored.ckpt", (), parts=stored)
    assert cli.main(["sentiment", str(home / "talk.wav"), "--ckpt_path", str(path)]) == 2
    assert "the model takes stored features of sound" in capsys.readouterr().err
    only = save(tmp_path / "sound.ckpt", ["sound"])
    assert cli.main(["sentiment", str(home / "talk.srt"), "--ckpt_path", str(only)]) == 2
    said = capsys.readouterr().err
    assert "nothing to go by, the model takes sound" in said
    assert "sound: no file with sound was given" in said
    assert "text: the model has no encoder of text" in said
