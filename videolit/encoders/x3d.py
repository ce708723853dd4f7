"""X3D: small networks, expanded from a tiny one along one axis after the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from videolit.encoders import pretrained
from videolit.encoders.base import Motion, VideoEncoder
from videolit.ops.time import hold

# Channels, blocks and what a block multiplies its channels by.
_WIDTHS = (24, 48, 96, 192)
_DEPTHS = (3, 5, 11, 7)
_EXPANSION = 2.25
# Frames and pixels that each was made for; the network is the same.
NATIVE = {"x3d_xs": (4, 160), "x3d_s": (13, 160), "x3d_m": (16, 224)}


class X3DEncoder(VideoEncoder):
    """X3D (Feichtenhofer 2020, arXiv:2004.04730): depthwise convolutions over space and time.

    Time keeps its length. The three sizes are one network of 3.79 M parameters with a classifier of
    400, made for clips of 4 frames and 160 pixels (XS), 13 and 160 (S), 16 and 224 (M). The hidden
    layer of the authors' head belongs to the encoder; it is applied to each step before their mean
    and not after it. Padding is seen as the last real frame, held.

    Args:
        name: ``"x3d_xs"``, ``"x3d_s"`` or ``"x3d_m"``.
        motion: ``"rgb"``, ``"difference"``, ``"deviation"`` or ``"learned"``; see
            :class:`VideoEncoder`.

    Raises:
        InputError: If the model is unknown.
    """

    # Space is halved five times.
    size = (32, None)

    def __init__(self, name: str = "x3d_s", motion: Motion = "rgb") -> None:
        pretrained.check_name(name, list(NATIVE))
        super().__init__(2048, motion)
        self.name = name
        first = _WIDTHS[0]
        self.stem = nn.Sequential(
            nn.Conv3d(3, first, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False),
            nn.Conv3d(first, first, (5, 1, 1), padding=(2, 0, 0), groups=first, bias=False),
            nn.BatchNorm3d(first),
            nn.ReLU(inplace=True),
        )
        blocks: list[nn.Module] = []
        before = first
        for width, depth in zip(_WIDTHS, _DEPTHS, strict=True):
            for place in range(depth):
                # Every other block looks at the whole clip to weigh its channels.
                blocks.append(_Block(before, width, 1 if place else 2, weighs=place % 2 == 0))
                before = width
        inner = int(_EXPANSION * before)
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Sequential(
            nn.Conv3d(before, inner, 1, bias=False), nn.BatchNorm3d(inner), nn.ReLU(inplace=True)
        )
        self.hidden = nn.Sequential(nn.Linear(inner, 2048, bias=False), nn.ReLU(inplace=True))

    def encode(self, video: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode checked clips; see :meth:`VideoEncoder.forward`."""
        frames = self.normalise(hold(video, mask), mask).transpose(1, 2)
        found = self.stem(frames.contiguous(memory_format=torch.channels_last_3d))
        found = self.last(self.blocks(found)).mean((-2, -1)).transpose(1, 2)
        features: Tensor = self.hidden(found)
        return features, mask


class _Block(nn.Module):
    """An inverted bottleneck: wider, depthwise 3 × 3 × 3, narrower."""

    def __init__(self, before: int, width: int, stride: int, weighs: bool) -> None:
        super().__init__()
        inner = int(_EXPANSION * width)
        self.widen = nn.Sequential(
            nn.Conv3d(before, inner, 1, bias=False), nn.BatchNorm3d(inner), nn.ReLU(inplace=True)
        )
        depthwise: list[nn.Module] = [
            nn.Conv3d(inner, inner, 3, (1, stride, stride), padding=1, groups=inner, bias=False),
            nn.BatchNorm3d(inner),
        ]
        if weighs:
            depthwise.append(_Weigh(inner))
        self.depthwise = nn.Sequential(*depthwise, nn.SiLU(inplace=True))
        self.narrow = nn.Sequential(nn.Conv3d(inner, width, 1, bias=False), nn.BatchNorm3d(width))
        self.shortcut: nn.Module = nn.Identity()
        if before != width or stride > 1:
            self.shortcut = nn.Conv3d(before, width, 1, (1, stride, stride), bias=False)
            if before != width:
                self.shortcut = nn.Sequential(self.shortcut, nn.BatchNorm3d(width))

    def forward(self, clips: Tensor) -> Tensor:
        """Return float ``(B, width, T, H / stride, W / stride)``."""
        found = self.narrow(self.depthwise(self.widen(clips)))
        return nn.functional.relu(found + self.shortcut(clips))


class _Weigh(nn.Module):
    """Weigh channels by their means over the clip (Hu et al. 2018, squeeze and excitation)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # A sixteenth, as a multiple of 8.
        fewer = max(8, int(channels / 16 + 4) // 8 * 8)
        fewer += 8 * (fewer < 0.9 * channels / 16)
        self.weights = nn.Sequential(
            nn.AdaptiveAvgPool3d(1),
            nn.Conv3d(channels, fewer, 1),
            nn.ReLU(inplace=True),
            nn.Conv3d(fewer, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, clips: Tensor) -> Tensor:
        """Return the clips, each channel weighed."""
        weighed: Tensor = clips * self.weights(clips)
        return weighed
