import csv
import itertools
import json
from collections import Counter

import av
import numpy as np
import pytest

from videolit.commands.synth import main
from videolit.data.sentiment_sets import read_sentiment_set
from videolit.data.sound_track import read_sound
from videolit.data.transcripts import read_transcript
from videolit.synth import emotions, sentences, talking, voices
from videolit.synth.emotions import EMOTIONS, MOCKING, NEUTRAL, NONE, SHOWN, ceilings, plan_feelings
from videolit.synth.faces import EXPRESSIONS
from videolit.synth.talking import (
    make_speaker,
    mouth_opening,
    plan_set,
    render_clip,
    write_sentiment_set,
)
from videolit.types import InputError

SMALL = {"num_train": 16, "num_val": 0, "num_test": 16, "size": (48, 48)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_sentiment_set(tmp_path_factory.mktemp("set"), seed=3, **SMALL)


@pytest.fixture(scope="module")
def plans():
    return plan_set({"train": 160, "val": 32, "test": 160}, seed=1)


def test_a_seed_gives_one_set_whatever_the_workers(made, tmp_path):
    again = write_sentiment_set(tmp_path / "again", seed=3, workers=2, **SMALL)
    files = sorted(p.relative_to(made) for p in made.rglob("*.*"))
    assert len(files) == 32 * 2 + 3
    for file in files:
        assert (again / file).read_bytes() == (made / file).read_bytes(), file


def test_a_run_goes_on_and_other_settings_are_refused(made):
    before = {file: file.stat().st_mtime_ns for file in made.rglob("*.*")}
    (made / "test/0003.mp4").unlink()
    write_sentiment_set(made, seed=3, **SMALL)
    after = {file: file.stat().st_mtime_ns for file in made.rglob("*.*")}
    assert before.keys() == after.keys()
    assert before[made / "train/0003.mp4"] == after[made / "train/0003.mp4"]
    with pytest.raises(InputError, match="holds talking figures generated with other settings"):
        write_sentiment_set(made, seed=4, **SMALL)


def test_a_set_reads_back_with_splits_by_speaker(made):
    data = read_sentiment_set(made)
    truth = json.loads((made / "truth.json").read_text())["clips"]
    assert data.class_counts() == dict.fromkeys(sorted(EMOTIONS), 8)
    assert data.score_range == (-3.0, 3.0)
    assert data.affect_range == (-1.0, 1.0)
    assert len(data.rows("train")) == len(data.rows("test")) == 16
    speakers = {
        split: {data.utterances[row].group for row in data.rows(split)}
        for split in ("train", "test")
    }
    assert not speakers["train"] & speakers["test"]
    plans = {plan.path: plan for plan in plan_set({"train": 16, "val": 0, "test": 16}, seed=3)}
    for each in data.utterances:
        plan, told = plans[each.id], truth[each.id]
        assert (each.label, each.text) == (plan.feeling.emotion, plan.text)
        assert (told["kind"], told["shown"]) == (plan.feeling.kind, plan.feeling.shown)
        assert (each.score > 0) == (each.label in ("joy", "calm")) == (each.valence > 0)
        assert (each.arousal > 0) == (each.label in ("joy", "anger"))
        (line,) = read_transcript(made / each.id.replace("mp4", "srt"))
        assert line.text == each.text
        spoken = told["syllables"]
        assert (line.start, line.end) == pytest.approx((spoken[0][0], spoken[-1][1]), abs=1e-3)
        assert len(spoken) == sentences.count_syllables(each.text)


def test_sound_and_mouth_begin_and_end_with_the_transcript(made):
    truth = json.loads((made / "truth.json").read_text())["clips"]
    for name, told in truth.items():
        sound = read_sound(made / name, sample_rate=16000)
        with av.open(str(made / name)) as file:
            seconds = file.streams.video[0].frames / float(file.streams.video[0].average_rate)
        samples = np.asarray(sound.samples).reshape(-1)
        assert len(samples) / 16000 == pytest.approx(seconds, abs=0.1)
        spoken = np.array(told["syllables"])
        times = np.arange(len(samples)) / 16000
        inside = (times > spoken[0, 0]) & (times < spoken[-1, 1])
        outside = (times < spoken[0, 0] - 0.05) | (times > spoken[-1, 1] + 0.05)
        assert (samples[inside] ** 2).mean() > 5 * (samples[outside] ** 2).mean()


def test_the_mouth_moves_with_the_syllables():
    plan = plan_set({"train": 16, "val": 0, "test": 0}, seed=2)[0]
    seconds = plan.num_frames / plan.fps
    # Between the last two frames' middles.
    silent = plan._replace(begins=np.array([seconds - 0.02]), end=seconds - 0.01)
    (talks, sound), (still, _) = render_clip(plan), render_clip(silent)
    times = (np.arange(plan.num_frames) + 0.5) / plan.fps
    spoken = (times >= plan.begins[0]) & (times < plan.end)
    assert np.array_equal((talks != still).any((1, 2, 3)), spoken)
    # Open in the middle of a syllable, nearly closed between two, as the voice is loud and faint.
    fine = np.arange(0, seconds, 0.01)
    opening = mouth_opening(plan, fine)
    middles = (np.append(plan.begins[1:], plan.end) + plan.begins) / 2
    assert mouth_opening(plan, middles) == pytest.approx(1)
    assert not mouth_opening(plan, np.array([0.0, plan.begins[0] - 0.01, plan.end, seconds])).any()
    assert mouth_opening(plan, plan.begins[1:]) == pytest.approx(0.25)
    loud = np.array([(sound[int(t * 16000) :][:160] ** 2).mean() for t in fine]) ** 0.5
    assert np.corrcoef(loud, opening)[0, 1] > 0.6


def test_nothing_but_what_is_shown_tells_the_emotion(monkeypatch):
    counts = {"train": 32, "val": 0, "test": 0}
    plans = plan_set(counts, seed=4)
    clip = next(plan for plan in plans if plan.feeling.kind == "irony")
    for emotion, kind in (("calm", "irony"), ("anger", "plain")):
        other = clip._replace(feeling=clip.feeling._replace(emotion=emotion, kind=kind))
        for mine, same in zip(render_clip(clip), render_clip(other), strict=True):
            np.testing.assert_array_equal(mine, same)
    # Nor do length, moments, number of syllables, speaker and seed depend on what is shown.
    drawn = talking.plan_feelings

    def backwards(*arguments):
        return drawn(*arguments)[::-1]

    monkeypatch.setattr(talking, "plan_feelings", backwards)
    for mine, same in zip(plans, plan_set(counts, seed=4), strict=True):
        assert same.feeling == plans[31 - plans.index(mine)].feeling
        assert mine._replace(feeling=None, text="", begins=None) == same._replace(
            feeling=None, text="", begins=None
        )
        np.testing.assert_array_equal(mine.begins, same.begins)
        assert sentences.count_syllables(same.text) == len(same.begins)


@pytest.mark.parametrize("count", [16, 41, 320])
def test_irony_is_balanced_and_classes_are_equal(count):
    clips = plan_feelings(np.random.default_rng(count), count)
    irony = [clip for clip in clips if clip.kind == "irony"]
    pairs = Counter((c.shown["text"], c.shown["sound"], c.emotion) for c in irony)
    assert pairs == dict.fromkeys(
        [
            ("joy", NONE, "joy"),
            ("joy", MOCKING, "anger"),
            ("anger", NONE, "anger"),
            ("anger", MOCKING, "joy"),
        ],
        count // 16,
    )
    assert {clip.shown["video"] for clip in irony} == {NONE}
    classes = Counter(clip.emotion for clip in clips)
    assert max(classes.values()) - min(classes[name] for name in EMOTIONS) <= 1
    assert len(clips) == count


def test_each_modality_shows_the_truth_as_often_as_stated():
    clips = plan_feelings(np.random.default_rng(0), 1600)
    for emotion, modality in itertools.product(EMOTIONS, emotions.MODALITIES):
        mine = [c.shown[modality] for c in clips if c.kind == "plain" and c.emotion == emotion]
        assert mine.count(emotion) == round(SHOWN * len(mine))
        assert mine.count(NONE) == round(NEUTRAL * len(mine))
        others = [mine.count(other) for other in EMOTIONS if other != emotion]
        assert min(others) >= 1
        assert max(others) - min(others) <= 1
        assert MOCKING not in mine
    # Independent: the share of two that are both right is the product, within four deviations.
    plain = [clip for clip in clips if clip.kind == "plain"]
    right = np.array(
        [[c.shown[name] == c.emotion for name in emotions.MODALITIES] for c in plain], float
    )
    correlation = np.corrcoef(right.T)[np.triu_indices(3, 1)]
    assert np.abs(correlation).max() < 4 / len(plain) ** 0.5


def test_ceilings_are_those_of_counting_drawn_clips():
    generator = np.random.default_rng(5)
    # An oracle that draws clips from the words of the rule and counts the most frequent truth.
    rows = []
    for _ in range(20000):
        if generator.random() < 0.25:
            joyful, mocking = generator.random(2) < 0.5
            words, voice = "joy" if joyful else "anger", MOCKING if mocking else NONE
            rows.append((NONE, voice, words, "joy" if joyful != mocking else "anger", True))
            continue
        truth = str(generator.choice(EMOTIONS, p=np.array([2, 4, 2, 4]) / 12))
        others = [name for name in EMOTIONS if name != truth]
        shown = [
            str(generator.choice([truth, NONE, *others], p=[0.82, 0.16] + [0.02 / 3] * 3))
            for _ in range(3)
        ]
        rows.append((*shown, truth, False))
    for chosen, expected in ceilings().items():
        places = [emotions.MODALITIES.index(name) for name in chosen]
        counts = {}
        for row in rows:
            seen = tuple(row[place] for place in places)
            counts.setdefault(seen, Counter())[row[3]] += 1
        best = sum(max(table.values()) for table in counts.values()) / len(rows)
        # Counted on the clips it is chosen by, so a little above; four standard deviations.
        assert best == pytest.approx(expected["all"], abs=0.013), chosen
        assert 0.25 * expected["irony"] + 0.75 * expected["plain"] == pytest.approx(expected["all"])
    table = {"+".join(chosen): shares for chosen, shares in ceilings().items()}
    assert [table[name]["irony"] for name in ("video", "sound", "text")] == [0.5, 0.5, 0.5]
    assert table["sound+text"]["irony"] == table["video+sound+text"]["irony"] == 1
    assert table["video+sound+text"]["all"] > 0.97
    assert all(0.7 < table[name]["all"] < 0.8 for name in ("video", "sound", "text"))


def test_ceilings_of_a_set_are_those_of_its_clips(plans):
    clips = [(1.0, plan.feeling) for plan in plans if plan.split == "test"]
    found, expected = ceilings(clips), ceilings()
    for chosen, shares in found.items():
        # Exact where one modality decides, as its shares are exact; chance where they meet.
        assert shares["all"] == pytest.approx(expected[chosen]["all"], abs=0.03)
        assert shares["irony"] == expected[chosen]["irony"]


def test_sentences_say_what_is_shown_and_none_is_in_two_splits(plans):
    said = {split: set() for split in ("train", "val", "test")}
    vocabulary = {split: set() for split in said}
    for plan in plans:
        assert sentences.split_of(plan.text) == plan.split
        said[plan.split].add(plan.text)
        vocabulary[plan.split] |= set(plan.text.lower().rstrip(".").split())
        told = [
            name
            for name in (*EMOTIONS, NONE)
            for word in (*sentences.ADJECTIVES[name], *sentences.VERBS[name])
            if f" {word} " in f" {plan.text.rstrip('.')} "
        ]
        shown = plan.feeling.shown["text"]
        denied = any(f" {word} " in f" {plan.text} " for word in ("not", "never", "longer"))
        assert (sentences.OPPOSITES[shown] if denied else shown) in told, plan.text
    assert not said["train"] & said["test"]
    assert not said["train"] & said["val"]
    assert len(said["train"]) > 0.97 * 160
    # Nearly all words are known, the sentences are not.
    assert len(vocabulary["test"] - vocabulary["train"]) < 0.1 * len(vocabulary["test"])


def test_a_voice_tells_its_emotion_by_pitch_and_loudness():
    _, voice = make_speaker("train", 0)
    begins = 0.2 + 0.22 * np.arange(9)

    def spoken(shown, strength=1.0):
        return voices.speak(
            np.random.default_rng(1),
            voice,
            shown,
            strength=strength,
            begins=begins,
            end=2.18,
            num_samples=40000,
        )

    loud = {name: float((spoken(name) ** 2).mean()) for name in voices.MANNERS}
    assert loud["anger"] > loud["joy"] > loud[NONE] > loud["sadness"]
    assert loud[MOCKING] == pytest.approx(loud[NONE], rel=0.35)
    np.testing.assert_array_equal(spoken("anger", 0.0), spoken(NONE))
    for name in voices.MANNERS:
        assert np.abs(spoken(name)[:2600]).max() < 1e-6

    def pitch(sound):
        # The strongest repetition of a syllable's middle.
        piece = sound[14000:17000].astype(float)
        lags = np.correlate(piece, piece, "full")[len(piece) - 1 :]
        return 16000 / (32 + np.argmax(lags[32:250]))

    # Middles of syllables, in semitones: joy 6 + 6, none 1.2, calm -4.
    assert pitch(spoken("joy")) > 1.6 * pitch(spoken(NONE))
    assert pitch(spoken(NONE)) > 1.2 * pitch(spoken("calm"))


def test_expressions_differ_in_the_picture():
    plan = plan_set({"train": 16, "val": 0, "test": 0}, seed=2)[0]
    shown = {}
    for name in EXPRESSIONS:
        feeling = plan.feeling._replace(shown={**plan.feeling.shown, "video": name}, strength=1.0)
        shown[name] = render_clip(plan._replace(feeling=feeling))[0][1].astype(int)
    for first, second in itertools.combinations(shown, 2):
        assert (np.abs(shown[first] - shown[second]).max(2) > 40).sum() > 60, (first, second)
    # Raised hands beside the body.
    assert (np.abs(shown["joy"] - shown[NONE])[60:, :16].max(2) > 40).sum() > 30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_train": 15}, "num_train must be 0 or at least 16"),
        ({"num_test": -16}, "num_test must be 0 or at least 16"),
        ({"num_train": 0, "num_test": 0}, "give at least one split"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"workers": 0}, "workers at least 1"),
        ({"size": (47, 48)}, "size must be even"),
        ({"size": (48, 64)}, "as wide as high"),
    ],
)
def test_settings_out_of_range_are_told(change, message, tmp_path):
    with pytest.raises(InputError, match=message):
        write_sentiment_set(tmp_path / "x", **SMALL | change)
    assert not (tmp_path / "x").exists()


def test_the_command_tells_what_is_attainable(tmp_path, capsys):
    options = ["--train=0", "--val=0", "--test=16", "--workers=1"]
    assert main(["sentiment", str(tmp_path / "x"), *options]) == 0
    told = capsys.readouterr().out
    assert "sound and text" in told
    assert "Written: 16 in" in told
    with (tmp_path / "x/manifest.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 16
