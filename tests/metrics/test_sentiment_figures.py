"""Sentiment in three conventions by hand and against scikit-learn; metrics on two processes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from videolit.metrics import (
    AffectFigures,
    EmotionFigures,
    SentimentFigures,
    affect_figures,
    binary_classes,
    bootstrap_interval,
    emotion_figures,
    figure_notes,
    mean_predictor,
    regression_figures,
    score_levels,
    sims_classes,
)
from videolit.types import InputError


def drawn(seed=0, number=200, most=3.0):
    """Scores of several annotators' means, many of them 0, and predictions beyond the range."""
    rng = np.random.default_rng(seed)
    target = np.clip(rng.integers(-9, 10, number) // 2 * most / 9, -most, most)
    target[rng.random(number) < 0.2] = 0
    return (target + most / 2 * rng.normal(size=number)).astype(np.float32), target


def test_the_three_binary_rules_differ():
    #         both -  0 as -  0 as 0  0 as +  + as 0  + as -  both +
    target = [-1.0, 0.0, 0.0, 0.0, 2.0, 2.0, 3.0]
    preds = [-2.0, -0.1, 0.0, 0.1, 0.0, -0.1, 1.0]
    figures = regression_figures(preds, target)
    # has0: wrong are the second and the sixth.
    assert figures["acc2_has0"] == pytest.approx(5 / 7)
    # non0, of four: wrong are the fifth and the sixth.
    assert figures["acc2_non0"] == pytest.approx(2 / 4)
    # mult: wrong are the fourth, the fifth and the sixth.
    assert figures["acc2_mult"] == pytest.approx(4 / 7)
    # has0: of the one negative 1 of 3 answers is right, of the six others 4 of 4 answers.
    assert figures["f1_has0"] == pytest.approx((1 * 2 / 4 + 6 * 8 / 10) / 7)
    # non0: one negative, of three answers; three positives, one answer.
    assert figures["f1_non0"] == pytest.approx((1 * 2 / 4 + 3 * 2 / 4) / 4)
    # mult: four negatives, five answers, three right; three positives, two answers, one right.
    assert figures["f1_mult"] == pytest.approx((4 * 6 / 9 + 3 * 2 / 5) / 7)


@pytest.mark.parametrize("seed", range(3))
def test_binary_figures_are_sklearns(seed):
    import sklearn.metrics

    preds, target = drawn(seed)
    figures = regression_figures(preds, target, "mosei")
    keep = target != 0
    for rule, said, true in (
        ("has0", preds >= 0, target >= 0),
        ("non0", preds[keep] > 0, target[keep] > 0),
        ("mult", preds > 0, target > 0),
    ):
        one, two = binary_classes(preds, target, rule)
        assert one.tolist() == said.tolist()
        assert two.tolist() == true.tolist()
        accuracy = sklearn.metrics.accuracy_score(true, said)
        assert figures[f"acc2_{rule}"] == pytest.approx(accuracy)
        f1 = sklearn.metrics.f1_score(true, said, average="weighted")
        assert figures[f"f1_{rule}"] == pytest.approx(f1)
    assert figures["mae"] == pytest.approx(np.abs(preds - target).mean())
    assert figures["corr"] == pytest.approx(np.corrcoef(preds, target)[0, 1])
    assert figures == regression_figures(torch.tensor(preds), torch.tensor(target), "mosi")


def test_levels_round_a_half_to_even_or_all_away_from_zero():
    scores = [-3.7, -2.5, -1.5, -1.0, -0.5, -0.33, 0, 1e-3, 0.33, 0.5, 1.0, 1.5, 2.33, 2.5, 9]
    rounded = [-3, -2, -2, -1, 0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 3]
    away = [-3, -3, -2, -1, -1, -1, 0, 1, 1, 1, 1, 2, 3, 3, 3]
    assert score_levels(scores, 3).tolist() == rounded
    assert score_levels(scores, 3, "away").tolist() == away
    assert score_levels(scores, 2).tolist() == np.clip(rounded, -2, 2).tolist()
    assert score_levels(scores, 1, "away").tolist() == np.clip(away, -1, 1).tolist()
    # A mean of annotators in float32: 2 and a little is 2.
    assert score_levels(np.float32([2.0000002, -0.9999999]), 3, "away").tolist() == [2, -1]


def test_the_two_ways_of_seven_classes_differ():
    target, preds = [0.33, -0.33, 2.5, 1.0], [0.9, -0.2, 2.0, 1.4]
    figures = regression_figures(preds, target, "mosei")
    # Rounded: 0/1, 0/0, 2/2, 1/1. Away from 0: 1/1, -1/-1, 3/2, 1/2.
    assert figures["acc7_round"] == pytest.approx(3 / 4)
    assert figures["acc7_away"] == pytest.approx(2 / 4)
    # Clipped to 2, the third's are equal.
    assert figures["acc5_round"] == pytest.approx(3 / 4)
    assert figures["acc5_away"] == pytest.approx(3 / 4)
    assert figures["acc3_round"] == pytest.approx(3 / 4)


def test_predictions_beyond_the_range_count_whole_in_the_error_and_clipped_in_classes():
    figures = regression_figures([5.0, -4.0], [3.0, -3.0])
    assert figures["mae"] == pytest.approx(1.5)
    assert figures["acc7_round"] == 1
    # CH-SIMS clips before everything.
    figures = regression_figures([5.0, -0.5], [1.0, -1.0], "sims")
    assert figures["mae"] == pytest.approx(0.25)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bins_of_sims_are_closed_above(dtype):
    scores = np.array([-2, -0.7, -0.69, -0.1, -0.09, 0, 0.1, 0.11, 0.7, 0.71, 2], dtype)
    assert sims_classes(scores, 2).tolist() == [0] * 6 + [1] * 5
    assert sims_classes(scores, 3).tolist() == [0] * 4 + [1] * 3 + [2] * 4
    assert sims_classes(scores, 5).tolist() == [0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 4]


def test_figures_of_sims_against_bins_one_by_one():
    import sklearn.metrics

    preds, target = drawn(most=1.0)
    figures = regression_figures(preds, target, "sims")
    said, true = np.clip(preds, -1, 1), target.astype(np.float32)
    ends = {2: [-2, 0, 2], 3: [-2, -0.1, 0.1, 2], 5: [-2, -0.7, -0.1, 0.1, 0.7, 2]}
    for size, edges in ends.items():
        sorted_in = [
            [next(i for i in range(size) if edges[i] < one <= edges[i + 1]) for one in values]
            for values in (said, true)
        ]
        accuracy = sklearn.metrics.accuracy_score(sorted_in[1], sorted_in[0])
        assert figures[f"acc{size}_sims"] == pytest.approx(accuracy)
    f1 = sklearn.metrics.f1_score(true > 0, said > 0, average="weighted")
    assert figures["f1_sims"] == pytest.approx(f1)
    assert figures["mae"] == pytest.approx(np.abs(said - true).mean())
    assert figures["corr"] == pytest.approx(np.corrcoef(said, true)[0, 1])


@pytest.mark.parametrize("convention", ["mosi", "mosei", "sims"])
def test_every_figure_has_a_note(convention):
    preds, target = drawn(most=1.0)
    assert set(figure_notes(convention)) == set(regression_figures(preds, target, convention))


def test_constants_are_told_and_nothing_is_nan_but_what_has_no_sample():
    _, target = drawn()
    figures = regression_figures(mean_predictor(target, len(target)), target)
    assert (figures["corr"], figures["undefined"], figures["constant"]) == (0, 1, 1)
    assert not any(math.isnan(value) for value in figures.values())
    preds, _ = drawn()
    figures = regression_figures(preds, np.zeros(len(preds)))
    assert (figures["corr"], figures["undefined"], figures["constant"]) == (0, 1, 0)
    assert {name for name, value in figures.items() if math.isnan(value)} == {
        "acc2_non0",
        "f1_non0",
    }
    for convention in ("mosi", "sims"):
        empty = regression_figures([], [], convention)
        assert (empty.pop("undefined"), empty.pop("constant")) == (1, 0)
        assert all(math.isnan(value) for value in empty.values())


def test_what_is_no_score_of_the_convention_is_refused():
    with pytest.raises(InputError, match=r"scores in \[-1, 1\], target 1 is -2: choose"):
        regression_figures([0, 0], [1, -2], "sims")
    with pytest.raises(InputError, match=r"'mosi' has scores in \[-3, 3\], target 0 is 3.5"):
        regression_figures([0], [3.5])
    with pytest.raises(InputError, match="no convention 'meld': choose one of mosi, mosei, sims"):
        regression_figures([0], [0], "meld")
    with pytest.raises(InputError, match="no convention"):
        SentimentFigures("MOSI")
    with pytest.raises(InputError, match="predictions must be finite: row 1 has nan"):
        regression_figures([0, math.nan], [0, 1])
    # A mean of annotators in float32.
    regression_figures([3], [3.0000002])


def test_hits_of_speakers_have_an_interval():
    preds, target = drawn()
    speakers = np.repeat(np.arange(20), 10)
    said, true = binary_classes(preds, target, "has0")
    low, high = bootstrap_interval(said == true, groups=speakers)
    assert low < regression_figures(preds, target)["acc2_has0"] < high


def metrics_and_figures():
    """Metrics of each kind, what to give them, and the figures of all samples once."""
    preds, target = (torch.tensor(values, dtype=torch.float32) for values in drawn())
    torch.manual_seed(0)
    scores, label = torch.rand(200, 3), torch.randint(0, 3, (200,))
    affect, feeling = torch.rand(200, 2), torch.rand(200, 2)
    known = torch.rand(200, 2) < 0.8
    hidden = torch.where(known, feeling, torch.nan)
    return [
        (SentimentFigures("mosei"), (target, preds), regression_figures(preds, target, "mosei")),
        (EmotionFigures("abc"), (label, scores), emotion_figures(scores, label, class_names="abc")),
        (AffectFigures(), (hidden, affect), affect_figures(affect, feeling, mask=known)),
        (AffectFigures(), (feeling, affect, known), affect_figures(affect, feeling, mask=known)),
    ]


def test_metrics_count_each_sample_once_whatever_the_batches():
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    seen = torch.cat([order, order[:17]])
    for metric, given, expected in metrics_and_figures():
        for part in seen.split(13):
            metric.update(part, *(values[part] for values in given))
        assert metric.figures() == pytest.approx(expected)
        metric.reset()
        metric.update(torch.tensor([4]), *(values[4:5] for values in given))
        assert len(metric.compute()[0]) == 1
        assert set(metric.figures()) == set(expected)


def test_metrics_take_folds_and_files_in_the_order_of_the_index():
    _, (emotion, given, _), (affect, felt, _), _ = metrics_and_figures()
    back = torch.arange(200).flip(0)
    groups = [f"group{one % 7}" for one in range(200)]
    emotion.update(back, *(values[back] for values in given))
    expected = emotion_figures(given[1], given[0], class_names="abc", folds=groups)
    assert emotion.figures(folds=groups) == pytest.approx(expected)
    affect.update(back, *(values[back] for values in felt))
    expected = affect_figures(felt[1], felt[0], files=groups, mask=~felt[0].isnan())
    assert affect.figures(files=groups) == pytest.approx(expected)


def test_a_metric_of_broken_answers_says_so():
    metric = SentimentFigures()
    metric.update(torch.arange(2), torch.zeros(2), torch.tensor([0.0, torch.nan]))
    with pytest.raises(InputError, match="predictions must be finite: row 1"):
        metric.figures()


def on_two_processes(rank, folder):
    """One of two processes: each metric on its half, one sample seen by both; then on nothing."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    for metric, given, expected in metrics_and_figures():
        mine = torch.arange(200)[rank::2]
        if rank == 1:
            mine = torch.cat([mine, torch.tensor([0])])
        for part in mine.split(30):
            metric.update(part, *(values[part] for values in given))
        assert metric.figures() == pytest.approx(expected)
        # The second process has no sample at all.
        metric.reset()
        if rank == 0:
            metric.update(torch.arange(200), *given)
        assert metric.figures() == pytest.approx(expected)
    (folder / f"done{rank}").touch()
    dist.destroy_process_group()


def test_figures_on_two_processes(tmp_path):
    mp.spawn(on_two_processes, (tmp_path,), nprocs=2)
    assert sorted(file.name for file in tmp_path.glob("done*")) == ["done0", "done1"]
