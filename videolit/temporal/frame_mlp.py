"""Each step by itself: the control without time."""

from __future__ import annotations

from torch import Tensor, nn

from videolit.ops.checks import check_dropout, check_least
from videolit.temporal.base import TemporalModel


class FrameMLP(TemporalModel):
    """Layers that see one step at a time, blind to all others.

    The control that a model of time has to beat: on TVSum a regression on single frames ranks as
    well as VASNet does (arXiv:2410.03323). Pooled, it is the mean of the real steps.

    The first layer's result is normalised, not the features: so features of any size do, and a
    single feature is not normalised away.

    Args:
        in_features: D, the size of the encoder's features.
        hidden_size: Size of all layers.
        num_layers: Layers on top of each other.
        dropout: Probability of dropping a feature after each layer.

    Raises:
        InputError: If a number is out of its range.
    """

    def __init__(
        self,
        in_features: int,
        hidden_size: int = 256,
        num_layers: int = 2,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(in_features, hidden_size)
        check_least(("num_layers", num_layers, 1))
        check_dropout(dropout)
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        layers: list[nn.Module] = []
        for number in range(num_layers):
            layers.append(nn.Linear(hidden_size if number else in_features, hidden_size))
            if number == 0:
                layers.append(nn.LayerNorm(hidden_size))
            layers += [nn.GELU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers)

    def run(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return what the last layer makes of each step, ``(B, T, num_features)``."""
        found: Tensor = self.layers(features)
        return found

    def pool(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return the mean of the real steps, ``(B, num_features)``."""
        return sequence.sum(1) / mask.sum(1, keepdim=True)
