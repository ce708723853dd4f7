import itertools
import sys

import cv2
import numpy as np
import pytest

from videolit.plots.lettering import shortened, text_width
from videolit.plots.storyboard import storyboard
from videolit.types import InputError


def plain(height=36, width=64, color=(255, 0, 0)):
    return np.full((height, width, 3), color, np.uint8)


def numbered(number):
    """Pictures of which each has a colour of its own, far from the sheet's greys."""
    return [plain(color=(255, 0, i)) for i in range(number)]


def cells(sheet, red=255):
    """Left, top, width and height of each reddish area, in the order that one reads."""
    mask = ((sheet[..., 0] == red) & (sheet[..., 1] == 0)).astype(np.uint8)
    _, _, boxes, _ = cv2.connectedComponentsWithStats(mask)
    return sorted((tuple(int(v) for v in box[:4]) for box in boxes[1:]), key=lambda b: (b[1], b[0]))


def shown(sheet):
    """The number of each picture, in the order that one reads."""
    return [int(sheet[top + h // 2, left + w // 2, 2]) for left, top, w, h in cells(sheet)]


@pytest.fixture
def written(monkeypatch):
    """What is drawn as text: (words, left and right end in pixels, width of the sheet)."""
    found = []
    # The package may show the function under the module's name.
    module = sys.modules[storyboard.__module__]
    draw = module._band

    def spy(width, height, texts, *, at):
        for text in texts:
            wide = text_width(text.words, text.size, weight=text.weight)
            left = text.x - wide if text.ends else text.x
            found.append((text.words, left, left + wide, width))
        return draw(width, height, texts, at=at)

    monkeypatch.setattr(module, "_band", spy)
    return found


@pytest.mark.parametrize("number", [1, 3, 7, 60])
@pytest.mark.parametrize("shape", [(36, 64), (64, 36), (20, 90), (200, 10)])
def test_pictures_stand_in_order_whole_and_on_the_sheet(number, shape):
    images = [plain(*shape, color=(255, 0, i)) for i in range(number)]
    sheet = storyboard(images, [f"0:{i:02d}" for i in range(number)], width=800)
    boxes = cells(sheet)
    assert shown(sheet) == list(range(number))
    for left, top, width, height in boxes:
        assert left >= 18
        assert top >= 18
        assert left + width <= sheet.shape[1] - 18
        assert top + height <= sheet.shape[0] - 18
        assert width / height == pytest.approx(shape[1] / shape[0], rel=0.08)
    assert sheet.shape[1] <= 800
    assert sheet.dtype == np.uint8
    # No picture of a sheet fills more than a screen.
    assert max(height for *_, height in boxes) <= 480
    # Only panoramas stand one below the other.
    assert number == 1 or shape == (20, 90) or len({top for _, top, *_ in boxes}) < number


def test_a_row_is_as_long_as_asked():
    sheet = storyboard(numbered(7), ["a"] * 7, columns=3, width=900)
    tops = [top for _, top, *_ in cells(sheet)]
    assert [tops.count(top) for top in sorted(set(tops))] == [3, 3, 1]
    assert sheet.shape[1] == 900
    assert len({top for _, top, *_ in cells(storyboard(numbered(2), ["a"] * 2, columns=9))}) == 1


def test_other_shapes_get_bars_in_cells_of_the_usual_shape():
    images = [plain(90, 160)] * 3 + [plain(160, 90), plain(90, 400)]
    sheet = storyboard(images, ["a"] * 5, columns=5, width=1600)
    boxes = {box[0]: box for box in cells(sheet)}
    places = [boxes[left] for left in sorted(boxes)]
    usual, upright, flat = places[0], places[3], places[4]
    assert upright[3] == pytest.approx(usual[3], abs=1)
    assert upright[2] / upright[3] == pytest.approx(90 / 160, rel=0.02)
    assert flat[2] == pytest.approx(usual[2], abs=2)
    # Centred, both ways.
    assert flat[1] + flat[3] / 2 == pytest.approx(usual[1] + usual[3] / 2, abs=1.5)
    step = places[1][0] - places[0][0]
    centre = usual[0] + 3 * step + usual[2] / 2
    assert upright[0] + upright[2] / 2 == pytest.approx(centre, abs=1.5)


def test_of_many_pictures_sixty_are_shown_and_the_footer_says_so(written):
    sheet = storyboard(numbered(143), [f"c{i}" for i in range(143)], footer="9:59", width=800)
    numbers = shown(sheet)
    assert len(numbers) == 60
    assert (numbers[0], numbers[-1]) == (0, 142)
    assert set(np.diff(numbers)) == {2, 3}
    assert [words for words, *_ in written] == [
        *(f"c{i}" for i in numbers),
        "9:59 · 60 of 143 pictures shown",
    ]


@pytest.mark.parametrize("width", [320, 1600])
@pytest.mark.parametrize("shape", [(36, 64), (64, 36)])
@pytest.mark.parametrize("number", [1, 5, 20])
def test_no_text_leaves_its_place(written, width, shape, number):
    caption = "10:00:42–10:00:51   score 0.83"
    captions = [caption, "x" * 90, f"{'y' * 90}   {'z' * 90}"][:number]
    captions += [caption] * (number - len(captions))
    sheet = storyboard(
        [plain(*shape)] * number, captions, width=width, title="W" * 300, footer="f" * 300
    )
    assert len(written) > number
    boxes = cells(sheet)
    gap = 0.0 if number == 1 else 22 * width / 1600
    for words, left, right, total in written:
        assert left >= 0
        assert right <= total, words
        if words[0] not in "Wf":
            # Beneath a picture, and not beneath two.
            under = [b for b in boxes if left >= b[0] - 2 and right <= b[0] + b[2] + max(gap, 2)]
            assert under, words


def test_a_caption_has_a_left_and_a_right_part(written):
    storyboard([plain()] * 2, ["0:42–0:51   score 0.83", "only left"], width=800)
    words = {words: (left, right) for words, left, right, _ in written}
    written.clear()
    storyboard([plain()] * 3, [f"{'y' * n}   {'z' * 90}" for n in (20, 40, 99)], width=600)
    for (_, _, end, _), (_, start, _, _) in itertools.pairwise(written):
        assert end < start
    assert set(words) == {"0:42–0:51", "score 0.83", "only left"}
    assert words["0:42–0:51"][1] < words["score 0.83"][0]
    assert words["score 0.83"][1] < words["only left"][0]


def test_captions_and_title_are_drawn():
    bare = storyboard([plain()], [""], width=800)
    captioned = storyboard([plain()], ["0:01"], width=800)
    titled = storyboard([plain()], [""], title="a.mp4", width=800)
    assert bare.shape == captioned.shape
    assert (bare != captioned).any(axis=2).sum() > 50
    assert titled.shape[0] > bare.shape[0]
    # Dark ink on white.
    assert captioned.min() < 60
    assert (bare[..., 1] > 200).sum() + len(bare[bare[..., 1] == 0]) == bare[..., 1].size


def test_a_white_picture_can_be_told_from_the_sheet():
    sheet = storyboard([plain(color=(255, 255, 255))], [""], width=800)
    frame = (sheet != 255).any(axis=2)
    rows, columns = np.flatnonzero(frame.any(1)), np.flatnonzero(frame.any(0))
    assert columns[-1] - columns[0] == pytest.approx(64 / 36 * (rows[-1] - rows[0]), rel=0.02)
    assert frame[rows[0], columns[0] : columns[-1] + 1].all()
    assert frame[rows[0] : rows[-1] + 1, columns[0]].all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], []), "at least one picture.*got 0 pictures"),
        (([plain()], []), "1 pictures and 0 captions"),
        (([plain(), plain()[..., 0]], ["a", "b"]), r"picture 1 must be uint8 \(H, W, 3\)"),
        (([plain().astype(np.float32)], ["a"]), "got float32"),
    ],
)
def test_what_is_no_picture_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        storyboard(*arguments)


def test_sheets_without_room_are_refused():
    with pytest.raises(InputError, match="20 columns leave .* pixels each in a width of 400"):
        storyboard([plain()] * 20, ["a"] * 20, columns=20, width=400)
    with pytest.raises(InputError, match="got width 100"):
        storyboard([plain()], ["a"], width=100)
    with pytest.raises(InputError, match="0 columns"):
        storyboard([plain()], ["a"], columns=0)


def test_text_is_cut_where_its_room_ends():
    text = "the longest title that anyone ever gave to a video of a holiday"
    for room in (40, 133.3, 200):
        cut = shortened(text, room, 11, weight="bold")
        assert cut.endswith("…")
        assert text.startswith(cut[:-1])
        assert text_width(cut, 11, weight="bold") <= room
        longer = text[: len(cut) + 1] + "…"
        assert text_width(longer, 11, weight="bold") > room
    assert shortened("two\nlines", 500, 11) == "two lines"
    assert text_width("abc", 11, weight="bold") > text_width("abc", 11)
    assert text_width("abc", 11, dpi=144) == pytest.approx(2 * text_width("abc", 11), rel=0.1)
