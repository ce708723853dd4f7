"""Clips to feature sequences: the ``H`` in ``Y = G(H(X))``."""

from videolit.encoders.appearance import AppearanceEncoder
from videolit.encoders.base import VideoEncoder
from videolit.encoders.c3d import C3DEncoder
from videolit.encoders.clip import TorchvisionClipEncoder
from videolit.encoders.frame import TorchvisionFrameEncoder
from videolit.encoders.hf_sound import HFSoundEncoder
from videolit.encoders.hf_video import HFVideoEncoder
from videolit.encoders.hf_words import HFTextEncoder
from videolit.encoders.identity import IdentityEncoder
from videolit.encoders.ngrams import NGramEncoder
from videolit.encoders.resnet3d import ResNet3DEncoder, SlowFastEncoder
from videolit.encoders.small import SmallClipEncoder, SmallFrameEncoder
from videolit.encoders.sound import SoundEncoder
from videolit.encoders.sound_conv import SmallSoundEncoder
from videolit.encoders.timm_frame import TimmFrameEncoder
from videolit.encoders.words import TextEncoder
from videolit.encoders.x3d import X3DEncoder

__all__ = [
    "AppearanceEncoder",
    "C3DEncoder",
    "HFSoundEncoder",
    "HFTextEncoder",
    "HFVideoEncoder",
    "IdentityEncoder",
    "NGramEncoder",
    "ResNet3DEncoder",
    "SlowFastEncoder",
    "SmallClipEncoder",
    "SmallFrameEncoder",
    "SmallSoundEncoder",
    "SoundEncoder",
    "TextEncoder",
    "TimmFrameEncoder",
    "TorchvisionClipEncoder",
    "TorchvisionFrameEncoder",
    "VideoEncoder",
    "X3DEncoder",
]
