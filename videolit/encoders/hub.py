"""Optional packages and their weights from Hugging Face's hub: checked early, fetched late."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from videolit.types import InputError


def need(package: str, extra: str, user: str) -> ModuleType:
    """Import an optional package.

    Args:
        package: Its name.
        extra: The extra of videolit that installs it.
        user: The class that needs it, for the message.

    Raises:
        InputError: If it cannot be imported.
    """
    try:
        return importlib.import_module(package)
    except ImportError as problem:
        raise InputError(
            f"{user} needs the package {package} ({problem}): pip install 'videolit[{extra}]'"
        ) from problem


def fetch(load: Callable[[], Any], repository: str) -> Any:  # noqa: ANN401 - whatever load returns
    """Call what fetches weights from the hub, and say what to do where it cannot.

    Args:
        load: Returns a model with its weights; they are kept in the hub's cache.
        repository: The hub's name of the weights, as ``"timm/resnet18.a1_in1k"``.

    Returns:
        What ``load`` returns.

    Raises:
        InputError: If the weights cannot be fetched or read.
    """
    try:
        return load()
    # The hub's client fails in ways of its own, of its HTTP library and of the system.
    except Exception as problem:
        first = (str(problem).strip() or type(problem).__name__).splitlines()[0]
        folder = cache_folder() / f"models--{repository.replace('/', '--')}"
        raise InputError(
            f"the pretrained weights could not be had from https://huggingface.co/{repository} "
            f"({first}). Without a network, copy the folder {folder} from a machine that has "
            "fetched them to the same place here; or download the repository's model.safetensors "
            "and give it by --model.init_from FILE, which takes their place"
        ) from problem


def cache_folder() -> Path:
    """Return where the hub's client keeps what it fetched."""
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    return Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
