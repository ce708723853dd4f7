"""Speech transformers of Hugging Face's transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from videolit.encoders import hub, pretrained
from videolit.encoders.hf_weights import (
    check_architecture,
    check_settings,
    load_whole,
    place_of,
)
from videolit.encoders.layers import split_layers
from videolit.encoders.sound import check_sound
from videolit.encoders.weights import load_state
from videolit.types import InputError

_MODELS = {
    "wav2vec2": "Wav2Vec2",
    "hubert": "Hubert",
    "wavlm": "WavLM",
    "data2vec-audio": "Data2VecAudio",
}
# Settings of a configuration without an argument here; weights that differ in one are refused.
_FIXED = (
    *("conv_kernel", "conv_stride", "num_conv_pos_embeddings", "num_conv_pos_embedding_groups"),
    *("conv_pos_kernel_size", "conv_pos_batch_norm", "hidden_act", "feat_extract_activation"),
    *("feat_proj_layer_norm", "layer_norm_eps", "num_buckets", "max_bucket_distance"),
    "add_adapter",
)


class HFSoundEncoder(nn.Module):
    """A speech transformer of Hugging Face's transformers, on sound of 16 kHz, 50 steps a second.

    - ``"wav2vec2"`` (Baevski et al. 2020, arXiv:2006.11477)
    - ``"hubert"`` (Hsu et al. 2021, arXiv:2106.07447)
    - ``"wavlm"`` (Chen et al. 2022, arXiv:2110.13900)
    - ``"data2vec-audio"`` (Baevski et al. 2022, arXiv:2202.03555)

    Some of them normalise over time in their first layer, where padding would be counted; so sounds
    of unequal length are computed one length after the other, and padding changes nothing. Sort
    batches by length where that is slow. The library's own masking of time and its dropping of
    layers in training are off: they draw from generators that are not the trainer's. Needs the
    extra ``videolit[hf]``.

    Args:
        architecture: One of those above.
        weights: A folder with ``config.json`` and weights, or a name of Hugging Face's hub, as
            ``"facebook/hubert-base-ls960"``; None = random weights. They are read by
            :meth:`load_pretrained`; their licences are their makers'.
        hidden_size: D; None = that of its base model, as the next two.
        num_layers: Transformer blocks.
        num_heads: Heads of attention in each.
        mlp_ratio: Hidden units of a block's perceptron, in multiples of ``hidden_size``.
        conv_size: Channels of the convolutions before the transformer.
        conv_norm: ``"group"``, as most base models, or ``"layer"``, as most large ones; has no
            effect on ``"data2vec-audio"``, as the next one.
        stable: Whether blocks normalise before each part, as most large models do.
        conv_bias: Whether the convolutions have biases.
        normalise: Bring each sound to mean 0 and variance 1 first; ``do_normalize`` of the
            weights' ``preprocessor_config.json``.

    Attributes:
        num_features: D, the size of a feature.
        sample_rate: Samples per second that it expects, 16000.
        step: Seconds from one step to the next, 0.02.

    Raises:
        InputError: If transformers is not installed, the architecture is unknown, or the sizes do
            not go together.
    """

    sample_rate = 16_000

    def __init__(
        self,
        architecture: str = "wav2vec2",
        weights: str | None = None,
        hidden_size: int | None = None,
        num_layers: int | None = None,
        num_heads: int | None = None,
        mlp_ratio: float = 4.0,
        conv_size: int = 512,
        conv_norm: Literal["group", "layer"] = "group",
        stable: bool = False,
        conv_bias: bool = False,
        normalise: bool = True,
    ) -> None:
        super().__init__()
        transformers = hub.need("transformers", "hf", "HFSoundEncoder")
        pretrained.check_name(architecture, list(_MODELS), "HFSoundEncoder")
        if conv_norm not in ("group", "layer"):
            raise InputError(f"conv_norm must be 'group' or 'layer', got {conv_norm!r}")
        wanted = {
            "hidden_size": hidden_size,
            "num_hidden_layers": num_layers,
            "num_attention_heads": num_heads,
        }
        config = getattr(transformers, f"{_MODELS[architecture]}Config")(
            **{key: value for key, value in wanted.items() if value is not None},
            conv_dim=[conv_size] * 7,
            conv_bias=conv_bias,
            mask_time_prob=0.0,
            mask_feature_prob=0.0,
            layerdrop=0.0,
        )
        config.intermediate_size = round(config.hidden_size * mlp_ratio)
        if architecture != "data2vec-audio":
            config.feat_extract_norm, config.do_stable_layer_norm = conv_norm, stable
            config.apply_spec_augment = False
        self.architecture = architecture
        self.weights = pretrained.none_or_name(weights)
        # As numbers, so that a checkpoint does not depend on what transformers takes by default.
        self.hidden_size: int = config.hidden_size
        self.num_layers: int = config.num_hidden_layers
        self.num_heads: int = config.num_attention_heads
        self.mlp_ratio = mlp_ratio
        self.conv_size = conv_size
        self.conv_norm = conv_norm
        self.stable = stable
        self.conv_bias = conv_bias
        self.normalise = normalise
        groups = config.num_conv_pos_embedding_groups
        for part, name in ((self.num_heads, "num_heads"), (groups, "the groups of its positions")):
            if part < 1 or self.hidden_size < 1 or self.hidden_size % part:
                raise InputError(
                    f"hidden_size must be a multiple of {name}, got {self.hidden_size}, {part}"
                )
        self.num_features = self.hidden_size
        self._shape = list(zip(config.conv_kernel, config.conv_stride, strict=True))
        self._stride, self._window = 1, 1
        for kernel, stride in self._shape:
            self._window += (kernel - 1) * self._stride
            self._stride *= stride
        self.step = self._stride / self.sample_rate
        self.network: nn.Module = getattr(transformers, f"{_MODELS[architecture]}Model")(config)

    def forward(self, samples: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Encode sounds.

        Args:
            samples: float ``(B, N)`` in [-1, 1] at 16 kHz; what stands at padding is not looked at.
            mask: bool ``(B, N)``, True = real; None = all are real. A sound ends with its last real
                sample; others before it are silence.

        Returns:
            Features, float ``(B, T', D)``, zero at padding, a step for each window of 400 samples
            every 320 and at least one; their mask, bool ``(B, T')``; and the middle of each step in
            seconds, float32 ``(T',)``.

        Raises:
            InputError: If layout, dtype or range are not accepted.
        """
        samples, mask = check_sound(samples, mask)
        places = torch.arange(1, samples.shape[1] + 1, device=samples.device)
        lengths = (mask * places).amax(1)
        steps = self._steps(samples.shape[1])
        dtype = next(self.parameters()).dtype
        features = samples.new_zeros((len(samples), steps, self.num_features), dtype=dtype)
        for length in sorted(set(lengths.tolist())):
            if length == 0:
                continue
            rows = lengths == length
            sound = samples[rows, :length].to(torch.promote_types(samples.dtype, torch.float32))
            if self.normalise:
                variance, mean = torch.var_mean(sound, 1, correction=0, keepdim=True)
                # 1e-7 as the library's own feature extractors.
                sound = (sound - mean) / (variance + 1e-7).sqrt()
            sound = nn.functional.pad(sound, (0, max(self._window - length, 0)))
            if self.training:
                # The library asks for the gradient of the sound itself, which must have none then.
                sound = sound.detach()
            found = self.network(sound.to(dtype)).last_hidden_state
            features = features.to(found.dtype)
            features[rows, : found.shape[1]] = found
        numbers = torch.arange(steps, device=samples.device)
        counts = torch.tensor([self._steps(n) for n in lengths.tolist()], device=samples.device)
        seconds = (numbers * self._stride + (self._window - 1) / 2) / self.sample_rate
        return features, numbers < counts[:, None], seconds

    def layers(self) -> list[list[nn.Module]]:
        """Return the modules of each layer, from input to output."""
        return split_layers(self)

    def fetch_pretrained(self) -> None:
        """Download the weights to the hub's cache.

        Raises:
            InputError: If they cannot be had, or are of another architecture or size.
        """
        if self.weights is not None:
            self._pretrained()

    def load_pretrained(self) -> None:
        """Load the weights, fetching them where needed.

        Raises:
            InputError: If they cannot be had, or are of another architecture or size.
        """
        if self.weights is None:
            return
        fit = load_state(self.network, self._pretrained().state_dict(), self.weights)
        if not fit.is_whole:
            raise InputError(f"the pretrained weights do not fit: {fit.describe()}")

    def _steps(self, length: int) -> int:
        """Return the steps of a sound of so many samples, 0 for none."""
        if length == 0:
            return 0
        return (max(length, self._window) - self._window) // self._stride + 1

    def _pretrained(self) -> Any:  # noqa: ANN401 - transformers is not typed here
        """Return the model with its weights, of this encoder's configuration."""
        import transformers

        assert self.weights is not None
        weights = self.weights
        place = place_of(weights)
        config = hub.fetch(lambda: transformers.AutoConfig.from_pretrained(place), weights)
        self._compare(config, self._normalises(place))
        model_class: Any = type(self.network)

        def load() -> Any:  # noqa: ANN401
            own: Any = self.network.config
            return model_class.from_pretrained(place, config=own, output_loading_info=True)

        return load_whole(load, weights, self.architecture)

    def _normalises(self, place: str) -> bool:
        """Return whether the weights were trained on normalised sound, as far as it is known."""
        import transformers

        if not Path(place).is_dir():
            load = transformers.AutoFeatureExtractor.from_pretrained
            extractor = hub.fetch(lambda: load(place), place)
            return bool(getattr(extractor, "do_normalize", self.normalise))
        file = Path(place) / "preprocessor_config.json"
        if not file.is_file():
            return self.normalise
        settings = json.loads(file.read_text(encoding="utf-8"))
        return bool(settings.get("do_normalize", self.normalise))

    def _compare(self, config: Any, normalise: bool) -> None:  # noqa: ANN401
        """Refuse weights of another network, and say which arguments would be theirs."""
        check_architecture(self, config.model_type)
        theirs: dict[str, object] = {
            "hidden_size": config.hidden_size,
            "num_layers": config.num_hidden_layers,
            "num_heads": config.num_attention_heads,
            "mlp_ratio": config.intermediate_size / config.hidden_size,
            "conv_size": config.conv_dim[0],
            "conv_bias": config.conv_bias,
            "normalise": normalise,
        }
        if self.architecture != "data2vec-audio":
            theirs["conv_norm"] = config.feat_extract_norm
            theirs["stable"] = config.do_stable_layer_norm
        own = self.network.config
        check_settings(self, theirs, config, own, _FIXED, "kind")
