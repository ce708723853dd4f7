"""What all temporal models share: the contract of features and mask."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from videolit.types import InputError


class TemporalModel(nn.Module):
    """Feature sequences to feature sequences or one vector: the ``G`` in ``Y = G(H(X))``.

    A subclass takes ``in_features`` first, keeps each constructor argument as an attribute of the
    same name, and defines :meth:`pool`, and :meth:`run` where it changes the sequence. Padding
    changes neither result.

    Args:
        in_features: D, the size of the encoder's features.
        num_features: Size of the features that it returns.

    Raises:
        InputError: If a size is below 1.
    """

    def __init__(self, in_features: int, num_features: int) -> None:
        super().__init__()
        if in_features < 1 or num_features < 1:
            raise InputError(
                f"{type(self).__name__} needs sizes of at least 1, got in_features {in_features} "
                f"and {num_features} features of its own"
            )
        self.in_features = in_features
        self.num_features = num_features

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return what the model makes of each step.

        Args:
            features: float ``(B, T, in_features)``; anything at padding, NaN included.
            mask: bool ``(B, T)``, True = a real step; the real ones first.

        Returns:
            float ``(B, T, num_features)``, zero at padding.

        Raises:
            InputError: If shapes do not fit, a clip has no real step, or padding is not at its end.
        """
        self._check(features, mask)
        real = mask[:, :, None]
        return torch.where(real, self.run(torch.where(real, features, 0.0), mask), 0.0)

    def run(self, features: Tensor, mask: Tensor) -> Tensor:
        """Transform checked features that are zero at padding; unchanged unless overridden."""
        return features

    def pool(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Turn a sequence of :meth:`forward` into one vector.

        Args:
            sequence: float ``(B, T, num_features)``, zero at padding.
            mask: bool ``(B, T)``, the one given to :meth:`forward`.

        Returns:
            float ``(B, num_features)``.
        """
        raise NotImplementedError(f"{type(self).__name__} must define pool()")

    def _check(self, features: Tensor, mask: Tensor) -> None:
        """Refuse what the contract does not allow."""
        if features.ndim != 3 or features.shape[-1] != self.in_features:
            raise InputError(
                f"{type(self).__name__} expected features (B, T, {self.in_features}), got "
                f"{tuple(features.shape)}"
            )
        if mask.dtype != torch.bool or mask.shape != features.shape[:2]:
            raise InputError(
                f"{type(self).__name__} expected a bool mask (B, T) = {tuple(features.shape[:2])}, "
                f"got {mask.dtype} {tuple(mask.shape)}"
            )
        # Reads values, so not where the graph is being compiled.
        if torch.compiler.is_compiling():
            return
        gap = mask[:, 1:] & ~mask[:, :-1]
        if bool(mask[:, :1].all()) and mask.shape[1] > 0 and not bool(gap.any()):
            return
        empty = (~mask.any(1)).nonzero().flatten().tolist()
        if empty:
            raise InputError(f"clips without a real frame in the batch, at positions {empty}")
        rows = (~mask[:, 0] | gap.any(1)).nonzero().flatten().tolist()
        raise InputError(
            f"padding must follow the real frames of a clip, but it stands before some of them at "
            f"positions {rows} of the batch"
        )
