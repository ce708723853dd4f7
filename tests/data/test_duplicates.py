"""Copies of a recording are found; other recordings, even by the same camera, are not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from videolit.data.duplicates import (
    MAX_SAMPLES,
    STEP,
    connected,
    near_duplicates,
    perceptual_hashes,
)


def scene(seed: int, count: int = 40, *, room: int | None = None) -> np.ndarray:
    """Grey pictures of a room in which two blobs wander; the room depends on its own seed."""
    rooms = np.random.default_rng(seed if room is None else room)
    walls = cv2.resize(rooms.uniform(40, 215, (5, 5)), (16, 16), interpolation=cv2.INTER_CUBIC)
    rng = np.random.default_rng(1000 + seed)
    y, x = np.mgrid[:16, :16]
    pictures = np.repeat(walls[None], count, axis=0)
    for _ in range(2):
        speed, phase = rng.uniform(0.05, 0.25, 2), rng.uniform(0, 6, 2)
        for t in range(count):
            cy, cx = 8 + 6 * np.sin(speed * t + phase)
            pictures[t] += 60 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 6)
    return np.clip(pictures, 0, 255).astype(np.uint8)


def noisy(pictures: np.ndarray) -> np.ndarray:
    """As another encoder leaves them."""
    noise = np.random.default_rng(9).normal(0, 1.5, pictures.shape)
    return np.clip(pictures + noise, 0, 255).round().astype(np.uint8)


def found(videos: list[np.ndarray]) -> list[tuple[int, int]]:
    return [(pair.first, pair.second) for pair in near_duplicates(videos)]


def test_hashes_keep_through_noise_and_brightness_and_differ_between_scenes():
    one, other = perceptual_hashes(scene(1)), perceptual_hashes(scene(2))
    assert one.dtype == np.uint64
    assert one.shape == (40,)
    assert np.bitwise_count(one ^ perceptual_hashes(noisy(scene(1)))).mean() < 8
    dim = perceptual_hashes((scene(1) * 0.8).astype(np.uint8))
    assert np.bitwise_count(one ^ dim).mean() < 6
    assert np.bitwise_count(one ^ other).mean() > 20


def test_a_copy_is_found_among_others_with_its_offset():
    videos = [scene(seed) for seed in range(12)]
    videos += [noisy(videos[3]), noisy(videos[5][13:]), noisy(videos[7][:27])]
    pairs = near_duplicates(videos)
    assert [(pair.first, pair.second) for pair in pairs] == [(3, 12), (5, 13), (7, 14)]
    assert [pair.offset for pair in pairs] == pytest.approx([0, 13 * STEP, 0])
    assert all(pair.likeness > 0.9 for pair in pairs)


def test_clips_of_one_room_are_no_copies():
    assert found([scene(seed, room=77) for seed in range(12)]) == []


def test_what_hardly_moves_or_shows_nothing_is_never_matched():
    still = np.repeat(scene(1)[:1], 40, axis=0)
    black = np.zeros((40, 16, 16), np.uint8)
    flicker = np.broadcast_to(
        (20 * (np.arange(40) % 8)).astype(np.uint8)[:, None, None], (40, 16, 16)
    )
    assert found([still, noisy(still), black, black, flicker, flicker]) == []


def test_mirrored_and_too_short_videos_are_not_matched():
    video = scene(4)
    assert found([video, np.ascontiguousarray(video[:, :, ::-1])]) == []
    assert found([video, video[:5]]) == []
    assert found([video, video[:0]]) == []
    assert found([]) == []
    assert found([video]) == []


def test_an_overlap_of_less_than_half_of_the_shorter_is_no_copy():
    video = scene(6, 60)
    assert found([video[:40], video[10:50]]) == [(0, 1)]
    assert found([video[:35], video[25:]]) == []


def test_two_pairs_link_three_videos():
    assert connected([(4, 1), (2, 3), (1, 7)]) == [[1, 4, 7], [2, 3]]
    assert connected([]) == []


def test_many_still_pictures_do_not_hide_a_copy():
    """Candidates are sought among neighbours: pictures that repeat must not fill all places."""
    videos = [
        np.concatenate([np.repeat(scene(s, 1), 200, axis=0), scene(s)])[:MAX_SAMPLES]
        for s in range(8)
    ]
    assert (2, 8) in found([*videos, noisy(videos[2])])
