"""A transformer's block: attention between steps, then a perceptron on each."""

from __future__ import annotations

from torch import Tensor, nn


class AttentionBlock(nn.Module):
    """Attention and perceptron, each normalised before and added to what went in.

    Vaswani et al. 2017 (arXiv:1706.03762), sections 3.1 to 3.3, with the norms of Xiong et al. 2020
    (arXiv:2002.04745). A block with its own kind of attention takes :meth:`split` and
    :meth:`join_in`.

    Args:
        size: D, a multiple of ``heads``.
        heads: Attentions side by side.
        dropout: Probability of dropping a feature after each part.
    """

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(size)
        self.queries_keys_values = nn.Linear(size, 3 * size)
        self.join = nn.Linear(size, size)
        self.dropout = nn.Dropout(dropout)
        self.each = nn.Sequential(
            nn.LayerNorm(size),
            nn.Linear(size, 4 * size),
            nn.GELU(),
            nn.Linear(4 * size, size),
            nn.Dropout(dropout),
        )

    def forward(self, sequence: Tensor, seen: Tensor) -> Tensor:
        """Let steps attend to each other.

        Args:
            sequence: float ``(B, T, D)``.
            seen: bool ``(B, 1, T, T)``, which step attends to which; each to one at least.

        Returns:
            float ``(B, T, D)``.
        """
        queries, keys, values = self.split(sequence)
        found = nn.functional.scaled_dot_product_attention(queries, keys, values, seen)
        sequence = self.join_in(sequence, found)
        result: Tensor = sequence + self.each(sequence)
        return result

    def split(self, sequence: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, each float ``(B, heads, T, D / heads)``."""
        batch, steps, size = sequence.shape
        parts = self.queries_keys_values(self.norm(sequence))
        parts = parts.view(batch, steps, 3, self.heads, size // self.heads)
        queries, keys, values = parts.permute(2, 0, 3, 1, 4)
        return queries, keys, values

    def join_in(self, sequence: Tensor, found: Tensor) -> Tensor:
        """Return the steps, float ``(B, T, D)``, with what their attention found added.

        Args:
            sequence: float ``(B, T, D)``.
            found: float ``(B, heads, T, D / heads)``.
        """
        added: Tensor = sequence + self.dropout(self.join(found.transpose(1, 2).flatten(2)))
        return added
