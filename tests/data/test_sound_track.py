"""Sound of all kinds of files: its samples, its times, and what there is instead of it."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction

import av
import numpy as np
import pytest

from videolit.data.decoders import InOrderFrames
from videolit.data.sniff_sound import sniff_sound
from videolit.data.sound_track import iter_ranges, iter_sound, read_sound, why_unusable
from videolit.data.sound_writer import write_video_with_sound
from videolit.data.writer import write_video
from videolit.types import InputError, VideoError

RATE = 16_000
# Suffix, codec, sampling rate, whether it gives back what went in.
FORMATS = [
    ("wav", "pcm_s16le", 44_100, True),
    ("flac", "flac", 48_000, True),
    ("aiff", "pcm_s16be", 22_050, True),
    ("mp3", "libmp3lame", 44_100, False),
    ("ogg", "libopus", 48_000, False),
    ("m4a", "aac", 44_100, False),
    ("aac", "aac", 16_000, False),
    ("mkv", "aac", 44_100, False),
    ("webm", "libopus", 48_000, False),
    ("ts", "aac", 48_000, False),
]


def tune(seconds, rate):
    """A tone that rises from 100 Hz to 2 kHz within each second, so that no time is like another."""
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * (100 * time + 1900 / 2 * (time % 1) ** 2)
    return (0.3 * np.sin(phase) * (0.3 + 0.7 * np.sin(time) ** 2)).astype(np.float32)


def write(path, codec, rate, sound, *, starts=(0,), layout="mono", picture=False):
    """Encode sound (channels, N); with a gap it is given as several pieces and where each starts."""
    pieces = sound if isinstance(sound, list) else [sound]
    with av.open(str(path), "w") as file:
        if picture:
            stream = file.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        voice = file.add_stream(codec, rate=rate)
        voice.codec_context.layout = layout
        form = voice.codec_context.format.name
        if picture:
            for index in range(50):
                frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                file.mux(stream.encode(frame))
            file.mux(stream.encode())
        resampler = av.AudioResampler(form, layout, rate, voice.codec_context.frame_size or None)
        for start, piece in zip(starts, pieces, strict=True):
            piece = np.atleast_2d(piece)
            for at in range(0, piece.shape[1], 1024):
                part = np.ascontiguousarray(piece[:, at : at + 1024])
                frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
                frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                frame.pts = start + at
                for ready in resampler.resample(frame):
                    file.mux(voice.encode(ready))
        for ready in resampler.resample(None):
            file.mux(voice.encode(ready))
        file.mux(voice.encode())
    return path


def ideal(found, seconds):
    """The tune at 16 kHz, as long as what was found."""
    expected = tune(seconds, RATE)
    return np.pad(expected, (0, max(len(found) - len(expected), 0)))[: len(found)]


def lag(found, expected):
    """By how many samples one comes after the other, to a tenth of a sample."""
    size = 2 * len(found)
    ratio = np.fft.rfft(found, size) * np.conj(np.fft.rfft(expected, size))
    fine = np.fft.irfft(ratio, 10 * size)
    at = int(np.argmax(fine))
    return (at if at < 5 * size else at - 10 * size) / 10


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Each format, 20 s, named so that the name tells nothing."""
    folder = tmp_path_factory.mktemp("formats")
    found = {}
    for suffix, codec, rate, _ in FORMATS:
        path = write(folder / f"x.{suffix}", codec, rate, tune(20, rate))
        found[suffix] = path.rename(folder / f"{suffix}.bin")
    return found


@pytest.fixture(scope="module")
def wholes(files):
    """What is read of each format."""
    return {suffix: read_sound(path) for suffix, path in files.items()}


@pytest.mark.parametrize(("suffix", "codec", "rate", "exact"), FORMATS)
def test_every_format_gives_the_sound_at_its_times(wholes, suffix, codec, rate, exact):
    sound = wholes[suffix]
    assert sound.samples.dtype == np.float32
    assert (sound.sample_rate, sound.state, sound.problem, sound.start) == (RATE, "ok", "", 0)
    assert 20 <= len(sound.samples) / RATE + 1e-3
    # Raw AAC and MPEG-TS have no place to say how much its encoder put first.
    late = 1024 * RATE / rate if suffix in ("aac", "ts") else 0
    assert len(sound.samples) / RATE <= 20.12
    assert abs(lag(sound.samples, ideal(sound.samples, 20)) - late) <= 1
    if exact:
        error = np.abs(sound.samples - ideal(sound.samples, 20))
        # The filter of the resampler meets the ends and the jumps of the tune.
        assert np.quantile(error, 0.95) < 2e-4
        assert len(sound.samples) == 20 * RATE


