"""Checkpoint files that are whole or not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.plugins import TorchCheckpointIO

from videolit.ops.files import atomic_path


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write each checkpoint beside its final name and rename it when it is on the disk.

    Lightning 2.6 writes to the system's temporary folder and moves the file, which is a copy when
    that lies on another disk, as it does on most clusters: a job that is killed then leaves a torn
    file and no old one.
    """

    def save_checkpoint(
        self,
        checkpoint: Mapping[str, Any],
        path: _PATH,
        storage_options: Callable[..., Any] | None = None,
    ) -> None:
        """Save a checkpoint; on any error the old file stays as it is.

        Args:
            checkpoint: What to save.
            path: A path, or an address with a protocol, which Lightning's own writer handles.
            storage_options: Not supported, as in Lightning's own.
        """
        if "://" in str(path) or storage_options is not None:
            super().save_checkpoint(dict(checkpoint), path, storage_options)
            return
        with atomic_path(str(path)) as part:
            torch.save(dict(checkpoint), part)
