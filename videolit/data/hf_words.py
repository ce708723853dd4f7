"""Tokenizers of Hugging Face's transformers, behind the same calls as videolit's own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from videolit.data.words import Utterance
from videolit.encoders import hub
from videolit.types import InputError

_FORMAT = "videolit hf words 1"


class HFTokenizer:
    """Text to the token numbers of a published text model.

    It holds the tokenizer's own JSON, so that a checkpoint needs neither files nor a network.
    Needs the extra ``videolit[hf]``.

    Args:
        definition: Content of a ``tokenizer.json``.
        beginning: The token that begins a sequence; None = none does.
        separator: The token that ends an utterance.
        unknown: The token for what has none.

    Attributes:
        separator_id: Its number; see :class:`~videolit.encoders.hf_words.HFTextEncoder`.
        unknown_id: Its number; see :func:`~videolit.ops.modality.drop_tokens`.

    Raises:
        InputError: If tokenizers is not installed, or the definition is none or lacks a token.
    """

    def __init__(
        self, definition: str, beginning: str | None, separator: str, unknown: str
    ) -> None:
        tokenizers = hub.need("tokenizers", "hf", "HFTokenizer")
        try:
            self._tokenizer: Any = tokenizers.Tokenizer.from_str(definition)
        # The library raises a plain Exception.
        except Exception as problem:
            raise InputError(f"not the content of a tokenizer.json: {problem}") from problem
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.beginning = beginning
        self.separator = separator
        self.unknown = unknown
        self.separator_id = self._id(separator)
        self.unknown_id = self._id(unknown)
        self._beginning_ids = [] if beginning is None else [self._id(beginning)]

    def __len__(self) -> int:
        """Return the size of the vocabulary."""
        return int(self._tokenizer.get_vocab_size())

    @classmethod
    def load(cls, weights: str) -> HFTokenizer:
        """Read the tokenizer of a model.

        Args:
            weights: A folder with ``tokenizer.json``, or a name of Hugging Face's hub.

        Raises:
            InputError: If it cannot be had, or lacks a token that separates sentences.
        """
        transformers = hub.need("transformers", "hf", "HFTokenizer")
        folder = Path(weights).expanduser()
        place = str(folder) if folder.is_dir() else weights
        found = hub.fetch(lambda: transformers.AutoTokenizer.from_pretrained(place), weights)
        separator = found.sep_token or found.eos_token
        unknown = found.unk_token or found.mask_token or separator
        if separator is None or not hasattr(found, "backend_tokenizer"):
            raise InputError(
                f"{weights}: its tokenizer has no token that separates sentences, or no "
                "tokenizer.json; take a model of the kind of BERT or RoBERTa"
            )
        return cls(found.backend_tokenizer.to_str(), found.cls_token, separator, unknown)

    def encode(
        self,
        utterance: Utterance | str,
        context: Sequence[Utterance] = (),
        max_length: int = 128,
    ) -> Tensor:
        """Return an utterance and those before it as one sequence, the newest first.

        A known speaker stands before the words, as ``Anna: Hello``.

        Args:
            utterance: What the sample is about.
            context: What was said before it, oldest first.
            max_length: Most tokens.

        Returns:
            int64 ``(L,)``, 1 ≤ L ≤ ``max_length``.

        Raises:
            InputError: If ``max_length`` is below 1.
        """
        if max_length < 1:
            raise InputError(f"max_length must be at least 1 token, got {max_length}")
        spoken = Utterance(utterance) if isinstance(utterance, str) else utterance
        ids = list(self._beginning_ids)
        for each in (spoken, *reversed(context)):
            text = f"{each.speaker}: {each.text}" if each.speaker else each.text
            ids += self._tokenizer.encode(text, add_special_tokens=False).ids
            ids.append(self.separator_id)
            if len(ids) >= max_length:
                break
        return torch.tensor(ids[:max_length], dtype=torch.int64)

    def to_json(self) -> str:
        """Return all of it as JSON text; :meth:`from_json` reads it."""
        return json.dumps(
            {
                "format": _FORMAT,
                "definition": self._tokenizer.to_str(),
                "beginning": self.beginning,
                "separator": self.separator,
                "unknown": self.unknown,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> HFTokenizer:
        """Build the tokenizer from :meth:`to_json`'s text.

        Raises:
            InputError: If it is not such a text.
        """
        try:
            content = json.loads(text)
        except json.JSONDecodeError as problem:
            raise InputError(f"not a tokenizer: no JSON ({problem})") from problem
        if not isinstance(content, dict) or content.pop("format", None) != _FORMAT:
            raise InputError(f'not a tokenizer: expected "format": "{_FORMAT}"')
        return cls(**content)

    def _id(self, token: str) -> int:
        number = self._tokenizer.token_to_id(token)
        if number is None:
            raise InputError(f"the tokenizer has no token {token!r}")
        return int(number)
