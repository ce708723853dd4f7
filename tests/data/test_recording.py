"""Windows of a recording: what is in them, at which time, and why something is not."""

from __future__ import annotations

import math
from fractions import Fraction

import av
import numpy as np
import pytest
from sentiment_files import RATE, write_wav

from videolit.data.index import IndexCache
from videolit.data.recording import WindowSamples, open_recording
from videolit.data.sentiment_records import Utterance
from videolit.data.sound_writer import write_video_with_sound
from videolit.data.transcripts import Line
from videolit.data.utterance_media import read_picture, read_voice
from videolit.data.words import WordTokenizer, split_words
from videolit.data.writer import write_video
from videolit.ops.tokens import SEPARATOR
from videolit.ops.windows import slide_time
from videolit.types import ClipSpec, UtteranceSpec, VideoError

ALL = ("video", "sound", "text")
CLIP = ClipSpec(sampling="whole", num_frames=100, fps=25.0, size=16, resize=20)
SPEC = UtteranceSpec(max_seconds=10.0, max_tokens=20)
WORDS = WordTokenizer.train(["one two three four five six seven eight"], min_count=1)


def windows_of(path, lines=None, *, window=2.0, hop=1.0, names=ALL, clip=CLIP, spec=SPEC):
    cache = IndexCache(None)
    found = open_recording(path, lines, names, cache=cache, checking=lambda what: None)
    times = slide_time(found.duration, window, hop)
    more = {"clip": clip, "tokenizer": WORDS, "cache": cache}
    return found, WindowSamples(found, *times, names, spec, **more)


