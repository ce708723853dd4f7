"""``videolit bench``: the command around :mod:`videolit.commands.bench`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from videolit.commands import bench_encoders
from videolit.ops.cores import usable_cores
from videolit.types import InputError

DESCRIPTION = """\
Measure a configuration on this machine; options of videolit fit may follow.

  videolit bench data  --config action/folder_r2plus1d --data.root my_videos
      clips per second of reading, augmentation and batching, at 0, 1, 2, ... loading processes;
      the slowest stage, and the cheapest way to make it faster
  videolit bench model --config action/folder_r2plus1d
      parameters, FLOPs, latency, throughput and memory of each precision
  videolit bench encoders
      what every encoder of the package costs, at the clips that it was made for
  videolit bench train --config action/folder_r2plus1d --data.root my_videos
      steps per second, and the share of time spent waiting for data
"""


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    if list(argv[:1]) == ["encoders"]:
        return bench_encoders.main(argv[1:])
    parser = argparse.ArgumentParser(
        prog="videolit bench",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # --data.root must not be taken for an abbreviation.
        allow_abbrev=False,
    )
    parser.add_argument("what", choices=["data", "model", "train", "encoders"])
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement (5)")
    parser.add_argument(
        "--max_workers", type=int, default=usable_cores(), help="data: most processes (all cores)"
    )
    parser.add_argument("--steps", type=int, default=50, help="train: steps to measure (50)")
    parser.add_argument("--json", type=Path, default=None, help="also write the figures there")
    options, rest = parser.parse_known_args(argv)
    for name, value in (("seconds", options.seconds), ("steps", options.steps)):
        if value <= 0:
            raise InputError(f"--{name} must be above 0, got {value}")
    if options.max_workers < 0:
        raise InputError(f"--max_workers must be at least 0, got {options.max_workers}")
    if not any(word == "--config" or word.startswith("--config=") for word in rest):
        raise InputError("bench needs --config NAME_OR_FILE, as videolit fit does")
    # Here: help and mistakes in the options must not wait for torch.
    from videolit.commands.bench import measure

    return measure(options, rest)
