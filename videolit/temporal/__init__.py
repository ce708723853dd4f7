"""Feature sequences to feature sequences or one vector: the ``G`` in ``Y = G(H(X))``."""

from videolit.temporal.attention import AttentionPool
from videolit.temporal.base import TemporalModel
from videolit.temporal.mean import MeanPool
from videolit.temporal.rnn import RNN

__all__ = ["RNN", "AttentionPool", "MeanPool", "TemporalModel"]
