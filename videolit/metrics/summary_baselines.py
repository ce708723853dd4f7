"""What to compare figures of video summary with: people, chance and the clock."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from videolit.metrics.ranks import plain_array
from videolit.metrics.summary import keyshot_f1, rank_correlation
from videolit.types import InputError


def human_leave_one_out(user_scores: ArrayLike | Tensor) -> tuple[float, float]:
    """Return how well annotators agree: each with each of the others singly, then the mean.

    That is no ceiling: scores that please many annotators a little exceed it. On TVSum, over all
    videos at each 15th frame, 0.1774 and 0.2042.

    Args:
        user_scores: ``(U, T)``, finite, U at least 2.

    Returns:
        Tau-b and rho in [-1, 1]; see :func:`rank_correlation`.

    Raises:
        InputError: If there is no second annotator, or a number is not finite.
    """
    many = plain_array(user_scores)
    if many.ndim != 2 or len(many) < 2:
        raise InputError(f"agreement needs user scores (U, T) of two or more, got {many.shape}")
    found = [
        rank_correlation(many[user], np.delete(many, user, axis=0)) for user in range(len(many))
    ]
    tau, rho = np.mean(found, axis=0).tolist()
    return tau, rho


def human_keyshot_f1(
    user_summary: ArrayLike | Tensor, reduce: Literal["mean", "max"] = "mean"
) -> float:
    """Return the F1 of each user's summary with those of the others, averaged over users.

    Args:
        user_summary: ``(U, N)``, U at least 2.
        reduce: Over the others: ``mean`` or ``max``; see :func:`keyshot_f1`.

    Returns:
        In [0, 1].

    Raises:
        InputError: If there is no second user.
    """
    many = plain_array(user_summary)
    if many.ndim != 2 or len(many) < 2:
        raise InputError(f"agreement needs user summaries (U, N) of two or more, got {many.shape}")
    return float(
        np.mean(
            [
                keyshot_f1(many[user], np.delete(many, user, axis=0), reduce)
                for user in range(len(many))
            ]
        )
    )


def performance_over_random(f1: float, random_f1: float) -> float:
    """Return how many times as good as random scores an F1 is.

    Performance over Random (Apostolidis et al., ACM MM 2020), without their factor of 100.

    Args:
        f1: In [0, 1] or percent.
        random_f1: In the same unit, above 0: the mean of many summaries of :func:`random_scores`
            (they take 100), with the same videos, shots and budget.

    Returns:
        1 for what random scores reach.

    Raises:
        InputError: If ``random_f1`` is not above 0.
    """
    if not random_f1 > 0:
        raise InputError(f"the F1 of random scores must be above 0, got {random_f1:g}")
    return f1 / random_f1


def random_scores(length: int, seed: int) -> NDArray[np.float64]:
    """Return scores that know nothing, uniform in [0, 1).

    Args:
        length: T.
        seed: Seed of the draw; the same seed gives the same scores.

    Returns:
        float64 ``(T,)``.
    """
    return np.random.default_rng(seed).random(length)


def uniform_summary(num_frames: int, shots: ArrayLike, ratio: float = 0.15) -> NDArray[np.bool_]:
    """Return a summary that knows nothing but the clock: shots spread evenly over the video.

    Shots are visited in the order of van der Corput's sequence, 1/2, 1/4, 3/4, 1/8, … of the way,
    which is even wherever it ends. Each one that still fits is taken.

    Args:
        num_frames: Frames of the video, N.
        shots: int ``(S, 2)``, ascending: first frame and the frame after the last one.
        ratio: Share of the frames that the summary may take, in (0, 1].

    Returns:
        bool ``(num_frames,)``.

    Raises:
        InputError: If shots are no spans within the video, or the ratio is out of range.
    """
    spans = np.asarray(shots, np.int64)
    if spans.ndim != 2 or spans.shape[1] != 2 or spans.min(initial=0) < 0:
        raise InputError(f"shots must be (S, 2) of frames, got {spans.shape}")
    if spans.max(initial=0) > num_frames or not 0 < ratio <= 1:
        raise InputError(
            f"expected shots within {num_frames} frames and a ratio above 0 and at most 1, got "
            f"shots up to {spans.max(initial=0)} and {ratio:g}"
        )
    bits = max(len(spans), 1).bit_length()
    # Read backwards, the bits of 1, 2, 3, … are the sequence; each shot is met where it lies.
    way = [int(f"{i:0{bits}b}"[::-1], 2) / 2**bits for i in range(1, 2**bits)]
    order = dict.fromkeys(int(x * len(spans)) for x in way) if len(spans) else {}
    left = int(ratio * num_frames)
    summary = np.zeros(num_frames, np.bool_)
    for i in order:
        first, stop = spans[i].tolist()
        if stop - first <= left:
            summary[first:stop] = True
            left -= stop - first
    return summary
