"""``videolit bench encoders``: what every encoder of the package costs on this machine."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console
from rich.table import Table

from videolit.ops.files import atomic_path
from videolit.ops.memory import held_bytes, peak_bytes
from videolit.types import InputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from videolit.encoders import VideoEncoder

DESCRIPTION = """\
Measure encoders at the clips that they were made for, one clip at a time, on the GPU where there is
one.

  videolit bench encoders
  videolit bench encoders --only x3d_s slowfast_r50_8x8 --threads 1 2 --json costs.json
  videolit bench encoders --accelerator cpu

GFLOPs count a multiplication with its addition as one, as papers do. Latency is the median of
single clips, forwards, without gradients, until the device has finished; bf16 is automatic mixed
precision (torch.autocast). Memory: on a CPU, each encoder in a process of its own, its peak above
what it had before the network was built; on a GPU, the peak of what tensors take, weights included.
There, float32 convolutions use TF32, as they do in PyTorch by default. Random weights: they cost
the same.
"""
_LEAST_ROUNDS = 3


class Entry(NamedTuple):
    """An encoder of the table.

    Attributes:
        kind: Class.
        arguments: Of its constructor.
        num_frames: Frames of its native clip.
        size: Height and width of its native clip.
    """

    kind: str
    arguments: dict[str, Any]
    num_frames: int
    size: int


def _clip(name: str, num_frames: int, size: int) -> Entry:
    return Entry("TorchvisionClipEncoder", {"name": name}, num_frames, size)


def _frame(name: str, shift: str | None = None) -> Entry:
    return Entry("TorchvisionFrameEncoder", {"name": name, "shift": shift}, 8, 224)


# Native clips as in the papers and torchvision's and PySlowFast's recipes.
ENCODERS: dict[str, Entry] = {
    "small_frame": Entry("SmallFrameEncoder", {}, 16, 64),
    "small_clip": Entry("SmallClipEncoder", {}, 16, 64),
    "mobilenet_v3_small": _frame("mobilenet_v3_small"),
    "resnet18": _frame("resnet18"),
    "resnet50": _frame("resnet50"),
    "tsm_resnet50": _frame("resnet50", "both"),
    "c3d": Entry("C3DEncoder", {}, 16, 112),
    "r3d_18": _clip("r3d_18", 16, 112),
    "mc3_18": _clip("mc3_18", 16, 112),
    "r2plus1d_18": _clip("r2plus1d_18", 16, 112),
    "s3d": _clip("s3d", 64, 224),
    "i3d_r50": Entry("ResNet3DEncoder", {"name": "i3d_r50"}, 8, 224),
    "slow_r50": Entry("ResNet3DEncoder", {"name": "slow_r50"}, 8, 224),
    "slowfast_r50_4x16": Entry("SlowFastEncoder", {"name": "slowfast_r50_4x16"}, 32, 224),
    "slowfast_r50_8x8": Entry("SlowFastEncoder", {"name": "slowfast_r50_8x8"}, 32, 224),
    "x3d_xs": Entry("X3DEncoder", {"name": "x3d_xs"}, 4, 160),
    "x3d_s": Entry("X3DEncoder", {"name": "x3d_s"}, 13, 160),
    "x3d_m": Entry("X3DEncoder", {"name": "x3d_m"}, 16, 224),
    "mvit_v1_b": _clip("mvit_v1_b", 16, 224),
    "mvit_v2_s": _clip("mvit_v2_s", 16, 224),
    "swin3d_t": _clip("swin3d_t", 32, 224),
    "swin3d_s": _clip("swin3d_s", 32, 224),
    "swin3d_b": _clip("swin3d_b", 32, 224),
}


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Returns:
        Exit code: 0, or 1 if an encoder could not be measured.
    """
    parser = argparse.ArgumentParser(
        prog="videolit bench encoders",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", default=list(ENCODERS), help=", ".join(ENCODERS)
    )
    parser.add_argument(
        "--accelerator", choices=["auto", "cpu", "gpu"], default="auto", help="(auto)"
    )
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="of a CPU (1 2)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement (3)")
    parser.add_argument(
        "--limit", type=float, default=300.0, help="seconds for all of an encoder, on a CPU (300)"
    )
    parser.add_argument("--json", type=Path, default=None, help="also write the figures there")
    options = parser.parse_args(argv)
    unknown = [name for name in options.only if name not in ENCODERS]
    if unknown:
        raise InputError(f"unknown encoder {unknown[0]!r}; known: {', '.join(ENCODERS)}")
    if min(options.threads) < 1 or options.seconds <= 0 or options.limit <= 0:
        raise InputError("threads must be at least 1, and seconds and limit above 0")
    gpu = _gpu(options.accelerator)
    console = Console()
    rows: dict[str, dict[str, Any]] = {}
    with console.status("") as status:
        for name in options.only:
            status.update(f"{name} …")
            if gpu is None:
                rows[name] = _in_child(name, options.threads, options.seconds, options.limit)
            else:
                rows[name] = _on_gpu(name, options.seconds)
    if gpu is None:
        console.print(_table(rows, [str(count) for count in options.threads], "t"))
        console.print("ms: milliseconds of a clip with so many threads (t)", style="dim")
    else:
        console.print(_table(rows, ["gpu"], ""))
        console.print(f"ms: milliseconds of a clip on {gpu}", style="dim", highlight=False)
    failed = {name: row["error"] for name, row in rows.items() if "error" in row}
    for name, error in failed.items():
        console.print(f"{name}: {error}", highlight=False)
    if options.json is not None:
        found = {
            "machine": _machine() if gpu is None else f"{gpu}, {_machine()}",
            "threads": options.threads if gpu is None else [],
            "encoders": rows,
        }
        with atomic_path(options.json) as part:
            part.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if failed else 0


