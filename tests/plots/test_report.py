from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from videolit.plots import (
    Report,
    clip_strip,
    confusion_figure,
    per_class_table,
    training_curves,
)
from videolit.types import InputError

EVIL = "<img src=x onerror=alert(1)>\"'&</style></title><script>alert(2)</script>"
VOID = {"meta", "link", "img"}
# Elements whose end HTML lets a page leave out.
OPTIONAL = {"li"}


class Page(HTMLParser):
    """The elements of a page as (tag, attributes, text), and whether they are nested rightly."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.open = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names))
        if tag in OPTIONAL and self.open and self.open[-1][0] == tag:
            self.open.pop()
        element = (tag, dict(attrs), [])
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        if self.open[-1][0] in OPTIONAL and tag != self.open[-1][0]:
            self.open.pop()
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for _, _, text in self.open:
            text.append(data)

    def find(self, tag, cls=None):
        return [
            (attrs, "".join(text))
            for found, attrs, text in self.elements
            if found == tag and (cls is None or cls in attrs.get("class", "").split())
        ]


def moving_clip(num_frames=12, height=90, width=120, seed=0):
    background = np.random.default_rng(seed).integers(0, 255, (5, 7, 3)).astype(np.uint8)
    clip = np.stack([cv2.resize(background, (width, height))] * num_frames)
    for i, frame in enumerate(clip):
        cv2.circle(frame, (10 + 8 * i, height // 2), 9, (240, 80, 30), -1)
    return clip


def full_report(name="run"):
    """A page with every kind of part, all of whose texts are ``name`` or hold it."""
    names = [name, "b", "c"]
    counts = [[8, 2, 0], [1, 3, 0], [0, 4, 9]]
    report = Report(name, name)
    report.facts({name: ("87.5%", name), "samples": 1200})
    report.note(name, "good")
    report.note(name, "warn")
    report.note(name)
    report.section(name, f"{name}\n\n{name}")
    report.table(
        [
            {"model": name, "accuracy": 0.875, "parameters": 11_181_642},
            {"model": "b", "accuracy": None, name: name},
        ],
        name,
        highlight=0,
    )
    report.table(per_class_table(counts, names), name)
    report.section("Training")
    history = {"val/loss": [(0, 2.0), (1, 1.0)], "val/accuracy": [(0, 0.2), (1, 0.8)]}
    report.figure(training_curves(history, baseline=0.1), name, name)
    report.figure(confusion_figure(counts, names), name, name)
    report.figure(clip_strip(moving_clip()), name, name)
    report.section("Clips")
    report.strip(moving_clip(), name, True, predictions=[(name, 0.9), ("b", 0.1)], true=name)
    report.strip(moving_clip(), name, False, predictions=[("b", 0.7), (name, 0.2)], true=name)
    report.strip(moving_clip(), name, False, predictions=[("b", 0.7)], true=name)
    report.strip(moving_clip(), name)
    report.section("Protocol")
    report.details({name: name, "versions": {name: "1.0", "b": [1, name]}})
    return report


def decoded(uri):
    kind, data = re.fullmatch(r"data:image/(jpeg|svg\+xml);base64,([A-Za-z0-9+/=]+)", uri).groups()
    return kind, base64.b64decode(data, validate=True)


def test_hostile_names_add_neither_elements_nor_attributes():
    calm, evil = Page(full_report("run").html()), Page(full_report(EVIL).html())

    def skeleton(page):
        return [(tag, sorted(attrs)) for tag, attrs, _ in page.elements]

    assert skeleton(evil) == skeleton(calm)
    assert evil.find("title") == [({}, EVIL)]
    assert evil.find("h1") == [({}, EVIL)]
    assert evil.find("caption")[0][1] == EVIL
    assert {attrs["alt"] for attrs, _ in evil.find("img", "figure")} == {EVIL}
    tags = {tag for tag, _, _ in evil.elements}
    assert not tags & {"script", "iframe", "object", "embed", "form", "svg"}


def test_nothing_leaves_the_file():
    html = full_report(EVIL).html()
    page = Page(html)
    for _, attrs, _ in page.elements:
        for name in ("src", "href", "srcset", "action", "poster"):
            assert attrs.get(name, "#").startswith(("#", "data:"))
        assert not [name for name in attrs if name.startswith("on")]
    assert "http:" not in html
    assert "https:" not in html
    assert "//" not in re.sub(r'"data:[^"]*"', "", html)
    assert "url(" not in html
    assert "@import" not in html
    policy = next(a["content"] for a, _ in page.find("meta") if "http-equiv" in a)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    drawings = [decoded(a["src"]) for a, _ in page.find("img")]
    for kind, data in drawings:
        if kind == "svg+xml":
            references = re.findall(rb'href="([^"]*)"', data)
            assert all(r.startswith((b"#", b"data:")) for r in references)
            assert b"<script" not in data
            assert not re.search(rb"url\((?!#)", data)


def test_structure_is_accessible():
    page = Page(full_report().html())
    (attrs, _) = page.find("html")[0]
    assert attrs["lang"] == "en"
    levels = [int(tag[1]) for tag, _, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels == [1, 2, 2, 2, 2]
    assert all(attrs.get("alt") for attrs, _ in page.find("img"))
    assert all(attrs.get("scope") in ("row", "col") for attrs, _ in page.find("th"))
    ids = [attrs["id"] for _, attrs, _ in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs, _ in page.elements:
        if attrs.get("href", "").startswith("#"):
            assert attrs["href"][1:] in ids
        if "aria-labelledby" in attrs:
            assert attrs["aria-labelledby"] in ids
    assert "utf-8" in [attrs.get("charset") for attrs, _ in page.find("meta")]


def contrast(first, second):
    """WCAG 2.1, contrast ratio."""

    def luminance(color):
        color = color if len(color) == 7 else "#" + "".join(2 * c for c in color[1:])
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_text_has_contrast_in_light_dark_and_print():
    schemes = re.findall(r":root\{([^}]*)\}", full_report().html())
    assert len(schemes) == 3
    for scheme in schemes:
        colors = dict(re.findall(r"--(\w+):(#\w+)", scheme))
        for text in ("ink", "muted", "accent", "right", "wrong", "warn"):
            for ground in ("page", "card", "soft"):
                # 4.5: WCAG 2.1, level AA for normal text.
                assert contrast(colors[text], colors[ground]) >= 4.5, (text, ground, colors)


def test_table_formats_columns():
    report = Report("t")
    rows = [
        {"model": "a", "accuracy": np.float32(0.5), "parameters": 11_181_642, "time": "6 min"},
        {"model": "b", "accuracy": float("nan"), "parameters": None, "time": None, "ok": True},
        {"model": "c", "accuracy": 1.0, "parameters": np.int64(7), "time": "12 min"},
    ]
    report.table(rows, highlight=2)
    page = Page(report.html())
    assert [text for _, text in page.find("th")] == [
        *("model", "accuracy", "parameters", "time", "ok"),
        *("a", "b", "c"),
    ]
    cells = page.find("td")
    assert [text for _, text in cells] == [
        *("0.500", "11,181,642", "6 min", "–"),
        *("–", "–", "–", "yes"),
        *("1.000", "7", "12 min", "–"),
    ]
    assert [attrs.get("class") for attrs, _ in cells[:4]] == ["number"] * 3 + [None]
    assert [text for _, text in page.find("tr", "highlight")] == ["c1.000712 min–"]


@pytest.mark.parametrize(("rows", "highlight"), [([], None), ([{"a": 1}], 1), ([{"a": 1}], -1)])
def test_impossible_tables_are_refused(rows, highlight):
    with pytest.raises(InputError, match=f"got {len(rows)} rows, highlight {highlight}"):
        Report("t").table(rows, highlight=highlight)


def test_unknown_kind_of_note_is_refused():
    with pytest.raises(InputError, match="info, warn, good, got 'bad'"):
        Report("t").note("x", "bad")


def test_strips_tell_right_from_wrong_by_symbol_and_show_the_truth():
    page = Page(full_report().html())
    strips = [(attrs["class"], text) for attrs, text in page.find("figure", "strip")]
    assert [cls for cls, _ in strips] == [
        *("strip right", "strip wrong", "strip wrong", "strip open"),
    ]
    assert strips[0][1] == "✓ rightrunrun true90%b10%"
    assert strips[1][1] == "✗ wrongrunb70%run true20%"
    assert strips[2][1] == "✗ wrongrunb70%true class: run"
    assert strips[3][1] == "run"
    bars = [attrs["class"] for attrs, _ in page.find("li") if "class" in attrs]
    assert bars == ["right", "other", "wrong", "right", "wrong"]
    shares = [attrs["style"] for attrs, _ in page.find("span", "bar")]
    assert shares == [f"--share:{v}%" for v in (90.0, 10.0, 70.0, 20.0, 70.0)]


def test_strip_shows_the_chosen_frames_in_true_colours_and_small():
    clip = np.zeros((9, 400, 300, 3), np.uint8)
    clip[...] = (np.arange(9, dtype=np.uint8) * 20)[:, None, None, None]
    clip[..., 0] = 200
    report = Report("t")
    report.strip(clip, "a", num_frames=3)
    images = [attrs for attrs, _ in Page(report.html()).find("img")]
    assert [attrs["alt"] for attrs in images] == ["frame 0", "frame 4", "frame 8"]
    for attrs, level in zip(images, (0, 80, 160), strict=True):
        kind, data = decoded(attrs["src"])
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        assert kind == "jpeg"
        assert picture.shape == (176, 132, 3)
        assert picture[88, 66].tolist() == pytest.approx([200, level, level], abs=4)


def test_strip_refuses_another_layout():
    with pytest.raises(InputError, match=r"uint8 \(T, H, W, 3\)"):
        Report("t").strip(np.zeros((4, 3, 9, 9), np.uint8), "a")


def test_drawings_are_svg_and_pictures_jpeg():
    images = Page(full_report().html()).find("img", "figure")
    assert [decoded(attrs["src"])[0] for attrs, _ in images] == ["svg+xml", "svg+xml", "jpeg"]
    _, data = decoded(images[0][0]["src"])
    assert data.startswith(b"<svg")


def test_a_typical_report_is_small():
    report = full_report()
    for i in range(12):
        noisy = np.random.default_rng(i).integers(0, 40, (12, 240, 320, 3)).astype(np.uint8)
        report.strip(moving_clip(12, 240, 320, i) // 2 + noisy, f"{i}.mp4", True)
    counts = np.random.default_rng(0).integers(0, 3, (50, 50)) + np.eye(50, dtype=int) * 40
    report.figure(confusion_figure(counts, [f"class {i}" for i in range(50)]), "c", "a")
    assert len(report.html().encode()) < 2_000_000


def test_saved_as_a_whole_in_utf8(tmp_path):
    path = Report("Übung 動画", "a\udcff.mp4").save(tmp_path / "new" / "report.html")
    assert "Übung 動画" in path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


# Browser


@pytest.fixture(scope="module")
def chromium():
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("no chromium: apt-get install -y --no-install-recommends chromium")
    return path


def browse(chromium, page, folder, width=1280):
    """Open a page; return its screenshot, console messages and the addresses it asked for."""
    folder.mkdir()
    done = subprocess.run(
        [
            chromium,
            *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            # The browser's own traffic ends here; the page's attempts are in the log all the same.
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={folder / 'profile'}",
            f"--screenshot={folder / 'page.png'}",
            f"--window-size={width},3000",
            f"--log-net-log={folder / 'net.json'}",
            "--enable-logging=stderr",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    log = json.loads((folder / "net.json").read_text())
    asked = {
        event["params"]["url"]
        for event in log["events"]
        # The browser's own requests have the initiator "not an origin".
        if event.get("params", {}).get("initiator", "not an origin") != "not an origin"
        and "url" in event["params"]
    }
    messages = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return cv2.imread(str(folder / "page.png"), cv2.IMREAD_COLOR_RGB), messages, asked


@pytest.mark.system
def test_a_browser_shows_the_page_and_asks_for_nothing(chromium, tmp_path):
    path = full_report(EVIL).save(tmp_path / "report.html")
    picture, messages, asked = browse(chromium, path, tmp_path / "a")
    assert messages == []
    assert asked == set()
    assert picture.shape == (3000, 1280, 3)
    # Ink and the green of right answers are on the page, and the margin is empty.
    assert (np.abs(picture.astype(int) - (27, 36, 48)).max(axis=2) < 12).sum() > 2000
    assert (np.abs(picture.astype(int) - (11, 115, 80)).max(axis=2) < 12).sum() > 500
    assert np.ptp(picture[:, :40].reshape(-1, 3), axis=0).max() == 0


@pytest.mark.system
def test_the_page_forbids_what_slips_in_and_the_check_would_see_it(chromium, tmp_path):
    html = full_report().html()
    intruder = '<main><img src="http://reference.invalid/x.png"><script>console.log(1)</script>'
    guarded = tmp_path / "guarded.html"
    guarded.write_text(html.replace("<main>", intruder), encoding="utf-8")
    _, messages, asked = browse(chromium, guarded, tmp_path / "a")
    assert asked == set()
    assert len(messages) == 2
    assert all("Content Security Policy" in message for message in messages)
    open_page = tmp_path / "open.html"
    without = re.sub(r"<meta http-equiv[^>]*>", "", html.replace("<main>", intruder))
    open_page.write_text(without, encoding="utf-8")
    _, messages, asked = browse(chromium, open_page, tmp_path / "b")
    assert asked == {"http://reference.invalid/x.png"}
    assert len(messages) == 1


def test_a_gallery_escapes_its_names_and_refuses_other_shapes():
    report = Report("t")
    image = np.zeros((90, 160, 3), np.uint8)
    report.gallery("<b>", [("a<i>.mp4", image), ("tall", image.transpose(1, 0, 2))])
    html = report.html()
    assert "&lt;b&gt;" in html
    assert html.count("a&lt;i&gt;.mp4") == 2
    assert html.count("data:image/jpeg") == 2
    with pytest.raises(InputError, match="at least one image"):
        report.gallery("none", [])
    with pytest.raises(InputError, match=r"grey must be uint8"):
        report.gallery("grey", [("grey", image[..., 0])])
