"""videolit summarize: what the command writes, prints and refuses."""

import argparse
import json
import re

import numpy as np
import pytest
import torch
from rich.console import Console

import videolit
from videolit import ActionTask, ClipSpec, cli
from videolit.commands import summarize_cli
from videolit.commands.summarize_cli import seconds, time_range
from videolit.commands.summary_terminal import print_summary
from videolit.data.sound_writer import write_video_with_sound
from videolit.data.writer import write_video
from videolit.encoders import SmallFrameEncoder

FPS, SECONDS = 10, 20
STARTS = (0, 3, 5, 9, 11, 12, 16)
COLOURS = (
    *((220, 30, 30), (30, 200, 30), (30, 30, 220), (200, 200, 40)),
    *((20, 20, 20), (40, 200, 200), (230, 230, 230)),
)


def pictures():
    noise = np.random.default_rng(0).normal(0, 8, (48, 64, 3))
    shots = np.searchsorted(FPS * np.array(STARTS), np.arange(FPS * SECONDS), side="right") - 1
    return np.stack([np.clip(COLOURS[shot] + noise, 0, 255) for shot in shots]).astype(np.uint8)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    tone = 0.3 * np.sin(np.arange(16000 * SECONDS) / 5).astype(np.float32)
    path = tmp_path_factory.mktemp("video") / "talk.mp4"
    return write_video_with_sound(path, pictures(), FPS, tone, 16000)


@pytest.fixture
def silent(tmp_path):
    return write_video(tmp_path / "silent.mp4", pictures()[:60], FPS)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Run in a folder of its own, on a terminal of 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def record_in(folder):
    return json.loads((folder / "summary.json").read_text())


def test_a_video_has_its_summary_and_the_terminal_says_what_is_kept(video, tmp_path, capsys):
    assert cli.main(["summarize", str(video), "--ratio", "0.3"]) == 0
    folder = tmp_path / "summary_talk"
    record = record_in(folder)
    assert all((folder / name).is_file() for name in record["files"])
    assert "summary.mp4" in record["files"]
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    chosen = [segment for segment in record["segments"] if segment["selected"]]
    for segment, line in zip(chosen, lines[1:], strict=False):
        start, end, length, _, score, rank = line.split()
        assert seconds(start) == pytest.approx(segment["start"], abs=0.051)
        assert seconds(end) == pytest.approx(segment["end"], abs=0.051)
        assert float(length) == pytest.approx(segment["end"] - segment["start"], abs=0.051)
        assert (float(score), int(rank)) == (round(segment["score"], 2), segment["rank"])
    kept = sum(segment["end"] - segment["start"] for segment in chosen)
    assert 0 < kept <= 0.3 * SECONDS
    said = "\n".join(lines)
    total = f"0:{kept:04.1f} of 0:20.0 kept ({5 * kept:.0f} %)"
    assert f"{total}, {len({s['shot'] for s in chosen})} of {record['num_shots']} shots" in said
    assert "training-free" in said
    assert "summary_talk/summary.mp4" in said
    assert "sound " not in said.replace("and sound", "")


def test_what_is_asked_for_is_kept_and_what_is_dropped_is_not(video, tmp_path, capsys):
    arguments = ["--seconds", "0:06", "--keep", "0:01-0:02", "--keep", "19-20", "--drop", "5-16"]
    out = tmp_path / "out"
    done = cli.main(["summarize", *arguments, str(video), "--out", str(out), "--no-video"])
    assert done == 0
    record = record_in(out)
    chosen = [(s["start"], s["end"]) for s in record["segments"] if s["selected"]]
    assert (1, 2) in chosen
    assert (19, 20) in chosen
    assert all(end <= 5 or start >= 16 for start, end in chosen)
    assert sum(end - start for start, end in chosen) <= 6
    assert not (out / "summary.mp4").exists()
    assert capsys.readouterr().out.count("asked for") == 2


def test_several_videos_have_a_folder_each_and_a_bad_one_stops_none(
    video, silent, tmp_path, capsys
):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "silent.mp4").write_bytes(silent.read_bytes())
    paths = ["silent.mp4", "broken.mp4", "none.mp4", "more"]
    arguments = ["summarize", *paths, "--no-video", "--out", "out", "--keep", "0-0.5"]
    assert cli.main(arguments) == 1
    said = capsys.readouterr().out
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["silent", "silent-2"]
    assert record_in(tmp_path / "out" / "silent-2")["source"]["path"].endswith("more/silent.mp4")
    assert said.count("error:") == 2
    assert said.count("silent.mp4 \N{RIGHTWARDS ARROW} silent-2/") == 1
    assert "2 of 4 videos could not be summarized." in said
    # Once more: the same videos have the same folders.
    assert cli.main(arguments) == 1
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["silent", "silent-2"]
    # Another video of the name has one of its own.
    assert cli.main(["summarize", "more", "--no-video", "--out", "out"]) == 0
    assert record_in(tmp_path / "out" / "silent")["source"]["path"] == str(silent)


def test_a_range_beyond_one_of_several_videos_is_its_error_alone(video, silent, tmp_path, capsys):
    arguments = [str(video), str(silent), "--keep", "15-16", "--no-video", "--out", "out"]
    assert cli.main(["summarize", *arguments]) == 1
    assert (tmp_path / "out" / "talk" / "summary.json").is_file()
    said = " ".join(capsys.readouterr().out.split())
    assert "keep must be seconds start-end within the video (0 to 6.00), got 15-16" in said


