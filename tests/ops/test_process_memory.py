"""What a process says of its memory is its own, not that of the process which started it."""

import subprocess
import sys

import numpy as np
import pytest

from videolit.ops.memory import held_bytes, peak_bytes

MIB = 2**20
linux = pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")


@linux
def test_memory_taken_and_given_back_stays_in_the_peak():
    before = held_bytes()
    block = np.ones(200 * MIB, np.uint8)
    assert held_bytes() >= before + 190 * MIB
    del block
    assert held_bytes() < before + 100 * MIB
    assert peak_bytes() >= before + 190 * MIB


@linux
def test_the_peak_is_not_that_of_the_parent():
    block = np.ones(400 * MIB, np.uint8)
    told = subprocess.run(
        [sys.executable, "-c", "from videolit.ops.memory import peak_bytes; print(peak_bytes())"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert 0 < int(told.stdout) < 300 * MIB < len(block)
