"""Small networks that train from scratch on two CPU cores."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from videolit.encoders.base import Motion, VideoEncoder, encode_frames
from videolit.encoders.shift import ShiftHook, check_shift
from videolit.ops.time import hold
from videolit.types import InputError


class SmallFrameEncoder(VideoEncoder):
    """A compact 2D CNN on each frame: four halvings of space, then its mean.

    The last stage also sees where it is (Liu et al. 2018, CoordConv): the mean over space would
    forget where something stood, and a model of time could not tell where it went. Made for 64 to
    112 pixels. Padded frames are not computed.

    Args:
        width: Channels of the second stage; the features have 8 times as many. Even.
        motion: ``"rgb"``, ``"difference"``, ``"deviation"``, ``"both"`` or ``"learned"``; see
            :class:`VideoEncoder`.
        shift: Temporal shift before each stage but the first (TSM, Lin et al. 2019): ``"both"``
            ways or ``"causal"``; None = frames do not see each other.

    Raises:
        InputError: If ``width`` is not even and positive, or the shift is unknown.
    """

    takes_both = True

    def __init__(self, width: int = 16, motion: Motion = "rgb", shift: str | None = None) -> None:
        one, two, three, four = _channels(width)
        super().__init__(four, motion)
        self.width = width
        self.stages = nn.Sequential(
            *_halve(6 if motion == "both" else 3, one, 5),
            *_halve(one, two, 3),
            *_halve(two, three, 3),
            _Place(),
            *_halve(three + 2, four, 3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.shift = shift
        self._hook = None if shift is None else ShiftHook(check_shift(shift))
        if self._hook is not None:
            convolutions = [part for part in self.stages if isinstance(part, nn.Conv2d)]
            for convolution in convolutions[1:]:
                convolution.register_forward_pre_hook(self._hook)

    def encode(self, video: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode checked clips; see :meth:`VideoEncoder.forward`."""
        frames = self.normalise(video, mask)
        return encode_frames(self.stages, frames, mask, self._hook), mask


class SmallClipEncoder(VideoEncoder):
    """A compact R(2+1)D: convolutions over space and over time by turns (Tran et al. 2018).

    Space is halved four times, then averaged; time keeps its length, and a step sees the 3 frames
    before and after it. Made for 64 to 112 pixels. Padding is seen as the last real frame, held.

    Args:
        width: Channels of the second stage; the features have 8 times as many. Even.
        motion: ``"rgb"``, ``"difference"``, ``"deviation"``, ``"both"`` or ``"learned"``; see
            :class:`VideoEncoder`.

    Raises:
        InputError: If ``width`` is not even and positive.
    """

    # Space is halved four times; below 16 pixels nothing of it is left.
    size = (16, None)
    takes_both = True

    def __init__(self, width: int = 16, motion: Motion = "rgb") -> None:
        first, *rest = channels = _channels(width)
        super().__init__(channels[-1], motion)
        self.width = width
        # The first stage sees the most pixels and costs the most: no convolution over time there.
        self.stages = nn.Sequential(
            nn.Conv3d(
                6 if motion == "both" else 3, first, (1, 5, 5), (1, 2, 2), (0, 2, 2), bias=False
            ),
            nn.BatchNorm3d(first),
            nn.ReLU(inplace=True),
            *(_Stage(before, after) for before, after in zip(channels, rest, strict=False)),
        )

    def encode(self, video: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode checked clips; see :meth:`VideoEncoder.forward`."""
        frames = self.normalise(hold(video, mask), mask)
        clips = frames.transpose(1, 2).contiguous(memory_format=torch.channels_last_3d)
        found: Tensor = self.stages(clips)
        return found.mean((-2, -1)).transpose(1, 2), mask


class _Place(nn.Module):
    """Append each pixel's row and column, in [-1, 1], as two channels."""

    def forward(self, images: Tensor) -> Tensor:
        """Return float ``(N, C + 2, H, W)``."""
        count, _, height, width = images.shape
        rows = torch.linspace(-1, 1, height, dtype=images.dtype, device=images.device)
        columns = torch.linspace(-1, 1, width, dtype=images.dtype, device=images.device)
        place = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
        return torch.cat([images, place.expand(count, -1, -1, -1)], 1)


class _Stage(nn.Module):
    """A convolution over space that halves it, then a residual one over time.

    Args:
        before: Channels of the input.
        after: Channels of the output.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.space = nn.Sequential(
            nn.Conv3d(before, after, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False),
            nn.BatchNorm3d(after),
            nn.ReLU(inplace=True),
        )
        self.time = nn.Sequential(
            nn.Conv3d(after, after, (3, 1, 1), padding=(1, 0, 0), bias=False),
            nn.BatchNorm3d(after),
        )

    def forward(self, clips: Tensor) -> Tensor:
        """Return float ``(B, after, T, H / 2, W / 2)``."""
        found = self.space(clips)
        return nn.functional.relu(found + self.time(found))


def _halve(before: int, after: int, kernel: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Return a convolution that halves space, with BatchNorm and ReLU."""
    convolution = nn.Conv2d(before, after, kernel, 2, kernel // 2, bias=False)
    return convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True)


def _channels(width: int) -> tuple[int, int, int, int]:
    """Return the channels of the four stages: few where the pixels are many."""
    if width < 2 or width % 2:
        raise InputError(f"width must be even and at least 2, got {width}")
    return width // 2, width, 2 * width, 8 * width
