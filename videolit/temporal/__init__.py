"""Feature sequences to feature sequences or one vector: the ``G`` in ``Y = G(H(X))``."""

from videolit.temporal.attention import AttentionPool
from videolit.temporal.base import TemporalModel
from videolit.temporal.mean import MeanPool
from videolit.temporal.rnn import RNN
from videolit.temporal.tcn import TCN
from videolit.temporal.transformer import Transformer

__all__ = ["RNN", "TCN", "AttentionPool", "MeanPool", "TemporalModel", "Transformer"]
