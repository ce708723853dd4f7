"""torchvision's video networks."""

from __future__ import annotations

import pytest
import torch
import torchvision

from contracts import check_encoder
from videolit.encoders import TorchvisionClipEncoder
from videolit.types import InputError


@pytest.mark.parametrize(
    "name",
    [
        "r3d_18",
        pytest.param("mc3_18", marks=pytest.mark.slow),
        pytest.param("r2plus1d_18", marks=pytest.mark.slow),
    ],
)
def test_contract(name):
    check_encoder(TorchvisionClipEncoder(name, motion="difference"), num_frames=9, size=16)


@pytest.mark.parametrize(
    ("name", "steps"), [("r3d_18", [1, 1, 2, 2, 3]), ("mc3_18", [1, 8, 9, 16, 17])]
)
def test_steps_and_their_mask_have_one_length(name, steps):
    encoder = TorchvisionClipEncoder(name).eval()
    with torch.no_grad():
        for num_frames, expected in zip((1, 8, 9, 16, 17), steps, strict=True):
            video = torch.zeros(1, num_frames, 3, 16, 16, dtype=torch.uint8)
            features, mask = encoder(video)
            assert features.shape == (1, expected, 512)
            assert mask.shape == (1, expected)


@pytest.mark.parametrize(
    "name",
    [
        "r2plus1d_18",
        pytest.param("r3d_18", marks=pytest.mark.slow),
        pytest.param("mc3_18", marks=pytest.mark.slow),
    ],
)
def test_parity_with_torchvision(name):
    """The same weights and pixels give torchvision's logits at the native size."""
    torch.manual_seed(0)
    whole = torchvision.models.get_model(name).eval()
    encoder = TorchvisionClipEncoder(name).eval()
    encoder.network.load_state_dict(
        {key: value for key, value in whole.state_dict().items() if not key.startswith("fc.")}
    )
    video = torch.randint(0, 256, (1, 16, 3, 112, 112), dtype=torch.uint8)
    preset = torchvision.models.video.R3D_18_Weights.KINETICS400_V1.transforms()
    clip = torchvision.transforms.functional.normalize(video[0] / 255, preset.mean, preset.std)
    with torch.no_grad():
        logits = whole.fc(encoder(video)[0].mean(1))
        expected = whole(clip.transpose(0, 1)[None])
    assert float(expected.std()) > 1e-3
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "num_frames", "size"),
    [
        ("s3d", 9, 32),
        ("swin3d_t", 5, 32),
        pytest.param("mvit_v2_s", 16, 224, marks=pytest.mark.slow),
    ],
)
def test_contract_of_other_networks(name, num_frames, size):
    check_encoder(TorchvisionClipEncoder(name), num_frames=num_frames, size=size)


# The classifier's place, and clips that torchvision's own forward accepts.
WHOLE = {
    "s3d": ("classifier", 16, 224),
    "swin3d_t": ("head", 8, 64),
    "swin3d_s": ("head", 4, 32),
    "swin3d_b": ("head", 4, 32),
    "mvit_v1_b": ("head", 16, 224),
    "mvit_v2_s": ("head", 16, 224),
}


@pytest.mark.parametrize(
    "name",
    [
        "s3d",
        "swin3d_t",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("swin3d_s", "swin3d_b", "mvit_v1_b", "mvit_v2_s")
        ),
    ],
)
def test_parity_of_other_networks(name):
    torch.manual_seed(0)
    place, num_frames, size = WHOLE[name]
    whole = torchvision.models.get_model(name).eval()
    encoder = TorchvisionClipEncoder(name).eval()
    encoder.network.load_state_dict(
        {key: value for key, value in whole.state_dict().items() if not key.startswith(place)}
    )
    video = torch.randint(0, 256, (1, num_frames, 3, size, size), dtype=torch.uint8)
    with torch.no_grad():
        features, mask = encoder(video)
        clip = encoder.normalise(video, torch.ones(1, num_frames, dtype=torch.bool))
        expected = whole(clip.transpose(1, 2))
        pooled = features.mean(1)
        head = whole.get_submodule(place)
        logits = head(pooled[:, :, None, None, None]).flatten(1) if name == "s3d" else head(pooled)
    assert mask.shape == features.shape[:2]
    assert float(expected.std()) > 1e-3
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-4)


def test_wrong_arguments():
    with pytest.raises(InputError, match="did you mean r2plus1d_18"):
        TorchvisionClipEncoder("r21d_18")
    with pytest.raises(InputError, match="no weights 'IMAGENET1K_V1'; choose one of KINETICS400"):
        TorchvisionClipEncoder(weights="IMAGENET1K_V1")
    with pytest.raises(InputError, match=r"TorchvisionClipEncoder\(mc3_18\) accepts .*8×8"):
        TorchvisionClipEncoder("mc3_18")(torch.zeros(1, 4, 3, 8, 8, dtype=torch.uint8))
