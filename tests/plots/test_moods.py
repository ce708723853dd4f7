"""The picture of sentiment over time: lanes, curves, weights and what is missing."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import PatchCollection, PolyCollection

from videolit.plots import sentiment_figure
from videolit.plots.theme import render

NAMES = [
    "joy",
    "a class with a name that is much longer than any margin has room for",
    "Überraschung",
]


def draw(rows=6, count=3, **settings):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), rows)
    weights = settings.pop("weights", rng.dirichlet(np.ones(count), rows))
    return sentiment_figure(
        np.linspace(0, 2.0 * rows, rows + 1),
        settings.pop("labels", np.arange(rows) % 3),
        NAMES,
        probabilities=probabilities,
        weights=weights,
        used=settings.pop("used", np.ones((rows, count))),
        modalities=["video", "sound", "text"][:count],
        **settings,
    )


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_a_lane_for_each_label_that_holds_and_the_time_of_each():
    labels = np.array([2, 2, 0, -1, 2, 0])
    figure = draw(labels=labels, title="a.mp4", footer="below")
    lanes, weights = figure.axes
    assert [label.get_text() for label in lanes.get_yticklabels()] == ["Überraschung", "joy"]
    assert texts(lanes) == ["6.0 s", "4.0 s"]
    bars = [
        [tuple(np.round([e.x0, e.x1], 6)) for e in (p.get_extents() for p in c.get_paths())]
        for c in lanes.findobj(PatchCollection)
    ]
    assert bars == [[(0, 4), (8, 10)], [(4, 6), (10, 12)]]
    assert [label.get_text() for label in weights.get_yticklabels()] == ["video", "sound", "text"]
    assert [text.get_text() for text in figure.texts] == ["a.mp4", "below"]
    assert render(figure, "png", dpi=50).startswith(b"\x89PNG")


def test_numbers_of_one_range_share_a_chart_and_stay_on_it():
    curve = np.array([-9.0, 0, 1, np.nan, 2, 9])
    numbers = {
        "score": (curve, (-3.0, 3.0)),
        "valence": (curve / 9, (-1.0, 1.0)),
        "arousal": (-curve / 9, (-1.0, 1.0)),
    }
    figure = draw(numbers=numbers)
    _, score, affect, _ = figure.axes
    assert texts(score) == ["score"]
    assert texts(affect) == ["arousal", "valence"]
    assert [label.get_text() for label in score.get_yticklabels()] == ["-3", "0", "3"]
    steps = score.patches[0].get_data().values
    np.testing.assert_array_equal(steps, [-3, 0, 1, np.nan, 2, 3])
    # Triangles tell where it lies beyond, in the middle of the time.
    marks = {
        line.get_marker(): line.get_xdata() for line in score.lines if line.get_marker() in "^v"
    }
    assert marks == {"v": [1.0], "^": [11.0]}
    # Curves that end at one place have their names apart.
    same = {"valence": (curve, (-3.0, 3.0)), "arousal": (curve, (-3.0, 3.0))}
    chart = draw(numbers=same).axes[1]
    ends = sorted(text.xy[1] for text in chart.texts)
    assert ends[1] - ends[0] >= 1


def test_what_is_missing_is_hatched_and_says_why():
    used = np.ones((6, 3))
    used[:, 1] = 0
    used[2:4, 2] = 0
    means = [0.5, 0.0, 0.5]
    weights = draw(used=used, means=means, reasons={"sound": "the file has no sound"}).axes[-1]
    hatched = [c for c in weights.findobj(PatchCollection) if c.get_hatch()]
    spans = [[(p.get_extents().x0, p.get_extents().x1) for p in c.get_paths()] for c in hatched]
    assert spans == [[], [(0, 12)], [(4, 8)]]
    assert "the file has no sound" in texts(weights)
    assert sum(text == "50%" for text in texts(weights)) == 2


def test_the_longest_legend_is_not_cut_beside_names_that_are_long():
    legend = (
        "1000 windows of 4.5 s · dark: label · pale: its probability · triangle: out of range "
        "· below: weights · hatched: missing"
    )
    assert draw(footer=legend).texts[1].get_text() == legend


def test_without_weights_only_what_is_used_is_told():
    used = np.ones((6, 3))
    used[:, 1] = 0
    used[2:4, 2] = 0.5
    used[4:, 2] = 0
    rows = draw(used=used, weights=None).axes[-1]
    assert texts(rows) == ["used", "missing", "in part"]
    areas = [c.get_paths()[0].vertices for c in rows.collections if isinstance(c, PolyCollection)]
    # All of the row, as far as it is used.
    assert [float(np.ptp(area[:, 1])) for area in areas] == pytest.approx([0.8, 0, 0.8])
    assert areas[2][areas[2][:, 1] < areas[2][:, 1].max() - 0.5, 0].max() == 8


def test_no_label_at_all_is_said():
    figure = draw(labels=np.full(6, -1), used=np.zeros((6, 3)))
    assert texts(figure.axes[0]) == ["nothing to go by in any window"]
    assert texts(figure.axes[1]) == ["missing"] * 3


def test_an_hour_of_windows_is_drawn_thinned():
    figure = draw(rows=3600)
    assert render(figure, "png", dpi=40).startswith(b"\x89PNG")
