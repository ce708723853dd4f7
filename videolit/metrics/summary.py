"""Figures of video summary: rank correlations, F1 of frames, precision of the best chunks."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeVar, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from videolit.metrics.multilabel import average_precision
from videolit.metrics.ranks import RankCorrelations, correlate_ranks, plain_array
from videolit.types import InputError

Protocol = Literal["annotators", "summary_vs_mean", "mean_score"]


def rank_correlation(
    scores: ArrayLike | Tensor,
    user_scores: ArrayLike | Tensor,
    *,
    protocol: Protocol = "annotators",
) -> tuple[float, float]:
    """Return Kendall's tau-b and Spearman's rho of a video's scores.

    Figures of different protocols cannot be compared; say the protocol beside them.

    - ``annotators``: with each annotator's scores singly, then the mean over annotators (Otani et
      al., Rethinking the Evaluation of Video Summaries, CVPR 2019; published for TVSum).
    - ``summary_vs_mean``: both arguments 0 or 1 per frame at the full rate, a machine's summary
      with the mean of the users' ones (MSVA, CSTA, Mr. HiSum on SumMe). The shorter is padded
      with zeros.
    - ``mean_score``: with the mean of the annotators' scores (VideoSAGE). It is much higher: on
      TVSum one person against the mean of the others has 0.31 and 0.40, against each of them 0.18
      and 0.20.

    Args:
        scores: ``(T,)``, finite: a score per sampled frame, or a summary.
        user_scores: ``(U, T)``, finite, U at least 1: at the same frames. A mean score as such is
            ``(1, T)``.
        protocol: See above.

    Returns:
        Tau and rho in [-1, 1]. Where a sequence is constant, its correlation counts as 0;
        :func:`rank_correlations` and :func:`undefined_correlations` tell where.

    Raises:
        InputError: If shapes do not fit, or a number is not finite.
    """
    tau, rho, _ = _correlate(scores, user_scores, protocol)
    return float(tau.mean()), float(rho.mean())


def rank_correlations(
    scores: ArrayLike | Tensor, user_scores: ArrayLike | Tensor
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return tau-b and rho with each annotator singly; see :func:`rank_correlation`.

    Args:
        scores: ``(T,)``, finite.
        user_scores: ``(U, T)``, finite.

    Returns:
        Tau and rho, float64 ``(U,)`` each; 0 where one of the two is constant.

    Raises:
        InputError: If shapes do not fit, or a number is not finite.
    """
    tau, rho, _ = _correlate(scores, user_scores, "annotators")
    return tau, rho


def undefined_correlations(
    scores: ArrayLike | Tensor,
    user_scores: ArrayLike | Tensor,
    *,
    protocol: Protocol = "annotators",
) -> int:
    """Count the correlations of :func:`rank_correlation` that are 0 for want of a definition.

    Args:
        scores: ``(T,)``, finite.
        user_scores: ``(U, T)``, finite.
        protocol: See there.

    Raises:
        InputError: If shapes do not fit, or a number is not finite.
    """
    return int(_correlate(scores, user_scores, protocol).undefined.sum())


def _correlate(
    scores: ArrayLike | Tensor, user_scores: ArrayLike | Tensor, protocol: Protocol
) -> RankCorrelations:
    """Correlate as the protocol says.

    Raises:
        InputError: If shapes do not fit, or a number is not finite.
    """
    if protocol not in get_args(Protocol):
        raise InputError(f"protocol must be one of {get_args(Protocol)}, got {protocol!r}")
    one, many = _numbers(scores), _numbers(user_scores)
    if protocol == "summary_vs_mean":
        one, many = _padded(one, many)
    if one.ndim != 1 or many.ndim != 2 or len(one) != many.shape[1] or 0 in many.shape:
        raise InputError(
            f"expected scores (T,) and user scores (U, T) at the same frames, got {one.shape} and "
            f"{many.shape}"
        )
    if not (np.isfinite(one).all() and np.isfinite(many).all()):
        raise InputError("scores and user scores must be finite")
    if protocol != "annotators":
        many = many.mean(axis=0, keepdims=True)
    return correlate_ranks(one, many)


