"""3D residual networks of 50 layers: Slow and I3D, and the two pathways of SlowFast.

Written from the papers; layers, channels and kernels are those that PySlowFast's model zoo
publishes its weights with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from videolit.encoders import pretrained
from videolit.encoders.base import Motion, VideoEncoder, step_mask
from videolit.encoders.layers import split_layers
from videolit.ops.time import hold
from videolit.types import InputError

TimePadding = Literal["replicate", "zeros"]

_DEPTHS = (3, 4, 6, 3)
# Frames that the first and the third kernel of time see, of the blocks of each stage by turns.
_KERNELS: dict[str, tuple[int, tuple[tuple[int, ...], ...]]] = {
    "slow_r50": (1, ((1,), (1,), (3,), (3,))),
    "i3d_r50": (5, ((3,), (3, 1), (3, 1), (1, 3))),
}


class ResNet3DEncoder(VideoEncoder):
    """A ResNet-50 inflated to video.

    ``"i3d_r50"`` (Carreira & Zisserman 2017, arXiv:1705.07750, as a ResNet by Wang et al. 2018,
    arXiv:1711.07971) looks at time early and halves it once: 28.0 M parameters with a classifier of
    400. ``"slow_r50"`` (Feichtenhofer et al. 2019, arXiv:1812.03982) looks at time in its last two
    stages and keeps its length: 32.5 M.

    Args:
        name: ``"i3d_r50"`` or ``"slow_r50"``.
        weights: Of torchvision's ``resnet50`` for images, as ``"IMAGENET1K_V1"``, inflated: a
            still clip then gives what the image gives. None = random weights.
        time_padding: What the convolutions see before the first and after the last frame: these
            frames again, so that a still clip stays still; or black, as published video weights
            were trained.
        motion: ``"rgb"``, ``"difference"``, ``"deviation"`` or ``"learned"``; see
            :class:`VideoEncoder`.

    Raises:
        InputError: If model, weights or padding are unknown.
    """

    # Space is halved five times.
    size = (32, None)

    def __init__(
        self,
        name: str = "i3d_r50",
        weights: str | None = None,
        time_padding: TimePadding = "replicate",
        motion: Motion = "rgb",
    ) -> None:
        pretrained.check_name(name, list(_KERNELS))
        moments = pretrained.find_weights("resnet50", weights).transforms()
        super().__init__(2048, motion, mean=tuple(moments.mean), std=tuple(moments.std))
        self.name = name
        self.weights = pretrained.none_or_name(weights)
        self.time_padding = _checked(time_padding)
        stem, kernels = _KERNELS[name]
        halves = name == "i3d_r50"
        self.network = Pathway(64, stem, kernels, time_padding, halves_time=halves)
        self._stride = 2 if halves else 1

    def encode(self, video: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode checked clips; see :meth:`VideoEncoder.forward`."""
        frames = self.normalise(hold(video, mask), mask).transpose(1, 2)
        if self._stride == 2 and frames.shape[2] % 2:
            # Half a step more, so that no frame is left out.
            frames = torch.cat([frames, frames[:, :, -1:]], 2)
        found: Tensor = self.network(frames.contiguous(memory_format=torch.channels_last_3d))
        return found.mean((-2, -1)).transpose(1, 2), step_mask(mask, self._stride)

    def fetch_pretrained(self) -> None:
        """Download the image weights to torch's cache.

        Raises:
            InputError: If they cannot be downloaded.
        """
        if self.weights is not None:
            pretrained.fetch(pretrained.find_weights("resnet50", self.weights))

    def load_pretrained(self) -> None:
        """Load the image weights and inflate them, fetching them where needed.

        Raises:
            InputError: If they cannot be fetched or read.
        """
        if self.weights is not None:
            kind = pretrained.find_weights("resnet50", self.weights)
            self.network.inflate(pretrained.read("resnet50", kind))


