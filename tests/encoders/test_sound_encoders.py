"""Sound encoders: their contract, and what they must not look at."""

from __future__ import annotations

import json
import sys

import pytest
import torch
import transformers

from contracts import recorded, twin
from videolit.encoders import HFSoundEncoder, SmallSoundEncoder, SoundEncoder
from videolit.encoders.sound import in_seconds
from videolit.types import InputError

ARCHITECTURES = {
    "wav2vec2": "Wav2Vec2",
    "hubert": "Hubert",
    "wavlm": "WavLM",
    "data2vec-audio": "Data2VecAudio",
}


def small(**settings):
    return SoundEncoder(**{"hidden_size": 16, "num_layers": 2, "num_heads": 2, **settings})


def small_hf(architecture="wav2vec2", **settings):
    sizes = {"hidden_size": 32, "num_layers": 2, "num_heads": 2, "conv_size": 8}
    return HFSoundEncoder(architecture, **{**sizes, **settings})


def sounds(*lengths, count=None, seed=0):
    """Noise with padding of NaN behind it."""
    count = max(lengths) if count is None else count
    mask = torch.arange(count) < torch.tensor(lengths)[:, None]
    noise = torch.rand(len(lengths), 20_000, generator=torch.Generator().manual_seed(seed)) - 0.5
    return torch.where(mask, noise[:, :count], float("nan")), mask


def check_sound_encoder(encoder) -> None:
    """Check what every sound encoder promises."""
    encoder.eval()
    samples, mask = sounds(8000, 5321, 300, 0)
    with torch.no_grad():
        features, seen, seconds = encoder(samples, mask)
    batch, steps, size = features.shape
    assert (batch, size) == (4, encoder.num_features)
    assert seen.shape == (4, steps)
    assert seconds.shape == (steps,)
    assert (features.dtype, seen.dtype, seconds.dtype) == (
        torch.float32,
        torch.bool,
        torch.float32,
    )
    assert features.isfinite().all()
    assert not features[~seen].any()
    # A step each few milliseconds, from the beginning to the end, each inside the sound.
    assert seconds.diff().tolist() == pytest.approx([encoder.step] * (steps - 1), abs=1e-6)
    assert 0 <= seconds[0] <= encoder.step
    assert abs(float(seconds[-1]) - 8000 / encoder.sample_rate) <= 1.5 * encoder.step
    assert seen[0].all()
    assert [int(row.sum()) for row in seen[2:]] == [1, 0]
    assert (seen[:, 1:] <= seen[:, :-1]).all()
    # Alone, padded more, and in another place of the batch: the same.
    with torch.no_grad():
        for row, length in enumerate((8000, 5321, 300)):
            alone, whole, _ = encoder(samples[row : row + 1, :length])
            assert whole.all()
            count = alone.shape[1]
            torch.testing.assert_close(alone[0], features[row, :count], atol=1e-5, rtol=0)
            assert seen[row].tolist() == [True] * count + [False] * (steps - count)
        more, longer = sounds(8000, 5321, 300, 0, count=11_111)
        padded, _, _ = encoder(more.flip(0), longer.flip(0))
        torch.testing.assert_close(padded.flip(0)[:, :steps], features, atol=1e-5, rtol=0)
        # A sound that changes changes its features.
        assert (encoder(-samples[:1].roll(4000, 1))[0] - features[:1]).abs().max() > 1e-3
        silent, _, _ = encoder(torch.zeros(1, 4000))
        assert silent.isfinite().all()
        assert torch.equal(twin(encoder)(samples, mask)[0], features)
    # Gradients reach the sound, not its padding, and all that is trained.
    given = samples.clone().requires_grad_()
    encoder(given, mask)[0].square().sum().backward()
    assert given.grad.isfinite().all()
    assert given.grad[mask].any()
    assert not given.grad[~mask].any()
    encoder.zero_grad()
    encoder.train()
    encoder(samples, mask)[0].square().sum().backward()
    untouched = [n for n, p in encoder.named_parameters() if p.grad is None]
    assert untouched == []
    assert sum(p.numel() for layer in encoder.layers() for m in layer for p in m.parameters()) > 0
    with torch.autocast("cpu", torch.bfloat16):
        assert encoder(samples, mask)[0].isfinite().all()
    for wrong, message in (
        (torch.zeros(8000), r"expected sound as \(B, N\)"),
        (torch.zeros(2, 1, 8000), "average its channels"),
        (torch.zeros(2, 0), "at least one sample"),
        (torch.zeros(1, 8000, dtype=torch.int16), "divide 16-bit samples by 32768"),
        (torch.full((1, 8000), 3000.0), "got values up to 3e"),
        (torch.full((1, 8000), float("nan")), "take out NaN"),
    ):
        with pytest.raises(InputError, match=message):
            encoder(wrong)
    with pytest.raises(InputError, match=r"as bool \(B, N\), True for real samples"):
        encoder(torch.zeros(2, 8000), torch.ones(2, 8000))


