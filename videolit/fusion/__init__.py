"""Several feature sequences to one vector, whichever of them a sample has."""

from videolit.fusion.base import Fused, Fusion, Stream
from videolit.fusion.bottleneck import BottleneckFusion
from videolit.fusion.crossmodal import CrossmodalFusion
from videolit.fusion.early import EarlyFusion
from videolit.fusion.late import LateFusion
from videolit.fusion.linear import LinearFusion
from videolit.fusion.tensor import TensorFusion

__all__ = [
    "BottleneckFusion",
    "CrossmodalFusion",
    "EarlyFusion",
    "Fused",
    "Fusion",
    "LateFusion",
    "LinearFusion",
    "Stream",
    "TensorFusion",
]
