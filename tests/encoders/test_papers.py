"""Networks that are written from the papers: the published sizes, and what inflation promises."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode

from contracts import check_encoder
from videolit.encoders import C3DEncoder, ResNet3DEncoder, SlowFastEncoder, X3DEncoder
from videolit.types import InputError

# Millions of parameters with the classifier of so many classes, and billions of multiply-adds of a clip, as
# published: Tran et al. 2015 and MMAction2 (C3D), Feichtenhofer 2020 tables 3 and 4 (X3D),
# PyTorchVideo's model zoo (Slow, SlowFast, I3D's parameters; None = no figure of this very clip).
PUBLISHED = {
    "c3d": (C3DEncoder, {}, 101, (16, 112), 78.41, 38.5),
    "x3d_xs": (X3DEncoder, {"name": "x3d_xs"}, 400, (4, 160), 3.79, None),
    "x3d_m": (X3DEncoder, {"name": "x3d_m"}, 400, (16, 224), 3.79, 4.73),
    "i3d_r50": (ResNet3DEncoder, {"name": "i3d_r50"}, 400, (8, 64), 28.04, None),
    "slow_r50": (ResNet3DEncoder, {"name": "slow_r50"}, 400, (8, 256), 32.45, 54.52),
    "slowfast_r50_8x8": (
        SlowFastEncoder,
        {"name": "slowfast_r50_8x8"},
        400,
        (32, 256),
        34.57,
        65.71,
    ),
    "slowfast_r50_4x16": (
        SlowFastEncoder,
        {"name": "slowfast_r50_4x16"},
        400,
        (32, 256),
        34.48,
        36.1,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameters_and_cost(name):
    kind, settings, classes, (num_frames, size), millions, billions = PUBLISHED[name]
    encoder = kind(**settings).eval()
    parameters = sum(p.numel() for p in encoder.parameters()) + (encoder.num_features + 1) * classes
    assert parameters / 1e6 == pytest.approx(millions, rel=0.005)
    if billions is None:
        return
    # On the meta device nothing is computed, only counted.
    encoder.to("meta")
    clip = torch.empty(1, 3, num_frames, size, size, device="meta")
    encoder.normalise = lambda video, mask: video
    video = torch.empty(1, num_frames, 3, size, size, dtype=torch.uint8, device="meta")
    mask = torch.ones(1, num_frames, dtype=torch.bool)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        encoder.encode(video.float(), mask.to("meta"))
    cost = counter.get_total_flops() / 2 + encoder.num_features * classes
    assert clip.numel() == video.numel()
    assert cost / 1e9 == pytest.approx(billions, rel=0.005)


@pytest.mark.parametrize(
    ("make", "num_frames", "size"),
    [
        (lambda: X3DEncoder(motion="difference"), 5, 32),
        (lambda: ResNet3DEncoder("i3d_r50"), 5, 32),
        (lambda: ResNet3DEncoder("slow_r50", time_padding="zeros"), 4, 32),
        (lambda: SlowFastEncoder("slowfast_r50_8x8"), 9, 32),
        pytest.param(lambda: SlowFastEncoder("slowfast_r50_4x16"), 16, 32, marks=pytest.mark.slow),
        pytest.param(C3DEncoder, 16, 112, marks=pytest.mark.slow),
    ],
)
def test_contract(make, num_frames, size):
    check_encoder(make(), num_frames=num_frames, size=size)


@pytest.mark.parametrize("name", ["i3d_r50", "slow_r50"])
def test_a_still_clip_gives_what_the_image_network_gives(name):
    torch.manual_seed(0)
    image_network = torchvision.models.resnet50().eval()
    # As trained ones have them: not 0 and 1.
    for module in image_network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    encoder = ResNet3DEncoder(name).eval()
    encoder.network.inflate(image_network.state_dict())
    image = torch.randint(0, 256, (1, 3, 96, 96), dtype=torch.uint8)
    with torch.no_grad():
        features, mask = encoder(image[:, None].expand(-1, 6, -1, -1, -1))
        logits = image_network.fc(features)
        expected = image_network(encoder.normalise(image[:, None], torch.ones(1, 1).bool())[:, 0])
    assert mask.all()
    for step in range(features.shape[1]):
        torch.testing.assert_close(logits[:, step], expected, rtol=1e-4, atol=1e-4)


def test_the_weights_of_images_are_read_and_inflated(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    kind = torchvision.models.ResNet50_Weights.IMAGENET1K_V1
    (tmp_path / "checkpoints").mkdir()
    torch.manual_seed(1)
    state = torchvision.models.resnet50().state_dict()
    torch.save(state, tmp_path / "checkpoints" / kind.url.rpartition("/")[2])
    encoder = ResNet3DEncoder("i3d_r50", weights="IMAGENET1K_V1")
    encoder.load_pretrained()
    kernel = encoder.network.conv1.weight
    assert kernel.shape == (64, 3, 5, 7, 7)
    torch.testing.assert_close(kernel.sum(2), state["conv1.weight"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ResNet3DEncoder("i3d_r5"), "did you mean i3d_r50"),
        (lambda: SlowFastEncoder("slowfast"), "slowfast_r50"),
        (lambda: X3DEncoder("x3d"), "x3d_"),
        (lambda: ResNet3DEncoder(weights="V9"), "no weights 'V9'"),
        (lambda: ResNet3DEncoder(time_padding="mirror"), "'replicate' or 'zeros', got 'mirror'"),
    ],
)
def test_unknown_settings(make, message):
    with pytest.raises(InputError, match=message):
        make()
