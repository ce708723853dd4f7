"""Mel spectra against their definitions, written out in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from videolit.ops.mel import KALDI_FLOOR, kaldi_log_mel, log_mel, stft_power
from videolit.ops.mel_scale import hz_to_mel, mel_filters, mel_to_hz
from videolit.types import InputError


def to_mel(hertz, scale):
    if scale == "htk":
        return 2595 * math.log10(1 + hertz / 700)
    if hertz < 1000:
        return hertz * 3 / 200
    return 15 + 27 * math.log(hertz / 1000) / math.log(6.4)


def from_mel(mel, scale):
    """By bisection, so that the inverse is not taken on trust."""
    low, high = 0.0, 100_000.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if to_mel(middle, scale) < mel else (low, middle)
    return low


def bank(num_mels, n_fft, rate, f_min, f_max, scale, norm, over="hz"):
    filters = np.zeros((num_mels, n_fft // 2 + 1))
    first, last = to_mel(f_min, scale), to_mel(f_max, scale)
    step = (last - first) / (num_mels + 1)
    for m in range(num_mels):
        mels = [first + step * (m + i) for i in range(3)]
        hertz = [from_mel(mel, scale) for mel in mels]
        corners = mels if over == "mel" else hertz
        for k in range(n_fft // 2 + 1):
            at = k * rate / n_fft
            at = to_mel(at, scale) if over == "mel" else at
            if corners[0] < at <= corners[1]:
                filters[m, k] = (at - corners[0]) / (corners[1] - corners[0])
            elif corners[1] < at < corners[2]:
                filters[m, k] = (corners[2] - at) / (corners[2] - corners[1])
        if norm == "slaney":
            filters[m] *= 2 / (hertz[2] - hertz[0])
    return filters


def power_by_hand(samples, n_fft, hop, window, center, pad="reflect"):
    if window == "hann":
        weights = [0.5 - 0.5 * math.cos(2 * math.pi * n / n_fft) for n in range(n_fft)]
    else:
        weights = [
            (0.5 - 0.5 * math.cos(2 * math.pi * n / (n_fft - 1))) ** 0.85 for n in range(n_fft)
        ]
    if center:
        samples = np.pad(samples, n_fft // 2, mode=pad)
    columns = []
    for start in range(0, len(samples) - n_fft + 1, hop):
        piece = samples[start : start + n_fft] * np.array(weights)
        columns.append(np.abs(np.fft.fft(piece)[: n_fft // 2 + 1]) ** 2)
    return np.stack(columns, 1)


def sound(count=3000, seed=0):
    random = np.random.default_rng(seed)
    time = np.arange(count) / 16_000
    return 0.4 * np.sin(2 * np.pi * 440 * time) + 0.1 * random.standard_normal(count)


def test_known_mels():
    """1000 Hz are 1000 mel (HTK), 15 (Slaney); the toolbox's 6400 Hz are 27 above that."""
    hertz = torch.tensor([0.0, 700.0, 1000.0, 6400.0], dtype=torch.float64)
    assert hz_to_mel(hertz, "htk")[:2].tolist() == [0.0, pytest.approx(2595 * math.log10(2))]
    assert float(hz_to_mel(hertz, "htk")[2]) == pytest.approx(1000, abs=0.02)
    assert hz_to_mel(hertz, "slaney").tolist() == pytest.approx([0, 10.5, 15, 42])
    for scale in ("htk", "slaney"):
        torch.testing.assert_close(mel_to_hz(hz_to_mel(hertz, scale), scale), hertz)


@pytest.mark.parametrize("scale", ["htk", "slaney"])
@pytest.mark.parametrize("norm", [None, "slaney"])
@pytest.mark.parametrize("over", ["hz", "mel"])
def test_filters_are_triangles(scale, norm, over):
    found = mel_filters(23, 512, 16_000, 20, 7600, scale, norm, over)
    assert found.dtype == torch.float64
    expected = bank(23, 512, 16_000, 20, 7600, scale, norm, over)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-11)


def test_slaney_areas_are_one():
    filters = mel_filters(20, 1 << 15, 16_000, 100, 8000, "slaney", "slaney")
    areas = filters.sum(1) * 16_000 / (1 << 15)
    torch.testing.assert_close(areas, torch.ones_like(areas), atol=1e-3, rtol=0)


