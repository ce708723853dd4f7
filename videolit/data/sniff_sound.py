"""Which files have sound: videos, and what has sound only, told by the first bytes."""

from __future__ import annotations

from pathlib import Path

from videolit.data.sniff import DEMUXERS, container_of, describe, read_head
from videolit.types import VideoError

# FFmpeg's demuxers of each container; the latter have sound only.
SOUND_DEMUXERS = {
    **DEMUXERS,
    "wav": "wav",
    "flac": "flac",
    "mp3": "mp3",
    "aac": "aac",
    "aiff": "aiff",
    # An ID3 tag stands before any of these.
    "id3": "mp3,aac,flac",
}


def sniff_sound(path: str | Path) -> str:
    """Return what a video or sound file is, one of :data:`SOUND_DEMUXERS`.

    Args:
        path: An existing regular file.

    Raises:
        VideoError: If ``path`` is not such a file, or its first bytes are neither those of a video
            container nor of a sound file. Playlists are refused: they lead to other files.
    """
    name, head = read_head(path, "a video or sound file")
    container = container_of(head) or _sound(head)
    if container is None:
        raise VideoError(name, f"neither video nor sound: {describe(head)}")
    return container


def _sound(head: bytes) -> str | None:
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head.startswith(b"FORM") and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head.startswith(b"fLaC"):
        return "flac"
    if head.startswith(b"ID3"):
        return "id3"
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    # ADTS (ISO/IEC 13818-7, 6.2): 12 bits of sync, then layer 0 and a sampling rate below 13.
    if head[1] & 0xF6 == 0xF0:
        return "aac" if head[2] >> 2 & 0xF < 13 else None
    # MPEG audio (ISO/IEC 11172-3, 2.4.1.3): version 1 is none, layer I is not in use, and 15 and 3
    # are no rates.
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    has_rates = head[2] >> 4 != 15 and head[2] >> 2 & 3 != 3
    return "mp3" if version != 1 and layer in (1, 2) and has_rates else None
