"""``videolit check`` as a user meets it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from videolit import cli
from videolit.data import survey
from videolit.data.action import ActionDataModule
from videolit.data.child import Child
from videolit.data.index import shared_cache
from videolit.data.survey import check_files
from videolit.data.writer import write_video


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    """Wide enough that no line of a table is broken."""
    monkeypatch.setenv("COLUMNS", "300")


def moving(seed: int, count: int = 30) -> np.ndarray:
    """uint8 ``(T, 48, 64, 3)``: a room with two discs that wander."""
    rng = np.random.default_rng(seed)
    room = np.kron(rng.uniform(30, 200, (6, 8)), np.ones((8, 8)))
    y, x = np.mgrid[:48, :64]
    frames = np.repeat(room[None], count, axis=0)
    for _ in range(2):
        speed, phase = rng.uniform(0.04, 0.12, 2), rng.uniform(0, 6, 2)
        for t in range(count):
            cy, cx = 24 + 18 * np.sin(speed[0] * t + phase[0]), 32 + 24 * np.sin(speed[1] * t)
            frames[t][(y - cy) ** 2 + (x - cx) ** 2 < 60] = 250
    return np.repeat(frames.astype(np.uint8)[..., None], 3, axis=-1)


@pytest.fixture
def data(tmp_path):
    """Two classes in named splits; every video is another one."""
    root = tmp_path / "data"
    seed = 0
    for split, each in (("train", 3), ("val", 2), ("test", 2)):
        for label in ("jump", "wave"):
            for number in range(each):
                seed += 1
                write_video(root / split / label / f"{number}.mp4", moving(seed), 15)
    return root


def check(*words: object) -> int:
    return cli.main(["check", *map(str, words), "--workers", "1"])


def told(capsys) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_clean_data_gives_a_whole_report(data, tmp_path, capsys):
    out = tmp_path / "out"
    assert check(data, "--out", out) == 0
    text = told(capsys)
    assert "14 of 14 videos can be used" in text
    assert "2 classes, 7 samples each" in text
    rows = list(csv.DictReader((out / "files.csv").open()))
    assert len(rows) == 14
    assert {row["status"] for row in rows} == {"ok"}
    first = next(row for row in rows if row["path"] == "train/jump/0.mp4")
    assert (first["width"], first["height"], first["frames"]) == ("64", "48", "30")
    assert (first["codec"], first["pix_fmt"], first["audio"]) == ("h264", "yuv420p", "no")
    assert (first["label"], first["split"], first["rotation"]) == ("jump", "train", "0")
    assert float(first["seconds"]) == pytest.approx(2.0, abs=0.01)
    assert float(first["fps"]) == pytest.approx(15, abs=0.01)
    assert (out / "quarantine.jsonl").read_text() == ""
    page = (out / "report.html").read_text()
    assert page.count("data:image/jpeg") == 12  # at most six of a class
    assert page.count("data:image/svg+xml") == 2
    assert "nothing shared between splits" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert sorted(p.name for p in out.iterdir()) == ["files.csv", "quarantine.jsonl", "report.html"]


def test_broken_files_are_listed_and_the_list_is_accepted_by_training(data, tmp_path, capsys):
    whole = (data / "train/jump/0.mp4").read_bytes()
    (data / "train/jump/cut.mp4").write_bytes(whole[: len(whole) // 2])
    (data / "test/wave/page.mp4").write_text("<html>404</html>")
    out = tmp_path / "out"
    assert check(data, "--out", out) == 1
    assert "14 of 16 videos can be used" in told(capsys)
    listed = [json.loads(line) for line in (out / "quarantine.jsonl").open()]
    assert [row["path"] for row in listed] == ["test/wave/page.mp4", "train/jump/cut.mp4"]
    assert all(row["reason"] and "decoder" in row for row in listed)
    assert "not a video" in (out / "report.html").read_text()

    module = ActionDataModule(str(data), exclude=str(out / "quarantine.jsonl"), num_workers=0)
    module.setup("fit")
    module.setup("test")
    parts = [module.manifest(split) for split in ("train", "val", "test")]
    left = [part.video_id(row) for part in parts for row in range(len(part))]
    assert len(left) == 14
    assert not {row["path"] for row in listed} & set(left)


def test_copies_across_splits_are_an_error(data, tmp_path, capsys):
    (data / "test/wave/same.mp4").write_bytes((data / "train/wave/1.mp4").read_bytes())
    # train/jump/0.mp4 is seed 1: cut by a third, and at half the size.
    cut = moving(1)[10:, ::2, ::2]
    write_video(data / "val/jump/copy.mkv", cut, 15, options={"crf": "30"})
    out = tmp_path / "out"
    assert check(data, "--out", out) == 1
    text = told(capsys)
    assert "the same file train and test" in text
    assert "near-duplicate videos" in text
    assert "train and val" in text
    assert "val/jump/copy.mkv" in text
    page = (out / "report.html").read_text()
    assert "Shared between splits" in page
    assert "val/jump/copy.mkv" in page


def test_copies_within_a_split_or_without_splits_are_notes(tmp_path, capsys):
    root = tmp_path / "data"
    for seed, label in ((1, "jump"), (2, "jump"), (3, "wave")):
        write_video(root / label / f"{seed}.mp4", moving(seed), 15)
    (root / "wave/1.mp4").write_bytes((root / "jump/1.mp4").read_bytes())
    assert check(root) == 0
    text = told(capsys)
    assert "the same file" in text
    assert "labels jump, wave" in text
    assert "a seeded split may part them" in text
    assert "different labels" in text


def test_groups_and_parts_in_several_splits_are_told_not_refused(tmp_path, capsys):
    root = tmp_path
    for seed in range(3):
        write_video(root / f"{seed}.mp4", moving(seed), 15)
    listing = root / "list.csv"
    listing.write_text(
        "path,label,start,end,split,group\n0.mp4,a,,,train,ann\n1.mp4,a,,,test,ann\n"
        "2.mp4,a,0,1,train,bob\n2.mp4,a,0.5,2,val,bob\n"
    )
    assert check(listing) == 1
    text = told(capsys)
    assert "group 'ann'" in text
    assert "group 'bob'" in text
    assert "2.mp4 the same file train and val" in text


def test_parts_of_a_file_that_do_not_overlap_may_be_in_two_splits(tmp_path, capsys):
    write_video(tmp_path / "0.mp4", moving(0), 15)
    listing = tmp_path / "list.csv"
    listing.write_text("path,label,start,end,split\n0.mp4,a,0,1,train\n0.mp4,a,1,2,val\n")
    assert check(listing) == 0


def test_fast_finds_cut_files_and_whole_copies_but_verifies_nothing(data, tmp_path, capsys):
    frames = moving(1)
    write_video(data / "test/jump/copy.mp4", frames[:, ::2, ::2], 15, options={"crf": "28"})
    whole = (data / "train/jump/1.mp4").read_bytes()
    (data / "train/jump/cut.mp4").write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "out"
    assert check(data, "--fast", "--out", out) == 1
    text = told(capsys)
    assert "15 of 16 videos can be used" in text
    assert "It is no verification" in text
    assert "test/jump/copy.mp4" in text
    rows = {row["path"]: row for row in csv.DictReader((out / "files.csv").open())}
    assert rows["train/jump/0.mp4"]["frames"] == "30"
    assert rows["train/jump/0.mp4"]["decoder"] == ""
    assert "Fast check" in (out / "report.html").read_text()
    file = data / "train/jump/0.mp4"
    assert shared_cache().get(str(file), file.stat()) is None
    check(data)
    assert shared_cache().get(str(file), file.stat()) is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["DATA", "--out", "DATA/x"], "lies inside the data"),
        (["DATA", "--out", "DATA"], "is the data itself"),
        (["DATA", "--out", "DATA/train/jump/0.mp4"], "is a file"),
        (["DATA", "--time-limit", "0"], "--time-limit must be above 0 seconds, got 0"),
        (["DATA/none"], "no data at"),
    ],
)
def test_mistakes_are_told_in_one_message(options, message, data, capsys):
    assert check(*(word.replace("DATA", str(data)) for word in options)) == 2
    assert message in capsys.readouterr().err
    assert not (data / "x").exists()


@pytest.mark.parametrize("fast", [True, False])
def test_a_file_that_hangs_its_decoder_is_named(fast, tmp_path, monkeypatch):
    (tmp_path / "stuck.py").write_text(
        "import time\n"
        "from videolit.data.child import serve\n"
        "serve(lambda request, answer: time.sleep(60))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(survey, "Child", lambda module: Child("stuck"))
    file = str(write_video(tmp_path / "a.mp4", moving(0), 15))
    (result,) = check_files([file], fast=fast, time_limit=2.0)
    assert result.path == file
    assert result.reason == "cannot be decoded within 2 s"


def _children(parent: int) -> set[int]:
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent:
                found.add(int(folder.name))
    return found


def _is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_ended_check_leaves_no_process(kind, tmp_path):
    root = tmp_path / "data" / "a"
    long = np.concatenate([moving(seed) for seed in range(10)])
    write_video(root / "0.mp4", long, 15, options={"preset": "ultrafast"})
    for number in range(1, 60):
        (root / f"{number}.mp4").write_bytes((root / "0.mp4").read_bytes())
    # A cache of its own: otherwise nothing would be left to do.
    environment = {**os.environ, "VIDEOLIT_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "videolit", "check", str(root.parent), "--workers", "2"]
    run = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        while len(children := _children(run.pid)) < 2 and time.monotonic() < deadline:
            assert run.poll() is None, "the check ended before it was interrupted"
            time.sleep(0.05)
        assert len(children) >= 2
        run.send_signal(kind)
        run.wait(20)
        deadline = time.monotonic() + 5
        while any(map(_is_alive, children)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not [child for child in children if _is_alive(child)]
    finally:
        run.kill()
        run.wait()


@pytest.mark.real
def test_recorded_clips_have_next_to_no_false_copies_and_a_made_one_is_found(real_data, tmp_path):
    from videolit.data.duplicates import near_duplicates
    from videolit.data.reader import VideoReader

    files = sorted((real_data / "gestures" / "S7").glob("*.mp4"))
    with VideoReader(files[3]) as reader:
        frames = reader.read(list(range(reader.num_frames)))
        fps = reader.fps
    third = len(frames) // 3
    copy = write_video(
        tmp_path / "copy.mkv", frames[third:, ::2, ::2], round(fps), options={"crf": "30"}
    )
    results = list(check_files([*map(str, files), str(copy)], workers=1))
    assert not [result.reason for result in results if result.reason]
    pairs = near_duplicates([result.pictures for result in results])
    assert [(pair.first, pair.second) for pair in pairs] == [(3, len(files))]
