"""Another model's weights as the start of a training."""

from __future__ import annotations

from pathlib import Path

from videolit.encoders import VideoEncoder
from videolit.encoders.weights import Fit, find_state, load_state, read_file
from videolit.tasks.checkpoint import KEY, describe, part_name, read_record


def load_encoder(encoder: VideoEncoder, path: str | Path) -> Fit:
    """Load an encoder's weights from a file; of a task's checkpoint only its encoder.

    Args:
        encoder: What to load them into, in place.
        path: A checkpoint of videolit, or weights as
            :func:`~videolit.encoders.weights.load_state` reads them.

    Raises:
        InputError: If the file cannot be read, or nothing in it fits.
    """
    content = read_file(path)
    state, notes = find_state(content, path), []
    if KEY in content:
        theirs, ours = read_record(content, str(path))["encoder"], describe(encoder)
        state = {name: value for name, value in state.items() if name.startswith("encoder.")}
        if theirs != ours:
            notes.append(f"its encoder is {part_name(theirs)}, this one is {part_name(ours)}")
    return load_state(encoder, state, path, grid=encoder.grid, notes=notes)
