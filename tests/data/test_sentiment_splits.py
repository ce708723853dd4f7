"""Splits and folds of sentiment sets: published ones stay, nothing leaks."""

import pytest

from videolit.data.sentiment_records import SentimentSet, Utterance
from videolit.data.sentiment_splits import group_folds, sentiment_folds, split_sentiment
from videolit.types import InputError

LABELS = ("calm", "glad", "sad")


def actors(root, num_actors=6, clips=6, **fields):
    """Clips of actors, with files whose bytes differ."""
    utterances = []
    for actor in range(1, num_actors + 1):
        for clip in range(clips):
            path = root / f"{actor:02d}_{clip}.wav"
            path.write_bytes(b"%d %d" % (actor, clip))
            utterances.append(
                Utterance(
                    id=path.stem,
                    path=str(path),
                    group=f"{actor}",
                    label=LABELS[clip % 3],
                    **fields,
                )
            )
    return SentimentSet(
        name="acted", root=str(root), utterances=tuple(utterances), class_names=LABELS
    )


def groups(data, rows):
    return {data.utterances[row].group for row in rows}


def test_actors_are_kept_apart_and_nothing_is_lost(tmp_path):
    data = actors(tmp_path)
    for seed in range(5):
        splits = split_sentiment(data, val_fraction=0.2, test_fraction=0.2, seed=seed)
        parts = [groups(data, rows) for rows in (splits.train, splits.val, splits.test)]
        assert [len(part) for part in parts] == [4, 1, 1]
        assert set.union(*parts) == set("123456")
        rows = [*splits.train, *splits.val, *splits.test]
        assert sorted(rows) == list(range(len(data)))


def test_the_order_of_the_rows_changes_nothing(tmp_path):
    data = actors(tmp_path)
    turned = data.select(range(len(data))[::-1])
    ids = [split_sentiment(each, seed=3).part("test").ids for each in (data, turned)]
    assert sorted(ids[0]) == sorted(ids[1])


def test_named_actors_are_held_out(tmp_path):
    data = actors(tmp_path)
    splits = split_sentiment(data, val_groups=["2"], test_groups=["5", "6"])
    assert groups(data, splits.val) == {"2"}
    assert groups(data, splits.test) == {"5", "6"}
    with pytest.raises(InputError, match="test_groups: no group '9'"):
        split_sentiment(data, test_groups=["9"])


def test_folds_are_neighbours_and_the_longer_come_last(tmp_path):
    data = actors(tmp_path, num_actors=11, clips=1)
    names = [str(number) for number in range(1, 12)]
    assert group_folds(data, 3) == (tuple(names[:3]), tuple(names[3:7]), tuple(names[7:]))
    mixed = group_folds(data, 3, seed=1)
    assert mixed != group_folds(data, 3)
    assert sorted(name for fold in mixed for name in fold) == sorted(names)
    assert mixed == group_folds(data.select(range(11)[::-1]), 3, seed=1)
    assert mixed != group_folds(data, 3, seed=2)
    with pytest.raises(InputError, match="expected 2 to 11 folds, as there are groups, got 12"):
        group_folds(data, 12)


def test_every_actor_is_tested_once_and_validated_by_others(tmp_path):
    data = actors(tmp_path)
    folds = sentiment_folds(data, 3, val_fraction=0.25)
    assert [groups(data, fold.test) for fold in folds] == [{"1", "2"}, {"3", "4"}, {"5", "6"}]
    for fold in folds:
        parts = [groups(data, rows) for rows in (fold.train, fold.val, fold.test)]
        assert [len(part) for part in parts] == [3, 1, 2]
        assert len(set.union(*parts)) == 6


def test_folds_need_groups(tmp_path):
    data = SentimentSet(
        name="x",
        root=str(tmp_path),
        utterances=(Utterance(id="a", text="a"), Utterance(id="b", text="b", group="1")),
    )
    with pytest.raises(InputError, match="1 of 2 utterances have no group"):
        group_folds(data, 2)


def words(*rows, **fields):
    """Utterances without files: name, split, group, speaker."""
    return SentimentSet(
        name="words",
        root="words",
        utterances=tuple(
            Utterance(id=name, text=name, split=split, group=group, speaker=speaker, label="glad")
            for name, split, group, speaker in rows
        ),
        class_names=("glad",),
        **fields,
    )


