"""The plainest fusion: no layer of its own, so that the heads on it are linear models."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from videolit.fusion.base import Fusion, Stream


class LinearFusion(Fusion):
    """The mean of the modalities' predictions, each a linear function of its mean feature.

    Nothing is learnt here but what stands for an absent modality. On frozen encoders this is the
    linear probe; on :class:`~videolit.encoders.NGramEncoder` it is logistic regression. What two
    modalities tell only together is out of reach.

    Args:
        in_features: Feature size of each modality by its name.
        modality_dropout: Probability that a modality is dropped in training.
        dropout: Probability of dropping a number of a mean feature.

    Attributes:
        num_features: The greatest feature size; smaller features are followed by zeros.

    Raises:
        InputError: If a number is out of its range.
    """

    is_late = True

    def __init__(
        self,
        in_features: Mapping[str, int],
        modality_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        widest = max(in_features.values(), default=0)
        super().__init__(in_features, widest, modality_dropout, dropout)

    def entrance(self, size: int) -> nn.Module:
        """Put zeros behind smaller features; see :meth:`Fusion.entrance`."""
        return nn.ZeroPad1d((0, self.num_features - size))

    def pool(self) -> nn.Module:
        """Keep the mean; see :meth:`Fusion.pool`."""
        return nn.Sequential(_Mean(), nn.Dropout(self.dropout))

    def fuse(self, steps: list[Stream], parts: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Weigh equally what is kept; see :meth:`Fusion.fuse`."""
        weights = kept.to(parts.dtype) / kept.sum(1, keepdim=True)
        return (parts * weights[:, :, None]).sum(1), weights


class _Mean(nn.Module):
    """The first half of the mean and maximum of :func:`~videolit.fusion.base.pool_steps`."""

    def forward(self, pooled: Tensor) -> Tensor:
        """Return float ``(B, D)`` of ``(B, 2 D)``."""
        return pooled[:, : pooled.shape[1] // 2]
