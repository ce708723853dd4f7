"""Token sequences to feature sequences, trained from nothing on a few thousand utterances."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from videolit.ops.checks import check_dropout, check_heads
from videolit.ops.tokens import MASK, PAD, SEPARATOR, SPECIAL
from videolit.types import InputError

# Numbers that an utterance of the context is brought to.
_GIST = 8


class TextEncoder(nn.Module):
    """Tokens of an utterance, and of those before it, to one feature for each of its tokens.

    Embedded tokens see their neighbours through a convolution, and optionally all others of the
    utterance through attention. The utterance comes first; behind each ``<separator>`` is the one
    said before, see :meth:`~videolit.data.words.WordTokenizer.encode`. Of each of these a few
    numbers are added to all features. Context is left out of the result: its mask is True on the
    utterance's own tokens only.

    Small sets of texts are learnt by heart within a few epochs. Against that stand ``dropout`` of
    features and ``token_dropout`` of words. The defaults are one of several settings that did
    alike on the validation part of MELD (10,000 training utterances); neither attention nor
    context helped there.

    Args:
        num_tokens: Size of the tokenizer's vocabulary.
        hidden_size: D, the size of a feature; even, and a multiple of ``num_heads``.
        num_layers: Transformer layers over the utterance's tokens.
        num_heads: Heads of attention in each.
        kernel: Tokens that a convolution sees, odd; 1 = none but its own.
        num_context: Utterances before this one that are seen; older ones are not.
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
        hidden_size: int = 192,
        num_layers: int = 0,
        num_heads: int = 4,
        kernel: int = 3,
        num_context: int = 0,
        dropout: float = 0.65,
        token_dropout: float = 0.2,
    ) -> None:
        super().__init__()
        check_num_tokens(num_tokens)
        check_heads(hidden_size, num_heads, even=True)
        if num_layers < 0 or num_context < 0:
            raise InputError(
                f"num_layers and num_context must be at least 0, got {num_layers}, {num_context}"
            )
        if kernel < 1 or kernel % 2 == 0:
            raise InputError(f"kernel must be odd and at least 1, got {kernel}")
        check_dropout(dropout)
        check_dropout(token_dropout, "token_dropout")
        self.num_tokens = num_tokens
        self.hidden_size = self.num_features = hidden_size
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.kernel = kernel
        self.num_context = num_context
        self.dropout = dropout
        self.token_dropout = token_dropout
        self.embed = nn.Embedding(num_tokens, hidden_size)
        nn.init.normal_(self.embed.weight, std=0.1)
        self.drop = nn.Dropout(dropout)
        if kernel > 1:
            self.near = nn.Conv1d(hidden_size, hidden_size, kernel, padding=kernel // 2)
        if num_context:
            self.gist = nn.Linear(hidden_size, _GIST)
            self.recall = nn.Linear(num_context * _GIST, hidden_size)
            # Context says little: it begins as nothing, and is not learnt by heart.
            nn.init.zeros_(self.recall.weight)
            nn.init.zeros_(self.recall.bias)
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

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode utterances.

        Args:
            tokens: int64 ``(B, L)`` in [0, ``num_tokens``).
            mask: bool ``(B, L)``, True = a token; the real ones first.

        Returns:
            Features, float ``(B, L, D)``, zero outside the utterance itself, and their mask, bool
            ``(B, L)``: True before the first separator. A sample without tokens has none.

        Raises:
            InputError: If dtypes or shapes do not fit.
        """
        check_tokens(self, tokens, mask)
        ends = tokens == SEPARATOR
        age = ends.cumsum(1)
        if self.training and self.token_dropout:
            hidden = torch.rand(tokens.shape, device=tokens.device) < self.token_dropout
            tokens = torch.where(hidden, MASK, tokens)
        embedded = self.embed(torch.where(mask, tokens, PAD))
        own = mask & (age == 0)
        sequence = self.drop(embedded) * own[:, :, None]
        if self.kernel > 1:
            near = self.near(sequence.transpose(1, 2)).transpose(1, 2)
            sequence = sequence + self.drop(nn.functional.gelu(near))
        if self.num_context:
            sequence = sequence + self._context(embedded, age.where(mask & ~ends, 0))[:, None]
        # Padding sees the first step, whatever it is: a row without any would be NaN.
        seen = own.clone()
        seen[:, 0] = True
        for layer in self.layers:
            sequence = layer(sequence, src_key_padding_mask=~seen)
        return sequence * own[:, :, None], own

    def _context(self, embedded: Tensor, age: Tensor) -> Tensor:
        """Return what the utterances before say, float ``(B, D)``.

        Args:
            embedded: float ``(B, L, D)``.
            age: int64 ``(B, L)``, how many utterances ago a token was said; 0 = not context.
        """
        ages = torch.arange(1, self.num_context + 1, device=age.device)
        said = (age[:, None] == ages[:, None]).to(embedded.dtype)
        # Words keep the meaning that they have for the utterance itself.
        bags = said @ embedded.detach() / said.sum(2, keepdim=True).clamp(min=1).sqrt()
        gists = torch.tanh(self.gist(self.drop(bags)))
        found: Tensor = self.drop(self.recall(gists.flatten(1)))
        return found


def check_num_tokens(num_tokens: int) -> None:
    """Refuse a vocabulary that has no words.

    Raises:
        InputError: If it has the special tokens at most.
    """
    if num_tokens <= len(SPECIAL):
        raise InputError(
            f"num_tokens must be above {len(SPECIAL)}, the special tokens, got {num_tokens}: "
            "give the size of the tokenizer's vocabulary, len(tokenizer)"
        )


def check_tokens(encoder: nn.Module, tokens: Tensor, mask: Tensor) -> None:
    """Refuse what the contract of encoders of tokens does not allow.

    Raises:
        InputError: If dtypes or shapes do not fit.
    """
    name = type(encoder).__name__
    if tokens.ndim != 2 or tokens.dtype != torch.int64 or tokens.shape[1] == 0:
        raise InputError(
            f"{name} expected int64 tokens (B, L), L at least 1, got {tokens.dtype} "
            f"{tuple(tokens.shape)}"
        )
    if mask.dtype != torch.bool or mask.shape != tokens.shape:
        raise InputError(
            f"{name} expected a bool mask (B, L) = {tuple(tokens.shape)}, got "
            f"{mask.dtype} {tuple(mask.shape)}"
        )
