"""Weights from files: names of other projects, other shapes, reports, and what is refused."""

from __future__ import annotations

import argparse
import re

import numpy as np
import pytest
import torch
from torch import nn

from videolit.encoders import SmallFrameEncoder, TorchvisionFrameEncoder, X3DEncoder
from videolit.encoders.naming import STYLES, rename
from videolit.encoders.resnet3d import Pathway
from videolit.encoders.weights import find_state, load_state, read_file
from videolit.types import InputError

# As the models of pytorchvideo 0.1.5 and mmaction2 1.2.0 list them.
NAMES = {
    "PyTorchVideo's": {
        "blocks.0.multipathway_blocks.0.conv.weight": "slow.conv1.weight",
        "blocks.0.multipathway_blocks.1.norm.running_var": "fast.bn1.running_var",
        "blocks.0.multipathway_fusion.conv_fast_to_slow.weight": "lateral.0.0.weight",
        "blocks.3.multipathway_fusion.norm.bias": "lateral.3.1.bias",
        "blocks.1.multipathway_blocks.0.res_blocks.0.branch1_conv.weight": (
            "slow.layer1.0.downsample.0.weight"
        ),
        "blocks.2.multipathway_blocks.1.res_blocks.3.branch2.norm_c.weight": (
            "fast.layer2.3.bn3.weight"
        ),
        "blocks.3.multipathway_blocks.1.res_blocks.0.branch1_norm.bias": (
            "fast.layer3.0.downsample.1.bias"
        ),
        "blocks.4.multipathway_blocks.0.res_blocks.2.branch2.conv_b.weight": (
            "slow.layer4.2.conv2.weight"
        ),
        "blocks.6.proj.weight": "blocks.6.proj.weight",
    },
    "PyTorchVideo's X3D": {
        "blocks.0.conv.conv_t.weight": "stem.0.weight",
        "blocks.0.conv.conv_xy.weight": "stem.1.weight",
        "blocks.0.norm.bias": "stem.2.bias",
        "blocks.1.res_blocks.0.branch1_conv.weight": "blocks.0.shortcut.weight",
        "blocks.2.res_blocks.0.branch1_conv.weight": "blocks.3.shortcut.0.weight",
        "blocks.2.res_blocks.0.branch1_norm.weight": "blocks.3.shortcut.1.weight",
        "blocks.3.res_blocks.10.branch2.conv_a.weight": "blocks.18.widen.0.weight",
        "blocks.4.res_blocks.6.branch2.norm_b.0.bias": "blocks.25.depthwise.1.bias",
        "blocks.4.res_blocks.6.branch2.norm_b.1.block.0.bias": (
            "blocks.25.depthwise.2.weights.1.bias"
        ),
        "blocks.4.res_blocks.6.branch2.norm_b.1.block.2.weight": (
            "blocks.25.depthwise.2.weights.3.weight"
        ),
        "blocks.4.res_blocks.6.branch2.conv_c.weight": "blocks.25.narrow.0.weight",
        "blocks.5.pool.pre_norm.bias": "last.1.bias",
        "blocks.5.pool.post_conv.weight": "hidden.0.weight",
    },
    "MMAction2's": {
        "backbone.slow_path.conv1.conv.weight": "slow.conv1.weight",
        "backbone.slow_path.conv1_lateral.conv.weight": "lateral.0.0.weight",
        "backbone.slow_path.layer3_lateral.conv.weight": "lateral.3.0.weight",
        "backbone.slow_path.layer1.0.downsample.bn.bias": "slow.layer1.0.downsample.1.bias",
        "backbone.fast_path.layer4.2.conv3.bn.running_mean": "fast.layer4.2.bn3.running_mean",
        "cls_head.fc_cls.bias": "cls_head.fc_cls.bias",
    },
    "MMAction2's X3D": {
        "backbone.conv1_s.conv.weight": "stem.0.weight",
        "backbone.conv1_t.bn.bias": "stem.2.bias",
        "backbone.layer1.0.downsample.conv.weight": "blocks.0.shortcut.weight",
        "backbone.layer2.0.downsample.bn.weight": "blocks.3.shortcut.1.weight",
        "backbone.layer4.6.se_module.fc2.bias": "blocks.25.depthwise.2.weights.3.bias",
        "backbone.conv5.conv.weight": "last.0.weight",
        "cls_head.fc1.weight": "hidden.0.weight",
    },
    "MMAction2's C3D": {
        "backbone.conv1a.conv.weight": "convolutions.0.weight",
        "backbone.conv3b.conv.bias": "convolutions.8.bias",
        "backbone.conv5b.conv.weight": "convolutions.18.weight",
        "backbone.fc7.bias": "hidden.4.bias",
    },
    # As in the file densenet121-a639ec97.pth.
    "torchvision's old DenseNet": {
        "features.denseblock1.denselayer1.norm.1.weight": (
            "features.denseblock1.denselayer1.norm1.weight"
        ),
        "features.denseblock4.denselayer16.conv.2.weight": (
            "features.denseblock4.denselayer16.conv2.weight"
        ),
        "features.norm0.weight": "features.norm0.weight",
    },
    "PySlowFast's": {
        "s1.pathway0_stem.conv.weight": "slow.conv1.weight",
        "s1.pathway1_stem.bn.bias": "fast.bn1.bias",
        "s1_fuse.conv_f2s.weight": "lateral.0.0.weight",
        "s4_fuse.bn.running_var": "lateral.3.1.running_var",
        "s2.pathway0_res0.branch1.weight": "slow.layer1.0.downsample.0.weight",
        "s5.pathway1_res2.branch2.c_bn.weight": "fast.layer4.2.bn3.weight",
    },
    "PySlowFast's X3D": {
        "s1.pathway0_stem.conv_xy.weight": "stem.0.weight",
        "s1.pathway0_stem.conv.weight": "stem.1.weight",
        "s2.pathway0_res0.branch1.weight": "blocks.0.shortcut.weight",
        "s4.pathway0_res10.branch2.b_bn.bias": "blocks.18.depthwise.1.bias",
        "s5.pathway0_res6.branch2.se.fc1.weight": "blocks.25.depthwise.2.weights.1.weight",
        "head.conv_5_bn.bias": "last.1.bias",
        "head.lin_5.weight": "hidden.0.weight",
    },
}
# One pathway, and the pooling of I3D counted as a stage.
I3D = {
    "blocks.0.conv.weight": "conv1.weight",
    "blocks.1.res_blocks.0.branch2.norm_a.bias": "layer1.0.bn1.bias",
    "blocks.3.res_blocks.0.branch1_conv.weight": "layer2.0.downsample.0.weight",
    "blocks.4.res_blocks.5.branch2.conv_a.weight": "layer3.5.conv1.weight",
    "blocks.5.res_blocks.2.branch2.norm_c.running_var": "layer4.2.bn3.running_var",
}


