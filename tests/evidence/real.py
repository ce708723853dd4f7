"""``make evidence``: the recipe for a few hundred videos on recorded sets, all folds; rewrites its table.

``gestures``: each of 8 people left out in turn, the next person for validation. ``fights``: 10 folds of whole
sources. The last epoch is tested: neither epoch nor recipe was chosen on a test fold's own people or sources
(the recipe was chosen with S1 left out and S2 and S6 for validation). The sets are not part of videolit: they
are read from ``$VIDEOLIT_REAL_DATA``. About an hour and a half on two cores; results are kept in
``tests/evidence/real.json``, so that a run that was cut off goes on where it stopped.
"""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from harness import REAL_DATA, keep, kept, made_on, newest, parser_of, rewrite, videolit

from videolit.metrics import bootstrap_interval

RESULTS = Path(__file__).with_suffix(".json")
BEGIN, END = "<!-- little:begin -->", "<!-- little:end -->"
CONFIG = "action/folder_small"
SHORT_SIDE = 192
SEED = 0
# Clips of these numbers come from two other data sets.
FOREIGN = range(62, 92)

_FRAMES = [
    *("--model.encoder", "SmallFrameEncoder", "--model.encoder.width", "24"),
    *("--model.encoder.motion", "both"),
]
MODELS = {
    "r2plus1d": ("R(2+1)D, 24 channels", []),
    "cnn_gru": (
        "2D CNN + GRU",
        [*_FRAMES, "--model.temporal", "RNN", "--model.temporal.cell", "gru"],
    ),
    "cnn_tcn": ("2D CNN + TCN", [*_FRAMES, "--model.temporal", "TCN"]),
}
NAMED_FOLDS = ("S1", "S4", "S7")
# The set, its model, its folds and what differs from the configuration.
SETS = {
    # No mirror images: people gesture with the right hand, and two classes are left and right.
    "gestures": ["--data.train_transform.flip", "0"],
    "fights": [],
}


def main() -> None:
    """Run what is missing, then write the table."""
    parser = parser_of(__doc__)
    parser.add_argument("--work", default="evidence/real", help="folder of data and runs")
    parser.add_argument("--jobs", type=int, default=2, help="folds at once, one thread each (2)")
    parser.add_argument("--only", choices=SETS, help="one set only")
    options = parser.parse_args()
    results = kept(RESULTS)
    if not options.tables:
        for name in [options.only] if options.only else SETS:
            if not (REAL_DATA / name).is_dir():
                print(f"no {name} in {REAL_DATA}: left out")
                continue
            data = Path(options.work, name)
            videolit("prepare", REAL_DATA / name, "--out", data, "--short-side", SHORT_SIDE)
            jobs = [
                (Path(options.work), data, *job)
                for job in folds(name, data)
                if "/".join(job[:3]) not in results
            ]
            with ThreadPoolExecutor(options.jobs) as pool:
                for key, found in pool.map(run, *zip(*jobs, strict=True)):
                    results[key] = found
                    results["about"] = made_on()
                    keep(RESULTS, results)
                    print(key, f"{found['accuracy']:.3f} in {found['seconds']:.0f} s", flush=True)
    if results:
        rewrite(BEGIN, END, tables(results))
    else:
        print("no results, the README stays as it is")


def folds(name: str, data: Path) -> list[tuple[str, str, str, list[str], list[str]]]:
    """Return set, model, fold, and the groups of test and of validation."""
    with (data / "manifest.csv").open(newline="") as file:
        sizes = Counter(row["group"] for row in csv.DictReader(file))
    if name == "gestures":
        parts = [[person] for person in sorted(sizes)]
    else:
        # Largest source first, each to the fold that has fewest clips so far.
        parts = [[] for _ in range(10)]
        for group in sorted(sizes, key=lambda group: (-sizes[group], group)):
            min(parts, key=lambda part: sum(sizes[g] for g in part)).append(group)
    jobs = []
    for model in MODELS:
        for number, part in enumerate(parts):
            fold = part[0] if name == "gestures" else str(number)
            if model == "r2plus1d" or (name == "gestures" and fold in NAMED_FOLDS):
                jobs.append((name, model, fold, part, parts[(number + 1) % len(parts)]))
    return jobs


