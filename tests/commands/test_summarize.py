"""A short video of a long one: what is written, that it fits, and what it says of itself."""

import io
import json
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
import torch

from videolit.commands import summary_files
from videolit.commands.feature_source import FeatureSource, plain_source
from videolit.commands.summarize import Settings, load_model, summarize
from videolit.data.reader import VideoReader
from videolit.data.sound_writer import write_video_with_sound
from videolit.data.writer import write_video
from videolit.types import InputError, VideoError

FPS, RATE = 10, 16_000
# First frames of the scenes of the long video, and its end.
CUTS = (0, 43, 88, 120, 171, 214, 260)


def scene(number, frames, size=(48, 64)):
    """A pattern of its own with a bar that moves."""
    rng = np.random.default_rng(number)
    tiles = rng.integers(0, 256, (4, 4, 3), np.uint8)
    rows, columns = np.arange(size[0]) * 4 // size[0], np.arange(size[1]) * 4 // size[1]
    base = tiles[rows[:, None], columns[None]]
    found = np.repeat(base[None], frames, 0)
    for place in range(frames):
        left = (3 + number) * place % size[1]
        found[place, size[0] // 3 : size[0] // 2, left : left + 6] = 255
    return found


def pictures(size=(48, 64), cuts=CUTS):
    parts = zip(cuts[:-1], cuts[1:], strict=True)
    return np.concatenate([scene(n, b - a, size) for n, (a, b) in enumerate(parts)])


def voice(seconds):
    t = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * 300 * t) * (1 + np.sin(2 * np.pi * t / 7))).astype(np.float32)


