"""Recurrent networks over time."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from videolit.ops.checks import check_dropout, check_least
from videolit.temporal.base import TemporalModel
from videolit.types import InputError


class RNN(TemporalModel):
    """An LSTM (Hochreiter and Schmidhuber 1997) or GRU (Cho et al. 2014) over the real steps.

    Pooled, it is the last state: of the last real step forwards, and of the first one backwards.

    Args:
        in_features: D, the size of the encoder's features.
        cell: ``"lstm"`` or ``"gru"``.
        hidden_size: Size of the state of one direction.
        num_layers: Layers on top of each other.
        bidirectional: Also run backwards; the features have ``2 * hidden_size`` then.
        dropout: Probability of dropping a feature between layers.

    Raises:
        InputError: If the cell is unknown, a number is out of its range, or dropout has no layer to
            act between.
    """

    def __init__(
        self,
        in_features: int,
        cell: Literal["lstm", "gru"] = "lstm",
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(in_features, hidden_size * (2 if bidirectional else 1))
        if cell not in ("lstm", "gru"):
            raise InputError(f"cell must be 'lstm' or 'gru', got {cell!r}")
        check_least(("num_layers", num_layers, 1))
        check_dropout(dropout)
        if dropout > 0 and num_layers == 1:
            raise InputError(
                f"dropout ({dropout}) acts between layers and there is one: set num_layers to 2 or "
                "more, or use the task's dropout"
            )
        self.cell: Literal["lstm", "gru"] = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        kind = nn.LSTM if cell == "lstm" else nn.GRU
        self.network = kind(
            in_features,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=dropout,
            bidirectional=bidirectional,
        )

    def run(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return the states of the last layer, ``(B, T, num_features)``."""
        # Packing keeps padding out of the backward direction.
        packed = pack_padded_sequence(
            features, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = pad_packed_sequence(
            self.network(packed)[0], batch_first=True, total_length=features.shape[1]
        )
        return states

    def pool(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return the last state of each direction, ``(B, num_features)``."""
        last = (mask.sum(1) - 1)[:, None, None].expand(-1, 1, sequence.shape[-1])
        state = sequence.gather(1, last)[:, 0]
        if not self.bidirectional:
            return state
        return torch.cat([state[:, : self.hidden_size], sequence[:, 0, self.hidden_size :]], 1)