@pytest.mark.parametrize("suffix", [form[0] for form in FORMATS])
def test_a_range_is_that_part_of_the_whole(files, wholes, suffix):
    whole = wholes[suffix].samples
    for start, end in ((0.0, 1.0), (3.3337, 4.1), (11.11, 12.98), (17.0, 21.5)):
        part = read_sound(files[suffix], start=start, end=end)
        first, last = round(start * RATE), round(end * RATE)
        assert part.start == start
        assert len(part.samples) == last - first
        expected = np.pad(whole, (0, 3 * RATE))[first:last]
        # AAC's noise substitution (ISO/IEC 14496-3, 4.6.13) is drawn anew after a jump.
        limit = 0.02 if suffix in ("m4a", "mkv") else 0.0
        assert np.abs(part.samples - expected).max() <= limit
        assert np.square(part.samples - expected).mean() <= 1e-5 * np.square(expected).mean()
    tail = read_sound(files[suffix], start=18.0).samples
    assert len(tail) == len(whole) - 18 * RATE


@pytest.mark.parametrize("suffix", ["mp3", "mkv", "flac"])
def test_pieces_join_to_the_whole(files, wholes, suffix):
    whole = wholes[suffix]
    for seconds in (0.7, 100.0):
        pieces = list(iter_sound(files[suffix], seconds))
        assert np.array_equal(np.concatenate([p.samples for p in pieces]), whole.samples)
        assert [p.start for p in pieces] == pytest.approx(np.arange(len(pieces)) * seconds)
        assert all(len(p.samples) == round(seconds * RATE) for p in pieces[:-1])


@pytest.mark.parametrize("suffix", ["wav", "mp3", "m4a", "mkv"])
def test_ranges_in_one_pass_are_those_that_are_read_one_by_one(files, wholes, suffix):
    # They overlap, touch, jump far ahead, and reach beyond the end.
    ranges = [(0, 2), (0.5, 1.0), (1.3, 3.33), (3.33, 4), (12, 13.7), (19, 21), (30, 31)]
    found = list(iter_ranges(files[suffix], ranges))
    whole = np.pad(wholes[suffix].samples, (0, 12 * RATE))
    for (start, end), sound in zip(ranges, found, strict=True):
        low, high = round(start * RATE), round(end * RATE)
        assert len(sound.samples) == high - low
        # Noise that AAC draws anew after a jump, as above.
        limit = 0.02 if suffix in ("m4a", "mkv") else 0.0
        assert np.abs(sound.samples - whole[low:high]).max() <= limit
        assert sound.start == start
    assert [why_unusable(sound) for sound in found] == [""] * 6 + ["the sound is silent"]
    with pytest.raises(InputError, match="must ascend, got 1 s after a later one"):
        list(iter_ranges(files[suffix], [(2, 3), (1, 2)]))


