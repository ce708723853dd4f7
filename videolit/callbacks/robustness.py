"""Figures of a sentiment model whose input is missing in part: what was tried, and the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from rich.table import Table
from torch import Tensor

from videolit.callbacks.sentiment_card import HEADLINES
from videolit.ops.modality import subsets
from videolit.tasks.sentiment import SentimentTask
from videolit.tasks.sentiment_targets import Target, baseline_figures, figures_of

RATES = tuple(rate / 10 for rate in range(1, 10))
# What the rows of the table are: in the table of figures, a modality's own head has a row.
ROWS = (
    "Only it: the whole model (not the modality's own head) with the others taken away. "
    "Without it: with the others."
)
# Less than this is not told apart by a few hundred samples.
_TOLERANCE = 0.02
_FALLING = ("mae", "mae_score", "mae_valence", "mae_arousal")
_CONSTANTS = {"classes": "most frequent class", "score": "training mean", "affect": "training mean"}


class Variant(NamedTuple):
    """One way of taking something away.

    Attributes:
        shown: The modalities that the model gets.
        dropped: Those of them that lose steps.
        rate: Probability of a step to be lost.
    """

    shown: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    rate: float = 0.0


def variants_of(names: Sequence[str]) -> list[Variant]:
    """Return all that is tried: the subsets, all modalities last, then the rates of each and all.

    Args:
        names: The model's modalities.
    """
    whole = tuple(names)
    scopes: list[tuple[str, ...]] = [(name,) for name in names]
    if len(names) > 1:
        scopes.append(whole)
    dropping = [Variant(whole, scope, rate) for scope in scopes for rate in RATES]
    return [Variant(chosen) for chosen in subsets(names)] + dropping


def robustness_result(
    task: SentimentTask,
    variants: Sequence[Variant],
    index: Tensor,
    rows: Tensor,
    truth: Mapping[Target, tuple[Tensor, ...]],
) -> dict[str, Any]:
    """Put the answers of all variants into numbers.

    Args:
        task: The model.
        variants: What :func:`variants_of` returns, V of them.
        index: int64 ``(N,)``, the samples' positions in their split, ascending.
        rows: float32 ``(N, V · O + M · R)``: the answers of each variant, NaN without a modality;
            then of each modality the share of its steps that each rate took.
        truth: By target the index, ascending, and the truth of the samples that have one.

    Returns:
        JSON types: ``targets`` (the main figure of each, whether it rises, and what a constant
        answer gets), ``subsets`` and ``dropping`` (figures, baseline and samples of each variant),
        ``mean_over_rates`` (0 to 0.9) and ``sentence``.
    """
    assert task.answers is not None
    count, names = sum(task.answers.sizes.values()), list[str](task.names)
    measured: list[tuple[Variant, dict[str, Any]]] = []
    for place, variant in enumerate(variants):
        said = rows[:, place * count : (place + 1) * count]
        has = ~said.isnan().any(1)
        figures: dict[str, float] = {}
        baseline: dict[str, float | None] = {}
        first = 0
        for target, size in task.answers.sizes.items():
            own, first = said[:, first : first + size], first + size
            at, label = truth[target]
            answered = torch.isin(at, index[has])
            places = torch.searchsorted(index, at[answered])
            if len(places):
                metric = task.answers.figures()[target]
                metric.sync_on_compute = False
                metric.update(at[answered], label[answered], own[places])
                constants = baseline_figures(target, metric, task.constants)
                prefix = "majority" if target == "classes" else "mean"
                for name, value in figures_of(metric).items():
                    if name in HEADLINES[target]:
                        figures[name] = value
                        baseline[name] = constants.get(f"{prefix}_{name}")
        samples = int(has.sum())
        counts = {"samples": samples, "without": len(index) - samples}
        measured.append((variant, {**counts, "figures": figures, "baseline": baseline}))
    whole = next(found for variant, found in measured if variant == Variant(task.names))
    shares = rows[:, len(variants) * count :].double().nanmean(0)
    lost = shares.reshape(len(task.names), len(RATES)).tolist()
    dropping: dict[str, list[dict[str, Any]]] = {}
    for variant, found in measured:
        if variant.dropped:
            scope = variant.dropped[0] if len(variant.dropped) == 1 else "together"
            curve = dropping.setdefault(scope, [{"rate": 0.0, **whole}])
            curve.append({"rate": variant.rate, **found})
            if scope != "together":
                share = lost[names.index(scope)][RATES.index(variant.rate)]
                curve[-1]["share_lost"] = share if share == share else None
    targets = {
        target: {
            "figure": name,
            "rises": name not in _FALLING,
            "value": whole["figures"][name],
            "baseline": whole["baseline"][name],
            "constant": _CONSTANTS[target],
        }
        for target in task.answers.sizes
        for name in [n for n in HEADLINES[target] if n in whole["figures"]][:1]
    }
    result: dict[str, Any] = {
        "modalities": list(task.names),
        "targets": targets,
        "subsets": [
            {"modalities": list(variant.shown), **found}
            for variant, found in measured
            if not variant.dropped
        ],
        "dropping": dropping,
        "mean_over_rates": {
            scope: {
                name: sum(point["figures"][name] for point in curve) / len(curve)
                for name in whole["figures"]
            }
            for scope, curve in dropping.items()
        },
    }
    return {**result, "sentence": _sentence(result)}


def _sentence(result: Mapping[str, Any]) -> str:
    """Say which modality the model needs most, and whether it does without."""
    if not result["targets"]:
        return "no sample has a known truth: there is nothing to audit."
    about = next(iter(result["targets"].values()))
    figure, sign = about["figure"], 1 if about["rises"] else -1
    names = result["modalities"]
    found = figures_by_subset(result, figure)
    whole = about["value"]
    parts = [f"{figure} is {whole:.3f} with {_listed(names)}"]
    left = {name: tuple(n for n in names if n != name) for name in names}
    without = {name: found.get(rest) for name, rest in left.items()}
    known = {name: value for name, value in without.items() if value is not None}
    if known:
        most = min(known, key=lambda name: sign * known[name])
        if sign * (whole - known[most]) > _TOLERANCE:
            parts[0] += f", and {known[most]:.3f} without {most}, the one most missed"
        else:
            parts[0] += ", and hardly worse without any one of them"
    weak = []
    for name, value in known.items():
        alone = [found[(other,)] for other in left[name]]
        best = max(sign * one for one in alone if one is not None)
        if sign * value < best - _TOLERANCE:
            weak.append(name)
    if weak:
        parts.append(
            f"without {_listed(weak, 'or')} it is worse than with only the best of the others"
        )
    scope = "together" if "together" in result["dropping"] else names[0]
    half = next(p for p in result["dropping"][scope] if p["rate"] == 0.5)
    parts.append(f"with half of all steps lost it is {half['figures'][figure]:.3f}")
    if about["baseline"] is not None:
        parts.append(f"a constant answer gets {about['baseline']:.3f}")
    return "; ".join(parts) + "."


def figures_by_subset(
    result: Mapping[str, Any], figure: str
) -> dict[tuple[str, ...], float | None]:
    """Return one figure of each subset of modalities, None where no sample has any of it."""
    return {tuple(found["modalities"]): found["figures"].get(figure) for found in result["subsets"]}


def robustness_tables(result: Mapping[str, Any]) -> list[Table]:
    """Return the main figure of each target: by subset, and with steps lost.

    Two tables, since one with both is too wide for a terminal of 80 columns.
    """
    subsets, losses = (
        _table("", "only it", "without it"),
        _table("steps lost", *(f"{rate:.1f}" for rate in RATES)),
    )
    names = result["modalities"]
    for about in result["targets"].values():
        figure = about["figure"]
        found = figures_by_subset(result, figure)
        subsets.add_row(f"[bold]{figure}")
        losses.add_row(f"[bold]{figure}")
        for scope, curve in result["dropping"].items():
            chosen = tuple(names) if scope == "together" else (scope,)
            rest = tuple(name for name in names if name not in chosen)
            subsets.add_row(scope, _cell(found[chosen]), _cell(found.get(rest)))
            lost = [point["figures"][figure] for point in curve if point["rate"]]
            losses.add_row(scope, *(_cell(number) for number in lost))
        subsets.add_row("constant", _cell(about["baseline"]))
    return [subsets, losses]


def _table(first: str, *heads: str) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold", padding=(0, 0))
    table.add_column(first, no_wrap=True)
    for head in heads:
        table.add_column(f" {head}", justify="right", no_wrap=True)
    return table


def missing_line(result: Mapping[str, Any]) -> str:
    """Return how many samples have nothing of a subset and do not count, ``""`` if all do."""
    parts = [
        f"{found['without']} without {_listed(found['modalities'], 'or')}"
        for found in result["subsets"]
        if found["without"]
    ]
    total = max(found["samples"] + found["without"] for found in result["subsets"])
    return f"Of {total} samples are not counted in such a row: {', '.join(parts)}." if parts else ""


def _cell(number: float | None) -> str:
    return " –" if number is None else f" {number:.3f}"


def _listed(names: Sequence[str], word: str = "and") -> str:
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last


def drawn(
    result: Mapping[str, Any], about: Mapping[str, Any]
) -> tuple[dict[tuple[str, ...], float | None], dict[str, list[tuple[float, float]]]]:
    """Return the figures of subsets, and the curves over the rates, for the picture."""
    figure = about["figure"]
    curves = {
        scope: [(point["rate"], point["figures"][figure]) for point in curve]
        for scope, curve in result["dropping"].items()
    }
    return figures_by_subset(result, figure), curves
