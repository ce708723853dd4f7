"""What a file is, told by its first bytes, before any decoder sees it.

Decoders guess the format too, but they also follow playlists to other files and to the network
(HLS, ffconcat, ``concat:``): such "videos" must never reach one.
"""

from __future__ import annotations

import dataclasses
import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

from videolit.types import VideoError

# The FFmpeg demuxers of each container, as `format_whitelist` wants them.
DEMUXERS = {
    "mp4": "mov,mp4,m4a,3gp,3g2,mj2",
    "mov": "mov,mp4,m4a,3gp,3g2,mj2",
    "mkv": "matroska,webm",
    "webm": "matroska,webm",
    "avi": "avi",
    "ts": "mpegts",
    "ps": "mpeg",
    "flv": "flv",
    "asf": "asf,asf_o",
    "ogg": "ogg",
    "gif": "gif",
}

_HEAD_BYTES = 4096
_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"styp", b"sidx"}
_IMAGE_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif"}
_OTHERS = (
    (b"#EXTM3U", "a playlist (HLS)"),
    (b"ffconcat", "a playlist (ffconcat)"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89PNG", "a PNG image"),
    (b"BM", "a BMP image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"ID3", "sound (MP3)"),
    (b"fLaC", "sound (FLAC)"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"%PDF", "a PDF document"),
)
_PROTOCOL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


def sniff(path: str | Path) -> str:
    """Return the name of a video file's container, one of :data:`DEMUXERS`.

    Args:
        path: An existing regular file.

    Raises:
        VideoError: If ``path`` is not such a file, or its first bytes are not those of a video
            container. Streams without a container (``.h264``) are refused: they carry no times.
    """
    name, head = read_head(path, "a video file")
    container = container_of(head)
    if container is None:
        raise VideoError(name, f"not a video: {describe(head)}")
    return container


def read_head(path: str | Path, what: str) -> tuple[str, bytes]:
    """Return the name and the first bytes of a file.

    Args:
        path: An existing regular file.
        what: What is expected, for the message.

    Raises:
        VideoError: If ``path`` is not such a file, or is empty.
    """
    name = os.fspath(path)
    try:
        mode = Path(name).stat().st_mode
        if stat.S_ISDIR(mode):
            raise VideoError(name, f"is a folder, expected {what}")
        if not stat.S_ISREG(mode):
            # A pipe would block, a device may never end.
            raise VideoError(name, "is not a regular file (a pipe, socket or device)")
        with Path(name).open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except (OSError, ValueError) as error:
        raise VideoError(name, access_failure(name, error)) from None
    if not head:
        raise VideoError(name, "is empty (0 bytes)")
    return name, head


def access_failure(name: str, error: Exception) -> str:
    """Say in one line why a file could not be opened at all."""
    if isinstance(error, FileNotFoundError | NotADirectoryError) and _PROTOCOL.match(name):
        return "no such file; URLs and protocols are not opened, download the video first"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "permission denied"
    return f"cannot be opened ({getattr(error, 'strerror', None) or error})"


def container_of(head: bytes) -> str | None:
    """Return which of :data:`DEMUXERS` the first bytes are of, None if of none."""
    if head[4:8] in _BOXES:
        if head[4:8] == b"ftyp" and head[8:12] in _IMAGE_BRANDS:
            return None
        return "mov" if head[4:8] != b"ftyp" or head[8:12] == b"qt  " else "mp4"
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "webm" if b"webm" in head[:64] else "mkv"
    if head.startswith(b"RIFF") and head[8:11] == b"AVI":
        return "avi"
    for start, size in ((0, 188), (4, 192), (0, 204)):
        if head[start : start + 2 * size + 1 : size] == b"GGG":
            return "ts"
    signatures = {
        b"\x00\x00\x01\xba": "ps",
        b"FLV\x01": "flv",
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "asf",
        b"OggS": "ogg",
        b"GIF87a": "gif",
        b"GIF89a": "gif",
    }
    for signature, container in signatures.items():
        if head.startswith(signature):
            return container
    return None


def describe(head: bytes) -> str:
    """Say in a few words what the first bytes of something else are."""
    for signature, what in _OTHERS:
        if head.startswith(signature):
            return what
    if head[4:8] == b"ftyp":
        return "a HEIF or AVIF image"
    if head.startswith(b"RIFF"):
        return "a WebP image" if head[8:12] == b"WEBP" else "sound (WAV) or another RIFF file"
    if head.startswith((b"\x00\x00\x01", b"\x00\x00\x00\x01")):
        return (
            "a raw H.264, HEVC or MPEG stream without a container carries no times; put it into "
            "one, as with ffmpeg -i FILE -c copy OUT.mp4"
        )
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:1] == b"<":
        return "an HTML or XML page"
    if not head.strip(b"\x00"):
        return "only zero bytes"
    if all(byte >= 32 or byte in b"\t\r\n" for byte in head):
        return "text"
    return "unknown first bytes"


@dataclasses.dataclass(frozen=True)
class Layout:
    """What the outer structure of a file says, without a decoder.

    Attributes:
        cut: The file ends before its own header says that it does.
        fragmented: An MP4 whose frames are listed in fragments, not in its index.
    """

    cut: bool = False
    fragmented: bool = False


def read_layout(path: str, container: str) -> Layout:
    """Read the outer structure of an MP4, Matroska or AVI file; others have none to read.

    Raises:
        VideoError: If an MP4 has no index (``moov``) or is encrypted.
    """
    size = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        if container in ("mp4", "mov"):
            return _read_boxes(path, file, size)
        head = file.read(_HEAD_BYTES)
    if container == "avi":
        return Layout(cut=int.from_bytes(head[4:8], "little") + 8 > size)
    if container in ("mkv", "webm"):
        return Layout(cut=_segment_end(head) > size)
    return Layout()


def _read_boxes(path: str, file: BinaryIO, size: int) -> Layout:
    position, has_index, fragmented, moov = 0, False, False, b""
    while position + 8 <= size:
        file.seek(position)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:
            length = size - position
        if length < 8:
            break
        if kind == b"moov":
            has_index = True
            file.seek(position)
            moov = file.read(min(length, 64 << 20))
        fragmented |= kind == b"moof"
        position += length
    if not has_index:
        raise VideoError(path, "no index (moov): the file is cut short")
    if b"encv" in moov:
        raise VideoError(path, "encrypted (DRM): its frames cannot be decoded")
    return Layout(cut=position > size, fragmented=fragmented)


def _segment_end(head: bytes) -> int:
    """Return where Matroska's Segment ends by its own length, 0 if it does not say."""
    start = head.find(b"\x18\x53\x80\x67")
    if start < 0 or start + 12 > len(head):
        return 0
    first = head[start + 4]
    if first == 0:
        return 0
    width = 9 - first.bit_length()
    data = head[start + 4 : start + 4 + width]
    value = int.from_bytes(data, "big") & ((1 << (7 * width)) - 1)
    unknown = value == (1 << (7 * width)) - 1
    return 0 if unknown else start + 4 + width + value
