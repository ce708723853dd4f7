"""Taking modalities and steps away: rates as asked, and never all of a sample."""

from __future__ import annotations

import pytest
import torch

from videolit.ops.modality import drop_modalities, drop_steps, drop_tokens, subsets
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
    for rate in (0.0, 0.3, 1.0):
        found = drop_steps(values, mask, rate, generator(1))
        gone = (found == 0).flatten(2)
        # A step falls as a whole.
        assert (gone.all(2) == gone.any(2)).all()
        assert (found[~gone.any(2)] == values[~gone.any(2)]).all()
        assert not gone[:, 700:].any()
        assert abs(gone[:, :700].all(2).float().mean() - rate) < 0.03


def test_frames_keep_their_dtype():
    video = torch.full((1, 5, 3, 4, 4), 200, dtype=torch.uint8)
    found = drop_steps(video, torch.ones(1, 5, dtype=torch.bool), 1.0)
    assert found.dtype == torch.uint8
    assert not found.any()


def test_dropped_words_are_unknown_and_signs_stay():
    tokens = torch.randint(6, 100, (3, 2000), generator=generator())
    tokens[:, 0], tokens[:, 1000] = SPEAKER, SEPARATOR
    mask = torch.ones(3, 2000, dtype=torch.bool)
    tokens[:, 1900:], mask[:, 1900:] = PAD, False
    found = drop_tokens(tokens, mask, 0.3, generator())
    changed = found != tokens
    assert (found[changed] == UNKNOWN).all()
    assert abs(changed[:, :1900].float().mean() - 0.3) < 0.03
    every = drop_tokens(tokens, mask, 1.0)
    assert (every[:, 0] == SPEAKER).all()
    assert (every[:, 1000] == SEPARATOR).all()
    assert (every[:, 1900:] == PAD).all()
    assert (every[:, 1:1000] == UNKNOWN).all()
    bert = drop_tokens(torch.tensor([[101, 7, 8, 102]]), mask[:1, :4], 1.0, None, 100, (101, 102))
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
    mask = torch.ones(1, 2, dtype=torch.bool)
    with pytest.raises(InputError, match="rate of step dropping must be in"):
        drop_steps(torch.ones(1, 2, 1), mask, rate)
    with pytest.raises(InputError, match="rate of modality dropout must be in"):
        drop_modalities(mask, rate)


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"expected a bool mask of shape \(1, 2\), got"):
        drop_steps(torch.ones(1, 2, 1), torch.ones(1, 3, dtype=torch.bool), 0.1)
