"""Self-contained checkpoints: what a checkpoint says about its task, and the way back.

A task, an encoder and a temporal model are recorded as class path and arguments. Arguments are read
back by the constructor's signature: each is kept as an attribute of the same name, in JSON types.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from videolit import __version__
from videolit.types import InputError

if TYPE_CHECKING:
    from videolit.tasks.base import VideoTask

KEY = "videolit"
IDS_KEY = "videolit_train_ids"
FORMAT = 1


def describe(part: object, leave_out: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the class path and the constructor's arguments of an object.

    Args:
        part: A task, an encoder or a temporal model.
        leave_out: Arguments that are recorded elsewhere or not needed again.

    Returns:
        ``{"class_path": str, "init_args": {name: JSON value}}``.

    Raises:
        InputError: If an argument is not kept as an attribute or is no JSON value.
    """
    kind = type(part)
    arguments = {}
    for name in inspect.signature(kind.__init__).parameters:
        if name == "self" or name in leave_out:
            continue
        if not hasattr(part, name):
            raise InputError(
                f"{kind.__qualname__} cannot be written to a checkpoint: its argument {name!r} is "
                f"not kept; write `self.{name} = {name}` in its constructor"
            )
        arguments[name] = getattr(part, name)
    try:
        # Once there and back: tuples become lists now, not only after the checkpoint is loaded.
        arguments = json.loads(json.dumps(arguments))
    except TypeError as problem:
        raise InputError(
            f"{kind.__qualname__} cannot be written to a checkpoint: its arguments must be "
            f"numbers, text, lists or None ({problem})"
        ) from problem
    return {"class_path": f"{kind.__module__}.{kind.__qualname__}", "init_args": arguments}


def rebuild(record: Mapping[str, Any], base: type[Any], *, trust: bool, **more: object) -> Any:  # noqa: ANN401
    """Build the object that :func:`describe` recorded.

    Args:
        record: The class path and arguments.
        base: The class that it must descend from.
        trust: Also build classes from outside videolit: their code runs when imported.
        **more: Arguments that the record left out.

    Raises:
        InputError: If the class is not videolit's own, unknown, or of another kind.
    """
    path = str(record["class_path"])
    module_name, _, class_name = path.rpartition(".")
    if not trust and not module_name.startswith("videolit."):
        raise InputError(
            f"the checkpoint wants to run {path}, which is not part of videolit. If you trust "
            "whoever made the file, allow it with --trust (in Python: trust=True)"
        )
    try:
        kind = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as problem:
        raise InputError(f"the checkpoint needs {path}, which cannot be imported: {problem}") from (
            problem
        )
    if not (isinstance(kind, type) and issubclass(kind, base) and kind.__module__ == module_name):
        raise InputError(f"the checkpoint names {path} where a {base.__name__} is expected")
    built: Any = kind(**record["init_args"], **more)
    return built


def read_record(checkpoint: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return what videolit wrote into a loaded checkpoint.

    Raises:
        InputError: If the checkpoint is not videolit's or is newer than this version.
    """
    if KEY not in checkpoint:
        raise InputError(
            f"{path}: not a checkpoint of videolit: it does not say which model it holds. Weights "
            "alone cannot be used without their model"
        )
    record: dict[str, Any] = json.loads(checkpoint[KEY])
    if record["format"] > FORMAT:
        raise InputError(
            f"{path}: written by videolit {record['version']}, newer than this one "
            f"({__version__}); update videolit"
        )
    return record


def read_checkpoint(path: str | Path, map_location: str | torch.device = "cpu") -> dict[str, Any]:
    """Load a checkpoint file without running code from it.

    Raises:
        InputError: If the file is missing, cut short or no checkpoint.
    """
    file = Path(path)
    check_checkpoint_file(file)
    try:
        checkpoint = torch.load(file, map_location=map_location, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, KeyError) as problem:
        first = str(problem).strip().splitlines()[0] if str(problem).strip() else "unreadable"
        raise InputError(f"{path}: not a readable checkpoint: {first}") from problem
    if not isinstance(checkpoint, dict):
        raise InputError(f"{path}: not a checkpoint: it holds {type(checkpoint).__name__}")
    return checkpoint


def check_checkpoint_file(path: str | Path) -> None:
    """Refuse what cannot be a checkpoint before anything heavy happens.

    Raises:
        InputError: If the file is missing, or not in torch's format, as one that is cut short.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such checkpoint file")
    if not zipfile.is_zipfile(path):
        raise InputError(
            f"{path}: not a readable checkpoint: not in PyTorch's file format, or cut short"
        )


def load_task(
    path: str | Path, *, trust: bool = False, map_location: str | torch.device = "cpu"
) -> VideoTask:
    """Load a task from its checkpoint alone, ready for use.

    Args:
        path: A ``.ckpt`` file that a videolit task wrote.
        trust: Also build encoders and temporal models from outside videolit; their code runs.
        map_location: Device of the weights.

    Returns:
        The task in evaluation mode, with its class names, ``clip_spec`` and weights. Pretrained
        weights are not fetched.

    Raises:
        InputError: If the file cannot be used; the message says why.
    """
    # Imported here: base.py needs this module.
    from videolit.encoders import VideoEncoder
    from videolit.fusion import Fusion
    from videolit.tasks.base import VideoTask
    from videolit.temporal import TemporalModel

    # A record names those that the task has.
    bases = {
        "encoder": VideoEncoder,
        "temporal": TemporalModel,
        "sound": nn.Module,
        "text": nn.Module,
        "fusion": Fusion,
    }
    checkpoint = read_checkpoint(path, map_location)
    record = read_record(checkpoint, str(path))
    parts = {
        name: None if record[name] is None else rebuild(record[name], base, trust=trust)
        for name, base in bases.items()
        if name in record
    }
    task: VideoTask = rebuild(record["task"], VideoTask, trust=trust, **parts)
    task.restore(record)
    task.remember_training(checkpoint, record)
    try:
        task.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as problem:
        raise InputError(f"{path}: the weights do not fit the model: {problem}") from problem
    return task.to(map_location).eval()


def part_name(record: Mapping[str, Any]) -> str:
    """Write a recorded part as Python would: ``RNN(in_features=128, cell='gru')``."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in record["init_args"].items())
    return f"{record['class_path'].rpartition('.')[2]}({arguments})"
