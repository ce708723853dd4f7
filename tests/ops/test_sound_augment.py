"""What augmentation changes, what it leaves, and what it draws from."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from videolit.ops.sound_augment import (
    add_noise,
    change_gain,
    shift_time,
    spec_augment,
    warp_spectra,
)
from videolit.types import InputError


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(lengths=(800, 500, 0), count=800):
    mask = torch.arange(count) < torch.tensor(lengths)[:, None]
    samples = torch.rand(len(lengths), count, generator=draws(9)) - 0.5
    return torch.where(mask, samples, float("nan")), mask


@pytest.mark.parametrize(
    "change",
    [add_noise, change_gain, partial(shift_time, max_shift=40)],
)
def test_draws_from_its_generator_only_and_leaves_padding(change):
    samples, mask = batch()
    before = torch.get_rng_state()
    found = change(samples, mask, draws())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(found.nan_to_num(9), change(samples, mask, draws()).nan_to_num(9))
    assert not torch.equal(found[0], change(samples, mask, draws(1))[0])
    assert not torch.equal(found[0], samples[0])
    assert found[mask].isfinite().all()
    assert found[~mask].isnan().all()


def spectra(lengths=(100, 60, 0), frames=100):
    mask = torch.arange(frames) < torch.tensor(lengths)[:, None]
    return torch.ones(len(lengths), 32, frames), mask


def test_spec_augment_blanks_stretches_of_both_kinds():
    values, mask = spectra()
    before = torch.get_rng_state()
    generator = draws()
    widths_time, widths_bands = set(), set()
    for _ in range(300):
        found = spec_augment(
            values, mask, generator, num_time=1, num_bands=1, max_time=10, max_bands=5
        )
        blank = found == 0
        assert torch.equal(found[2], values[2])
        assert not blank[1, :, 60:].any()
        times, bands = blank[0].all(0), blank[0].all(1)
        assert torch.equal(blank[0], times[None] | bands[:, None])
        assert (times.int().diff() == 1).sum() <= 1
        widths_time.add(int(times.sum()))
        widths_bands.add(int(bands.sum()))
    assert widths_time == set(range(11))
    assert widths_bands == set(range(6))
    assert torch.equal(torch.get_rng_state(), before)
    assert values.min() == 1


def test_spec_augment_knows_nothing_of_padding():
    values, mask = spectra((60, 40), 60)
    more, longer = spectra((60, 40), 100)
    one, two = spec_augment(values, mask, draws()), spec_augment(more, longer, draws())
    assert (one == 0).any()
    assert torch.equal(one, two[..., :60])


def test_a_stretch_is_at_most_its_share():
    values, mask = spectra((100, 20))
    generator = draws()
    for _ in range(50):
        found = spec_augment(values, mask, generator, num_time=1, num_bands=0, time_share=0.1)
        assert (found[1] == 0).all(0).sum() <= 2


def test_noise_has_the_ratio_that_was_asked():
    samples, mask = batch((80_000, 50_000), 80_000)
    found = add_noise(samples, mask, draws(), min_snr=12, max_snr=12)
    for row in range(2):
        real = mask[row]
        noise = found[row, real] - samples[row, real]
        ratio = 10 * (samples[row, real].square().mean() / noise.square().mean()).log10()
        assert float(ratio) == pytest.approx(12, abs=0.1)
    silent = add_noise(torch.zeros(1, 50), torch.ones(1, 50, dtype=torch.bool), draws())
    assert torch.equal(silent, torch.zeros(1, 50))


def test_gain_is_within_its_range_and_never_clips():
    samples, mask = batch((800, 800))
    ratio = change_gain(samples, mask, draws(), min_gain=-6, max_gain=-3) / samples
    torch.testing.assert_close(ratio.amax(1), ratio.amin(1), atol=1e-5, rtol=0)
    assert ratio.min() >= 10 ** (-6 / 20) - 1e-5
    assert ratio.max() <= 10 ** (-3 / 20) + 1e-5
    loud = change_gain(samples, mask, draws(), min_gain=30, max_gain=30)
    torch.testing.assert_close(loud.abs().amax(1), torch.ones(2))


def test_a_shift_moves_whole_samples_and_fills_with_zeros():
    samples = torch.arange(1.0, 101).repeat(40, 1)
    mask = torch.ones(40, 100, dtype=torch.bool)
    found = shift_time(samples, mask, draws(), max_shift=3)
    seen = set()
    for row in found.long().tolist():
        shift = next(s for s in range(-3, 4) if row[50] == 51 - s)
        assert row == [i + 1 - shift if 0 <= i - shift < 100 else 0 for i in range(100)]
        seen.add(shift)
    assert seen == set(range(-3, 4))
    assert torch.equal(shift_time(samples, mask, draws(), max_shift=0), samples)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, m: add_noise(x, m, draws(), min_snr=5, max_snr=1), "min_snr must be at most"),
        (lambda x, m: change_gain(x, m, draws(), min_gain=9), "min_gain must be at most"),
        (lambda x, m: shift_time(x, m, draws(), max_shift=-1), "at least 0 samples, got -1"),
        (lambda x, m: spec_augment(x[:, None], m, draws()), "max_bands at most 1"),
        (
            lambda x, m: spec_augment(x[:, None], m, draws(), max_bands=1, time_share=2),
            r"time_share must be in \[0, 1\], got 2",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InputError, match=message):
        call(*batch())


def ramps(lengths=(100, 60, 0), frames=100):
    """Spectra that tell their own places: band + 100 * frame."""
    mask = torch.arange(frames) < torch.tensor(lengths)[:, None]
    places = torch.arange(32.0)[:, None] + 100 * torch.arange(float(frames))
    return places.expand(len(lengths), 32, frames).where(mask[:, None], 0.0), mask


def test_warped_spectra_are_those_of_other_places():
    values, mask = ramps()
    before = torch.get_rng_state()
    faster, higher = [], []
    generator = draws()
    for _ in range(200):
        found, longer = warp_spectra(values, mask, generator, max_time=0.2, max_bands=0.1)
        assert not found[~longer[:, None].expand_as(found)].any()
        # Sampled in the middle, where nothing is held: one more frame is one factor more.
        step = (found[0, 10, 60] - found[0, 10, 40]) / 20
        up = found[0, 20, 50] - found[0, 10, 50]
        faster.append(float(step) / 100)
        higher.append(float(up) / 10)
        assert abs(int(longer[1].sum()) - 60 / ((found[1, 10, 30] - found[1, 10, 10]) / 2000)) <= 1
        assert not longer[2].any()
    assert torch.equal(torch.get_rng_state(), before)
    assert 0.8 <= min(faster) < 0.82
    assert 1.18 < max(faster) <= 1.2001
    assert 0.899 <= min(higher) < 0.92
    assert 1.08 < max(higher) <= 1.101


def test_warping_by_nothing_changes_nothing_and_padding_is_not_seen():
    values, mask = ramps()
    same, kept = warp_spectra(values, mask, draws(), max_time=0.0, max_bands=0.0)
    torch.testing.assert_close(same, values, atol=0.05, rtol=0)
    assert torch.equal(kept, mask)
    loud = values.masked_fill(~mask[:, None], 1e6)
    found, _ = warp_spectra(loud, mask, draws())
    assert found.max() < 1e5
    with pytest.raises(InputError, match=r"shares must be in \[0, 1\)"):
        warp_spectra(values, mask, draws(), max_time=1.0)
