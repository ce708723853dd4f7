"""What all tests on a CUDA device share: the device, exact float32, and a clean state."""

from __future__ import annotations

import os

import pytest
import torch

from videolit.ops.cores import usable_cores

DEVICE = "cuda"
ACCELERATOR = "gpu"


@pytest.fixture(scope="session", autouse=True)
def device() -> torch.device:
    """The device; every test of this folder is skipped where there is none."""
    if DEVICE == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device: these tests compare it with the CPU (make test-gpu)")
    # Read when cuBLAS starts; without it a deterministic run is refused.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # The large encoders are also computed on the CPU.
    torch.set_num_threads(max(1, min(4, usable_cores())))
    return torch.device(DEVICE)


@pytest.fixture(scope="session")
def accelerator(device) -> str:
    """Lightning's name of the device."""
    return ACCELERATOR


@pytest.fixture(autouse=True)
def exact(device):
    """TF32 off, so that float32 is float32; what a Trainer switched on is off again after a test."""
    kept = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = kept
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(False)
    torch.manual_seed(0)


@pytest.fixture
def measured(record_property):
    """Assert that a distance is at most a limit, and keep it for the report (``--junitxml``)."""

    def check(name: str, distance: float, limit: float) -> None:
        record_property(name, f"{distance:.3g}")
        assert distance <= limit, f"{name}: {distance:.3g} is above {limit:g}"

    return check
