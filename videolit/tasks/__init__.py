"""The LightningModules: one per task, around a shared encoder."""

from videolit.tasks.action import ActionTask
from videolit.tasks.base import VideoTask
from videolit.tasks.checkpoint import load_task

__all__ = ["ActionTask", "VideoTask", "load_task"]
