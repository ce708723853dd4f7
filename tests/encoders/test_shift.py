"""The temporal shift."""

import copy

import pytest
import torch
from torch import nn

from contracts import check_encoder
from videolit.encoders import SmallFrameEncoder, TimmFrameEncoder, TorchvisionFrameEncoder
from videolit.encoders.shift import shift_frames
from videolit.types import InputError


def plain_shift(clip, shift):
    """The paper's figure 1 on (T, C, H, W), frame by frame."""
    part = clip.shape[1] // 8
    out = clip.clone()
    out[:, :part] = 0
    out[1:, :part] = clip[:-1, :part]
    if shift == "both":
        out[:, part : 2 * part] = 0
        out[:-1, part : 2 * part] = clip[1:, part : 2 * part]
    return out


@pytest.mark.parametrize("shift", ["both", "causal"])
@pytest.mark.parametrize("channels", [3, 8, 20])
def test_clips_are_shifted_each_on_its_own(shift, channels):
    lengths = [4, 1, 3]
    clips = [torch.randn(length, channels, 2, 3) for length in lengths]
    number = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))
    found = shift_frames(torch.cat(clips), number, shift)
    expected = torch.cat([plain_shift(clip, shift) for clip in clips])
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def plain_resnet(network, clip, shift):
    """ResNet-18 written out, with the shift on the branch and not on the skip path."""
    x = network.maxpool(network.relu(network.bn1(network.conv1(clip))))
    for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
        for block in stage:
            branch = block.relu(block.bn1(block.conv1(plain_shift(x, shift))))
            branch = block.bn2(block.conv2(branch))
            skip = x if block.downsample is None else block.downsample(x)
            x = block.relu(branch + skip)
    return network.avgpool(x).flatten(1)


@pytest.mark.parametrize("shift", ["both", "causal"])
def test_a_shifted_resnet_against_a_plain_one(shift):
    torch.manual_seed(0)
    encoder = TorchvisionFrameEncoder("resnet18", shift=shift).eval()
    video = torch.randint(0, 256, (2, 5, 3, 64, 64), dtype=torch.uint8)
    mask = torch.arange(5) < torch.tensor([5, 3])[:, None]
    plain = TorchvisionFrameEncoder("resnet18").eval()
    plain.load_state_dict(encoder.state_dict())
    with torch.no_grad():
        found, _ = encoder(video, mask)
        frames = plain.normalise(video, mask)
        for row, length in enumerate((5, 3)):
            expected = plain_resnet(plain.network, frames[row, :length], shift)
            torch.testing.assert_close(found[row, :length], expected, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(found, plain(video, mask)[0], atol=1e-3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SmallFrameEncoder(width=8, shift="both"),
        lambda: TorchvisionFrameEncoder("mobilenet_v3_small", shift="both"),
        lambda: TimmFrameEncoder("resnet18", shift="causal"),
    ],
)
def test_contract(make):
    torch.manual_seed(0)
    check_encoder(make(), num_frames=5, size=40)


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("resnet18", 8),
        ("resnext50_32x4d", 16),
        # Those with a skip path, of 17, 11 and 16.
        ("mobilenet_v2", 10),
        ("mobilenet_v3_small", 6),
        ("efficientnet_b0", 9),
        ("regnet_y_400mf", 16),
        ("convnext_tiny", 18),
    ],
)
def test_every_residual_block_is_shifted_once(name, blocks):
    encoder = TorchvisionFrameEncoder(name, shift="both")
    hooked = [m for m in encoder.modules() if m._forward_pre_hooks]
    assert len(hooked) == blocks
    assert all(isinstance(m, nn.Conv2d) for m in hooked)
    plain = TorchvisionFrameEncoder(name)
    assert plain.state_dict().keys() == encoder.state_dict().keys()


@pytest.mark.parametrize("shift", ["both", "causal"])
def test_time_goes_as_far_as_it_should(shift):
    torch.manual_seed(0)
    encoder = SmallFrameEncoder(width=16, shift=shift).eval()
    video = torch.randint(0, 256, (1, 9, 3, 32, 32), dtype=torch.uint8)
    other = video.clone()
    other[0, 4] = 255 - other[0, 4]
    with torch.no_grad():
        changed = (encoder(video)[0] != encoder(other)[0]).any(-1)[0].tolist()
    # Three shifts, one frame each.
    first = 4 if shift == "causal" else 1
    assert changed == [first <= frame <= 7 for frame in range(9)]


def test_a_copy_has_a_shift_of_its_own():
    torch.manual_seed(0)
    encoder = TorchvisionFrameEncoder("resnet18", shift="both").eval()
    twin = copy.deepcopy(encoder)
    one = torch.randint(0, 256, (2, 4, 3, 32, 32), dtype=torch.uint8)
    two = torch.randint(0, 256, (3, 5, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        expected = encoder(one)[0]
        twin(two)
        assert twin._hook is not encoder._hook
        assert len(encoder._hook.clips) == 8
        torch.testing.assert_close(twin(one)[0], expected, rtol=0, atol=0)


def test_networks_without_residual_blocks_are_refused():
    with pytest.raises(InputError, match="vgg11 has no residual blocks"):
        TorchvisionFrameEncoder("vgg11", shift="both")
    with pytest.raises(InputError, match="shift must be 'both', 'causal' or null, got 'left'"):
        SmallFrameEncoder(width=4, shift="left")
