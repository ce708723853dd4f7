import numpy as np
import pytest
from matplotlib.collections import PatchCollection

from videolit.ops.segments import Segment, find_segments
from videolit.plots import timeline_figure
from videolit.plots.theme import render

NAMES = ["walk", "run", "a class with a name that is longer than any lane has room for"]


def bars(figure):
    """Left and right ends of the segments' bars, lane by lane."""
    found = []
    for collection in figure.axes[0].findobj(PatchCollection):
        extents = [path.get_extents() for path in collection.get_paths()]
        found.append([(round(e.x0, 6), round(e.x1, 6)) for e in extents])
    return found


def curve(rows, seconds):
    return np.linspace(0, seconds, len(rows) + 1), np.array(rows, np.float64)


def test_lanes_are_the_classes_that_occur_by_their_first_segment():
    edges, values = curve([[0, 0, 0.9], [0.8, 0, 0.1], [0.1, 0, 0.8], [0, 0, 0.1]], 40)
    segments = find_segments(edges, values)
    figure = timeline_figure(segments, NAMES, edges, values, title="a.mp4", start_at=0.5)
    axes = figure.axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["a class with a name that …", "walk"]
    assert bars(figure) == [[(0, 10), (20, 30)], [(10, 20)]]
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["20.0 s", "10.0 s"]
    assert axes.get_title(loc="left") == "a.mp4"
    assert axes.get_title(loc="right") == "3 segments"
    assert "dotted: 0.5" in axes.get_xlabel()
    assert render(figure, "png", dpi=50).startswith(b"\x89PNG")


def test_a_short_segment_of_an_hour_can_be_seen_and_stays_inside():
    edges, values = curve(np.zeros((3600, 3)), 3600)
    segments = [Segment(0, 1, 0, 0.9, 0.9), Segment(1000, 1001, 0, 0.9, 0.9)]
    segments.append(Segment(3599, 3600, 0, 0.9, 0.9))
    (ends,) = bars(timeline_figure(segments, NAMES, edges, values))
    assert ends[0][0] == 0
    assert ends[2][1] == 3600
    assert [b - a for a, b in ends] == pytest.approx([7.2] * 3)


@pytest.mark.parametrize(
    ("begin", "end", "first", "second", "last"),
    [
        (0, 3, "0:00.0", "0:00.5", "0:03.0"),
        (0, 40, "0:00", "0:05", "0:40"),
        (7, 14, "0:07", "0:08", "0:14"),
        (0, 1500, "0:00", "2:00", "24:00"),
        (0, 3600, "0:00:00", "0:05:00", "1:00:00"),
        (100, 20000, "0:30:00", "1:00:00", "5:30:00"),
    ],
)
def test_marks_of_time_are_round(begin, end, first, second, last):
    edges = np.linspace(begin, end, 5)
    figure = timeline_figure([], NAMES, edges, np.zeros((4, 3)))
    figure.draw_without_rendering()
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert (labels[0], labels[1], labels[-1]) == (first, second, last)
    assert len(labels) <= 14


def test_nothing_found_is_said():
    edges, values = curve([[0.1, 0.2, np.nan]], 5)
    figure = timeline_figure([], NAMES, edges, values, title="x" * 200)
    (text,) = figure.axes[0].texts
    assert text.get_text() == "no segment found"
    assert len(figure.axes[0].get_title(loc="left")) == 80


def test_a_curve_of_many_points_keeps_its_peaks():
    rows = np.zeros((20_000, 1))
    rows[12_345] = 0.9
    edges, values = curve(rows, 20_000)
    segments = find_segments(edges, values)
    figure = timeline_figure(segments, NAMES, edges, values)
    (area,) = [c for c in figure.axes[0].collections if not isinstance(c, PatchCollection)]
    vertices = area.get_paths()[0].vertices
    assert len(vertices) < 10_000
    # The lane's curve stands on 0.66 and is 0.58 high.
    assert vertices[:, 1].min() == pytest.approx(0.66 - 0.58 * 0.9)
