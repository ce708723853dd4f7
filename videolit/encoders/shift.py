"""The temporal shift: image networks that see neighbouring frames, for no weights and no FLOPs."""

from __future__ import annotations

from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn

from videolit.types import InputError

Shift = Literal["both", "causal"]

# One part in eight of the channels goes each way (section 4.2).
_PARTS = 8
# Residual blocks of torchvision and timm, and where the branch beside their skip path begins.
_BRANCHES = {
    "BasicBlock": ("conv1",),
    "Bottleneck": ("conv1",),
    "ResBottleneckBlock": ("f",),
    "InvertedResidual": ("conv", "block", "conv_pw"),
    "MBConv": ("block",),
    "FusedMBConv": ("block",),
    "CNBlock": ("block",),
    "ConvNeXtBlock": ("conv_dw",),
}


class ShiftHook:
    """Shifts what a convolution takes in along time; registered with each of a network's blocks.

    The frames of a batch are a list without padding, clip after clip, so the hook must know which
    of them belong together. One object serves a whole network: a copy of the network gets its own.

    Args:
        shift: ``"both"`` ways, or ``"causal"``: from the past only.

    Attributes:
        clips: int64 ``(N,)``, the clip of each frame that is being encoded.
    """

    def __init__(self, shift: Shift) -> None:
        self.shift = shift
        self.clips = torch.zeros(0, dtype=torch.int64)

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the convolution's inputs, the first of them shifted."""
        return (shift_frames(inputs[0], self.clips, self.shift), *inputs[1:])


def shift_frames(frames: Tensor, clips: Tensor, shift: Shift = "both") -> Tensor:
    """Move an eighth of the channels one frame on, and another eighth one frame back.

    Lin et al. 2019 (arXiv:1811.08383, section 3); zeros where a clip begins and ends.

    Args:
        frames: float ``(N, C, H, W)``, the frames of clip after clip.
        clips: int64 ``(N,)``, the clip of each frame.
        shift: ``"causal"`` moves channels on only, as for a running video.

    Returns:
        float ``(N, C, H, W)``.
    """
    part = frames.shape[1] // _PARTS
    same = (clips[1:] == clips[:-1])[:, None, None, None]
    zero = torch.zeros_like(frames[:1, :part])
    past = torch.cat([zero, torch.where(same, frames[:-1, :part], 0.0)])
    if shift == "causal":
        return torch.cat([past, frames[:, part:]], 1)
    future = torch.cat([torch.where(same, frames[1:, part : 2 * part], 0.0), zero])
    return torch.cat([past, future, frames[:, 2 * part :]], 1)


def add_shift(network: nn.Module, name: str, shift: str) -> ShiftHook:
    """Shift the input of the branch of each residual block, not its skip path (section 4.1).

    Args:
        network: An image network of torchvision or timm; its weights and their names stay.
        name: What it is called, for the error.
        shift: ``"both"`` or ``"causal"``.

    Raises:
        InputError: If the shift is unknown, or the network has no residual block that is known.
    """
    hook = ShiftHook(check_shift(shift))
    found = 0
    for block in network.modules():
        if type(block).__name__ not in _BRANCHES or not _has_skip(block):
            continue
        names = _BRANCHES[type(block).__name__]
        branch = next((getattr(block, part) for part in names if hasattr(block, part)), None)
        first = (
            next((m for m in branch.modules() if isinstance(m, nn.Conv2d)), None)
            if branch
            else None
        )
        if first is not None:
            first.register_forward_pre_hook(hook)
            found += 1
    if not found:
        raise InputError(
            f"{name} has no residual blocks of convolutions to shift: take a ResNet, ResNeXt, "
            "RegNet, MobileNet, EfficientNet or ConvNeXt, or set shift to null"
        )
    return hook


def check_shift(shift: str) -> Shift:
    """Return a known shift.

    Raises:
        InputError: If it is unknown.
    """
    if shift not in get_args(Shift):
        raise InputError(f"shift must be 'both', 'causal' or null, got {shift!r}")
    return cast("Shift", shift)


def _has_skip(block: nn.Module) -> bool:
    """Tell whether a block adds its input to what its branch makes; only some of MobileNet's do."""
    for name in ("use_res_connect", "has_skip"):
        if hasattr(block, name):
            return bool(getattr(block, name))
    return True