@pytest.mark.parametrize("style", NAMES)
def test_names_of_other_projects(style):
    assert rename(list(NAMES[style]), style) == NAMES[style]


def test_names_of_one_pathway():
    assert rename(list(I3D), "PyTorchVideo's") == I3D
    one = {name: new for name, new in NAMES["PySlowFast's"].items() if "slow.layer" in new}
    assert rename(list(one), "PySlowFast's") == {
        name: new.removeprefix("slow.") for name, new in one.items()
    }


def test_each_style_is_tested():
    # Those of Hugging Face by its own files, in test_hf.
    rest = {style for style in STYLES if style not in NAMES and "Hugging Face" not in style}
    assert rest == {"this encoder's"}


def small_network():
    """A ResNet-50 over time of few channels, as the encoders hold theirs."""
    holder = nn.Module()
    holder.network = Pathway(2, 5, ((3,), (3, 1), (3, 1), (1, 3)), "zeros")
    for value in holder.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value))
    return holder


def as_mmaction(name):
    """Write a name of ours as MMAction2 does; written apart from the code that reads it."""
    name = name.removeprefix("network.").replace("downsample.0", "downsample.conv")
    name = name.replace("downsample.1", "downsample.bn")
    return "backbone." + re.sub(r"\b(conv|bn)(\d)\.", r"conv\2.\1.", name)


