from __future__ import annotations

import csv
import io
import math
import subprocess
import sys
from typing import NamedTuple

import cv2
import matplotlib
import matplotlib.colors
import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg

from videolit.plots import (
    ClipLabel,
    augmentation_grid,
    clip_grid,
    clip_strip,
    confusion_figure,
    confusion_table,
    most_confused,
    per_class_table,
    read_history,
    reliability_figure,
    save_figure,
    theme,
    training_curves,
)
from videolit.plots.theme import RIGHT, RIGHT_SYMBOL, WRONG, WRONG_SYMBOL
from videolit.types import InputError


def grey_clip(num_frames=10, height=12, width=16):
    """Frame i has grey level 10 * i."""
    levels = (10 * np.arange(num_frames)).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (num_frames, height, width, 3)).copy()


def levels(figure):
    """Grey level of each picture, in the order drawn."""
    return [int(axes.images[0].get_array()[0, 0, 0]) for axes in figure.axes]


def draw(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def texts(figure):
    draw(figure)
    return [
        text.get_text()
        for text in figure.findobj(matplotlib.text.Text)
        if text.get_visible() and text.get_text()
    ]


def color_of(figure, content):
    return next(
        matplotlib.colors.to_hex(text.get_color())
        for text in figure.findobj(matplotlib.text.Text)
        if text.get_text() == content
    )


def rows_of(axes_list):
    """Axes grouped by their vertical place, from the top."""
    places = sorted({round(axes.get_position().y0, 4) for axes in axes_list}, reverse=True)
    return [[a for a in axes_list if round(a.get_position().y0, 4) == place] for place in places]


# Clips


def test_strip_shows_first_last_and_evenly_spread_frames_with_times():
    figure = clip_strip(grey_clip(9), num_frames=5, title="a.mp4", times=np.arange(9) / 4)
    assert levels(figure) == [0, 20, 40, 60, 80]
    assert texts(figure) == ["0.00 s", "0.50 s", "1.00 s", "1.50 s", "2.00 s", "a.mp4"]


def test_strip_of_a_short_clip_repeats_no_frame():
    figure = clip_strip(grey_clip(3), num_frames=8)
    assert levels(figure) == [0, 10, 20]
    assert texts(figure) == ["frame 0", "frame 1", "frame 2"]


@pytest.mark.parametrize(("height", "width"), [(12, 16), (16, 9), (10, 40), (30, 3)])
def test_frames_keep_their_shape_and_stay_on_the_page(height, width):
    figure = clip_strip(grey_clip(4, height, width))
    page_width, page_height = figure.get_size_inches()
    for axes in figure.axes:
        box = axes.get_position()
        shape = (box.height * page_height) / (box.width * page_width)
        assert shape == pytest.approx(height / width, rel=1e-3)
        assert 0 <= box.x0 < box.x1 <= 1
        assert 0 <= box.y0 < box.y1 <= 1


def test_grid_has_a_row_per_clip_and_colours_the_verdicts():
    clips = [grey_clip(6), grey_clip(6, 24, 16), grey_clip(2)]
    labels = [ClipLabel("run", "run", 0.93), ClipLabel("walk", "run", 0.51), "no model"]
    figure = clip_grid(clips, labels, num_frames=3)
    assert [len(row) for row in rows_of(figure.axes)] == [3, 3, 2]
    assert texts(figure) == [
        f"{RIGHT_SYMBOL} run",
        "93%",
        f"{WRONG_SYMBOL} walk",
        "51%, true: run",
        "no model",
    ]
    assert color_of(figure, f"{RIGHT_SYMBOL} run") == RIGHT
    assert color_of(figure, f"{WRONG_SYMBOL} walk") == WRONG


def test_a_prediction_without_truth_is_neither_right_nor_wrong():
    figure = clip_grid([grey_clip()], [ClipLabel("run", confidence=0.5)])
    assert texts(figure) == ["run", "50%"]
    assert color_of(figure, "run") not in (RIGHT, WRONG)


def test_augmentation_grid_shows_the_same_frames_of_every_version():
    clip = grey_clip(10)
    figure = augmentation_grid(clip, [clip + 1, clip[:, :8, :8] + 2], num_frames=4)
    original, *augmented = [
        [int(axes.images[0].get_array()[0, 0, 0]) for axes in row] for row in rows_of(figure.axes)
    ]
    assert original == [0, 30, 60, 90]
    assert augmented == [[1, 31, 61, 91], [2, 32, 62, 92]]
    assert texts(figure) == ["original", "augmented 1", "augmented 2"]


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((4, 3, 12, 16), np.uint8),
        np.zeros((4, 12, 16, 3), np.float32),
        np.zeros((0, 12, 16, 3), np.uint8),
    ],
)
def test_other_layouts_are_refused(frames):
    with pytest.raises(InputError, match=r"uint8 \(T, H, W, 3\).*permute"):
        clip_strip(frames)


