"""What the planted rule allows: how well each cause of importance agrees with the annotators."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from videolit.metrics.summary import rank_correlation
from videolit.synth import importance
from videolit.synth.summaries import FRAME_RATE, Plan

_STEP = 0.5


def ceilings(plans: Iterable[Plan], *, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Return Kendall's tau-b and Spearman's rho of known predictors, means over videos.

    Two steps per second, each annotator singly (Otani et al. 2019).

    Args:
        plans: Videos, from :func:`videolit.synth.summaries.plan_set`.
        seed: Of the random scores.

    Returns:
        Tau and rho of ``rule`` (the noiseless importance: no model does better but by chance),
        ``without order`` (all but whether the camera comes nearer), ``bell and event`` (what the
        last seconds and the picture tell), ``event`` (what a single frame tells: the expected
        importance of its event, the best of a model without memory), ``annotators`` (each with
        each other) and ``random``.
    """
    generator = np.random.default_rng(seed)
    found: dict[str, list[tuple[float, float]]] = {}
    for plan in plans:
        num_frames = len(plan.importance)
        picks = np.arange(0, num_frames, _STEP * FRAME_RATE).astype(np.int64)
        scores = importance.at_frames(plan.scores, picks, FRAME_RATE)
        lengths = [shot.stop - shot.start for shot in plan.shots]
        nearer = importance.NEARER * np.repeat([shot.nearer for shot in plan.shots], lengths)
        first = importance.FIRST * np.repeat([shot.first for shot in plan.shots], lengths)
        known = {
            "rule": plan.importance,
            "without order": plan.importance - nearer,
            "bell and event": plan.importance - nearer - first,
            "event": importance.content_importance(plan.shots),
            "random": generator.random(num_frames),
        }
        for name, values in known.items():
            # Sums in another order are no other ranks.
            pair = rank_correlation(np.round(values[picks], 9), scores)
            found.setdefault(name, []).append(pair)
        for user, said in enumerate(scores if len(scores) > 1 else ()):
            pair = rank_correlation(said, np.delete(scores, user, axis=0))
            found.setdefault("annotators", []).append(pair)
    table = {name: np.mean(pairs, axis=0) for name, pairs in found.items()}
    return {name: (float(tau), float(rho)) for name, (tau, rho) in table.items()}
