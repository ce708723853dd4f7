"""Prepared videos in tar files: the same samples, whole after any interruption, open to others."""

import json
import tarfile

import numpy as np
import pytest
import webdataset

from videolit import ActionDataModule, ClipSpec, cli
from videolit.data import pack as packing
from videolit.data.listing import read_manifest
from videolit.data.prepare import check_prepared, prepare, renew
from videolit.data.prepared import PreparedSpec
from videolit.data.shards import INDEX, read_index
from videolit.types import InputError, StorageError, VideoError

SPEC = PreparedSpec(short_side=32)
CLIP = ClipSpec(num_frames=4, size=24, resize=32)
# Four or five videos of the tiny set.
SIZE = 60_000


def shards_of(data, out, size=SIZE):
    return list(prepare(read_manifest(data), out, SPEC, shard_bytes=size))


@pytest.fixture(scope="module")
def plain(tiny_set, tmp_path_factory):
    out = tmp_path_factory.mktemp("plain") / "set"
    list(prepare(read_manifest(tiny_set), out, SPEC))
    return out


@pytest.fixture(scope="module")
def sharded(tiny_set, tmp_path_factory):
    out = tmp_path_factory.mktemp("sharded") / "set"
    shards_of(tiny_set, out)
    return out


@pytest.fixture
def copy(sharded, tmp_path):
    """The tar files in a folder that a test may damage."""
    out = tmp_path / "set"
    out.mkdir()
    for path in sharded.iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    return out


