"""Image networks of timm, applied to each frame."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from videolit.encoders import hub, pretrained
from videolit.encoders.base import Motion, VideoEncoder, encode_frames
from videolit.encoders.shift import add_shift
from videolit.types import InputError


class TimmFrameEncoder(VideoEncoder):
    """An image network of timm on each frame, without its classifier.

    Features are those that timm gives with ``num_classes=0``: pooled, as its classifier sees them.
    Padded frames are not computed. Needs the extra ``videolit[timm]``.

    Args:
        name: A model of timm without its tag, as ``"convnext_tiny"``; ``timm.list_models()`` has
            all.
        weights: A tag of the model's weights, as ``"in12k_ft_in1k"``, or ``"DEFAULT"``; None =
            random weights. They are fetched by :meth:`load_pretrained`, from Hugging Face's hub;
            their licences are their makers'.
        image_size: Height and width of the frames, in pixels, for a network that takes one size
            only; None = the size that its weights were made for. Positions are interpolated.
        motion: ``"rgb"``, ``"difference"``, ``"deviation"`` or ``"learned"``; see
            :class:`VideoEncoder`.
        shift: Temporal shift in each residual block: ``"both"``, ``"causal"`` or None.

    Raises:
        InputError: If timm is not installed, or model, weights or size are unknown to it.
    """

    def __init__(
        self,
        name: str = "resnet18",
        weights: str | None = None,
        image_size: int | None = None,
        motion: Motion = "rgb",
        shift: str | None = None,
    ) -> None:
        timm = hub.need("timm", "timm", "TimmFrameEncoder")
        pretrained.check_name(name, timm.list_models(), "timm")
        weights = pretrained.none_or_name(weights)
        settings = _settings(name, weights)
        network = _build(name, weights, image_size, pretrained=False)
        super().__init__(
            int(getattr(network, "head_hidden_size", None) or network.num_features),
            motion,
            mean=tuple(settings["mean"]),
            std=tuple(settings["std"]),
        )
        self.name = name
        self.weights = weights
        self.image_size = image_size
        self.network: nn.Module = network
        self.shift = shift
        self._hook = None if shift is None else add_shift(network, name, shift)
        self.size = (32, None)
        if settings.get("fixed_input_size"):
            only = image_size or settings["input_size"][-1]
            self.size = (only, only)

    def encode(self, video: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode checked clips; see :meth:`VideoEncoder.forward`."""
        frames = self.normalise(video, mask)
        return encode_frames(self.network, frames, mask, self._hook), mask

    def fetch_pretrained(self) -> None:
        """Download the weights to the hub's cache.

        Raises:
            InputError: If they cannot be downloaded.
        """
        if self.weights is not None:
            self._pretrained()

    def load_pretrained(self) -> None:
        """Load the weights of all but the classifier, fetching them where needed.

        Raises:
            InputError: If they cannot be fetched or read.
        """
        if self.weights is not None:
            self.network.load_state_dict(self._pretrained().state_dict())

    def _pretrained(self) -> Any:  # noqa: ANN401 - timm's models have no common type
        """Return the network with its weights: timm's own way in knows their many forms."""
        settings = _settings(self.name, self.weights)
        return hub.fetch(
            lambda: _build(self.name, self.weights, self.image_size, pretrained=True),
            settings.get("hf_hub_id") or f"timm/{self.name}",
        )


def _settings(name: str, weights: str | None) -> dict[str, Any]:
    """Return what timm knows of a model's weights: input size, moments, where they are."""
    from timm.models import get_pretrained_cfg, list_pretrained

    tags = [full.partition(".")[2] for full in list_pretrained(f"{name}.*")]
    if weights is not None and weights != "DEFAULT" and weights not in tags:
        raise InputError(
            f"{name} has no weights {weights!r}; choose one of {', '.join(['DEFAULT', *tags])}, or "
            "null to start from random ones"
        )
    if weights == "DEFAULT" and not tags:
        raise InputError(f"timm has no weights of {name}: set weights to null")
    config = get_pretrained_cfg(_full(name, weights))
    # A few models were never given a configuration; ImageNet's moments are timm's default.
    found: dict[str, Any] = config.to_dict() if config is not None else {}
    found.setdefault("mean", (0.485, 0.456, 0.406))
    found.setdefault("std", (0.229, 0.224, 0.225))
    return found


def _full(name: str, weights: str | None) -> str:
    return name if weights in (None, "DEFAULT") else f"{name}.{weights}"


def _build(name: str, weights: str | None, image_size: int | None, *, pretrained: bool) -> Any:  # noqa: ANN401
    """Return timm's network without its classifier."""
    import timm

    size = {} if image_size is None else {"img_size": image_size}
    try:
        return timm.create_model(_full(name, weights), pretrained=pretrained, num_classes=0, **size)
    except TypeError as problem:
        if image_size is None or "img_size" not in str(problem):
            raise
        raise InputError(
            f"{name} takes frames of any size: leave image_size out, got {image_size}"
        ) from problem
    except (AssertionError, ValueError) as problem:
        if image_size is None:
            raise
        raise InputError(f"{name} cannot take frames of {image_size} pixels: {problem}") from (
            problem
        )
