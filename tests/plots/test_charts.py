"""What the charts of a data set show."""

import numpy as np
import pytest

from videolit.plots.charts import class_bars, histograms
from videolit.types import InputError


def test_bars_stack_the_splits_and_are_sorted_by_size():
    figure = class_bars({"train": [3, 9], "test": [1, 2]}, ["few", "many"])
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["many", "few"]
    assert [[bar.get_width() for bar in part] for part in axes.containers] == [[9, 3], [2, 1]]
    assert [text.get_text() for text in axes.texts] == ["11", "4"]


def test_of_many_classes_the_ends_are_drawn():
    figure = class_bars({"samples": np.arange(100)}, [f"class {i}" for i in range(100)])
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(names) == 40
    assert names[0] == "class 99"
    assert names[-1] == "class 0"


def test_histograms_count_all_numbers_also_when_they_are_equal():
    figure = histograms({"fps": [25.0] * 7, "seconds": [1.0, 2.0, 4.0]})
    heights = [sum(bar.get_height() for bar in axes.patches) for axes in figure.axes]
    assert heights == [7, 3]


def test_nothing_to_draw_is_refused():
    with pytest.raises(InputError, match="none in"):
        histograms({"fps": []})
    with pytest.raises(InputError, match="count of each of the 2 classes"):
        class_bars({"train": [1]}, ["a", "b"])
