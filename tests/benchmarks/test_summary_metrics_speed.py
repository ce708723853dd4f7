"""What measuring summaries costs, beside the published protocol and scipy, side by side in one run.

Run with ``make bench``. 50 videos of 20 users, as long as TVSum's on average: 7047 frames, 470
scores, 48 shots. One thread; the ways alternate, so that a busy machine slows all of them.
"""

import time

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from videolit.metrics import keyshot_f1, rank_correlations
from videolit.ops.select import keyshot_summary

VIDEOS, USERS, FRAMES, SHOTS = 50, 20, 7047, 48
PICKS = np.arange(0, FRAMES, 15)


def video(seed):
    """Scores, shots, users' scores in levels of 1 to 5 held for 2 s, and users' summaries."""
    rng = np.random.default_rng(seed)
    bounds = np.array([0, *np.sort(rng.choice(np.arange(1, FRAMES), SHOTS - 1, False)), FRAMES])
    shots = np.stack([bounds[:-1], bounds[1:]], axis=1)
    levels = rng.integers(1, 6, (USERS, FRAMES // 60 + 1))
    users = np.repeat(levels, 60, axis=1)[:, PICKS].astype(np.float64)
    summaries = np.array([keyshot_summary(scores, PICKS, FRAMES, shots) for scores in users])
    return rng.random(len(PICKS)).astype(np.float32), shots, users, summaries


def plain_knapsack(values, weights, capacity):
    """The published table, cell by cell."""
    table = [[0.0] * (capacity + 1) for _ in range(len(values) + 1)]
    for i in range(1, len(values) + 1):
        for room in range(1, capacity + 1):
            if weights[i - 1] <= room:
                table[i][room] = max(
                    values[i - 1] + table[i - 1][room - weights[i - 1]], table[i - 1][room]
                )
            else:
                table[i][room] = table[i - 1][room]
    chosen, room = [], capacity
    for i in range(len(values), 0, -1):
        if table[i][room] != table[i - 1][room]:
            chosen.append(i - 1)
            room -= weights[i - 1]
    return chosen


def plain_protocol(scores, shots, summaries):
    """Summary and mean F1, as the published program computes them."""
    every = np.zeros(FRAMES, np.float32)
    for i, (first, stop) in enumerate(zip(PICKS, [*PICKS[1:], FRAMES], strict=True)):
        every[first:stop] = scores[i]
    values = [every[first:stop].mean().item() for first, stop in shots]
    weights = [int(stop - first) for first, stop in shots]
    summary = np.zeros(FRAMES, np.int64)
    for i in plain_knapsack(values, weights, int(0.15 * FRAMES)):
        summary[shots[i][0] : shots[i][1]] = 1
    found = []
    for user in summaries.astype(np.int64):
        both = summary & user
        # The built-in sum over an array, as published.
        precision, recall = sum(both) / sum(summary), sum(both) / sum(user)
        total = precision + recall
        found.append(2 * precision * recall / total if total else 0.0)
    return summary, float(np.mean(found))


def our_protocol(scores, shots, summaries):
    summary = keyshot_summary(scores, PICKS, FRAMES, shots)
    return summary, keyshot_f1(summary, summaries)


def scipy_correlations(scores, users):
    return (
        np.array([kendalltau(scores, user)[0] for user in users]),
        np.array([spearmanr(scores, user)[0] for user in users]),
    )


def seconds(function, *arguments):
    begin = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - begin, result


@pytest.mark.benchmark
@pytest.mark.slow
def test_summary_metrics_speed(benchmark):
    times = np.zeros((4, VIDEOS))

    def all_videos():
        for i in range(VIDEOS):
            scores, shots, users, summaries = video(i)
            times[0, i], (summary, f1) = seconds(our_protocol, scores, shots, summaries)
            times[1, i], (plain, plain_f1) = seconds(plain_protocol, scores, shots, summaries)
            times[2, i], ours = seconds(rank_correlations, scores, users)
            times[3, i], scipys = seconds(scipy_correlations, scores, users)
            # Not a time: both found the same.
            assert (summary == plain).all()
            assert f1 == pytest.approx(plain_f1, abs=1e-12)
            assert np.abs(np.array(ours) - np.array(scipys)).max() < 1e-12

    benchmark.pedantic(all_videos, rounds=1)
    keyshots, plain, ranks, scipys = times.sum(axis=1)
    benchmark.extra_info["keyshot_ratio"] = round(float(plain / keyshots), 1)
    benchmark.extra_info["rank_ratio"] = round(float(scipys / ranks), 1)
    print(
        f"\n{VIDEOS} videos: summary and F1 {keyshots:.3f} s, published {plain:.2f} s, "
        f"{plain / keyshots:.0f}×; tau and rho {ranks:.3f} s, scipy {scipys:.2f} s, "
        f"{scipys / ranks:.1f}×"
    )
