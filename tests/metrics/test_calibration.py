"""Calibration, by hand."""

import math

import numpy as np
import pytest
import torch

from videolit.metrics import calibration_table, expected_calibration_error
from videolit.types import InputError


def test_bins_by_hand():
    confidence = [0.0, 0.2, 0.21, 0.55, 0.6, 0.99, 1.0]
    correct = [0, 1, 0, 1, 1, 1, 0]
    table = calibration_table(confidence, correct, num_bins=5)
    # Borders belong to the lower bin: 0.2 to the first, 0.6 to the third.
    assert [row["samples"] for row in table] == [2, 1, 2, 2]
    assert [(row["low"], row["high"]) for row in table] == [
        (0, 0.2),
        (0.2, 0.4),
        (0.4, 0.6),
        (0.8, 1),
    ]
    assert [row["accuracy"] for row in table] == [0.5, 0, 1, 0.5]
    assert table[2]["confidence"] == pytest.approx(0.575)
    expected = (2 * 0.4 + 1 * 0.21 + 2 * 0.425 + 2 * 0.495) / 7
    assert expected_calibration_error(table) == pytest.approx(expected)


def test_it_equals_the_formula_on_many_samples():
    rng = np.random.default_rng(0)
    confidence, correct = rng.random(5000), rng.random(5000) < 0.6
    found = expected_calibration_error(calibration_table(confidence, correct, 15))
    expected = 0.0
    for m in range(15):
        inside = (confidence > m / 15) & (confidence <= (m + 1) / 15)
        expected += abs(correct[inside].sum() - confidence[inside].sum()) / 5000
    assert found == pytest.approx(expected)


def test_right_probabilities_have_hardly_an_error():
    rng = np.random.default_rng(0)
    confidence = rng.random(20000)
    correct = rng.random(20000) < confidence
    assert expected_calibration_error(calibration_table(confidence, correct)) < 0.02
    assert expected_calibration_error(calibration_table(confidence, ~correct)) > 0.3


def test_edges():
    assert calibration_table([], []) == []
    assert math.isnan(expected_calibration_error([]))
    assert calibration_table(torch.tensor([1.0]), torch.tensor([True]))[0]["accuracy"] == 1
    with pytest.raises(InputError, match="must lie in"):
        calibration_table([1.2], [1])
    with pytest.raises(InputError, match="as many answers"):
        calibration_table([0.5, 0.5], [1])
