"""Losses with missing targets: by hand, by finite differences, and with NaN where truth is not."""

import math

import numpy as np
import pytest
import torch

from videolit.ops.affect_losses import (
    concordance_loss,
    count_weights,
    masked_cross_entropy,
    multitask_loss,
    regression_loss,
)
from videolit.types import InputError

LOSSES = {
    "concordance": concordance_loss,
    "absolute": regression_loss,
    "huber": lambda *given: regression_loss(*given, delta=0.7),
}


def drawn(shape=(5, 7, 2), dtype=torch.float64):
    """Predictions, truth, and a mask that knows two thirds of it."""
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(shape, generator=generator, dtype=dtype)
    preds = 0.2 + 0.7 * target + 0.5 * torch.randn(shape, generator=generator, dtype=dtype)
    return preds.requires_grad_(), target, torch.rand(shape, generator=generator) < 0.67


def concordance(said, true):
    """Lin's coefficient by NumPy's own moments."""
    cov = np.cov(said, true, bias=True)
    return 2 * cov[0, 1] / (cov[0, 0] + cov[1, 1] + (said.mean() - true.mean()) ** 2)


def test_the_concordance_loss_is_one_minus_the_coefficient_of_the_known():
    preds, target, mask = drawn()
    expected = []
    for column in range(2):
        rows = mask[..., column]
        said, true = (v.detach()[..., column][rows].numpy() for v in (preds, target))
        expected.append(1 - concordance(said, true))
    loss = concordance_loss(preds, target, mask).detach()
    assert loss.item() == pytest.approx(np.mean(expected))
    assert float(concordance_loss(target, target)) == pytest.approx(0, abs=1e-7)
    centred = target - target.mean((0, 1))
    assert float(concordance_loss(-centred, centred)) == pytest.approx(2, abs=1e-7)


def test_the_concordance_loss_of_a_constant_is_one_with_a_finite_gradient():
    target = torch.randn(9, 1)
    for said, true in ((torch.ones(9, 1), target), (target, torch.ones(9, 1))):
        assert float(concordance_loss(said, true)) == pytest.approx(1)
    flat = torch.full((9, 1), 0.1, requires_grad=True)
    loss = concordance_loss(flat, torch.full((9, 1), 0.1))
    loss.backward()
    assert loss.item() == pytest.approx(1)
    assert torch.isfinite(flat.grad).all()
    # From a constant, the gradient leads towards the truth.
    flat.grad = None
    concordance_loss(flat, target).backward()
    assert float(torch.corrcoef(torch.stack([-flat.grad[:, 0], target[:, 0]]))[0, 1]) > 0.99


def test_a_target_known_less_than_twice_is_left_out_of_the_concordance():
    preds, target, _ = drawn((6, 2))
    mask = torch.tensor([[True, False]] * 5 + [[True, True]])
    alone = concordance_loss(preds[:, :1], target[:, :1])
    torch.testing.assert_close(concordance_loss(preds, target, mask), alone)


def test_regression_losses_by_hand():
    preds, target = torch.tensor([0.0, 1.0, 5.0, 9.0]), torch.tensor([0.5, 1.0, 2.0, torch.nan])
    mask = ~target.isnan()
    assert float(regression_loss(preds, target, mask)) == pytest.approx(3.5 / 3)
    huber = 0.5**2 / 2 + 0 + 2 * (3 - 1)
    assert float(regression_loss(preds, target, mask, delta=2.0)) == pytest.approx(huber / 3)
    for delta in (0.0, -1.0, math.nan):
        with pytest.raises(InputError, match="delta must be above 0"):
            regression_loss(preds, target, mask, delta=delta)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_finite_differences(name):
    preds, target, mask = drawn()
    assert torch.autograd.gradcheck(lambda said: LOSSES[name](said, target, mask), preds)
    assert torch.autograd.gradcheck(lambda said: LOSSES[name](said, target), preds)