def test_a_video_without_sound_is_said_to_have_none(silent, capsys):
    for more in ([], ["--no-video"]):
        assert cli.main(["summarize", str(silent), "--ratio", "0.6", *more]) == 0
        said = capsys.readouterr().out
        assert "the video has none" in said
        assert "training-free: colour, layout, edges and motion\n" in re.sub(" +\n", "\n", said)


def test_a_damaged_sound_and_a_long_table_are_told(video, capsys):
    record = videolit.summarize(video)
    record["files"], record["summary"] = [], None
    record["source"]["audio_problem"] = "ends at 3 s"
    segment = {"start": 0, "end": 0.1, "score": 0.5, "rank": 1, "selected": True, "kept": False}
    record["segments"] = [segment | {"shot": shot} for shot in range(50)]
    print_summary(Console(width=80), record | {"files": ["summary.json"]}, video.parent)
    said = capsys.readouterr().out
    assert "damaged, silent where it cannot be decoded: ends at 3 s" in said
    assert "… and 10 more, in summary.json" in said


@pytest.fixture(scope="module")
def action_checkpoint(tmp_path_factory):
    task = ActionTask(SmallFrameEncoder(), class_names=["a", "b"])
    task.clip_spec = ClipSpec(num_frames=4, size=16, resize=16)
    task._build(2)
    content = {"state_dict": task.state_dict()}
    task.on_save_checkpoint(content)
    path = tmp_path_factory.mktemp("model") / "action.ckpt"
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.mp4"], "none.mp4: "),
        (["TALK", "--keep", "30-31"], "keep must be seconds start-end within the video"),
        (["TALK", "--keep", "0-9", "--seconds", "5"], "what must be kept lasts 9.00 s"),
        (["TALK", "--drop", "0-1:00"], "the whole video is dropped"),
        (["TALK", "--ratio", "1.5"], "ratio is a share of the video"),
        (["TALK", "--min-shot", "5", "--max-shot", "6"], "max_shot at least twice"),
        (["TALK", "--diversity", "2"], "diversity must lie in [0, 1]"),
        (["TALK", "--fps", "0"], "fps"),
        (["TALK", "--encoder", "Nobody"], "there is no encoder 'Nobody'"),
        (["TALK", "--encoder_args", "{}"], "--encoder_args needs the encoder's name"),
        (["TALK", "--encoder", "SmallFrameEncoder", "--encoder_args", "3"], "JSON object"),
        (["TALK", "--ckpt_path", "ACTION"], "a checkpoint of ActionTask; summaries need"),
        (["TALK", "--ckpt_path", "none.ckpt"], "none.ckpt"),
        (["TALK", "--ckpt_path", "ACTION", "--fps", "3"], "leave --fps out, or --ckpt_path"),
        (["TALK", "--out", "TALK"], "summaries go into a folder"),
        (["parts.csv"], "the list names a part of it"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_line(
    video, action_checkpoint, tmp_path, capsys, arguments, message
):
    (tmp_path / "parts.csv").write_text("path,start,end\na.mp4,0,2\n")
    places = {"TALK": str(video), "ACTION": str(action_checkpoint)}
    assert cli.main(["summarize", *(places.get(word, word) for word in arguments)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "arguments",
    [["--ratio", "0.1", "--seconds", "5"], ["--keep", "5"], ["--keep", "3-2"], ["--shots", "x"]],
)
def test_options_that_are_none_end_with_the_usage(video, capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["summarize", str(video), *arguments])
    assert stopped.value.code == 2
    assert f"argument {arguments[0] if len(arguments) == 2 else '--seconds'}" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [("90", 90), ("0.25", 0.25), ("1:30", 90), ("90:00", 5400), ("1:02:03.5", 3723.5)],
)
def test_times_are_seconds_or_minutes_or_hours(text, value):
    assert seconds(text) == value
    assert time_range(f"0-{text}") == (0, value)
    assert time_range(f"0:00.1\N{EN DASH}{text}") == (0.1, value)


@pytest.mark.parametrize("text", ["", "x", "-1", "1:60", "1:60:00", "1:2:3:4", "1e3", "nan", "1:"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected a time"):
        seconds(text)


def test_an_encoder_scores_what_needs_no_training(video, tmp_path, capsys):
    arguments = ["--encoder", "SmallFrameEncoder", "--encoder_args", '{"width": 8}', "--fps", "1"]
    with pytest.warns(UserWarning, match="SmallFrameEncoder has random weights"):
        assert cli.main(["summarize", str(video), "--no-video", *arguments]) == 0
    assert "training-free: SmallFrameEncoder, motion and sound" in capsys.readouterr().out
    record = record_in(tmp_path / "summary_talk")
    assert len(record["scores"]["time"]) == SECONDS


def test_progress_goes_from_looking_to_writing_to_pictures(video, tmp_path):
    stages = []
    videolit.summarize(video, tmp_path / "out", progressed=lambda *now: stages.append(now))
    names = list(dict.fromkeys(name for name, _ in stages))
    assert names == list(summarize_cli._STAGES)
    for name in names:
        shares = [share for stage, share in stages if stage == name]
        assert shares == sorted(shares)
        assert shares[-1] == pytest.approx(1, abs=0.01)
