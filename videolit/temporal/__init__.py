"""Feature sequences to feature sequences or one vector: the ``G`` in ``Y = G(H(X))``."""

from videolit.temporal.attention import AttentionPool
from videolit.temporal.base import TemporalModel
from videolit.temporal.frame_mlp import FrameMLP
from videolit.temporal.local_transformer import LocalTransformer
from videolit.temporal.maximum import MaxPool
from videolit.temporal.mean import MeanPool
from videolit.temporal.rnn import RNN
from videolit.temporal.tcn import TCN
from videolit.temporal.transformer import Transformer
from videolit.temporal.trn import TRN

__all__ = [
    "RNN",
    "TCN",
    "TRN",
    "AttentionPool",
    "FrameMLP",
    "LocalTransformer",
    "MaxPool",
    "MeanPool",
    "TemporalModel",
    "Transformer",
]
