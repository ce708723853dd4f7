"""C3D, the first 3D network that was trained on a million videos."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from videolit.encoders.base import Motion, VideoEncoder
from videolit.ops.time import hold


class C3DEncoder(VideoEncoder):
    """Eight convolutions of 3 × 3 × 3 and two hidden layers (Tran et al. 2015, arXiv:1412.0767).

    It takes clips of 16 frames and 112 pixels only, and gives one step of 4096 features; 78.4 M
    parameters with a classifier of UCF101's 101. Padding is seen as the last real frame, held.

    Args:
        dropout: Share of the hidden units that are left out in training, in [0, 1).
        motion: ``"rgb"``, ``"difference"``, ``"deviation"`` or ``"learned"``; see
            :class:`VideoEncoder`.
    """

    num_frames = (16, 16)
    size = (112, 112)

    def __init__(self, dropout: float = 0.5, motion: Motion = "rgb") -> None:
        super().__init__(4096, motion)
        self.dropout = dropout
        layers: list[nn.Module] = []
        before = 3
        for number, channels in enumerate(((64,), (128,), (256, 256), (512, 512), (512, 512))):
            for after in channels:
                layers += [nn.Conv3d(before, after, 3, padding=1), nn.ReLU(inplace=True)]
                before = after
            if number == 0:
                # Time is kept whole at first, "not to merge the temporal signal too early".
                layers.append(nn.MaxPool3d((1, 2, 2)))
            else:
                # 7 pixels become 4, as in the authors' network.
                layers.append(nn.MaxPool3d(2, padding=(0, 1, 1) if number == 4 else 0))
        self.convolutions = nn.Sequential(*layers)
        self.hidden = nn.Sequential(
            nn.Flatten(),
            nn.Linear(512 * 4 * 4, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
        )

    def encode(self, video: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode checked clips; see :meth:`VideoEncoder.forward`."""
        frames = self.normalise(hold(video, mask), mask).transpose(1, 2)
        found = self.convolutions(frames.contiguous(memory_format=torch.channels_last_3d))
        features: Tensor = self.hidden(found)
        return features[:, None], mask.any(1, keepdim=True)
