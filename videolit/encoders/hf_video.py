"""Video transformers of Hugging Face's transformers."""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import Tensor, nn

from videolit.encoders import hub, pretrained
from videolit.encoders.base import Motion, VideoEncoder, step_mask
from videolit.encoders.hf_weights import (
    check_architecture,
    check_settings,
    load_whole,
    place_of,
)
from videolit.encoders.weights import load_state
from videolit.ops.time import hold
from videolit.types import InputError

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True)
class _Kind:
    """What sets an architecture apart.

    Args:
        model: Name of its classes in transformers, before "Model" and "Config".
        frames: What its configuration calls the frames of a clip.
        size: The same for height and width.
        moments: Mean and std of the pixels that its published weights were trained with.
        arguments: Further arguments of its model.
    """

    model: str
    frames: str = "num_frames"
    size: str = "image_size"
    moments: tuple[tuple[float, float, float], tuple[float, float, float]] = _IMAGENET
    arguments: dict[str, bool] = dataclasses.field(default_factory=dict)


_KINDS = {
    "videomae": _Kind("VideoMAE"),
    "timesformer": _Kind("Timesformer", moments=((0.45,) * 3, (0.225,) * 3)),
    # Its authors scale pixels to [-1, 1].
    "vivit": _Kind(
        "Vivit", moments=((0.5,) * 3, (0.5,) * 3), arguments={"add_pooling_layer": False}
    ),
    "vjepa2": _Kind("VJEPA2", frames="frames_per_clip", size="crop_size"),
}
# Settings of a configuration without an argument here; weights that differ in one are refused.
_FIXED = (
    *("attention_type", "hidden_act", "layer_norm_eps", "qkv_bias", "qv_bias", "tubelet_size"),
    "use_mean_pooling",
)


