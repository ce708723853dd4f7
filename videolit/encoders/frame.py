"""Image networks of torchvision, applied to each frame."""

from __future__ import annotations

from typing import Any

import torchvision
from torch import Tensor, nn

from videolit.encoders import pretrained
from videolit.encoders.base import Motion, VideoEncoder, encode_frames
from videolit.encoders.shift import add_shift
from videolit.types import InputError

# Smallest height and width that a network can take, in pixels, where not 32; found by trying.
_SMALLEST = {"alexnet": 63, "inception_v3": 75}


class TorchvisionFrameEncoder(VideoEncoder):
    """An image classification network of torchvision on each frame, without its last linear layer.

    Features are those that the network classifies; its dropout layers stay. Padded frames are not
    computed. Vision transformers and MaxViT accept one size only.

    Args:
        name: A classification model of torchvision, as ``"resnet18"``.
        weights: A member of its weights enum, as ``"IMAGENET1K_V1"`` or ``"DEFAULT"``; None =
            random weights. They are fetched by :meth:`load_pretrained`.
        motion: ``"rgb"``, ``"difference"``, ``"deviation"`` or ``"learned"``; see
            :class:`VideoEncoder`.
        shift: Temporal shift in each residual block (TSM, Lin et al. 2019): ``"both"`` ways or
            ``"causal"``; None = frames do not see each other.

    Raises:
        InputError: If model, weights or shift are unknown, the model does not end in a linear
            layer, or has no residual blocks to shift.
    """

    def __init__(
        self,
        name: str = "resnet18",
        weights: str | None = None,
        motion: Motion = "rgb",
        shift: str | None = None,
    ) -> None:
        known = torchvision.models.list_models(module=torchvision.models)
        pretrained.check_name(name, known)
        kind = pretrained.find_weights(name, weights)
        moments = kind.transforms()
        network = torchvision.models.get_model(name, weights=None, **_arguments(name, weights))
        num_features = _take_off_classifier(network, name)
        super().__init__(num_features, motion, mean=tuple(moments.mean), std=tuple(moments.std))
        self.name = name
        self.weights = pretrained.none_or_name(weights)
        self.network = network
        self.shift = shift
        self._hook = None if shift is None else add_shift(network, name, shift)
        self.size = (_SMALLEST.get(name, 32), None)
        if name.startswith(("vit_", "maxvit_")):
            only = kind.meta["min_size"][0]
            self.size = (only, only)

    def encode(self, video: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode checked clips; see :meth:`VideoEncoder.forward`."""
        frames = self.normalise(video, mask)
        return encode_frames(self.network, frames, mask, self._hook), mask

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


def _arguments(name: str, weights: str | None) -> dict[str, Any]:
    """Return what a model is built with so that it fits its weights and has no auxiliary head."""
    if name in ("googlenet", "inception_v3"):
        # transform_input: their weights were trained on other moments than ImageNet's, from which
        # the network converts; the same with and without weights, so that checkpoints agree.
        return {"aux_logits": False, "init_weights": True, "transform_input": True}
    if name.startswith("vit_"):
        # Some weights are for larger images than the model's default.
        kind = pretrained.find_weights(name, weights)
        return {"image_size": kind.meta["min_size"][0]}
    return {}


def _take_off_classifier(network: nn.Module, name: str) -> int:
    """Replace the last linear layer by nothing and return the size of what it took in."""
    linear = [key for key, part in network.named_modules() if isinstance(part, nn.Linear)]
    if not linear:
        raise InputError(
            f"{name} does not end in a linear layer, so its features cannot be told from its "
            "classes; take another model, as mobilenet_v3_small"
        )
    path, _, last = linear[-1].rpartition(".")
    classifier = network.get_submodule(linear[-1])
    assert isinstance(classifier, nn.Linear)
    setattr(network.get_submodule(path), last, nn.Identity())
    return classifier.in_features
