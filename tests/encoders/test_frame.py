"""torchvision's image networks on each frame."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from contracts import check_encoder
from videolit.encoders import TorchvisionFrameEncoder
from videolit.types import InputError


@pytest.mark.parametrize(
    ("name", "size", "num_features"),
    [
        ("resnet18", 32, 512),
        ("mobilenet_v3_small", 32, 1024),
        ("shufflenet_v2_x0_5", 32, 1024),
    ],
)
def test_contract(name, size, num_features):
    encoder = TorchvisionFrameEncoder(name)
    assert encoder.num_features == num_features
    check_encoder(encoder, num_frames=4, size=size)


def test_contract_of_differences():
    check_encoder(TorchvisionFrameEncoder("shufflenet_v2_x0_5", motion="difference"), 4, 32)


# One of each family that does not take minutes to build, at its smallest accepted size.
@pytest.mark.parametrize(
    "name",
    [
        "alexnet",
        "convnext_tiny",
        "densenet121",
        "efficientnet_b0",
        "efficientnet_v2_s",
        "googlenet",
        "inception_v3",
        "maxvit_t",
        "mnasnet0_5",
        "mobilenet_v2",
        "regnet_x_400mf",
        "resnext50_32x4d",
        "swin_t",
        "swin_v2_t",
        "vgg11",
        "vit_b_16",
    ],
)
def test_families(name):
    with torch.device("meta" if not name.startswith("regnet") else "cpu"):
        encoder = TorchvisionFrameEncoder(name).eval()
        smallest = encoder.size[0]
        video = torch.zeros(1, 2, 3, smallest, smallest, dtype=torch.uint8)
        features = encoder.network(encoder.normalise(video, torch.ones(1, 2).bool())[0])
    assert features.shape == (2, encoder.num_features)
    with pytest.raises(InputError, match=rf"TorchvisionFrameEncoder\({name}\) accepts"):
        encoder(torch.zeros(1, 2, 3, smallest - 1, smallest, dtype=torch.uint8))


def test_features_are_what_the_classifier_sees():
    whole = torchvision.models.resnet18().eval()
    encoder = TorchvisionFrameEncoder("resnet18").eval()
    encoder.network.load_state_dict(
        {key: value for key, value in whole.state_dict().items() if not key.startswith("fc.")}
    )
    video = torch.randint(0, 256, (1, 2, 3, 64, 64), dtype=torch.uint8)
    preset = torchvision.models.ResNet18_Weights.DEFAULT.transforms()
    images = torchvision.transforms.functional.normalize(video[0] / 255, preset.mean, preset.std)
    with torch.no_grad():
        torch.testing.assert_close(
            whole.fc(encoder(video)[0][0]), whole(images), atol=1e-5, rtol=1e-5
        )


def test_moments_are_those_of_the_models_weights(monkeypatch):
    usual = TorchvisionFrameEncoder("resnet18").mean.flatten().tolist()
    assert usual == pytest.approx([0.485, 0.456, 0.406])
    # Trained on other moments, which hold whether its weights are asked for or not.
    monkeypatch.setattr(
        torchvision.models, "get_model", lambda *args, **kwargs: nn.Sequential(nn.Linear(2, 3))
    )
    for weights in (None, "IMAGENET1K_V1"):
        encoder = TorchvisionFrameEncoder("efficientnet_v2_l", weights)
        assert encoder.mean.flatten().tolist() == [0.5, 0.5, 0.5]
        assert encoder.std.flatten().tolist() == [0.5, 0.5, 0.5]


def test_weights_of_a_model_share_their_moments():
    # A checkpoint that is loaded without `weights` must normalise as it was trained.
    for name in torchvision.models.list_models(module=torchvision.models):
        kinds = [k for k in torchvision.models.get_model_weights(name) if k.meta["categories"]]
        moments = {(*k.transforms().mean, *k.transforms().std) for k in kinds}
        assert len(moments) == 1, name


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "resnet19"}, "no such model: 'resnet19'; did you mean .*resnet18"),
        ({"name": "r2plus1d_18"}, "no such model"),
        ({"name": "squeezenet1_0"}, "squeezenet1_0 does not end in a linear layer"),
        ({"weights": "KINETICS400_V1"}, "resnet18 has no weights 'KINETICS400_V1'.*IMAGENET1K_V1"),
        ({"name": "vgg16", "weights": "IMAGENET1K_FEATURES"}, "no weights 'IMAGENET1K_FEATURES'"),
        ({"motion": "flow"}, "motion must be"),
    ],
)
def test_wrong_arguments(arguments, said):
    with pytest.raises(InputError, match=said):
        TorchvisionFrameEncoder(**arguments)


def test_image_size_follows_the_weights():
    with torch.device("meta"):
        assert TorchvisionFrameEncoder("vit_b_16", "IMAGENET1K_SWAG_E2E_V1").size == (384, 384)
        assert TorchvisionFrameEncoder("vit_b_16").size == (224, 224)
