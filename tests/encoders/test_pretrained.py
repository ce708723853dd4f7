"""Pretrained weights: checked early, fetched late, loaded whole or not at all."""

from __future__ import annotations

import pickle
import urllib.error

import pytest
import torch
import torchvision

from videolit.encoders import SmallFrameEncoder, TorchvisionClipEncoder, TorchvisionFrameEncoder
from videolit.encoders.pretrained import find_weights, weights_file
from videolit.types import InputError


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """An empty cache of torch and no network; returns the URLs that were asked for."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    asked = []

    def refuse(url, *args, **kwargs):
        asked.append(url)
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    return asked


def place(name, weights, content):
    """Write a weights file where torchvision looks for it."""
    file = weights_file(find_weights(name, weights))
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, file)
    return file


@pytest.mark.parametrize(
    ("kind", "name", "weights"),
    [
        (TorchvisionFrameEncoder, "resnet18", "IMAGENET1K_V1"),
        (TorchvisionFrameEncoder, "mnasnet0_5", "DEFAULT"),
        (TorchvisionClipEncoder, "mc3_18", "KINETICS400_V1"),
    ],
)
def test_all_but_the_classifier_is_loaded(offline, kind, name, weights):
    state = torchvision.models.get_model(name).state_dict()
    place(name, weights, state)
    encoder = kind(name, weights)
    before = {key: value.clone() for key, value in encoder.network.state_dict().items()}
    assert any(not torch.equal(before[key], state[key]) for key in before)
    encoder.fetch_pretrained()
    encoder.load_pretrained()
    after = encoder.network.state_dict()
    assert set(state) - set(after) in (
        {"fc.weight", "fc.bias"},
        {"classifier.1.weight", "classifier.1.bias"},
    )
    assert all(torch.equal(after[key], state[key]) for key in after)
    assert offline == []


def test_old_files_of_auxiliary_heads(offline):
    # googlenet's file has two auxiliary heads, which the encoder has not.
    state = torchvision.models.googlenet(aux_logits=True, init_weights=False).state_dict()
    place("googlenet", "DEFAULT", state)
    encoder = TorchvisionFrameEncoder("googlenet", "DEFAULT")
    encoder.load_pretrained()
    after = encoder.network.state_dict()
    assert not any(key.startswith("aux") for key in after)
    assert all(torch.equal(after[key], state[key]) for key in after)


def test_nothing_is_fetched_before_it_is_asked_for(offline):
    encoder = TorchvisionFrameEncoder("mobilenet_v3_small", "DEFAULT")
    encoder.eval()(torch.zeros(1, 1, 3, 32, 32, dtype=torch.uint8))
    assert offline == []
    with pytest.raises(InputError) as caught:
        encoder.fetch_pretrained()
    assert len(offline) == 1
    file = weights_file(find_weights("mobilenet_v3_small", "DEFAULT"))
    for said in (offline[0], f"place the file {file.name} in {file.parent}", "weights to null"):
        assert said in str(caught.value)
    with pytest.raises(InputError, match="could not be downloaded"):
        encoder.load_pretrained()


@pytest.mark.parametrize(
    "encoder",
    [SmallFrameEncoder(), TorchvisionFrameEncoder("shufflenet_v2_x0_5")],
    ids=["small", "random weights"],
)
def test_nothing_to_fetch(offline, encoder):
    encoder.fetch_pretrained()
    encoder.load_pretrained()
    assert offline == []


def test_another_models_file_is_refused(offline):
    file = place("resnet18", "DEFAULT", torchvision.models.shufflenet_v2_x0_5().state_dict())
    encoder = TorchvisionFrameEncoder("resnet18", "DEFAULT")
    with pytest.raises(InputError, match=f"{file.name} does not hold the weights of resnet18"):
        encoder.load_pretrained()


def test_a_file_cut_short_is_refused(offline):
    file = place("resnet18", "DEFAULT", torchvision.models.resnet18().state_dict())
    file.write_bytes(file.read_bytes()[:100_000])
    with pytest.raises(InputError, match="does not hold the weights"):
        TorchvisionFrameEncoder("resnet18", "DEFAULT").load_pretrained()


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('the file ran code')",)


def test_code_in_a_file_does_not_run(offline):
    place("resnet18", "DEFAULT", Bomb())
    with pytest.raises(InputError, match="does not hold the weights"):
        TorchvisionFrameEncoder("resnet18", "DEFAULT").load_pretrained()
    with pytest.raises(SystemExit):
        pickle.loads(pickle.dumps(Bomb()))


@pytest.mark.parametrize("word", ["None", "null", "none", ""])
def test_null_on_the_command_line_means_no_weights(word, offline):
    encoder = TorchvisionClipEncoder("r3d_18", weights=word)
    encoder.load_pretrained()
    assert encoder.weights is None
    assert offline == []
