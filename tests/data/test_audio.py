"""How loud a file is over time, on the clock of its pictures."""

from fractions import Fraction

import av
import numpy as np
import pytest

from videolit.data.audio import SILENCE_DB, SoundLevels, sound_levels
from videolit.data.sound_writer import write_video_with_sound
from videolit.data.writer import write_video
from videolit.types import VideoError

RATE = 16_000


def tone(seconds, amplitude=0.5, hertz=440):
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


def write_pcm(path, channels, start=0.0, gap=None):
    """Write samples ``(C, N)`` without loss; ``gap`` moves all after 1 s by so many seconds."""
    with av.open(str(path), "w") as file:
        layout = "mono" if len(channels) == 1 else "stereo"
        stream = file.add_stream("pcm_s16le", rate=RATE, layout=layout)
        samples = (np.asarray(channels).T * 32767).round().astype(np.int16)
        for first in range(0, len(samples), 800):
            part = np.ascontiguousarray(samples[first : first + 800]).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(part, format="s16", layout=layout)
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            later = round(gap * RATE) if gap and first >= RATE else 0
            frame.pts = first + round(start * RATE) + later
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def decibels(levels, edges):
    edges = np.asarray(edges, float)
    return levels.decibels(edges[:-1], edges[-1])


@pytest.mark.parametrize("amplitude", [1.0, 0.5, 0.01])
def test_a_sine_has_the_level_of_its_amplitude(tmp_path, amplitude):
    levels = sound_levels(write_pcm(tmp_path / "a.mkv", [tone(2, amplitude)]))
    assert levels.problem == ""
    expected = 20 * np.log10(amplitude) - 10 * np.log10(2)
    np.testing.assert_allclose(decibels(levels, [0, 0.5, 1, 1.7, 2]), expected, atol=0.05)
    # A half and a whole second weigh by their lengths.
    assert len(levels.power) == 100


def test_steps_of_any_length_have_the_mean_power(tmp_path):
    sound = np.concatenate([tone(1, 0.8), tone(1, 0.1), np.zeros(RATE)])
    levels = sound_levels(write_pcm(tmp_path / "a.mkv", [sound]))
    edges = np.array([0, 0.305, 0.95, 1.01, 1.33, 2.4, 3])
    expected = [
        10 * np.log10(max((sound[round(a * RATE) : round(b * RATE)] ** 2).mean(), 1e-10))
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    ]
    np.testing.assert_allclose(decibels(levels, edges), expected, atol=0.15)


def test_silence_is_the_floor_and_so_is_what_follows_the_end(tmp_path):
    levels = sound_levels(write_pcm(tmp_path / "a.mkv", [np.zeros(RATE)]))
    found = decibels(levels, [0, 0.5, 1, 5, 9])
    assert found.tolist() == [SILENCE_DB] * 4
    assert found.dtype == np.float32
    loud = sound_levels(write_pcm(tmp_path / "b.mkv", [tone(1)]))
    assert decibels(loud, [0, 1, 2, 9]).tolist() == [pytest.approx(-9.03, abs=0.05), -100, -100]
    # Half of a step with sound: 3 dB less.
    assert decibels(loud, [0, 2])[0] == pytest.approx(-12.04, abs=0.05)


def test_the_power_of_channels_is_averaged(tmp_path):
    voice = tone(1)
    opposite = sound_levels(write_pcm(tmp_path / "a.mkv", [voice, -voice]))
    one = sound_levels(write_pcm(tmp_path / "b.mkv", [voice, 0 * voice]))
    both = sound_levels(write_pcm(tmp_path / "c.mkv", [voice, voice]))
    assert decibels(opposite, [0, 1])[0] == pytest.approx(-9.03, abs=0.05)
    assert decibels(both, [0, 1])[0] == pytest.approx(-9.03, abs=0.05)
    assert decibels(one, [0, 1])[0] == pytest.approx(-9.03 - 3.01, abs=0.05)


def test_a_late_start_and_a_gap_are_silence(tmp_path):
    late = sound_levels(write_pcm(tmp_path / "a.mkv", [tone(1)], start=1.5))
    found = decibels(late, [0, 1, 1.5, 2, 2.5])
    assert found[:2].tolist() == [-100, -100]
    np.testing.assert_allclose(found[2:], -9.03, atol=0.2)
    gap = sound_levels(write_pcm(tmp_path / "b.mkv", [tone(2)], gap=3.0))
    found = decibels(gap, [0, 1, 4, 5])
    np.testing.assert_allclose(found[[0, 2]], -9.03, atol=0.1)
    assert found[1] < -40