def test_a_whole_checkpoint_of_another_project():
    source, target = small_network(), small_network()
    state = {as_mmaction(name): value for name, value in source.state_dict().items()}
    state["cls_head.fc_cls.weight"] = torch.zeros(5, 64)
    fit = load_state(target, state, "x.pth")
    assert fit.is_whole
    assert fit.style == "MMAction2's"
    assert fit.unused == ["cls_head.fc_cls.weight"]
    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value), name
    said = fit.describe()
    assert "265 of the encoder's 265 tensors" in said
    assert "classifier (as usual): cls_head.fc_cls.weight" in said
    assert "halves time three times" in said


@pytest.mark.parametrize("prefix", ["module.", "model.backbone.", "net._orig_mod.", ""])
def test_any_prefix(prefix):
    source, target = SmallFrameEncoder(width=4), SmallFrameEncoder(width=4)
    state = {prefix + name: value for name, value in source.state_dict().items()}
    fit = load_state(target, {**state, "head.weight": torch.zeros(2, 2)}, "x.pth")
    assert fit.is_whole
    assert fit.style == "this encoder's"
    for name, value in source.state_dict().items():
        if value.is_floating_point():
            assert torch.equal(target.state_dict()[name], value)


def test_the_report_says_what_did_not_fit():
    target = SmallFrameEncoder(width=4)
    names = [name for name, value in target.state_dict().items() if value.is_floating_point()]
    state = {name: torch.rand_like(target.state_dict()[name]) for name in names[:-2]}
    state[names[0]] = torch.zeros(7, 7, 7, 7)
    state["extra.weight"] = torch.zeros(3)
    before = target.state_dict()[names[0]].clone()
    fit = load_state(target, state, "x.pth")
    assert not fit.is_whole
    assert fit.missing == names[-2:]
    assert fit.other_shape[0].startswith(f"{names[0]} 7×7×7×7 → ")
    assert fit.unused == ["extra.weight"]
    assert fit.loaded == names[1:-2]
    assert fit.num_loaded == sum(target.state_dict()[name].numel() for name in fit.loaded)
    assert torch.equal(target.state_dict()[names[0]], before)
    for said in (f"not in the file, left as they were: {names[-2]}", "unused, of the file: extra"):
        assert said in fit.describe()


def test_twenty_names_at_most():
    target = small_network()
    fit = load_state(target, {"conv1.weight": target.network.conv1.weight.detach()}, "x.pth")
    missing = next(line for line in fit.describe().splitlines() if "not in the file" in line)
    assert missing.count("network.") == 20
    assert missing.endswith("… (264 in all)")


def test_nothing_fits():
    state = {"encoder.blocks.0.weight": torch.zeros(3, 3), "other.bias": torch.zeros(3)}
    with pytest.raises(InputError) as caught:
        load_state(SmallFrameEncoder(width=4), state, "x.pth")
    for said in ("x.pth: nothing in it fits", "encoder.blocks.0.weight", "other.bias"):
        assert said in str(caught.value)
    assert list(SmallFrameEncoder(width=4).state_dict())[0] in str(caught.value)


def test_first_shortcut_of_x3d_is_folded():
    """A normalised shortcut gives the same result at rest without its normalisation."""
    torch.manual_seed(0)
    own = X3DEncoder("x3d_xs").eval()
    block = own.blocks[0]
    norm = nn.BatchNorm3d(24).eval()
    norm.weight.data.uniform_(0.5, 2)
    norm.bias.data.normal_()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    state = {name: value.clone() for name, value in own.state_dict().items()}
    state["blocks.0.shortcut.0.weight"] = state.pop("blocks.0.shortcut.weight")
    state |= {f"blocks.0.shortcut.1.{name}": v.clone() for name, v in norm.state_dict().items()}
    clips = torch.randn(1, 24, 4, 8, 8)
    with torch.no_grad():
        inner = block.narrow(block.depthwise(block.widen(clips)))
        expected = (inner + norm(block.shortcut(clips))).relu()
        named = {
            name.replace("blocks.0.shortcut.0", "s2.pathway0_res0.branch1"): v
            for name, v in state.items()
        }
        named = {
            name.replace("blocks.0.shortcut.1", "s2.pathway0_res0.branch1_bn"): v
            for name, v in named.items()
        }
        fit = load_state(own, named, "x.pth")
        found = block(clips)
    assert fit.is_whole
    assert fit.unused == []
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_images_are_inflated():
    """A still clip gives what the image gives (Carreira & Zisserman 2017)."""
    target = small_network()
    value = torch.rand(2, 3, 7, 7)
    fit = load_state(target, {"conv1.weight": value}, "x.pth")
    assert fit.changed == ["network.conv1.weight 2×3×7×7 → 2×3×5×7×7"]
    torch.testing.assert_close(target.network.conv1.weight.sum(2), value)


