"""Changes of a clip's time: which frame stands where."""

from __future__ import annotations

import pytest
import torch

from videolit.ops.time import freeze, hold, reverse, shuffle
from videolit.types import InputError

LENGTHS = (6, 5, 1, 0)
PREFIX = torch.arange(6) < torch.tensor(LENGTHS)[:, None]
# Real frames anywhere: the functions do not need them first.
SCATTERED = torch.tensor([[0, 1, 0, 1, 1, 0], [1, 0, 0, 0, 0, 1]], dtype=torch.bool)


def numbered(mask):
    """Clips (B, T, 3, 2, 2) uint8 whose frame t of clip b is filled with 10 b + t."""
    levels = 10 * torch.arange(len(mask))[:, None] + torch.arange(mask.shape[1])
    return levels[:, :, None, None, None].expand(-1, -1, 3, 2, 2).to(torch.uint8)


def frames(video):
    """The frame numbers of numbered clips, each frame being whole."""
    assert (video == video[:, :, :1, :1, :1]).all()
    return (video[:, :, 0, 0, 0] % 10).tolist()


def changed(function, mask):
    """Apply a change; check that type, shape, clip and padding stay and the input is untouched."""
    video = numbered(mask)
    kept = video.clone()
    found = function(video, mask)
    assert torch.equal(video, kept)
    assert found.dtype == video.dtype
    assert found.shape == video.shape
    assert torch.equal(found // 10, video // 10)
    assert torch.equal(found[~mask], video[~mask])
    return frames(found)


def test_freeze():
    assert changed(freeze, PREFIX) == [
        [3, 3, 3, 3, 3, 3],
        [2, 2, 2, 2, 2, 5],
        [0, 1, 2, 3, 4, 5],
        [0, 1, 2, 3, 4, 5],
    ]
    assert changed(freeze, SCATTERED) == [[0, 3, 2, 3, 3, 5], [5, 1, 2, 3, 4, 5]]


def test_reverse():
    assert changed(reverse, PREFIX) == [
        [5, 4, 3, 2, 1, 0],
        [4, 3, 2, 1, 0, 5],
        [0, 1, 2, 3, 4, 5],
        [0, 1, 2, 3, 4, 5],
    ]
    assert changed(reverse, SCATTERED) == [[0, 4, 2, 3, 1, 5], [5, 1, 2, 3, 4, 0]]
    video = numbered(PREFIX)
    assert torch.equal(reverse(reverse(video, PREFIX), PREFIX), video)


def test_shuffle_is_another_order_of_the_real_frames():
    for seed in range(30):
        found = changed(lambda v, m, s=seed: shuffle(v, m, torch.full((len(m),), s)), PREFIX)
        for order, length in zip(found, LENGTHS, strict=True):
            assert sorted(order[:length]) == list(range(length))
            assert (order[:length] != list(range(length))) is (length > 1)
        found = changed(lambda v, m, s=seed: shuffle(v, m, torch.full((len(m),), s)), SCATTERED)
        assert sorted(found[0]) == [0, 1, 2, 3, 4, 5]
        assert found[0] != [0, 1, 2, 3, 4, 5]
        # Two frames have one other order.
        assert found[1] == [5, 1, 2, 3, 4, 0]


def test_shuffle_is_decided_by_each_samples_seed():
    mask = torch.ones(3, 6, dtype=torch.bool)
    video = numbered(mask)
    first = frames(shuffle(video, mask, torch.tensor([7, 8, 7])))
    assert first[0] == first[2]
    assert first[0] != first[1]
    alone = frames(shuffle(video[1:2], mask[1:2], torch.tensor([8])))
    assert alone == [first[1]]
    state = torch.get_rng_state()
    shuffle(video, mask, torch.tensor([7, 8, 7]))
    assert torch.equal(torch.get_rng_state(), state)


def test_shuffle_reaches_all_other_orders():
    mask = torch.ones(1, 3, dtype=torch.bool)
    found = {
        tuple(frames(shuffle(numbered(mask), mask, torch.tensor([seed])))[0]) for seed in range(60)
    }
    assert found == {(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)}


def test_hold():
    video = numbered(PREFIX)
    assert frames(hold(video, PREFIX))[:3] == [
        [0, 1, 2, 3, 4, 5],
        [0, 1, 2, 3, 4, 4],
        [0, 0, 0, 0, 0, 0],
    ]
    assert frames(hold(numbered(SCATTERED), SCATTERED)) == [[1, 1, 1, 3, 4, 4], [0, 0, 0, 0, 0, 5]]


@pytest.mark.parametrize("function", [freeze, reverse, hold])
def test_features_too(function):
    sequence = torch.arange(12.0).view(2, 6, 1)
    mask = torch.arange(6) < torch.tensor([6, 4])[:, None]
    assert function(sequence, mask).shape == (2, 6, 1)


def test_wrong_shapes():
    video = torch.zeros(2, 4, 3, 2, 2)
    with pytest.raises(InputError, match=r"bool of shape \(2, 4\), got torch.bool of shape \(2, 3"):
        freeze(video, torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(InputError, match="got torch.int64"):
        reverse(video, torch.ones(2, 4, dtype=torch.int64))
    with pytest.raises(InputError, match="one seed per clip, 2 in all"):
        shuffle(video, torch.ones(2, 4, dtype=torch.bool), torch.tensor([1]))
