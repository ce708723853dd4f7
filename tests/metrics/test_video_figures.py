"""All figures of a video, for truths as SumMe, TVSum and Mr. HiSum have them."""

import math

import numpy as np
import pytest

from videolit.metrics import (
    human_keyshot_f1,
    human_leave_one_out,
    keyshot_scores,
    mean_average_precision_chunks,
    random_scores,
    rank_correlation,
    uniform_summary,
)
from videolit.metrics.summary_video import (
    BASELINES,
    FIGURES,
    RANDOM_DRAWS,
    baseline_figures,
    correlation_protocol,
    video_figures,
)
from videolit.ops.select import keyshot_summary
from videolit.types import SummaryTruth

FRAMES, STEP = 120, 10


def truth(kind, seed=0, **changed):
    rng = np.random.default_rng(seed)
    picks = np.arange(0, FRAMES, STEP)
    shots = np.array([[0, 15], [15, 40], [40, 55], [55, 90], [90, 105], [105, FRAMES]])
    common = rng.random(len(picks)).astype(np.float32)
    values = {
        "picks": picks,
        "num_frames": FRAMES,
        "shots": shots,
        "user_scores": None,
        "user_summary": rng.random((4, FRAMES)) < 0.2,
        "gtscore": common,
        "reduce": "mean",
    }
    if kind == "tvsum":
        values["user_scores"] = rng.random((4, len(picks))).astype(np.float32)
    elif kind == "summe":
        values["reduce"] = "max"
    elif kind == "mrhisum":
        # A step per second, one common score, and one summary made from it.
        values |= {"picks": np.arange(FRAMES), "user_summary": values["user_summary"][:1]}
        values["gtscore"] = rng.random(FRAMES).astype(np.float32)
    return SummaryTruth(**values | changed)


def scores_of(said, seed=1):
    return np.random.default_rng(seed).random(len(said.picks))


def known(figures):
    return {name for name, value in figures.items() if not math.isnan(value)}


def test_each_annotators_scores_where_there_are_some():
    said = truth("tvsum")
    scores = scores_of(said)
    assert correlation_protocol(said) == "annotators"
    found = video_figures(scores, said)
    assert tuple(found) == FIGURES
    assert known(found) == {"tau", "rho", "f1", "precision", "recall"}
    assert (found["tau"], found["rho"]) == rank_correlation(scores, said.user_scores)
    summary = keyshot_summary(scores, said.picks, FRAMES, said.shots)
    each = keyshot_scores(summary, said.user_summary)
    for name in ("f1", "precision", "recall"):
        assert found[name] == pytest.approx(getattr(each, name).mean())


def test_annotators_who_chose_frames_are_compared_with_the_summary():
    said = truth("summe")
    scores = scores_of(said)
    assert correlation_protocol(said) == "summary_vs_mean"
    found = video_figures(scores, said)
    # No highlights: there are annotators, and the common score is made from theirs.
    assert known(found) == {"tau", "rho", "f1", "precision", "recall"}
    summary = keyshot_summary(scores, said.picks, FRAMES, said.shots)
    assert (found["tau"], found["rho"]) == rank_correlation(
        summary, said.user_summary, protocol="summary_vs_mean"
    )
    each = keyshot_scores(summary, said.user_summary)
    best = int(each.f1.argmax())
    assert found["f1"] == each.f1.max()
    # Precision and recall are those of the annotator whose F1 counts.
    assert (found["precision"], found["recall"]) == (each.precision[best], each.recall[best])


def test_one_common_score_has_highlights():
    said = truth("mrhisum")
    scores = scores_of(said)
    assert correlation_protocol(said) == "mean_score"
    found = video_figures(scores, said)
    assert known(found) == set(FIGURES)
    assert found["map50"] == mean_average_precision_chunks(scores, said.gtscore, 0.5)
    assert found["map15"] == mean_average_precision_chunks(scores, said.gtscore, 0.15)
    assert (found["tau"], found["rho"]) == rank_correlation(
        scores, said.gtscore[None], protocol="mean_score"
    )
    perfect = video_figures(said.gtscore, said)
    assert [perfect[name] for name in ("tau", "rho", "map50")] == pytest.approx([1, 1, 1])


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"shots": None}, {"tau", "rho"}),
        ({"user_summary": None}, {"tau", "rho"}),
        ({"user_scores": None, "shots": None}, {"tau", "rho"}),
        (
            {"user_scores": None, "user_summary": None},
            {"tau", "rho", "map50", "map15"},
        ),
        ({"user_scores": None, "user_summary": None, "gtscore": None}, set()),
        ({"gtscore": None}, {"tau", "rho", "f1", "precision", "recall"}),
    ],
)
def test_what_the_data_does_not_tell_is_nan(changed, expected):
    said = truth("tvsum", **changed)
    # 12 steps are 3 chunks: one is a positive at 0.5, none at 0.15.
    expected = expected - {"map15"}
    assert known(video_figures(scores_of(said), said)) == expected


def test_constant_scores_correlate_with_nothing():
    said = truth("tvsum")
    found = video_figures(np.full(len(said.picks), 0.5), said)
    assert found["tau"] == found["rho"] == 0
    assert math.isfinite(found["f1"])


def test_baselines_are_chance_the_clock_and_people():
    said = truth("tvsum")
    found = baseline_figures(said, seed=3)
    assert tuple(found) == BASELINES
    draws = [
        video_figures(random_scores(len(said.picks), 3 * RANDOM_DRAWS + n), said)
        for n in range(RANDOM_DRAWS)
    ]
    for name in ("tau", "rho", "f1"):
        assert found[f"random_{name}"] == pytest.approx(np.mean([d[name] for d in draws]))
    spread = uniform_summary(FRAMES, said.shots)
    assert found["uniform_f1"] == keyshot_scores(spread, said.user_summary).f1.mean()
    assert found["human_f1"] == human_keyshot_f1(said.user_summary, "mean")
    assert (found["human_tau"], found["human_rho"]) == human_leave_one_out(said.user_scores)
    # Another video's chance is another one; the same seed gives the same.
    assert baseline_figures(said, seed=3) == found
    assert baseline_figures(said, seed=4)["random_tau"] != found["random_tau"]
    assert abs(found["random_tau"]) < 0.1


def test_the_best_annotator_counts_for_baselines_of_summe():
    said = truth("summe")
    found = baseline_figures(said)
    spread = uniform_summary(FRAMES, said.shots)
    assert found["uniform_f1"] == keyshot_scores(spread, said.user_summary).f1.max()
    assert found["human_f1"] == human_keyshot_f1(said.user_summary, "max")
    assert math.isnan(found["human_tau"])
    assert not math.isnan(found["random_tau"])


def test_one_annotator_agrees_with_nobody():
    found = baseline_figures(truth("mrhisum"))
    assert known(found) == {"random_tau", "random_rho", "random_f1", "uniform_f1"}


@pytest.mark.parametrize("frames", [1, 2, 9])
def test_the_shortest_videos_have_figures(frames):
    said = SummaryTruth(
        picks=np.arange(frames),
        num_frames=frames,
        shots=np.array([[0, frames]]),
        user_scores=np.zeros((2, frames), np.float32),
        user_summary=np.ones((2, frames), bool),
        gtscore=np.zeros(frames, np.float32),
        reduce="mean",
    )
    found = video_figures(np.linspace(0, 1, frames), said)
    assert found["tau"] == 0
    assert found["f1"] == 0
    assert not math.isnan(baseline_figures(said)["random_f1"])
