"""Tokens of an utterance to the weights of its n-grams, for a linear model on them."""

from __future__ import annotations

import collections
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from videolit.encoders.words import check_num_tokens, check_tokens
from videolit.ops.tokens import PAD, SEPARATOR, SPEAKER
from videolit.types import InputError

# Greater than any n-gram's number: places of the table that hold none.
_FREE = torch.iinfo(torch.int64).max


class NGramEncoder(nn.Module):
    """Tokens of an utterance to one vector that tells which n-grams it has.

    Each n-gram of the training texts has a place in the vector. There stands 0 for one that the
    utterance lacks; for the others ``ln((1 + n) / (1 + d)) + 1`` of n training utterances, d of
    which have it, and the vector has length 1: tf-idf of presence, smoothed as scikit-learn does
    (https://scikit-learn.org/stable/modules/feature_extraction.html#tfidf-term-weighting). How
    often an n-gram comes in one utterance does not count.

    Under :class:`~videolit.fusion.LinearFusion` and plain SGD this is logistic regression on
    n-grams: on sets of some thousand utterances it trains in seconds and is hard to beat without
    weights from elsewhere.

    An n-gram of several tokens may begin before the first word and end behind the last. The
    utterance's first token, its speaker, counts by itself only. Context is not read.

    Args:
        num_tokens: Size of the tokenizer's vocabulary.
        num_features: D, n-grams that have a place: the most frequent ones.
        num_grams: Most tokens of an n-gram.
        min_count: Training utterances that an n-gram must be in.

    Raises:
        InputError: If a number is out of its range.
    """

    keys: Tensor
    weights: Tensor

    def __init__(
        self,
        num_tokens: int,
        num_features: int = 16384,
        num_grams: int = 2,
        min_count: int = 2,
    ) -> None:
        super().__init__()
        check_num_tokens(num_tokens)
        if min(num_features, num_grams, min_count) < 1:
            raise InputError(
                "num_features, num_grams and min_count must be at least 1, got "
                f"{num_features}, {num_grams}, {min_count}"
            )
        if (num_tokens + 1) ** num_grams >= _FREE:
            raise InputError(
                f"n-grams of {num_grams} tokens of {num_tokens} cannot be numbered: lower num_grams"
            )
        self.num_tokens = num_tokens
        self.num_features = num_features
        self.num_grams = num_grams
        self.min_count = min_count
        # Numbers of n-grams, rising, and what each weighs; learnt, not trained.
        self.register_buffer("keys", torch.full((num_features,), _FREE))
        self.register_buffer("weights", torch.zeros(num_features))

    @property
    def is_learnt(self) -> bool:
        """Whether it has n-grams, by :meth:`learn` or from a checkpoint."""
        return bool(self.keys[0] != _FREE)

    def learn(self, sequences: Iterable[Tensor]) -> None:
        """Give each n-gram of the training texts its place and weight; what was learnt is gone.

        The same texts give the same table, in any order.

        Args:
            sequences: Tokens of each training utterance, int64 ``(L,)``.

        Raises:
            InputError: If no n-gram is in ``min_count`` utterances.
        """
        found: collections.Counter[int] = collections.Counter()
        count = 0
        for tokens in sequences:
            row = tokens[None]
            grams, there = self._grams(row, torch.ones_like(row, dtype=torch.bool))
            found.update(set(grams[there].tolist()))
            count += 1
        often = [item for item in found.items() if item[1] >= self.min_count]
        if not often:
            raise InputError(
                f"no n-gram is in {self.min_count} of {count} training utterances: lower "
                "min_count, or take more of them"
            )
        chosen = sorted(sorted(often, key=lambda item: (-item[1], item[0]))[: self.num_features])
        keys, documents = torch.tensor(chosen).T
        self.keys.fill_(_FREE)
        self.weights.zero_()
        self.keys[: len(chosen)] = keys.to(self.keys.device)
        rare = torch.log((1 + count) / (1 + documents.double())) + 1
        self.weights[: len(chosen)] = rare.to(self.weights)

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode utterances.

        Args:
            tokens: int64 ``(B, L)`` in [0, ``num_tokens``).
            mask: bool ``(B, L)``, True = a token; the real ones first.

        Returns:
            Features, float ``(B, 1, D)`` of length 1, or 0 where no n-gram has a place, and their
            mask, bool ``(B, 1)``: True where there is a token.

        Raises:
            InputError: If dtypes or shapes do not fit, or :meth:`learn` was never called.
        """
        check_tokens(self, tokens, mask)
        if not torch.compiler.is_compiling() and not self.is_learnt:
            raise InputError(
                "NGramEncoder knows no n-grams yet: call learn() with the training texts, or load "
                "a checkpoint"
            )
        grams, there = self._grams(tokens, mask)
        places = torch.searchsorted(self.keys, grams).clamp(max=self.num_features - 1)
        known = there & (self.keys[places] == grams)
        present = self.weights.new_zeros(len(tokens), self.num_features)
        present.scatter_reduce_(1, places, known.to(present.dtype), "amax")
        features = nn.functional.normalize(present * self.weights, dim=1)
        return features[:, None], mask[:, :1]

    def _grams(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the numbers of all n-grams, int64 ``(B, G)``, and which are there."""
        own = mask & ((tokens == SEPARATOR).cumsum(1) == 0)
        all_grams, all_there = [tokens + 1], [own]
        # Behind the last word stands <pad>; who speaks is forgotten.
        sequence = nn.functional.pad(torch.where(own, tokens, PAD), (0, 1), value=PAD)
        sequence[:, 0] = SPEAKER
        real = nn.functional.pad(own, (1, 0), value=True)
        grams, there = sequence + 1, real
        for size in range(1, self.num_grams):
            grams = grams[:, :-1] * (self.num_tokens + 1) + sequence[:, size:] + 1
            there = there[:, :-1] & real[:, size:]
            all_grams.append(grams)
            all_there.append(there)
        return torch.cat(all_grams, 1), torch.cat(all_there, 1)