@pytest.mark.parametrize("settings", [{}, {"num_layers": 0}, {"num_mels": 40, "dropout": 0.0}])
def test_contract(settings):
    torch.manual_seed(0)
    check_sound_encoder(small(**settings))


def small_conv(**settings):
    return SmallSoundEncoder(**{"width": 4, "hidden_size": 12, "num_mels": 32, **settings})


@pytest.mark.parametrize("settings", [{}, {"silence": None}, {"stretch": (0.0, 0.0)}])
def test_contract_of_convolutions(settings):
    torch.manual_seed(0)
    check_sound_encoder(small_conv(**settings))


def test_convolutions_leave_out_silence_and_keep_the_time_of_sound():
    encoder = small_conv().eval()
    quiet = 1e-4 * sounds(16_000)[0]
    voice = sounds(8000, seed=1)[0]
    late = torch.cat([quiet, voice, quiet], 1)
    features, heard, seconds = encoder(late)
    where = seconds[heard[0]]
    # The sound lasts from 1 s to 1.5 s, and 0.1 s before and behind it stay.
    assert 0.7 <= float(where[0]) <= 1.0
    assert 1.4 <= float(where[-1]) <= 1.7
    assert not features[0, ~heard[0]].any()
    # One step later, all is one step later.
    step = torch.zeros(1, round(encoder.step * encoder.sample_rate))
    moved, later, _ = encoder(torch.cat([step, late], 1))
    assert torch.equal(later[0, 1:], heard[0])
    torch.testing.assert_close(moved[:, 1:], features, atol=1e-5, rtol=0)
    whole = small_conv(silence=None).eval()(late)[1]
    assert whole.all()


def test_convolutions_hear_loudness():
    encoder = small_conv().eval()
    voice = sounds(8000)[0]
    assert (encoder(voice)[0] - encoder(0.1 * voice)[0]).abs().max() > 1e-2


def test_convolutions_augment_in_training_only():
    encoder = small_conv(dropout=0.0)
    # Statistics of a batch would change with training mode as well.
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    voice, mask = sounds(8000, 6000)
    torch.manual_seed(0)
    one, other = encoder(voice, mask)[0], encoder(voice, mask)[0]
    assert not torch.equal(one, other)
    torch.manual_seed(0)
    assert torch.equal(encoder(voice, mask)[0], one)
    encoder.stretch, encoder.masked_bands = (0.0, 0.0), 0
    still = encoder(voice, mask)[0]
    assert torch.equal(still, encoder.eval()(voice, mask)[0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_mels": 40}, "num_mels must be a multiple of 16, got 40"),
        ({"width": 0}, "width and hidden_size must be at least 1"),
        ({"stretch": (0.1, 1.0)}, "stretch must be two shares"),
        ({"silence": 0.0}, "silence must be above 0 dB or None, got 0"),
        ({"sample_rate": 16_001}, "multiple of 100"),
    ],
)
def test_convolutions_refuse_numbers_out_of_range(settings, message):
    with pytest.raises(InputError, match=message):
        small_conv(**settings)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("conv_norm", ["group", "layer"])
def test_contract_of_hugging_face(architecture, conv_norm):
    torch.manual_seed(0)
    check_sound_encoder(small_hf(architecture, conv_norm=conv_norm, stable=conv_norm == "layer"))


def test_loudness_does_not_count():
    encoder = small().eval()
    samples, _ = sounds(8000)
    with torch.no_grad():
        one, two = encoder(samples)[0], encoder(0.1 * samples)[0]
    torch.testing.assert_close(one, two, atol=1e-3, rtol=0)


def test_a_step_is_at_its_time():
    """Without attention a click changes only the steps around it, most the one at its time."""
    torch.manual_seed(0)
    encoder = small(num_layers=0).eval()
    samples = 0.1 * sounds(16_000)[0]
    clicked = samples.clone()
    clicked[:, 8000:8100] += 0.9
    masks = torch.ones(1, 16_000, dtype=torch.bool)
    change = (encoder.spectra(clicked, masks)[0] - encoder.spectra(samples, masks)[0]).abs().sum(1)
    assert abs(int(change.argmax()) - 50) <= 1
    with torch.no_grad():
        one, _, seconds = encoder(samples)
        two = encoder(clicked)[0]
    assert abs(float(seconds[(one - two).abs().sum(2).argmax()]) - 0.5) <= encoder.step


def test_spectra_have_mean_0_over_real_frames():
    encoder = small()
    samples, mask = sounds(8000, 3200)
    spectra, seen = encoder.spectra(samples, mask)
    assert spectra.shape == (2, 64, 50)
    assert seen.sum(1).tolist() == [50, 20]
    torch.testing.assert_close(spectra.sum(2), torch.zeros(2, 64), atol=1e-3, rtol=0)
    deviation = (spectra.square().sum(2) / seen.sum(1, keepdim=True)).sqrt()
    assert deviation.min() > 0.7
    assert deviation.max() < 1