def measure(name: str, threads: Sequence[int], seconds: float) -> dict[str, Any]:
    """Measure one encoder on the CPU, in this process.

    Args:
        name: A key of :data:`ENCODERS`.
        threads: Numbers of torch's threads, one after the other.
        seconds: Length of each measurement; each has at least three rounds.

    Returns:
        ``parameters``, ``gflops`` (multiply-adds), ``clip``, ``memory_mb``, and seconds of a clip:
        ``latency`` and ``latency_bf16``, by the number of threads as text.
    """
    import torch

    before = held_bytes()
    encoder, video, found = _build(name)
    with torch.no_grad():
        for count in threads:
            torch.set_num_threads(count)
            found["latency"][str(count)] = _median(encoder, video, seconds, None)
        found["memory_mb"] = (peak_bytes() - before) / 2**20
        for count in threads:
            torch.set_num_threads(count)
            found["latency_bf16"][str(count)] = _median(encoder, video, seconds, torch.bfloat16)
    found["gflops"] = _gigaflops(encoder, video)
    return found


def measure_on_gpu(name: str, seconds: float) -> dict[str, Any]:
    """Measure one encoder on the current CUDA device.

    Args:
        name: A key of :data:`ENCODERS`.
        seconds: Length of each measurement; each has at least three rounds.

    Returns:
        What :func:`measure` returns, with the latencies under ``"gpu"``; ``memory_mb`` and
        ``memory_bf16_mb`` are peaks of the allocator, weights and clip included.

    Raises:
        torch.cuda.OutOfMemoryError: If the device has too little memory.
    """
    import torch

    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    encoder, video, found = _build(name)
    encoder, video = encoder.cuda(), video.cuda()

    def peak(dtype: torch.dtype | None) -> tuple[float, float]:
        torch.cuda.reset_peak_memory_stats()
        latency = _median(encoder, video, seconds, dtype)
        return latency, (torch.cuda.max_memory_allocated() - before) / 2**20

    with torch.no_grad():
        found["latency"]["gpu"], found["memory_mb"] = peak(None)
        found["latency_bf16"]["gpu"], found["memory_bf16_mb"] = peak(torch.bfloat16)
    found["gflops"] = _gigaflops(encoder, video)
    return found


