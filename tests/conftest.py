"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from videolit.data.writer import write_video

REPOSITORY = Path(__file__).parent.parent


def pytest_collection_modifyitems(items):
    """Begin with the tests that may take longest, so that no process waits for one at the end."""

    def limit(item):
        told = item.get_closest_marker("timeout")
        return told.args[0] if told is not None and item.get_closest_marker("slow") else 0

    items.sort(key=limit, reverse=True)


@pytest.fixture(scope="session", autouse=True)
def one_thread(tmp_path_factory):
    """Two torch threads beside another busy process can be 15 times slower than one."""
    torch.set_num_threads(1)
    # Child processes of the tests follow; the user's own cache is neither read nor written.
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["VIDEOLIT_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def no_seed_of_another_test():
    """Lightning leaves a seed in the environment, and DDP in a test's processes would take it."""
    for name in ("PL_GLOBAL_SEED", "PL_SEED_WORKERS"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of recorded data sets beside the project; the test is skipped without it."""
    root = Path(os.environ.get("VIDEOLIT_REAL_DATA", REPOSITORY.parent / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"no recorded data at {root}; set VIDEOLIT_REAL_DATA")
    return root


CLASSES = ("go_left", "go_right", "stay")
PEOPLE = ("ann", "bob", "cem", "dia", "eva", "fay")


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory) -> Path:
    """Three classes by six people, 12 frames of 48×32 each, whose pixels say what they are.

    The grey level of frame i is 20·i. A bright bar stands at the left in ``go_left``, at the right
    in ``go_right``, and nowhere in ``stay``.
    """
    root = tmp_path_factory.mktemp("tiny") / "set"
    for name in CLASSES:
        for person in PEOPLE:
            frames = np.zeros((12, 32, 48, 3), np.uint8)
            frames += (20 * np.arange(12, dtype=np.uint8))[:, None, None, None]
            if name == "go_left":
                frames[:, :, :8] = 255
            elif name == "go_right":
                frames[:, :, -8:] = 255
            write_video(root / name / f"{person}_{name}.mp4", frames, 10, options={"crf": "1"})
    return root
