"""What a process says of its memory is its own, not that of the process which started it."""

import subprocess
import sys

import numpy as np
import pytest

MIB = 2**20
linux = pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")


def run_alone(code: str) -> str:
    """Return what code prints in a new process."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@linux
def test_memory_taken_and_given_back_stays_in_the_peak():
    # A process of its own: one that ran other tests has 200 MiB to spare, and would take no more.
    steps = (
        "import numpy as np; from videolit.ops.memory import held_bytes, peak_bytes;"
        "before = held_bytes(); block = np.ones(200 * 2**20, np.uint8); taken = held_bytes();"
        "del block; print(before, taken, held_bytes(), peak_bytes())"
    )
    before, taken, given_back, peak = map(int, run_alone(steps).split())
    assert taken >= before + 190 * MIB
    assert given_back < before + 100 * MIB
    assert peak >= before + 190 * MIB


@linux
def test_the_peak_is_not_that_of_the_parent():
    block = np.ones(400 * MIB, np.uint8)
    told = run_alone("from videolit.ops.memory import peak_bytes; print(peak_bytes())")
    assert 0 < int(told) < 300 * MIB < len(block)
