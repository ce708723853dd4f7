import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.text import Text

from videolit.plots.clock import clock
from videolit.plots.summary import summary_figure
from videolit.types import InputError

KEPT = "#2f74b5"
ASKED = "#123f75"


def some_summary(duration, step, shot):
    """Scores at every ``step`` seconds, shots of ``shot`` seconds, each fifth kept."""
    times = np.arange(step / 2, duration, step)
    edges = np.append(np.arange(0, duration - shot / 2, shot), duration)
    shots = np.stack([edges[:-1], edges[1:]], 1)
    scores = np.random.default_rng(0).random(len(times))
    return times, scores, shots, np.arange(len(shots)) % 5 == 0


def areas(axes, color):
    """First and last second, and greatest height, of what is filled with a colour."""
    found = []
    for collection in axes.findobj(PolyCollection):
        if len(collection.get_facecolor()) and to_hex(collection.get_facecolor()[0]) == color:
            for path in collection.get_paths():
                box = path.get_extents()
                found.append((round(box.x0, 6), round(box.x1, 6), round(box.y1, 6)))
    return found


def strip_parts(figure, color=KEPT):
    return [(start, end) for start, end, _ in areas(figure.axes[1], color)]


def words(figure):
    return [text.get_text() for text in figure.texts]


def key(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def assert_readable(figure):
    """All text lies on the page and no two texts overlap."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    boxes = [text.get_window_extent(renderer) for text in shown]
    page = figure.bbox
    for text, box in zip(shown, boxes, strict=True):
        inside = page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 <= box.y1 <= page.y1
        assert inside, text
        assert text.get_fontsize() >= 8
    for (one, a), (other, b) in itertools.combinations(zip(shown, boxes, strict=True), 2):
        assert not a.overlaps(b), (one, other)


EVERYTHING = {
    "title": "WM $x$\n" * 100,
    "budget": 0.125,
    "forced": [(0, 1)],
    "dropped": [(5, 7.5)],
}


@pytest.mark.parametrize("extra", [{}, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize(
    ("duration", "step", "shot"),
    [(8, 8, 8), (10, 0.5, 2), (184, 0.5, 5), (3599, 1, 20), (7240, 0.5, 8), (40_000, 2, 30)],
)
def test_all_lengths_of_video_give_readable_figures(duration, step, shot, extra):
    times, scores, shots, selected = some_summary(duration, step, shot)
    people = {}
    if extra:
        users = np.random.default_rng(1).random((20, len(times)))
        people = {"users": users, "truth": users.mean(0)}
    figure = summary_figure(times, scores, shots, selected, duration=duration, **people, **extra)
    assert_readable(figure)
    # Widened to be seen, they still do not tell of a much longer summary.
    drawn = sum(end - start for start, end in strip_parts(figure))
    kept = (shots[selected, 1] - shots[selected, 0]).sum()
    assert kept - 1e-3 <= drawn <= 1.4 * kept


def test_the_kept_shots_are_filled_to_the_curve_and_stand_in_the_strip():
    times = np.arange(10) + 0.5
    scores = np.linspace(0.05, 0.95, 10)
    shots = [[0, 2], [2, 5], [5, 6], [6, 10]]
    figure = summary_figure(
        times, scores, shots, [False, True, True, False], duration=10, title="a.mp4"
    )
    chart, strip = figure.axes
    # Neighbours are one area; the curve is score = time / 10.
    assert areas(chart, KEPT) == [(2, 6, 0.6)]
    assert areas(strip, KEPT) == [(2, 6, 1)]
    assert [line.get_xdata()[0] for line in strip.get_lines()] == [2, 5, 6]
    assert words(figure) == ["a.mp4", "4.0 s of 10.0 s kept, 40%, 2 of 4 shots"]
    assert key(figure) == ["score", "kept"]


@pytest.mark.parametrize(
    ("shots", "selected", "duration", "budget", "headline"),
    [
        ([[0, 72], [72, 484]], [1, 0], 484, None, "1:12 of 8:04 kept, 15%, 1 of 2 shots"),
        ([[0, 90], [90, 7200]], [1, 0], 7200, 0.02, "1:30 of 2:00:00 kept, 1% (budget 2%), 1 of 2"),
        ([[0, 3700], [3700, 7400]], [1, 0], 7400, None, "1:01:40 of 2:03:20 kept, 50%"),
        ([[0, 484]], [0], 484, 0.125, "nothing kept of 8:04 (budget 12.5%), 0 of 1 shot"),
        ([[0, 8]], [1], 8, None, "8.0 s of 8.0 s kept, 100%, 1 of 1 shot"),
        ([[0, 1], [1, 600]], [1, 0], 600, None, "1.0 s of 10:00 kept, <1%, 1 of 2 shots"),
        ([[0, 1], [1, 600]], [0, 1], 600, None, "9:59 of 10:00 kept, >99%, 1 of 2 shots"),
    ],
)
def test_the_headline_says_how_much_is_kept(shots, selected, duration, budget, headline):
    chosen = np.array(selected, bool)
    figure = summary_figure([0], [0.5], shots, chosen, duration=duration, budget=budget)
    assert words(figure)[0].startswith(headline)
    assert_readable(figure)


def test_what_the_user_asked_for_is_marked_and_explained():
    times, scores, shots, selected = some_summary(100, 1, 10)
    figure = summary_figure(
        times, scores, shots, selected, duration=100, forced=[(0, 10)], dropped=[(20, 30)]
    )
    assert strip_parts(figure, ASKED) == [(0, 10)]
    assert key(figure) == ["score", "kept", "kept as asked", "left out as asked"]
    for axes in figure.axes:
        (hatched,) = [c for c in axes.findobj(PolyCollection) if c.get_hatch()]
        box = hatched.get_paths()[0].get_extents()
        assert (box.x0, box.x1) == (20, 30)


def test_annotators_are_shown_by_mean_and_quartiles():
    users = np.array([[0.0, 0.2], [0.1, 0.4], [0.2, 0.4], [0.3, 0.4], [0.9, 0.6]])
    figure = summary_figure(
        [1, 3], [0.5, 0.5], [[0, 4]], [False], duration=4, users=users, truth=[0.1, 0.9]
    )
    assert key(figure) == ["score", "kept", "mean of 5 annotators", "their quartiles", "truth"]
    curves = {line.get_label(): line for line in figure.axes[0].get_lines()}
    mean = curves["mean of 5 annotators"]
    assert mean.get_xdata().tolist() == [0, 1, 3, 4]
    np.testing.assert_allclose(mean.get_ydata(), [0.3, 0.3, 0.4, 0.4])
    np.testing.assert_allclose(curves["truth"].get_ydata(), [0.1, 0.1, 0.9, 0.9])
    band = next(c for c in figure.axes[0].collections if c.get_alpha() == 0.22)
    heights = {round(y, 6) for _, y in band.get_paths()[0].vertices}
    assert heights == {0.1, 0.3, 0.4}


def test_a_long_curve_is_drawn_by_means_with_the_range_behind():
    generator = np.random.default_rng(0)
    times, scores = np.arange(1000) + 0.5, generator.random(1000)
    figure = summary_figure(times, scores, [[0, 1000]], [False], duration=1000)
    x, y = figure.axes[0].get_lines()[0].get_data()
    # Groups of three; the last one has one step.
    groups = np.split(scores, range(3, 1000, 3))
    np.testing.assert_allclose(y[1:-1], [group.mean() for group in groups])
    np.testing.assert_allclose(x[[0, 1, 2, -2, -1]], [0, 1.5, 4.5, 999.5, 1000])
    assert key(figure)[-1] == "lowest to highest within 3 s"
    vertices = figure.axes[0].collections[-1].get_paths()[0].vertices
    assert vertices[:, 1].max() == scores.max()
    assert vertices[:, 1].min() == scores.min()


def test_shots_are_told_apart_as_long_as_they_can_be():
    for number, gaps in ((120, 119), (121, 0)):
        edges = np.linspace(0, 600, number + 1)
        shots = np.stack([edges[:-1], edges[1:]], 1)
        figure = summary_figure([5], [0.3], shots, np.zeros(number, bool), duration=600)
        assert len(figure.axes[1].get_lines()) == gaps


@pytest.mark.parametrize(
    ("level", "top"), [(0.0, 0.1), (0.07, 0.1), (0.3, 0.5), (0.5, 0.5), (0.6, 1), (1.0, 1)]
)
def test_constant_scores_stand_on_a_scale_that_begins_at_zero(level, top):
    figure = summary_figure([1, 2, 3], [level] * 3, [[0, 4]], [True], duration=4)
    assert figure.axes[0].get_yticks().tolist() == pytest.approx([0, top / 2, top])
    assert figure.axes[0].get_ylim()[0] == 0
    assert_readable(figure)


def test_a_short_kept_shot_of_two_hours_can_be_seen():
    shots = [[0, 1], [1, 7199], [7199, 7200]]
    figure = summary_figure([0], [0.5], shots, [True, False, True], duration=7200)
    (first, last) = strip_parts(figure)
    assert first[0] == 0
    assert last[1] == 7200
    assert 1 < first[1] < 10


GOOD = {
    "times": [1, 2, 3],
    "scores": [0.1, 0.2, 0.3],
    "shots": [[0, 2], [2, 4]],
    "selected": [True, False],
    "duration": 4,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": [0.1, np.nan, 0.3]}, r"scores must lie in \[0, 1\], got nan \(1 of 3"),
        ({"scores": [0.1, 1.5, 0.3]}, r"scores must lie in \[0, 1\], got 1.5"),
        ({"scores": [0.1, 0.2]}, r"scores must have the shape \(3\), got \(2,\)"),
        ({"times": []}, "times must have the shape"),
        ({"times": [1, 1, 3]}, "times must ascend"),
        ({"times": [1, 2, 5]}, r"times must lie in \[0, 4\], got 5"),
        ({"duration": 0}, "seconds above 0, got 0"),
        ({"duration": np.nan}, "seconds above 0, got nan"),
        ({"shots": [[0, 2], [3, 3]]}, "shots must end after they start"),
        ({"shots": [[0, 3], [2, 4]]}, "must not overlap"),
        ({"shots": [], "selected": []}, "at least one shot"),
        ({"selected": [True]}, r"got bool \(1,\) for 2 shots"),
        ({"selected": [1, 0]}, r"must be bool \(S,\).*got int64"),
        ({"users": [[0.1, 0.2]]}, r"users must have the shape \(any, 3\), got \(1, 2\)"),
        ({"users": np.zeros((0, 3))}, r"users must have the shape"),
        ({"truth": [0, 0, np.nan]}, "truth must lie in"),
        ({"budget": 15}, r"share of the video in \(0, 1\], got 15"),
        ({"forced": [(3, 9)]}, "forced must lie in"),
        ({"dropped": [(3, 2)]}, "dropped must end after they start"),
    ],
)
def test_what_is_no_summary_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        summary_figure(**{**GOOD, **change})


@pytest.mark.parametrize(
    ("seconds", "longest", "tenths", "text"),
    [
        (0, 10, False, "0:00"),
        (59.6, 100, False, "1:00"),
        (65, 3599, False, "1:05"),
        (65, 3600, False, "0:01:05"),
        (3725, 7200, False, "1:02:05"),
        (4.5, 9, True, "0:04.5"),
        (59.96, 70, True, "1:00.0"),
    ],
)
def test_times_are_written_as_people_write_them(seconds, longest, tenths, text):
    assert clock(seconds, longest, tenths=tenths) == text
