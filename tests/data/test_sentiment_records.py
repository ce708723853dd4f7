"""Utterances and sets of them: columns, selections, and what is refused."""

import math
import pickle

import numpy as np
import pytest

from videolit.data.sentiment_records import SentimentSet, Utterance
from videolit.types import InputError


def small(**fields):
    settings = {
        "name": "small",
        "root": "here",
        "class_names": ("glad", "sad"),
        "score_range": (-3.0, 3.0),
        "affect_range": (1.0, 5.0),
        "utterances": (
            Utterance(id="a", text="hi", label="sad", score=-1.5, dialogue="d", turn=2),
            Utterance(id="b", text="oh", label="glad", valence=2.0, arousal=4.5, dialogue="d", turn=0),
            Utterance(id="c", text="no", split="test", dialogue="e", turn=0),
        ),
    }  # fmt: skip
    return SentimentSet(**(settings | fields))


def test_columns_say_what_is_not_told():
    data = small()
    assert data.labels().tolist() == [1, 0, -1]
    assert data.labels().dtype == np.int64
    np.testing.assert_array_equal(data.scores(), np.float32([-1.5, math.nan, math.nan]))
    nan = math.nan
    np.testing.assert_array_equal(data.affect(), np.float32([[nan, nan], [2, 4.5], [nan, nan]]))
    assert data.class_counts() == {"glad": 1, "sad": 1}
    assert data.has_splits
    assert data.rows("test").tolist() == [2]
    assert data.rows("val").tolist() == []


def test_selections_keep_the_order_asked_for():
    data = small()
    assert data.select([2, 0]).ids == ("c", "a")
    assert data.find(["c", "a"]).tolist() == [2, 0]
    with pytest.raises(InputError, match="small: no utterance 'd'.*'a', 'b', 'c'"):
        data.find(["d"])
    with pytest.raises(InputError, match="the data set has no utterance"):
        data.select([])


def test_dialogues_are_in_the_order_of_their_turns():
    found = {name: rows.tolist() for name, rows in small().dialogues().items()}
    assert found == {"d": [1, 0], "e": [2]}


def test_utterances_travel_to_other_processes():
    data = small()
    assert pickle.loads(pickle.dumps(data)).utterances == data.utterances


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"start": -1.0}, "x, start and end: expected 0 ≤ start < end, found -1.0 and None"),
        ({"start": 2.0, "end": 2.0}, "found 2.0 and 2.0"),
        ({"end": math.inf}, "found None and inf"),
        ({"start": math.nan}, "found nan and None"),
        ({"split": "dev"}, "x, split: expected train, val, test, found 'dev'"),
        ({"label": "angry"}, "here, x, label: expected glad, sad, found 'angry'"),
        ({"score": 3.5}, "here, x, score: expected -3 to 3, found 3.5"),
        ({"score": math.nan}, "x, score: expected -3 to 3, found nan"),
        ({"arousal": 0.5}, "x, arousal: expected 1 to 5, found 0.5"),
    ],
)
def test_impossible_values_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        small(utterances=(Utterance(id="x", **fields),))


def test_sets_refuse_what_two_utterances_or_classes_share():
    twice = (Utterance(id="x", text="a"), Utterance(id="x", text="b"))
    with pytest.raises(InputError, match="two utterances have the name 'x'"):
        small(utterances=twice)
    with pytest.raises(InputError, match="a class stands twice in glad, glad"):
        small(class_names=("glad", "glad"))
    with pytest.raises(InputError, match="score: expected none in this set, found 1"):
        small(score_range=None, utterances=(Utterance(id="x", score=1.0),))
    with pytest.raises(InputError, match="unknown split 'dev'"):
        small().rows("dev")
