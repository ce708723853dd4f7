"""Token sequences to feature sequences, trained from nothing on a few thousand utterances."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from videolit.ops.tokens import MASK, SEPARATOR, SPECIAL
from videolit.types import InputError


class TextEncoder(nn.Module):
    """Tokens of an utterance, and of those before it, to one feature for each of its tokens.

    Embedded tokens see their neighbours through convolutions, and all others of the utterance and
    its context through attention. The utterance comes first; behind each ``<separator>`` is the
    one said before, see :meth:`~videolit.data.words.WordTokenizer.encode`. Context is seen, and
    then left out of the result: its mask is True on the utterance's own tokens only.

    Small sets of texts are learnt by heart within a few epochs. Against that stand ``dropout`` of
    features and ``token_dropout`` of words.

    Args:
        num_tokens: Size of the tokenizer's vocabulary.
        hidden_size: D, the size of a feature; even, and a multiple of ``num_heads``.
        num_layers: Transformer layers over utterance and context; 0 = no context is seen.
        num_heads: Heads of attention in each.
        kernel: Tokens that a convolution sees, odd; 1 = none but its own.
        num_context: Most utterances before this one that are told apart; older ones look alike.
        dropout: Probability of dropping a feature of an embedding and after each part.
        token_dropout: Probability that a token is replaced by ``<mask>`` in training.

    Attributes:
        num_features: D.

    Raises:
        InputError: If a number is out of its range.
    """

    def __init__(
        self,
        num_tokens: int,
        hidden_size: int = 128,
        num_layers: int = 1,
        num_heads: int = 4,
        kernel: int = 3,
        num_context: int = 5,
        dropout: float = 0.4,
        token_dropout: float = 0.15,
        num_pairs: int = 0,
    ) -> None:
        super().__init__()
        if num_tokens <= len(SPECIAL):
            raise InputError(
                f"num_tokens must be above {len(SPECIAL)}, the special tokens, got {num_tokens}: "
                "give the size of the tokenizer's vocabulary, len(tokenizer)"
            )
        if num_heads < 1 or hidden_size < 2 or hidden_size % num_heads or hidden_size % 2:
            raise InputError(
                f"hidden_size must be even and a multiple of num_heads ({num_heads}), got "
                f"{hidden_size}"
            )
        if num_layers < 0 or num_context < 0:
            raise InputError(
                f"num_layers and num_context must be at least 0, got {num_layers}, {num_context}"
            )
        if kernel < 1 or kernel % 2 == 0:
            raise InputError(f"kernel must be odd and at least 1, got {kernel}")
        for name, value in (("dropout", dropout), ("token_dropout", token_dropout)):
            if not 0 <= value < 1:
                raise InputError(f"{name} must be in [0, 1), got {value}")
        self.num_tokens = num_tokens
        self.hidden_size = self.num_features = hidden_size
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.kernel = kernel
        self.num_context = num_context
        self.dropout = dropout
        self.token_dropout = token_dropout
        self.num_pairs = num_pairs
        if num_pairs:
            self.pairs = nn.Embedding(num_pairs, hidden_size)
            nn.init.normal_(self.pairs.weight, std=0.02)
        self.embed = nn.Embedding(num_tokens, hidden_size)
        nn.init.normal_(self.embed.weight, std=0.1)
        self.drop = nn.Dropout(dropout)
        self.near = nn.Conv1d(hidden_size, hidden_size, kernel, padding=kernel // 2)
        self.before = nn.Linear(max(num_context, 1) * hidden_size, hidden_size)
        self.context_norm = nn.LayerNorm(hidden_size)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                hidden_size,
                num_heads,
                2 * hidden_size,
                dropout,
                "gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(hidden_size)

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode."""
        ends = tokens == SEPARATOR
        age = ends.cumsum(1)
        if self.training and self.token_dropout:
            hidden = torch.rand(tokens.shape, device=tokens.device) < self.token_dropout
            tokens = torch.where(hidden & ~ends, MASK, tokens)
        embedded = self.embed(tokens) * (mask & ~ends)[:, :, None]
        if self.num_pairs:
            first = torch.nn.functional.pad(tokens[:, :-1], (1, 0))
            pairs = (first * 1_000_003 + tokens * 31) % self.num_pairs
            embedded = embedded + self.pairs(pairs) * (mask & ~ends)[:, :, None]
        ages = torch.arange(1, max(self.num_context, 1) + 1, device=tokens.device)
        said = ((age[:, None] == ages[:, None]) & mask[:, None] & ~ends[:, None]).to(embedded.dtype)
        bags = said @ embedded / said.sum(2, keepdim=True).clamp(min=1).sqrt()
        before = self.before(self.drop(bags.flatten(1)))
        own = mask & (age == 0)
        length = int(own.sum(1).max())
        own = own[:, :length]
        sequence = self.drop(embedded[:, :length]) * own[:, :, None]
        if self.kernel > 1:
            near = self.near(sequence.transpose(1, 2)).transpose(1, 2)
            sequence = sequence + self.drop(nn.functional.gelu(near))
        if self.num_context:
            sequence = sequence + self.drop(before)[:, None]
        for layer in self.layers:
            sequence = layer(sequence, src_key_padding_mask=~own)
        sequence = self.norm(sequence) if self.num_layers else sequence
        return sequence * own[:, :, None], own