class KeyshotScores(NamedTuple):
    """How a summary agrees with each of U users' ones.

    Attributes:
        precision: Share of the summary that the user chose too, float64 ``(U,)``.
        recall: Share of the user's choice that is in the summary, float64 ``(U,)``.
        f1: Their harmonic mean, float64 ``(U,)``; 0 where nothing is in both.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]


def keyshot_scores(summary: ArrayLike | Tensor, user_summary: ArrayLike | Tensor) -> KeyshotScores:
    """Compare the frames of a summary with those that each user chose.

    Args:
        summary: ``(N,)``, a frame is chosen where it is not 0.
        user_summary: ``(U, N)``, likewise, U at least 1. The shorter of the two is padded with
            zeros, as in the published protocol.

    Returns:
        Each in [0, 1]; 0 without overlap, also where nothing is chosen.

    Raises:
        InputError: If shapes do not fit.
    """
    chosen, wanted = _padded(plain_array(summary) != 0, plain_array(user_summary) != 0)
    if chosen.ndim != 1 or wanted.ndim != 2 or 0 in wanted.shape:
        raise InputError(
            f"expected a summary (N,) and user summaries (U, N), got {chosen.shape} and "
            f"{wanted.shape}"
        )
    both = np.count_nonzero(wanted & chosen, axis=1)
    precision = both / max(np.count_nonzero(chosen), 1)
    recall = both / np.maximum(np.count_nonzero(wanted, axis=1), 1)
    total = np.where(both > 0, precision + recall, 1)
    return KeyshotScores(precision, recall, 2 * precision * recall / total)


def keyshot_f1(
    summary: ArrayLike | Tensor,
    user_summary: ArrayLike | Tensor,
    reduce: Literal["mean", "max"] = "mean",
) -> float:
    """Return the F1 of a summary with users' ones; see :func:`keyshot_scores`.

    It says little by itself: how shots are cut moves it more than the scores do (Otani et al., CVPR
    2019). State that of random scores beside it; see :func:`performance_over_random`.

    Args:
        summary: ``(N,)``, a frame is chosen where it is not 0.
        user_summary: ``(U, N)``; Mr. HiSum has a single one.
        reduce: ``mean`` over users as is usual on TVSum, or ``max`` as on SumMe.

    Returns:
        In [0, 1]; papers print percent.

    Raises:
        InputError: If shapes do not fit, or ``reduce`` is neither.
    """
    if reduce not in ("mean", "max"):
        raise InputError(f"reduce must be 'mean' or 'max', got {reduce!r}")
    f1 = keyshot_scores(summary, user_summary).f1
    return float(f1.max() if reduce == "max" else f1.mean())


def mean_average_precision_chunks(
    scores: ArrayLike | Tensor,
    gtscore: ArrayLike | Tensor,
    share: float = 0.5,
    chunk: int = 5,
) -> float:
    """Return the average precision of a video's best chunks, as Mr. HiSum measures highlights.

    Scores are averaged in chunks of equal length (the last may be shorter). The chunks of the
    highest true means are the positives, the earlier of equal ones first; chunks are ranked by the
    mean of the scores (Sul et al., Mr. HiSum, NeurIPS 2023). The mean over videos is their mAP.

    Args:
        scores: ``(T,)``, one per second.
        gtscore: ``(T,)``, likewise.
        share: Of all chunks, how many are positives, rounded down; published with 0.5 and 0.15.
        chunk: Scores per chunk; published with 5.

    Returns:
        In [0, 1]; NaN where no chunk is a positive, as in videos under 7 chunks at 0.15. Leave
        those out of the mean and say how many.

    Raises:
        InputError: If shapes do not fit, or a number is not finite.
    """
    said, true = _numbers(scores), _numbers(gtscore)
    if said.ndim != 1 or said.shape != true.shape or len(said) == 0 or chunk < 1:
        raise InputError(
            f"expected scores and true scores (T,) and chunks of 1 or more, got {said.shape}, "
            f"{true.shape} and {chunk}"
        )
    if not (np.isfinite(said).all() and np.isfinite(true).all()):
        raise InputError("scores and true scores must be finite")
    first = np.arange(0, len(said), chunk)
    sizes = np.diff(np.append(first, len(said)))
    said, true = np.add.reduceat(said, first) / sizes, np.add.reduceat(true, first) / sizes
    target = np.zeros(len(true))
    target[np.argsort(-true, kind="stable")[: int(share * len(true))]] = 1
    found = average_precision(torch.from_numpy(said)[:, None], torch.from_numpy(target)[:, None])
    return float(found[0])


_Kind = TypeVar("_Kind", np.bool_, np.float64)


def _padded(one: NDArray[_Kind], many: NDArray[_Kind]) -> tuple[NDArray[_Kind], NDArray[_Kind]]:
    """Pad the shorter of ``(N,)`` and ``(U, M)`` with zeros at its end."""
    if one.ndim != 1 or many.ndim != 2 or len(one) == many.shape[1]:
        return one, many
    length = max(len(one), many.shape[1])
    return (
        np.pad(one, (0, length - len(one))),
        np.pad(many, ((0, 0), (0, length - many.shape[1]))),
    )


def _numbers(values: ArrayLike | Tensor) -> NDArray[np.float64]:
    """Return :func:`plain_array` as float64."""
    return plain_array(values).astype(np.float64, copy=False)
