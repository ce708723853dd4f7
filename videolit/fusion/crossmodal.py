"""Fusion by attention from the steps of each modality to those of every other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from videolit.fusion.base import Fusion, Stream, attention_layer, second_waves, share
from videolit.ops.checks import check_heads
from videolit.types import InputError


class CrossmodalFusion(Fusion):
    """Each modality's steps look into the steps of every other one, wherever they are in time.

    After the multimodal transformer (MulT), Tsai et al. 2019 (arXiv:1906.00295), section 3. For
    each ordered pair of modalities, steps of the one ask and steps of the other answer, layer by
    layer; what a modality heard from all others is put side by side and goes through a transformer
    of its own. Steps are placed by sines and cosines of their seconds, so nothing need be aligned.
    The cost is that of all pairs of steps: :class:`~videolit.fusion.BottleneckFusion` is for long
    sequences.

    Differing from the paper, a linear layer takes the place of convolutions over a modality's
    steps, the mean of its real steps that of the last one, its pooled vector is added, and the
    modalities' vectors are weighed by a learnt score.

    Args:
        in_features: Feature size of each modality by its name.
        num_features: Size of all layers, even, a multiple of ``num_heads``.
        num_layers: Layers of each pair; each modality has one more of its own.
        num_heads: Attentions side by side.
        modality_dropout: Probability that a modality is dropped in training.
        dropout: Probability of dropping a feature.

    Raises:
        InputError: If a number is out of its range.
    """

    has_weights = True

    def __init__(
        self,
        in_features: Mapping[str, int],
        num_features: int = 128,
        num_layers: int = 2,
        num_heads: int = 4,
        modality_dropout: float = 0.2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(in_features, num_features, modality_dropout, dropout)
        if min(num_layers, num_heads) < 1:
            raise InputError(
                f"num_layers and num_heads must be at least 1, got {num_layers} and {num_heads}"
            )
        check_heads(num_features, num_heads, even=True, name="num_features")
        self.num_layers = num_layers
        self.num_heads = num_heads
        count = len(self.names)
        # For each that asks, those that answer, in order.
        self.pairs = nn.ModuleList(
            nn.ModuleList(_Asking(num_features, num_heads, dropout) for _ in range(num_layers))
            for _ in range(count * (count - 1))
        )
        self.joins = nn.ModuleList(
            nn.Linear(max(count - 1, 1) * num_features, num_features) for _ in self.names
        )
        self.own = nn.ModuleList(
            attention_layer(num_features, num_heads, dropout) for _ in self.names
        )
        self.trust = nn.Linear(num_features, 1)
        nn.init.zeros_(self.trust.weight)
        self.norm = nn.LayerNorm(num_features)

    def fuse(self, steps: list[Stream], parts: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Let each modality ask the others; see :meth:`Fusion.fuse`."""
        placed = [
            features + second_waves(seconds, self.num_features).to(features.dtype)
            for features, _, seconds in steps
        ]
        pairs, heads = iter(self.pairs), []
        for place, asking in enumerate(placed):
            heard = []
            for other, answering in enumerate(placed):
                if other != place:
                    found = asking
                    for layer in cast("nn.ModuleList", next(pairs)):
                        found = layer(found, answering, steps[other].mask)
                    heard.append(found)
            joined = self.joins[place](torch.cat(heard or [asking], 2))
            mask = steps[place].mask
            found = self.own[place](joined, src_key_padding_mask=~mask)
            # Padding asks too, and nobody listens.
            real = mask[:, :, None]
            mean = torch.where(real, found, 0.0).sum(1) / real.sum(1)
            heads.append(mean + parts[:, place])
        vectors = torch.stack(heads, 1)
        weights = share(self.trust(vectors)[:, :, 0], kept)
        return self.norm((vectors * weights[:, :, None]).sum(1)), weights


class _Asking(nn.Module):
    """One layer of a pair: steps ask others, and think about what they heard."""

    def __init__(self, num_features: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.norm_asking = nn.LayerNorm(num_features)
        self.norm_answering = nn.LayerNorm(num_features)
        self.attention = nn.MultiheadAttention(num_features, num_heads, dropout, batch_first=True)
        self.drop = nn.Dropout(dropout)
        self.think = nn.Sequential(
            nn.LayerNorm(num_features),
            nn.Linear(num_features, 2 * num_features),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * num_features, num_features),
            nn.Dropout(dropout),
        )

    def forward(self, asking: Tensor, answering: Tensor, mask: Tensor) -> Tensor:
        """Return the asking steps ``(B, T, D)``, changed by the real ones of ``(B, S, D)``."""
        known = self.norm_answering(answering)
        heard, _ = self.attention(
            self.norm_asking(asking), known, known, key_padding_mask=~mask, need_weights=False
        )
        found: Tensor = asking + self.drop(heard)
        thought: Tensor = self.think(found)
        return found + thought
