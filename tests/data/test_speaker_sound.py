"""Sound evened out by speaker: level on average, unlike each other within, nothing delayed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sentiment_files import write_wav

from videolit.data.index import IndexCache
from videolit.data.recording import WindowSamples, open_recording
from videolit.data.sentiment import SentimentDataModule
from videolit.data.speaker_sound import even_out, level_filter
from videolit.ops.mel import stft_power
from videolit.ops.windows import slide_time
from videolit.types import UtteranceSpec

RATE = 16_000


def coloured(slope, loudness, seconds=2.0, seed=0):
    """Noise whose spectrum falls by decibels per kHz, with silence around it."""
    rng = np.random.default_rng(seed)
    count = int(seconds * RATE)
    spectrum = np.fft.rfft(rng.normal(size=count))
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    noise = np.fft.irfft(spectrum * 10 ** (-slope * hertz / 1000 / 20), count)
    noise *= loudness / noise.std()
    return np.pad(noise, RATE // 2).astype(np.float32)


def bands(samples):
    """Mean log power of 16 bands in the middle of a sound."""
    middle = torch.from_numpy(samples[RATE : 2 * RATE])
    power = stft_power(middle, 512, 256, center=False)[1:].reshape(16, 16, -1).mean(1)
    return power.log().mean(1)


def test_speakers_of_different_colour_and_loudness_sound_alike_on_average():
    dark = [coloured(5, 0.01, seed=seed) for seed in range(4)]
    bright = [coloured(0, 0.1, seed=seed) for seed in range(4, 8)]
    found = []
    for sounds in (dark, bright):
        taps = level_filter(sounds)
        found.append(torch.stack([bands(even_out(one, taps)) for one in sounds]).mean(0))
    assert (bands(dark[0]) - bands(bright[0])).abs().max() > 4
    assert (found[0] - found[1]).abs().max() < 0.5
    assert (found[0] - found[0].mean()).abs().max() < 0.5


def test_what_is_loud_for_its_speaker_stays_louder():
    quiet, loud = coloured(3, 0.01), coloured(3, 0.05, seed=1)
    taps = level_filter([quiet, loud])
    change = bands(even_out(loud, taps)) - bands(even_out(quiet, taps))
    assert change.mean() == pytest.approx(2 * np.log(5), abs=0.2)


def test_a_click_stays_where_it_is():
    taps = level_filter([coloured(3, 0.05, seed=seed) for seed in range(4)])
    click = np.zeros(5000, np.float32)
    click[1234] = 0.5
    heard = even_out(click, taps)
    assert heard.shape == click.shape
    assert heard.dtype == np.float32
    assert np.abs(heard).argmax() == 1234


def test_filters_stay_within_bounds_where_nothing_was_recorded():
    # A telephone's band, as far as its upper end goes.
    sound = coloured(0, 0.05)
    spectrum = np.fft.rfft(sound)
    spectrum[len(spectrum) // 2 :] = 0
    taps = level_filter([np.fft.irfft(spectrum, len(sound)).astype(np.float32)])
    response = 20 * np.log10(np.abs(np.fft.rfft(taps)))
    assert response.max() - response.min() < 65
    assert np.isfinite(taps).all()
    assert np.isfinite(level_filter([np.zeros(100, np.float32)])).all()


def sound_set(folder):
    for speaker, loudness in (("ann", 0.01), ("bob", 0.2), ("cem", 0.05)):
        for label in ("calm", "tense"):
            for take in range(2):
                noise = coloured(2, loudness, 0.5, seed=take)
                write_wav(folder / f"{speaker}_{label}_{take}.wav", noise)
    rows = [
        f"{speaker}_{label}_{take}.wav,{label},{speaker},{speaker}"
        for speaker in ("ann", "bob", "cem")
        for label in ("calm", "tense")
        for take in range(2)
    ]
    (folder / "manifest.csv").write_text("path,label,speaker,group\n" + "\n".join(rows) + "\n")


@pytest.mark.parametrize("even", [False, True])
def test_data_evens_out_speakers_where_asked(tmp_path, even):
    sound_set(tmp_path)
    data = SentimentDataModule(
        str(tmp_path), modalities=["sound"], even_out=even, test_groups=["ann"], val_groups=["bob"]
    )
    data.setup("fit")
    data.setup("test")
    levels = [
        np.log(np.std(data.dataset(split)[0]["values"]["sound"])) for split in ("val", "test")
    ]
    assert (abs(levels[0] - levels[1]) < 0.1) == even
    assert data.utterance_spec.even_out == even
    assert ("evened out by speaker" in data.describe("val")["protocol"]) == even


def test_a_sound_that_is_remembered_is_the_one_that_was_read(tmp_path):
    sound_set(tmp_path)
    data = SentimentDataModule(
        str(tmp_path), modalities=["sound"], test_groups=["ann"], val_groups=["bob"]
    )
    data.setup("fit")
    once, again = data.dataset("val"), data.dataset("val")
    first = once[2]["values"]["sound"].copy()
    (tmp_path / "bob_tense_0.wav").unlink()
    np.testing.assert_array_equal(once[2]["values"]["sound"], first)
    assert "sound" in again[2]["missing"]


@pytest.mark.parametrize("even", [False, True])
def test_a_recording_is_one_speaker(tmp_path, even):
    levels = []
    for name, slope, loudness in (("dark", 5, 0.01), ("bright", 0, 0.1)):
        path = write_wav(tmp_path / f"{name}.wav", coloured(slope, loudness, 4.0))
        cache = IndexCache(None)
        found = open_recording(path, None, ("sound",), cache=cache, checking=lambda what: None)
        spec = UtteranceSpec(even_out=even)
        windows = WindowSamples(found, *slide_time(found.duration, 2.0, 1.0), ["sound"], spec)
        levels.append(bands(list(windows)[1]["values"]["sound"]))
    assert ((levels[0] - levels[1]).abs().max() < 0.7) == even


def test_without_any_sound_nothing_changes():
    sound = coloured(3, 0.05)
    np.testing.assert_allclose(even_out(sound, level_filter([])), sound, atol=1e-6)
