"""What all encoders share: the input contract, and the way from stored pixels to network input."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from videolit.encoders.layers import split_layers
from videolit.encoders.shift import ShiftHook
from videolit.types import InputError

LAYOUT = "(B, T, C, H, W)"

Motion = Literal["rgb", "difference", "deviation", "both", "learned"]


class VideoEncoder(nn.Module):
    """Clips to feature sequences: the ``H`` in ``Y = G(H(X))``.

    A subclass builds its network in the constructor, keeps each constructor argument as an
    attribute of the same name, and defines :meth:`encode`. It pools space, never time.

    Args:
        num_features: D, the size of a feature.
        motion: What the network sees: ``"rgb"``; ``"difference"``: each frame minus the one before
            it; or ``"deviation"``: each frame minus the mean of the clip's real frames, which
            takes away the background (of a camera at rest) and knows no order. A clip without
            motion is exactly zero in either. ``"both"``: difference and deviation side by side, 6
            channels, for encoders that are :attr:`trained from scratch <takes_both>`.
            ``"learned"``: a filter over time of differences and deviations, trained with the
            network, that begins as ``"difference"``; see :class:`MotionFilter`.
        mean: Mean of R, G and B in [0, 1], subtracted from ``"rgb"`` input only.
        std: Standard deviation of R, G and B in [0, 1], by which the input is divided.

    Attributes:
        num_frames: Fewest and most frames of a clip that it accepts; None = no limit.
        size: Smallest and largest height and width that it accepts, in pixels; None = no limit.
        takes_both: Whether its first layer is made for the 6 channels of motion ``"both"``.
        grid: ``(T, H, W)`` of the patches that it has learnt positions for; None = an image's, or
            none.

    Raises:
        InputError: If ``motion`` is unknown, or not for this encoder.
    """

    num_frames: tuple[int, int | None] = (1, None)
    size: tuple[int, int | None] = (1, None)
    takes_both: bool = False
    grid: tuple[int, int, int] | None = None
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        num_features: int,
        motion: Motion = "rgb",
        *,
        # The moments of Kinetics as most video networks use them (Feichtenhofer et al. 2019).
        mean: tuple[float, float, float] = (0.45, 0.45, 0.45),
        std: tuple[float, float, float] = (0.225, 0.225, 0.225),
    ) -> None:
        super().__init__()
        if motion not in get_args(Motion):
            known = ", ".join(map(repr, get_args(Motion)))
            raise InputError(f"motion must be one of {known}, got {motion!r}")
        if motion == "both" and not self.takes_both:
            raise InputError(
                f"{type(self).__name__} has 3 input channels, motion 'both' has 6: take "
                "'difference' or 'deviation', or SmallClipEncoder or SmallFrameEncoder"
            )
        self.num_features = num_features
        self.motion: Motion = motion
        # Not persistent: a constant of the class, not something that was learnt.
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        self.motion_filter = MotionFilter() if motion == "learned" else None

    def forward(self, video: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode clips.

        Args:
            video: RGB ``(B, T, C, H, W)``, uint8, or float in [0, 1].
            mask: bool ``(B, T)``, True = a real frame; None = all are real.

        Returns:
            Features, float ``(B, T', D)`` with ``T' <= T``, and their mask, bool ``(B, T')``: a
            step is real if any of its frames is.

        Raises:
            InputError: If layout, dtype, range, number of frames or size are not accepted.
        """
        check_video(video, mask)
        self._check_limits(video)
        if mask is None:
            mask = torch.ones(video.shape[:2], dtype=torch.bool, device=video.device)
        return self.encode(video, mask)

    def encode(self, video: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode checked clips; arguments and results as for :meth:`forward`."""
        raise NotImplementedError(f"{type(self).__name__} must define encode()")

    def normalise(self, video: Tensor, mask: Tensor) -> Tensor:
        """Turn clips into the network's input, in the dtype of its parameters.

        Args:
            video: As in :meth:`forward`.
            mask: bool ``(B, T)``.

        Returns:
            float ``(B, T, C, H, W)``, C = 6 for ``"both"``. Differences are zero at the first frame
            and wherever one of the two frames is padding, deviations wherever the frame is.
        """
        dtype = next(self.parameters()).dtype
        # bfloat16 cannot hold the moments, nor the difference of two frames in [0, 1], exactly.
        exact = torch.promote_types(dtype, torch.float32)
        frames = video.to(exact)
        mean, std = self.mean.to(exact), self.std.to(exact)
        if video.dtype == torch.uint8:
            mean, std = 255 * mean, 255 * std
        if self.motion == "rgb":
            return ((frames - mean) / std).to(dtype)
        if self.motion_filter is not None:
            filtered: Tensor = self.motion_filter(frames, mask)
            return (filtered / std).to(dtype)
        parts = []
        if self.motion in ("difference", "both"):
            parts.append(_difference(frames, mask))
        if self.motion in ("deviation", "both"):
            parts.append(_deviation(frames, mask))
        return torch.cat([(part / std).to(dtype) for part in parts], 2)

    def layers(self) -> list[list[nn.Module]]:
        """Return the modules of each layer, from input to output."""
        return split_layers(self)

    def fetch_pretrained(self) -> None:
        """Download pretrained weights to this machine's cache, unless there are none to fetch."""

    def load_pretrained(self) -> None:
        """Load pretrained weights, fetching them where needed, unless there are none to load."""

    def _check_limits(self, video: Tensor) -> None:
        """Refuse clips that the network cannot take."""
        num_frames, (height, width) = video.shape[1], video.shape[-2:]
        if not (
            _within(num_frames, self.num_frames)
            and _within(height, self.size)
            and _within(width, self.size)
        ):
            raise InputError(
                f"{_name(self)} accepts clips of num_frames {_range(self.num_frames)} and size "
                f"{_range(self.size)} pixels, got {num_frames} frames of {height}×{width}: change "
                "num_frames or size of the clips, or take another encoder"
            )


class MotionFilter(nn.Module):
    """A learnt filter of motion, for each colour on its own.

    Each frame becomes a weighted sum of the differences (frame minus the one before) of the frame
    before it, its own and the frame after it, and of its deviation from the clip's mean. What
    stands still is zero whatever the weights, so no background gets through. It begins as the plain
    difference.
    """

    def __init__(self) -> None:
        super().__init__()
        begin = torch.tensor([0.0, 1.0, 0.0, 0.0])
        self.weight = nn.Parameter(begin.repeat(3, 1))

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Filter clips.

        Args:
            frames: float ``(B, T, 3, H, W)``.
            mask: bool ``(B, T)``.

        Returns:
            float ``(B, T, 3, H, W)``, zero at padding.
        """
        change = _difference(frames, mask)
        still = torch.zeros_like(change[:, :1])
        before = torch.cat([still, change[:, :-1]], 1)
        after = torch.cat([change[:, 1:], still], 1)
        parts = (before, change, after, _deviation(frames, mask))
        weight = self.weight.to(frames.dtype)[:, :, None, None]
        found = sum(weight[:, k] * part for k, part in enumerate(parts))
        return torch.where(mask[:, :, None, None, None], found, 0.0)


def check_video(video: Tensor, mask: Tensor | None) -> None:
    """Refuse what is not a batch of clips, and say what it looks like.

    Raises:
        InputError: If layout, dtype, range or mask are not those of the contract.
    """
    shape = tuple(video.shape)
    if video.ndim != 5 or shape[2] != 3:
        raise InputError(f"expected video as {LAYOUT} with C = 3 (RGB), got {shape}{_guess(shape)}")
    if 0 in shape:
        raise InputError(f"expected video as {LAYOUT} with at least one frame, got {shape}")
    if video.dtype != torch.uint8 and not video.is_floating_point():
        raise InputError(
            f"expected video {LAYOUT} as uint8, or as float in [0, 1], got {video.dtype}"
        )
    if mask is not None and (mask.dtype != torch.bool or mask.shape != video.shape[:2]):
        raise InputError(
            f"expected the mask of video {shape} as bool (B, T) = {shape[:2]}, True for real "
            f"frames, got {mask.dtype} {tuple(mask.shape)}"
        )
    # Reads values, so not where the graph is being compiled. 1e-3: rounding of bfloat16 and mixup.
    if video.is_floating_point() and not torch.compiler.is_compiling():
        low, high = float(video.min()), float(video.max())
        if low < -1e-3 or high > 1 + 1e-3:
            raise InputError(
                f"expected float video in [0, 1], got values from {low:.3g} to {high:.3g}: give "
                "uint8 frames, or divide by 255; the encoder normalises them itself"
            )


def encode_frames(
    network: nn.Module, frames: Tensor, mask: Tensor, shift: ShiftHook | None = None
) -> Tensor:
    """Apply an image network to each real frame.

    Args:
        network: Images float ``(N, C, H, W)`` to features ``(N, D)``.
        frames: float ``(B, T, C, H, W)``.
        mask: bool ``(B, T)``; the other frames are not computed.
        shift: The network's temporal shift; its clips are set.

    Returns:
        float ``(B, T, D)``, zero at padding.

    Raises:
        InputError: If no clip has a real frame.
    """
    images = frames[mask]
    if len(images) == 0:
        raise InputError("the batch has no real frame: its mask is False everywhere")
    if shift is not None:
        shift.clips = mask.nonzero()[:, 0]
    found: Tensor = network(images.contiguous(memory_format=torch.channels_last))
    features = found.new_zeros((*mask.shape, found.shape[-1]))
    features[mask] = found
    return features


def step_mask(mask: Tensor, stride: int) -> Tensor:
    """Return the mask of the steps of a network that shortens time.

    Args:
        mask: bool ``(B, T)``.
        stride: Frames of a step.

    Returns:
        bool ``(B, ceil(T / stride))``: a step is real if any of its frames is.
    """
    missing = -mask.shape[1] % stride
    return nn.functional.pad(mask, (0, missing)).view(len(mask), -1, stride).any(-1)


def _difference(frames: Tensor, mask: Tensor) -> Tensor:
    """Return each frame minus the one before, zero at the first and beside padding."""
    real = (mask[:, 1:] & mask[:, :-1])[:, :, None, None, None]
    change = torch.where(real, frames[:, 1:] - frames[:, :-1], 0.0)
    return torch.cat([torch.zeros_like(frames[:, :1]), change], 1)


def _deviation(frames: Tensor, mask: Tensor) -> Tensor:
    """Return each real frame minus the mean of the clip's real frames, and zero at padding."""
    real = mask[:, :, None, None, None]
    count = real.sum(1, keepdim=True).clamp(min=1)
    # From the first real frame on: a frozen clip then gives exactly zero, whatever the rounding.
    first = frames[torch.arange(len(frames), device=frames.device), mask.int().argmax(1)]
    relative = torch.where(real, frames - first[:, None], 0.0)
    return torch.where(real, relative - relative.sum(1, keepdim=True) / count, 0.0)


def _guess(shape: tuple[int, ...]) -> str:
    """Say which other layout a shape looks like, and what to do."""
    if len(shape) == 4 and 3 in shape:
        return ", which looks like one clip or a batch of images: add the missing dimension"
    if len(shape) == 6 and shape[3] == 3:
        return (
            ", which looks like several views (B, V, T, C, H, W): join views and batch with "
            "video.flatten(0, 1)"
        )
    if len(shape) == 5 and shape[1] == 3:
        return ", which looks like (B, C, T, H, W): give video.transpose(1, 2)"
    if len(shape) == 5 and shape[4] == 3:
        return ", which looks like (B, T, H, W, C): give video.permute(0, 1, 4, 2, 3)"
    return ""


def _within(value: int, limits: tuple[int, int | None]) -> bool:
    low, high = limits
    return value >= low and (high is None or value <= high)


def _range(limits: tuple[int, int | None]) -> str:
    low, high = limits
    if high is None:
        return f">= {low}"
    return str(low) if low == high else f"{low} to {high}"


def _name(encoder: VideoEncoder) -> str:
    """Return the class, and the network's name where the class has several."""
    network = getattr(encoder, "name", None)
    return f"{type(encoder).__name__}({network})" if network else type(encoder).__name__
