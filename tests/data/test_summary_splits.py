"""Published split files of summary data sets, and folds of one's own."""

import json
import re
import warnings
from collections import Counter

import numpy as np
import pytest

from videolit.data.summary_records import SummaryRecord, SummarySet
from videolit.data.summary_splits import (
    Fold,
    inner_validation,
    make_folds,
    read_summary_splits,
    videos_in_tests,
)
from videolit.types import InputError


def summary_set(ids, name="tvsum"):
    records = [
        SummaryRecord(
            video_id=video, name="", source="x.h5", group=video, num_features=4, num_frames=9,
            fps=None, picks=np.arange(3),
        )
        for video in ids
    ]  # fmt: skip
    return SummarySet(name=name, records=tuple(records))


IDS = tuple(f"video_{k}" for k in range(1, 11))
DATA = summary_set(IDS)
# A cross-validation of two folds.
PARTS = [(IDS[:5], IDS[5:]), (IDS[5:], IDS[:5])]


def write(path, parts=PARTS, prefix=""):
    train_test = [
        ([prefix + k for k in train], [prefix + k for k in test]) for train, test in parts
    ]
    if path.suffix == ".txt":
        lines = [
            f"TVSum/split{number}/{','.join(train)}/{','.join(test)}\n"
            for number, (train, test) in enumerate(train_test)
        ]
        path.write_text("".join(lines))
    elif path.suffix == ".json":
        table = [{"train_keys": train, "test_keys": test} for train, test in train_test]
        path.write_text(json.dumps(table))
    else:
        lines = []
        for train, test in train_test:
            lines += ["- test_keys:", *(f"  - {k}" for k in test)]
            lines += ["  train_keys:", *(f"  - {k}" for k in train)]
        path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("tvsum_splits.json", ""),
        ("tvsum_splits.json", "../data/TVSum/eccv16_dataset_tvsum_google_pool5.h5/"),
        ("tvsum_aug_splits.json", "eccv16_dataset_tvsum_google_pool5/"),
        ("tvsum.yml", "../datasets/eccv16_dataset_tvsum_google_pool5.h5/"),
        ("TVSum_splits.txt", ""),
    ],
)
def test_every_published_format_gives_the_same_folds(tmp_path, name, prefix):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folds = read_summary_splits(write(tmp_path / name, prefix=prefix), DATA)
    assert folds == tuple(Fold(train, test) for train, test in PARTS)
    assert videos_in_tests(folds) == IDS


def test_random_divisions_are_told_from_a_cross_validation(tmp_path):
    path = write(tmp_path / "s.json", [(IDS[:8], IDS[8:]), (IDS[1:9], (IDS[0], IDS[9]))])
    told = (
        r"s.json is no cross-validation: its 2 splits test 3 of 10 videos, up to 2 times; compare"
    )
    with pytest.warns(UserWarning, match=told):
        folds = read_summary_splits(path, DATA)
    assert videos_in_tests(folds) == ("video_1", "video_9", "video_10")


def test_all_videos_tested_some_of_them_twice_is_no_cross_validation(tmp_path):
    path = write(tmp_path / "s.json", [(IDS[:5], IDS[5:]), (IDS[6:], IDS[:6])])
    with pytest.warns(UserWarning, match="test 10 of 10 videos, up to 2 times"):
        read_summary_splits(path, DATA)


def test_names_with_folders_are_names(tmp_path):
    data = summary_set(["train/000.mp4", "test/000.mp4"], "mine")
    path = write(tmp_path / "s.json", [(("train/000.mp4",), ("test/000.mp4",))])
    with pytest.warns(UserWarning, match="test 1 of 2"):
        (fold,) = read_summary_splits(path, data)
    assert fold == Fold(("train/000.mp4",), ("test/000.mp4",))


MISTAKES = {
    "split 1: expected videos of tvsum, found 'video_11'; it has video_1, video_2, video_3": [
        (IDS[:5], ("video_11",))
    ],
    "split 1: video_5 is in train and in test (1 such videos)": [(IDS[:5], IDS[4:])],
    "split 2: expected videos in train and in test": [(IDS[:5], IDS[5:]), (IDS[:5], ())],
    "is a video of ovp, and the data set is tvsum": [
        ((*IDS[:5], "eccv16_dataset_ovp_google_pool5/video_1"), IDS[5:])
    ],
    "has no split": [],
}


@pytest.mark.parametrize("message", MISTAKES)
def test_splits_that_do_not_fit_the_set_are_refused(tmp_path, message):
    with pytest.raises(InputError, match=re.escape(message)):
        read_summary_splits(write(tmp_path / "s.json", MISTAKES[message]), DATA)


def test_splits_of_another_set_are_refused(tmp_path):
    path = write(tmp_path / "splits.txt")
    with pytest.raises(InputError, match="'TVSum/video_1' is a video of tvsum, .* set is summe"):
        read_summary_splits(path, summary_set(IDS, "summe"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("s.json", "[{", "as splits: .*; expected a list of objects with train_keys"),
        ("s.json", '[{"train": []}]', "as splits: 'train_keys'; expected"),
        ("s.json", "3", "as splits: .*; expected"),
        ("s.yml", "a: [", "as splits: .*; expected"),
        ("s.txt", "video_1,video_2", "line 1: expected <set>/<split>/<train>/<test>"),
        ("none.json", None, "cannot read"),
    ],
)
def test_files_that_are_no_splits_are_refused(tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_summary_splits(tmp_path / name, DATA)


@pytest.mark.parametrize(("count", "num_folds"), [(25, 5), (50, 5), (7, 3), (4, 4)])
def test_each_video_is_tested_once(count, num_folds):
    ids = [f"video_{k}" for k in range(count)]
    folds = make_folds(ids, num_folds, seed=3)
    assert Counter(video for fold in folds for video in fold.test) == Counter(ids)
    for fold in folds:
        assert sorted((*fold.train, *fold.test)) == sorted(ids)
        assert len(fold.test) in (count // num_folds, -(-count // num_folds))


def test_folds_depend_on_the_videos_and_the_seed_alone():
    assert make_folds(IDS) == make_folds(reversed(IDS))
    assert make_folds(IDS, seed=0) != make_folds(IDS, seed=1)
    # Random, not the videos in a row.
    assert make_folds(IDS)[0].test != IDS[:2]


def test_folds_need_videos():
    with pytest.raises(InputError, match="num_folds must be 2 to 10, the number of videos, got 11"):
        make_folds(IDS, 11)
    with pytest.raises(InputError, match="got 1"):
        make_folds(IDS, 1)


def test_validation_is_divided_off_train_anew_for_each_fold():
    train, val = inner_validation(IDS, 0.3)
    assert len(val) == 3
    assert sorted(train + val) == sorted(IDS)
    assert inner_validation(reversed(IDS), 0.3) == (train, val)
    assert len({inner_validation(IDS, 0.3, fold=fold)[1] for fold in range(5)}) > 1
    assert len({inner_validation(IDS, 0.3, seed=seed)[1] for seed in range(5)}) > 1
    assert [len(part) for part in inner_validation(IDS[:2], 0.01)] == [1, 1]


def test_validation_leaves_videos_to_train_with():
    with pytest.raises(InputError, match="fraction must be between 0 and 1, got 1"):
        inner_validation(IDS, 1)
    with pytest.raises(InputError, match="1 videos cannot be divided"):
        inner_validation(IDS[:1])