def tars(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


def module(root, **settings):
    chosen = {"clip": CLIP, "batch_size": 4, "num_workers": 0, **settings}
    return ActionDataModule(str(root), **chosen)


@pytest.mark.parametrize("workers", [0, 2])
def test_they_hold_the_samples_of_the_data(workers, plain, sharded):
    assert not list(sharded.rglob("*.mov"))
    assert not [path for path in sharded.iterdir() if path.is_dir()]
    assert len(tars(sharded)) > 2
    two = [module(root, num_workers=workers) for root in (plain, sharded)]
    for data in two:
        data.setup("fit")
        data.setup("test")
    one, other = two
    for split in ("train", "val", "test"):
        assert one.manifest(split).hash() == other.manifest(split).hash()
        assert one.sample_ids(split).equal(other.sample_ids(split))
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        pairs = zip(getattr(one, loader)(), getattr(other, loader)(), strict=True)
        for expected, found in pairs:
            assert found["video"].equal(expected["video"])
            assert found["label"].equal(expected["label"])
            assert found["video_id"] == expected["video_id"]
    assert other.describe("test") == {**one.describe("test"), "data": "set"}


def test_webdataset_reads_them(plain, sharded):
    names = sorted(str(path) for path in sharded.glob("*.tar"))
    seen = {}
    for sample in webdataset.WebDataset(names, shardshuffle=False).decode():
        facts = sample["json"]
        assert sample["mov"] == (plain / f"{facts['path']}.mov").read_bytes()
        manifest = read_manifest(plain)
        assert manifest.class_names[sample["cls"]] == facts["label"]
        assert facts["samples"] == [{"label": facts["label"]}]
        seen[facts["path"]] = facts["label"]
    rows = range(len(manifest))
    assert seen == {manifest.video_id(row): manifest.label_name(row) for row in rows}


def test_each_file_mixes_the_classes_and_holds_one_split(tiny_set, tmp_path):
    listing = tmp_path / "manifest.csv"
    lines = ["path,label,split,start,end,group"]
    for path in sorted(tiny_set.glob("*/*.mp4")):
        person = path.stem.partition("_")[0]
        split = {"ann": "val", "bob": "test"}.get(person, "train")
        (tmp_path / path.parent.name).mkdir(exist_ok=True)
        (tmp_path / path.parent.name / path.name).write_bytes(path.read_bytes())
        # Two parts of one file: one video, two samples.
        for times in ("0,0.5", "0.5,1.2"):
            name = path.relative_to(tiny_set).as_posix()
            lines.append(f"{name},{path.parent.name},{split},{times},{person}")
    listing.write_text("\n".join(lines) + "\n")
    out = tmp_path / "out"
    shards_of(listing, out)
    found = {}
    for path in out.glob("*.tar"):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    facts = json.load(tar.extractfile(member))
                    assert [s["split"] for s in facts["samples"]] == [path.name.split("-")[0]] * 2
                    assert facts["samples"][1]["start"] == 0.5
                    assert facts["samples"][0]["group"] in facts["path"]
                    found.setdefault(path.name, []).append(facts["label"])
    assert {name.split("-")[0] for name in found} == {"train", "val", "test"}
    assert max(len(set(labels)) for labels in found.values()) == 3
    assert sum(map(len, found.values())) == 18
    manifest = read_manifest(out)
    assert len(manifest) == 36
    with manifest.shards.open(5, manifest.video_id(5)) as video:
        assert video.num_frames == 12


def test_a_second_run_changes_nothing(tiny_set, copy):
    before = {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in copy.glob("*.tar")
    }
    outcomes = shards_of(tiny_set, copy)
    assert all(outcome.skipped for outcome in outcomes)
    after = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in copy.glob("*.tar")}
    assert after == before


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupted_run_goes_on(at, when, tiny_set, sharded, tmp_path, monkeypatch):
    write, count = packing._write, [0]

    def killed(target, *arguments):
        count[0] += 1
        if count[0] <= at or when == "after":
            offsets = write(target, *arguments)
        if count[0] > at:
            raise KeyboardInterrupt
        return offsets

    out = tmp_path / "set"
    monkeypatch.setattr(packing, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        shards_of(tiny_set, out)
    assert not (out / INDEX).exists()
    with pytest.raises(InputError, match="run it again, it goes on"):
        read_manifest(out)
    monkeypatch.setattr(packing, "_write", write)
    outcomes = shards_of(tiny_set, out)
    assert all(outcome.skipped for outcome in outcomes)
    assert tars(out) == tars(sharded)
    assert read_index(out) == read_index(sharded)


def test_a_prepared_set_becomes_shards(tiny_set, plain, sharded, tmp_path):
    out = tmp_path / "set"
    list(prepare(read_manifest(tiny_set), out, SPEC))
    assert all(outcome.skipped for outcome in shards_of(tiny_set, out))
    assert tars(out) == tars(sharded)
    assert not list(out.rglob("*.mov"))


def contents(folder):
    """What every reader finds: facts and bytes by the path of the video."""
    found = {}
    for path in sorted(folder.glob("*.tar")):
        for sample in webdataset.WebDataset(str(path), shardshuffle=False).decode():
            assert sample["json"]["path"] not in found
            found[sample["json"]["path"]] = (sample["json"], sample.get("cls"), sample["mov"])
    return found


def copied(data, out):
    for path in data.glob("*/*.mp4"):
        (out / path.parent.name).mkdir(parents=True, exist_ok=True)
        (out / path.parent.name / path.name).write_bytes(path.read_bytes())
    return out


def test_damage_is_found_and_mended(tiny_set, sharded, copy):
    place = read_index(copy)["stay/ann_stay.mp4"]
    content = bytearray((copy / place.shard).read_bytes())
    content[place.offset + place.size // 2] ^= 255
    (copy / place.shard).write_bytes(content)
    problems = {name: problem for name, problem in check_prepared(copy) if problem}
    assert problems == {"stay/ann_stay.mp4": "its content changed since it was written"}
    renew(copy, problems)
    outcomes = shards_of(tiny_set, copy)
    assert [o.video_id for o in outcomes if not o.skipped] == ["stay/ann_stay.mp4"]
    assert contents(copy) == contents(sharded)
    assert not [problem for _, problem in check_prepared(copy) if problem]


@pytest.mark.parametrize("killed", [False, True])
def test_a_set_follows_its_data(killed, tiny_set, tmp_path, monkeypatch):
    """Changed, removed and new videos, also when the run is killed after each tar file."""
    data, out = copied(tiny_set, tmp_path / "data"), tmp_path / "set"
    shards_of(data, out)
    before = tars(out)
    (data / "stay/ann_stay.mp4").unlink()
    (data / "stay/bob_stay.mp4").write_bytes((data / "go_left/bob_go_left.mp4").read_bytes())
    for name in ("new", "newer"):
        (data / f"stay/{name}.mp4").write_bytes((data / "stay/cem_stay.mp4").read_bytes())
    write = packing._write

    def cut(*arguments):
        write(*arguments)
        raise KeyboardInterrupt

    for _ in range(20 if killed else 0):
        monkeypatch.setattr(packing, "_write", cut)
        try:
            shards_of(data, out)
        except KeyboardInterrupt:
            continue
        finally:
            monkeypatch.setattr(packing, "_write", write)
    shards_of(data, out)
    fresh = tmp_path / "fresh"
    shards_of(data, fresh)
    assert contents(out) == contents(fresh)
    assert sorted(read_index(out)) == sorted(read_index(fresh))
    assert not [problem for _, problem in check_prepared(out) if problem]
    assert len(list(check_prepared(out))) == 19
    kept = set(before.items()) & set(tars(out).items())
    assert killed or len(kept) >= len(before) - 2, "the others stay as they are"
    manifest = read_manifest(out)
    for row in range(len(manifest)):
        with manifest.shards.open(row, "x") as video:
            video.read([0, 11])


def test_facts_follow_the_list(tiny_set, tmp_path):
    data, out = copied(tiny_set, tmp_path / "data"), tmp_path / "set"
    names = sorted(path.relative_to(data).as_posix() for path in data.glob("*/*.mp4"))

    def listed(label_of, split_of):
        rows = [f"{name},{label_of(name)},{split_of(name)}" for name in names]
        (data / "manifest.csv").write_text("\n".join(["path,label,split", *rows]) + "\n")
        return shards_of(data, out)

    def split(name):
        return "val" if "/ann" in name else "test" if "/bob" in name else "train"

    listed(lambda name: name.split("/")[0], split)
    outcomes = listed(
        lambda name: "b" if "cem" in name else "a",
        lambda name: split(name[::-1] + "/bob" if "dia" in name else name),
    )
    assert all(outcome.skipped for outcome in outcomes)
    for path, (facts, code, _) in contents(out).items():
        assert facts["label"] == ("b" if "cem" in path else "a")
        assert code == int("cem" in path)
        expected = "test" if "dia" in path else split(path)
        assert facts["samples"] == [{"label": facts["label"], "split": expected}]
        assert read_index(out)[path].shard.startswith(expected)
    assert len(contents(out)) == 18


def test_a_missing_file_is_told_and_made_again(tiny_set, sharded, copy):
    place = read_index(copy)["stay/ann_stay.mp4"]
    (copy / place.shard).unlink()
    problems = {name: problem for name, problem in check_prepared(copy) if problem}
    assert set(problems.values()) == {f"{place.shard} is missing"}
    manifest = read_manifest(copy)
    row = [manifest.video_id(row) for row in range(len(manifest))].index("stay/ann_stay.mp4")
    # Not a broken video, of which training would leave out a few.
    with pytest.raises(StorageError, match=f"{place.shard}: No such file"):
        manifest.shards.open(row, "stay/ann_stay.mp4")
    shards_of(tiny_set, copy)
    assert tars(copy) == tars(sharded)


def test_a_cut_file_is_an_error(copy):
    index = read_index(copy)
    name = max(index, key=lambda name: (index[name].shard == "shard-000000.tar", index[name]))
    with (copy / index[name].shard).open("r+b") as file:
        file.truncate(index[name].offset + index[name].size // 2)
    manifest = read_manifest(copy)
    row = [manifest.video_id(row) for row in range(len(manifest))].index(name)
    with manifest.shards.open(row, name) as video, pytest.raises(VideoError, match="is damaged"):
        video.read(np.arange(video.num_frames))


def test_shards_stay_shards(tiny_set, copy, sharded):
    with pytest.raises(InputError, match="are in tar files: add --shards, or give another folder"):
        list(prepare(read_manifest(tiny_set), copy, SPEC))
    # Another size is for what is new.
    shards_of(tiny_set, copy, 10_000)
    assert tars(copy) == tars(sharded)


def test_a_full_disk_leaves_whole_files_and_goes_on(tiny_set, sharded, tmp_path, monkeypatch):
    out = tmp_path / "set"
    add, count = packing._add, [0]

    def full(*arguments):
        count[0] += 1
        if count[0] > 20:
            raise OSError(28, "No space left on device")
        add(*arguments)

    monkeypatch.setattr(packing, "_add", full)
    with pytest.raises(InputError, match=r"No space left.*kept: run the same command again"):
        shards_of(tiny_set, out)
    assert not [path for path in out.rglob("*") if ".part" in path.name]
    expected = tars(sharded)
    assert all(expected[name] == content for name, content in tars(out).items())
    monkeypatch.setattr(packing, "_add", add)
    shards_of(tiny_set, out)
    assert tars(out) == expected


@pytest.mark.parametrize(
    "content", [b"", b"path,shard\n", b"path,shard,offset,size,sha256\na,b,c,d,e\n", b"\xff\xfe\0"]
)
def test_a_damaged_index_is_told(content, copy):
    (copy / INDEX).write_bytes(content)
    with pytest.raises(InputError, match=r"shards.csv is damaged .*run videolit prepare again"):
        read_manifest(copy)


def test_an_index_without_a_video_is_told(copy):
    lines = (copy / INDEX).read_text().splitlines()
    (copy / INDEX).write_text("\n".join(lines[:-1]) + "\n")
    missing = lines[-1].partition(",")[0]
    with pytest.raises(InputError, match=f"no file '{missing}'"):
        read_manifest(copy)


def test_the_command(tiny_set, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["prepare", str(tiny_set), "--out", str(out), "--short-side", "32"]
    assert cli.main([*command, "--shards", "60kB"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"in {len(tars(out))} tar files" in said
    assert cli.main(["prepare", str(out), "--check"]) == 0
    assert "18 of 18 videos are as they were written" in capsys.readouterr().out
    assert cli.main([*command, "--shards", "many"]) == 2
    assert "size such as 500MB or 1GB, got 'many'" in capsys.readouterr().err
