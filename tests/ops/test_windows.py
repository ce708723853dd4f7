import numpy as np
import pytest

from videolit.ops.windows import frame_seconds, slide, slide_time
from videolit.types import InputError


def even(seconds, fps):
    return np.arange(round(seconds * fps)) / fps


def test_windows_and_their_frames():
    found = slide(even(5, 10), 2.0, 1.0)
    assert found.start.tolist() == [0, 1, 2, 3]
    assert found.end.tolist() == [2, 3, 4, 5]
    assert found.first.tolist() == [0, 10, 20, 30]
    assert found.stop.tolist() == [20, 30, 40, 50]


def test_the_last_window_ends_with_the_video():
    found = slide(even(5.5, 10), 2.0, 1.0)
    assert found.start.tolist() == [0, 1, 2, 3, 3.5]
    assert found.end[-1] == 5.5
    assert found.stop.tolist() == [20, 30, 40, 50, 55]


@pytest.mark.parametrize("seconds", [0.1, 1.9, 2.0])
def test_a_video_not_longer_than_a_window_has_one(seconds):
    found = slide(even(seconds, 10), 2.0, 1.0, fps=10)
    assert found.start.tolist() == [0]
    assert found.end[0] == pytest.approx(seconds)
    assert (found.first.tolist(), found.stop.tolist()) == ([0], [round(seconds * 10)])


def test_a_part_keeps_its_time():
    found = slide(even(10, 10)[33:81], 2.0, 1.0)
    np.testing.assert_allclose(found.start, [3.3, 4.3, 5.3, 6.1])
    assert found.end[-1] == pytest.approx(8.1)
    assert (found.first[0], found.stop[-1]) == (0, 48)


@pytest.mark.parametrize("fps", [7, 24, 25, 30000 / 1001, 59.94])
@pytest.mark.parametrize(("window", "hop"), [(2.0, 1.0), (0.7, 0.3), (1.0, 1.0), (3.3, 0.25)])
def test_every_frame_is_covered_and_windows_are_alike(fps, window, hop):
    # Rounded to milliseconds, as Matroska stores times.
    times = np.round(even(13.37, fps), 3)
    found = slide(times, window, hop)
    covered = np.zeros(len(times), bool)
    for first, stop in zip(found.first, found.stop, strict=True):
        covered[first:stop] = True
    assert covered.all()
    assert np.ptp(found.stop - found.first) <= 1
    assert (np.diff(found.start) > 0).all()
    assert found.start[1] - found.start[0] == pytest.approx(hop)
    # Brute force: the frames that begin within the window.
    for start, end, first, stop in zip(*found, strict=True):
        inside = np.flatnonzero((times >= start - 5e-4) & (times < end - 5e-4))
        assert (first, stop) == (inside[0], inside[-1] + 1)


def test_without_a_frame_of_its_own_a_window_takes_the_one_on_screen():
    # A recording of a screen at rest: frames at 0 to 1 s, then one at 9 s.
    times = np.array([*even(1, 10), 9.0, 9.1])
    found = slide(times, 2.0, 2.0)
    assert found.start.tolist() == pytest.approx([0, 2, 4, 6, 7.2])
    assert found.first.tolist() == [0, 9, 9, 9, 10]
    assert found.stop.tolist() == [10, 10, 10, 10, 12]


def test_how_long_a_frame_is_shown():
    assert frame_seconds(np.array([0.0, 0.04, 0.08, 5.0])) == pytest.approx(0.04)
    assert frame_seconds(np.array([0.0]), 20) == 0.05
    assert frame_seconds(np.array([0.0, 0.0]), 20) == 0.05


@pytest.mark.parametrize(
    ("window", "hop", "message"),
    [
        (0, 1, "--window must be a number of seconds above 0, got 0"),
        (float("nan"), 1, "--window must be"),
        (1, -1, "--hop must be a number of seconds above 0, got -1"),
        (1, 1.5, "what happens between two windows would never be looked at"),
        (0.05, 0.05, r"--window 0.05 s is shorter than a frame of this video \(0.1 s\)"),
        (1, 0.05, "--hop 0.05 s is shorter than a frame"),
    ],
)
def test_windows_that_fit_no_video(window, hop, message):
    with pytest.raises(InputError, match=message):
        slide(even(5, 10), window, hop)


@pytest.mark.parametrize(
    ("duration", "window", "hop", "ends"),
    [
        (10, 4, 2, [(0, 4), (2, 6), (4, 8), (6, 10)]),
        # A rest of half a window is kept, a shorter one is not.
        (11, 4, 4, [(0, 4), (4, 8), (8, 11)]),
        (10, 4, 4, [(0, 4), (4, 8), (8, 10)]),
        (9.9, 4, 4, [(0, 4), (4, 8)]),
        # One rest, not each that a small hop would leave.
        (10.5, 4, 1, [(k, k + 4) for k in range(7)] + [(7, 10.5)]),
        (10.19, 4, 2, [(0, 4), (2, 6), (4, 8), (6, 10)]),
        (10.21, 4, 2, [(0, 4), (2, 6), (4, 8), (6, 10), (8, 10.21)]),
        (0.3, 4, 2, [(0, 0.3)]),
        (4, 4, 2, [(0, 4)]),
    ],
)
def test_time_is_covered_but_for_a_rest_below_half_a_window(duration, window, hop, ends):
    start, end = slide_time(duration, window, hop)
    np.testing.assert_allclose(np.stack([start, end], 1), ends)


def test_windows_of_time_are_all_of_one_length_but_the_last():
    rng = np.random.default_rng(0)
    for _ in range(300):
        window = rng.uniform(0.1, 5)
        hop, duration = window * rng.uniform(0.05, 1), rng.uniform(0.01, 60)
        start, end = slide_time(duration, window, hop)
        np.testing.assert_allclose(start, hop * np.arange(len(start)))
        np.testing.assert_allclose((end - start)[:-1], window)
        assert 0 < end[-1] - start[-1] <= window + 1e-9
        assert end[-1] <= duration + 1e-9
        # Nothing but a rest is left out.
        rest = duration - end[-1]
        assert rest < window / 20 + 1e-9 or duration - (start[-1] + hop) < window / 2
    with pytest.raises(InputError, match="--hop 3 is larger than --window 2"):
        slide_time(10, 2, 3)
