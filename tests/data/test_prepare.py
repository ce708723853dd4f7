"""A prepared set stands for its data, and survives whatever ends its making."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from videolit.data.action import ActionDataModule
from videolit.data.listing import read_manifest
from videolit.data.prepare import (
    LEDGER,
    check_prepared,
    prepare,
    prepared_id,
    read_ledger,
    renew,
    target_of,
)
from videolit.data.prepared import MARK, SUFFIX, PreparedSpec
from videolit.data.writer import write_video
from videolit.types import ClipSpec, InputError

SPEC = PreparedSpec(short_side=32)


def run(data, out, spec=SPEC, **options):
    return {o.video_id: o for o in prepare(read_manifest(data), out, spec, **options)}


@pytest.fixture(scope="module")
def prepared_set(tiny_set, tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared") / "set"
    run(tiny_set, out, workers=2)
    return out


def module(root, **options):
    options = {"val_fraction": 0.2, "test_fraction": 0.2, "num_workers": 0, **options}
    options.setdefault("clip", ClipSpec(size=32, resize=32))
    made = ActionDataModule(str(root), **options)
    made.setup("fit")
    return made


def test_samples_labels_splits_and_their_hash_are_those_of_the_data(tiny_set, prepared_set):
    for options in ({}, {"seed": 5}, {"group_pattern": r"/(\w+?)_"}):
        raw, ready = module(tiny_set, **options), module(prepared_set, **options)
        assert raw.class_names == ready.class_names
        for split in ("train", "val", "test"):
            one, two = raw.manifest(split), ready.manifest(split)
            assert [one.video_id(i) for i in range(len(one))] == [
                two.video_id(i) for i in range(len(two))
            ]
            np.testing.assert_array_equal(one.labels, two.labels)
            assert one.hash() == two.hash()


@pytest.mark.parametrize("sampling", ["uniform", "dense"])
def test_batches_differ_by_compression_only(tiny_set, prepared_set, sampling):
    clip = ClipSpec(sampling=sampling, num_frames=6, size=32, resize=32)
    raw, ready = module(tiny_set, clip=clip), module(prepared_set, clip=clip)
    batches = zip(raw.train_dataloader(), ready.train_dataloader(), strict=True)
    count = 0
    for one, two in batches:
        for key in ("index", "label", "mask", "sample_mask"):
            assert torch.equal(one[key], two[key])
        assert one["video_id"] == two["video_id"]
        assert two["error"] == [""] * len(two["index"])
        # Grey levels tell the frame: 20 apart.
        assert (one["video"].float() - two["video"].float()).abs().mean() < 3
        count += len(one["index"])
    assert count == len(raw.manifest("train"))


def test_the_protocol_tells_that_the_data_was_prepared(prepared_set):
    told = module(prepared_set).describe("test")
    assert told["decoder"] == "prepared: short side 32, JPEG quality 90"


def test_frames_that_are_too_small_are_warned_of(prepared_set):
    with pytest.warns(UserWarning, match="prepared at a short side of 32 pixels and clips are"):
        module(prepared_set, clip=ClipSpec(size=64, resize=64))


def test_a_list_keeps_its_columns(tiny_set, tmp_path):
    rows = [
        "path,label,start,end,split,group",
        "stay/ann_stay.mp4,stay,,0.5,train,ann",
        "stay/ann_stay.mp4,go_left,0.5,,train,ann",
        'go_left/bob_go_left.mp4,"go, left",,,test,bob',
    ]
    (tmp_path / "data").symlink_to(tiny_set)
    source = tmp_path / "list.csv"
    source.write_text("\n".join(rows).replace("\nstay", "\ndata/stay").replace("\ngo", "\ndata/go"))
    manifest = read_manifest(source, allow_outside_root=True)
    assert len(list(prepare(manifest, tmp_path / "out", SPEC))) == 2
    ready = read_manifest(tmp_path / "out")
    assert ready.hash() == manifest.hash()
    for name in ("labels", "start", "end", "groups", "splits"):
        np.testing.assert_array_equal(getattr(ready, name), getattr(manifest, name))
    assert ready.class_names == manifest.class_names
    assert ready.class_names[0] == "go, left"


def test_files_outside_of_the_root_find_a_place(tiny_set, tmp_path):
    source = tmp_path / "deep" / "list.csv"
    source.parent.mkdir()
    source.write_text(f"path,label\n{tiny_set}/stay/ann_stay.mp4,stay\n")
    list(prepare(read_manifest(source, allow_outside_root=True), tmp_path / "out", SPEC))
    ready = read_manifest(tmp_path / "out")
    assert ready.video_id(0) == prepared_id(f"{tiny_set}/stay/ann_stay.mp4")
    assert ready.video_id(0).startswith("outside/")
    assert Path(ready.path(0)).is_file()


# ---- again ------------------------------------------------------------------------------------


def copy_of(tiny_set, folder, people=("ann", "bob")):
    for file in sorted(tiny_set.rglob("*.mp4")):
        if file.name.startswith(people):
            target = folder / file.relative_to(tiny_set)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    return folder


def test_a_second_run_prepares_what_changed(tiny_set, tmp_path):
    data, out = copy_of(tiny_set, tmp_path / "data"), tmp_path / "out"
    run(data, out)
    before = {p: p.stat().st_mtime_ns for p in out.rglob(f"*{SUFFIX}")}
    assert len(before) == 6
    os.utime(data / "stay/ann_stay.mp4", (1, 1))  # touched, not changed
    frames = np.full((5, 32, 48, 3), 200, np.uint8)
    write_video(data / "stay/bob_stay.mp4", frames, 10)
    (data / "stay/new.mp4").write_bytes((data / "stay/ann_stay.mp4").read_bytes())
    target_of(out, "go_left/ann_go_left.mp4").unlink()
    found = run(data, out)
    assert {name for name, outcome in found.items() if not outcome.skipped} == {
        "stay/ann_stay.mp4",
        "stay/bob_stay.mp4",
        "stay/new.mp4",
        "go_left/ann_go_left.mp4",
    }
    after = {p: p.stat().st_mtime_ns for p in out.rglob(f"*{SUFFIX}")}
    rewritten = {p.name for p in after if before.get(p) != after[p]}
    assert rewritten == {f"{n}.mp4{SUFFIX}" for n in ("bob_stay", "new", "ann_go_left")}
    assert read_ledger(out)["stay/bob_stay.mp4"]["frames"] == 5
    assert all(outcome.skipped for outcome in run(data, out).values())


def test_a_source_that_broke_leaves_the_set(tiny_set, tmp_path):
    data, out = copy_of(tiny_set, tmp_path / "data"), tmp_path / "out"
    run(data, out)
    (data / "stay/bob_stay.mp4").write_bytes(b"no video" * 100)
    found = run(data, out)
    assert "not a video" in found["stay/bob_stay.mp4"].entry["error"]
    assert len(read_manifest(out)) == 5
    assert not target_of(out, "stay/bob_stay.mp4").exists()


def test_kill_minus_nine_leaves_nothing_half_written_and_nothing_to_do_twice(tiny_set, tmp_path):
    data, out = copy_of(tiny_set, tmp_path / "data", ("ann", "bob", "cem", "dia")), tmp_path / "out"
    code = "import sys; from videolit.commands.prepare import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, str(data), "--out", str(out), "--short-side", "32"]
    command += ["--workers", "1"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = 0
    for _ in range(3):
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as child:
            end = time.monotonic() + 60
            while time.monotonic() < end and len(read_ledger(out)) < min(done + 2, 11):
                time.sleep(0.005)
            child.send_signal(signal.SIGKILL)
            child.wait()
        assert len(read_ledger(out)) >= done
        done = len(read_ledger(out))
        # Whatever bears a final name is whole.
        assert [problem for _, problem in check_prepared(out) if problem] == []
    assert 2 <= done < 12
    assert not (out / "manifest.csv").exists()
    with pytest.raises(InputError, match="not complete.*run it again"):
        read_manifest(out)
    # A part of a file that was being written, and a line that was cut off.
    (out / f".x.1.part{SUFFIX}").write_bytes(b"half")
    with (out / LEDGER).open("ab") as ledger:
        ledger.write(b'{"path": "stay/cut')
    found = run(data, out)
    assert sum(outcome.skipped for outcome in found.values()) >= done
    assert list(out.rglob("*.part*")) == []
    assert len(read_manifest(out)) == 12
    assert [problem for _, problem in check_prepared(out) if problem] == []


def test_two_runs_at_once_are_refused(tiny_set, tmp_path):
    data, out = copy_of(tiny_set, tmp_path / "data"), tmp_path / "out"
    first = prepare(read_manifest(data), out, SPEC)
    next(first)
    with pytest.raises(InputError, match="another videolit prepare is writing"):
        run(data, out)
    first.close()
    assert len(run(data, out)) == 6


# ---- faults -----------------------------------------------------------------------------------


def test_check_finds_every_kind_of_damage(tiny_set, tmp_path):
    data, out = copy_of(tiny_set, tmp_path / "data"), tmp_path / "out"
    run(data, out)
    names = list(read_ledger(out))
    targets = [target_of(out, name) for name in names]
    targets[0].unlink()
    content = bytearray(targets[1].read_bytes())
    content[-100] ^= 1
    targets[1].write_bytes(content)
    targets[2].write_bytes(targets[2].read_bytes()[:-1])
    problems = dict(check_prepared(out))
    assert problems == {
        names[0]: "missing",
        names[1]: "its content changed since it was written",
        names[2]: "its content changed since it was written",
        **dict.fromkeys(names[3:], ""),
    }
    renew(out, {name: problem for name, problem in problems.items() if problem})
    assert sum(not outcome.skipped for outcome in run(data, out).values()) == 3
    assert not any(problem for _, problem in check_prepared(out))


def test_a_hang_and_an_abort_cost_one_file_each(tiny_set, tmp_path, monkeypatch):
    data, out = copy_of(tiny_set, tmp_path / "data"), tmp_path / "out"
    folder = tmp_path / "site"
    folder.mkdir()
    # Runs at the start of the child: two of its files never end well.
    (folder / "sitecustomize.py").write_text(
        "import os, sys, time\n"
        "if 'videolit.data.convert' in ' '.join(sys.orig_argv):\n"
        "    import videolit.data.examine as examine\n"
        "    true = examine._demux\n"
        "    def demux(path, *more):\n"
        "        if 'ann_stay' in path: time.sleep(1000)\n"
        "        if 'bob_stay' in path: os.abort()\n"
        "        return true(path, *more)\n"
        "    examine._demux = demux\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    found = run(data, out, limit=3.0, workers=2)
    errors = {n: o.entry["error"] for n, o in found.items() if "error" in o.entry}
    assert errors == {
        "stay/ann_stay.mp4": "cannot be decoded within 3 s",
        "stay/bob_stay.mp4": "crashes its decoder (SIGABRT)",
    }
    assert len(read_manifest(out)) == 4


def test_a_disk_that_cannot_be_written_stops_the_run(tiny_set, tmp_path, monkeypatch):
    data, out = copy_of(tiny_set, tmp_path / "data"), tmp_path / "out"
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'videolit.data.convert' in ' '.join(sys.orig_argv):\n"
        "    import videolit.data.examine as examine\n"
        "    def full(*_, **__): raise OSError(28, 'No space left on device')\n"
        "    examine.examine = full\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    with pytest.raises(InputError, match=r"No space left on device. What is prepared is kept"):
        run(data, out)
    assert list(out.rglob(f"*{SUFFIX}")) == []
    assert read_ledger(out) == {}


def test_folders_that_cannot_be_used(tiny_set, prepared_set, tmp_path):
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(InputError, match="not empty and no prepared set"):
        run(tiny_set, tmp_path)
    with pytest.raises(InputError, match="with short side 32.*now short side 64"):
        run(tiny_set, prepared_set, PreparedSpec(short_side=64))
    with pytest.raises(InputError, match="prepared already"):
        run(prepared_set, tmp_path / "twice")
    with pytest.raises(InputError, match=f"no {MARK}"):
        list(check_prepared(tmp_path))


def test_nothing_but_broken_files(tmp_path):
    (tmp_path / "data/a").mkdir(parents=True)
    (tmp_path / "data/a/x.mp4").write_bytes(b"no video" * 100)
    with pytest.raises(InputError, match="none of the videos"):
        run(tmp_path / "data", tmp_path / "out")


@pytest.mark.parametrize("name", ["a b.mp4", "été 日本 🎬.mp4", "100%.mp4", 'quo"te, comma.mp4'])
def test_names_of_all_kinds(name, tiny_set, tmp_path):
    (tmp_path / "data/stay").mkdir(parents=True)
    source = tiny_set / "stay/ann_stay.mp4"
    (tmp_path / "data/stay" / name).write_bytes(source.read_bytes())
    run(tmp_path / "data", tmp_path / "out")
    ready = read_manifest(tmp_path / "out")
    assert ready.video_id(0) == f"stay/{name}"
    assert Path(ready.path(0)).is_file()


@pytest.mark.real
def test_odd_videos_become_the_frames_they_hold(real_data, tmp_path):
    from videolit.data.prepared import PreparedVideo
    from videolit.data.reader import VideoReader
    from videolit.types import VideoError

    rows = ["path,label"]
    files = sorted(p for p in (real_data / "odd_videos").rglob("*") if p.is_file())
    rows += [f'"{path}",x' for path in files if path.suffix not in (".md", ".csv", ".json")]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    manifest = read_manifest(tmp_path / "list.csv", allow_outside_root=True)
    found = list(prepare(manifest, tmp_path / "out", SPEC, workers=2))
    assert len(found) == len(rows) - 1
    for outcome in found:
        if "error" in outcome.entry:
            with pytest.raises(VideoError) as refusal:
                VideoReader(outcome.video_id, "pyav")
            assert outcome.entry["error"] == refusal.value.reason
            continue
        raw = VideoReader(outcome.video_id, "pyav")
        with PreparedVideo(target_of(tmp_path / "out", outcome.video_id)) as video:
            assert video.num_frames == raw.num_frames
            assert np.abs(video.timestamps - raw.timestamps).max() < 0.001