class HFVideoEncoder(VideoEncoder):
    """A video transformer of Hugging Face's transformers.

    - ``"videomae"`` (Tong et al. 2022, arXiv:2203.12602): a step for 2 frames.
    - ``"timesformer"`` (Bertasius et al. 2021, arXiv:2102.05095): a step for each frame.
    - ``"vivit"`` (Arnab et al. 2021, arXiv:2103.15691): a step for 2 frames.
    - ``"vjepa2"`` (Assran et al. 2025, arXiv:2506.09985): a step for 2 frames; its encoder only.

    A step's features are the mean of its tokens over space; a class token is left out. Padding is
    seen as the last real frame, held. Needs the extra ``videolit[hf]``.

    Args:
        architecture: One of those above.
        weights: A folder with ``config.json`` and weights, or a name of Hugging Face's hub, as
            ``"MCG-NJU/videomae-base"``; None = random weights. They are read by
            :meth:`load_pretrained`; their licences are their makers'.
        clip_frames: Frames of a clip; None = the architecture's own. Learnt positions of other
            weights are interpolated, and VideoMAE's and V-JEPA 2's computed.
        image_size: Height and width of a clip, in pixels; None = the architecture's own.
        hidden_size: D; None = that of its base model (V-JEPA 2: large), as the next three.
        num_layers: Transformer blocks.
        num_heads: Heads of attention in each.
        patch_size: Height and width of a patch, in pixels.
        mlp_ratio: Hidden units of a block's perceptron, in multiples of ``hidden_size``.
        motion: ``"rgb"``, ``"difference"``, ``"deviation"`` or ``"learned"``; see
            :class:`VideoEncoder`.

    Raises:
        InputError: If transformers is not installed, the architecture is unknown, or the sizes do
            not go together.
    """

    def __init__(
        self,
        architecture: str = "videomae",
        weights: str | None = None,
        clip_frames: int | None = None,
        image_size: int | None = None,
        hidden_size: int | None = None,
        num_layers: int | None = None,
        num_heads: int | None = None,
        patch_size: int | None = None,
        mlp_ratio: float = 4.0,
        motion: Motion = "rgb",
    ) -> None:
        transformers = hub.need("transformers", "hf", "HFVideoEncoder")
        pretrained.check_name(architecture, list(_KINDS), "HFVideoEncoder")
        kind = _KINDS[architecture]
        wanted = {
            kind.frames: clip_frames,
            kind.size: image_size,
            "hidden_size": hidden_size,
            "num_hidden_layers": num_layers,
            "num_attention_heads": num_heads,
        }
        config_class = getattr(transformers, f"{kind.model}Config")
        config = config_class(**{key: value for key, value in wanted.items() if value is not None})
        if patch_size is not None:
            _set_patch(config, patch_size)
        if architecture == "vjepa2":
            config.mlp_ratio = mlp_ratio
        else:
            config.intermediate_size = round(config.hidden_size * mlp_ratio)
        super().__init__(config.hidden_size, motion, mean=kind.moments[0], std=kind.moments[1])
        self.architecture = architecture
        self.weights = pretrained.none_or_name(weights)
        # As numbers, so that a checkpoint does not depend on what transformers takes by default.
        self.clip_frames: int = getattr(config, kind.frames)
        self.image_size: int = getattr(config, kind.size)
        self.hidden_size: int = config.hidden_size
        self.num_layers: int = config.num_hidden_layers
        self.num_heads: int = config.num_attention_heads
        self.patch_size = _patch(config)
        self.mlp_ratio = mlp_ratio
        self._check()
        self.num_frames = (self.clip_frames, self.clip_frames)
        self.size = (self.image_size, self.image_size)
        self._stride = _tubelet(config)
        if architecture == "vivit":
            self.grid = _grid(config, kind)
        model = getattr(transformers, f"{kind.model}Model")(config, **kind.arguments)
        self.network: nn.Module = model.encoder if architecture == "vjepa2" else model

    def encode(self, video: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode checked clips; see :meth:`VideoEncoder.forward`."""
        frames = self.normalise(hold(video, mask), mask)
        tokens: Tensor = self.network(frames).last_hidden_state
        if self.architecture in ("timesformer", "vivit"):
            tokens = tokens[:, 1:]
        batch, steps = len(video), self.clip_frames // self._stride
        if self.architecture == "timesformer":
            # Its tokens count time within a patch, the others' patches within a time.
            features = tokens.reshape(batch, -1, steps, self.num_features).mean(1)
        else:
            features = tokens.reshape(batch, steps, -1, self.num_features).mean(2)
        return features, step_mask(mask, self._stride)

    def fetch_pretrained(self) -> None:
        """Download the weights to the hub's cache.

        Raises:
            InputError: If they cannot be had, or are of another architecture or size.
        """
        if self.weights is not None:
            self._pretrained()

    def load_pretrained(self) -> None:
        """Load the weights, fetching them where needed; positions are interpolated.

        Raises:
            InputError: If they cannot be had, or are of another architecture or size.
        """
        if self.weights is None:
            return
        model = self._pretrained()
        source = model.encoder if self.architecture == "vjepa2" else model
        before = _grid(model.config, _KINDS[self.architecture]) if self.grid is not None else None
        fit = load_state(
            self.network, source.state_dict(), self.weights, grid=self.grid, before=before
        )
        if not fit.is_whole:
            raise InputError(f"the pretrained weights do not fit: {fit.describe()}")

    def _pretrained(self) -> Any:  # noqa: ANN401 - transformers is not typed here
        """Return the model with its weights, of its own configuration."""
        import transformers

        assert self.weights is not None
        weights, kind = self.weights, _KINDS[self.architecture]
        place = place_of(weights)
        config = hub.fetch(lambda: transformers.AutoConfig.from_pretrained(place), weights)
        self._compare(config)
        model_class = getattr(transformers, f"{kind.model}Model")

        def load() -> Any:  # noqa: ANN401
            return model_class.from_pretrained(place, output_loading_info=True, **kind.arguments)

        return load_whole(load, weights, self.architecture, unused="predictor.")

    def _compare(self, config: Any) -> None:  # noqa: ANN401
        """Refuse weights of another network, and say which arguments would be theirs."""
        check_architecture(self, config.model_type)
        ratio = getattr(config, "mlp_ratio", None) or config.intermediate_size / config.hidden_size
        theirs = {
            "hidden_size": config.hidden_size,
            "num_layers": config.num_hidden_layers,
            "num_heads": config.num_attention_heads,
            "patch_size": _patch(config),
            "mlp_ratio": ratio,
        }
        own = type(config)()
        if self.patch_size != _patch(own):
            _set_patch(own, self.patch_size)
        check_settings(self, theirs, config, own, _FIXED, "size")

    def _check(self) -> None:
        """Refuse sizes that do not go together."""
        stride = 1 if self.architecture == "timesformer" else 2
        if self.clip_frames < 1 or self.clip_frames % stride:
            raise InputError(
                f"clip_frames of {self.architecture} must be a multiple of {stride}, got "
                f"{self.clip_frames}"
            )
        for whole, part in (("image_size", "patch_size"), ("hidden_size", "num_heads")):
            sizes = getattr(self, whole), getattr(self, part)
            if min(sizes) < 1 or sizes[0] % sizes[1]:
                raise InputError(
                    f"{whole} must be a multiple of {part}, got {sizes[0]}, {sizes[1]}"
                )


def _patch(config: Any) -> int:  # noqa: ANN401
    """Return height and width of a patch: ViViT has them in its tubelet."""
    size = getattr(config, "patch_size", None)
    if size is None:
        size = config.tubelet_size[-1]
    return int(size if isinstance(size, int) else size[-1])


def _set_patch(config: Any, size: int) -> None:  # noqa: ANN401
    if hasattr(config, "patch_size"):
        config.patch_size = size
    else:
        config.tubelet_size = [_tubelet(config), size, size]


def _tubelet(config: Any) -> int:  # noqa: ANN401
    """Return the frames of a token."""
    size = getattr(config, "tubelet_size", 1)
    return int(size if isinstance(size, int) else size[0])


def _grid(config: Any, kind: _Kind) -> tuple[int, int, int]:  # noqa: ANN401
    """Return the patches of a clip over time, height and width."""
    side = int(getattr(config, kind.size)) // _patch(config)
    return int(getattr(config, kind.frames)) // _tubelet(config), side, side