def test_memory_does_not_grow_with_the_length(tmp_path):
    path = write(tmp_path / "x.wav", "pcm_s16le", 8000, tune(100, 8000))
    tracemalloc.start()
    count = sum(len(p.samples) for p in iter_sound(path, 2.0, sample_rate=8000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 100 * 8000
    # The whole is 3.2 MB.
    assert peak < 1e6


def test_channels_are_averaged(tmp_path):
    left, right = tune(1, RATE), np.full(RATE, 0.25, np.float32)
    path = write(tmp_path / "x.wav", "pcm_f32le", RATE, np.stack([left, right]), layout="stereo")
    found = read_sound(path).samples
    np.testing.assert_allclose(found, (left + right) / 2, atol=1e-6)
    # Two equal channels are as loud as one: none is clipped.
    path = write(tmp_path / "y.wav", "pcm_f32le", RATE, np.stack([3 * left] * 2), layout="stereo")
    np.testing.assert_allclose(read_sound(path).samples, 3 * left, atol=1e-6)


def test_values_that_are_no_sound(tmp_path):
    broken = tune(1, RATE)
    broken[100], broken[200], broken[300], broken[400] = np.nan, np.inf, -np.inf, 7
    path = write(tmp_path / "x.wav", "pcm_f32le", RATE, broken)
    found = read_sound(path).samples
    assert found[[100, 200, 300, 400]].tolist() == [0, 1, -1, 1]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_late_sound_and_gaps_are_zeros(tmp_path, suffix):
    first, second = tune(0.5, RATE), tune(0.5, RATE)
    # At 0.4 s and, after a gap of 0.3 s, at 1.2 s, in whole frames of AAC.
    starts = (6 * 1024, 19 * 1024)
    path = write(
        tmp_path / f"x.{suffix}",
        "aac",
        RATE,
        [first[: 7 * 1024], second[: 7 * 1024]],
        starts=starts,
        picture=True,
    )
    found = read_sound(path).samples
    expected = np.zeros(len(found))
    for start in starts:
        expected[start : start + 7 * 1024] = first[: 7 * 1024]
    assert np.abs(found[: starts[0] - 2100]).max() < 1e-3
    assert np.abs(found[15 * 1024 : 17 * 1024]).max() < 1e-3
    for start in starts:
        part = slice(start + 1024, start + 6 * 1024)
        # Matroska has times in ms.
        assert abs(lag(found[part], expected[part])) <= 8
    # By its own clock it begins at once.
    own = read_sound(path, clock="sound").samples
    assert abs(len(found) - len(own) - starts[0]) <= 1100
    later = read_sound(path, start=1.0, end=1.5).samples
    assert np.array_equal(later, found[RATE : RATE + RATE // 2])


@pytest.mark.parametrize("fps", [25, 10])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_click_is_heard_with_its_flash(tmp_path, fps, suffix):
    times = [0.4, 1.2, 2.8]
    frames = np.zeros((round(4 * fps), 48, 64, 3), np.uint8)
    sound = np.zeros(4 * 48_000, np.float32)
    for time in times:
        frames[round(time * fps)] = 255
        sound[round(time * 48_000) :][:480] = 0.8 * np.sin(np.arange(480) / 4)
    path = write_video_with_sound(tmp_path / f"x.{suffix}", frames, fps, sound, 48_000)
    with InOrderFrames(str(path), suffix) as source:
        flashes = [f.time for f in source.decode() if f.to_ndarray(format="gray").mean() > 128]
    samples = read_sound(path).samples
    loud = np.flatnonzero(np.abs(samples) > 0.3) / RATE
    clicks = [float(loud[0]), *loud[1:][np.diff(loud) > 0.1]]
    assert clicks == pytest.approx(flashes, abs=0.005)
    assert clicks == pytest.approx(times, abs=0.005)


def test_no_sound_is_a_state(tmp_path):
    mute = write_video(tmp_path / "x.mp4", np.zeros((12, 32, 48, 3), np.uint8), 10)
    assert read_sound(mute)[2:] == ("missing", "the file has no sound", 0.0)
    part = read_sound(mute, start=1, end=1.5)
    assert (len(part.samples), part.samples.any(), part.start) == (RATE // 2, False, 1)
    pieces = list(iter_sound(mute, 1.0))
    assert [(p.state, len(p.samples)) for p in pieces] == [("missing", 0)]
    quiet = np.random.default_rng(0).integers(-1, 2, RATE) / 32768
    for number, samples in enumerate((np.zeros(RATE), quiet)):
        path = write(tmp_path / f"{number}.wav", "pcm_s16le", RATE, samples.astype(np.float32))
        assert read_sound(path).state == "silent"
    beyond = read_sound(path, start=5, end=6)
    assert (beyond.state, len(beyond.samples)) == ("silent", RATE)


def test_damage_is_a_state(files, tmp_path):
    content = bytearray(files["flac"].read_bytes())
    half = len(content) // 2
    cut = tmp_path / "cut.flac"
    cut.write_bytes(content[:half])
    sound = read_sound(cut)
    assert sound.state == "ok"
    assert 0.3 < len(sound.samples) / RATE / 20 < 0.7
    content[half : half + 3000] = b"\x55" * 3000
    hurt = tmp_path / "hurt.flac"
    hurt.write_bytes(content)
    sound = read_sound(hurt)
    assert sound.state == "ok"
    assert abs(len(sound.samples) - 20 * RATE) <= RATE // 2
    # What comes after the damage is where it was.
    assert abs(lag(sound.samples[-3 * RATE :], tune(20, RATE)[-3 * RATE :])) <= 1
    header = tmp_path / "header.wav"
    header.write_bytes(b"RIFF\x10\0\0\0WAVEfmt ")
    sound = read_sound(header, end=1)
    assert (sound.state, len(sound.samples)) == ("broken", RATE)
    assert sound.problem.startswith("its sound cannot be decoded")


def test_torchcodec_gives_the_same(files, wholes):
    try:
        import torchcodec  # noqa: F401
    except (ImportError, OSError, RuntimeError) as problem:
        pytest.skip(f"torchcodec cannot be imported: {str(problem).splitlines()[0]}")
    for suffix in ("wav", "flac", "aiff", "mp3", "ogg", "m4a", "aac", "webm", "ts"):
        one = wholes[suffix]
        two = read_sound(files[suffix], decoder="torchcodec")
        assert len(one.samples) == len(two.samples)
        assert np.abs(one.samples - two.samples).max() <= 1e-6
        part = read_sound(files[suffix], start=2.5, end=30, decoder="torchcodec").samples
        count = len(one.samples)
        assert np.array_equal(part[: count - 40_000], two.samples[40_000:])
        assert not part[count - 40_000 + 1 :].any()
    # FFmpeg 5, which Debian has, rounds what Matroska says of the encoder's delay to milliseconds;
    # the one in PyAV does not.
    theirs = read_sound(files["mkv"], decoder="torchcodec").samples
    assert abs(lag(theirs, ideal(theirs, 20))) <= RATE // 1000


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"RF64\xff\xff\xff\xffWAVEds64", "wav"),
        (b"FORM\0\0\0\0AIFC", "aiff"),
        (b"ID3\x04\0\0", "id3"),
        (b"\xff\xfb\x90\x64", "mp3"),
        (b"\xff\xf3\x48\xc4", "mp3"),
        (b"\xff\xf1\x50\x80", "aac"),
        (b"\xff\xf9\x50\x80", "aac"),
    ],
)
def test_first_bytes_of_sound(tmp_path, content, kind):
    path = tmp_path / "x"
    path.write_bytes(content + bytes(100))
    assert sniff_sound(path) == kind


def test_kinds_of_files(files):
    names = {suffix: sniff_sound(path) for suffix, path in files.items()}
    same = ("wav", "flac", "aiff", "ogg", "aac", "mkv", "webm", "ts")
    assert names == {**{name: name for name in same}, "m4a": "mp4", "mp3": "id3"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"#EXTM3U\nhttp://x/y.mp3\n", r"neither video nor sound: a playlist \(HLS\)"),
        (b"ffconcat version 1.0\nfile x.wav\n", "neither video nor sound: a playlist"),
        (b"\xff\xd8\xff\xe0" + bytes(50), "neither video nor sound: a JPEG image"),
        ("some text".encode("utf-16"), "neither video nor sound: unknown first bytes"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "neither video nor sound: a WebP image"),
        (b"\xff\xff\xff\xff" + bytes(50), "neither video nor sound: unknown"),
        (b"", "is empty"),
    ],
)
def test_what_is_no_sound_is_refused(tmp_path, content, reason):
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=reason):
        read_sound(path)


def test_refusals(files, tmp_path):
    path = files["wav"]
    for name in ("http://example.org/x.mp3", str(tmp_path / "gone.wav")):
        with pytest.raises(VideoError, match="no such file"):
            read_sound(name)
    with pytest.raises(VideoError, match="is a folder, expected a video or sound file"):
        read_sound(tmp_path)
    with pytest.raises(InputError, match="sample_rate must be in 1000 to 192000 per second, got 1"):
        read_sound(path, sample_rate=1)
    with pytest.raises(InputError, match="clock must be 'picture' or 'sound', got 'wall'"):
        read_sound(path, clock="wall")
    with pytest.raises(InputError, match="decoder must be 'pyav' or 'torchcodec', got 'x'"):
        read_sound(path, decoder="x")
    for start, end in ((-1, None), (2, 1), (0, float("nan")), (float("inf"), None)):
        with pytest.raises(InputError, match="expected 0 <= start <= end"):
            read_sound(path, start=start, end=end)
    with pytest.raises(InputError, match="seconds must be at least one sample"):
        next(iter_sound(path, 0))
