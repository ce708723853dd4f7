"""Weights of Hugging Face's transformers: where they lie, and whether they are an encoder's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from videolit.encoders import hub
from videolit.types import InputError


def place_of(weights: str, files: str = "config.json and model.safetensors") -> str:
    """Return the folder or the name of Hugging Face's hub to read from.

    Args:
        weights: What the user gave.
        files: What a folder must hold, for the message.

    Raises:
        InputError: If it is written as a path and no model lies there.
    """
    folder = Path(weights).expanduser()
    if weights.startswith((".", "/", "~")) and not (folder / "config.json").is_file():
        raise InputError(
            f"{weights}: expected a folder with {files}, as save_pretrained writes it, or a name "
            "of Hugging Face's hub"
        )
    return str(folder) if folder.is_dir() else weights


def load_whole(
    load: Callable[[], tuple[Any, dict[str, Any]]],
    weights: str,
    architecture: str,
    unused: str | None = None,
) -> Any:  # noqa: ANN401 - transformers is not typed here
    """Return a model whose weights are all there.

    Args:
        load: Returns the model and what transformers says of its loading.
        weights: Where they lie, for the message.
        architecture: What it is, for the message.
        unused: Beginning of the names of weights that may be missing.

    Raises:
        InputError: If the weights cannot be had, or some are not in them.
    """
    model, info = hub.fetch(load, weights)
    missing = sorted(
        key for key in info["missing_keys"] if unused is None or not key.startswith(unused)
    )
    if missing:
        raise InputError(
            f"{weights}: {len(missing)} weights of {architecture} are not in it: "
            f"{', '.join(missing[:5])}"
        )
    return model


def check_architecture(encoder: nn.Module, model_type: str) -> None:
    """Refuse weights of another architecture than the encoder's.

    Raises:
        InputError: If ``model_type``, what their configuration says, is not that.
    """
    if model_type != encoder.architecture:
        raise InputError(
            f"{encoder.weights} holds {model_type}, this encoder is {encoder.architecture}: "
            f"set architecture to that, if {type(encoder).__name__} knows it"
        )


def check_settings(
    encoder: nn.Module,
    theirs: Mapping[str, object],
    config: Any,  # noqa: ANN401 - transformers is not typed here
    own: Any,  # noqa: ANN401
    fixed: Sequence[str],
    what: str,
) -> None:
    """Refuse weights of other settings, and say which arguments would be theirs.

    Args:
        encoder: Has the arguments as attributes.
        theirs: The arguments that the weights' configuration amounts to.
        config: The weights' configuration.
        own: The encoder's.
        fixed: Settings of a configuration that no argument changes.
        what: What differs by the arguments: size, kind.

    Raises:
        InputError: If one differs.
    """
    other = {key: value for key, value in theirs.items() if value != getattr(encoder, key)}
    if other:
        said = ", ".join(f"{key}: {value}" for key, value in other.items())
        raise InputError(f"{encoder.weights} are weights of another {what}: set {said}")
    for key in fixed:
        if _plain(getattr(config, key, None)) != _plain(getattr(own, key, None)):
            raise InputError(
                f"{encoder.weights} needs {key} {getattr(config, key, None)}, "
                f"{type(encoder).__name__} has {getattr(own, key, None)} only"
            )


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
