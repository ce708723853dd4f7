"""How the time of local attention grows with the length of a video, beside attention to all steps.

Run with ``make bench``. One thread, features of 1,024; the lengths alternate, so that a busy machine
slows all of them. A slope of 1 is time in proportion to the length, 2 to its square. What is above
1 is the system's memory: large tensors get fresh pages each time. Measured on a busy machine: medians
gave slopes of 1.05 to 1.1 in both modes, and 0.95 with MALLOC_MMAP_THRESHOLD_ and
MALLOC_TRIM_THRESHOLD_ set so that pages are kept.
"""

import math
import time

import numpy as np
import pytest
import torch

from videolit.temporal import LocalTransformer, Transformer

SHORT, LONG = 2_000, 20_000
ROUNDS = 5


def seconds(model, steps, training):
    """Processor time of one video, forwards and, in training, backwards."""
    features = torch.randn(1, steps, 1024)
    mask = torch.ones(1, steps, dtype=torch.bool)
    model.train(training)
    start = time.process_time()
    with torch.set_grad_enabled(training):
        found = model(features, mask)
        if training:
            found.square().mean().backward()
    return time.process_time() - start


@pytest.mark.benchmark
@pytest.mark.slow
@pytest.mark.parametrize("training", [False, True], ids=["eval", "training"])
def test_local_attention_grows_with_the_length(benchmark, training):
    torch.manual_seed(0)
    model = LocalTransformer(1024)
    short, long = [], []

    def both():
        short.append(seconds(model, SHORT, training))
        long.append(seconds(model, LONG, training))

    benchmark.pedantic(both, rounds=ROUNDS, warmup_rounds=1)
    # The first round warms allocators up.
    one, other = (float(np.median(times[1:])) for times in (short, long))
    slope = math.log(other / one) / math.log(LONG / SHORT)
    benchmark.extra_info["slope"] = round(slope, 3)
    print(
        f"\nlocal attention, {'training' if training else 'eval'}: {SHORT} steps {one:.3f} s, "
        f"{LONG} steps {other:.3f} s, slope {slope:.3f}"
    )
    # Not a time: both ran as often.
    assert len(short) == len(long) == ROUNDS + 1


@pytest.mark.benchmark
@pytest.mark.slow
def test_attention_to_all_steps_grows_with_the_square(benchmark):
    torch.manual_seed(0)
    local, whole = LocalTransformer(1024), Transformer(1024)
    times = {steps: ([], []) for steps in (SHORT // 2, SHORT, 2 * SHORT)}

    def all_lengths():
        for steps, (ours, theirs) in times.items():
            ours.append(seconds(local, steps, False))
            theirs.append(seconds(whole, steps, False))

    benchmark.pedantic(all_lengths, rounds=ROUNDS, warmup_rounds=1)
    for steps, (ours, theirs) in times.items():
        one, other = np.median(ours[1:]), np.median(theirs[1:])
        benchmark.extra_info[f"ratio_{steps}"] = round(float(other / one), 2)
        print(f"\n{steps} steps: local {one:.3f} s, all {other:.3f} s, {other / one:.1f} times")
    assert all(len(ours) == len(theirs) == ROUNDS + 1 for ours, theirs in times.values())
