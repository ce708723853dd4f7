"""Feature sequences to feature sequences or one vector: the ``G`` in ``Y = G(H(X))``."""

from videolit.temporal.attention import AttentionPool
from videolit.temporal.base import TemporalModel
from videolit.temporal.csta import CSTA
from videolit.temporal.frame_mlp import FrameMLP
from videolit.temporal.local_transformer import LocalTransformer
from videolit.temporal.maximum import MaxPool
from videolit.temporal.mean import MeanPool
from videolit.temporal.pgl_sum import PGLSum
from videolit.temporal.rnn import RNN
from videolit.temporal.tcn import TCN
from videolit.temporal.transformer import Transformer
from videolit.temporal.trn import TRN
from videolit.temporal.vasnet import VASNet

__all__ = [
    "CSTA",
    "RNN",
    "TCN",
    "TRN",
    "AttentionPool",
    "FrameMLP",
    "LocalTransformer",
    "MaxPool",
    "MeanPool",
    "PGLSum",
    "TemporalModel",
    "Transformer",
    "VASNet",
]
