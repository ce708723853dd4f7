"""Splits: whole groups, all classes, the same ones every time, and no leak."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections import Counter

import numpy as np
import pytest

from videolit.data.divide import _by_group
from videolit.data.listing import read_manifest
from videolit.data.manifest import SPLITS, Manifest, Names
from videolit.data.split import split_manifest
from videolit.types import InputError


def make(rows, class_names=None):
    """Build a manifest of (path, label, group, split, start, end), of which the last may lack."""
    full = [(*row, *("", "", np.nan, np.nan)[len(row) - 2 :]) for row in rows]
    paths, labels, groups, splits, start, end = zip(*full, strict=True)
    classes = tuple(class_names or sorted(set(labels)))
    names = sorted(set(groups) - {""})

    def pack(texts):
        raw = [text.encode() for text in texts]
        return Names.pack(b"".join(raw), np.cumsum([len(r) for r in raw]))

    return Manifest(
        root="/data",
        paths=pack(paths),
        labels=np.array([classes.index(label) for label in labels]),
        class_names=classes,
        start=np.array(start, float),
        end=np.array(end, float),
        groups=np.array([names.index(g) if g else -1 for g in groups], np.int64),
        group_names=pack(names),
        splits=np.array([SPLITS.index(s) if s else -1 for s in splits], np.int8),
    )


def parts(splits):
    return [
        sorted(part.video_id(i) for i in range(len(part)))
        for part in (splits.train, splits.val, splits.test)
    ]


def group_sets(splits):
    return [
        {part.group(i) for i in range(len(part))}
        for part in (splits.train, splits.val, splits.test)
    ]


def refusal(call, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


def people(count, per_class=2, classes="abc"):
    return make(
        [
            (f"{c}/p{p}_{k}.mp4", c, f"P{p}")
            for p in range(count)
            for c in classes
            for k in range(per_class)
        ]
    )


# ---- by class


def test_fractions_are_met_for_every_class():
    manifest = make([(f"{c}/{i}.mp4", c) for c in "abcd" for i in range(100)])
    splits = split_manifest(manifest, val_fraction=0.2, test_fraction=0.1)
    assert splits.train.class_counts().tolist() == [70] * 4
    assert splits.val.class_counts().tolist() == [20] * 4
    assert splits.test.class_counts().tolist() == [10] * 4
    assert splits.val.splits.tolist() == [1] * 80
    splits.require("train", "val", "test")


def test_totals_are_met_where_classes_do_not_divide():
    manifest = make([(f"{c}/{i}.mp4", f"{c}") for c in range(20) for i in range(9)])
    splits = split_manifest(manifest)
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [126, 27, 27]


def test_ninety_nine_to_one():
    rows = [(f"a/{i}.mp4", "a") for i in range(297)] + [(f"b/{i}.mp4", "b") for i in range(3)]
    splits = split_manifest(make(rows))
    assert splits.train.class_counts().tolist() == [209, 1]
    assert splits.val.class_counts().tolist() == [44, 1]
    assert splits.test.class_counts().tolist() == [44, 1]


def test_row_order_does_not_matter_and_seeds_do():
    rows = [(f"{c}/{i}.mp4", c, f"g{i // 2}") for c in "abc" for i in range(30)]
    shuffled = rows.copy()
    random.Random(3).shuffle(shuffled)
    for drop in (3, 2):  # with groups, without groups
        first = parts(split_manifest(make([row[:drop] for row in rows]), seed=1))
        assert first == parts(split_manifest(make([row[:drop] for row in shuffled]), seed=1))
        assert first != parts(split_manifest(make([row[:drop] for row in rows]), seed=2))


def test_the_choice_is_the_same_in_every_version():
    # Worked out once: a change here moves samples of users between train and test.
    manifest = make([(f"{c}/{i}.mp4", c) for c in "ab" for i in range(5)])
    expected = [["a/4.mp4", "b/1.mp4"], ["a/2.mp4", "b/4.mp4"]]
    assert parts(split_manifest(manifest, seed=0))[1:] == expected
    assert group_sets(split_manifest(people(6), seed=0))[1:] == [{"P3"}, {"P4"}]


def test_segments_of_one_file_stay_together():
    rows = [(f"{i}.mp4", "ab"[k % 2], "", "", k, k + 1) for i in range(20) for k in range(6)]
    splits = split_manifest(make(rows))
    train, val, test = (set(files) for files in parts(splits))
    assert not train & val
    assert not train & test
    assert not val & test
    assert [len(files) for files in (train, val, test)] == [14, 3, 3]


# ---- by group


def test_groups_are_whole_and_sizes_near():
    splits = split_manifest(people(20))
    train, val, test = group_sets(splits)
    assert len(train | val | test) == len(train) + len(val) + len(test) == 20
    assert [len(train), len(val), len(test)] == [14, 3, 3]


def test_classes_stay_balanced_with_uneven_groups():
    # Half of the people do only a, half only b: three of each is the balanced choice.
    rows = [(f"p{p}/{k}.mp4", "ab"[p % 2], f"P{p}") for p in range(40) for k in range(4)]
    for seed in range(5):
        splits = split_manifest(make(rows), seed=seed)
        assert splits.val.class_counts().tolist() == [12, 12]
        assert splits.test.class_counts().tolist() == [12, 12]


def test_one_huge_group_goes_to_train():
    rows = [(f"big/{i}.mp4", "ab"[i % 2], "big") for i in range(200)]
    rows += [(f"s{g}/{i}.mp4", "ab"[i], f"s{g}") for g in range(10) for i in range(2)]
    for seed in range(5):
        train, val, test = group_sets(split_manifest(make(rows), seed=seed))
        assert "big" in train
        assert val
        assert test


def test_division_of_few_groups_is_the_best_one():
    rng = random.Random(0)
    for _ in range(5):
        counts = [Counter({c: rng.randint(1, 9) for c in range(3)}) for _ in range(7)]
        shares = {1: 0.2, 2: 0.2}

        def misfit(place, counts=counts, shares=shares):
            total = 0.0
            for split, share in {0: 0.6, **shares}.items():
                held = [g for g, p in zip(counts, place, strict=True) if p == split]
                if not held:
                    return np.inf
                sums = [(sum(g[c] for g in held), sum(g[c] for g in counts)) for c in range(3)]
                sums += [tuple(map(sum, zip(*sums, strict=True)))] * 3
                total += sum((have - share * n) ** 2 / (share * n) for have, n in sums)
            return total

        best = min(map(misfit, itertools.product(range(3), repeat=7)))
        rows = [
            (f"{g}/{c}/{k}.mp4", str(c), f"P{g}")
            for g, count in enumerate(counts)
            for c, number in count.items()
            for k in range(number)
        ]
        chosen = group_sets(split_manifest(make(rows), val_fraction=0.2, test_fraction=0.2))
        place = [next(s for s in range(3) if f"P{g}" in chosen[s]) for g in range(7)]
        assert misfit(place) == pytest.approx(best)
        told, place = _by_group(counts, range(7), shares)
        assert told == pytest.approx(misfit(place))


@pytest.mark.parametrize("case", range(40))
def test_random_manifests(case):
    rng = random.Random(case)
    num_groups = rng.choice([0, 4, 9, 30])
    num_classes = rng.randint(2, 6)
    rows = [
        (f"{i}.mp4", str(rng.randrange(num_classes)), f"g{rng.randrange(num_groups)}")
        if num_groups
        else (f"{i}.mp4", str(rng.randrange(num_classes)))
        for i in range(rng.randint(40, 120))
    ]
    manifest = make(rows)
    fractions = {"val_fraction": rng.choice([0.1, 0.3]), "test_fraction": rng.choice([0.0, 0.25])}
    splits = split_manifest(manifest, seed=case, **fractions)
    listed = parts(splits)
    assert sorted(itertools.chain(*listed)) == sorted(row[0] for row in rows)
    assert len(splits.train)
    assert len(splits.val)
    assert bool(len(splits.test)) == (fractions["test_fraction"] > 0)
    if num_groups:
        train, val, test = group_sets(splits)
        assert not train & val
        assert not train & test
        assert not val & test
        return
    wanted = [split for split in (splits.val, splits.test) if len(split)]
    for label, count in enumerate(manifest.class_counts()):
        if count >= 3:
            assert splits.train.class_counts()[label]
            assert all(split.class_counts()[label] for split in wanted)
    slack = num_classes  # each class may need one sample more than its share
    assert abs(len(splits.val) - fractions["val_fraction"] * len(rows)) <= slack
    assert abs(len(splits.test) - fractions["test_fraction"] * len(rows)) <= slack


def test_too_few_groups():
    message = refusal(split_manifest, people(2))
    assert "2 groups (P0, P1) cannot fill the splits train, val, test" in message
    splits = split_manifest(people(2), test_fraction=0)
    assert [len(groups) for groups in group_sets(splits)] == [1, 1, 0]


# ---- named groups


def test_leave_one_person_out():
    splits = split_manifest(people(4), test_groups=["P1"], val_groups=["P3"])
    assert group_sets(splits) == [{"P0", "P2"}, {"P3"}, {"P1"}]
    splits.require("train", "val", "test")


def test_val_is_split_off_the_other_people():
    splits = split_manifest(people(8), test_groups=["P1"])
    train, val, test = group_sets(splits)
    assert test == {"P1"}
    assert len(val) == 1
    assert len(train) == 6


def test_unknown_contradicting_and_missing_groups():
    message = refusal(split_manifest, people(4), test_groups=["P9", "p1"], val_groups=["nobody"])
    assert "test_groups: no group 'p1'; did you mean 'P1'" in message
    assert "test_groups: no group 'P9'; known: 'P0', 'P1', 'P2', 'P3'" in message
    assert "val_groups: no group 'nobody'; known: 'P0', 'P1', 'P2', 'P3'" in message
    message = refusal(split_manifest, people(4), test_groups=["P1"], val_groups=["P1"])
    assert "'P1' is in val_groups and in test_groups" in message
    plain = make([(f"{i}.mp4", "a") for i in range(9)])
    assert "has no groups" in refusal(split_manifest, plain, test_groups=["P1"])
    named = make([("1.mp4", "a", "P1", "train"), ("2.mp4", "a", "P2", "test")])
    message = refusal(split_manifest, named, test_groups=["P1"])
    assert "test_groups is set, but the data names its test samples itself" in message


# ---- splits that the data names


def test_named_splits_stay():
    rows = [(f"{i}.mp4", "ab"[i % 2], "", SPLITS[i // 4]) for i in range(12)]
    splits = split_manifest(make(rows))
    assert parts(splits) == [sorted(f"{i}.mp4" for i in range(k, k + 4)) for k in (0, 4, 8)]


def test_missing_val_comes_from_train_and_missing_test_stays_empty():
    rows = [(f"{i}.mp4", "ab"[i % 2], "", "train") for i in range(40)]
    splits = split_manifest(make([*rows, ("t.mp4", "a", "", "test")]))
    assert parts(splits)[2] == ["t.mp4"]
    assert [len(part) for part in (splits.train, splits.val)] == [34, 6]
    splits = split_manifest(make(rows))
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [34, 6, 0]
    splits.require("train", "val")
    message = refusal(splits.require, "test")
    assert "the test split is empty: the data names its splits and none" in message
    assert "add a folder test" in message


def test_only_test_is_named():
    rows = [(f"{i}.mp4", "ab"[i % 2]) for i in range(40)]
    splits = split_manifest(make([*rows, ("t.mp4", "a", "", "test")]))
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [34, 6, 1]
    only = split_manifest(make([("t.mp4", "a", "", "test")]))
    only.require("test")
    assert "the data names no training samples" in refusal(only.require, "train")


def test_some_samples_without_split_beside_named_train():
    rows = [("1.mp4", "a", "", "train"), ("2.mp4", "a")]
    message = refusal(split_manifest, make(rows))
    assert "1 of 2 samples have no split" in message
    assert "'2.mp4'" in message


def test_groups_in_two_named_splits_are_a_leak():
    rows = [
        ("1.mp4", "a", "P1", "train"),
        ("2.mp4", "a", "P1", "val"),
        ("3.mp4", "a", "P2", "test"),
    ]
    message = refusal(split_manifest, make(rows))
    assert "group 'P1' is in train and val" in message
    assert "P2" not in message
    splits = split_manifest(make(rows), allow_group_overlap=True)
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("first", "second", "leaks"),
    [
        ((np.nan, np.nan), (np.nan, np.nan), True),
        ((np.nan, np.nan), (3, 4), True),
        ((1, 3), (2, 4), True),
        ((1, 10), (2, 3), True),
        ((1, 2), (2, 3), False),
        ((2, np.nan), (np.nan, 2), False),
    ],
)
def test_the_same_part_of_a_file_in_two_splits_is_a_leak(first, second, leaks):
    rows = [("1.mp4", "a", "", "train", *first), ("1.mp4", "a", "", "test", *second)]
    rows += [("2.mp4", "a", "", "val"), ("3.mp4", "a", "", "train")]
    for manifest in (make(rows), make(rows[::-1])):
        if leaks:
            message = refusal(split_manifest, manifest, allow_group_overlap=True)
            assert "the same part of '1.mp4' is in" in message
            assert "train" in message.splitlines()[1]
        else:
            split_manifest(manifest)


# ---- what training refuses


def test_classes_without_training_samples_and_empty_splits_in_one_message():
    rows = [("1.mp4", "a", "", "train"), ("2.mp4", "b", "", "test"), ("3.mp4", "b", "", "test")]
    splits = split_manifest(make(rows, ["a", "b", "c"]), val_fraction=0)
    message = refusal(splits.require, "train", "val")
    assert "the val split is empty: val_fraction is 0" in message
    assert "class 'b' has no training sample (2 in test)" in message
    assert "class 'c' has no training sample (none anywhere)" in message
    assert "class 'a'" not in message
    splits.require("test")


def test_samples_too_few_for_val():
    splits = split_manifest(make([("1.mp4", "a"), ("2.mp4", "b")]))
    splits.require("train")
    assert "2 samples are too few" in refusal(splits.require, "val")


def test_class_of_one_group_is_kept_for_training():
    rows = [(f"p{p}/{c}{k}.mp4", c, f"P{p}") for p in range(6) for c in "ab" for k in range(3)]
    rows += [(f"p5/c{k}.mp4", "c", "P5") for k in range(3)]
    for seed in range(8):
        splits = split_manifest(make(rows), seed=seed)
        assert "P5" in group_sets(splits)[0]
        splits.require("train", "val", "test")


@pytest.mark.parametrize(("val", "test"), [(-0.1, 0.1), (0.5, 0.5), (1.0, 0.0), (float("nan"), 0)])
def test_bad_fractions(val, test):
    manifest = make([("1.mp4", "a")])
    message = refusal(split_manifest, manifest, val_fraction=val, test_fraction=test)
    assert "val_fraction and test_fraction" in message


def test_the_manifest_given_is_left_alone():
    manifest = people(5)
    before = dataclasses.replace(manifest, splits=manifest.splits.copy())
    split_manifest(manifest)
    assert (manifest.splits == before.splits).all()


# ---- recorded data


@pytest.mark.real
def test_recorded_sets(real_data):
    gestures = read_manifest(real_data / "gestures")
    splits = split_manifest(gestures, test_groups=["S1"], val_groups=["S2"])
    assert group_sets(splits)[1:] == [{"S2"}, {"S1"}]
    splits.require("train", "val", "test")
    fights = read_manifest(real_data / "fights" / "manifest.csv")
    for seed in range(5):
        splits = split_manifest(fights, seed=seed)
        train, val, test = group_sets(splits)
        assert len(train | val | test) == len(train) + len(val) + len(test)
        for part in (splits.val, splits.test):
            assert abs(len(part) - 45) <= 2
            assert part.class_counts().min() >= 18
        splits.require("train", "val", "test")


def test_the_order_of_the_classes_does_not_move_samples(tmp_path):
    """Else a test with classes in another order would meet samples of the training."""
    for name in "abcd":
        (tmp_path / name).mkdir()
        for number in range(5 + ord(name) % 3):
            (tmp_path / name / f"{number}.mp4").write_bytes(b"x")
    found = []
    for names in (None, ["d", "b", "a", "c"], ["c", "d", "b", "a"]):
        splits = split_manifest(read_manifest(tmp_path, class_names=names), seed=3)
        found.append(
            [
                sorted(part.video_id(i) for i in range(len(part)))
                for part in (splits.train, splits.val, splits.test)
            ]
        )
    assert found[0] == found[1] == found[2]
