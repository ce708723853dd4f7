"""The small encoders."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from contracts import check_encoder
from videolit.encoders import SmallClipEncoder, SmallFrameEncoder, TorchvisionFrameEncoder
from videolit.types import InputError

SMALL = (SmallFrameEncoder, SmallClipEncoder)


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("motion", ["rgb", "difference", "deviation", "both", "learned"])
def test_contract(kind, motion):
    encoder = kind(width=4, motion=motion)
    check_encoder(encoder, num_frames=5, size=40)


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize(("num_frames", "size"), [(1, 32), (2, 33), (17, 45)])
def test_any_length_and_size(kind, num_frames, size):
    encoder = kind(width=4)
    video = torch.zeros(2, num_frames, 3, size, size + 7, dtype=torch.uint8)
    features, mask = encoder(video)
    assert features.shape == (2, num_frames, 32)
    assert mask.all()


def test_clip_encoder_sees_time_and_frame_encoder_does_not():
    video = torch.randint(0, 256, (1, 8, 3, 32, 32), dtype=torch.uint8)
    for kind, differs in ((SmallClipEncoder, True), (SmallFrameEncoder, False)):
        encoder = kind(width=4).eval()
        with torch.no_grad():
            forward, backward = encoder(video)[0], encoder(video.flip(1))[0].flip(1)
        assert torch.allclose(forward, backward, atol=1e-6) is not differs


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("width", [0, 3])
def test_width_is_even_and_positive(kind, width):
    with pytest.raises(InputError, match=f"even and at least 2, got {width}"):
        kind(width=width)


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiles(kind):
    encoder = kind(width=4).eval()
    video = torch.randint(0, 256, (2, 5, 3, 32, 32), dtype=torch.uint8)
    mask = torch.arange(5) < torch.tensor([5, 3])[:, None]
    with torch.no_grad():
        expected = encoder(video, mask)[0]
        # The number of real frames is data: a per-frame encoder cannot be one graph.
        whole = kind is SmallClipEncoder
        found = torch.compile(encoder, backend="eager", fullgraph=whole)(video, mask)[0]
    torch.testing.assert_close(found, expected)


def test_a_frame_knows_where_things_stand():
    """Two squares of equal surroundings at two places far from the border have other features."""
    torch.manual_seed(0)
    encoder = SmallFrameEncoder(width=4).eval()
    video = torch.zeros(1, 2, 3, 192, 192, dtype=torch.uint8)
    video[0, 0, :, 80:96, 80:96] = 255
    video[0, 1, :, 80:96, 96:112] = 255
    with torch.no_grad():
        features = encoder(video)[0][0]
        assert (features[0] - features[1]).abs().max() > 1e-5
        # The control: without rows and columns the mean over space forgets the place.
        for place in encoder.stages:
            if type(place).__name__ == "_Place":
                place.forward = lambda images: nn.functional.pad(images, (0, 0, 0, 0, 0, 2))
        features = encoder(video)[0][0]
        assert (features[0] - features[1]).abs().max() < 1e-6


def test_both_is_difference_and_deviation_side_by_side():
    video = torch.randint(0, 256, (2, 5, 3, 32, 32), dtype=torch.uint8)
    mask = torch.arange(5) < torch.tensor([5, 3])[:, None]
    both = SmallClipEncoder(4, "both").normalise(video, mask)
    parts = [SmallClipEncoder(4, m).normalise(video, mask) for m in ("difference", "deviation")]
    torch.testing.assert_close(both, torch.cat(parts, 2), rtol=0, atol=0)
    with pytest.raises(InputError, match="has 3 input channels, motion 'both' has 6"):
        TorchvisionFrameEncoder("resnet18", motion="both")
