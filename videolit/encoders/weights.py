"""Weights from a file: read without running code, brought to an encoder's names, and reported."""

from __future__ import annotations

import argparse
import codecs
import dataclasses
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from videolit.encoders.naming import STYLES, fold_first_shortcut, remarks, rename
from videolit.encoders.positions import Grid, adapt
from videolit.types import InputError

# Where training programs put the weights among the rest of a checkpoint.
_CONTAINERS = ("state_dict", "model_state", "model_state_dict", "model", "module", "net")
# What makes numbers and settings beside the weights; none of it can run code of the file.
_HARMLESS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    argparse.Namespace,
    codecs.encode,
    np.dtype,
    np.ndarray,
    np._core.multiarray.scalar,  # type: ignore[attr-defined]
    np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
    *(type(np.dtype(kind)) for kind in "?bBhHiIlLfdSU"),
]
_CLASSIFIER = re.compile(
    r"(^|\.)cls_head\.|(^|\.)(heads?|fc|classifier|projection|proj|last_linear)\.(\d+\.)?\w+$"
)


@dataclasses.dataclass(frozen=True)
class Fit:
    """What of a file fitted an encoder.

    Args:
        path: The file.
        style: Whose names its weights have.
        loaded: Names of the encoder's tensors that were loaded.
        num_tensors: Tensors of floating point that the encoder has.
        num_loaded: Parameters in the tensors that were loaded.
        num_parameters: Parameters in all of them.
        changed: Tensors that were brought to another shape, with both shapes.
        other_shape: Tensors of the encoder that the file has in a shape of no use, with both.
        missing: Tensors of the encoder that the file has not.
        unused: Tensors of the file that the encoder has not.
        notes: What else a user should know.
    """

    path: str
    style: str
    loaded: list[str]
    num_tensors: int
    num_loaded: int
    num_parameters: int
    changed: list[str]
    other_shape: list[str]
    missing: list[str]
    unused: list[str]
    notes: list[str]

    @property
    def is_whole(self) -> bool:
        """Whether each weight of the encoder came from the file."""
        return not self.other_shape and not self.missing

    def describe(self) -> str:
        """Return the report, a line for each kind of weights, 20 names at most in each."""
        classifier = [name for name in self.unused if _CLASSIFIER.search(name)]
        rest = [name for name in self.unused if name not in set(classifier)]
        lines = [
            f"{len(self.loaded)} of the encoder's {self.num_tensors} tensors "
            f"({self.num_loaded:,} of {self.num_parameters:,} values) from {self.path}, by "
            f"{self.style} names"
        ]
        for what, names in (
            ("brought to another shape", self.changed),
            ("of another shape, left as they were", self.other_shape),
            ("not in the file, left as they were", self.missing),
            ("unused, of the file", rest),
            ("unused, the file's classifier (as usual)", classifier),
        ):
            if names:
                lines.append(f"{what}: {_first(names)}")
        return "\n  ".join(lines + self.notes)


def read_file(path: str | Path) -> dict[str, Any]:
    """Read a file of weights without running code that it may contain.

    Args:
        path: A ``.safetensors`` file, or one that ``torch.save`` wrote.

    Returns:
        What the file holds: weights, or a checkpoint with weights in it.

    Raises:
        InputError: If it is missing, unreadable, no dictionary, or holds objects that only code
            could rebuild.
    """
    file = Path(path)
    if "://" in str(path):
        raise InputError(f"{path}: weights are read from a file: download it, and give its path")
    if not file.is_file():
        what = "a folder; give a file in it" if file.is_dir() else "no such file of weights"
        raise InputError(f"{path}: {what}")
    content = _read_safetensors(file) if file.suffix == ".safetensors" else _read_torch(file)
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: expected a dictionary of weights, got {type(content).__name__}: save the "
            "model's state_dict()"
        )
    return content


def find_state(content: Mapping[str, Any], path: str | Path) -> dict[str, Tensor]:
    """Return the weights in what a file holds.

    Raises:
        InputError: If there are none.
    """
    found: Any = content
    for _ in range(3):
        inner = next((k for k in _CONTAINERS if isinstance(found.get(k), Mapping)), None)
        if inner is None:
            break
        found = found[inner]
    state = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
    if not state:
        has = _first([str(key) for key in found], 8) or "nothing"
        raise InputError(
            f"{path}: no weights in it: expected tensors by name, alone or under one of "
            f"{', '.join(_CONTAINERS)}; it has {has}"
        )
    return state


