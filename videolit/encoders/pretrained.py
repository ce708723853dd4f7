"""torchvision's models by name, and their pretrained weights: checked early, fetched late."""

from __future__ import annotations

import difflib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
import torchvision
from torch import nn

from videolit.types import InputError


def check_name(name: str, known: Sequence[str], owner: str = "torchvision") -> None:
    """Refuse an unknown model name and list those that look alike.

    Raises:
        InputError: If ``name`` is not among ``known``.
    """
    if name in known:
        return
    close = difflib.get_close_matches(name, known, n=4, cutoff=0.4)
    hint = f"did you mean {', '.join(close)}?" if close else f"known are {', '.join(known)}"
    raise InputError(f"{owner} has no such model: {name!r}; {hint}")


def none_or_name(weights: str | None) -> str | None:
    """Understand "none" in words: a null on the command line arrives as text."""
    return None if weights is None or weights.lower() in ("none", "null", "") else weights


def find_weights(name: str, weights: str | None) -> Any:  # noqa: ANN401 - torchvision is untyped
    """Return the member of torchvision's weights enum of a model; nothing is downloaded.

    Args:
        name: A model's name.
        weights: A member's name, as ``"DEFAULT"``; None gives the default, for its mean and std.

    Raises:
        InputError: If the model has no such weights.
    """
    weights = none_or_name(weights)
    kinds = torchvision.models.get_model_weights(name)
    # Without categories the classifier's hidden layers are not trained either (VGG's FEATURES).
    valid = [key for key, kind in kinds.__members__.items() if kind.meta.get("categories")]
    if weights is None:
        return kinds["DEFAULT"]
    if weights not in valid:
        raise InputError(
            f"{name} has no weights {weights!r}; choose one of {', '.join(valid)}, or null to "
            "start from random ones"
        )
    return kinds[weights]


def weights_file(kind: Any) -> Path:  # noqa: ANN401
    """Return where a weights enum member's file lies, or will lie once it is downloaded."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(kind.url).path).name


def fetch(kind: Any) -> Path:  # noqa: ANN401
    """Download a weights file, unless it is there, and return its path.

    Raises:
        InputError: If it cannot be downloaded.
    """
    file = weights_file(kind)
    if file.is_file():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    digest = file.stem.rpartition("-")[2]
    try:
        # Writes to a temporary file beside it and checks the hash before renaming.
        torch.hub.download_url_to_file(kind.url, str(file), hash_prefix=digest, progress=False)
    except (OSError, RuntimeError) as problem:
        raise InputError(
            f"the pretrained weights could not be downloaded from {kind.url} ({problem}). Without "
            f"a network, place the file {file.name} in {file.parent}, or set weights to null to "
            "train from random ones"
        ) from problem
    return file


def read(name: str, kind: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the pretrained weights of a torchvision model, fetching them where needed.

    Args:
        name: The model's name.
        kind: A member of its weights enum.

    Raises:
        InputError: If the file cannot be fetched or read, or is another model's.
    """
    file = fetch(kind)
    try:
        # Before torchvision reads it, because torchvision would run code that a file contains.
        torch.load(file, map_location="cpu", weights_only=True)
        # torchvision's own way in knows the renamed keys and auxiliary heads of its old files.
        whole = torchvision.models.get_model(name, weights=kind, progress=False)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, KeyError) as problem:
        first = (str(problem).strip() or type(problem).__name__).splitlines()[0]
        raise InputError(
            f"{file} does not hold the weights of {name}: {first}. Delete it, and it is downloaded "
            "again"
        ) from problem
    state: dict[str, Any] = whole.state_dict()
    return state


def load(network: nn.Module, name: str, kind: Any) -> None:  # noqa: ANN401
    """Copy pretrained weights into a network whose classifier was taken off.

    Args:
        network: A torchvision model without its classifier.
        name: The model's name.
        kind: A member of its weights enum.

    Raises:
        InputError: As :func:`read` does.
    """
    own, state = network.state_dict(), read(name, kind)
    # In place: MNASNet wants the versions that a state dict carries beside its values.
    for key in state.keys() - own.keys():
        del state[key]
    network.load_state_dict(state)
