"""The result of a cross-validation over seeds: figures, files and a table."""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from videolit.callbacks.evaluation import versions
from videolit.callbacks.summary_card import mean_of
from videolit.ops.files import atomic_path

NAMES = ("tau", "rho", "f1")
_BASELINES = ("random", "uniform", "human")
_ROWS = (
    ("over_folds", "model, mean over folds"),
    ("over_videos", "model, mean over videos"),
    ("oracle", "best test epoch (not honest)"),
    ("random", "random"),
    ("uniform", "evenly spread shots"),
    ("human", "people, each with the others"),
)


def fold_figures(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Take the trainings of all folds and seeds together.

    Args:
        runs: Each with ``fold``, ``seed``, ``videos`` (figures of each test video by name, None =
            unknown) and ``oracle`` (the ``best`` of each figure, or None).

    Returns:
        ``over_folds``, ``over_videos``, ``oracle``, ``random``, ``uniform`` and ``human``, each
        figure with ``mean`` and ``std``: the mean over seeds of a seed's figure, and the standard
        deviation between the seeds (n - 1; None of a single seed, and of what no seed changes). A
        seed's figure is the mean over folds of the mean over the fold's videos, or the mean over
        the videos of all folds. Figures that the data does not tell are left out.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    seeds = sorted({run["seed"] for run in runs})
    of_seed = [[run for run in runs if run["seed"] == seed] for seed in seeds]
    for name in NAMES:
        folds = [_mean([mean_of(run["videos"], name) for run in part]) for part in of_seed]
        videos = [mean_of([v for run in part for v in run["videos"]], name) for part in of_seed]
        oracle = [
            _mean([(run["oracle"] or {}).get(name, {}).get("best") for run in part])
            for part in of_seed
        ]
        for row, values in (("over_folds", folds), ("over_videos", videos), ("oracle", oracle)):
            known = [value for value in values if value is not None]
            if known:
                spread = statistics.stdev(known) if len(known) > 1 else None
                found.setdefault(row, {})[name] = {"mean": statistics.fmean(known), "std": spread}
        for row in _BASELINES:
            mean = _mean([mean_of(run["videos"], f"{row}_{name}") for run in of_seed[0]])
            if mean is not None:
                found.setdefault(row, {})[name] = {"mean": mean, "std": None}
    return found


def results_table(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Table:
    """Return the figures of :func:`fold_figures` as a table."""
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("")
    for name in NAMES:
        table.add_column(name, justify="right")
    for row, label in _ROWS:
        if row in found:
            table.add_row(label, *(_cell(found[row].get(name)) for name in NAMES))
    return table


def write_folds(
    out: Path,
    found: Mapping[str, Any],
    runs: Sequence[Mapping[str, Any]],
    about: Mapping[str, Any],
) -> None:
    """Write ``folds.json`` and ``folds.csv``, one row for each training.

    Args:
        out: Their folder.
        found: What :func:`fold_figures` returns.
        runs: The trainings.
        about: What else ``folds.json`` says.
    """
    first = runs[0]["card"]
    shared = ("data", "correlation", "f1_over_annotators", "protocol", "features", "model")
    told = {
        **about,
        "seeds": sorted({run["seed"] for run in runs}),
        "monitor": runs[0]["monitor"],
        **{name: first[name] for name in (*shared, "parameters")},
        "figures": found,
        "undefined_correlations": sum(run["card"]["undefined_correlations"] for run in runs),
        "runs": [
            {
                **{name: run[name] for name in ("fold", "seed", "best", "checkpoint", "oracle")},
                **{name: run["card"][name] for name in ("split_hash", "division", "metrics")},
            }
            for run in runs
        ],
        "versions": versions(),
    }
    with atomic_path(out / "folds.json") as part:
        part.write_text(json.dumps(told, indent=2) + "\n")
    columns = [*NAMES, *(f"{row}_{name}" for row in _BASELINES for name in NAMES)]
    with atomic_path(out / "folds.csv") as part, part.open("w", newline="") as handle:
        writer = csv.writer(handle)
        oracles = [f"oracle_{name}" for name in NAMES]
        writer.writerow(["seed", "fold", "videos", *columns, *oracles, "checkpoint"])
        for run in runs:
            metrics, oracle = run["card"]["metrics"], run["oracle"] or {}
            cells = [metrics.get(name) for name in columns]
            cells += [oracle.get(name, {}).get("best") for name in NAMES]
            writer.writerow(
                [
                    *(run["seed"], run["fold"], len(run["videos"])),
                    *("" if cell is None else f"{cell:.5f}" for cell in cells),
                    run["checkpoint"],
                ]
            )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _cell(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return "–"
    spread = "" if figure["std"] is None else f" ± {figure['std']:.3f}"
    return f"{figure['mean']:.3f}{spread}"
