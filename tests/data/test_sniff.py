"""What is a video by its first bytes, and what is refused before a decoder sees it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from videolit.data.sniff import read_layout, sniff
from videolit.types import VideoError


@pytest.mark.parametrize(
    ("suffix", "codec", "container"),
    [
        ("mp4", "libx264", "mp4"),
        ("mov", "libx264", "mov"),
        ("mkv", "libx264", "mkv"),
        ("webm", "libvpx-vp9", "webm"),
        ("avi", "mpeg4", "avi"),
        ("ts", "libx264", "ts"),
        ("mpg", "mpeg2video", "ps"),
        ("flv", "libx264", "flv"),
        ("wmv", "wmv2", "asf"),
        ("ogv", "libx264", "ogg"),
        ("gif", "gif", "gif"),
    ],
)
def test_container_is_known_whatever_the_name(write_coded, tmp_path, suffix, codec, container):
    if suffix == "ogv":
        path = tmp_path / "x.ogv"
        path.write_bytes(b"OggS" + bytes(60))
    else:
        pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        path = write_coded(tmp_path / f"x.{suffix}", codec=codec, num_frames=12, pix_fmt=pix_fmt)
    hidden = path.rename(tmp_path / "name.txt")
    assert sniff(hidden) == container


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty (0 bytes)"),
        (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "not a video: a playlist (HLS)"),
        (b"ffconcat version 1.0\nfile x.mp4\n", "not a video: a playlist (ffconcat)"),
        (b"<!DOCTYPE html><html></html>", "not a video: an HTML or XML page"),
        (b'\n<?xml version="1.0"?><MPD/>', "not a video: an HTML or XML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not a video: text"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "not a video: a JPEG image"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a video: a PNG image"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "not a video: a WebP image"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "not a video: sound (WAV)"),
        (b"ID3\x04" + bytes(100), "not a video: sound (MP3)"),
        (b"PK\x03\x04" + bytes(100), "not a video: a ZIP archive"),
        (b"\0\0\0\x1cftypavif" + bytes(100), "not a video: a HEIF or AVIF image"),
        (b"\0\0\0\x01\x67\x42\0\x1e", "not a video: a raw H.264, HEVC or MPEG stream"),
        (bytes(5000), "not a video: only zero bytes"),
        (b"\x93NUMPY\x01\0v\0" + bytes(100), "not a video: unknown first bytes"),
    ],
)
def test_other_files_are_named(tmp_path, content, reason):
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError) as error:
        sniff(path)
    assert error.value.path == str(path)
    assert error.value.reason.startswith(reason)
    assert str(error.value) == f"{path}: {error.value.reason}"


@pytest.mark.parametrize(
    "name",
    ["http://example.org/x.mp4", "concat:a.mp4|b.mp4", "cache:http://x", "subfile,,:x.mp4", "-"],
)
def test_protocols_are_not_opened(name):
    with pytest.raises(VideoError, match="no such file"):
        sniff(name)


def test_a_protocol_says_what_to_do():
    with pytest.raises(VideoError, match="URLs and protocols are not opened, download"):
        sniff("https://example.org/x.mp4")


def test_missing_folder_and_special_files(tmp_path):
    with pytest.raises(VideoError, match=r"gone\.mp4: no such file$"):
        sniff(tmp_path / "gone.mp4")
    with pytest.raises(VideoError, match="cannot be opened"):
        sniff(tmp_path / "nul\0.mp4")
    with pytest.raises(VideoError, match="is a folder, expected a video file"):
        sniff(tmp_path)
    with pytest.raises(VideoError, match="is not a regular file"):
        sniff("/dev/zero")


def test_a_pipe_does_not_block(tmp_path):
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    with pytest.raises(VideoError, match="is not a regular file"):
        sniff(pipe)


def test_a_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as end:
        end.bind("s.mp4")
        with pytest.raises(VideoError, match="is not a regular file"):
            sniff("s.mp4")


def test_layout_tells_a_cut_file(write_coded, tmp_path):
    for suffix, codec in (("mkv", "libx264"), ("avi", "mpeg4")):
        path = write_coded(tmp_path / f"x.{suffix}", codec=codec)
        assert not read_layout(str(path), suffix).cut
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        assert read_layout(str(path), suffix).cut


def test_layout_tells_fragments(write_coded, tmp_path):
    movflags = {"movflags": "frag_keyframe+empty_moov"}
    path = write_coded(tmp_path / "x.mp4", container_options=movflags)
    assert read_layout(str(path), "mp4").fragmented


def test_encrypted_and_headless_mp4_are_refused(coded_mp4, tmp_path):
    content = coded_mp4.read_bytes()
    encrypted = tmp_path / "encrypted.mp4"
    encrypted.write_bytes(content.replace(b"avc1\0", b"encv\0"))
    with pytest.raises(VideoError, match="encrypted"):
        read_layout(str(encrypted), "mp4")
    headless = tmp_path / "headless.mp4"
    headless.write_bytes(content[: content.index(b"moov") - 4])
    with pytest.raises(VideoError, match=r"no index \(moov\): the file is cut short"):
        read_layout(str(headless), "mp4")


def test_importing_the_package_is_cheap():
    code = "import sys, videolit.data, videolit.data.sniff; print('numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
