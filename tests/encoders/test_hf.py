"""Video transformers of Hugging Face's transformers."""

from __future__ import annotations

import json
import sys
from functools import partial

import lightning.pytorch as pl
import pytest
import torch
import transformers

from contracts import check_encoder, check_task
from videolit import ActionDataModule, ActionTask, ClipSpec
from videolit.encoders import HFVideoEncoder
from videolit.encoders.weights import find_state, load_state, read_file
from videolit.temporal import RNN
from videolit.types import InputError

ARCHITECTURES = ["videomae", "timesformer", "vivit", "vjepa2"]
MODELS = {
    "videomae": "VideoMAE",
    "timesformer": "Timesformer",
    "vivit": "Vivit",
    "vjepa2": "VJEPA2",
}


def small(architecture, **settings):
    sizes = {
        "clip_frames": 4,
        "image_size": 32,
        "hidden_size": 48,
        "num_layers": 2,
        "num_heads": 2,
        "patch_size": 8,
    }
    return HFVideoEncoder(architecture, **{**sizes, **settings})


def library(architecture, kind="ForVideoClassification", **settings):
    """The library's own model of the same size, with positions that are not zero."""
    frames, size = (
        ("frames_per_clip", "crop_size")
        if architecture == "vjepa2"
        else ("num_frames", "image_size")
    )
    sizes = {
        frames: 4,
        size: 32,
        "hidden_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_labels": 5,
    }
    sizes |= {"tubelet_size": [2, 8, 8]} if architecture == "vivit" else {"patch_size": 8}
    if architecture != "vjepa2":
        sizes["intermediate_size"] = 192
    else:
        # Not used, but built with the rest of it.
        sizes |= {
            "pred_hidden_size": 24,
            "pred_num_hidden_layers": 1,
            "pred_num_attention_heads": 2,
        }
        sizes |= {"num_pooler_layers": 1}
    config = getattr(transformers, f"{MODELS[architecture]}Config")(**{**sizes, **settings})
    torch.manual_seed(0)
    model = getattr(transformers, MODELS[architecture] + kind)(config)
    for name, value in model.named_parameters():
        if "position" in name or "time_embed" in name or "cls_token" in name:
            value.data.normal_()
    return model.eval()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_contract(architecture):
    check_encoder(small(architecture, motion="difference"), num_frames=4, size=32)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_task_with_it(architecture, tiny_set, tmp_path):
    def make():
        pl.seed_everything(0, verbose=False)
        return ActionTask(small(architecture), partial(RNN, hidden_size=4))

    def data():
        spec = ClipSpec(num_frames=4, size=32, resize=32)
        return ActionDataModule(str(tiny_set), clip=spec, batch_size=6, num_workers=0)

    check_task(make, data, tmp_path)


