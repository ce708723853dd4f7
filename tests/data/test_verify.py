"""What a check finds out about a file, and what a decoder's hang, abort or lie costs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import av
import numpy as np
import pytest

from videolit.data.index import IndexCache, VideoIndex, installed_version, shared_cache
from videolit.data.reader import VideoReader
from videolit.data.verify import Verifier, choose_decoder, verified_index
from videolit.types import VideoError

FRAMES = "return np.array(self.frames[indices])"


def refusal(path: Path, **options) -> str:
    with pytest.raises(VideoError) as error:
        verified_index(path, cache=IndexCache(), **options)
    assert error.value.path == str(path)
    assert "\n" not in error.value.reason
    assert len(error.value.reason) <= 300
    return error.value.reason


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not collected yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


# ---- the record -------------------------------------------------------------------------------


def test_the_record_of_a_file(coded_mp4, memory):
    index = verified_index(coded_mp4, cache=memory)
    assert (index.container, index.codec, index.pix_fmt) == ("mp4", "h264", "yuv420p")
    assert (index.num_frames, index.height, index.width, index.rotation) == (48, 96, 128, 0)
    assert index.fps == pytest.approx(25)
    assert index.audio
    assert not index.edit_list
    assert index.key_frames == (0, 12, 24, 36)
    np.testing.assert_allclose(index.timestamps, np.arange(48) / 25)
    assert index.verdicts == {"pyav_seek": ""}
    assert choose_decoder(index) == "pyav_seek"
    assert VideoIndex.from_json(json.loads(json.dumps(index.to_json()))) == index


def test_pyav_alone_needs_no_verdict(coded_mp4, memory, fake_decord):
    fake_decord("os.abort()")
    index = verified_index(coded_mp4, "pyav", memory)
    assert index.verdicts == {}
    assert choose_decoder(index) == "pyav"
    assert verified_index(coded_mp4, "auto", memory).verdicts["decord"].startswith("decord crashes")


def test_disordered_times_become_even(write_coded, tmp_path, memory):
    path = write_coded(tmp_path / "x.avi", codec="mpeg4", options={"g": "12", "bf": "2"})
    index = verified_index(path, cache=memory)
    assert not index.audio
    np.testing.assert_allclose(index.timestamps, np.arange(48) / 25, atol=1e-6)


# ---- files that are refused -------------------------------------------------------------------


def test_an_mp4_without_its_end(coded_mp4, tmp_path):
    path = tmp_path / "x.mp4"
    content = coded_mp4.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert refusal(path) == "no index (moov): the file is cut short"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("name", ["x.mp4", "fragmented.mp4", "x.mkv", "x.webm", "x.avi"])
def test_a_file_that_is_cut_short(write_coded, tmp_path, name, share):
    codec = {"x.avi": "mjpeg", "x.webm": "libvpx-vp9"}.get(name, "libx264")
    pix_fmt = "yuvj420p" if name == "x.avi" else "yuv420p"
    movflags = {"x.mp4": "faststart", "fragmented.mp4": "frag_keyframe+empty_moov"}.get(name)
    path = write_coded(
        tmp_path / name,
        codec=codec,
        pix_fmt=pix_fmt,
        num_frames=100,
        container_options={"movflags": movflags} if movflags else None,
    )
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    reason = refusal(path)
    if reason == "cut short: none of its frames can be decoded":
        assert share == 0.3
        return
    found = re.fullmatch(
        r"cut short or damaged: only (\d+) of about (\d+) frames can be decoded", reason
    )
    assert 0 < int(found[1]) < int(found[2]) <= 100


@pytest.mark.parametrize("name", ["x.mkv", "x.avi"])
def test_only_the_end_of_the_container_is_missing(write_coded, tmp_path, memory, name):
    codec = "mjpeg" if name == "x.avi" else "libx264"
    pix_fmt = "yuvj420p" if name == "x.avi" else "yuv420p"
    path = write_coded(tmp_path / name, codec=codec, pix_fmt=pix_fmt)
    path.write_bytes(path.read_bytes()[:-20])
    assert verified_index(path, cache=memory).num_frames == 48


def overwrite_packet(path: Path, number: int, part: slice, value: int = 0xFF) -> None:
    """Overwrite a part of the packet of one frame with one value."""
    with av.open(str(path)) as file:
        packet = [packet for packet in file.demux(video=0) if packet.size][number]
        start, size = packet.pos, packet.size
    content = bytearray(path.read_bytes())
    places = range(start, start + size)[part]
    content[places.start : places.stop] = bytes([value]) * len(places)
    path.write_bytes(content)


def test_damage_names_the_frame(write_coded, tmp_path):
    path = write_coded(tmp_path / "x.mp4", options={"g": "12", "bf": "0"})
    overwrite_packet(path, 30, slice(None))
    assert refusal(path).startswith("damaged at frame 30 of about 48: Invalid data")


def test_concealed_damage_is_left_to_pyav(write_coded, tmp_path, fake_decord, memory):
    path = write_coded(tmp_path / "x.mp4", options={"g": "12", "bf": "0"})
    overwrite_packet(path, 30, slice(60, 64), 0x55)
    fake_decord(FRAMES)
    index = verified_index(path, cache=memory)
    assert index.num_frames == 48
    assert index.verdicts["decord"].startswith("decord conceals this file's damage in its own way")
    assert choose_decoder(index) == "pyav"


def test_sound_only(tmp_path):
    path = tmp_path / "x.m4a"
    with av.open(str(path), "w", format="mp4") as file:
        voice = file.add_stream("aac", rate=16000, layout="mono")
        tone = av.AudioFrame.from_ndarray(
            np.zeros((1, 16000), np.float32), format="fltp", layout="mono"
        )
        tone.sample_rate, tone.pts = 16000, 0
        file.mux(voice.encode(tone))
        file.mux(voice.encode())
    assert refusal(path) == "no video stream (only sound, text or a cover picture)"


def test_the_size_changes(write_coded, tmp_path):
    first = write_coded(tmp_path / "a.ts", num_frames=24, size=(128, 96))
    second = write_coded(tmp_path / "b.ts", num_frames=24, size=(256, 192))
    path = tmp_path / "x.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    assert refusal(path) == "size changes from 128×96 to 256×192 at frame 24"


def test_an_encrypted_file(coded_mp4, tmp_path):
    path = tmp_path / "x.mp4"
    path.write_bytes(coded_mp4.read_bytes().replace(b"avc1\0", b"encv\0"))
    assert refusal(path) == "encrypted (DRM): its frames cannot be decoded"


def test_a_playlist_inside_a_video_name_reads_no_other_file(coded_mp4, tmp_path):
    path = tmp_path / "x.mp4"
    path.write_text(f"ffconcat version 1.0\nfile '{coded_mp4}'\n")
    assert refusal(path) == "not a video: a playlist (ffconcat)"


# ---- decoders that hang, abort or lie ---------------------------------------------------------


def test_a_right_decoder_is_trusted(coded_mp4, fake_decord, memory):
    fake_decord(FRAMES)
    assert verified_index(coded_mp4, cache=memory).verdicts == {"decord": ""}


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (
            "return self.frames[np.maximum(indices - 1, 0)]",
            "decord reads other frames than the file holds, first at frame 1",
        ),
        # Only after a jump to a key frame.
        (
            "before = np.concatenate([[-9], indices[:-1]])\n"
            "        jumped = (indices == 24) & (before != 23)\n"
            "        return self.frames[np.where(jumped, 23, indices)]",
            "decord reads other frames than the file holds, first at frame 24",
        ),
        (
            "return self.frames[np.minimum(indices, 46)]",
            "decord reads other frames than the file holds, first at frame 47",
        ),
        ("return self.frames[indices, :, :64]", "decord gives frames of shape (96, 64, 3)"),
        ("raise RuntimeError('broken\\nfile')", "decord cannot read this file: broken file"),
    ],
)
def test_a_wrong_decoder_is_not_trusted(coded_mp4, fake_decord, memory, codes, body, verdict):
    fake_decord(body)
    index = verified_index(coded_mp4, cache=memory)
    assert index.verdicts["decord"].startswith(verdict)
    assert choose_decoder(index) == "pyav"
    with VideoReader(coded_mp4, cache=memory) as video:
        assert codes(video.read([24, 47, 1])) == [24, 47, 1]
    with pytest.raises(VideoError) as error:
        VideoReader(coded_mp4, "decord", cache=memory)
    assert error.value.reason == f"{index.verdicts['decord']}; use decoder: auto or pyav"


def test_another_count_is_not_trusted(coded_mp4, fake_decord, memory):
    fake_decord(FRAMES, "self.frames = self.frames[:-1]")
    verdict = verified_index(coded_mp4, cache=memory).verdicts["decord"]
    assert verdict == "decord counts 47 frames, the file holds 48"


def test_slightly_other_colours_are_trusted_but_not_a_still_neighbour(
    write_coded, tmp_path, fake_decord, memory
):
    path = write_coded(tmp_path / "x.mp4")
    fake_decord("return np.clip(self.frames[indices].astype(int) + 1, 0, 255).astype(np.uint8)")
    assert verified_index(path, cache=memory).verdicts == {"decord": ""}


@pytest.mark.parametrize("place", ["opening", "reading"])
@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        ("os.abort()", "decord crashes on this file (SIGABRT)"),
        ("os.kill(os.getpid(), 11)", "decord crashes on this file (SIGSEGV)"),
        ("os._exit(3)", "decord crashes on this file (exit code 3)"),
        ("time.sleep(1000)", "decord hangs on this file (no answer in "),
    ],
)
def test_a_hang_or_abort_costs_one_file(
    coded_mp4, write_coded, fake_decord, memory, codes, tmp_path, place, fault, verdict
):
    fake_decord(fault if place == "reading" else FRAMES, fault if place == "opening" else "pass")
    index = verified_index(coded_mp4, cache=memory, time_limit=1.0)
    assert index.verdicts["decord"].startswith(verdict)
    with VideoReader(coded_mp4, cache=memory) as video:
        assert video.decoder == "pyav"
        assert codes(video.read([9, 40])) == [9, 40]
    other = write_coded(tmp_path / "other.avi", codec="mpeg4", num_frames=12)
    assert verified_index(other, cache=memory).num_frames == 12


def test_noise_of_decoders_is_not_shown(coded_mp4, fake_decord, memory, capfd):
    fake_decord("os.write(1, b'noise'); os.write(2, b'noise'); print('noise'); " + FRAMES)
    assert verified_index(coded_mp4, cache=memory).verdicts == {"decord": ""}
    assert capfd.readouterr() == ("", "")


@pytest.mark.real
@pytest.mark.skipif(not installed_version("decord"), reason="decord has no wheel")
def test_recorded_hang_abort_and_shape(real_data, memory):
    odd = real_data / "odd_videos"
    verified_index(odd / "made_decord_hang.ts", cache=memory)
    with pytest.raises(VideoError, match="decord (conceals|hangs|counts)"):
        verified_index(odd / "made_decord_hang.ts", "decord", memory, time_limit=3)
    with pytest.raises(VideoError, match=r"decord crashes on this file \(SIGABRT\)"):
        verified_index(odd / "made_decord_abort.mp4", "decord", memory)
    with pytest.raises(VideoError, match="decord "):
        verified_index(odd / "made_decord_badshape_16x16.mp4", "decord", memory)
    for name, frames in (("made_decord_abort.mp4", 2), ("made_decord_badshape_16x16.mp4", 60)):
        index = verified_index(odd / name, cache=memory)
        assert (index.num_frames, choose_decoder(index)) == (frames, "pyav_seek")


# ---- the child --------------------------------------------------------------------------------


@pytest.fixture
def verifier():
    made = Verifier()
    yield made
    made.close()


def test_one_child_serves_many_files(coded_mp4, verifier):
    assert verifier.child_pid is None
    assert isinstance(verifier.check(str(coded_mp4), "mp4", None), VideoIndex)
    first = verifier.child_pid
    assert isinstance(verifier.check(str(coded_mp4), "mp4", None), VideoIndex)
    assert verifier.child_pid == first
    assert first is not None
    verifier.close()
    assert not alive(first)


def test_a_killed_child_is_replaced(coded_mp4, verifier):
    verifier.check(str(coded_mp4), "mp4", None)
    first = verifier.child_pid
    os.kill(first, signal.SIGKILL)
    assert wait_for(lambda: not alive(first))
    assert verifier.check(str(coded_mp4), "mp4", None).num_frames == 48
    assert verifier.child_pid != first


def test_a_child_that_is_killed_at_work_is_no_verdict(coded_mp4, fake_decord, tmp_path, memory):
    mark = tmp_path / "mark"
    # Killed at the first reading only.
    fake_decord(
        f"first = not os.path.exists({str(mark)!r}); open({str(mark)!r}, 'w').close()\n"
        "        if first: os.kill(os.getpid(), 9)\n        " + FRAMES
    )
    assert verified_index(coded_mp4, cache=memory).verdicts == {"decord": ""}


def test_a_child_that_is_always_killed_is_an_error_that_is_not_remembered(
    coded_mp4, fake_decord, memory
):
    fake_decord("os.kill(os.getpid(), 9)")
    with pytest.raises(VideoError, match=r"was killed twice \(SIGKILL\); is there enough memory"):
        verified_index(coded_mp4, cache=memory)
    assert verified_index(coded_mp4, "pyav", memory).num_frames == 48


def test_a_file_that_vanishes_is_an_error_that_is_not_remembered(tmp_path, verifier):
    with pytest.raises(VideoError, match="cannot be checked: FileNotFoundError"):
        verifier.check(str(tmp_path / "gone.mp4"), "mp4", None)


def test_a_child_of_a_thread_that_ended(coded_mp4, verifier):
    thread = threading.Thread(target=verifier.check, args=(str(coded_mp4), "mp4", None))
    thread.start()
    thread.join()
    assert verifier.check(str(coded_mp4), "mp4", None).num_frames == 48


def test_too_little_memory_is_a_refusal(write_coded, tmp_path):
    path = write_coded(tmp_path / "x.mp4", codec="mpeg4", size=(8000, 4000), num_frames=3)
    small = Verifier(memory_bytes=400 << 20)
    try:
        assert small.check(str(path), "mp4", "decord") == "needs more memory than a check may use"
    finally:
        small.close()


def test_no_orphan_when_the_parent_is_killed(coded_mp4, fake_decord, tmp_path):
    mark = tmp_path / "hanging"
    fake_decord(f"open({str(mark)!r}, 'w').close()\n        while True: pass")
    code = (
        "import sys\n"
        "from videolit.data.verify import Verifier\n"
        "verifier = Verifier()\n"
        "verifier.check(sys.argv[1], 'mp4', None)\n"
        "print(verifier.child_pid, flush=True)\n"
        "verifier.check(sys.argv[1], 'mp4', 'decord', time_limit=500)\n"
    )
    paths = os.pathsep.join(filter(None, sys.path))
    with subprocess.Popen(
        [sys.executable, "-c", code, str(coded_mp4)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    ) as parent:
        child = int(parent.stdout.readline())
        assert wait_for(mark.exists)
        assert alive(child)
        parent.kill()
        parent.wait()
        gone = wait_for(lambda: not alive(child))
        if not gone:
            os.kill(child, signal.SIGKILL)
    assert gone


def test_the_child_ends_when_its_input_does():
    with subprocess.Popen(
        [sys.executable, "-m", "videolit.data.verify", str(os.getpid()), str(8 << 30)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ) as child:
        assert json.loads(child.stdout.readline()) == {"ready": True}
        child.stdin.close()
        assert child.wait(timeout=20) == 0


def test_the_child_does_not_import_torch():
    code = "import sys; import videolit.data.verify, videolit.data.examine; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"


# ---- the cache --------------------------------------------------------------------------------


@pytest.fixture
def never_check(monkeypatch):
    """Makes any further check fail."""

    def forbid():
        def check(self, *args, **options):
            raise AssertionError("the file was checked again")

        monkeypatch.setattr(Verifier, "check", check)

    return forbid


def test_a_file_is_checked_once(coded_mp4, tmp_path, never_check):
    index = verified_index(coded_mp4, cache=IndexCache(tmp_path / "cache"))
    never_check()
    assert verified_index(coded_mp4, cache=IndexCache(tmp_path / "cache")) == index
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_the_shared_cache_is_the_folder_of_the_variable(coded_mp4, tmp_path, monkeypatch):
    monkeypatch.setenv("VIDEOLIT_CACHE", str(tmp_path / "here"))
    verified_index(coded_mp4)
    assert len(list((tmp_path / "here").rglob("*.json"))) == 1
    monkeypatch.delenv("VIDEOLIT_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert shared_cache().folder == tmp_path / ".cache" / "videolit"


def test_a_changed_file_is_checked_again(coded_mp4, write_coded, tmp_path):
    path, cache = tmp_path / "x.mp4", IndexCache(tmp_path / "cache")
    path.write_bytes(coded_mp4.read_bytes())
    assert verified_index(path, cache=cache).num_frames == 48
    write_coded(path, num_frames=20)
    assert verified_index(path, cache=cache).num_frames == 20


def test_refusals_are_remembered(coded_mp4, tmp_path, never_check):
    path = tmp_path / "x.mp4"
    content = coded_mp4.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    folder = tmp_path / "cache"
    with pytest.raises(VideoError) as first:
        verified_index(path, cache=IndexCache(folder))
    never_check()
    with pytest.raises(VideoError) as second:
        verified_index(path, cache=IndexCache(folder))
    assert str(first.value) == str(second.value)


def test_a_missing_file_is_not_remembered(coded_mp4, tmp_path):
    path, cache = tmp_path / "x.mp4", IndexCache(tmp_path / "cache")
    with pytest.raises(VideoError, match="no such file"):
        verified_index(path, cache=cache)
    path.write_bytes(coded_mp4.read_bytes())
    assert verified_index(path, cache=cache).num_frames == 48


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"key": 1}', b"\xff\xfe", b"null"])
def test_a_broken_entry_counts_as_none(coded_mp4, tmp_path, content):
    cache = IndexCache(tmp_path / "cache")
    index = verified_index(coded_mp4, cache=cache)
    (entry,) = (tmp_path / "cache").rglob("*.json")
    entry.write_bytes(content)
    assert verified_index(coded_mp4, cache=cache) == index
    assert json.loads(entry.read_bytes())["path"] == str(coded_mp4)


def test_a_folder_that_cannot_be_written_is_warned_of_once(coded_mp4, tmp_path, never_check):
    (tmp_path / "cache").write_text("a file where the folder should be")
    cache = IndexCache(tmp_path / "cache")
    with pytest.warns(UserWarning, match="cannot write the index cache .*set VIDEOLIT_CACHE"):
        verified_index(coded_mp4, "pyav", cache)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        index = verified_index(coded_mp4, cache=cache)
    never_check()
    assert verified_index(coded_mp4, cache=cache) == index


def test_a_verdict_is_added_to_a_known_record(coded_mp4, tmp_path, fake_decord):
    cache = IndexCache(tmp_path / "cache")
    assert verified_index(coded_mp4, "pyav", cache).verdicts == {}
    fake_decord(FRAMES)
    assert verified_index(coded_mp4, "auto", cache).verdicts == {"decord": ""}
    assert verified_index(coded_mp4, "pyav", cache).verdicts == {"decord": ""}
