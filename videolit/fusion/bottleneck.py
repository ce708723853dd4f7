"""Fusion by attention through a few shared tokens."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from videolit.fusion.base import Fusion, Stream, attention_layer, second_waves, share
from videolit.ops.checks import check_heads
from videolit.types import InputError


class BottleneckFusion(Fusion):
    """Transformers of their own for each modality, which meet in bottleneck tokens.

    After Nagrani et al. 2021 (arXiv:2107.00135), section 3.2. In each layer a modality's steps
    attend to each other and to ``num_bottlenecks`` tokens; the tokens that come out are averaged
    over the modalities and go to the next layer (equations 8 and 9). The cost is that of one
    modality after the other, not of all pairs of their steps. Steps are placed by sines and
    cosines of their seconds, so nothing need be aligned.

    Differing from the paper, each modality's last class token is weighed by a learnt score, and the
    bottlenecks' mean is added to their sum.

    Args:
        in_features: Feature size of each modality by its name.
        num_features: Size of all layers, even, a multiple of ``num_heads``.
        num_layers: Layers in which the modalities meet.
        num_heads: Attentions side by side.
        num_bottlenecks: Shared tokens.
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
        num_bottlenecks: int = 4,
        modality_dropout: float = 0.2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(in_features, num_features, modality_dropout, dropout)
        if min(num_layers, num_heads, num_bottlenecks) < 1:
            raise InputError(
                "num_layers, num_heads and num_bottlenecks must be at least 1, got "
                f"{num_layers}, {num_heads} and {num_bottlenecks}"
            )
        check_heads(num_features, num_heads, even=True, name="num_features")
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.num_bottlenecks = num_bottlenecks
        self.bottlenecks = nn.Parameter(0.02 * torch.randn(num_bottlenecks, num_features))
        self.classes = nn.Parameter(0.02 * torch.randn(len(self.names), num_features))
        # Layer by layer, one for each modality.
        self.layers = nn.ModuleList(
            attention_layer(num_features, num_heads, dropout)
            for _ in range(num_layers * len(self.names))
        )
        self.trust = nn.Linear(num_features, 1)
        nn.init.zeros_(self.trust.weight)
        self.norm = nn.LayerNorm(num_features)

    def fuse(self, steps: list[Stream], parts: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Let the modalities meet; see :meth:`Fusion.fuse`."""
        batch, count = len(kept), self.num_bottlenecks
        shared = self.bottlenecks.to(parts.dtype).expand(batch, -1, -1)
        own: list[Tensor] = []
        seen: list[Tensor] = []
        passed: list[Tensor] = []
        for place, (features, mask, seconds) in enumerate(steps):
            placed = features + second_waves(seconds, self.num_features).to(features.dtype)
            # A modality's own vector goes in too: pooling is quicker to learn than attention.
            head = (self.classes[place] + parts[:, place])[:, None].to(features.dtype)
            own.append(torch.cat([head, placed], 1))
            seen.append(nn.functional.pad(mask, (count + 1, 0), value=True))
        for number, layer in enumerate(self.layers):
            place = number % len(self.names)
            found = layer(torch.cat([shared, own[place]], 1), src_key_padding_mask=~seen[place])
            passed.append(found[:, :count])
            own[place] = found[:, count:]
            if len(passed) == len(self.names):
                shared, passed = torch.stack(passed, 1).mean(1), []
        heads = torch.stack([tokens[:, 0] for tokens in own], 1)
        weights = share(self.trust(heads)[:, :, 0], kept)
        return self.norm((heads * weights[:, :, None]).sum(1) + shared.mean(1)), weights
