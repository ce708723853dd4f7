"""Mixing of clips."""

import pytest
import torch

from videolit.ops.mixing import cutmix, mixup, multi_hot


def clips():
    return torch.stack([torch.full((2, 3, 8, 12), value, dtype=torch.uint8) for value in (0, 100)])


def test_mixup_blends_pixels_and_labels():
    target = multi_hot(torch.tensor([0, 2]), 3)
    video, mixed = mixup(clips(), target, 0.75, torch.tensor([1, 0]))
    assert video.dtype == torch.float32
    torch.testing.assert_close(video[:, 0, 0, 0, 0] * 255, torch.tensor([25.0, 75.0]))
    torch.testing.assert_close(mixed, torch.tensor([[0.75, 0, 0.25], [0.25, 0, 0.75]]))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.75, 1.0])
@pytest.mark.parametrize("place", [(0.5, 0.5), (0.0, 1.0), (0.2, 0.9)])
def test_cutmix_mixes_labels_by_the_pixels_that_show(share, place):
    target = multi_hot(torch.tensor([0, 2]), 3)
    video, mixed = cutmix(clips(), target, share, torch.tensor([1, 0]), place)
    assert video.dtype == torch.uint8
    foreign = (video[0] == 100).float()
    assert (foreign == foreign[:1, :1]).all()
    torch.testing.assert_close(
        mixed[0], torch.stack([1 - foreign.mean(), *foreign.mean() * torch.tensor([0, 1])])
    )
    if place == (0.5, 0.5):
        assert foreign.mean() == pytest.approx(1 - share, abs=0.1)
    assert (clips()[0] == 0).all()


def test_a_box_at_the_border_is_cut():
    video, mixed = cutmix(clips(), torch.eye(2), 0.75, torch.tensor([1, 0]), (0.0, 0.0))
    # Half of the height and of the width, a half of each outside.
    assert (video[0, 0, 0] == 100).nonzero().tolist() == [
        [r, c] for r in range(2) for c in range(3)
    ]
    torch.testing.assert_close(mixed[0, 1], torch.tensor(6 / 96))


def test_several_labels_stay_as_they_are():
    several = torch.tensor([[1.0, 1.0, 0.0]])
    assert multi_hot(several, 3) is several