def run(
    work: Path, data: Path, name: str, model: str, fold: str, test: list[str], val: list[str]
) -> tuple[str, dict]:
    """Train and test one fold in processes of their own."""
    runs = work / "runs" / name / model / fold
    common = [
        *("--config", CONFIG, "--data.root", data, "--seed_everything", SEED),
        *("--data.seed", SEED, "--data.num_workers", "0"),
        *("--data.test_groups", json.dumps(test), "--data.val_groups", json.dumps(val)),
        *("--trainer.default_root_dir", runs, "--trainer.accelerator", "cpu"),
        *("--trainer.enable_progress_bar", "false", *SETS[name], *MODELS[model][1]),
    ]
    start = time.perf_counter()
    videolit("fit", *common)
    seconds = time.perf_counter() - start
    folder = newest(runs, CONFIG, "fit")
    videolit("test", *common, "--ckpt_path", folder / "checkpoints" / "last.ckpt", "--audit")
    tested = newest(runs, CONFIG, "test")
    card = json.loads(next(tested.glob("evaluation-*.json")).read_text())
    audit = json.loads(next(tested.glob("audit-*.json")).read_text())
    with next(tested.glob("samples-*.csv")).open(newline="") as file:
        samples = [(row["path"], int(row["right"])) for row in csv.DictReader(file)]
    return f"{name}/{model}/{fold}", {
        "accuracy": card["metrics"]["accuracy"],
        "seconds": round(seconds, 1),
        "parameters": card["parameters"],
        "protocol": card["protocol"],
        "split_hash": card["split_hash"],
        "groups": test,
        **{kind: audit[kind] for kind in ("frozen", "shuffled", "reversed")},
        "samples": dict(samples),
    }


def tables(results: dict) -> str:
    """Return the table in Markdown."""
    lines = [
        "| set, folds | model | accuracy, mean over all clips | 95 % interval | folds | frozen | "
        "shuffled | reversed | training of a fold |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, what in (("gestures", "person left out"), ("fights", "sources in 10 folds")):
        for model, (title, _) in MODELS.items():
            found = {
                key.split("/")[2]: value
                for key, value in results.items()
                if key.startswith(f"{name}/{model}/")
            }
            if found:
                lines.append(_row(f"{name}, {what}", title, found))
            if name == "fights" and found:
                lines.append(_row("without clips of other data sets", title, found, FOREIGN))
    about = results["about"]
    shown = ", ".join(
        f"{name} {about['versions'][name]}" for name in ("videolit", "torch", "lightning")
    )
    lines += [
        "",
        f"`python tests/evidence/real.py` on {about['machine']}, two folds at once with one thread each; "
        f"{shown}; seed {SEED}. *Frozen*, *shuffled*, *reversed*: the same test clips with one frame only, in "
        "another order, backwards. Intervals: bootstrap over people or folds. Other jobs ran beside most of them.",
    ]
    return "\n".join(lines)


def _row(what: str, title: str, folds: dict, without: range = range(0)) -> str:
    right, groups = [], []
    for found in folds.values():
        for path, hit in found["samples"].items():
            digits = "".join(c for c in Path(path).stem if c.isdigit())
            if "noFight" in path and without and int(digits) in without:
                continue
            right.append(hit)
            groups.append(path.split("/")[0] if path[0] == "S" else str(found["groups"]))
    low, high = bootstrap_interval(torch.tensor(right), groups=groups)
    count = len(right)
    mean = {
        kind: sum(f[kind] * len(f["samples"]) for f in folds.values())
        / sum(len(f["samples"]) for f in folds.values())
        for kind in ("frozen", "shuffled", "reversed")
    }
    each = " ".join(
        f"{fold} {100 * found['accuracy']:.0f}"
        if fold[0] == "S"
        else f"{100 * found['accuracy']:.0f}"
        for fold, found in sorted(folds.items())
    )
    times = [found["seconds"] / 60 for found in folds.values()]
    audit = (
        " | ".join("" for _ in mean)
        if without
        else " | ".join(f"{mean[kind]:.2f}" for kind in mean)
    )
    return (
        f"| {what} | {title} | **{sum(right) / count:.1%}** of {count} | {low:.1%} to {high:.1%} | "
        f"{'' if without else each} | {audit} | {min(times):.1f} to {max(times):.1f} min |"
    )


if __name__ == "__main__":
    main()
