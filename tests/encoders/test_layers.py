"""Layers of networks, and recomputing them."""

import copy

import pytest
import torch
from torch import nn

from videolit.encoders import (
    C3DEncoder,
    ResNet3DEncoder,
    SlowFastEncoder,
    SmallClipEncoder,
    SmallFrameEncoder,
    TorchvisionClipEncoder,
    TorchvisionFrameEncoder,
    X3DEncoder,
)
from videolit.encoders.layers import layer_parameters, recompute_layers, split_layers

ENCODERS = [
    # Layers, counted in the papers: stem, blocks, and what makes features of the last block.
    (lambda: SmallClipEncoder(4), 4),
    (lambda: SmallFrameEncoder(4), 4),
    (lambda: C3DEncoder(), 10),
    (lambda: ResNet3DEncoder("i3d_r50"), 17),
    (lambda: SlowFastEncoder(), 17),
    (lambda: X3DEncoder("x3d_xs"), 30),
    (lambda: TorchvisionFrameEncoder("resnet18"), 9),
    (lambda: TorchvisionFrameEncoder("vit_b_16"), 13),
    (lambda: TorchvisionFrameEncoder("convnext_tiny"), 22),
    (lambda: TorchvisionClipEncoder("r3d_18"), 9),
    (lambda: TorchvisionClipEncoder("swin3d_t"), 16),
    (lambda: TorchvisionClipEncoder("mvit_v2_s"), 17),
]


@pytest.mark.parametrize(("make", "count"), ENCODERS)
def test_every_parameter_is_in_one_layer(make, count):
    with torch.device("meta"):
        encoder = make()
    layers = layer_parameters(encoder, encoder.layers())
    assert len(layers) == count
    ids = [id(p) for layer in layers for p in layer]
    assert len(ids) == len(set(ids))
    assert set(ids) == {id(p) for p in encoder.parameters()}


def test_layers_go_from_input_to_output():
    encoder = TorchvisionFrameEncoder("resnet18")
    names = {id(p): name for name, p in encoder.named_parameters()}
    layers = [
        {names[id(p)].split(".")[1] for p in layer}
        for layer in layer_parameters(encoder, encoder.layers())
    ]
    assert layers[0] == {"conv1", "bn1"}
    assert layers[1:] == [{f"layer{n}"} for n in (1, 1, 2, 2, 3, 3, 4, 4)]


def test_both_pathways_of_slowfast_go_side_by_side():
    encoder = SlowFastEncoder()
    names = {id(p): name for name, p in encoder.named_parameters()}
    layers = [
        sorted({".".join(names[id(p)].split(".")[:3]) for p in layer})
        for layer in layer_parameters(encoder, encoder.layers())
    ]
    assert "lateral.0.0" in layers[0]
    assert {"slow.layer1.0", "fast.layer1.0"} == set(layers[1])
    assert "lateral.1.0" in layers[3]
    assert "lateral.2.0" in layers[7]
    assert "lateral.3.0" in layers[13]
    assert {"slow.layer4.2", "fast.layer4.2"} == set(layers[16])


def test_position_embeddings_belong_to_the_first_layer():
    encoder = TorchvisionFrameEncoder("vit_b_16")
    first = {id(p) for p in layer_parameters(encoder, encoder.layers())[0]}
    assert id(encoder.network.class_token) in first
    assert id(encoder.network.encoder.pos_embedding) in first


def saved_bytes(encoder, video):
    """Bytes that autograd keeps for the backward pass, weights left out."""
    weights = {p.data_ptr() for p in encoder.parameters()}
    kept = {}

    def pack(tensor):
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        encoder(video)[0].sum()
    return sum(kept.values())


@pytest.mark.parametrize(
    "make",
    [
        lambda: SmallClipEncoder(8),
        lambda: TorchvisionFrameEncoder("resnet18"),
        lambda: TorchvisionClipEncoder("r3d_18"),
        lambda: X3DEncoder("x3d_xs"),
    ],
)
def test_recomputing_changes_memory_only(make):
    torch.manual_seed(0)
    plain = make().train()
    lean = copy.deepcopy(plain)
    recompute_layers(lean.layers())
    # A copy computes with its own weights.
    lean = copy.deepcopy(lean)
    assert plain.state_dict().keys() == lean.state_dict().keys()
    video = torch.randint(0, 256, (2, 4, 3, 64, 64), dtype=torch.uint8)
    outputs = []
    for encoder in (plain, lean):
        torch.manual_seed(1)
        out = encoder(video)[0]
        (out**2).sum().backward()
        outputs.append(out)
    torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=0)
    for (name, one), two in zip(plain.named_parameters(), lean.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-5, msg=name)
    for (name, one), two in zip(plain.named_buffers(), lean.buffers(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0, msg=name)
    assert saved_bytes(lean, video) < 0.7 * saved_bytes(plain, video)
    lean.eval()
    with torch.no_grad():
        lean(video)


def test_a_momentum_of_none_keeps_its_count():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, momentum=None))

        def forward(self, images):
            return self.inner(images)

    network = nn.Sequential(Block(), Block())
    twin = copy.deepcopy(network)
    recompute_layers(split_layers(network))
    images = torch.randn(4, 1, 3, 3, requires_grad=True)
    for model in (network, twin):
        for _ in range(2):
            model(images).sum().backward()
    for one, two in zip(network.buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0)
