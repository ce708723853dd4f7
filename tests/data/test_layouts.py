"""Published data sets as their authors distribute them."""

import json

import numpy as np
import pytest

from videolit import ActionDataModule
from videolit.data.listing import read_manifest
from videolit.data.transforms import mirror_labels
from videolit.types import InputError


def touch(path, text="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def ucf(tmp_path):
    lists = {"train": [], "test": []}
    for label in ("Biking", "YoYo"):
        for group in range(1, 11):
            for clip in (1, 2):
                name = f"{label}/v_{label}_g{group:02d}_c{clip:02d}.avi"
                touch(tmp_path / "UCF-101" / name)
                number = f" {1 + (label == 'YoYo')}"
                lists["test" if group < 4 else "train"].append((name, number))
    for fold in (1, 2, 3):
        for split, rows in lists.items():
            # In the second one the roles are exchanged.
            kind = {"train": "test", "test": "train"}[split] if fold == 2 else split
            text = "\r\n".join(name + number * (kind == "train") for name, number in rows)
            touch(tmp_path / f"ucfTrainTestlist/{kind}list0{fold}.txt", text + "\r\n\r\n")
    return tmp_path


def test_ucf101(ucf):
    manifest = read_manifest(ucf, layout="ucf101")
    assert manifest.class_names == ("Biking", "YoYo")
    assert [len(manifest.select(split)) for split in ("train", "val", "test")] == [28, 0, 12]
    assert manifest.video_id(0) == "UCF-101/Biking/v_Biking_g04_c01.avi"
    assert manifest.group(0) == "Biking_g04"
    other = read_manifest(ucf, layout="ucf101", fold=2)
    assert [len(other.select(split)) for split in ("train", "test")] == [12, 28]


def test_val_is_divided_off_train_by_groups(ucf):
    data = ActionDataModule(str(ucf), layout="ucf101", val_fraction=0.15)
    data.setup("fit")
    data.setup("test")
    train, val = data.manifest("train"), data.manifest("val")
    groups = [{part.group(row) for row in range(len(part))} for part in (train, val)]
    assert not groups[0] & groups[1]
    assert (len(val), len(data.manifest("test"))) == (4, 12)
    assert len(train) == 24


def test_ucf101_in_its_own_zip(ucf):
    (ucf / "UCF-101").rename(ucf / "moved")
    for folder in (ucf / "moved").iterdir():
        folder.rename(ucf / folder.name)
    assert len(read_manifest(ucf, layout="ucf101")) == 40


@pytest.fixture
def hmdb(tmp_path):
    for label in ("wave", "run"):
        lines = []
        for source in range(6):
            name = f"Film_{source}_{label}_u_nm_np1_ba_goo_0.avi"
            touch(tmp_path / label / name)
            lines.append(f"{name} {min(source % 3, 2)} ")
        for fold in (1, 2, 3):
            touch(
                tmp_path / f"testTrainMulti_7030_splits/{label}_test_split{fold}.txt",
                "\n".join(lines),
            )
    return tmp_path


def test_hmdb51(hmdb):
    manifest = read_manifest(hmdb, layout="hmdb51", fold=3)
    assert manifest.class_names == ("run", "wave")
    # Those with a 0 belong to neither.
    assert [len(manifest.select(split)) for split in ("train", "test")] == [4, 4]
    assert manifest.group(0) == "Film_1"
    touch(hmdb / "testTrainMulti_7030_splits/run_test_split1.txt", "a.avi 3\n")
    with pytest.raises(InputError, match=r"run_test_split1.txt, line 1: 'a.avi 3' is not a file"):
        read_manifest(hmdb, layout="hmdb51")


@pytest.mark.parametrize("place", ["{split}/{label}/{name}", "{split}/{name}", "videos/{name}"])
def test_kinetics(place, tmp_path):
    for split, count in (("train", 8), ("validate", 4)):
        lines = ["label,youtube_id,time_start,time_end,split,is_cc"]
        for number in range(count):
            label = ("riding a bike", "yoga")[number % 2]
            key = f"-{split[:5]}_{number}"
            lines.append(f"{label},{key},{number},{number + 10},{split},0")
            if number != 3:
                name = f"{key}_{number:06d}_{number + 10:06d}.mp4"
                touch(tmp_path / place.format(split=split, label=label, name=name))
        touch(tmp_path / f"annotations/{split}.csv", "\n".join(lines) + "\n")
    touch(tmp_path / "test.csv", "youtube_id,time_start,time_end\na,0,10\n")
    with pytest.warns(UserWarning, match=r"1 of \d videos of \w+.csv are not there: -\w+_000003_"):
        manifest = read_manifest(tmp_path, layout="kinetics")
    assert manifest.class_names == ("riding a bike", "yoga")
    assert [len(manifest.select(split)) for split in ("train", "val", "test")] == [7, 3, 0]


def test_kinetics_without_any_video(tmp_path):
    touch(tmp_path / "train.csv", "label,youtube_id,time_start,time_end\nyoga,a,0,10\n")
    with pytest.raises(
        InputError, match=r"none of the 1 videos .*the first is a_000000_000010.mp4"
    ):
        read_manifest(tmp_path, layout="kinetics")
    touch(tmp_path / "train.csv", "label,id\nyoga,a\n")
    with pytest.raises(InputError, match=r"lacks the columns \['youtube_id', 'time_start'"):
        read_manifest(tmp_path, layout="kinetics")


def test_something_something(tmp_path):
    templates = (
        "Pulling [something] from left to right",
        "Pulling [something] from right to left",
        "Holding [something]",
    )
    for split, count in (("train", 6), ("validation", 3)):
        entries = [
            {"id": f"{split}{n}", "label": "x", "template": templates[n % 3], "placeholders": ["x"]}
            for n in range(count)
        ]
        touch(tmp_path / f"something-something-v2-{split}.json", json.dumps(entries))
        for entry in entries:
            touch(tmp_path / f"20bn-something-something-v2/{entry['id']}.webm")
    manifest = read_manifest(tmp_path, layout="something")
    assert manifest.class_names == tuple(
        sorted(t.replace("[", "").replace("]", "") for t in templates)
    )
    assert [len(manifest.select(split)) for split in ("train", "val", "test")] == [6, 3, 0]
    np.testing.assert_array_equal(mirror_labels(manifest.class_names), [0, 2, 1])
    touch(tmp_path / "something-something-v2-train.json", json.dumps([{"id": "1"}]))
    with pytest.raises(InputError, match="v2-train.json, entry 1: has no id and template"):
        read_manifest(tmp_path, layout="something")


@pytest.mark.parametrize(
    ("layout", "fold", "message"),
    [
        ("ucf11", 1, "unknown layout 'ucf11': did you mean 'ucf101'"),
        ("imagenet", 1, "known are ucf101, hmdb51, kinetics, something"),
        ("ucf101", 4, "UCF101 has the splits 1, 2, 3, got fold 4"),
        ("kinetics", 2, "Kinetics has one split, got fold 2"),
        ("ucf101", 1, r"has no 'ucfTrainTestlist/' or .*UCF101TrainTestSplits"),
        ("hmdb51", 1, "has no 'testTrainMulti_7030_splits/'"),
        ("kinetics", 1, "has neither train.csv nor val.csv"),
        ("something", 1, "has no '20bn-something-something-v2/' or 'videos/'"),
    ],
)
def test_what_is_missing_is_told(layout, fold, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read_manifest(tmp_path, layout=layout, fold=fold)


def test_missing_clips_of_a_complete_set_are_errors(ucf):
    (ucf / "UCF-101/YoYo/v_YoYo_g05_c01.avi").unlink()
    with pytest.raises(
        InputError, match=r"trainlist01.txt, line \d+: no file 'UCF-101/YoYo/v_YoYo"
    ):
        read_manifest(ucf, layout="ucf101")


@pytest.fixture
def charades_root(tmp_path):
    touch(
        tmp_path / "Charades/Charades_v1_classes.txt",
        "c000 Holding some clothes\nc001 Putting clothes somewhere\n",
    )
    for split, rows in {
        "train": [
            ("AAAAA", "P1", "c000 0.00 5.10;c001 2.00 9.00;c000 8.0 9.0"),
            ("BBBBB", "P2", ""),
        ],
        "test": [("CCCCC", "P3", "c001 0.00 3.00")],
    }.items():
        lines = [f'{name},{person},"a, b",{actions}' for name, person, actions in rows]
        touch(
            tmp_path / f"Charades/Charades_v1_{split}.csv",
            "\n".join(["id,subject,script,actions", *lines]) + "\n",
        )
        for name, _, _ in rows:
            touch(tmp_path / f"Charades_v1_480/{name}.mp4")
    return tmp_path


def test_charades(charades_root):
    manifest = read_manifest(charades_root, layout="charades")
    assert manifest.class_names == ("Holding some clothes", "Putting clothes somewhere")
    assert manifest.video_id(0) == "Charades_v1_480/AAAAA.mp4"
    assert [manifest.sets[i].tolist() for i in range(3)] == [[0, 1], [], [1]]
    assert [len(manifest.select(split)) for split in ("train", "val", "test")] == [2, 0, 1]
    assert [manifest.group(i) for i in range(3)] == ["P1", "P2", "P3"]


def test_charades_lists_what_is_missing(charades_root):
    (charades_root / "Charades_v1_480/AAAAA.mp4").unlink()
    with pytest.raises(InputError, match="Charades_v1_train.csv, line 2: no video AAAAA.mp4"):
        read_manifest(charades_root, layout="charades")
    (charades_root / "Charades/Charades_v1_classes.txt").write_text("c001 Putting clothes\n")
    with pytest.raises(InputError, match="unknown action 'c000'"):
        read_manifest(charades_root, layout="charades")
    with pytest.raises(InputError, match="has the splits 1, got fold 2"):
        read_manifest(charades_root, layout="charades", fold=2)