def test_published_splits_stay(tmp_path):
    data = words(
        ("a", "train", "1", ""), ("b", "val", "2", ""), ("c", "test", "3", ""), ("d", "train", "", "")
    )  # fmt: skip
    splits = split_sentiment(data)
    assert [rows.tolist() for rows in (splits.train, splits.val, splits.test)] == [[0, 3], [1], [2]]
    with pytest.raises(InputError, match="the data names its test samples itself"):
        split_sentiment(data, test_groups=["1"])


def test_a_missing_val_comes_off_train():
    rows = [(f"t{i}", "train", f"g{i}", "") for i in range(8)] + [("c", "test", "x", "")]
    splits = split_sentiment(words(*rows), val_fraction=0.25)
    assert splits.test.tolist() == [8]
    assert len(splits.val) == 2
    assert not set(splits.val) & set(splits.train)


def test_an_empty_part_says_why():
    splits = split_sentiment(words(("a", "train", "", ""), ("b", "val", "", "")))
    with pytest.raises(InputError, match="the test split is empty: the data names its splits"):
        splits.part("test")
    with pytest.raises(InputError, match="unknown split 'dev'"):
        splits.part("dev")


def test_a_group_in_two_splits_is_refused_unless_allowed():
    data = words(("a", "train", "film", ""), ("b", "test", "film", ""), ("c", "val", "", ""))
    with pytest.raises(InputError, match="group 'film' is in train and test"):
        split_sentiment(data)
    assert split_sentiment(data, allow_leaks=True).test.tolist() == [1]


def test_a_speaker_in_two_splits_is_refused_unless_published_so():
    rows = (("a", "train", "1", "ann"), ("b", "test", "2", "ann"), ("c", "val", "", ""))
    with pytest.raises(InputError, match=r"speaker 'ann' is in train and test\nkeep them"):
        split_sentiment(words(*rows))
    split_sentiment(words(*rows), allow_leaks=True)
    split_sentiment(words(*rows, shared_speakers=True))


def test_a_speaker_who_is_the_group_is_told_once():
    data = words(("a", "train", "ann", "ann"), ("b", "test", "ann", "ann"), ("c", "val", "", ""))
    with pytest.raises(InputError) as told:
        split_sentiment(data)
    assert str(told.value).count("'ann'") == 1


@pytest.mark.parametrize("size", [10, 70_000])
def test_files_of_equal_bytes_in_two_splits_are_refused(tmp_path, size):
    contents = {"a": b"x" * size, "b": b"x" * size, "c": b"x" * (size - 1) + b"y", "d": b"z"}
    splits = {"a": "train", "b": "test", "c": "val", "d": "val"}
    for name, content in contents.items():
        (tmp_path / f"{name}.wav").write_bytes(content)
    data = SentimentSet(
        name="copies",
        root=str(tmp_path),
        utterances=tuple(
            Utterance(id=name, path=str(tmp_path / f"{name}.wav"), split=split)
            for name, split in splits.items()
        ),
    )
    with pytest.raises(InputError, match=r"equal bytes: .*a\.wav in train and .*b\.wav in test\n"):
        split_sentiment(data)
    assert split_sentiment(data, allow_leaks=True).test.tolist() == [1]


def test_the_same_part_of_a_file_is_always_refused(tmp_path):
    path = str(tmp_path / "a.mp4")
    (tmp_path / "a.mp4").write_bytes(b"x")
    times = ((0.0, 2.0, "train"), (1.0, 3.0, "test"), (5.0, 6.0, "val"))

    def film(times):
        return SentimentSet(
            name="film",
            root=str(tmp_path),
            utterances=tuple(
                Utterance(id=str(i), path=path, start=start, end=end, split=split)
                for i, (start, end, split) in enumerate(times)
            ),
        )

    with pytest.raises(InputError, match=r"the same part of 'a\.mp4' is in train and test"):
        split_sentiment(film(times), allow_leaks=True)
    # Other parts of it are.
    split_sentiment(film((times[0], (2.0, 3.0, "test"), times[2])))
