"""All figures of one video's summary, and those of no model and of people, by the same code."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from videolit.metrics.summary import (
    Protocol,
    keyshot_scores,
    mean_average_precision_chunks,
    rank_correlation,
)
from videolit.metrics.summary_baselines import (
    human_keyshot_f1,
    human_leave_one_out,
    random_scores,
    uniform_summary,
)
from videolit.ops.select import keyshot_summary
from videolit.types import SummaryTruth

FIGURES = ("tau", "rho", "f1", "precision", "recall", "map50", "map15")
BASELINES = (
    *("random_tau", "random_rho", "random_f1", "uniform_f1"),
    *("human_tau", "human_rho", "human_f1"),
)
# Random scores of each video; 100 as in Apostolidis et al. (ACM MM 2020), section 3.
RANDOM_DRAWS = 100


def correlation_protocol(truth: SummaryTruth) -> Protocol | None:
    """Return how scores are correlated with what is known of a video, None where they are not.

    With each annotator where there are their scores; else, of annotators who chose frames, the
    summary with the mean of theirs; else with the common score.
    """
    if truth.user_scores is not None:
        return "annotators"
    if truth.user_summary is not None and len(truth.user_summary) > 1 and truth.shots is not None:
        return "summary_vs_mean"
    return "mean_score" if truth.gtscore is not None else None


def video_figures(scores: NDArray[np.floating], truth: SummaryTruth) -> dict[str, float]:
    """Compare a video's scores with its annotators.

    Args:
        scores: float ``(T,)``, finite.
        truth: What they said.

    Returns:
        The figures by the names of :data:`FIGURES`; NaN where the data does not tell: ``tau`` and
        ``rho`` by :func:`correlation_protocol`; ``f1``, ``precision`` and ``recall`` of the
        canonical keyshot summary, the annotators taken together as ``truth.reduce`` says;
        ``map50`` and ``map15`` of Mr. HiSum where there is one common score and no annotator but
        the summary made from it.
    """
    found = dict.fromkeys(FIGURES, math.nan)
    summary = None
    if truth.shots is not None:
        summary = keyshot_summary(scores, truth.picks, truth.num_frames, truth.shots)
    if summary is not None and truth.user_summary is not None:
        keyshots = keyshot_scores(summary, truth.user_summary)
        best = [int(keyshots.f1.argmax())] if truth.reduce == "max" else slice(None)
        for name in ("f1", "precision", "recall"):
            found[name] = float(getattr(keyshots, name)[best].mean())
    found["tau"], found["rho"] = _correlation(scores, summary, truth)
    alone = truth.user_summary is None or len(truth.user_summary) == 1
    if alone and truth.user_scores is None and truth.gtscore is not None:
        for name, share in (("map50", 0.5), ("map15", 0.15)):
            found[name] = mean_average_precision_chunks(scores, truth.gtscore, share)
    return found


def baseline_figures(truth: SummaryTruth, seed: int = 0) -> dict[str, float]:
    """Return what no model, and what people get on a video.

    Args:
        truth: What the annotators said.
        seed: Of the random scores.

    Returns:
        The figures by the names of :data:`BASELINES`: the mean of :data:`RANDOM_DRAWS` random
        scores, evenly spread shots, and each annotator against the others; NaN where the data does
        not tell.
    """
    found = dict.fromkeys(BASELINES, math.nan)
    draws = [
        video_figures(random_scores(len(truth.picks), seed * RANDOM_DRAWS + n), truth)
        for n in range(RANDOM_DRAWS)
    ]
    for name in ("tau", "rho", "f1"):
        found[f"random_{name}"] = float(np.mean([draw[name] for draw in draws]))
    users = truth.user_summary
    if users is not None and truth.shots is not None:
        spread = uniform_summary(truth.num_frames, truth.shots)
        each = keyshot_scores(spread, users).f1
        found["uniform_f1"] = float(each.max() if truth.reduce == "max" else each.mean())
    if users is not None and len(users) > 1:
        found["human_f1"] = human_keyshot_f1(users, truth.reduce)
    if truth.user_scores is not None and len(truth.user_scores) > 1:
        found["human_tau"], found["human_rho"] = human_leave_one_out(truth.user_scores)
    return found


def _correlation(
    scores: NDArray[np.floating], summary: NDArray[np.bool_] | None, truth: SummaryTruth
) -> tuple[float, float]:
    protocol = correlation_protocol(truth)
    if protocol == "annotators":
        assert truth.user_scores is not None
        return rank_correlation(scores, truth.user_scores)
    if protocol == "summary_vs_mean":
        assert summary is not None
        assert truth.user_summary is not None
        return rank_correlation(summary, truth.user_summary, protocol=protocol)
    if protocol == "mean_score":
        assert truth.gtscore is not None
        return rank_correlation(scores, truth.gtscore[None], protocol=protocol)
    return math.nan, math.nan