def _build(name: str) -> tuple[VideoEncoder, Tensor, dict[str, Any]]:
    """Return an encoder, one clip for it, and what is known of them before any measurement."""
    import torch

    import videolit.encoders

    entry = ENCODERS[name]
    encoder = getattr(videolit.encoders, entry.kind)(**entry.arguments).eval()
    shape = (1, entry.num_frames, 3, entry.size, entry.size)
    return (
        encoder,
        torch.randint(0, 256, shape, dtype=torch.uint8),
        {
            "parameters": sum(p.numel() for p in encoder.parameters()),
            "clip": f"{entry.num_frames}×{entry.size}²",
            "latency": {},
            "latency_bf16": {},
        },
    )


def _median(
    encoder: VideoEncoder, video: Tensor, seconds: float, dtype: torch.dtype | None
) -> float:
    """Return the median time of a clip, in ``dtype`` where it is not None."""
    import torch

    times: list[float] = []
    end = None
    while len(times) < _LEAST_ROUNDS + 1 or time.perf_counter() < (end or 0):
        begin = time.perf_counter()
        with torch.autocast(video.device.type, dtype=dtype, enabled=dtype is not None):
            encoder(video)
        if video.is_cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
        # The first round warms up.
        end = end or time.perf_counter() + seconds
    return sorted(times[1:])[(len(times) - 1) // 2]


def _gigaflops(encoder: VideoEncoder, video: Tensor) -> float:
    """Return 10⁹ multiply-adds of a clip; to be called last, for it keeps what it counts."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        encoder(video)
    return float(counter.get_total_flops()) / 2e9


def _gpu(accelerator: str) -> str | None:
    """Return the name of the GPU to measure, None for the CPU.

    Raises:
        InputError: If a GPU is asked for and there is none.
    """
    import torch

    if accelerator == "cpu":
        return None
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    if accelerator == "gpu":
        raise InputError("there is no CUDA device here (videolit doctor says why); leave gpu out")
    return None


def _on_gpu(name: str, seconds: float) -> dict[str, Any]:
    """Measure in this process: the allocator knows what each network takes."""
    try:
        return measure_on_gpu(name, seconds)
    except RuntimeError as problem:
        return {"error": str(problem).splitlines()[0]}


def _in_child(name: str, threads: Sequence[int], seconds: float, limit: float) -> dict[str, Any]:
    """Measure in a process of its own: memory that another network took must not count."""
    words = [name, json.dumps(list(threads)), str(seconds)]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "videolit.commands.bench_encoders", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {limit:g} s; --limit allows more"}
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return {"error": lines[-1] if lines else f"ended with code {done.returncode}"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _table(rows: dict[str, dict[str, Any]], kinds: Sequence[str], unit: str) -> Table:
    """Return the figures; latencies of each kind, whose heading ends in its unit."""
    # Narrow: it must fit into 80 columns with two numbers of threads.
    table = Table(
        box=None, pad_edge=False, show_edge=False, header_style="bold", padding=(0, 1, 0, 0)
    )
    table.add_column("encoder", no_wrap=True)
    columns = ["clip", "M params", "GFLOPs"]
    columns += [f"ms, {kind}{unit}" for kind in kinds]
    columns += [f"bf16, {kind}{unit}" for kind in kinds]
    # A GPU takes a few milliseconds.
    digits = 2 if kinds == ["gpu"] else 0
    for column in [*columns, "MB"]:
        table.add_column(column, justify="right", no_wrap=True)
    for name, row in rows.items():
        if "error" in row:
            table.add_row(name, "failed")
            continue
        times = [
            f"{row[figure][kind] * 1e3:.{digits}f}"
            for figure in ("latency", "latency_bf16")
            for kind in kinds
        ]
        table.add_row(
            name,
            row["clip"],
            f"{row['parameters'] / 1e6:.2f}",
            f"{row['gflops']:.2f}",
            *times,
            f"{row['memory_mb']:.0f}",
        )
    return table


def _machine() -> str:
    """Describe the machine by its kind, not by its name."""
    import torch

    return (
        f"{os.cpu_count()} CPU cores, {platform.machine()}, Python {platform.python_version()}, "
        f"torch {torch.__version__}"
    )


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], json.loads(sys.argv[2]), float(sys.argv[3]))))