@pytest.mark.parametrize("window", ["hann", "povey"])
@pytest.mark.parametrize(("n_fft", "hop"), [(400, 160), (256, 100), (512, 512)])
@pytest.mark.parametrize("center", [True, False])
def test_power_is_that_of_the_definition(window, n_fft, hop, center):
    samples = sound()
    expected = power_by_hand(samples, n_fft, hop, window, center)
    single = stft_power(torch.tensor(samples, dtype=torch.float32), n_fft, hop, window, center)
    assert single.dtype == torch.float32
    assert single.shape == expected.shape
    assert np.abs(single.numpy() - expected).max() <= 1e-6 * expected.max()
    double = stft_power(torch.tensor(samples), n_fft, hop, window, center).numpy()
    assert np.abs(double - expected).max() <= 1e-12 * expected.max()


def test_ends_of_zeros():
    samples = sound(1000)
    found = stft_power(torch.tensor(samples), pad="constant").numpy()
    np.testing.assert_allclose(
        found, power_by_hand(samples, 400, 160, "hann", True, "constant"), atol=1e-9
    )


def test_batches_are_their_rows():
    samples = torch.tensor(np.stack([sound(seed=seed) for seed in range(6)])).view(2, 3, -1)
    found = stft_power(samples)
    assert found.shape == (2, 3, 201, 19)
    torch.testing.assert_close(found[1, 2], stft_power(samples[1, 2]))
    torch.testing.assert_close(log_mel(samples)[1, 0], log_mel(samples[1, 0]))


@pytest.mark.parametrize(("scale", "norm"), [("htk", None), ("slaney", "slaney")])
def test_log_mel_is_that_of_the_definition(scale, norm):
    samples = sound()
    samples[:1000] = 0
    filters = bank(64, 400, 16_000, 20, 8000, scale, norm)
    power = power_by_hand(samples, 400, 160, "hann", True)
    expected = np.log(np.maximum(filters @ power, 1e-10))
    found = log_mel(torch.tensor(samples), f_min=20, scale=scale, norm=norm)
    assert found.shape == (64, 19)
    assert np.abs(found.numpy() - expected).max() <= 1e-5
    assert found.min() == pytest.approx(math.log(1e-10))


@pytest.mark.parametrize("window", ["povey", "hann"])
def test_kaldis_is_that_of_its_documentation(window):
    samples = sound(2500) + 0.05
    samples[:500] = 0.25
    filters = bank(40, 512, 16_000, 20, 8000, "htk", None, "mel")
    weights = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)
    rows = []
    for start in range(0, 2500 - 400 + 1, 160):
        piece = 32768 * samples[start : start + 400]
        piece = piece - piece.mean()
        sharper = np.array([piece[n] - 0.97 * piece[max(n - 1, 0)] for n in range(400)])
        sharper *= weights**0.85 if window == "povey" else weights
        power = np.abs(np.fft.fft(sharper, 512)[:257]) ** 2
        rows.append(np.log(np.maximum(filters @ power, KALDI_FLOOR)))
    found = kaldi_log_mel(torch.tensor(samples), num_mels=40, window=window)
    assert found.shape == (14, 40)
    assert np.abs(found.numpy() - np.stack(rows)).max() <= 1e-5
    # A constant is nothing once its mean is gone.
    assert found[0].tolist() == pytest.approx([math.log(KALDI_FLOOR)] * 40)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mel_filters(0), "num_mels and sample_rate must be at least 1"),
        (lambda: mel_filters(f_max=9000), r"half the sample rate \(8000 Hz\), got f_min 0"),
        (lambda: mel_filters(scale="bark"), "scale must be 'htk' or 'slaney', got 'bark'"),
        (lambda: mel_filters(norm="area"), "norm must be None or 'slaney'"),
        (lambda: stft_power(torch.zeros(200)), "at least 201 samples for windows of 400, got 200"),
        (lambda: stft_power(torch.zeros(900).short()), "as float .* got torch.int16"),
        (lambda: stft_power(torch.zeros(900), hop=0), "hop at least 1, got 400 and 0"),
        (lambda: stft_power(torch.zeros(900), window="flat"), "must be 'hann' or 'povey'"),
        (lambda: kaldi_log_mel(torch.zeros(399)), r"25 ms \(400 samples\) as float, got 399"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InputError, match=message):
        call()
