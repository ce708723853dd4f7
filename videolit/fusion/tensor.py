"""Fusion by products: what holds only where two modalities say a thing together."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from videolit.fusion.base import Fusion, Stream
from videolit.types import InputError


class TensorFusion(Fusion):
    """All products of the modalities' numbers, whole or of low rank.

    Each modality's vector and a 1 are multiplied with all others' (tensor fusion, Zadeh et al.
    2017, arXiv:1707.07250, section 4.2), so that single ones, pairs and all together have weights
    of their own. With a ``rank`` the tensor of these weights is a sum of that many products
    (low-rank fusion, Liu et al. 2018, arXiv:1806.00064, section 3.2), which never builds the
    tensor of the products.

    Weights are equal over what is present: this fusion has none of its own.

    Args:
        in_features: Feature size of each modality by its name.
        num_features: Size of the fused vector.
        rank: Products in the sum; None = the whole tensor.
        part_size: Numbers that a modality's vector is brought to before the product. The whole
            tensor has ``(part_size + 1) ** M`` numbers.
        modality_dropout: Probability that a modality is dropped in training.
        dropout: Probability of dropping a feature.

    Raises:
        InputError: If a number is out of its range.
    """

    def __init__(
        self,
        in_features: Mapping[str, int],
        num_features: int = 128,
        rank: int | None = 8,
        part_size: int = 16,
        modality_dropout: float = 0.2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(in_features, num_features, modality_dropout, dropout)
        if part_size < 1 or (rank is not None and rank < 1):
            raise InputError(f"rank and part_size must be at least 1, got {rank} and {part_size}")
        count = len(self.names)
        if rank is None and (part_size + 1) ** count * num_features > 50_000_000:
            raise InputError(
                f"a whole tensor of {count} modalities has {(part_size + 1) ** count} numbers: set "
                "rank, or a smaller part_size"
            )
        self.rank = rank
        self.part_size = part_size
        self.shrink = nn.ModuleList(nn.Linear(num_features, part_size) for _ in self.names)
        if rank is None:
            self.leave = nn.Linear((part_size + 1) ** count, num_features)
        else:
            scale = (part_size + 1) ** -0.5
            self.factors = nn.Parameter(
                scale * torch.randn(count, rank, part_size + 1, num_features)
            )
            # Each product begins near what its parts say alone.
            self.factors.data[:, :, -1] += 1.0
            self.mix = nn.Parameter(torch.full((rank,), rank**-0.5))
        self.norm = nn.LayerNorm(num_features)

    def fuse(self, steps: list[Stream], parts: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Multiply the parts; see :meth:`Fusion.fuse`."""
        weights = kept.to(parts.dtype) / kept.sum(1, keepdim=True)
        factors = []
        for place, shrink in enumerate(self.shrink):
            small = torch.tanh(shrink(parts[:, place]))
            factors.append(torch.cat([small, torch.ones_like(small[:, :1])], 1))
        if self.rank is None:
            product = factors[0]
            for factor in factors[1:]:
                product = (product[:, :, None] * factor[:, None]).flatten(1)
            return self.norm(self.leave(product)), weights
        sides = torch.stack(factors, 1)
        products = torch.einsum("bmp,mrpd->bmrd", sides, self.factors.to(sides.dtype)).prod(1)
        return self.norm(torch.einsum("brd,r->bd", products, self.mix.to(sides.dtype))), weights
