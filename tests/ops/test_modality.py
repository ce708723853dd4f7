"""Taking modalities and steps away: rates as asked, and never all of a sample."""

from __future__ import annotations

import itertools

import pytest
import torch

from videolit.ops.modality import (
    drop_modalities,
    drop_steps,
    drop_tokens,
    step_numbers,
    subsets,
)
from videolit.ops.tokens import PAD, SEPARATOR, SPEAKER, UNKNOWN
from videolit.types import InputError


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_at_least_one_modality_of_each_sample_is_kept():
    present = torch.rand(500, 3, generator=generator(1)) < 0.6
    for rate in (0.0, 0.3, 0.9, 1.0):
        kept = drop_modalities(present, rate, generator())
        assert not (kept & ~present).any()
        assert (kept.any(1) == present.any(1)).all()
    assert (drop_modalities(present, 0.0, generator()) == present).all()
    assert (kept.sum(1) == present.any(1).long()).all()


def test_modalities_are_dropped_at_the_rate_beside_the_one_that_stays():
    kept = drop_modalities(torch.ones(40_000, 3, dtype=torch.bool), 0.4, generator())
    # All three fall with probability 0.4³, and one of them, drawn evenly, is then kept.
    expected = 0.6 + 0.4**3 / 3
    torch.testing.assert_close(kept.float().mean(0), torch.full((3,), expected), atol=0.01, rtol=0)
    alone = (kept.sum(1) == 1).float().mean()
    torch.testing.assert_close(alone, torch.tensor(3 * 0.6 * 0.16 + 0.064), atol=0.01, rtol=0)


def test_the_same_generator_drops_the_same():
    present = torch.ones(50, 3, dtype=torch.bool)
    one, again = (drop_modalities(present, 0.5, generator(3)) for _ in range(2))
    assert (one == again).all()
    assert (one != drop_modalities(present, 0.5, generator(4))).any()


def test_dropped_steps_are_zero_and_the_rest_is_untouched():
    values = torch.rand(4, 1000, 3, 2, generator=generator()) + 1
    mask = torch.ones(4, 1000, dtype=torch.bool)
    mask[:, 700:] = False
    numbers = step_numbers(mask, torch.arange(4))
    for rate in (0.0, 0.3, 1.0):
        found = drop_steps(values, numbers, rate)
        gone = (found == 0).flatten(2)
        # A step falls as a whole.
        assert (gone.all(2) == gone.any(2)).all()
        assert (found[~gone.any(2)] == values[~gone.any(2)]).all()
        assert not gone[:, 700:].any()
        assert abs(gone[:, :700].all(2).float().mean() - rate) < 0.03
    # One of each sample stays.
    assert (~gone[:, :700].all(2)).sum(1).tolist() == [1, 1, 1, 1]


def test_what_falls_depends_on_the_sample_alone():
    mask = torch.arange(40) < torch.tensor([[7], [40], [0], [1]])
    seeds = torch.tensor([5, 6, 7, 8])
    numbers = step_numbers(mask, seeds)
    other = step_numbers(mask[[1, 0]], seeds[[1, 0]])
    assert (other == numbers[[1, 0]]).all()
    # Shorter padding, or padding in front.
    assert (step_numbers(mask[:1, :9], seeds[:1]) == numbers[:1, :9]).all()
    assert (step_numbers(mask[:1].flip(1), seeds[:1])[0, -7:] == numbers[0, :7]).all()
    assert (step_numbers(mask[:1], seeds[1:2]) != numbers[:1]).any()
    assert numbers[~mask].isinf().all()
    assert numbers[3, 0].isinf()


def test_a_higher_rate_drops_what_a_lower_one_does_and_more():
    numbers = step_numbers(torch.ones(20, 30, dtype=torch.bool), torch.arange(20))
    values = torch.ones(20, 30)
    fallen = [drop_steps(values, numbers, k / 10) == 0 for k in range(10)]
    assert all(not (low & ~high).any() for low, high in itertools.pairwise(fallen))
    assert [fallen[k].sum() < fallen[k + 1].sum() for k in range(9)] == [True] * 9


def test_the_step_that_stays_is_drawn_evenly():
    numbers = step_numbers(torch.ones(6000, 3, dtype=torch.bool), torch.arange(6000))
    share = numbers.isinf().float().mean(0)
    torch.testing.assert_close(share, torch.full((3,), 1 / 3), atol=0.02, rtol=0)


def test_blocks_fall_together():
    mask = torch.ones(1, 103, dtype=torch.bool)
    numbers = step_numbers(mask, torch.tensor([3]), block=10)[0]
    for begin in range(0, 103, 10):
        assert len(set(numbers[begin : begin + 10].tolist())) == 1
    assert len(set(numbers.tolist())) == 11


def test_frames_keep_their_dtype():
    video = torch.full((1, 5, 3, 4, 4), 200, dtype=torch.uint8)
    found = drop_steps(video, step_numbers(torch.ones(1, 5) > 0, torch.tensor([4])), 1.0)
    assert found.dtype == torch.uint8
    assert found.any((2, 3, 4)).sum() == 1


def test_dropped_words_are_unknown_and_signs_stay():
    tokens = torch.randint(6, 100, (3, 2000), generator=generator())
    tokens[:, 0], tokens[:, 1000] = SPEAKER, SEPARATOR
    tokens[:, 1900:] = PAD
    words = tokens > 5
    numbers = step_numbers(words, torch.arange(3))
    found = drop_tokens(tokens, numbers, 0.3)
    changed = found != tokens
    assert (found[changed] == UNKNOWN).all()
    assert abs(changed[:, :1900].float().mean() - 0.3) < 0.03
    every = drop_tokens(tokens, numbers, 1.0)
    assert (every[~words] == tokens[~words]).all()
    assert (every == UNKNOWN).sum(1).tolist() == [1897] * 3
    bert = drop_tokens(torch.tensor([[101, 7, 8, 102]]), torch.tensor([[9, 0, 0, 9]]), 1.0, 100)
    assert bert.tolist() == [[101, 100, 100, 102]]


def test_three_modalities_have_seven_subsets():
    found = subsets(["text", "audio", "video"])
    assert found == [
        ("text",),
        ("audio",),
        ("video",),
        ("text", "audio"),
        ("text", "video"),
        ("audio", "video"),
        ("text", "audio", "video"),
    ]


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_rate_is_a_probability(rate):
    with pytest.raises(InputError, match="rate of step dropping must be in"):
        drop_steps(torch.ones(1, 2, 1), torch.ones(1, 2), rate)
    with pytest.raises(InputError, match="rate of modality dropout must be in"):
        drop_modalities(torch.ones(1, 2, dtype=torch.bool), rate)


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"expected numbers of shape \(1, 2\), got"):
        drop_steps(torch.ones(1, 2, 1), torch.ones(1, 3), 0.1)
    mask = torch.ones(2, 3, dtype=torch.bool)
    for wrong in (
        (mask.float(), torch.ones(2), 1),
        (mask, torch.ones(3), 1),
        (mask, mask[:, 0], 0),
    ):
        with pytest.raises(InputError, match="expected a bool mask"):
            step_numbers(*wrong)
