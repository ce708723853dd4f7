"""What is near, a memory of all that was and comes, and a few tokens that see everything."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from videolit.temporal.base import TemporalModel
from videolit.temporal.memory import Memory
from videolit.temporal.near import GatedConvolution
from videolit.types import InputError

# Steps that a layer widens at a time.
_PIECE = 4096


class LocalTransformer(TemporalModel):
    """A transformer whose cost grows with the length of the video, not with its square.

    Each layer has four parts, each added to what came in: a gated convolution over the nearest
    steps (:class:`~videolit.temporal.near.GatedConvolution`); a count of what is like the step
    before and after it, in the whole video (:class:`~videolit.temporal.memory.Memory`); attention;
    and two linear layers for each step. Pooled, it is the mean of the real steps.

    A step attends to the real steps at most ``window`` away and to ``num_global`` learnt tokens,
    which attend to all real steps and to each other (Beltagy et al. 2020, arXiv:2004.05150,
    section 3.1). In the first layer tokens have seen nothing yet: it takes two layers to carry what
    is in one step to any other.

    Steps have no number: a learnt weight for each distance and head (Shaw et al. 2018,
    arXiv:1803.02155, and Raffel et al. 2020, arXiv:1910.10683, section 2.1) tells what lies how
    far before or after. No video is longer than those that the model was trained for.

    Args:
        in_features: D, the size of the encoder's features.
        hidden_size: Size of all layers, a multiple of ``num_heads``.
        num_layers: Layers on top of each other; with one, tokens tell steps nothing of the video.
        num_heads: Attentions side by side.
        window: Most steps from one to another that it attends to.
        num_global: Tokens that see the whole video; 0 = none.
        kernel_size: Steps that the convolution sees, odd; 0 = no convolution.
        num_codes: Codes of each head's memory; 0 = no memory.
        dropout: Probability of dropping a feature after each part.

    Raises:
        InputError: If a number is out of its range.
    """

    def __init__(
        self,
        in_features: int,
        hidden_size: int = 128,
        num_layers: int = 2,
        num_heads: int = 4,
        window: int = 16,
        num_global: int = 4,
        kernel_size: int = 15,
        num_codes: int = 32,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(in_features, hidden_size)
        if num_layers < 1 or num_heads < 1:
            raise InputError(
                f"num_layers and num_heads must be at least 1, got {num_layers} and {num_heads}"
            )
        if hidden_size % num_heads:
            raise InputError(
                f"hidden_size must be a multiple of num_heads ({num_heads}), got {hidden_size}"
            )
        if window < 1:
            raise InputError(f"window must be at least 1 step, got {window}")
        if num_global < 0:
            raise InputError(f"num_global must be 0 or more tokens, got {num_global}")
        if kernel_size < 0 or (kernel_size > 0 and kernel_size % 2 == 0):
            raise InputError(f"kernel_size must be odd, or 0 for none, got {kernel_size}")
        if num_codes < 0 or num_codes == 1:
            raise InputError(f"num_codes must be at least 2, or 0 for none, got {num_codes}")
        if not 0 <= dropout < 1:
            raise InputError(f"dropout must be in [0, 1), got {dropout}")
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.window = window
        self.num_global = num_global
        self.kernel_size = kernel_size
        self.num_codes = num_codes
        self.dropout = dropout
        # The norm stands behind the first layer: features of any size do, even a single one.
        self.enter = nn.Sequential(
            nn.Linear(in_features, hidden_size), nn.LayerNorm(hidden_size), nn.Dropout(dropout)
        )
        self.tokens = nn.Parameter(torch.randn(num_global, hidden_size))
        self.layers = nn.ModuleList(
            _Layer(hidden_size, num_heads, window, kernel_size, num_codes, dropout)
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(hidden_size)

    def run(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return what the last layer makes of each step, ``(B, T, num_features)``."""
        steps = self.enter(features)
        tokens = self.tokens.to(steps.dtype).expand(len(steps), -1, -1)
        for layer in self.layers:
            steps, tokens = layer(steps, tokens, mask)
        result: Tensor = self.norm(steps)
        return result

    def pool(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return the mean of the real steps, ``(B, num_features)``."""
        return sequence.sum(1) / mask.sum(1, keepdim=True)


class _Layer(nn.Module):
    def __init__(
        self, size: int, heads: int, window: int, kernel: int, codes: int, dropout: float
    ) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.near = GatedConvolution(size, kernel, dropout) if kernel else None
        self.memory = Memory(size, heads, codes, dropout) if codes else None
        self.norm = nn.LayerNorm(size)
        self.queries_keys_values = nn.Linear(size, 3 * size)
        # What a key that lies -window … window steps after the query weighs more than by content.
        self.distance = nn.Parameter(torch.zeros(heads, 2 * window + 1))
        self.join = nn.Linear(size, size)
        self.dropout = nn.Dropout(dropout)
        self.each = nn.Sequential(
            nn.LayerNorm(size),
            nn.Linear(size, 4 * size),
            nn.GELU(),
            nn.Linear(4 * size, size),
            nn.Dropout(dropout),
        )

    def forward(self, steps: Tensor, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return steps, float ``(B, T, size)``, and tokens, float ``(B, G, size)``."""
        length = steps.shape[1]
        if self.near is not None:
            steps = self.near(steps, mask)
        if self.memory is not None:
            steps = self.memory(steps, mask)
        # Behind each other for all that is done to each alone.
        both = torch.cat([steps, tokens], 1)
        parts = self.queries_keys_values(self.norm(both)).unflatten(-1, (3, self.heads, -1))
        # Three times (B, heads, T + G, size / heads).
        queries, keys, values = parts.permute(2, 0, 3, 1, 4)
        queries = queries * (1 / math.sqrt(queries.shape[-1]))
        found = torch.cat(
            [
                self._near(queries[:, :, :length], keys, values, mask),
                self._everywhere(queries[:, :, length:], keys, values, mask),
            ],
            2,
        )
        both = both + self.dropout(self.join(found.transpose(1, 2).flatten(2)))
        # In pieces: all steps' four-fold features at once would be the layer's largest tensors.
        both = both + torch.cat([self.each(piece) for piece in both.split(_PIECE, 1)], 1)
        return both[:, :length], both[:, length:]

    def _near(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """Return what the steps attend to, ``(B, heads, T, size / heads)``.

        Queries come in blocks of ``window`` steps: all keys in reach lie in a block and its two
        neighbours, so that the work and memory grow with T * window.
        """
        length = mask.shape[1]
        block = min(self.window, length)
        count = -(-length // block)
        rest = count * block - length

        def blocks(tensor: Tensor) -> Tensor:
            """Return each block of keys between its neighbours, ``(B, heads, N, 3 block, …)``."""
            sides = nn.functional.pad(tensor, (0, 0, block, block + rest))
            return sides.unfold(2, 3 * block, block).transpose(-1, -2)

        asked = nn.functional.pad(queries, (0, 0, 0, rest))
        asked = asked.reshape(*asked.shape[:2], count, block, -1)
        near = asked @ blocks(keys[:, :, :length]).transpose(-1, -2)

        places = torch.arange(3 * block, device=mask.device)
        after = places - block - places[:block, None]
        weights = self.distance[:, (after + self.window).clamp(0, 2 * self.window)]
        real = nn.functional.pad(mask, (block, block + rest)).unfold(1, 3 * block, block)
        # Padding sees itself: a row without any step would be NaN.
        seen = (real[:, :, None] | (after == 0)) & (after.abs() <= self.window)
        near = (near + weights[:, None]).masked_fill(~seen[:, None], -math.inf)

        far = asked @ keys[:, :, None, length:].transpose(-1, -2)
        share = torch.cat([near, far], -1).softmax(-1).to(values.dtype)
        found = share[..., : 3 * block] @ blocks(values[:, :, :length])
        found = found + share[..., 3 * block :] @ values[:, :, None, length:]
        return found.flatten(2, 3)[:, :, :length]

    def _everywhere(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """Return what the tokens attend to, ``(B, heads, G, size / heads)``."""
        seen = nn.functional.pad(mask, (0, queries.shape[2]), value=True)
        scores = (queries @ keys.transpose(-1, -2)).masked_fill(~seen[:, None, None], -math.inf)
        return scores.softmax(-1).to(values.dtype) @ values
