"""Features of pictures that need no weights: colour, layout and edges."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from videolit.encoders.base import VideoEncoder

_BINS = 4
_SIDE = 32
_CELLS = 4
_ANGLES = 8
_LAYOUT = 8
# Frames at once: each takes about half a megabyte while it is described.
_CHUNK = 64


class AppearanceEncoder(VideoEncoder):
    """Describe each frame by 256 numbers that nothing had to learn.

    64 for its colours: a histogram of 4 × 4 × 4 bins of RGB with linear votes between neighbouring
    bins, square-rooted, so that the dot product of two is their Bhattacharyya coefficient. 64 for
    its layout: grey of 8 × 8 fields less their mean. 128 for its edges: 8 orientations of gradients
    in each of 4 × 4 cells (the idea of Dalal and Triggs 2005, HOG). Each part has length
    ``1/sqrt(3)``, or 0 where a frame has no layout or no edge, so that features are at most 1 long.

    It has no parameters: it makes similar frames similar, which is enough to find shots and to
    choose pictures that stand for others, and a sequence model can be trained on it.
    """

    def __init__(self) -> None:
        super().__init__(_BINS**3 + _LAYOUT**2 + _CELLS**2 * _ANGLES)

    def encode(self, video: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return features, float32 ``(B, T, 256)``, and the mask."""
        batch, steps = video.shape[:2]
        parts = torch.split(video.flatten(0, 1), _CHUNK)
        found = torch.cat([_describe(part) for part in parts])
        features = found.view(batch, steps, -1)
        return torch.where(mask[:, :, None], features, 0.0), mask


def _describe(frames: Tensor) -> Tensor:
    """Return the features of frames ``(N, 3, H, W)``, uint8 or float in [0, 1]."""
    # Sums of many pixels: half precision would lose them.
    with torch.autocast(frames.device.type, enabled=False):
        scale = 255.0 if frames.dtype == torch.uint8 else 1.0
        small = nn.functional.adaptive_avg_pool2d(frames.float() / scale, _SIDE)
        grey = (small * small.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1)
        layout = nn.functional.adaptive_avg_pool2d(grey[:, None], _LAYOUT).flatten(1)
        parts = [_colours(small), layout - layout.mean(1, keepdim=True), _edges(grey)]
        # Below a thousandth of the range it is noise, and stays small.
        lengths = [part.norm(dim=1, keepdim=True).clamp_min(1e-2) for part in parts]
        return torch.cat([p / n for p, n in zip(parts, lengths, strict=True)], 1) / 3**0.5


def _colours(small: Tensor) -> Tensor:
    """Return the square roots of a colour histogram, ``(N, 64)``."""
    # Triangular votes around the centres of the bins, which lie at 0, 1/3, 2/3 and 1.
    centres = torch.linspace(0, 1, _BINS, device=small.device)
    pixels = small.flatten(2).transpose(1, 2)
    votes = (1 - (pixels[..., None] - centres).abs() * (_BINS - 1)).clamp_min(0)
    red, green, blue = votes.unbind(2)
    pairs = (red[..., :, None] * green[..., None, :]).flatten(2)
    counts = pairs.transpose(1, 2) @ blue / pixels.shape[1]
    return counts.flatten(1).clamp_min(0).sqrt()


def _edges(grey: Tensor) -> Tensor:
    """Return how strong edges of each orientation are in each cell, ``(N, 128)``."""
    across = grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2]
    down = grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]
    strength = (across.square() + down.square()).sqrt()
    # An edge has no sign: half a turn is the same orientation.
    turn = torch.atan2(down, across) / torch.pi * _ANGLES
    lower = turn.floor()
    share = turn - lower
    cells = []
    for angle in range(_ANGLES):
        weight = torch.where(lower.remainder(_ANGLES) == angle, 1 - share, 0.0)
        weight = weight + torch.where((lower + 1).remainder(_ANGLES) == angle, share, 0.0)
        cells.append(nn.functional.adaptive_avg_pool2d((strength * weight)[:, None], _CELLS))
    return torch.cat(cells, 1).flatten(1)
