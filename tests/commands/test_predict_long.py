"""Long videos: what was planted is found, in memory that the window bounds, and written."""

import csv
import json
import xml.sax.saxutils
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import videolit
from videolit import ActionTask, ClipSpec, cli
from videolit.commands.timeline_files import to_vtt
from videolit.data.writer import write_video
from videolit.encoders import VideoEncoder
from videolit.types import InputError

FPS = 10
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "<b> & blue": (30, 30, 220)}
NAMES = [*COLOURS, "nothing"]
# Seconds; the first starts with the video, the last ends with it.
PLANTED = [
    (0.0, 3.0, "green"),
    (8.0, 12.0, "red"),
    (15.3, 19.6, "<b> & blue"),
    (24.0, 27.0, "red"),
    (34.5, 40.5, "green"),
]


class MeanColour(VideoEncoder):
    """The mean colour of each frame, in [0, 1]."""

    def __init__(self):
        super().__init__(3, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

    def encode(self, video, mask):
        return video.to(torch.float32).div(255).mean((-1, -2)), mask


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A model that says of a clip which colour more than half of its frames have, or nothing."""
    task = ActionTask(MeanColour(), class_names=NAMES)
    task.clip_spec = ClipSpec(num_frames=5, size=16, resize=16)
    task._build(len(NAMES))
    with torch.no_grad():
        # Half of the frames coloured and half of them grey: both classes are equally likely.
        half = torch.tensor(list(COLOURS.values())).div(255) / 2 + 0.5 * 110 / 255
        weight = 20 * (2 * torch.eye(3) - 1)
        task.head.weight.zero_()
        task.head.bias.zero_()
        task.head.weight[:3] = weight
        task.head.bias[:3] = -(weight * half).sum(1)
    path = tmp_path_factory.mktemp("model") / "colours.ckpt"
    content = {"state_dict": task.state_dict()}
    task.on_save_checkpoint(content)
    torch.save(content, path)
    return path


def coloured(seconds, planted):
    """Frames of grey, with the colours of planted parts."""
    for number in range(round(seconds * FPS)):
        colour = (110, 110, 110)
        for start, end, name in planted:
            if start <= number / FPS + 1e-6 < end:
                colour = COLOURS[name]
        yield np.full((24, 32, 3), colour, np.uint8)


@pytest.fixture(scope="module")
def long_video(tmp_path_factory):
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    return write_video(path, coloured(40.5, PLANTED), FPS)


def find(checkpoint, paths, **settings):
    chosen = {"window": 2.0, "hop": 1.0, "background": ["nothing"], "accelerator": "cpu"}
    return videolit.find_actions(checkpoint, paths, trust=True, **{**chosen, **settings})


def test_what_was_planted_is_found(checkpoint, long_video):
    (record,) = find(checkpoint, long_video)
    found = [(s["start"], s["end"], s["name"]) for s in record["segments"]]
    assert [name for *_, name in found] == [name for *_, name in PLANTED]
    for (start, end, _), (true_start, true_end, _) in zip(found, PLANTED, strict=True):
        # Windows begin at whole seconds: these times are met exactly, others to a hop.
        for time, true in ((start, true_start), (end, true_end)):
            assert abs(time - true) <= (0 if true == int(true) else 1.0), (time, true)
    assert all(0.5 <= s["probability"] <= s["peak"] <= 1 for s in record["segments"])
    assert record["source"]["duration"] == 40.5
    assert record["windows"]["start"] == [*range(39), 38.5]
    assert record["windows"]["end"][-1] == 40.5
    # A lower threshold for staying finds ends later, by that share of a window.
    (fine,) = find(checkpoint, long_video, hop=0.2, stay_at=0.5)
    for s, (true_start, true_end, _) in zip(fine["segments"], PLANTED, strict=True):
        assert abs(s["start"] - true_start) <= 0.2 + 1e-6
        assert abs(s["end"] - true_end) <= 0.2 + 1e-6


def test_the_command_writes_what_the_function_returns(checkpoint, long_video, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["predict", "--ckpt_path", str(checkpoint), str(long_video), "--trust"]
    arguments += ["--accelerator", "cpu", "--background", "nothing"]
    assert cli.main([*arguments, "--window", "2", "--hop", "1", "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert "<b> & blue" in told.out
    assert "No --background" not in told.out
    assert told.err == ""
    (expected,) = find(checkpoint, long_video)
    record = json.loads((out / "long.json").read_text())
    assert record == {**expected, "files": "long"} | {"model": record["model"]}
    assert (record["schema"], record["version"]) == ("videolit.timeline", 1)
    assert record["model"]["classes"] == NAMES
    assert ClipSpec.from_dict(record["clip"]).num_frames == 5
    rows = list(csv.DictReader((out / "long.csv").open(newline="", encoding="utf-8")))
    assert [(float(r["start"]), r["name"]) for r in rows] == [
        (s["start"], s["name"]) for s in expected["segments"]
    ]
    vtt = (out / "long.vtt").read_text(encoding="utf-8")
    assert vtt.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:03.000\ngreen ")
    assert xml.sax.saxutils.escape("<b> & blue") in vtt
    with Image.open(out / "long.png") as picture:
        assert picture.width == 2112
    (row,) = [json.loads(line) for line in (out / "timelines.jsonl").open()]
    assert row["segments"] == expected["segments"]
    assert row["files"] == "long"
    # What has no background is warned of.
    assert cli.main([*arguments[:4], "--trust", "--window", "2", "--out", str(out)]) == 0
    assert "No --background was given" in capsys.readouterr().out


def test_a_broken_file_is_an_error_and_nothing_else_is_lost(
    checkpoint, long_video, tmp_path, capsys
):
    broken, text = tmp_path / "cut.mp4", tmp_path / "text.mp4"
    broken.write_bytes(long_video.read_bytes()[:3000])
    text.write_text("no video")
    files = [str(broken), str(long_video), str(text), str(tmp_path / "missing.mp4")]
    out = tmp_path / "out"
    code = cli.main(
        ["predict", "--ckpt_path", str(checkpoint), *files, "--trust", "--window", "2"]
        + ["--background", "nothing", "--output", str(out), "--accelerator", "cpu"]
    )
    assert code == 1
    told = capsys.readouterr().out
    assert "3 of 4 files could not be read" in told
    rows = [json.loads(line) for line in (out / "timelines.jsonl").open()]
    assert [row["status"] for row in rows] == ["error", "ok", "error", "error"]
    assert [row["path"] for row in rows] == files
    assert "not a video" in rows[2]["error"]
    assert {p.name for p in out.iterdir()} == {
        "timelines.jsonl",
        *(f"long.{kind}" for kind in ("json", "csv", "vtt", "png")),
    }


def test_videos_of_one_name_do_not_overwrite_each_other(checkpoint, tmp_path):
    files = []
    for folder, name, colour in (("a", "x", "red"), ("b", "x", "green"), ("c", "X-2", "red")):
        path = tmp_path / folder / f"{name}.mp4"
        files.append(write_video(path, coloured(4, [(0, 4, colour)]), FPS))
    out = tmp_path / "out"

    def names(paths):
        return [r["files"] for r in find(checkpoint, paths, output=out, hop=2.0)]

    assert names(files) == ["x", "x-2", "X-2-2"]
    for stem, colour in (("x", "red"), ("x-2", "green")):
        assert json.loads((out / f"{stem}.json").read_text())["segments"][0]["name"] == colour
    # Another run: its own files again, whatever comes first; another video gets another name.
    assert names([files[1]]) == ["x-2"]
    other = write_video(tmp_path / "d" / "x.mp4", coloured(4, []), FPS)
    assert names([other, files[0]]) == ["x-3", "x"]
    # A file of the user's is none of ours.
    (out / "y.csv").write_text("mine")
    assert names([other.rename(other.with_name("y.mp4"))]) == ["y-2"]
    assert (out / "y.csv").read_text() == "mine"


def test_parts_of_a_video_keep_its_time(checkpoint, long_video, tmp_path):
    listing = tmp_path / "parts.csv"
    listing.write_text(f"path,start,end\n{long_video},6,14\n{long_video},30,\n{long_video},50,60\n")
    records = find(checkpoint, listing, output=tmp_path / "out", allow_outside_root=True)
    assert records[0]["windows"]["start"] == [6, 7, 8, 9, 10, 11, 12]
    assert [(s["start"], s["end"]) for s in records[0]["segments"]] == [(8, 12)]
    assert records[1]["windows"]["end"][-1] == 40.5
    assert records[1]["source"]["part"] == [30, None]
    assert "no frame in the part" in records[2]["error"]
    assert [r.get("files") for r in records] == ["long", "long-2", None]


def test_a_video_shorter_than_a_window_has_one(checkpoint, tmp_path):
    path = write_video(tmp_path / "short.mp4", coloured(1.5, [(0, 2, "red")]), FPS)
    (record,) = find(checkpoint, path, window=10.0)
    assert [(s["start"], s["end"], s["name"]) for s in record["segments"]] == [(0, 1.5, "red")]
    assert len(record["windows"]["start"]) == 1


def test_views_and_crops_are_those_of_a_test(checkpoint, long_video, tmp_path):
    """A window of the whole video gives what predict says of it."""
    content = torch.load(checkpoint, weights_only=True)
    record = json.loads(content["videolit"])
    record["clip_spec"] |= {"sampling": "dense", "num_views": 3, "num_crops": 3, "frame_stride": 2}
    content["videolit"] = json.dumps(record)
    several = tmp_path / "several.ckpt"
    torch.save(content, several)
    for path in (checkpoint, several):
        (row,) = videolit.predict(path, long_video, trust=True, accelerator="cpu")
        (found,) = find(path, long_video, window=100.0)
        for name, (probability,) in found["windows"]["probabilities"].items():
            assert probability == pytest.approx(row["probabilities"][name], abs=2e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--window", "0"], "--window must be a number of seconds above 0, got 0"),
        (["--window", "2", "--hop", "0"], "--hop must be a number of seconds above 0, got 0"),
        (["--window", "2", "--hop", "3"], "--hop 3 is larger than --window 2"),
        (["--window", "2", "--start-at", "2"], "--start-at is a probability"),
        (["--window", "2", "--stay-at", "0.7"], "--stay-at must be above 0 and at most --start-at"),
        (["--window", "2", "--min-seconds", "-1"], "--min-seconds must be at least 0"),
        (["--window", "2", "--background", "nothin"], "did you mean 'nothing'?"),
        (["--hop", "1"], "--hop is for long videos: give --window"),
        (["--background", "nothing"], "--background is for long videos"),
        (["--window", "2", "--decoder", "decord"], "--window decodes each video in order"),
        (["--window", "2", "--out", __file__], "is a file"),
        (["--window", "2", *(f"--background={name}" for name in NAMES)], "names all classes"),
    ],
)
def test_a_mistake_is_told_before_a_file_is_read(arguments, message, checkpoint, tmp_path, capsys):
    code = cli.main(["predict", "--ckpt_path", str(checkpoint), "--trust", "a.mp4", *arguments])
    told = capsys.readouterr().err
    assert code == 2
    assert message in told


def test_a_window_shorter_than_a_frame_is_that_files_error(checkpoint, long_video):
    (record,) = find(checkpoint, long_video, window=0.05, hop=0.05)
    assert "--window 0.05 s is shorter than a frame of this video (0.1 s)" in record["error"]
    with pytest.raises(InputError, match="batch_size must be at least 1"):
        find(checkpoint, long_video, batch_size=0)


def test_subtitles_escape_what_would_be_markup():
    cue = {"start": 3599.9996, "end": 3599.9999, "name": "a --> <c>\nb & c", "probability": 0.5}
    assert to_vtt([cue]) == (
        "WEBVTT\n\n01:00:00.000 --> 01:00:00.001\na --&gt; &lt;c&gt; b &amp; c 0.50\n"
    )
    assert to_vtt([]) == "WEBVTT\n"


def test_progress_is_told(checkpoint, long_video):
    told = []
    find(checkpoint, long_video, progressed=lambda name, share: told.append((name, share)))
    assert {Path(name).name for name, _ in told} == {"long.mp4"}
    shares = [share for _, share in told]
    assert shares[0] is None
    assert shares[1:] == sorted(shares[1:])
    assert shares[-1] == 1.0
