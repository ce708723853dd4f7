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


def test_wrong_arguments():
    with pytest.raises(InputError, match="did you mean r2plus1d_18"):
        TorchvisionClipEncoder("r21d_18")
    with pytest.raises(InputError, match="no weights 'IMAGENET1K_V1'; choose one of KINETICS400"):
        TorchvisionClipEncoder(weights="IMAGENET1K_V1")
    with pytest.raises(InputError, match=r"TorchvisionClipEncoder\(mc3_18\) accepts .*8×8"):
        TorchvisionClipEncoder("mc3_18")(torch.zeros(1, 4, 3, 8, 8, dtype=torch.uint8))
