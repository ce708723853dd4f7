"""What the picture of missing modalities and lost steps shows."""

from __future__ import annotations

import pytest

from videolit.ops.modality import subsets
from videolit.plots import robustness_figure
from videolit.plots.theme import render
from videolit.types import InputError

NAMES = ("video", "sound", "text")
RATES = [k / 10 for k in range(10)]


def make_figure(values=None, baseline=0.25):
    chosen = subsets(NAMES)
    found = dict(zip(chosen, values or [0.5, 0.6, 0.4, 0.7, 0.55, 0.62, 0.8], strict=True))
    curves = {name: [(rate, 0.8 - rate * k / 5) for rate in RATES] for k, name in enumerate(NAMES)}
    curves["together"] = [(rate, 0.8 - rate / 2) for rate in RATES]
    return robustness_figure(found, curves, "weighted_f1", baseline)


def test_each_subset_has_a_bar_and_its_dots():
    bars, dots, _ = make_figure().axes
    assert [bar.get_width() for bar in bars.patches] == [0.5, 0.6, 0.4, 0.7, 0.55, 0.62, 0.8]
    assert [text.get_text() for text in bars.texts][:2] == ["0.500", "0.600"]
    assert [label.get_text() for label in dots.get_xticklabels()] == list(NAMES)
    # A line that joins those of a subset, and a dot for each modality in each row.
    assert len(dots.lines) == 7 * (1 + 3)


def test_each_scope_has_its_curve_and_the_constant_a_line():
    *_, lines = make_figure().axes
    labels = [text.get_text() for text in lines.get_legend().get_texts()]
    assert labels == [*NAMES, "together", "constant answer"]
    assert lines.lines[0].get_ydata().tolist() == [0.8] * 10
    assert lines.lines[-1].get_ydata()[0] == 0.25
    assert len({line.get_color() for line in lines.lines[:4]}) == 4
    assert len({line.get_marker() for line in lines.lines[:4]}) == 4


def test_what_is_not_known_has_a_dash_and_no_line():
    bars, _, lines = make_figure([None, 0.6, 0.4, 0.7, -0.1, 0.62, 0.8], None).axes
    assert bars.texts[0].get_text() == "–"
    assert bars.get_xlim()[0] == -0.1
    assert len(lines.lines) == 4


@pytest.mark.parametrize("baseline", [0.25, 0.52, 0.8, 0.9])
def test_legend_and_numbers_lie_on_no_data(baseline):
    figure = make_figure(baseline=baseline)
    render(figure, "png", dpi=figure.dpi)
    bars, _, lines = figure.axes
    legend = lines.get_legend().get_window_extent()
    assert legend.y1 < lines.get_window_extent().y0
    assert legend.y1 < lines.xaxis.label.get_window_extent().y0
    inside = bars.get_window_extent()
    assert all(text.get_window_extent().x0 >= inside.x1 for text in bars.texts)
    assert bars.get_xlim()[1] > max(0.8, baseline)
    # All of it is in the picture, and the numbers reach into no other part.
    whole, other = figure.bbox, lines.get_tightbbox()
    assert legend.x0 >= whole.x0
    assert legend.x1 <= whole.x1
    assert legend.y0 >= whole.y0
    assert all(text.get_window_extent().x1 < other.x0 for text in bars.texts)


@pytest.mark.parametrize(
    ("rises", "said"), [(True, "higher is better"), (False, "lower is better")]
)
def test_the_figure_says_which_way_is_better(rises, said):
    found = {("sound",): 0.5}
    figure = robustness_figure(found, {"sound": [(0.0, 0.5), (0.5, 0.7)]}, "mae", rises=rises)
    bars, _, lines = figure.axes
    assert bars.get_xlabel() == said
    assert said in lines.get_title(loc="left")


def test_nothing_to_draw_is_refused():
    with pytest.raises(InputError, match="needs subsets and curves, got 0 and 0"):
        robustness_figure({}, {}, "mae")