def clips(encoder, size=32):
    """Pixels, and what the library wants of them."""
    video = torch.randint(0, 256, (2, 4, 3, size, size), dtype=torch.uint8)
    return video, (video / 255 - encoder.mean) / encoder.std


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_features_are_the_librarys(architecture, tmp_path):
    """From a folder that the library wrote; the mean over time is that over its tokens."""
    theirs = library(architecture)
    theirs.save_pretrained(tmp_path)
    encoder = small(architecture, weights=str(tmp_path)).eval()
    encoder.fetch_pretrained()
    encoder.load_pretrained()
    video, pixels = clips(encoder)
    inner = getattr(theirs, architecture)
    with torch.no_grad():
        found, mask = encoder(video)
        if architecture == "vjepa2":
            tokens = inner(pixels, skip_predictor=True).last_hidden_state
        else:
            tokens = inner(pixels).last_hidden_state
    if architecture in ("timesformer", "vivit"):
        tokens = tokens[:, 1:]
    steps = 4 if architecture == "timesformer" else 2
    assert found.shape == (2, steps, 48)
    assert mask.shape == (2, steps)
    torch.testing.assert_close(found.mean(1), tokens.mean(1), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_step_is_the_mean_of_its_patches(architecture):
    """Tokens are grouped by time: without attention only the step of a changed frame changes."""
    encoder = small(architecture, num_layers=0).eval()
    video, _ = clips(encoder)
    other = video.clone()
    other[:, 3] = 255 - other[:, 3]
    with torch.no_grad():
        changed = (encoder(video)[0] - encoder(other)[0]).abs().amax((0, 2)) > 1e-6
    assert changed.tolist() == [False] * (len(changed) - 1) + [True]


def test_logits_of_videomae(tmp_path):
    """The mean of the steps is what the library's classifier sees."""
    theirs = library("videomae")
    theirs.save_pretrained(tmp_path)
    encoder = small("videomae", weights=str(tmp_path)).eval()
    encoder.load_pretrained()
    video, pixels = clips(encoder)
    with torch.no_grad():
        logits = theirs.classifier(theirs.fc_norm(encoder(video)[0].mean(1)))
        torch.testing.assert_close(logits, theirs(pixels).logits, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_other_clips_than_those_of_the_weights(architecture, tmp_path):
    """Twice the frames, three halves of the size: positions are interpolated, the rest is equal."""
    theirs = library(architecture)
    theirs.save_pretrained(tmp_path)
    encoder = small(architecture, weights=str(tmp_path), clip_frames=8, image_size=48)
    encoder.load_pretrained()
    inner = getattr(theirs, architecture)
    state = (inner.encoder if architecture == "vjepa2" else inner).state_dict()
    own = encoder.network.state_dict()
    changed = {name for name in own if own[name].shape != state[name].shape}
    expected = {
        "timesformer": {"embeddings.position_embeddings", "embeddings.time_embeddings"},
        "vivit": {"embeddings.position_embeddings"},
    }
    assert changed == expected.get(architecture, set())
    assert all(torch.equal(own[name], state[name]) for name in own if name not in changed)
    for name in changed:
        # A change of the grid keeps the mean of a table, nearly, and its first position.
        if "time" not in name:
            assert torch.equal(own[name][:, 0], state[name][:, 0])
    if architecture == "vivit":
        # (4/2, 4, 4) becomes (4, 6, 6): the middle of the first time is unlike the last's.
        table = own["embeddings.position_embeddings"][0, 1:].view(4, 36, 48)
        source = state["embeddings.position_embeddings"][0, 1:].view(2, 16, 48)
        assert (table[0].mean(0) - source[0].mean(0)).norm() < (
            table[0].mean(0) - source[1].mean(0)
        ).norm()
    with torch.no_grad():
        features, _ = encoder(torch.zeros(1, 8, 3, 48, 48, dtype=torch.uint8))
    assert features.shape == (1, 8 if architecture == "timesformer" else 4, 48)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_file_by_hand(architecture, tmp_path):
    """What the message of an offline failure advises."""
    theirs = library(architecture)
    theirs.save_pretrained(tmp_path)
    encoder = small(architecture)
    state = find_state(read_file(tmp_path / "model.safetensors"), "x")
    fit = load_state(encoder, state, "x", grid=encoder.grid)
    assert fit.is_whole
    files = {"videomae": "Hugging Face's VideoMAE", "vivit": "Hugging Face's ViViT"}
    assert fit.style == files.get(architecture, "this encoder's")
    # As the library reads it.
    encoder.eval()
    named = small(architecture, weights=str(tmp_path)).eval()
    named.load_pretrained()
    video, _ = clips(encoder)
    with torch.no_grad():
        assert torch.equal(encoder(video)[0], named(video)[0])


def test_weights_of_another_size_say_what_to_set(tmp_path):
    library("videomae").save_pretrained(tmp_path)
    with pytest.raises(InputError, match="another size: set hidden_size: 48, num_layers: 2"):
        HFVideoEncoder(
            "videomae", str(tmp_path), hidden_size=24, num_layers=1, num_heads=2, patch_size=8
        ).load_pretrained()
    with pytest.raises(InputError, match="holds videomae, this encoder is vivit"):
        small("vivit", weights=str(tmp_path)).load_pretrained()
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "hidden_act": "relu"}))
    with pytest.raises(InputError, match="needs hidden_act relu, HFVideoEncoder has gelu only"):
        small("videomae", weights=str(tmp_path)).load_pretrained()


def test_weights_that_are_not_there(monkeypatch, tmp_path):
    with pytest.raises(InputError, match=r"expected a folder with config.json"):
        small("videomae", weights=str(tmp_path / "none")).fetch_pretrained()
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))

    def refuse(*args, **kwargs):
        raise OSError("no network in tests")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", refuse)
    with pytest.raises(InputError) as caught:
        HFVideoEncoder("videomae", "MCG-NJU/videomae-base", num_layers=1).fetch_pretrained()
    for said in (
        "https://huggingface.co/MCG-NJU/videomae-base",
        str(tmp_path / "models--MCG-NJU--videomae-base"),
        "--model.init_from",
    ):
        assert said in str(caught.value)


def test_refusals(monkeypatch):
    with pytest.raises(InputError, match="no such model: 'videomea'; did you mean videomae"):
        small("videomea")
    with pytest.raises(InputError, match="clip_frames of videomae must be a multiple of 2, got 5"):
        small("videomae", clip_frames=5)
    with pytest.raises(InputError, match="image_size must be a multiple of patch_size, got 33, 8"):
        small("vivit", image_size=33)
    with pytest.raises(InputError, match="hidden_size must be a multiple of num_heads, got 48, 5"):
        small("timesformer", num_heads=5)
    with pytest.raises(InputError, match=r"num_frames 4 and size 32 pixels, got 8 frames"):
        small("vivit")(torch.zeros(1, 8, 3, 32, 32, dtype=torch.uint8))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"pip install 'videolit\[hf\]'"):
        small("videomae")