class SlowFastEncoder(VideoEncoder):
    """SlowFast with a ResNet-50 (Feichtenhofer et al. 2019, arXiv:1812.03982).

    The fast pathway sees all frames in few channels, the slow one every ``alpha``-th frame in many;
    what the fast one finds is added to the slow one four times. A step covers ``alpha`` frames; its
    features are those of both pathways, 2048 + 256.

    Args:
        name: ``"slowfast_r50_8x8"`` (of 32 frames the slow pathway sees 8; 34.6 M parameters with a
            classifier of 400) or ``"slowfast_r50_4x16"`` (4 of 32; 34.4 M).
        time_padding: See :class:`ResNet3DEncoder`.
        motion: ``"rgb"``, ``"difference"``, ``"deviation"`` or ``"learned"``; see
            :class:`VideoEncoder`.

    Raises:
        InputError: If model or padding are unknown.
    """

    size = (32, None)

    def __init__(
        self,
        name: str = "slowfast_r50_8x8",
        time_padding: TimePadding = "replicate",
        motion: Motion = "rgb",
    ) -> None:
        # Alpha, and the frames that a lateral connection sees.
        kinds = {"slowfast_r50_8x8": (4, 7), "slowfast_r50_4x16": (8, 5)}
        pretrained.check_name(name, list(kinds))
        super().__init__(2048 + 256, motion)
        self.name = name
        self.time_padding = _checked(time_padding)
        self.alpha, kernel = kinds[name]
        # A lateral connection doubles the channels of the fast pathway: 8 to 16, 32 to 64, ...
        fast = (8, 32, 64, 128)
        self.slow = Pathway(
            64,
            *_KERNELS["slow_r50"],
            time_padding,
            lateral=tuple(2 * channels for channels in fast),
        )
        self.fast = Pathway(8, 5, ((3,),) * 4, time_padding)
        self.lateral = nn.ModuleList(
            nn.Sequential(
                _Convolution(
                    channels, 2 * channels, (kernel, 1, 1), (self.alpha, 1, 1), time_padding
                ),
                nn.BatchNorm3d(2 * channels),
                nn.ReLU(inplace=True),
            )
            for channels in fast
        )

    def encode(self, video: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode checked clips; see :meth:`VideoEncoder.forward`."""
        frames = self.normalise(hold(video, mask), mask).transpose(1, 2)
        if missing := -frames.shape[2] % self.alpha:
            frames = torch.cat([frames, frames[:, :, -1:].expand(-1, -1, missing, -1, -1)], 2)
        fast = self.fast.stem(frames.contiguous(memory_format=torch.channels_last_3d))
        # The last frame of a step stands for it in PySlowFast's sampling too; here the first.
        slow = self.slow.stem(
            frames[:, :, :: self.alpha].contiguous(memory_format=torch.channels_last_3d)
        )
        for number, lateral in enumerate(self.lateral):
            slow = self.slow.stage(number)(torch.cat([slow, lateral(fast)], 1))
            fast = self.fast.stage(number)(fast)
        coarse = slow.mean((-2, -1)).transpose(1, 2)
        fine = fast.mean((-2, -1)).transpose(1, 2)
        # The mean of the frames of each step.
        fine = fine.reshape(len(fine), -1, self.alpha, fine.shape[-1]).mean(2)
        return torch.cat([coarse, fine], -1), step_mask(mask, self.alpha)

    def layers(self) -> list[list[nn.Module]]:
        """Return the modules of each layer: both pathways side by side, with what joins them."""
        pairs = zip(split_layers(self.slow), split_layers(self.fast), strict=True)
        layers = [slow + fast for slow, fast in pairs]
        at = 0
        for number, lateral in enumerate(self.lateral):
            # It reads what the stem has found, or the stage before.
            at += len(self.fast.stage(number - 1)) if number else 0
            layers[at].append(lateral)
        return layers


class Pathway(nn.Module):
    """A ResNet-50 over space and time; its parts are called as those of torchvision's for images.

    Args:
        width: Channels after the first convolution; the result has 32 times as many.
        stem: Frames that the first convolution sees.
        kernels: Frames that the first convolution of a block sees, of each stage, by turns.
        time_padding: See :class:`ResNet3DEncoder`.
        halves_time: Whether time is halved after the first stage.
        lateral: Channels that come in from another pathway before each stage.
    """

    def __init__(
        self,
        width: int,
        stem: int,
        kernels: Sequence[Sequence[int]],
        time_padding: TimePadding,
        *,
        halves_time: bool = False,
        lateral: Sequence[int] = (0, 0, 0, 0),
    ) -> None:
        super().__init__()
        self.conv1 = _Convolution(3, width, (stem, 7, 7), (1, 2, 2), time_padding)
        self.bn1 = nn.BatchNorm3d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        before = width
        for number, (depth, turns) in enumerate(zip(_DEPTHS, kernels, strict=True)):
            inner = width * 2**number
            blocks = nn.Sequential()
            came = before + lateral[number]
            for place in range(depth):
                stride = 2 if number and not place else 1
                kernel = turns[place % len(turns)]
                blocks.append(_Bottleneck(came, inner, kernel, stride, time_padding))
                came = before = 4 * inner
            self.add_module(f"layer{number + 1}", blocks)
        self.time_pool = nn.MaxPool3d((2, 1, 1)) if halves_time else nn.Identity()

    def stem(self, clips: Tensor) -> Tensor:
        """Return what the first convolution finds, at a quarter of the size."""
        found: Tensor = self.maxpool(self.relu(self.bn1(self.conv1(clips))))
        return found

    def stage(self, number: int) -> nn.Sequential:
        """Return a stage of blocks, 0 to 3."""
        return cast("nn.Sequential", self.get_submodule(f"layer{number + 1}"))

    def forward(self, clips: Tensor) -> Tensor:
        """Return float ``(B, 32 * width, T', H / 32, W / 32)`` of ``(B, 3, T, H, W)``."""
        found = self.time_pool(self.stage(0)(self.stem(clips)))
        for number in (1, 2, 3):
            found = self.stage(number)(found)
        result: Tensor = found
        return result

    def inflate(self, images: dict[str, Tensor]) -> None:
        """Load the weights of a network for images (Carreira & Zisserman 2017, section 2.4.1).

        Each kernel is repeated in time and divided by the number of repeats.

        Args:
            images: State dict of torchvision's ``resnet50``; its classifier is left out.
        """
        own = self.state_dict()
        fitting = {}
        for key, value in images.items():
            if key in own:
                target = own[key]
                if target.ndim == 5:
                    frames = target.shape[2]
                    value = value[:, :, None].expand_as(target) / frames
                fitting[key] = value
        self.load_state_dict(fitting)


class _Bottleneck(nn.Module):
    """A residual block: 1 × 1 over time, 3 × 3 over space, 1 × 1 (He et al. 2016)."""

    def __init__(
        self, before: int, inner: int, kernel: int, stride: int, time_padding: TimePadding
    ) -> None:
        super().__init__()
        self.conv1 = _Convolution(before, inner, (kernel, 1, 1), (1, 1, 1), time_padding)
        self.bn1 = nn.BatchNorm3d(inner)
        self.conv2 = _Convolution(inner, inner, (1, 3, 3), (1, stride, stride), time_padding)
        self.bn2 = nn.BatchNorm3d(inner)
        self.conv3 = _Convolution(inner, 4 * inner, (1, 1, 1), (1, 1, 1), time_padding)
        self.bn3 = nn.BatchNorm3d(4 * inner)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module = nn.Identity()
        if before != 4 * inner or stride > 1:
            self.downsample = nn.Sequential(
                _Convolution(before, 4 * inner, (1, 1, 1), (1, stride, stride), time_padding),
                nn.BatchNorm3d(4 * inner),
            )

    def forward(self, clips: Tensor) -> Tensor:
        """Return float ``(B, 4 * inner, T, H / stride, W / stride)``."""
        found = self.relu(self.bn1(self.conv1(clips)))
        found = self.relu(self.bn2(self.conv2(found)))
        result: Tensor = self.relu(self.bn3(self.conv3(found)) + self.downsample(clips))
        return result


class _Convolution(nn.Conv3d):
    """A convolution without bias that keeps the size, whose padding in time can be chosen."""

    def __init__(
        self,
        before: int,
        after: int,
        kernel: tuple[int, int, int],
        stride: tuple[int, int, int],
        time_padding: TimePadding,
    ) -> None:
        repeats = time_padding == "replicate" and kernel[0] > 1
        time, height, width = (side // 2 for side in kernel)
        around = (0 if repeats else time, height, width)
        super().__init__(before, after, kernel, stride, around, bias=False)
        self._repeated = time if repeats else 0

    def forward(self, clips: Tensor) -> Tensor:
        """Convolve float ``(B, C, T, H, W)``."""
        if self._repeated:
            first = clips[:, :, :1].expand(-1, -1, self._repeated, -1, -1)
            last = clips[:, :, -1:].expand(-1, -1, self._repeated, -1, -1)
            clips = torch.cat([first, clips, last], 2)
        return super().forward(clips)


def _checked(padding: TimePadding) -> TimePadding:
    if padding not in ("replicate", "zeros"):
        raise InputError(f"time_padding must be 'replicate' or 'zeros', got {padding!r}")
    return padding