def load_state(
    encoder: nn.Module,
    state: Mapping[str, Tensor],
    path: str | Path,
    *,
    grid: Grid | None = None,
    before: Grid | None = None,
    notes: Sequence[str] = (),
) -> Fit:
    """Load all weights that fit, by the names of whichever project suits best.

    Args:
        encoder: What to load them into; its tensors are changed in place.
        state: The weights; names may stand below any prefix, as ``module.`` or ``backbone.``.
        path: Their file, for messages.
        grid: ``(T, H, W)`` of the encoder's patches, where positions are those of a clip's.
        before: The same of the weights; None = as the tables' lengths tell.
        notes: What the report should say beside.

    Raises:
        InputError: If nothing fits.
    """
    own = {name: value for name, value in encoder.state_dict().items() if value.is_floating_point()}
    given = {name: value for name, value in state.items() if value.is_floating_point()}
    style, names = _match(own, given)
    named = {name: given[source] for source, name in names.items()}
    folded = fold_first_shortcut(named)
    values = {name: value for name, value in folded.items() if name in own}
    used = {source for source, name in names.items() if name in own or name not in folded}
    unused = [source for source in given if source not in used]
    loaded, changed, other_shape = [], [], []
    with torch.no_grad():
        for name, value in values.items():
            fitting = adapt(name, value, own[name], grid, before)
            sizes = f"{name} {_size(value)} → {_size(own[name])}"
            if fitting is None:
                other_shape.append(sizes)
                continue
            if value.shape != own[name].shape:
                changed.append(sizes)
            own[name].copy_(fitting)
            loaded.append(name)
    if not loaded:
        raise InputError(
            f"{path}: nothing in it fits the encoder. Expected names as "
            f"{_first(list(own), 5)}; the file has {_first(list(given), 5)}. Is it another "
            "network's?"
        )
    return Fit(
        path=str(path),
        style=style,
        loaded=loaded,
        num_tensors=len(own),
        num_loaded=sum(own[name].numel() for name in loaded),
        num_parameters=sum(value.numel() for value in own.values()),
        changed=changed,
        other_shape=other_shape,
        missing=[name for name in own if name not in values],
        unused=unused,
        notes=[*notes, *remarks(style, values)],
    )


def _match(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> tuple[str, dict[str, str]]:
    """Find the style and the prefixes under which most tensors have a place.

    Returns:
        The style, and ``{name in the file: name in the encoder}``; names without a place in the
        encoder are among them.
    """
    best, chosen = (-1, -1), ("", dict[str, str]())
    for style in STYLES:
        for before in _prefixes(given, 0.25):
            inner = [name for name in given if name.startswith(before)]
            renamed = rename([name.removeprefix(before) for name in inner], style)
            for below in _prefixes(own, 0.5):
                names = {n: below + renamed[n.removeprefix(before)] for n in inner}
                fitting = [n for n, name in names.items() if name in own]
                equal = sum(given[n].shape == own[names[n]].shape for n in fitting)
                # More of the same shape; else more at all.
                if (equal, len(fitting)) > best:
                    best, chosen = (equal, len(fitting)), (style, names)
        if best[0] == len(own):
            break
    return chosen


def _prefixes(names: Mapping[str, Tensor], share: float) -> list[str]:
    """Return what at least a share of the names begin with, up to a dot; the empty one first."""
    counts: dict[str, int] = {"": len(names)}
    for name in names:
        parts = name.split(".")[:-1]
        for end in range(1, len(parts) + 1):
            prefix = ".".join(parts[:end]) + "."
            counts[prefix] = counts.get(prefix, 0) + 1
    return [prefix for prefix, count in counts.items() if count >= share * len(names)]


def _read_safetensors(file: Path) -> Any:  # noqa: ANN401
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as problem:
        raise InputError(
            f"{file}: this format needs the package safetensors: pip install safetensors"
        ) from problem
    try:
        return load_file(file)
    except (SafetensorError, OSError) as problem:
        raise InputError(f"{file}: not a readable file of safetensors: {problem}") from problem


def _read_torch(file: Path) -> Any:  # noqa: ANN401
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as problem:
        foreign = re.search(r"(?:GLOBAL|class|function) ([\w.]+\.\w+)", str(problem))
        if foreign is None:
            raise InputError(f"{file}: not a readable file of weights: {_line(problem)}") from None
        command = (
            f"import torch; c = torch.load({file.name!r}, map_location='cpu', weights_only=False); "
            "torch.save(c.get('state_dict', c.get('model_state', c.get('model', c))), "
            f"{file.stem + '-weights.pth'!r})"
        )
        raise InputError(
            f"{file}: holds more than weights ({foreign[1]}), which could run code of the file and "
            "is not read. If you trust whoever made it, take the weights out where the program "
            f'that wrote it is installed:\n  python -c "{command}"'
        ) from None
    # Bytes that are no pickle fail in as many ways as there are bytes.
    except Exception as problem:
        raise InputError(f"{file}: not a readable file of weights: {_line(problem)}") from problem


def _line(problem: Exception) -> str:
    """Return the first line of an error."""
    return (str(problem).strip() or type(problem).__name__).splitlines()[0]


def _first(names: Sequence[str], count: int = 20) -> str:
    """Name the first of many."""
    more = f", … ({len(names)} in all)" if len(names) > count else ""
    return ", ".join(names[:count]) + more


def _size(value: Tensor) -> str:
    return "×".join(map(str, value.shape)) or "1"
