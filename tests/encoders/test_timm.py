"""Image networks of timm."""

from __future__ import annotations

import sys
from functools import partial

import lightning.pytorch as pl
import pytest
import timm
import torch
from safetensors.torch import save_file

from contracts import check_encoder, check_task
from videolit import ActionDataModule, ActionTask, ClipSpec
from videolit.encoders import TimmFrameEncoder
from videolit.encoders.weights import find_state, load_state, read_file
from videolit.temporal import RNN
from videolit.types import InputError


@pytest.mark.parametrize(
    ("name", "image_size"), [("test_resnet", None), ("test_convnext", None), ("test_vit", 32)]
)
def test_contract(name, image_size):
    encoder = TimmFrameEncoder(name, image_size=image_size, motion="difference")
    check_encoder(encoder, num_frames=4, size=32)


def test_a_task_with_it(tiny_set, tmp_path):
    def make():
        pl.seed_everything(0, verbose=False)
        return ActionTask(TimmFrameEncoder("test_vit", image_size=32), partial(RNN, hidden_size=4))

    def data():
        spec = ClipSpec(num_frames=4, size=32, resize=32)
        return ActionDataModule(str(tiny_set), clip=spec, batch_size=4, num_workers=0)

    check_task(make, data, tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "test_vit",
        "test_efficientnet",
        "resnet18",
        # Its classifier has a hidden layer, which belongs to the features.
        "mobilenetv3_small_050",
        pytest.param("vgg11", marks=pytest.mark.slow),
        pytest.param("swin_tiny_patch4_window7_224", marks=pytest.mark.slow),
        pytest.param("deit_tiny_distilled_patch16_224", marks=pytest.mark.slow),
    ],
)
def test_features_are_timms(name):
    theirs = timm.create_model(name, num_classes=0).eval()
    encoder = TimmFrameEncoder(name).eval()
    assert load_state(encoder, theirs.state_dict(), "x").is_whole
    config = theirs.pretrained_cfg
    size = config["input_size"][-1]
    video = torch.randint(0, 256, (1, 2, 3, size, size), dtype=torch.uint8)
    mean, std = (torch.tensor(config[key]).view(3, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        found, mask = encoder(video)
        expected = theirs((video[0] / 255 - mean) / std)
    assert found.shape == (1, 2, encoder.num_features)
    assert float(expected.std()) > 1e-5
    torch.testing.assert_close(found[0], expected, atol=1e-4, rtol=1e-4)


def test_weights_are_loaded_as_timm_loads_them(monkeypatch):
    """Without the classifier, and with positions for another size."""
    state = timm.create_model("test_vit").state_dict()
    asked = []

    def give(repository, *args, **kwargs):
        asked.append(repository)
        return dict(state)

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", give)
    encoder = TimmFrameEncoder("test_vit", weights="r160_in1k", image_size=64)
    assert not asked
    encoder.fetch_pretrained()
    encoder.load_pretrained()
    assert set(asked) == {"timm/test_vit.r160_in1k"}
    found = encoder.network.state_dict()
    assert set(state) - set(found) == {"head.weight", "head.bias"}
    for name in found:
        if name != "pos_embed":
            assert torch.equal(found[name], state[name]), name
    assert found["pos_embed"].shape[1] < state["pos_embed"].shape[1]


def test_offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))

    def refuse(*args, **kwargs):
        raise OSError("no network in tests")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", refuse)
    encoder = TimmFrameEncoder("test_vit", weights="DEFAULT")
    for call in (encoder.fetch_pretrained, encoder.load_pretrained):
        with pytest.raises(InputError) as caught:
            call()
        for said in (
            "https://huggingface.co/timm/test_vit.r160_in1k",
            "no network in tests",
            str(tmp_path / "models--timm--test_vit.r160_in1k"),
            "--model.init_from",
        ):
            assert said in str(caught.value)


def test_a_file_of_the_hub_by_hand(tmp_path):
    """What the message of the offline failure advises."""
    theirs = timm.create_model("test_vit")
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    encoder = TimmFrameEncoder("test_vit", image_size=64)
    state = find_state(read_file(tmp_path / "model.safetensors"), "x")
    fit = load_state(encoder, state, "x")
    assert fit.is_whole
    assert set(fit.unused) == {"head.weight", "head.bias"}
    assert [line.partition(" ")[0] for line in fit.changed] == ["network.pos_embed"]


def test_refusals(monkeypatch):
    with pytest.raises(InputError, match="timm has no such model: 'resnet19'; did you mean"):
        TimmFrameEncoder("resnet19")
    with pytest.raises(InputError, match=r"no weights 'best'; choose one of DEFAULT, a1_in1k"):
        TimmFrameEncoder("resnet18", weights="best")
    with pytest.raises(InputError, match="takes frames of any size: leave image_size out, got 64"):
        TimmFrameEncoder("test_resnet", image_size=64)
    encoder = TimmFrameEncoder("test_vit")
    with pytest.raises(InputError, match=r"TimmFrameEncoder\(test_vit\) accepts .* size 160"):
        encoder(torch.zeros(1, 2, 3, 64, 64, dtype=torch.uint8))
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"pip install 'videolit\[timm\]'"):
        TimmFrameEncoder("resnet18")