def test_wrong_numbers_are_refused():
    with pytest.raises(InputError, match="3 for 10"):
        clip_strip(grey_clip(), times=[0.0, 0.1, 0.2])
    with pytest.raises(InputError, match="1 clips and 2 labels"):
        clip_grid([grey_clip()], ["a", "b"])
    with pytest.raises(InputError, match="at least one augmented"):
        augmentation_grid(grey_clip(), [])
    with pytest.raises(InputError, match="clip 1 must be"):
        clip_grid([grey_clip(), np.zeros((2, 3, 4, 4), np.uint8)], ["a", "b"])


# Curves

# As CSVLogger writes it: a learning rate without epoch, several steps, one validation per epoch,
# a diverged loss, a test at the end.
CSV = """epoch,lr-AdamW,step,test/accuracy,train/loss,val/accuracy,val/loss
,0.1,0,,,,
0,,9,,2.0,,
0,,19,,1.0,,
0,,19,,,0.25,1.5
,0.05,20,,,,
1,,29,,nan,,
1,,39,,,0.75,0.5
1,,39,,,0.5,0.75
,0.01,40,,,,
1,,40,0.6,,,
"""


def test_history_is_read_with_gaps(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text(CSV)
    history = read_history(path)
    loss = history.pop("train/loss")
    assert loss[0] == (0, 1.5)
    assert loss[1][0] == 1
    assert math.isnan(loss[1][1])
    assert history == {
        "lr-AdamW": [(0, 0.1), (1, 0.01)],
        "val/accuracy": [(0, 0.25), (1, 0.5)],
        "val/loss": [(0, 1.5), (1, 0.75)],
        "test/accuracy": [(1, 0.6)],
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("", "column 'epoch'"),
        ("step,val/loss\n1,2\n", "column 'epoch'"),
        ("epoch,lr\n,0.1\n", "no row has an epoch"),
        ("epoch,val/loss\n0,1\n1,oops\n", r"line 3: column 'val/loss' must hold numbers.*'oops'"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    path = tmp_path / "metrics.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_history(path)


HISTORY = {
    "train/loss_epoch": [(0, 2.0), (1, 1.0), (2, 0.5)],
    "val/loss": [(0, 1.8), (1, 1.2), (2, 1.4)],
    "val/accuracy": [(0, 0.3), (1, 0.6), (2, 0.6)],
}


def test_curves_hold_the_series_and_mark_the_best_epoch():
    figure = training_curves(HISTORY, baseline=0.1, baseline_name="chance")
    loss, accuracy = figure.axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in loss.get_lines()}
    assert drawn["training"] == [[0, 2.0], [1, 1.0], [2, 0.5]]
    assert drawn["validation"] == [[0, 1.8], [1, 1.2], [2, 1.4]]
    assert "training" not in {line.get_label() for line in accuracy.get_lines()}
    content = texts(figure)
    assert "60.0% at the best epoch, 1" in content
    assert "1.2 at the best epoch, 1" in content
    assert "chance 10.0%" in content
    assert any(set(line.get_ydata()) == {0.1} for line in accuracy.get_lines())


@pytest.mark.parametrize(
    ("name", "title"),
    [("map", "mAP"), ("tau", "Kendall's τ"), ("weighted_f1", "weighted F1"), ("ccc", "CCC")],
)
def test_curves_mark_the_best_epoch_of_other_scores(name, title):
    history = {"val/loss": [(0, 1.0), (1, 1.5)], f"val/{name}": [(0, 0.2), (1, 0.35)]}
    figure = training_curves(history)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", title]
    assert "0.35 at the best epoch, 1" in texts(figure)


def test_curves_without_accuracy_take_the_lowest_loss():
    figure = training_curves({"val/loss": [(0, 1.8), (1, math.nan), (2, 1.2), (3, 1.4)]})
    assert len(figure.axes) == 1
    assert "1.2 at the best epoch, 2" in texts(figure)


def test_curves_read_a_file_and_draw_diverged_training(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text(CSV)
    assert len(training_curves(str(path)).axes) == 2
    draw(training_curves({"train/loss": [(0, math.nan)]}))


def test_nothing_to_draw_names_what_there_is():
    with pytest.raises(InputError, match=r"expected loss, accuracy.*got lr"):
        training_curves({"lr": [(0, 0.1)]})


# Confusions


def some_counts(size, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 4, (size, size)) + np.diag(generator.integers(5, 30, size))


def shown(figure):
    """Values of the two layers, right and wrong, as one matrix."""
    right, wrong = (image.get_array() for image in figure.axes[0].images)
    assert not (~right.mask & ~wrong.mask).any()
    return np.where(right.mask, wrong.filled(0), right.filled(0)), right


@pytest.mark.parametrize("size", [1, 2, 10, 15, 50, 400])
def test_confusions_show_shares_of_every_row(size):
    counts = some_counts(size)
    figure = confusion_figure(counts, [f"class {i}" for i in range(size)])
    values, right = shown(figure)
    np.testing.assert_allclose(values, counts / counts.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(values.sum(axis=1), 1)
    assert (~right.mask == np.eye(size, dtype=bool)).all()


@pytest.mark.parametrize(
    ("size", "names", "numbers"), [(2, 2, True), (15, 15, True), (50, 50, False), (400, 67, False)]
)
def test_names_and_numbers_stand_where_they_fit(size, names, numbers):
    figure = confusion_figure(some_counts(size), [f"class {i:03d}" for i in range(size)])
    axes = figure.axes[0]
    renderer = draw(figure)
    page = figure.bbox
    for axis in (axes.xaxis, axes.yaxis):
        labels = axis.get_ticklabels()
        assert len(labels) == names
        boxes = [label.get_window_extent(renderer) for label in labels]
        assert all(page.x0 <= b.x0 and b.x1 <= page.x1 and page.y0 <= b.y0 for b in boxes)
        # 5 points are the least that can be read.
        assert min(label.get_fontsize() for label in labels) >= 5
    rows = [label.get_window_extent(renderer) for label in axes.get_yticklabels()]
    assert not any(a.overlaps(b) for a, b in zip(rows, rows[1:], strict=False))
    cell = axes.bbox.width / size
    written = [t for t in axes.texts if t.get_text() != "no samples"]
    assert bool(written) == numbers
    assert all(t.get_window_extent(renderer).width <= cell for t in written)


def test_counts_are_written_without_normalising_and_zeros_left_out():
    figure = confusion_figure([[12, 0], [3, 5]], ["a", "b"], normalize=False)
    assert sorted(t.get_text() for t in figure.axes[0].texts) == ["12", "3", "5"]
    values, _ = shown(figure)
    assert values.tolist() == [[12, 0], [3, 5]]
    assert figure.axes[0].get_title(loc="left") == "85.0% right of 20 samples"


def test_percent_never_rounds_to_perfection_or_to_nothing():
    names = [f"c{i}" for i in range(8)]
    counts = np.diag([1000] * 8)
    counts[0, :2] = 999, 1
    figure = confusion_figure(counts, names)
    assert [t.get_text() for t in figure.axes[0].texts[:2]] == ["99", "<1"]
    assert {t.get_text() for t in figure.axes[0].texts[2:]} == {"100"}


def test_a_class_without_samples_says_so():
    figure = confusion_figure([[3, 1], [0, 0]], ["a", "b"])
    assert "no samples" in texts(figure)
    assert shown(figure)[1].mask[1].all()


@pytest.mark.parametrize("make", [confusion_figure, confusion_table, per_class_table])
@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (np.ones((3, 3)), r"shape \(2, 2\).*got \(3, 3\)"),
        ([[0.5, 0.5], [1, 0]], "whole numbers"),
        ([[-1, 2], [1, 0]], "whole numbers"),
    ],
)
def test_what_is_no_confusion_matrix_is_refused(make, counts, message):
    with pytest.raises(InputError, match=message):
        make(counts, ["a", "b"])


def test_table_is_csv_whatever_the_names():
    text = confusion_table([[12, 1], [3, 5]], ['say "hi", wave', "b"])
    assert list(csv.reader(io.StringIO(text))) == [
        ["true class", 'say "hi", wave', "b"],
        ['say "hi", wave', "12", "1"],
        ["b", "3", "5"],
    ]


def test_per_class_table_by_hand():
    rows = per_class_table([[8, 2, 0], [1, 3, 0], [0, 0, 0]], ["a", "b", "c"])
    assert rows == [
        {
            "class": "a",
            "samples": 10,
            "recall": 0.8,
            "precision": pytest.approx(8 / 9),
            "f1": pytest.approx(16 / 19),
            "most confused with": "b (2)",
        },
        {
            "class": "b",
            "samples": 4,
            "recall": 0.75,
            "precision": 0.6,
            "f1": pytest.approx(6 / 9),
            "most confused with": "a (1)",
        },
        {
            "class": "c",
            "samples": 0,
            "recall": None,
            "precision": None,
            "f1": None,
            "most confused with": None,
        },
    ]


# Display, files and state


@pytest.mark.parametrize(
    ("figure", "kind", "density"),
    [
        (lambda: clip_strip(grey_clip()), "image/jpeg", 1.5),
        (lambda: confusion_figure([[3, 1], [0, 4]], ["a", "b"]), "image/png", 2),
    ],
)
def test_a_notebook_shows_the_figure_without_pyplot(figure, kind, density):
    data, metadata = DisplayFormatter().format(figure())
    assert {name for name in data if name.startswith("image/")} == {kind}
    picture = cv2.imdecode(np.frombuffer(data[kind], np.uint8), cv2.IMREAD_COLOR)
    # More pixels than on plain screens, for those of high density.
    assert picture.shape[1] == pytest.approx(density * metadata[kind]["width"], abs=2)


def test_figures_are_saved_by_suffix_and_leave_no_draft(tmp_path):
    figure = clip_strip(grey_clip())
    png = save_figure(figure, tmp_path / "new" / "a.png")
    svg = save_figure(figure, tmp_path / "new" / "a.svg")
    assert cv2.imread(str(png)).shape[1] == pytest.approx(192 * figure.get_size_inches()[0], abs=2)
    assert b"<svg" in svg.read_bytes()
    assert sorted(p.name for p in png.parent.iterdir()) == ["a.png", "a.svg"]
    with pytest.raises(InputError, match=r"\.png or \.svg, got '\.gif'"):
        save_figure(figure, tmp_path / "a.gif")


def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_figure(clip_strip(grey_clip()), path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_names_are_text_not_formulas():
    names = ["a $5 bill", r"$\frac$"]
    save = confusion_figure([[3, 1], [0, 2]], names)
    assert save._repr_png_()
    assert clip_grid([grey_clip()], [ClipLabel(r"$\frac$", "$$")])._repr_jpeg_()
    assert set(names) <= set(texts(save))


class Listed(NamedTuple):
    """What matplotlib knows of a font."""

    name: str
    fname: str
    style: str = "normal"


def test_a_font_of_any_name_lends_the_signs_that_the_theme_lacks(tmp_path, monkeypatch):
    # STIX stands for a font of another script: it has signs that DejaVu Sans lacks.
    sign = "\u2a6d"
    plain, other = (
        font_manager.findfont(name, fallback_to_default=False)
        for name in ("DejaVu Sans", "STIXGeneral")
    )
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    listed = [
        Listed("Broken", str(broken)), Listed("Leaning", other, "italic"), Listed("Plain", plain),
        Listed("DejaVu Sans", plain), Listed("Foreign", other), Listed("Late", other),
    ]  # fmt: skip
    monkeypatch.setattr(theme, "_SCRIPTS", sign + "a")
    monkeypatch.setattr(font_manager.fontManager, "ttflist", listed)
    found = theme.fonts.__wrapped__()
    assert found == ("DejaVu Sans", "Foreign")


def test_figures_neither_read_nor_change_the_users_style():
    with matplotlib.rc_context({"axes.facecolor": "black", "axes.grid": True, "text.color": "red"}):
        before = dict(matplotlib.rcParams)
        figures = [training_curves(HISTORY), confusion_figure(some_counts(3), ["a", "b", "c"])]
        for figure in figures:
            draw(figure)
            light = [sum(matplotlib.colors.to_rgb(a.get_facecolor())) for a in figure.axes]
            assert min(light) > 2.5
            written = [t for t in figure.findobj(matplotlib.text.Text) if t.get_text()]
            assert "#ff0000" not in {matplotlib.colors.to_hex(t.get_color()) for t in written}
        assert dict(matplotlib.rcParams) == before


def test_the_package_needs_neither_torch_nor_pyplot():
    code = (
        "import sys, videolit.plots; "
        "print([m for m in ('torch', 'matplotlib.pyplot', 'av') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_most_confused_pairs_come_first():
    counts = [[5, 2, 3], [0, 9, 3], [2, 0, 0]]
    rows = most_confused(counts, ["a", "b", "c"], most=3)
    assert [(row["true"], row["predicted"], row["samples"]) for row in rows] == [
        ("a", "c", 3),
        ("b", "c", 3),
        ("c", "a", 2),
    ]
    assert [row["share"] for row in rows] == pytest.approx([0.3, 0.25, 1.0])
    assert most_confused(np.eye(2, dtype=int), ["a", "b"]) == []


def test_f1_of_each_class():
    rows = per_class_table([[3, 1, 0], [2, 4, 0], [0, 0, 0]], ["a", "b", "c"])
    assert [row["f1"] for row in rows] == [pytest.approx(6 / 9), pytest.approx(8 / 11), None]


def test_reliability_diagram_shows_accuracies_and_gaps():
    table = [
        {"low": 0.4, "high": 0.5, "samples": 10, "confidence": 0.45, "accuracy": 0.3},
        {"low": 0.9, "high": 1.0, "samples": 30, "confidence": 0.97, "accuracy": 0.6},
    ]
    figure = reliability_figure(table)
    draw(figure)
    upper, lower = figure.axes
    assert [bar.get_height() for bar in upper.patches] == [0.3, 0.6]
    assert [bar.get_height() for bar in lower.patches] == [0.25, 0.75]
    gaps = [line.get_ydata() for line in upper.lines[1:]]
    assert [list(gap) for gap in gaps] == [[0.3, 0.45], [0.6, 0.97]]
    with pytest.raises(InputError, match="needs answers"):
        reliability_figure([])
