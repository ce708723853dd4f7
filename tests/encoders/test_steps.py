"""A feature for each step of a long video, clip after clip."""

import pytest
import torch

from videolit.encoders import AppearanceEncoder, SmallFrameEncoder
from videolit.encoders.steps import encode_steps


def frames(batch, steps, size=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, steps, 3, size, size, generator=generator)


def means(video, mask):
    """An encoder whose feature is the clip's mean brightness beside the frame's own."""
    own = video.mean((2, 3, 4))
    real = mask.float()
    clip = (own * real).sum(1, keepdim=True) / real.sum(1, keepdim=True).clamp_min(1)
    return torch.stack([own, clip.expand_as(own)], 2), mask


def every_second(video, mask):
    """An encoder that returns a step for two frames."""
    return video.mean((2, 3, 4))[:, ::2, None], mask[:, ::2]


@pytest.mark.parametrize("steps", [1, 5, 8, 9, 24, 30])
def test_frame_encoders_give_what_they_give_at_once(steps):
    torch.manual_seed(0)
    video, mask = frames(2, steps), torch.ones(2, steps, dtype=torch.bool)
    for encoder in (AppearanceEncoder(), SmallFrameEncoder(width=4).eval()):
        with torch.no_grad():
            found = encode_steps(encoder, video, mask, 8)
            torch.testing.assert_close(found, encoder(video, mask)[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("steps", [1, 7, 8, 19, 32])
def test_pieces_of_whole_clips_give_the_same(steps):
    video, mask = frames(1, steps), torch.ones(1, steps, dtype=torch.bool)
    whole = encode_steps(means, video, mask, 8)
    pieces = [
        encode_steps(means, video[:, i : i + 16], mask[:, i : i + 16], 8)
        for i in range(0, steps, 16)
    ]
    torch.testing.assert_close(torch.cat(pieces, 1), whole)
    for start in range(0, steps, 8):
        part = video[:, start : start + 8]
        assert float(whole[0, start, 1]) == pytest.approx(float(part.mean()), abs=1e-5)


@pytest.mark.parametrize("steps", [2, 8, 11, 16])
def test_fewer_steps_are_interpolated_within_a_clip(steps):
    video, mask = frames(1, steps), torch.ones(1, steps, dtype=torch.bool)
    found = encode_steps(every_second, video, mask, 8)
    assert found.shape == (1, steps, 1)
    for start in range(0, steps, 8):
        part = video[:, start : start + 8]
        coarse = part[0, ::2].mean((1, 2, 3))
        for place in range(part.shape[1]):
            # Step j of the encoder stands in the middle of frames 2 j and 2 j + 1.
            at = min(max((place + 0.5) / 2 - 0.5, 0), len(coarse) - 1)
            low = int(at)
            high = min(low + 1, len(coarse) - 1)
            expected = coarse[low] + (at - low) * (coarse[high] - coarse[low])
            assert float(found[0, start + place, 0]) == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("least", [1, 4, 12])
@pytest.mark.parametrize("steps", [1, 3, 8, 10])
def test_a_short_last_clip_is_filled_with_padding(steps, least):
    seen = []

    def encoder(video, mask):
        seen.append((video.shape[1], mask[0].tolist()))
        assert (video[0, mask[0].sum() :] == video[0, mask[0].sum() - 1]).all()
        return means(video, mask)

    video, mask = frames(1, steps), torch.ones(1, steps, dtype=torch.bool)
    found = encode_steps(encoder, video, mask, 8, least=least)
    assert found.shape == (1, steps, 2)
    rest = (steps - 1) % 8 + 1
    length = max(8, least)
    assert seen[-1] == (length, [True] * rest + [False] * (length - rest))
    last = video[:, steps - rest :]
    assert float(found[0, -1, 1]) == pytest.approx(float(last.mean()), abs=1e-5)


def every_second_with_noise(video, mask):
    """The same, but what it says of padding is nonsense."""
    found, known = every_second(video, mask)
    return torch.where(known[..., None], found, 1e6), known


@pytest.mark.parametrize("encoder", [means, every_second, every_second_with_noise])
def test_a_shorter_video_of_a_batch_is_what_it_is_alone(encoder):
    video = frames(2, 21)
    mask = torch.ones(2, 21, dtype=torch.bool)
    mask[1, 11:] = False
    video[1, 11:] = 0
    both = encode_steps(encoder, video, mask, 8)
    alone = encode_steps(encoder, video[1:, :11], mask[1:, :11], 8)
    torch.testing.assert_close(both[1:, :11], alone)
    assert both.isfinite().all()


def test_a_clip_of_padding_alone_is_no_trouble():
    torch.manual_seed(0)
    encoder = SmallFrameEncoder(width=4).eval()
    video, mask = frames(2, 20), torch.ones(2, 20, dtype=torch.bool)
    mask[1, 3:] = False
    with torch.no_grad():
        found = encode_steps(encoder, video, mask, 8)
    assert found.isfinite().all()
    with torch.no_grad():
        alone = encode_steps(encoder, video[1:, :3], mask[1:, :3], 8)
    torch.testing.assert_close(found[1, :3], alone[0], atol=1e-5, rtol=1e-4)
