"""Which segments of a video make its summary: ranges kept and dropped, whole frames, the budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from videolit.commands.feature_source import Described
from videolit.commands.summary_settings import Settings
from videolit.data.scan import VideoScan
from videolit.ops.budget import Ranges, carve, check_ranges, choose, split_to_fit
from videolit.types import InputError

Floats = NDArray[np.float64]

RATIO = 0.15


def foresee(source: str | Path, settings: Settings) -> None:
    """Refuse before a video is decoded what would be refused after it.

    Args:
        source: The video.
        settings: What is asked for.

    Raises:
        VideoError: If the video cannot be opened.
        InputError: If ranges are not in the video, or are longer than the summary may be.
    """
    length = VideoScan(source).expected
    if length <= 0:
        return
    # The sound may be longer than the pictures: what is wrong all the same is wrong for sure.
    keep = check_ranges(settings.keep, "keep", length)
    check_ranges(settings.drop, "drop", length)
    _refuse_too_much(sum(end - start for start, end in keep), _budget(settings, length))


def _budget(settings: Settings, duration: float) -> float:
    """Return how many seconds a summary may last."""
    return min(settings.seconds or (settings.ratio or RATIO) * duration, duration)


def _refuse_too_much(must: float, budget: float, slack: float = 1.0) -> None:
    """Refuse to keep more than the budget.

    Args:
        must: Seconds that are asked for.
        budget: Seconds.
        slack: Seconds by which ends may move to frames.

    Raises:
        InputError: Tells both.
    """
    if must > budget + slack:
        raise InputError(
            f"what must be kept lasts {must:.2f} s, and the summary may last {budget:.2f} s: raise "
            "--seconds or --ratio, or keep less"
        )


def select_segments(
    found: Described,
    scores: NDArray[np.float32],
    shots: NDArray[np.int64],
    settings: Settings,
    diversity: float,
) -> tuple[list[dict[str, Any]], float]:
    """Divide a video into segments and choose those that make the summary.

    Args:
        found: The video.
        scores: float32 ``(T,)``, of each of its steps.
        shots: int64 ``(S, 2)``, first and exclusive last frame of each shot.
        settings: What is asked for.
        diversity: What a shot loses when one like it is chosen, in [0, 1].

    Returns:
        All segments that are not dropped, as ``summary.json`` lists them, and the budget in
        seconds.

    Raises:
        InputError: If what must be kept is longer than the summary may be, or nothing is left.
    """
    scan = found.scan
    duration = scan.duration
    edges = np.append(scan.index.timestamps, duration)
    budget = _budget(settings, duration)
    # What is kept is at least a frame, or nothing might be left of it.
    keep = _whole_frames(check_ranges(settings.keep, "keep", duration), edges)
    drop = check_ranges(settings.drop, "drop", duration)
    spans, forced, owner = _on_frames(*carve(edges[shots], keep, drop), edges)
    must = float((spans[forced, 1] - spans[forced, 0]).sum())
    _refuse_too_much(must, budget, slack=2 / scan.index.fps)
    if len(spans) == 0:
        raise InputError("nothing is left to choose from: the whole video is dropped")
    left = budget - must
    if not forced.any():
        pieces = split_to_fit(spans, left)
        owner = owner[np.searchsorted(spans[:, 0], pieces[:, 0] + 1e-9, side="right") - 1]
        spans, forced, owner = _on_frames(pieces, np.zeros(len(pieces), bool), owner, edges)
    values = _means(scores, scan.times, duration, spans)
    selected = forced.copy()
    free = np.flatnonzero(~forced)
    if len(free) and left > 0:
        looks = _mean_features(found.features, scan.times, spans[free])
        chosen = choose(
            (values - values.min())[free],
            (spans[:, 1] - spans[:, 0])[free],
            left,
            rank=settings.rank,
            features=looks,
            diversity=diversity,
        )
        selected[free[chosen]] = True
    if not selected.any():
        # A frame lasts longer than the budget.
        selected[int(values.argmax())] = True
    ranks = np.empty(len(values), np.int64)
    ranks[np.argsort(-values, kind="stable")] = np.arange(1, len(values) + 1)
    first, stop = (np.searchsorted(edges, spans[:, side] - 1e-9) for side in (0, 1))
    segments = [
        {
            "start": rounded(spans[i, 0]),
            "end": rounded(spans[i, 1]),
            "start_frame": int(first[i]),
            "end_frame": int(stop[i]),
            "shot": int(owner[i]),
            "score": rounded(values[i]),
            "rank": int(ranks[i]),
            "selected": bool(selected[i]),
            "kept": bool(forced[i]),
        }
        for i in range(len(spans))
    ]
    return segments, budget


def _on_frames(
    spans: Floats, forced: NDArray[np.bool_], owner: NDArray[np.int64], edges: Floats
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
    """Move ends of spans to the nearest times of frames; leave out what has no frame then."""
    middles = (edges[:-1] + edges[1:]) / 2
    moved = edges[np.searchsorted(middles, spans)]
    whole = moved[:, 1] > moved[:, 0]
    return moved[whole], forced[whole], owner[whole]


def _whole_frames(ranges: Ranges, edges: Floats) -> list[tuple[float, float]]:
    """Move ends of ranges to the nearest times of frames, a frame apart at least."""
    middles = (edges[:-1] + edges[1:]) / 2
    found = []
    for start, end in ranges:
        first = min(int(np.searchsorted(middles, start)), len(middles) - 1)
        stop = max(int(np.searchsorted(middles, end)), first + 1)
        found.append((float(edges[first]), float(edges[stop])))
    return check_ranges(found, "keep", float(edges[-1]))


def _means(scores: NDArray[np.float32], times: Floats, duration: float, spans: Floats) -> Floats:
    """Return the mean score of each span; a step's score holds until the next step."""
    edges = np.append(times, max(duration, float(times[-1]) + 1e-9))
    total = np.concatenate([[0.0], np.cumsum(scores * np.diff(edges))])
    at = np.interp(spans, edges, total)
    means: Floats = (at[:, 1] - at[:, 0]) / (spans[:, 1] - spans[:, 0])
    return means


def _mean_features(
    features: NDArray[np.float32], times: Floats, spans: Floats
) -> NDArray[np.float32]:
    """Return the mean feature of each span, or that of the step that holds in it."""
    total = np.concatenate([np.zeros((1, features.shape[1])), np.cumsum(features, 0, np.float64)])
    first = np.searchsorted(times, spans[:, 0] - 1e-9)
    stop = np.searchsorted(times, spans[:, 1] - 1e-9)
    first = np.where(stop > first, first, np.maximum(stop - 1, 0))
    stop = np.maximum(stop, first + 1)
    means = (total[stop] - total[first]) / (stop - first)[:, None]
    found: NDArray[np.float32] = means.astype(np.float32)
    return found


def rounded(value: float) -> float:
    """Return a number as summary.json has it: to a millionth."""
    return round(float(value), 6)
