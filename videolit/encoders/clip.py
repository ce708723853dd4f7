"""Video networks of torchvision."""

from __future__ import annotations

import torch
import torchvision
from torch import Tensor, nn

from videolit.encoders import pretrained
from videolit.encoders.base import Motion, VideoEncoder, step_mask
from videolit.ops.time import hold

# By how much each network shortens time: three strides of 2, or none.
_TIME_STRIDE = {"r3d_18": 8, "mc3_18": 1, "r2plus1d_18": 8}


class TorchvisionClipEncoder(VideoEncoder):
    """A 3D residual network of torchvision (Tran et al. 2018), without pooling in time.

    16 frames give 2 steps (r3d_18, r2plus1d_18) or 16 (mc3_18). The mean of the steps is what
    torchvision classifies. Padding is seen as the last real frame, held.

    Args:
        name: ``"r2plus1d_18"``, ``"r3d_18"`` or ``"mc3_18"``.
        weights: A member of its weights enum, as ``"KINETICS400_V1"`` or ``"DEFAULT"``; None =
            random weights. They are fetched by :meth:`load_pretrained`.
        motion: ``"rgb"``, ``"difference"`` or ``"deviation"``; see :class:`VideoEncoder`.

    Raises:
        InputError: If model or weights are unknown.
    """

    # Space is halved four times; below 16 pixels nothing of it is left.
    size = (16, None)

    def __init__(
        self, name: str = "r2plus1d_18", weights: str | None = None, motion: Motion = "rgb"
    ) -> None:
        pretrained.check_name(name, list(_TIME_STRIDE))
        moments = pretrained.find_weights(name, weights).transforms()
        network: nn.Module = torchvision.models.get_model(name, weights=None)
        classifier = network.fc
        assert isinstance(classifier, nn.Linear)
        super().__init__(
            classifier.in_features, motion, mean=tuple(moments.mean), std=tuple(moments.std)
        )
        network.fc = nn.Identity()
        self.name = name
        self.weights = pretrained.none_or_name(weights)
        self.network = network

    def encode(self, video: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode checked clips; see :meth:`VideoEncoder.forward`."""
        frames = self.normalise(hold(video, mask), mask)
        found = frames.transpose(1, 2).contiguous(memory_format=torch.channels_last_3d)
        # All but the pooling over time and space and the classifier.
        for part in ("stem", "layer1", "layer2", "layer3", "layer4"):
            found = self.network.get_submodule(part)(found)
        features = found.mean((-2, -1)).transpose(1, 2)
        return features, step_mask(mask, _TIME_STRIDE[self.name])

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
