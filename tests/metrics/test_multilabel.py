"""Several labels: average precision and F1."""

import math

import pytest
import torch
from torchmetrics.functional.classification import (
    multilabel_average_precision,
    multilabel_f1_score,
)

from videolit.metrics import (
    SampleScores,
    average_precision,
    f1_scores,
    mean_average_precision,
)
from videolit.types import InputError


def test_average_precision_by_hand():
    scores = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    target = torch.tensor([[1, 1], [0, 0], [1, 0], [0, 0]])
    # First class: hits at ranks 1 and 3. Second class: the hit at rank 4.
    expected = torch.tensor([(1 / 1 + 2 / 3) / 2, 1 / 4], dtype=torch.float64)
    torch.testing.assert_close(average_precision(scores, target), expected)


def test_equal_scores_share_a_threshold():
    target = torch.tensor([[1], [0], [0], [1]])
    assert average_precision(torch.full((4, 1), 0.5), target).item() == pytest.approx(0.5)
    assert average_precision(torch.full((4, 1), 0.5), target.flip(0)).item() == pytest.approx(0.5)


def test_it_agrees_with_an_independent_implementation():
    torch.manual_seed(0)
    scores = (torch.rand(200, 7) * 20).round() / 20
    target = (torch.rand(200, 7) < torch.linspace(0.02, 0.6, 7)).long()
    target[:, 3] = 0
    expected = multilabel_average_precision(scores, target, num_labels=7, average=None).double()
    found = average_precision(scores, target)
    assert math.isnan(found[3])
    keep = torch.arange(7) != 3
    torch.testing.assert_close(found[keep], expected[keep], rtol=1e-5, atol=1e-6)
    assert mean_average_precision(scores, target) == pytest.approx(float(expected[keep].mean()))


def test_f1_agrees_with_an_independent_implementation():
    torch.manual_seed(1)
    scores, target = torch.rand(100, 5), (torch.rand(100, 5) < 0.4).long()
    micro, macro = f1_scores(scores, target)
    assert micro == pytest.approx(float(multilabel_f1_score(scores, target, 5, average="micro")))
    assert macro == pytest.approx(float(multilabel_f1_score(scores, target, 5, average="macro")))
    # A class that is neither answered nor true is not counted.
    none = torch.zeros(100, 1)
    assert f1_scores(torch.cat([scores, none], 1), torch.cat([target, none], 1))[1] == macro


def test_without_positives_there_is_no_figure():
    assert math.isnan(mean_average_precision(torch.rand(3, 2), torch.zeros(3, 2)))
    with pytest.raises(InputError, match="expected scores and targets"):
        average_precision(torch.rand(3, 2), torch.zeros(3))
    with pytest.raises(InputError, match="NaN"):
        average_precision(torch.full((3, 2), torch.nan), torch.zeros(3, 2))


def test_scores_of_samples_with_several_labels():
    store = SampleScores(3, several=True)
    store.update(torch.tensor([2]), torch.tensor([[1.0, 0, 1]]), torch.rand(1, 3))
    store.update(torch.tensor([0, 2]), torch.eye(3)[:2], torch.rand(2, 3))
    index, label, scores = store.compute()
    assert index.tolist() == [0, 2]
    assert label.tolist() == [[1, 0, 0], [1, 0, 1]]
    assert scores.shape == (2, 3)
    store.reset()
    store.update(torch.tensor([5]), torch.zeros(1, 3), torch.zeros(1, 3))
    assert [tuple(part.shape) for part in store.compute()] == [(1,), (1, 3), (1, 3)]