def write_timed(path, frames, ticks, rotation=0):
    """Write frames at their own times, in hundredths of a second."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=100, options={"g": "12"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, 100)
        if rotation:
            stream.set_display_rotation(rotation)
        for image, tick in zip(frames, ticks, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, 100)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Six scenes of 26 seconds with sound."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    return write_video_with_sound(path, pictures(), FPS, voice(26), RATE)


@pytest.fixture(scope="module")
def made(long, tmp_path_factory):
    """The record of a default summary and its folder."""
    told = []
    folder = tmp_path_factory.mktemp("made") / "a" / "out"
    record = summarize(long, folder, progressed=lambda stage, share: told.append((stage, share)))
    return record, folder, told


def chosen(record):
    return [segment for segment in record["segments"] if segment["selected"]]


def length(segments):
    return sum(segment["end"] - segment["start"] for segment in segments)


def check(record, path, *, dropped=False):
    """Check what every record promises."""
    reader = VideoReader(path)
    edges = np.append(reader.timestamps, record["source"]["duration"])
    segments = record["segments"]
    if not dropped:
        assert segments[0]["start_frame"] == 0
        assert segments[-1]["end_frame"] == reader.num_frames
        for before, after in zip(segments[:-1], segments[1:], strict=True):
            assert before["end_frame"] == after["start_frame"]
            assert before["end"] == after["start"]
    for before, after in zip(segments[:-1], segments[1:], strict=True):
        assert before["end_frame"] <= after["start_frame"]
        assert before["shot"] <= after["shot"]
    for segment in segments:
        assert segment["start_frame"] < segment["end_frame"]
        assert segment["start"] == pytest.approx(edges[segment["start_frame"]], abs=2e-6)
        assert segment["end"] == pytest.approx(edges[segment["end_frame"]], abs=2e-6)
        assert 0 <= segment["score"] <= 1
    assert sorted(s["rank"] for s in segments) == list(range(1, len(segments) + 1))
    by_rank = sorted(segments, key=lambda s: s["rank"])
    assert [s["score"] for s in by_rank] == sorted((s["score"] for s in segments), reverse=True)
    assert chosen(record)
    assert record["budget"] <= record["source"]["duration"] + 1e-6
    times, values = record["scores"]["time"], record["scores"]["value"]
    assert len(times) == len(values)
    assert times[0] == 0
    assert times == sorted(times)
    assert np.isfinite(values).all()
    assert 0 <= min(values) <= max(values) <= 1
    assert json.loads(json.dumps(record, allow_nan=False)) == json.loads(json.dumps(record))


# ---- what is written ----------------------------------------------------------------------------


def test_all_files_are_there_and_the_record_names_them(made, long):
    record, folder, _ = made
    check(record, long)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == set(record["files"])
    stills = {name for name in found if name.startswith("keyframes/")}
    assert len(stills) == len(chosen(record))
    assert found - stills == {
        "summary.mp4", "storyboard.jpg", "scores.png", "chapters.vtt", "concat.txt",
        "summary.edl", "summary.json",
    }  # fmt: skip
    assert json.loads((folder / "summary.json").read_text()) == json.loads(json.dumps(record))
    last = max(folder.rglob("*.*"), key=lambda path: path.stat().st_mtime_ns)
    assert last.name == "summary.json"


def test_the_record_says_what_it_is_of(made, long):
    record, _, _ = made
    assert (record["schema"], record["version"]) == ("videolit.summary", 1)
    source = record["source"]
    assert source["path"] == str(long)
    assert source["bytes"] == long.stat().st_size
    assert source["duration"] == pytest.approx(26)
    assert (source["num_frames"], source["fps"]) == (260, 10)
    assert (source["width"], source["height"], source["rotation"]) == (64, 48, 0)
    assert source["audio"] is True
    assert record["model"]["kind"] == "training-free"
    assert record["settings"]["shots"] == "kts"
    assert record["settings"]["diversity"] == 0.5
    assert record["budget"] == pytest.approx(0.15 * 26)
    assert record["timing"].keys() >= {
        "decode and features", "scores", "shots", "selection", "summary.mp4", "pictures",
    }  # fmt: skip


def test_the_summary_is_the_chosen_segments_with_sound(made):
    record, folder, _ = made
    kept = chosen(record)
    assert 0 < length(kept) <= record["budget"] + 1e-6
    assert record["summary"]["audio"] == "kept"
    assert record["summary"]["seconds"] == pytest.approx(length(kept), abs=1e-5)
    with av.open(str(folder / "summary.mp4")) as file:
        count = sum(1 for _ in file.decode(video=0))
        assert file.streams.video[0].codec_context.name == "h264"
        assert file.streams.audio[0].codec_context.name == "aac"
    assert count == sum(s["end_frame"] - s["start_frame"] for s in kept) == (
        record["summary"]["frames"]
    )  # fmt: skip


def test_key_frames_are_frames_of_their_segments(made, long):
    record, folder, _ = made
    reader = VideoReader(long)
    for segment in chosen(record):
        still = segment["keyframe"]
        assert segment["start_frame"] <= still["frame"] < segment["end_frame"]
        assert still["time"] == pytest.approx(reader.timestamps[still["frame"]], abs=1e-6)
        image = cv2.imread(str(folder / still["file"]))[:, :, ::-1]
        frames = range(segment["start_frame"], segment["end_frame"])
        errors = [np.abs(image.astype(int) - true).mean() for true in reader.read(list(frames))]
        assert frames[int(np.argmin(errors))] == still["frame"]
    assert all("keyframe" not in s for s in record["segments"] if not s["selected"])


def test_progress_goes_through_its_stages(made):
    _, _, told = made
    stages = list(dict.fromkeys(stage for stage, _ in told))
    assert stages == ["looking", "writing", "pictures"]
    for stage in stages:
        shares = [share for name, share in told if name == stage]
        assert shares == sorted(shares)
        assert shares[-1] == pytest.approx(1, abs=0.02)


def test_scenes_are_found_to_the_frame(made):
    record, _, _ = made
    starts = {segment["start_frame"] for segment in record["segments"]}
    assert set(CUTS[:-1]) <= starts


def test_equal_runs_give_equal_records(made, long):
    first, _, _ = made
    again = summarize(long)
    plain = json.loads(json.dumps(again))
    for name in ("segments", "scores", "budget", "model", "source", "settings"):
        expected = json.loads(json.dumps(first[name]))
        if name == "segments":
            for segment in expected:
                segment.pop("keyframe", None)
        assert plain[name] == expected, name


def test_a_summary_that_is_replaced_leaves_nothing_behind(long, tmp_path):
    first = summarize(long, tmp_path, settings=Settings(ratio=0.4))
    (tmp_path / "keyframes" / "mine.txt").write_text("mine")
    second = summarize(long, tmp_path, settings=Settings(seconds=1), video=False)
    found = {
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert set(first["files"]) - set(second["files"])
    assert found == set(second["files"]) | {"keyframes/mine.txt"}
    assert second["summary"] is None
    assert json.loads((tmp_path / "summary.json").read_text())["files"] == second["files"]


def test_a_run_that_fails_leaves_no_record(long, tmp_path, monkeypatch):
    summarize(long, tmp_path, video=False)

    def full(*arguments, **more):
        raise OSError("no space left")

    monkeypatch.setattr(summary_files, "write_chapters", full)
    with pytest.raises(OSError, match="no space"):
        summarize(long, tmp_path, video=False)
    assert not (tmp_path / "summary.json").exists()


def test_a_run_that_was_stopped_leaves_nothing_to_the_next(long, tmp_path, monkeypatch):
    def stop(*arguments, **more):
        raise KeyboardInterrupt

    (tmp_path / "keyframes").mkdir()
    (tmp_path / "keyframes" / "0001_mine.jpg").write_text("mine")
    with monkeypatch.context() as patch:
        patch.setattr(summary_files, "write_chapters", stop)
        with pytest.raises(KeyboardInterrupt):
            summarize(long, tmp_path, settings=Settings(ratio=0.5))
    assert (tmp_path / "summary.mp4").exists()
    # What a process that is killed leaves of a file that it writes.
    (tmp_path / ".summary.123.part.mp4").write_text("half")
    record = summarize(long, tmp_path, settings=Settings(seconds=1), video=False)
    found = {
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert found == {*record["files"], "keyframes/0001_mine.jpg"}


def test_a_record_that_is_no_record_is_replaced(long, tmp_path):
    (tmp_path / "summary.json").write_text('{"segments": [{"keyframe": {"file": "../x"}}, 3]}')
    (tmp_path.parent / "x").write_text("not ours")
    summarize(long, tmp_path, video=False)
    assert (tmp_path.parent / "x").read_text() == "not ours"
    assert json.loads((tmp_path / "summary.json").read_text())["schema"] == "videolit.summary"


# ---- how much is kept ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        Settings(ratio=0.5),
        Settings(seconds=9.3),
        Settings(seconds=3, shots="uniform"),
        Settings(ratio=0.3, rank="greedy", diversity=0.0),
        Settings(ratio=0.3, diversity=1.0),
        Settings(ratio=0.3, diversity=0.0),
        Settings(min_shot=3, max_shot=6),
    ],
)
def test_what_is_chosen_fits_the_budget(long, settings):
    record = summarize(long, settings=settings)
    check(record, long)
    budget = settings.seconds or (settings.ratio or 0.15) * 26
    assert record["budget"] == pytest.approx(budget)
    assert length(chosen(record)) <= budget + 1e-6


@pytest.mark.parametrize("seconds", [0.55, 0.3, 0.1])
def test_a_budget_below_the_shortest_shot_splits_one(long, seconds):
    record = summarize(long, settings=Settings(seconds=seconds))
    check(record, long)
    assert 0 < length(chosen(record)) <= seconds + 1e-6
    assert len(chosen(record)) == 1


def test_a_budget_below_a_frame_gives_a_frame(long):
    record = summarize(long, settings=Settings(seconds=0.01))
    check(record, long)
    assert length(chosen(record)) == pytest.approx(0.1)


@pytest.mark.parametrize("settings", [Settings(ratio=1), Settings(seconds=1e6)])
def test_a_budget_of_the_whole_video_keeps_all(long, settings):
    record = summarize(long, settings=settings)
    assert record["budget"] == pytest.approx(26)
    assert all(segment["selected"] for segment in record["segments"])


def frames_of(segments):
    return {f for s in segments for f in range(s["start_frame"], s["end_frame"])}


def test_ranges_are_kept_and_dropped_to_the_frame(long):
    record = summarize(
        long, settings=Settings(seconds=6, keep=((2, 3.5), (20.1, 21)), drop=((5, 14), (25, 99)))
    )
    check(record, long, dropped=True)
    inside = frames_of(chosen(record))
    assert {*range(20, 35), *range(201, 210)} <= inside
    assert not inside & {*range(50, 140), *range(250, 260)}
    assert not frames_of(record["segments"]) & {*range(50, 140), *range(250, 260)}
    kept = [segment for segment in record["segments"] if segment["kept"]]
    assert frames_of(kept) == {*range(20, 35), *range(201, 210)}
    assert all(segment["selected"] for segment in kept)
    assert length(chosen(record)) <= 6 + 1e-6


def test_what_is_kept_wins_and_may_be_all(long):
    record = summarize(long, settings=Settings(seconds=2, keep=((4, 6),), drop=((0, 26),)))
    assert frames_of(record["segments"]) == set(range(40, 60))
    assert length(chosen(record)) == pytest.approx(2)


def test_ranges_may_end_after_the_video(long, tmp_path):
    settings = Settings(ratio=0.3, keep=((25, 99),), drop=((0, 1), (20, 99)))
    record = summarize(long, tmp_path, settings=settings, video=False)
    assert "scores.png" in record["files"]
    assert chosen(record)[-1]["end"] == record["source"]["duration"]


def test_a_range_shorter_than_a_frame_is_still_kept(long):
    ranges = ((3.02, 3.03), (10.16, 10.17), (25.99, 25.999))
    record = summarize(long, settings=Settings(seconds=2, keep=ranges))
    check(record, long)
    assert frames_of([s for s in record["segments"] if s["kept"]]) == {30, 102, 259}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(ratio=0.2, seconds=3), "not both"),
        (Settings(ratio=0), r"share of the video in \(0, 1\], got 0"),
        (Settings(ratio=1.1), "got 1.1"),
        (Settings(seconds=0), "seconds must be above 0"),
        (Settings(seconds=float("nan")), "seconds must be above 0"),
        (Settings(shots="scenes"), "shots must be one of kts, adaptive, content, uniform"),
        (Settings(rank="best"), "rank must be one of"),
        (Settings(min_shot=0), "min_shot must be above 0"),
        (Settings(min_shot=5, max_shot=9), "at least twice as long"),
        (Settings(diversity=2), r"diversity must lie in \[0, 1\]"),
        (Settings(keep=((0, 9),)), "what must be kept lasts 9.00 s"),
        (Settings(drop=((0, 30),)), "nothing is left"),
        (Settings(keep=((5, 3),)), "keep must be seconds start-end within the video"),
        (Settings(drop=((30, 31),)), "drop must be seconds"),
    ],
)
def test_settings_that_cannot_be_met_are_refused(long, settings, message):
    with pytest.raises(InputError, match=message):
        summarize(long, settings=settings)


@pytest.mark.parametrize("shots", ["kts", "adaptive", "content", "uniform"])
def test_every_detector_covers_the_video(long, shots):
    record = summarize(long, settings=Settings(shots=shots, ratio=0.4))
    check(record, long)
    starts = [s["start_frame"] for s in record["segments"]]
    if shots == "uniform":
        assert starts == [0, 50, 100, 150, 200, 250]
    elif shots == "content":
        assert set(CUTS[:-1]) <= set(starts)
    elif shots == "adaptive":
        assert len(set(CUTS[:-1]) & set(starts)) >= 5
    assert all(s["end"] - s["start"] <= 20 for s in record["segments"])


# ---- odd videos ---------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_video_of_a_few_frames_has_a_summary(tmp_path, count):
    path = write_video(tmp_path / "a.mp4", scene(0, count), FPS)
    record = summarize(path, tmp_path / "out")
    check(record, path)
    assert sum(s["end_frame"] - s["start_frame"] for s in chosen(record)) == 1
    assert record["summary"]["frames"] == 1
    assert record["summary"]["audio"] == "none"
    assert record["source"]["audio"] is False
    for shots in ("adaptive", "content", "uniform"):
        check(summarize(path, settings=Settings(shots=shots)), path)


def test_an_odd_size_and_no_sound(tmp_path):
    path = write_video(tmp_path / "odd.mkv", pictures((49, 65))[:120], FPS, codec="ffv1")
    record = summarize(path, tmp_path / "out")
    check(record, path)
    assert (record["source"]["width"], record["source"]["height"]) == (65, 49)
    with av.open(str(tmp_path / "out" / "summary.mp4")) as file:
        assert (file.streams.video[0].width, file.streams.video[0].height) == (64, 48)
        assert not file.streams.audio


def test_a_variable_rate_and_a_turned_picture(tmp_path):
    steps = np.random.default_rng(0).integers(3, 30, 200)
    ticks = [0, *np.cumsum(steps)[:-1].tolist()]
    path = write_timed(tmp_path / "a.mp4", pictures()[:200], ticks, rotation=90)
    record = summarize(path, tmp_path / "out", settings=Settings(ratio=0.3))
    check(record, path)
    assert record["source"]["rotation"] == 90
    assert (record["source"]["width"], record["source"]["height"]) == (48, 64)
    assert length(chosen(record)) <= record["budget"] + 1e-6
    for shots in ("adaptive", "content", "uniform"):
        check(summarize(path, settings=Settings(shots=shots)), path)
    with av.open(str(tmp_path / "out" / "summary.mp4")) as file:
        assert (file.streams.video[0].width, file.streams.video[0].height) == (48, 64)


def test_slow_videos_have_shots_in_seconds(tmp_path):
    # A frame every two seconds: fewer than the two steps per second that are asked for.
    path = write_video(tmp_path / "slow.mp4", pictures()[:60], Fraction(1, 2))
    record = summarize(path, settings=Settings(max_shot=16, min_shot=4))
    check(record, path)
    assert max(s["end"] - s["start"] for s in record["segments"]) <= 16 + 1e-6


def test_a_still_picture_has_a_summary(tmp_path):
    path = write_video(tmp_path / "a.mp4", np.full((100, 32, 32, 3), 90, np.uint8), FPS)
    record = summarize(path, settings=Settings(seconds=2))
    check(record, path)
    assert 0 < length(chosen(record)) <= 2


def test_a_video_that_cannot_be_read_is_an_error(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("no video")
    with pytest.raises(VideoError):
        summarize(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def undecoded(monkeypatch):
    """Let no frame be decoded."""

    def describe(*arguments, **more):
        raise AssertionError("the video was decoded")

    monkeypatch.setattr(FeatureSource, "describe", describe)


@pytest.mark.parametrize("below", ["", "sub", "sub/more"])
def test_a_folder_that_cannot_be_made_is_told_before_the_video_is_decoded(
    long, tmp_path, undecoded, below
):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="cannot make the folder .*out is a file"):
        summarize(long, tmp_path / "out" / below)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(keep=((26, 27),)), r"keep must be seconds start-end within the video \(0 to 26"),
        (Settings(drop=((30, 31),)), "drop must be seconds start-end within"),
        (Settings(keep=((0, 9),)), "what must be kept lasts 9.00 s, and the summary may last 3.90"),
    ],
)
def test_ranges_that_cannot_be_are_told_before_the_video_is_decoded(
    long, undecoded, settings, message
):
    with pytest.raises(InputError, match=message):
        summarize(long, settings=settings)


# ---- what scores --------------------------------------------------------------------------------


def test_one_model_serves_several_videos(long):
    model = load_model(accelerator="cpu")
    one = summarize(long, model=model)
    two = summarize(long, model=model)
    assert one["segments"] == two["segments"]
    assert one["model"]["features"] == plain_source().settings


def test_other_features_can_score_without_training(long):
    plain = plain_source()
    source = FeatureSource(plain.encoder, plain.clip, signals=False, steps_per_clip=7)
    record = summarize(long, model=load_model(source=source, accelerator="cpu"))
    check(record, long)
    assert record["scores"] == summarize(long)["scores"], "what moves and sounds is known anyway"


def test_an_unknown_accelerator_is_an_error():
    with pytest.raises(InputError, match="accelerator"):
        load_model(accelerator="abacus")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
@pytest.mark.parametrize("accelerator", ["gpu", "cuda"])
def test_an_accelerator_that_is_not_there_is_an_error(accelerator):
    with pytest.raises(InputError, match=accelerator):
        load_model(accelerator=accelerator)


def test_two_sources_are_too_many(tmp_path):
    with pytest.raises(InputError, match="has its own encoder"):
        load_model(tmp_path / "x.ckpt", plain_source())


def test_names_with_strange_letters(long, tmp_path):
    path = tmp_path / "größe $x^ 100%\n \udce9 \u6620\u753b.mp4"
    path.write_bytes(long.read_bytes())
    record = summarize(path, tmp_path / "out", settings=Settings(seconds=2))
    text = (tmp_path / "out" / "summary.json").read_text(encoding="utf-8")
    assert json.load(io.StringIO(text))["segments"] == record["segments"]
    assert "concat.txt" not in record["files"], "such a list cannot hold a line break"