@pytest.mark.parametrize("name", LOSSES)
def test_missing_targets_reach_neither_loss_nor_gradient(name):
    preds, target, mask = drawn()
    found = []
    for hidden in (0.0, 1e6, torch.nan, torch.inf):
        preds.grad = None
        loss = LOSSES[name](preds, torch.where(mask, target, hidden), mask)
        loss.backward()
        found.append((loss.detach(), preds.grad))
        assert (preds.grad[~mask] == 0).all()
        assert preds.grad[mask].abs().sum() > 0
    for loss, grad in found[1:]:
        assert torch.equal(loss, found[0][0])
        assert torch.equal(grad, found[0][1])


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_without_a_target_has_a_loss_and_a_gradient_of_zero(name):
    preds, target, mask = drawn()
    loss = LOSSES[name](preds, torch.full_like(target, torch.nan), torch.zeros_like(mask))
    loss.backward()
    assert loss.item() == 0
    assert (preds.grad == 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_is_summed_in_single(name):
    preds, target, mask = drawn((2000, 2), torch.float32)
    loss = LOSSES[name](preds.bfloat16(), target.bfloat16(), mask)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(LOSSES[name](preds, target, mask).item(), abs=3e-3)


def test_cross_entropy_of_the_labelled():
    torch.manual_seed(0)
    logits = torch.randn(6, 3, requires_grad=True)
    label, mask = torch.tensor([0, 1, -1, 2, -1, 2]), torch.tensor([1, 1, 0, 1, 0, 1]).bool()
    weight = torch.tensor([0.5, 2.0, 1.0])
    loss = masked_cross_entropy(logits, label, mask, weight=weight, smoothing=0.1)
    expected = torch.nn.functional.cross_entropy(
        logits, label, weight=weight, label_smoothing=0.1, ignore_index=-1
    )
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert (logits.grad[~mask] == 0).all()
    whole = masked_cross_entropy(logits[:2], label[:2])
    torch.testing.assert_close(whole, torch.nn.functional.cross_entropy(logits[:2], label[:2]))
    logits.grad = None
    none = masked_cross_entropy(logits, label, torch.zeros(6, dtype=torch.bool))
    none.backward()
    assert none.item() == 0
    assert (logits.grad == 0).all()


def test_weights_by_counts_make_classes_or_samples_count_alike():
    counts = torch.tensor([60, 30, 10])
    weights = count_weights(counts)
    total = counts * weights
    torch.testing.assert_close(total, total.mean().expand(3))
    assert float(weights.mean()) == pytest.approx(1)
    assert count_weights(counts, 0.0).tolist() == [1, 1, 1]
    half = count_weights([100, 25], 0.5)
    assert float(half[1] / half[0]) == pytest.approx(2)
    # A class without a sample does not lower the others' weights.
    torch.testing.assert_close(count_weights([60, 30, 10, 0])[:3], weights)
    for wrong in ([], [0, 0], [-1, 2], [math.nan, 1]):
        with pytest.raises(InputError, match=r"count of each class|no class has"):
            count_weights(wrong)


def test_tasks_are_summed_by_weight_and_the_unknown_add_nothing():
    losses = {
        name: torch.tensor(value, requires_grad=True) for name, value in [("a", 2.0), ("b", 3.0)]
    }
    total = multitask_loss(losses, {"a": 1.0, "b": 0.5})
    assert total.item() == pytest.approx(3.5)
    spread = {"b": torch.tensor(0.4, requires_grad=True)}
    learned = multitask_loss(losses, {"a": 1.0, "b": 0.5}, log_variances=spread)
    assert learned.item() == pytest.approx(2 + 0.5 * (3 * math.exp(-0.4) + 0.2))
    known = {"a": torch.tensor([True, False]), "b": torch.zeros(4, 2, dtype=torch.bool)}
    without = multitask_loss(losses, {"a": 1.0, "b": 0.5}, known, spread)
    without.backward()
    assert without.item() == pytest.approx(2)
    assert (float(losses["a"].grad), float(losses["b"].grad), float(spread["b"].grad)) == (1, 0, 0)


def test_the_learned_variance_settles_at_the_loss():
    # d/ds (exp(-s) loss + s / 2) = 0 at exp(s) = 2 loss.
    spread = torch.tensor(math.log(2 * 3.0), requires_grad=True)
    multitask_loss({"a": torch.tensor(3.0)}, {"a": 1.0}, log_variances={"a": spread}).backward()
    assert float(spread.grad) == pytest.approx(0, abs=1e-6)


def test_tasks_and_weights_must_match():
    losses = {"a": torch.tensor(1.0)}
    with pytest.raises(InputError, match="losses of a need as many weights, got b"):
        multitask_loss(losses, {"b": 1.0})
    for weights in ({"a": -1.0}, {"a": math.nan}):
        with pytest.raises(InputError, match="weights of at least 0"):
            multitask_loss(losses, weights)
    with pytest.raises(InputError, match="weights of at least 0"):
        multitask_loss({}, {})
