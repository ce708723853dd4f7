"""Diversity and representativeness against plain loops over the paper's equations."""

import math

import pytest
import torch

from videolit.ops import rewards
from videolit.ops.rewards import diversity, representativeness, summary_reward


def sample(steps=30, seed=0, size=6):
    return torch.randn(steps, size, generator=torch.Generator().manual_seed(seed))


def diversity_by_loop(features, chosen, far):
    total = 0.0
    for i in chosen:
        for j in chosen:
            if i != j:
                a, b = features[i], features[j]
                unlike = 1 - float(a @ b / (a.norm() * b.norm()))
                total += 1.0 if abs(i - j) > far else unlike
    return total / (len(chosen) * (len(chosen) - 1))


def representativeness_by_loop(features, chosen):
    rows = [row / row.norm() for row in features]
    nearest = [min(float((row - rows[i]).square().sum()) for i in chosen) for row in rows]
    return math.exp(-sum(nearest) / len(nearest))


@pytest.mark.parametrize("far", [0, 5, 20, 100])
def test_diversity_is_the_mean_over_pairs(far):
    features, chosen = sample(), [0, 3, 4, 9, 25, 29]
    found = diversity(features, torch.tensor(chosen), far)
    assert float(found) == pytest.approx(diversity_by_loop(features, chosen, far), abs=1e-5)


def test_representativeness_is_that_of_the_nearest():
    features, chosen = sample(), [2, 11, 17]
    found = float(representativeness(features, torch.tensor(chosen)))
    assert found == pytest.approx(representativeness_by_loop(features, chosen), abs=1e-5)
    # The scale of features does not matter.
    assert float(representativeness(7 * features, torch.tensor(chosen))) == pytest.approx(found)
    assert float(representativeness(features, torch.arange(30))) == pytest.approx(1, abs=1e-5)


def test_blocks_of_rows_change_nothing(monkeypatch):
    features, chosen = sample(), torch.arange(0, 30, 2)
    whole = summary_reward(features, chosen)
    monkeypatch.setattr(rewards, "_ROWS", 4)
    assert float(summary_reward(features, chosen)) == pytest.approx(float(whole), abs=1e-6)


def test_the_reward_is_the_mean_of_both():
    features, chosen = sample(), torch.tensor([1, 5, 20])
    expected = (diversity(features, chosen) + representativeness(features, chosen)) / 2
    assert float(summary_reward(features, chosen)) == pytest.approx(float(expected))


def test_nothing_and_one_step_have_a_reward_too():
    features = sample()
    none, one = torch.empty(0, dtype=torch.int64), torch.tensor([4])
    assert float(summary_reward(features, none)) == 0
    assert float(diversity(features, one)) == 0
    assert float(summary_reward(features, one)) > 0
    assert float(summary_reward(sample(1), torch.tensor([0]))) == pytest.approx(0.5, abs=1e-6)
    assert torch.isfinite(summary_reward(torch.zeros(5, 3), torch.tensor([0, 2])))


def test_copies_side_by_side_are_worth_less_than_what_is_new():
    features = torch.eye(4)[torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])]
    varied, copies = torch.tensor([0, 2, 4, 6]), torch.tensor([0, 1, 2, 3])
    assert summary_reward(features, varied) > summary_reward(features, copies)
