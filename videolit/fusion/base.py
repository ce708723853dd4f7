"""What all fusions share: streams of several modalities to one vector, any of them absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from videolit.ops.modality import check_rate, drop_modalities
from videolit.ops.waves import waves
from videolit.types import InputError

# Shortest and longest wave of positions: a spectrum's step and a long scene.
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.1, 200.0


class Stream(NamedTuple):
    """One modality of a batch.

    Attributes:
        features: float ``(B, T, D)``; anything at padding, NaN included.
        mask: bool ``(B, T)``, True = a real step. A sample without any lacks the modality.
        seconds: float ``(B, T)``, the middle of each step, from the clip's beginning.
    """

    features: Tensor
    mask: Tensor
    seconds: Tensor


class Fused(NamedTuple):
    """What a fusion returns; M modalities in the order of :attr:`Fusion.names`.

    Attributes:
        vector: float ``(B, num_features)``, of all modalities that were kept.
        parts: float ``(B, M, num_features)``, of each modality alone, also of one dropped in
            training; the learnt missing vector where it is absent.
        weights: float ``(B, M)``, each modality's share in ``vector``: they sum to 1, and are 0
            where it was absent or dropped.
        present: bool ``(B, M)``, True = the sample has the modality, before any dropping.
    """

    vector: Tensor
    parts: Tensor
    weights: Tensor
    present: Tensor


class Fusion(nn.Module):
    """Feature sequences of several modalities to one vector.

    Each modality may have its own feature size, number of steps and rate. Its steps are brought to
    a common size; those of one that is absent are one learnt step. Which samples lack what, and
    how far they are padded, changes nothing about the others.

    A subclass keeps each constructor argument as an attribute of the same name and defines
    :meth:`fuse`; it may make other layers by :meth:`entrance` and :meth:`pool`.

    Args:
        in_features: Feature size of each modality by its name; the order is that of all results.
        num_features: Size of the fused vector.
        modality_dropout: Probability that a modality is taken from the fusion in training, sample
            by sample; one is always left.
        dropout: Probability of dropping a feature of a part.

    Attributes:
        names: The modalities.
        is_late: Whether it weighs finished predictions: :meth:`combine` then replaces a head on
            the fused vector.
        has_weights: Whether its weights are learnt, so that they tell how much a modality decided.
            Where not, they are equal over what is present: they tell nothing but that, and are not
            to be shown as evidence.

    Raises:
        InputError: If there is no modality, or a number is out of its range.
    """

    is_late: bool = False
    has_weights: bool = False

    def __init__(
        self,
        in_features: Mapping[str, int],
        num_features: int,
        modality_dropout: float = 0.2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if not in_features or min(in_features.values()) < 1 or num_features < 1:
            raise InputError(
                f"{type(self).__name__} needs at least one modality and sizes of at least 1, got "
                f"in_features {dict(in_features)} and num_features {num_features}"
            )
        check_rate("modality dropout", modality_dropout)
        check_rate("dropout", dropout)
        self.in_features = dict(in_features)
        self.num_features = num_features
        self.modality_dropout = modality_dropout
        self.dropout = dropout
        self.names = tuple(in_features)
        # Lists, not by name: a ModuleDict refuses names as "keys" and "text.left".
        self.enter = nn.ModuleList(self.entrance(size) for size in in_features.values())
        self.pools = nn.ModuleList(self.pool() for _ in self.names)
        self.missing = nn.Parameter(0.02 * torch.randn(len(self.names), num_features))

    def entrance(self, size: int) -> nn.Module:
        """Make what brings a modality's steps, ``(B, T, size)``, to ``(B, T, num_features)``."""
        return nn.Linear(size, self.num_features)

    def pool(self) -> nn.Module:
        """Make what brings :func:`pool_steps` of a modality to its vector ``(B, num_features)``."""
        # Normalised once pooled: a step that says little should stay small until then.
        return nn.Sequential(
            nn.Linear(2 * self.num_features, self.num_features),
            nn.LayerNorm(self.num_features),
            nn.GELU(),
            nn.Dropout(self.dropout),
        )

    def forward(
        self, streams: Mapping[str, Stream], generator: torch.Generator | None = None
    ) -> Fused:
        """Fuse a batch.

        Args:
            streams: The modalities by name; one that no sample has may be left out.
            generator: Draws which modalities are dropped in training; None = torch's own.

        Returns:
            The fused vector, each modality's own, the weights and what was present.

        Raises:
            InputError: If a name is unknown, shapes do not fit, or a sample has no modality.
        """
        self._check(streams)
        first = next(iter(streams.values()))
        full, parts, present = [], [], []
        for place, name in enumerate(self.names):
            steps = self._steps(place, streams.get(name), first.mask)
            own = steps.mask.any(1)
            pooled = self.pools[place](pool_steps(steps.features, steps.mask))
            parts.append(torch.where(own[:, None], pooled, self.missing[place].to(pooled.dtype)))
            full.append(steps)
            present.append(own)
        there = torch.stack(present, 1)
        if not torch.compiler.is_compiling() and not bool(there.any(1).all()):
            empty = (~there.any(1)).nonzero().flatten().tolist()
            raise InputError(f"samples without any modality in the batch, at positions {empty}")
        kept = there
        if self.training and self.modality_dropout:
            kept = drop_modalities(there, self.modality_dropout, generator)
        vectors = torch.stack(parts, 1)
        seen = [self._hide(place, steps, kept[:, place]) for place, steps in enumerate(full)]
        masked = torch.where(kept[:, :, None], vectors, self.missing.to(vectors.dtype))
        vector, weights = self.fuse(seen, masked, kept)
        return Fused(vector, vectors, weights, there)

    def fuse(self, steps: list[Stream], parts: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse what is kept; the rest is the learnt missing step and vector already.

        Args:
            steps: The modalities in order; features ``(B, T, num_features)``, zero at padding, and
                at least one real step in each sample.
            parts: float ``(B, M, num_features)``, each modality's vector.
            kept: bool ``(B, M)``, at least one True in each row.

        Returns:
            The vector ``(B, num_features)`` and the weights ``(B, M)``.
        """
        raise NotImplementedError(f"{type(self).__name__} must define fuse()")

    def combine(self, predictions: Tensor, weights: Tensor) -> Tensor:
        """Return the mean of the modalities' predictions by their weights.

        Args:
            predictions: float ``(B, M, K)``, logits or scores of each modality's own head.
            weights: float ``(B, M)``, those of :class:`Fused`.

        Returns:
            float ``(B, K)``.
        """
        return (predictions * weights[:, :, None].to(predictions.dtype)).sum(1)

    def _steps(self, place: int, stream: Stream | None, like: Tensor) -> Stream:
        """Bring a modality's steps to the common size, with zeros at padding."""
        if stream is None or stream.mask.shape[1] == 0:
            nothing = torch.zeros(len(like), 1, device=like.device)
            none = torch.zeros_like(nothing, dtype=torch.bool)
            features = self.missing.new_zeros(len(like), 1, self.num_features)
            return Stream(features, none, nothing)
        real = stream.mask[:, :, None]
        features = self.enter[place](torch.where(real, stream.features, 0.0))
        seconds = torch.where(stream.mask, stream.seconds.float(), 0.0)
        return Stream(torch.where(real, features, 0.0), stream.mask, seconds)

    def _hide(self, place: int, steps: Stream, kept: Tensor) -> Stream:
        """Put one learnt step at second 0 in the place of a modality that is not kept."""
        lead = torch.zeros_like(steps.mask)
        lead[:, 0] = True
        gone = ~kept[:, None]
        learnt = lead[:, :, None] * self.missing[place].to(steps.features.dtype)
        return Stream(
            torch.where(gone[:, :, None], learnt, steps.features),
            torch.where(gone, lead, steps.mask),
            torch.where(gone, 0.0, steps.seconds),
        )

    def _check(self, streams: Mapping[str, Stream]) -> None:
        """Refuse what the contract does not allow."""
        unknown = sorted(set(streams) - set(self.names))
        if unknown or not streams:
            raise InputError(
                f"{type(self).__name__} fuses {', '.join(self.names)}, got "
                f"{', '.join(unknown) or 'nothing'}"
            )
        batch = len(next(iter(streams.values())).features)
        for name, (features, mask, seconds) in streams.items():
            size = self.in_features[name]
            if features.ndim != 3 or features.shape[::2] != (batch, size):
                raise InputError(
                    f"{name}: expected features ({batch}, T, {size}), got {tuple(features.shape)}"
                )
            if mask.dtype != torch.bool or mask.shape != features.shape[:2]:
                raise InputError(
                    f"{name}: expected a bool mask {tuple(features.shape[:2])}, got {mask.dtype} "
                    f"{tuple(mask.shape)}"
                )
            if seconds.shape != mask.shape or not seconds.is_floating_point():
                raise InputError(
                    f"{name}: expected float seconds {tuple(mask.shape)}, got {seconds.dtype} "
                    f"{tuple(seconds.shape)}"
                )


def pool_steps(features: Tensor, mask: Tensor) -> Tensor:
    """Return mean and maximum of the real steps side by side.

    Args:
        features: float ``(B, T, D)``, zero at padding.
        mask: bool ``(B, T)``.

    Returns:
        float ``(B, 2 D)``; zero where a sample has no real step.
    """
    count = mask.sum(1, keepdim=True)
    mean = features.sum(1) / count.clamp(min=1)
    lowest = torch.finfo(features.dtype).min
    most = features.masked_fill(~mask[:, :, None], lowest).amax(1)
    return torch.cat([mean, torch.where(count > 0, most, 0.0)], 1)


def share(scores: Tensor, kept: Tensor) -> Tensor:
    """Return a softmax over the modalities that are kept, 0 for the others.

    Args:
        scores: float ``(B, M)``.
        kept: bool ``(B, M)``, at least one True in each row.
    """
    return scores.masked_fill(~kept, -torch.inf).softmax(1)


def attention_layer(num_features: int, num_heads: int, dropout: float) -> nn.Module:
    """Return a transformer's layer, ``(B, T, num_features)`` to the same, for ``fuse``."""
    return nn.TransformerEncoderLayer(
        num_features,
        num_heads,
        2 * num_features,
        dropout,
        "gelu",
        batch_first=True,
        norm_first=True,
    )


def second_waves(seconds: Tensor, size: int) -> Tensor:
    """Return places in time as sines and cosines, of wave lengths from 0.1 to 200 s.

    Args:
        seconds: float ``(B, T)``.
        size: Numbers of a place, even.

    Returns:
        float ``(B, T, size)`` in [-1, 1].
    """
    return waves(seconds, size, _SHORTEST_SECONDS, _LONGEST_SECONDS)
