"""From overlapping windows to moments and stretches."""

from __future__ import annotations

import math

import numpy as np
import pytest

from videolit.commands.sentiment_moments import (
    mean_weights,
    moments_of,
    polarity,
    shares_of,
    stretches_of,
)


def record(windows, classes=("glad", "sad"), score_range=None, affect_range=None, seconds=10):
    """A record of windows: start, end, probabilities or None, numbers."""
    model = {
        "classes": list(classes),
        "score_range": score_range,
        "affect_range": affect_range,
        "modalities": ["sound", "text"],
    }
    rows = []
    for start, end, probabilities, numbers, weights in windows:
        answer = {"label": None}
        if weights:
            answer = {"label": "x", **numbers}
            answer["probabilities"] = dict(zip(classes, probabilities, strict=True))
        own = {
            name: {"used": True, "weight": weights[name]}
            if name in weights
            else {"used": False, "missing": "why"}
            for name in ("video", "sound", "text")
        }
        rows.append({"start": start, "end": end, **answer, "modalities": own})
    return {"model": model, "windows": rows, "source": {"duration": seconds}}


BOTH = {"sound": 0.6, "text": 0.4}


def test_a_moment_is_the_mean_of_the_windows_that_cover_it():
    rng = np.random.default_rng(0)
    starts = 2.0 * np.arange(8)
    windows = []
    for start in starts:
        share = float(rng.random())
        weights = {"sound": 1.0} if start == 6 else {} if start in (0, 10, 12) else BOTH
        windows.append((start, start + 5.0, (share, 1 - share), {"score": 4 * share - 2}, weights))
    found = moments_of(record(windows, score_range=[-3, 3]))
    known = [each for each in windows if each[4]]
    assert found.edges[0] == 2
    for first, last, row in zip(found.edges, found.edges[1:], range(99), strict=False):
        middle = (first + last) / 2
        over = [each for each in known if each[0] <= middle < each[1]]
        if not over:
            assert found.labels[row] == -1
            continue
        mean = np.mean([each[2] for each in over], 0)
        np.testing.assert_allclose(found.probabilities[row], mean)
        assert found.score[row] == pytest.approx(np.mean([each[3]["score"] for each in over]))
        assert found.labels[row] == mean.argmax()
        shares = [each[4].get("text", 0.0) for each in over]
        assert found.weights[row, 1] == pytest.approx(np.mean(shares))
        assert found.used[row, 1] == pytest.approx(np.mean([s > 0 for s in shares]))


def test_stretches_have_one_label_and_the_means_over_their_time():
    windows = [
        (0, 2, (0.9, 0.1), {}, BOTH),
        (2, 4, (0.7, 0.3), {}, BOTH),
        (4, 5, (0.2, 0.8), {}, BOTH),
        (5, 7, (0.5, 0.5), {}, {}),
        (7, 10, (0.4, 0.6), {}, BOTH),
    ]
    found = moments_of(record(windows))
    parts = stretches_of(found)
    assert [(p["start"], p["end"], p["label"]) for p in parts] == [
        (0, 4, "glad"),
        (4, 5, "sad"),
        (7, 10, "sad"),
    ]
    assert [p["probability"] for p in parts] == pytest.approx([0.8, 0.8, 0.6])
    assert shares_of(parts, found.names) == {"glad": 0.5, "sad": 0.5}


def test_mean_weights_count_a_missing_modality_as_0_and_sum_to_1():
    windows = [
        (0, 2, (0.9, 0.1), {}, BOTH),
        (2, 4, (0.7, 0.3), {}, {"sound": 1.0}),
        (4, 6, (), {}, {}),
    ]
    assert mean_weights(record(windows)) == pytest.approx({"sound": 0.8, "text": 0.2})
    assert mean_weights(record(windows[2:])) == {"sound": 0.0, "text": 0.0}


def test_nothing_known_is_one_moment_without_a_label():
    found = moments_of(record([(0, 4, (), {}, {}), (2, 6, (), {}, {})], seconds=6))
    assert found.labels.tolist() == [-1]
    assert found.edges.tolist() == [0, 6]
    assert stretches_of(found) == []
    assert shares_of([], found.names) == {}


@pytest.mark.parametrize("bounds", [(-3, 3), (-1, 1), (0, 10), (1, 5)])
def test_neutral_is_what_is_rounded_to_0_on_a_scale_of_seven(bounds):
    middle, half = sum(bounds) / 2, (bounds[1] - bounds[0]) / 2
    for value in np.linspace(-3.4, 3.4, 69):
        if abs(abs(value) - 0.5) < 1e-9:
            continue
        expected = ("negative", "neutral", "positive")[int(np.sign(math.floor(value + 0.5))) + 1]
        assert polarity(middle + half * value / 3, bounds) == expected


def test_a_score_without_classes_gives_polarities():
    windows = [
        (0, 2, (), {"score": 2.0}, BOTH),
        (1, 3, (), {"score": -2.5}, BOTH),
        (2, 4, (), {"score": -2.0}, BOTH),
    ]
    found = moments_of(record(windows, classes=(), score_range=[-3, 3]))
    parts = stretches_of(found)
    assert [(p["label"], p["score"]) for p in parts] == [
        ("positive", 2.0),
        ("neutral", -0.25),
        ("negative", pytest.approx(-2.125)),
    ]
    affect = [(0, 2, (), {"valence": -0.5, "arousal": 0.9}, BOTH)]
    (part,) = stretches_of(moments_of(record(affect, classes=(), affect_range=[-1, 1])))
    assert part == {"start": 0, "end": 2, "label": "negative", "valence": -0.5, "arousal": 0.9}