def test_positions_tell_times_apart():
    found = in_seconds(torch.arange(0, 60, 0.04), 32)
    assert found.shape == (1500, 32)
    distance = torch.cdist(found, found) + 9 * torch.eye(1500)
    assert distance.min() > 0.1
    # One period of the shortest wave is 0.16 s.
    torch.testing.assert_close(found[0, 0], found[4, 0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("conv_norm", ["group", "layer"])
def test_features_are_the_librarys(architecture, conv_norm, tmp_path):
    """From a folder that the library wrote, with its own preparation of the sound."""
    settings = {"conv_norm": conv_norm, "stable": conv_norm == "layer", "conv_bias": True}
    if architecture == "data2vec-audio":
        settings = {"conv_bias": True}
    torch.manual_seed(1)
    theirs = small_hf(architecture, **settings).network.eval()
    theirs.save_pretrained(tmp_path)
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    extractor.save_pretrained(tmp_path)
    torch.manual_seed(2)
    encoder = small_hf(architecture, weights=str(tmp_path), **settings).eval()
    encoder.fetch_pretrained()
    encoder.load_pretrained()
    samples, mask = sounds(8000, 5000)
    with torch.no_grad():
        found, seen, seconds = encoder(samples, mask)
        for row, length in enumerate((8000, 5000)):
            sound = extractor(
                samples[row, :length].numpy(), sampling_rate=16_000, return_tensors="pt"
            )
            expected = theirs(sound["input_values"]).last_hidden_state[0]
            assert int(seen[row].sum()) == len(expected)
            torch.testing.assert_close(found[row, : len(expected)], expected, atol=2e-5, rtol=1e-4)
    assert seconds[:2].tolist() == pytest.approx([199.5 / 16_000, 519.5 / 16_000])


def test_weights_of_another_kind_say_what_to_set(tmp_path):
    small_hf("hubert", conv_norm="layer").network.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="another kind: set hidden_size: 32, mlp_ratio: 4.0, conv"):
        small_hf("hubert", weights=str(tmp_path), hidden_size=64, mlp_ratio=2.0).load_pretrained()
    with pytest.raises(InputError, match="holds hubert, this encoder is wavlm"):
        small_hf("wavlm", weights=str(tmp_path)).load_pretrained()
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
    with pytest.raises(InputError, match="set normalise: False$"):
        small_hf("hubert", weights=str(tmp_path), conv_norm="layer").load_pretrained()
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "hidden_act": "relu"}))
    other = small_hf("hubert", weights=str(tmp_path), conv_norm="layer", normalise=False)
    with pytest.raises(InputError, match="needs hidden_act relu, HFSoundEncoder has gelu only"):
        other.load_pretrained()


def test_weights_that_are_not_there(monkeypatch, tmp_path):
    with pytest.raises(InputError, match=r"expected a folder with config.json"):
        small_hf(weights=str(tmp_path / "none")).fetch_pretrained()
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))

    def refuse(*args, **kwargs):
        raise OSError("no network in tests")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", refuse)
    with pytest.raises(InputError, match=r"huggingface.co/facebook/wav2vec2-base .no network"):
        small_hf(weights="facebook/wav2vec2-base").fetch_pretrained()


def test_the_librarys_generators_are_left_alone():
    """In training, too, nothing is drawn from NumPy's global generator."""
    import numpy as np

    encoder = small_hf().train()
    np.random.seed(0)
    before = np.random.get_state()[1].tolist()
    encoder(torch.rand(2, 20_000) - 0.5)
    assert np.random.get_state()[1].tolist() == before
    assert np.random.get_state()[2] == 624


def test_arguments_are_recorded():
    assert recorded(small_hf())["hidden_size"] == 32
    assert recorded(SoundEncoder())["sample_rate"] == 16_000


def test_refusals(monkeypatch):
    for settings, message in (
        ({"hidden_size": 15}, r"even and a multiple of num_heads \(2\), got 15"),
        ({"num_layers": -1}, "num_layers must be at least 0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"sample_rate": 11_025}, "a multiple of 100 from 4000 on, got 11025"),
        ({"num_mels": 0}, "num_mels must be at least 1"),
    ):
        with pytest.raises(InputError, match=message):
            small(**settings)
    with pytest.raises(InputError, match="no such model: 'wavml'; did you mean wavlm"):
        small_hf("wavml")
    with pytest.raises(InputError, match="a multiple of num_heads, got 32, 5"):
        small_hf(num_heads=5)
    with pytest.raises(InputError, match="conv_norm must be 'group' or 'layer', got 'batch'"):
        small_hf(conv_norm="batch")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"HFSoundEncoder needs .* pip install 'videolit\[hf\]'"):
        small_hf()
