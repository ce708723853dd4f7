"""What a model costs: size, computation, time and memory."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from videolit.ops.memory import peak_bytes
from videolit.tasks.action import ActionTask
from videolit.types import ClipSpec, InputError

_LEAST_ROUNDS = 3
_WARM_UP = 2


@dataclasses.dataclass
class Row:
    """The figures of one precision.

    Attributes:
        latency: Seconds from one clip to its probabilities, median.
        throughput: Clips per second in batches.
        training: Clips per second of training steps, optimizer included.
        peak_bytes: Memory: of the device, or of the process on a CPU.
    """

    latency: float
    throughput: float
    training: float
    peak_bytes: int


@dataclasses.dataclass
class ModelFigures:
    """The figures of a model.

    Attributes:
        parameters: Number of parameters.
        flops: Floating-point operations of one clip forwards: two for a multiplication and its
            addition.
        device: What it ran on.
        batch_size: Clips of a batch.
        rows: By precision.
    """

    parameters: int
    flops: int
    device: str
    batch_size: int
    rows: dict[str, Row]

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON types."""
        return dataclasses.asdict(self)


def measure_model(
    task: ActionTask,
    class_names: Sequence[str],
    clip: ClipSpec,
    batch_size: int,
    trainer: pl.Trainer,
    *,
    seconds: float,
) -> ModelFigures:
    """Measure a task's network on the Trainer's device.

    Args:
        task: The task; its head is built here.
        class_names: Names of the classes.
        clip: Decides the size of the clips.
        batch_size: Clips of a batch.
        trainer: Tells the device.
        seconds: Length of each measurement.

    Raises:
        InputError: If the device has too little memory for the batch.
    """
    task.class_names = list(class_names)
    task.configure_model()
    device = trainer.strategy.root_device
    model = task.to(device).eval()
    shape = (clip.num_frames, 3, clip.size, clip.size)
    video = torch.randint(0, 256, (batch_size, *shape), dtype=torch.uint8, device=device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(video[:1])
    on_gpu = device.type == "cuda"
    precisions = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16}
    if on_gpu:
        precisions["16-mixed"] = torch.float16
    rows = {}
    for name, dtype in precisions.items():
        try:
            rows[name] = _measure(model, video, dtype, seconds)
        except torch.cuda.OutOfMemoryError as error:
            raise InputError(
                f"too little memory on {device} for {batch_size} clips of {shape} at {name}: set a "
                "smaller --data.batch_size"
            ) from error
    return ModelFigures(
        parameters=sum(p.numel() for p in model.parameters()),
        flops=int(counter.get_total_flops()),
        device=torch.cuda.get_device_name(device) if on_gpu else device.type,
        batch_size=batch_size,
        rows=rows,
    )


def _measure(model: ActionTask, video: Tensor, dtype: torch.dtype, seconds: float) -> Row:
    device = video.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)

    def cast() -> contextlib.AbstractContextManager[object]:
        if dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(device.type, dtype=dtype)

    @torch.no_grad()
    def forward(clips: Tensor) -> None:
        with cast():
            model(clips)

    model.eval()
    latency = _median(lambda: forward(video[:1]), device, seconds)
    throughput = len(video) / _median(lambda: forward(video), device, seconds)
    model.train()
    label = torch.zeros(len(video), dtype=torch.int64, device=device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)

    def step() -> None:
        with cast():
            loss = nn.functional.cross_entropy(model(video), label)
        torch.autograd.backward(loss)
        optimizer.step()
        optimizer.zero_grad()

    training = len(video) / _median(step, device, seconds)
    return Row(latency, throughput, training, _peak(device))


def _median(work: Callable[[], None], device: torch.device, seconds: float) -> float:
    """Return the median time of some work, after a warm-up."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    for _ in range(_WARM_UP):
        work()
    wait()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < _LEAST_ROUNDS or time.perf_counter() < end:
        begin = time.perf_counter()
        work()
        wait()
        times.append(time.perf_counter() - begin)
    return sorted(times)[len(times) // 2]


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_bytes()
