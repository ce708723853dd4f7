"""Features without weights: shape, likeness of what looks alike, every precision."""

import pytest
import torch

from contracts import recorded
from videolit.encoders import AppearanceEncoder
from videolit.encoders.appearance import _CHUNK


def picture(seed, size=64):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 6, generator=generator)
    return torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear")[0]


def features_of(*pictures):
    with torch.no_grad():
        return AppearanceEncoder()(torch.stack(pictures)[None])[0][0]


def test_shape_and_mask():
    encoder = AppearanceEncoder()
    video = torch.randint(0, 256, (2, 5, 3, 48, 64), dtype=torch.uint8)
    mask = torch.tensor([[True] * 5, [True] * 2 + [False] * 3])
    features, found = encoder(video, mask)
    assert features.shape == (2, 5, 256)
    assert features.dtype == torch.float32
    assert encoder.num_features == 256
    assert torch.equal(found, mask)
    assert (features[1, 2:] == 0).all()
    other = video.clone()
    other[1, 2:] = 255 - other[1, 2:]
    assert torch.equal(encoder(other, mask)[0], features)
    assert recorded(encoder) == {}


def test_nothing_is_learnt():
    encoder = AppearanceEncoder()
    assert not list(encoder.parameters())
    assert not encoder.state_dict()


def test_bytes_and_shares_are_the_same():
    video = torch.randint(0, 256, (1, 3, 3, 32, 32), dtype=torch.uint8)
    encoder = AppearanceEncoder()
    torch.testing.assert_close(encoder(video)[0], encoder(video.float() / 255)[0])


def test_frames_do_not_see_each_other_and_pieces_change_nothing():
    video = torch.rand(1, _CHUNK + 3, 3, 32, 32)
    encoder = AppearanceEncoder()
    whole = encoder(video)[0]
    torch.testing.assert_close(whole[:, -5:], encoder(video[:, -5:])[0])


def test_features_are_three_parts_of_one_length():
    found = features_of(picture(0), picture(1))
    assert found.norm(dim=1).tolist() == pytest.approx([1, 1], abs=1e-5)
    for part in found.split([64, 64, 128], 1):
        assert part.norm(dim=1).tolist() == pytest.approx([3**-0.5] * 2, abs=1e-5)


def test_colours_are_a_histogram():
    # Half red, half grey between two bins: votes by hand.
    image = torch.zeros(3, 32, 32)
    image[0, :, :16] = 1
    image[:, :, 16:] = 0.5
    colours = (features_of(image)[0, :64] * 3**0.5).square().view(4, 4, 4)
    assert float(colours.sum()) == pytest.approx(1, abs=1e-5)
    assert float(colours[3, 0, 0]) == pytest.approx(0.5, abs=1e-5)
    torch.testing.assert_close(colours[1:3, 1:3, 1:3], torch.full((2, 2, 2), 1 / 16))


def test_edges_have_orientation_but_no_sign():
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    edges = [(side > 31).float() for side in (columns, rows, columns + rows - 32)]
    images = [edge.expand(3, 64, 64) for edge in edges]
    found = features_of(*images)[:, 128:]
    torch.testing.assert_close(found, features_of(*(1 - i for i in images))[:, 128:])
    likeness = 3 * found @ found.T
    assert torch.diag(likeness).tolist() == pytest.approx([1] * 3, abs=1e-5)
    assert float(likeness[0, 1]) < 0.1
    assert float(likeness[2, :2].max()) < 0.1
    # An edge upright lies in the first of eight bins, one across in the middle one.
    bins = found[:2].view(2, 8, 16).square().sum(2)
    assert bins.argmax(1).tolist() == [0, 4]


def test_what_looks_alike_is_alike():
    same, noisy, other = picture(0), (picture(0) + 0.02 * picture(5)).clamp(0, 1), picture(9)
    moved = picture(0).roll(2, 2)
    found = features_of(same, noisy, moved, other)
    likeness = (found @ found[0]).tolist()
    assert likeness[0] == pytest.approx(1, abs=1e-5)
    assert likeness[1] > 0.95
    assert likeness[2] > 0.8
    assert likeness[3] < min(likeness[1], likeness[2]) - 0.1


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_frame_without_anything_is_finite_and_noise_stays_small(level):
    flat = torch.full((1, 2, 3, 40, 40), level, dtype=torch.uint8)
    flat[0, 1, :, ::2, ::2] = min(level + 1, 255) if level < 255 else 254
    found = AppearanceEncoder()(flat)[0][0]
    assert found.isfinite().all()
    assert (found[0, 64:].abs() < 1e-4).all()
    assert found[1, 64:].norm() < 0.3
    assert float(found[0] @ found[1]) > 0.3


def test_every_precision_gives_the_same():
    video = torch.randint(0, 256, (1, 4, 3, 64, 64), dtype=torch.uint8)
    encoder = AppearanceEncoder()
    expected = encoder(video)[0]
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(encoder(video)[0], expected)
    for dtype in (torch.bfloat16, torch.float64):
        found = AppearanceEncoder().to(dtype)(video)[0]
        torch.testing.assert_close(found.float(), expected, atol=0.02, rtol=0)


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (33, 100)])
def test_small_and_odd_pictures_are_fine(size):
    found = AppearanceEncoder()(torch.rand(1, 2, 3, *size))[0]
    assert found.isfinite().all()
