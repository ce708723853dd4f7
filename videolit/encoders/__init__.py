"""Clips to feature sequences: the ``H`` in ``Y = G(H(X))``."""

from videolit.encoders.base import VideoEncoder
from videolit.encoders.clip import TorchvisionClipEncoder
from videolit.encoders.frame import TorchvisionFrameEncoder
from videolit.encoders.identity import IdentityEncoder
from videolit.encoders.small import SmallClipEncoder, SmallFrameEncoder

__all__ = [
    "IdentityEncoder",
    "SmallClipEncoder",
    "SmallFrameEncoder",
    "TorchvisionClipEncoder",
    "TorchvisionFrameEncoder",
    "VideoEncoder",
]