def talk(seconds, fps=25, seed=0):
    """Frames that are all different, and sound."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(256, size=(round(seconds * fps), 24, 40, 3)).astype(np.uint8)
    return frames, hum(seconds)


def hum(seconds):
    """A tone of 200 Hz."""
    return (0.4 * np.sin(2 * np.pi * 200 * np.arange(round(seconds * RATE)) / RATE)).astype("f4")


def write_late(path, flash, *, picture=0.0, sound=0.0, seconds=6.0, rotation=0, gaps=False):
    """A video whose streams begin at some times, with a white frame and a click at one moment.

    With gaps, its frames come at uneven times.
    """
    rng = np.random.default_rng(0)
    times = np.arange(round(25 * (seconds - picture))) / 25 + picture
    if gaps:
        times = np.concatenate([times[:1], times[1:][rng.random(len(times) - 1) < 0.5]])
        times = np.sort(np.append(times[np.abs(times - flash) > 0.045], flash))
    samples = np.zeros(round(RATE * (seconds - sound)), np.float32)
    at = round(RATE * (flash - sound))
    samples[at : at + 160] = 0.9
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"g": "12"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        voice = file.add_stream("aac", rate=RATE, layout="mono")
        for time in times.tolist():
            shade = 250 if abs(time - flash) < 1e-6 else 10
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade, np.uint8), "rgb24")
            frame.pts, frame.time_base = round(1000 * time), Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
        for first in range(0, len(samples), 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, first : first + 1024], "fltp", "mono")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = first + round(sound * RATE)
            file.mux(voice.encode(frame))
        file.mux(voice.encode())
    return path


def test_windows_hold_what_utterances_of_their_times_do(tmp_path):
    path = write_video_with_sound(tmp_path / "talk.mp4", *_in_order(*talk(7.4)))
    for clip in (CLIP, ClipSpec(num_frames=3, size=16, resize=16, short="mask")):
        found, samples = windows_of(path, names=("video", "sound"), clip=clip)
        assert (found.measured, found.duration) == ("picture", pytest.approx(7.4))
        assert len(list(samples)) == len(samples) == 7
        for place, sample in enumerate(samples):
            start, end = float(samples.start[place]), float(samples.end[place])
            one = Utterance(id="one", path=str(path), start=start, end=end)
            picture = read_picture(one, clip, 10.0)
            assert np.array_equal(sample["values"]["video"], picture.frames)
            assert sample["seconds"]["video"] == pytest.approx(picture.seconds, abs=1e-5)
            voice = read_voice(one, RATE, 10.0).samples
            assert np.abs(sample["values"]["sound"] - voice).max() <= 1e-6
            assert sample["index"] == place
            assert sample["missing"] == {}


def _in_order(frames, sound):
    return frames, 25, sound, RATE


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"picture": 0.52},
        {"sound": 0.52},
        {"picture": 0.2, "sound": 0.8},
        {"rotation": 90},
        {"gaps": True},
        {"gaps": True, "picture": 0.4, "rotation": 180},
    ],
)
def test_a_flash_and_its_click_are_in_the_same_windows_at_the_same_time(tmp_path, settings):
    path = write_late(tmp_path / "late.mp4", 3.2, **settings)
    # Second 0 is the first frame.
    moment = 3.2 - settings.get("picture", 0.0)
    _, samples = windows_of(path, names=("video", "sound"), window=1.0, hop=0.5)
    seen = 0
    for place, sample in enumerate(samples):
        start, end = samples.start[place], samples.end[place]
        bright = sample["values"]["video"].mean((1, 2, 3)) > 128
        inside = start <= moment < end - 1e-9
        assert bright.any() == inside
        # A long tail is the codec's; a click is where it begins.
        loud = np.flatnonzero(np.abs(sample["values"].get("sound", np.zeros(1))) > 0.3)
        if inside:
            flash = float(sample["seconds"]["video"][bright.argmax()])
            assert start + flash == pytest.approx(moment, abs=0.02)
            assert start + loud[0] / RATE == pytest.approx(moment, abs=0.04)
            seen += 1
        else:
            assert len(loud) == 0
    assert seen == 2


def test_words_fall_into_the_windows_in_which_they_are_said(tmp_path):
    lines = [
        Line(0.0, 2.0, "one two", "Ann"),
        Line(2.5, 4.5, "three four five six", "Bob"),
        Line(8.5, 9.0, "seven"),
    ]
    found, samples = windows_of(None, lines, names=("text",), hop=2.0)
    assert (found.measured, found.duration) == ("transcript", 9.0)
    said = [" ".join(line.text for line in samples.said(k)) for k in range(len(samples))]
    assert said == ["one two", "three four five", "six", "", "seven"]
    words = list(samples)
    assert [sample["missing"] for sample in words[3:4]] == [
        {"text": "there are no words in this window"}
    ]
    assert words[3]["error"] == "text: there are no words in this window"
    assert not words[3]["counts"]
    # Words are spread over the time in which they are said, after their speaker.
    seconds = words[1]["seconds"]["text"]
    assert len(seconds) == 4
    assert seconds == pytest.approx(0.5 + 1.5 * (np.arange(4) + 0.5) / 4)


def test_what_was_said_before_a_window_is_its_context():
    lines = [Line(0, 1, "one two"), Line(1, 2, "three"), Line(2, 4, "four five"), Line(4, 6, "six")]
    spec = UtteranceSpec(context=2, max_tokens=50)
    _, samples = windows_of(None, lines, names=("text",), window=3.0, hop=3.0, spec=spec)
    parts = [
        [WORDS.tokens[token] for token in sample["values"]["text"] if token != SEPARATOR]
        for sample in samples
    ]
    speaker = WORDS.tokens[WORDS.speaker_id("")]
    first = ["one", "two", "three", "four"]
    assert parts[0] == [speaker, *first]
    # The word of a line that was said before the window, then the line before it.
    assert parts[1] == [speaker, "five", "six", speaker, "four", speaker, "three"]
    assert split_words("one two") == ["one", "two"]


def test_a_transcript_without_times_belongs_to_a_single_window(tmp_path):
    whole = [Line(0.0, math.inf, "one two three")]
    path = write_wav(tmp_path / "x.wav", hum(3.0))
    _, samples = windows_of(path, whole, names=("sound", "text"), window=4.0)
    (sample,) = samples
    assert len(sample["values"]["text"]) == 4
    assert sample["seconds"]["text"][-1] == pytest.approx(3.0 * 3.5 / 4)
    _, samples = windows_of(path, whole, names=("sound", "text"), window=1.0)
    reason = "the transcript has no times, so its words belong to no window"
    assert [sample["missing"] for sample in samples] == [{"text": reason}] * 3
    found, _ = windows_of(None, whole, names=("text",))
    assert (found.measured, found.duration) == ("words", pytest.approx(1.2))


def test_what_is_missing_has_its_reason(tmp_path):
    frames, sound = talk(4.0)
    path = write_video(tmp_path / "mute.mp4", frames, 25)
    found, _ = windows_of(path)
    assert found.absent == {"sound": "the file has no sound", "text": "no transcript was given"}
    path = write_wav(tmp_path / "voice.wav", sound)
    found, samples = windows_of(path, [])
    assert found.absent == {
        "video": "the file has sound only",
        "text": "the transcript has no words",
    }
    assert samples.modalities == ("sound",)
    found, _ = windows_of(None, [Line(0, 1, "one")])
    assert found.absent == {
        "video": "no video was given",
        "sound": "no file with sound was given",
    }
    # A damaged picture leaves the sound.
    path = write_video_with_sound(tmp_path / "whole.mp4", frames, 25, sound, RATE)
    content = bytearray(path.read_bytes())
    content[3000:9000] = bytes(6000)
    (tmp_path / "damaged.mp4").write_bytes(content)
    found, _ = windows_of(tmp_path / "damaged.mp4", names=("video", "sound"))
    assert found.absent["video"].startswith("the picture cannot be read: ")
    with pytest.raises(VideoError, match="no such file"):
        windows_of(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("words")
    with pytest.raises(VideoError, match="neither video nor sound: text"):
        windows_of(tmp_path / "text.mp4")


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("x.m4a", "aac"),
        ("x.ogg", "flac"),
        ("x.opus", "libopus"),
        ("x.wma", "wmav2"),
        ("x.mka", "aac"),
        ("x.webm", "libopus"),
    ],
)
def test_sound_in_a_container_of_videos_is_no_fault(tmp_path, name, codec):
    path, rate = tmp_path / name, 48_000
    tone = 0.4 * np.sin(np.arange(2 * rate, dtype=np.float32) / 12)
    with av.open(str(path), "w", format="asf" if name == "x.wma" else None) as file:
        stream = file.add_stream(codec, rate=rate, layout="stereo")
        stream.bit_rate = 128_000
        frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), "fltp", "stereo")
        frame.sample_rate, frame.pts = rate, 0
        resampler = av.AudioResampler(stream.format, "stereo", rate, stream.frame_size or 1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(piece))
        file.mux(stream.encode())
    found, _ = windows_of(path, names=("video", "sound"))
    assert found.absent == {"video": "the file has sound only"}
    assert found.duration == pytest.approx(2, abs=0.15)


def test_sound_that_cannot_be_decoded_is_told_once(tmp_path):
    path = tmp_path / "header.wav"
    path.write_bytes(b"RIFF\x10\0\0\0WAVEfmt ")
    found, _ = windows_of(path, names=("sound",))
    assert found.absent["sound"].startswith("its sound cannot be decoded: ")
    assert found.absent["sound"].count("sound") == 1
    path = write_video_with_sound(tmp_path / "noise.mp4", *_in_order(*talk(2.0)))
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as file:
        for packet in file.demux(audio=0):
            if packet.size:
                content[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(content)
    found, _ = windows_of(path, names=("video", "sound"))
    assert found.absent["sound"].startswith("its sound cannot be decoded: damaged: ")
    assert found.absent["sound"].count("sound") == 1


def test_a_stream_that_ends_first_is_missing_from_there(tmp_path):
    frames, sound = talk(8.0)
    path = write_video_with_sound(tmp_path / "a.mp4", frames[: 3 * 25], 25, sound, RATE)
    found, samples = windows_of(path, names=("video", "sound"), hop=2.0)
    assert found.measured == "sound"
    reasons = [sample["missing"] for sample in samples]
    assert reasons == [{}, {}, *[{"video": "the picture ends at 3.0 s"}] * 2]
    # Codecs let a sound fade into the silence beside it.
    sound[2 * RATE : 5 * RATE] = 0
    path = write_video_with_sound(tmp_path / "b.mkv", frames, 25, sound[: 6 * RATE], RATE)
    _, samples = windows_of(path, names=("video", "sound"), window=1.0, hop=1.0)
    why = [sample["missing"].get("sound") for sample in samples]
    assert why[:2] + why[5:6] == [None] * 3
    assert why[3] == "the sound is silent"
    assert why[7] in ("the sound ends at 6.0 s", "the sound ends at 6.1 s")


def test_a_picture_at_rest_stays_on_screen(tmp_path):
    path = tmp_path / "slides.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for time, shade in ((0, 10), (5000, 100), (10000, 200)):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade, np.uint8), "rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    _, samples = windows_of(path, names=("video",), window=2.0, hop=2.0)
    shades = [round(float(sample["values"]["video"].mean()), -1) for sample in samples]
    assert shades[:6] == [10, 10, 100, 100, 100, 200]
    assert [sample["seconds"]["video"].tolist() for sample in samples][:4] == [[0], [0], [1], [0]]
