"""``make evidence``, video summary: every model on generated videos, three seeds; rewrites the README's table.

Each seed makes its own set of long videos (40 to train with, 10 to choose the epoch, 20 to test; other
places, performers and noise in each part), describes them once without weights (``videolit features``) and
trains every model on the same features; the epoch is chosen by tau of the validation videos. Training-free,
random scores and the annotators themselves are measured on the same test videos by the same code. About an
hour and a half on two cores. Results are kept in ``tests/evidence/summary.json``, so that a run that was cut off goes
on where it stopped.
"""

from __future__ import annotations

import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from harness import keep, kept, made_on, newest, parser_of, rewrite, videolit

from videolit.commands.feature_source import NUM_SIGNALS
from videolit.data.summary_samples import truth_of
from videolit.data.summary_sets import read_summary_set
from videolit.metrics.summary_video import baseline_figures, video_figures
from videolit.ops.coverage import importance

RESULTS = Path(__file__).with_suffix(".json")
BEGIN, END = "<!-- summary:begin -->", "<!-- summary:end -->"
CONFIG = "summary/features_transformer"
SIZES = {"train": 40, "val": 10, "test": 20}
# All with one optimizer and schedule, and the sizes and dropout of the papers; PGL-SUM's heads must
# divide the length of a feature.
MODELS = {
    "local": ("local transformer with memory and global tokens (ours)", {}),
    "mlp": ("each step alone (control)", {"": "FrameMLP", "hidden_size": 256, "dropout": 0.5}),
    "bilstm": ("BiLSTM", {"": "RNN", "hidden_size": 256, "num_layers": 1, "dropout": 0}),
    "vasnet": ("VASNet", {"": "VASNet", "dropout": 0.5}),
    "pglsum": (
        "PGL-SUM",
        {"": "PGLSum", "num_heads": 6, "local_heads": 6, "dropout": 0.5},
    ),
    "csta": ("CSTA-style", {"": "CSTA", "dropout": 0.6}),
    "dsn": (
        "DR-DSN, without labels",
        {"": "RNN", "hidden_size": 256, "num_layers": 1, "dropout": 0},
    ),
}


