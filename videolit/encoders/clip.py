"""Video networks of torchvision."""

from __future__ import annotations

import torch
import torchvision
from torch import Tensor, nn

from videolit.encoders import pretrained
from videolit.encoders.base import Motion, VideoEncoder, step_mask
from videolit.ops.time import hold

# Frames of a step; 16: the network makes one step of its only length.
_STRIDE = {
    "r3d_18": 8,
    "mc3_18": 1,
    "r2plus1d_18": 8,
    "s3d": 8,
    "swin3d_t": 2,
    "swin3d_s": 2,
    "swin3d_b": 2,
    "mvit_v1_b": 16,
    "mvit_v2_s": 16,
}
# What each kind calls its classifier.
_CLASSIFIER = {"r": "fc", "mc": "fc", "s3d": "classifier", "swin": "head", "mvit": "head"}


class TorchvisionClipEncoder(VideoEncoder):
    """A video network of torchvision, without its pooling in time and its classifier.

    - ``"r2plus1d_18"``, ``"r3d_18"``, ``"mc3_18"``: residual networks (Tran et al. 2018); 16 frames
      give 2, 2 and 16 steps.
    - ``"s3d"``: separable Inception (Xie et al. 2018); a step for 8 frames.
    - ``"swin3d_t"``, ``"swin3d_s"``, ``"swin3d_b"``: Video Swin (Liu et al. 2022); a step for 2.
    - ``"mvit_v1_b"``, ``"mvit_v2_s"``: multiscale transformers (Fan et al. 2021, Li et al. 2022);
      one step, the class token, of clips of 16 frames and 224 pixels only.

    The mean of the steps is what torchvision classifies (of S3D: for clips of 16 frames). Padding
    is seen as the last real frame, held.

    Args:
        name: One of those above.
        weights: A member of its weights enum, as ``"KINETICS400_V1"`` or ``"DEFAULT"``; None =
            random weights. They are fetched by :meth:`load_pretrained`.
        motion: ``"rgb"``, ``"difference"``, ``"deviation"`` or ``"learned"``; see
            :class:`VideoEncoder`.

    Raises:
        InputError: If model or weights are unknown.
    """

    def __init__(
        self, name: str = "r2plus1d_18", weights: str | None = None, motion: Motion = "rgb"
    ) -> None:
        pretrained.check_name(name, list(_STRIDE))
        moments = pretrained.find_weights(name, weights).transforms()
        network: nn.Module = torchvision.models.get_model(name, weights=None)
        place = next(own for kind, own in _CLASSIFIER.items() if name.startswith(kind))
        super().__init__(
            _inputs(network.get_submodule(place)),
            motion,
            mean=tuple(moments.mean),
            std=tuple(moments.std),
        )
        setattr(network, place, nn.Identity())
        self.name = name
        self.weights = pretrained.none_or_name(weights)
        self.network = network
        # Space is halved four times, or five; nothing of it is left below that.
        self.size = (16, None) if place == "fc" else (32, None)
        if name.startswith("mvit"):
            self.num_frames, self.size = (16, 16), (224, 224)

    def encode(self, video: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode checked clips; see :meth:`VideoEncoder.forward`."""
        stride = _STRIDE[self.name]
        frames = self.normalise(hold(video, mask), mask)
        missing = -frames.shape[1] % stride
        if missing and self.size[0] == 32:
            # Whole steps, so that no frame is left out.
            frames = torch.cat([frames, frames[:, -1:].expand(-1, missing, -1, -1, -1)], 1)
        clips = frames.transpose(1, 2).contiguous(memory_format=torch.channels_last_3d)
        return self._features(clips), step_mask(mask, stride)

    def _features(self, clips: Tensor) -> Tensor:
        """Return what the classifier would see, float ``(B, T', D)``, of ``(B, C, T, H, W)``."""
        network = self.network
        if self.name.startswith("mvit"):
            token: Tensor = network(clips)
            return token[:, None]
        if self.name.startswith("swin"):
            # All but the mean over time and space.
            found = clips
            for part in ("patch_embed", "pos_drop", "features", "norm"):
                found = network.get_submodule(part)(found)
            return found.mean((-3, -2))
        residual = ["stem", "layer1", "layer2", "layer3", "layer4"]
        parts = ["features"] if self.name == "s3d" else residual
        found = clips
        for part in parts:
            found = network.get_submodule(part)(found)
        return found.mean((-2, -1)).transpose(1, 2)

    def fetch_pretrained(self) -> None:
        """Download the weights to torch's cache.

        Raises:
            InputError: If they cannot be downloaded.
        """
        if self.weights is not None:
            pretrained.fetch(pretrained.find_weights(self.name, self.weights))

    def load_pretrained(self) -> None:
        """Load the weights of all but the classifier, fetching them where needed.

        Raises:
            InputError: If they cannot be fetched or read.
        """
        if self.weights is not None:
            kind = pretrained.find_weights(self.name, self.weights)
            pretrained.load(self.network, self.name, kind)


def _inputs(classifier: nn.Module) -> int:
    """Return the size of the features that a classifier sees."""
    last = [m for m in classifier.modules() if isinstance(m, nn.Linear | nn.Conv3d)][-1]
    return last.in_features if isinstance(last, nn.Linear) else last.in_channels
