"""How much memory this process holds, and held at most."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path


def held_bytes() -> int:
    """Return the memory that this process holds; its peak so far where the system does not tell."""
    if sys.platform != "linux":
        return peak_bytes()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak_bytes() -> int:
    """Return the peak of this process's memory so far; 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0
    if sys.platform == "linux":
        # Not getrusage: its peak is also that of the process that started this one (getrusage(2)).
        status = Path("/proc/self/status").read_text()
        if found := re.search(r"VmHWM:\s*(\d+) kB", status):
            return 1024 * int(found[1])
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes on Linux, bytes on macOS.
    return peak if sys.platform == "darwin" else 1024 * peak
