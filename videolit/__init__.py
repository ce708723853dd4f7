"""Train, measure, explain and use models on videos, with PyTorch Lightning.

``import videolit`` is cheap: the public names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from videolit.commands.predict import predict
    from videolit.commands.sentiment import find_sentiment, load_sentiment
    from videolit.commands.summarize import summarize
    from videolit.commands.timeline import find_actions
    from videolit.data.action import ActionDataModule
    from videolit.data.reader import VideoReader
    from videolit.data.sentiment import SentimentDataModule
    from videolit.tasks.action import ActionTask
    from videolit.tasks.checkpoint import load_task
    from videolit.tasks.sentiment import SentimentTask
    from videolit.types import ClipSpec, InputError, VideoBatch, VideoError

_HOME = {
    "ActionDataModule": "videolit.data.action",
    "ActionTask": "videolit.tasks.action",
    "ClipSpec": "videolit.types",
    "InputError": "videolit.types",
    "SentimentDataModule": "videolit.data.sentiment",
    "SentimentTask": "videolit.tasks.sentiment",
    "VideoBatch": "videolit.types",
    "VideoError": "videolit.types",
    "VideoReader": "videolit.data.reader",
    "find_actions": "videolit.commands.timeline",
    "find_sentiment": "videolit.commands.sentiment",
    "load_sentiment": "videolit.commands.sentiment",
    "load_task": "videolit.tasks.checkpoint",
    "predict": "videolit.commands.predict",
    "summarize": "videolit.commands.summarize",
}

__all__ = [
    "ActionDataModule",
    "ActionTask",
    "ClipSpec",
    "InputError",
    "SentimentDataModule",
    "SentimentTask",
    "VideoBatch",
    "VideoError",
    "VideoReader",
    "__version__",
    "find_actions",
    "find_sentiment",
    "load_sentiment",
    "load_task",
    "predict",
    "summarize",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public object
    """Import a public name on first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'videolit' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