def test_the_origin_is_the_first_picture(tmp_path):
    path = write_pcm(tmp_path / "a.mkv", [np.concatenate([tone(1), np.zeros(RATE)])])
    shifted = sound_levels(path, 0.5)
    found = decibels(shifted, [0, 0.5, 1.5])
    assert found[0] == pytest.approx(-9.03, abs=0.1)
    assert found[1] < -90
    # Sound of 1 s that begins 2 s before the first picture is never heard.
    assert sound_levels(path, 2.0).power.size == 0
    assert decibels(sound_levels(path, 2.0), [0, 1]).tolist() == [-100]
    assert decibels(sound_levels(path, -1.0), [0, 1, 2]).tolist() == [
        -100, pytest.approx(-9.03, abs=0.1),
    ]  # fmt: skip


def test_sound_that_lies_years_away_takes_no_memory(tmp_path):
    levels = sound_levels(write_pcm(tmp_path / "a.mkv", [tone(2)], gap=3e8), end=4.0)
    assert len(levels.power) == 50
    assert decibels(levels, [0, 1, 2])[0] == pytest.approx(-9.03, abs=0.05)
    cut = sound_levels(write_pcm(tmp_path / "b.mkv", [tone(2)]), end=1.5)
    assert len(cut.power) == 75


def test_coded_sound_beside_pictures_is_in_step(tmp_path):
    frames = np.zeros((50, 32, 32, 3), np.uint8)
    sound = np.concatenate([np.zeros(RATE), tone(1), np.zeros(3 * RATE)]).astype(np.float32)
    path = write_video_with_sound(tmp_path / "a.mp4", frames, 10, sound, RATE)
    levels = sound_levels(path)
    found = decibels(levels, np.arange(0, 5.5, 0.5))
    np.testing.assert_allclose(found[2:4], -9.03, atol=0.3)
    assert (found[[0, *range(5, 10)]] < -60).all()
    # AAC smears over two of its frames, of 64 ms each.
    edges = decibels(levels, [0, 0.86, 1.14, 1.9, 2.14, 2.3])
    assert edges[0] < -50
    assert edges[2] == pytest.approx(-9.03, abs=0.3)
    assert edges[4] < -50


def test_no_sound_stream_is_none(tmp_path):
    path = write_video(tmp_path / "a.mp4", np.zeros((5, 32, 32, 3), np.uint8), 10)
    assert sound_levels(path) is None


def test_broken_sound_says_so_and_what_was_heard_stays(tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (40, 32, 32, 3), np.uint8)
    path = write_video_with_sound(tmp_path / "a.mkv", frames, 10, tone(4).astype(np.float32), RATE)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    path.write_bytes(bytes(content[:middle]))
    levels = sound_levels(path)
    assert 0.5 < len(levels.power) * levels.seconds < 3.9
    assert decibels(levels, [0, 0.5])[0] == pytest.approx(-9.03, abs=0.5)


def test_a_file_that_cannot_be_opened_is_refused(tmp_path):
    with pytest.raises(VideoError):
        sound_levels(tmp_path / "gone.mp4")
    path = tmp_path / "a.mp4"
    path.write_text("no video")
    with pytest.raises(VideoError):
        sound_levels(path)
    whole = write_video_with_sound(
        tmp_path / "b.mp4", np.zeros((5, 32, 32, 3), np.uint8), 10, np.zeros(RATE, np.float32), RATE
    )
    path.write_bytes(whole.read_bytes()[:600])
    with pytest.raises(VideoError, match="cannot be opened"):
        sound_levels(path)


def test_levels_need_no_even_steps():
    levels = SoundLevels(np.array([1.0, 1.0, 0.0, 0.0]), 0.5, "")
    found = levels.decibels(np.array([0.0, 0.25, 1.0]), 3.0)
    np.testing.assert_allclose(found, [0, 0, -100], atol=1e-5)
    # The end may lie before the last step, as in a file whose last frame has no length.
    assert levels.decibels(np.array([0.0, 2.0]), 2.0).tolist() == [
        pytest.approx(-3.01, abs=0.01), -100,
    ]  # fmt: skip
