"""The input contract of encoders: normalisation, motion, masks, messages."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from videolit.encoders import SmallClipEncoder, SmallFrameEncoder, VideoEncoder
from videolit.encoders.base import step_mask
from videolit.types import InputError


class Pixels(VideoEncoder):
    """Returns the normalised first pixel of each frame, to see what a network sees."""

    num_frames = (2, 8)
    size = (4, 4)

    def __init__(self, motion="rgb"):
        super().__init__(3, motion, mean=(0.4, 0.5, 0.6), std=(0.1, 0.2, 0.5))
        self.weight = nn.Parameter(torch.ones(1))

    def encode(self, video, mask):
        return self.normalise(video, mask)[..., 0, 0], mask


def grey(*levels):
    """One clip whose frame t has the grey level levels[t]."""
    video = torch.tensor(levels, dtype=torch.uint8)[None, :, None, None, None]
    return video.expand(-1, -1, 3, 4, 4).contiguous()


def test_rgb_is_normalised_per_channel():
    video = grey(0, 255)
    video[0, 1, 1:] = 0  # pure red
    features, _ = Pixels()(video)
    expected = [[[-4.0, -2.5, -1.2], [6.0, -2.5, -1.2]]]
    torch.testing.assert_close(features, torch.tensor(expected))


def test_difference_is_scaled_by_std_only():
    features, _ = Pixels("difference")(grey(0, 51, 51, 255))
    expected = torch.tensor([0.0, 0.2, 0.0, 0.8])[:, None] / torch.tensor([0.1, 0.2, 0.5])
    torch.testing.assert_close(features[0], expected)


@pytest.mark.parametrize("motion", ["difference", "deviation"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
def test_a_frozen_clip_is_exactly_zero(dtype, motion):
    video = torch.randint(0, 256, (1, 1, 3, 4, 4), dtype=torch.uint8).expand(2, 5, 3, 4, 4)
    video = video if dtype == torch.uint8 else (video / 255).to(dtype)
    assert (Pixels(motion)(video)[0] == 0).all()


def test_difference_across_the_border_to_padding_is_zero():
    mask = torch.tensor([[False, True, True, False, False, True]])
    features, _ = Pixels("difference")(grey(200, 10, 61, 250, 0, 100), mask)
    assert (features[0, [0, 1, 3, 4, 5]] == 0).all()
    torch.testing.assert_close(features[0, 2], torch.tensor([2.0, 1.0, 0.4]))


def test_deviation_is_from_the_mean_of_the_real_frames():
    mask = torch.tensor([[False, True, True, False, True]])
    features, _ = Pixels("deviation")(grey(200, 51, 102, 250, 153), mask)
    expected = torch.tensor([0.0, -0.2, 0.0, 0.0, 0.2])[:, None] / torch.tensor([0.1, 0.2, 0.5])
    torch.testing.assert_close(features[0], expected)


def test_deviation_knows_no_order():
    video = torch.randint(0, 256, (2, 5, 3, 4, 4), dtype=torch.uint8)
    forward, _ = Pixels("deviation")(video)
    backward, _ = Pixels("deviation")(video.flip(1))
    torch.testing.assert_close(backward, forward.flip(1))


def test_bfloat16_difference_keeps_small_steps():
    # 200 and 201 of 255 are one number in bfloat16.
    features, _ = Pixels("difference").to(torch.bfloat16)(grey(200, 201))
    assert features.dtype == torch.bfloat16
    assert float(features[0, 1, 0]) == pytest.approx(1 / 25.5, rel=0.01)


def test_limits_are_named():
    with pytest.raises(InputError, match=r"num_frames 2 to 8 and size 4 pixels, got 1 frames"):
        Pixels()(grey(0))
    with pytest.raises(InputError, match=r"size 4 pixels, got 2 frames of 4×5"):
        Pixels()(torch.zeros(1, 2, 3, 4, 5, dtype=torch.uint8))
    with pytest.raises(InputError, match=r"SmallClipEncoder accepts .*size >= 16 pixels.*8×8"):
        SmallClipEncoder()(torch.zeros(1, 2, 3, 8, 8, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((2, 3, 8, 4, 4), r"\(B, C, T, H, W\): give video.transpose\(1, 2\)"),
        ((2, 8, 4, 4, 3), r"\(B, T, H, W, C\): give video.permute"),
        ((8, 3, 4, 4), "add the missing dimension"),
        ((2, 5, 8, 3, 4, 4), r"\(B, V, T, C, H, W\).*flatten\(0, 1\)"),
        ((2, 8, 1, 4, 4), r"C = 3 \(RGB\), got \(2, 8, 1, 4, 4\)"),
        ((2, 0, 3, 4, 4), "at least one frame"),
    ],
)
def test_wrong_layouts_say_what_they_look_like(shape, said):
    with pytest.raises(InputError, match=said):
        Pixels()(torch.zeros(shape, dtype=torch.uint8))


def test_unknown_motion():
    with pytest.raises(
        InputError, match="'rgb', 'difference', 'deviation', 'both', 'learned', got 'flow'"
    ):
        SmallFrameEncoder(motion="flow")


def test_no_real_frame_in_the_batch():
    with pytest.raises(InputError, match="no real frame"):
        SmallFrameEncoder(width=2)(
            torch.zeros(1, 2, 3, 32, 32, dtype=torch.uint8), torch.zeros(1, 2, dtype=torch.bool)
        )


def test_padded_frames_are_not_computed():
    encoder = SmallFrameEncoder(width=2)
    seen = []
    encoder.stages.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    mask = torch.tensor([[True, True, False], [True, False, False]])
    features, _ = encoder(torch.zeros(2, 3, 3, 32, 32, dtype=torch.uint8), mask)
    assert seen == [3]
    assert (features[~mask] == 0).all()


def test_step_mask_against_a_loop():
    generator = torch.Generator().manual_seed(0)
    for length in range(1, 20):
        mask = torch.rand(4, length, generator=generator) < 0.3
        for stride in (1, 2, 8):
            expected = [
                [any(row[start : start + stride]) for start in range(0, length, stride)]
                for row in mask.tolist()
            ]
            assert step_mask(mask, stride).tolist() == expected


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_a_learnt_filter_begins_as_the_difference(dtype):
    video = torch.randint(0, 256, (2, 6, 3, 4, 4), dtype=torch.uint8)
    video = video if dtype == torch.uint8 else video / 255
    mask = torch.arange(6) < torch.tensor([6, 4])[:, None]
    learned, plain = Pixels("learned"), Pixels("difference")
    torch.testing.assert_close(
        learned.normalise(video, mask), plain.normalise(video, mask), rtol=0, atol=0
    )
    assert learned.motion_filter.weight.requires_grad
    learned.normalise(video, mask).square().sum().backward()
    assert (learned.motion_filter.weight.grad.abs() > 0).all()


def test_a_learnt_filter_can_look_before_and_after_and_at_the_mean():
    encoder = Pixels("learned")
    with torch.no_grad():
        encoder.motion_filter.weight.copy_(
            torch.tensor([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        )
    mask = torch.tensor([[True, True, True, True, False]])
    found = encoder.normalise(grey(0, 51, 153, 255, 99), mask)[0, :, :, 0, 0] * torch.tensor(
        [0.1, 0.2, 0.5]
    )
    torch.testing.assert_close(found[:, 0], torch.tensor([0.0, 0, 0.2, 0.4, 0]))
    torch.testing.assert_close(found[:, 1], torch.tensor([0.2, 0.4, 0.4, 0, 0]))
    mean = (0 + 51 + 153 + 255) / 4 / 255
    expected = torch.tensor([0, 0.2, 0.6, 1.0, mean]) - mean
    torch.testing.assert_close(found[:, 2], expected)


def test_a_frozen_clip_is_zero_whatever_was_learnt():
    encoder = Pixels("learned")
    with torch.no_grad():
        encoder.motion_filter.weight.normal_()
    video = torch.randint(0, 256, (1, 1, 3, 4, 4), dtype=torch.uint8).expand(2, 5, 3, 4, 4)
    mask = torch.arange(5) < torch.tensor([5, 3])[:, None]
    assert (encoder.normalise(video, mask) == 0).all()