def main() -> None:
    """Run what is missing, then write the table."""
    parser = parser_of(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--work", default="evidence/summary", help="folder of data and runs")
    parser.add_argument("--jobs", type=int, default=2, help="models at once, one thread each (2)")
    options = parser.parse_args()
    results = kept(RESULTS)
    work = Path(options.work)
    if not options.tables:
        missing = []
        for seed in options.seeds:
            wanted = [name for name in options.models if f"{name}/{seed}" not in results]
            if not wanted and f"free/{seed}" in results:
                continue
            features = prepare(work, seed)
            if f"free/{seed}" not in results:
                results |= without_training(features, seed)
                keep(RESULTS, dict(sorted(results.items())))
            missing += [(features, name, seed) for name in wanted]
        with ThreadPoolExecutor(options.jobs) as pool:
            runs = {pool.submit(train, work, *job): f"{job[1]}/{job[2]}" for job in missing}
            for run in as_completed(runs):
                found = results[runs[run]] = run.result()
                results["about"] = made_on() | {"jobs": options.jobs}
                keep(RESULTS, dict(sorted(results.items())))
                print(f"{runs[run]}: tau {found['tau']:.3f} in {found['seconds']} s", flush=True)
    if results:
        rewrite(BEGIN, END, tables(results))
    else:
        print("no results, the README stays as it is")


def prepare(work: Path, seed: int) -> Path:
    """Return the features of a seed's videos, made if need be."""
    videos, features = work / f"videos_{seed}", work / f"features_{seed}.h5"
    sizes = [word for part, count in SIZES.items() for word in (f"--{part}", count)]
    videolit("synth", "summary", videos, "--seed", seed, *sizes)
    videolit("features", videos, "--out", features)
    return features


def without_training(features: Path, seed: int) -> dict[str, dict[str, float]]:
    """Return the mean figures over test videos of all that is not trained."""
    found = read_summary_set(features)
    records = [record for record in found.records if record.video_id.startswith("test/")]
    truths = [truth_of(record, found.reduce) for record in records]
    free, known = [], []
    for place, (record, truth) in enumerate(zip(records, truths, strict=True)):
        stored = record.read_features()
        looks, (motion, loudness) = stored[:, :-NUM_SIGNALS], stored[:, -NUM_SIGNALS:].T
        times = record.picks / record.fps
        scores = importance(looks, times, motion=motion, loudness=loudness)
        free.append(video_figures(scores, truth))
        known.append(baseline_figures(truth, seed=place))
    names = ("tau", "rho", "f1")
    means = {
        which: {name: float(np.mean([row[f"{which}_{name}"] for row in known])) for name in names}
        for which in ("random", "human")
    }
    means["free"] = {name: float(np.mean([row[name] for row in free])) for name in names}
    return {f"{which}/{seed}": figures for which, figures in means.items()}


def train(work: Path, features: Path, name: str, seed: int) -> dict[str, float]:
    """Train and test one model in processes of their own."""
    runs = work / "runs" / name / str(seed)
    common = [
        *("--config", CONFIG, "--data.root", features, "--seed_everything", seed),
        *("--data.seed", seed, "--trainer.default_root_dir", runs),
        *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
        *(["--model.objective", "reward"] if name == "dsn" else []),
    ]
    for argument, value in MODELS[name][1].items():
        common += [f"--model.temporal.{argument}".rstrip("."), value]
    start = time.perf_counter()
    videolit("fit", *common)
    seconds = round(time.perf_counter() - start)
    folder = newest(runs, CONFIG, "fit")
    videolit("test", *common, "--ckpt_path", folder / "checkpoints" / "best.ckpt")
    card = json.loads(next(newest(runs, CONFIG, "test").glob("evaluation-*.json")).read_text())
    return {
        **{figure: card["metrics"][figure] for figure in ("tau", "rho", "f1")},
        "parameters": card["parameters"],
        "seconds": seconds,
        "split_hash": card["split_hash"],
    }


def tables(results: dict) -> str:
    """Return the table in Markdown."""
    lines = [
        "| model | Kendall's τ | Spearman's ρ | keyshot F1 | parameters | training |",
        "|---|---|---|---|---|---|",
    ]
    rows = {
        **{name: title for name, (title, _) in MODELS.items()},
        "free": "training-free (`videolit summarize` without a checkpoint)",
        "random": "random scores",
        "human": "annotators, each against the others",
    }
    seeds = 0
    found = {
        name: [value["tau"] for key, value in results.items() if key.startswith(f"{name}/")]
        for name in MODELS
    }
    best = max((name for name in found if found[name]), key=lambda n: statistics.mean(found[n]))
    for name, title in rows.items():
        runs = [value for key, value in results.items() if key.startswith(f"{name}/")]
        if not runs:
            continue
        seeds = max(seeds, len(runs))
        cells = [spread([run[figure] for run in runs]) for figure in ("tau", "rho", "f1")]
        size = f"{runs[0]['parameters'] / 1e6:.2f} M" if "parameters" in runs[0] else ""
        times = [run["seconds"] for run in runs if "seconds" in run]
        # The shortest and the longest, once where they are one.
        lasted = " to ".join(map(str, sorted({min(times), max(times)}))) + " s" if times else ""
        if name == best:
            cells[0] = f"**{cells[0]}**"
        lines.append(f"| {title} | {' | '.join(cells)} | {size} | {lasted} |")
    about = results["about"]
    shown = ", ".join(
        f"{name} {about['versions'][name]}" for name in ("videolit", "torch", "lightning")
    )
    lines += [
        "",
        f"`python tests/evidence/summary.py` on {about['machine']}, one thread, {about['jobs']} models "
        f"at once; {shown}; mean ± "
        f"standard deviation over {seeds} seed{'s' if seeds > 1 else ''} of data and training; {SIZES['train']} training, "
        f"{SIZES['val']} validation and {SIZES['test']} test videos each. The epoch is chosen by τ "
        "of the validation videos. τ and ρ: with each annotator, mean over annotators and videos "
        "(protocol A). F1: 15 % of the video by knapsack, mean over annotators.",
    ]
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Return mean and standard deviation."""
    if len(values) < 2:
        return f"{values[0]:.3f}"
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


if __name__ == "__main__":
    main()