def test_positions_of_another_size():
    small = TorchvisionFrameEncoder("vit_b_16")
    state = {
        "encoder.pos_embedding": torch.cat(
            [torch.full((1, 1, 768), 5.0), torch.ones(1, 576, 768)], 1
        )
    }
    fit = load_state(small, state, "x.pth")
    assert fit.changed == ["network.encoder.pos_embedding 1×577×768 → 1×197×768"]
    found = small.network.encoder.pos_embedding
    assert (found[:, 0] == 5).all()
    torch.testing.assert_close(found[:, 1:], torch.ones(1, 196, 768))


# Files.


def test_containers_and_plain_settings(tmp_path):
    weights = {"a.weight": torch.ones(2), "a.bias": torch.zeros(2)}
    settings = {
        "epoch": 3,
        "args": argparse.Namespace(lr=0.1),
        "best": np.float64(0.5),
        "count": np.int64(7),
        "curve": np.arange(3.0),
    }
    for key in ("state_dict", "model_state", "model", "model_state_dict"):
        torch.save({key: weights, **settings}, tmp_path / "x.pth")
        content = read_file(tmp_path / "x.pth")
        assert content["best"] == 0.5
        assert torch.equal(find_state(content, "x")["a.weight"], torch.ones(2))
    torch.save({"state_dict": {"model": weights}}, tmp_path / "x.pth")
    assert set(find_state(read_file(tmp_path / "x.pth"), "x")) == set(weights)
    torch.save(weights, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert set(find_state(read_file(tmp_path / "old.pth"), "x")) == set(weights)


def test_safetensors(tmp_path):
    from safetensors.torch import save_file

    save_file({"a.weight": torch.ones(2)}, tmp_path / "x.safetensors")
    assert torch.equal(read_file(tmp_path / "x.safetensors")["a.weight"], torch.ones(2))
    (tmp_path / "y.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="not a readable file of safetensors"):
        read_file(tmp_path / "y.safetensors")


def test_safetensors_are_not_installed(tmp_path, monkeypatch):
    (tmp_path / "x.safetensors").write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    with pytest.raises(InputError, match="pip install safetensors"):
        read_file(tmp_path / "x.safetensors")


class Foreign:
    """Something that only code can rebuild."""


def test_code_in_a_file_is_not_run(tmp_path):
    torch.save({"state_dict": {"a": torch.ones(1)}, "log": Foreign()}, tmp_path / "x.pth")
    with pytest.raises(InputError) as caught:
        read_file(tmp_path / "x.pth")
    said = str(caught.value)
    assert "test_weights.Foreign" in said
    command = re.search(r'python -c "(.*)"$', said)[1]
    # The command that the message gives does it.
    import os

    folder = os.getcwd()
    os.chdir(tmp_path)
    try:
        exec(command, {})
    finally:
        os.chdir(folder)
    assert torch.equal(find_state(read_file(tmp_path / "x-weights.pth"), "x")["a"], torch.ones(1))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a readable file of weights"),
        (b"some text, no weights", "not a readable file of weights"),
        ([1, 2], "expected a dictionary of weights, got list"),
    ],
)
def test_what_is_no_file_of_weights(content, said, tmp_path):
    if isinstance(content, bytes):
        (tmp_path / "x.pth").write_bytes(content)
    else:
        torch.save(content, tmp_path / "x.pth")
    with pytest.raises(InputError, match=said):
        read_file(tmp_path / "x.pth")


def test_missing_files(tmp_path):
    with pytest.raises(InputError, match="no such file of weights"):
        read_file(tmp_path / "none.pth")
    with pytest.raises(InputError, match="a folder"):
        read_file(tmp_path)
    with pytest.raises(InputError, match="download it"):
        read_file("https://example.org/x.pth")
    with pytest.raises(InputError, match=r"no weights in it.*it has epoch"):
        find_state({"epoch": 1}, "x.pth")
