"""Text models of Hugging Face's transformers."""

from __future__ import annotations

import json
from typing import Any

from torch import Tensor, nn

from videolit.encoders import hub, pretrained
from videolit.encoders.hf_weights import place_of
from videolit.encoders.weights import load_state
from videolit.types import InputError

_FILES = "config.json, model.safetensors and tokenizer.json"


class HFTextEncoder(nn.Module):
    """Token numbers to features by any text model of Hugging Face's transformers.

    Its tokenizer is :meth:`videolit.data.hf_words.HFTokenizer.load` of the same name. As in
    :class:`~videolit.encoders.words.TextEncoder`, utterances before the sample's own stand behind
    separators; they are seen, and left out of the result. Needs the extra ``videolit[hf]``.

    Args:
        weights: A folder with ``config.json`` and ``model.safetensors``, or a name of Hugging
            Face's hub, as ``"distilbert/distilroberta-base"``; None = random weights. They are
            read by :meth:`load_pretrained`; their licences are their makers'.
        separator: Number of the token between utterances: the tokenizer's ``separator_id``.
        config: The model's configuration, the content of its ``config.json``; None = that of
            ``weights``. Kept as an attribute, so that a checkpoint is whole without files.

    Attributes:
        num_features: D.

    Raises:
        InputError: If transformers is not installed, or there is no configuration.
    """

    def __init__(
        self, weights: str | None = None, separator: int = 102, config: str | None = None
    ) -> None:
        super().__init__()
        transformers = hub.need("transformers", "hf", "HFTextEncoder")
        self.weights = pretrained.none_or_name(weights)
        self.separator = separator
        if config is None:
            if self.weights is None:
                raise InputError("HFTextEncoder needs weights, or the text of a config.json")
            place = place_of(self.weights, _FILES)
            found = _fetch(lambda: transformers.AutoConfig.from_pretrained(place), self.weights)
        else:
            found = _parse(transformers, config)
        self.config: str = found.to_json_string(use_diff=False)
        self.network: nn.Module = transformers.AutoModel.from_config(found)
        self.num_features = int(found.hidden_size)

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode utterances.

        Args:
            tokens: int64 ``(B, L)``.
            mask: bool ``(B, L)``, True = a token; the real ones first.

        Returns:
            Features, float ``(B, L, D)``, zero outside the utterance itself, and their mask, bool
            ``(B, L)``: True before the first separator.
        """
        found: Tensor = self.network(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        own = mask & ((tokens == self.separator).cumsum(1) == 0)
        return found.masked_fill(~own[:, :, None], 0.0), own

    def fetch_pretrained(self) -> None:
        """Download the weights to the hub's cache.

        Raises:
            InputError: If they cannot be had.
        """
        if self.weights is not None:
            self._pretrained()

    def load_pretrained(self) -> None:
        """Load the weights, fetching them where needed.

        Raises:
            InputError: If they cannot be had, or are of another model.
        """
        if self.weights is None:
            return
        fit = load_state(self.network, self._pretrained().state_dict(), self.weights)
        if not fit.is_whole:
            raise InputError(f"the pretrained weights do not fit: {fit.describe()}")

    def _pretrained(self) -> Any:  # noqa: ANN401 - transformers is not typed here
        import transformers

        assert self.weights is not None
        place = place_of(self.weights, _FILES)
        return _fetch(lambda: transformers.AutoModel.from_pretrained(place), self.weights)


def _fetch(load: Any, weights: str) -> Any:  # noqa: ANN401
    """Fetch from the hub; without a network, say what to place where."""
    try:
        return hub.fetch(load, weights)
    except InputError as problem:
        raise InputError(
            f"{problem}. Any folder with config.json, model.safetensors and tokenizer.json will "
            "do: give its path as weights"
        ) from problem


def _parse(transformers: Any, config: str) -> Any:  # noqa: ANN401
    """Return a configuration from its JSON."""
    try:
        content = json.loads(config)
        return transformers.AutoConfig.for_model(content.pop("model_type"), **content)
    except (json.JSONDecodeError, KeyError, AttributeError, ValueError, TypeError) as problem:
        raise InputError(f"not the content of a text model's config.json: {problem}") from problem
