"""``make evidence``, video summary: every model on generated videos, three seeds; rewrites the README's table.

Each seed makes its own set of long videos (40 to train with, 10 to choose the epoch, 20 to test; other
places, performers and noise in each part), describes them once without weights (``videolit features``) and
trains every model on the same features; the epoch is chosen by tau of the validation videos. Training-free,
random scores and the annotators themselves are measured on the same test videos by the same code.

About forty minutes on two cores. Results are kept in ``tests/evidence/summary.json``, so that a run that was cut
off goes on where it stopped.
"""

from __future__ import annotations

import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import keep, kept, made_on, newest, parser_of, rewrite, videolit

from videolit.commands.feature_source import NUM_SIGNALS
from videolit.data.summary_records import SummaryRecord
from videolit.data.summary_samples import truth_of
from videolit.data.summary_sets import read_summary_set
from videolit.metrics.summary_video import baseline_figures, video_figures
from videolit.ops.coverage import importance
from videolit.types import SummaryTruth

RESULTS = Path(__file__).with_suffix(".json")
BEGIN, END = "<!-- summary:begin -->", "<!-- summary:end -->"
CONFIG = "summary/features_transformer"
FIGURES = ("tau", "rho", "f1")
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
    parser.add_argument("--accelerator", default="cpu", help="trains the models: cpu or gpu (cpu)")
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
            missing += [(features, name, seed, options.accelerator) for name in wanted]
        with ThreadPoolExecutor(options.jobs) as pool:
            runs = [pool.submit(train, work, *job) for job in missing]
            for run in as_completed(runs):
                found = run.result()
                # Those of an earlier run may have had more company.
                jobs = max(options.jobs, results.get("about", {}).get("jobs", 1))
                results |= found | {"about": about(jobs, options.accelerator)}
                keep(RESULTS, dict(sorted(results.items())))
                for key, figures in found.items():
                    print(f"{key}: tau {figures['tau']:.3f}", flush=True)
    if results:
        rewrite(BEGIN, END, tables(results))
    else:
        print("no results, the README stays as it is")


def prepare(work: Path, seed: int) -> Path:
    """Return the features of a seed's videos, made if need be."""
    videos, features = work / f"videos_{seed}", work / f"features_{seed}.h5"
    videolit("synth", "summary", videos, "--seed", seed, *parts(SIZES))
    videolit("features", videos, "--out", features)
    return features


def parts(sizes: dict[str, int]) -> list[object]:
    """Return the arguments that say how many videos each part has."""
    return [word for part, count in sizes.items() for word in (f"--{part}", count)]


def without_training(features: Path, seed: int) -> dict[str, dict[str, float]]:
    """Return the mean figures over test videos of all that is not trained."""
    truths = [truth for _, truth in test_videos(features)]
    known = [baseline_figures(truth, seed=place) for place, truth in enumerate(truths)]
    means = {
        f"{which}/{seed}": {
            name: float(np.mean([row[f"{which}_{name}"] for row in known])) for name in FIGURES
        }
        for which in ("random", "human")
    }
    return means | {f"free/{seed}": training_free(features)}


def training_free(features: Path) -> dict[str, float]:
    """Return the mean figures over test videos of the scores that `videolit summarize` gives."""
    rows = []
    for record, truth in test_videos(features):
        stored = record.read_features()
        looks, (motion, loudness) = stored[:, :-NUM_SIGNALS], stored[:, -NUM_SIGNALS:].T
        times = record.picks / record.fps
        scores = importance(looks, times, motion=motion, loudness=loudness)
        rows.append(video_figures(scores, truth))
    return {name: float(np.mean([row[name] for row in rows])) for name in FIGURES}


def test_videos(features: Path) -> list[tuple[SummaryRecord, SummaryTruth]]:
    """Return the test videos and what is known of them."""
    found = read_summary_set(features)
    records = [record for record in found.records if record.video_id.startswith("test/")]
    return [(record, truth_of(record, found.reduce)) for record in records]


def train(
    work: Path, features: Path, name: str, seed: int, accelerator: str
) -> dict[str, dict[str, float]]:
    """Train and test one model in processes of their own."""
    common = ["--trainer.accelerator", accelerator, "--data.root", features, "--data.seed", seed]
    if name == "dsn":
        common += ["--model.objective", "reward"]
    for argument, value in MODELS[name][1].items():
        common += [f"--model.temporal.{argument}".rstrip("."), value]
    _, seconds, card = fit_and_test(work / "runs" / name / str(seed), CONFIG, common, seed)
    figures = {
        **{figure: card["metrics"][figure] for figure in FIGURES},
        "parameters": card["parameters"],
        "seconds": seconds,
        "split_hash": card["split_hash"],
    }
    return {f"{name}/{seed}": figures}


def fit_and_test(
    runs: Path, config: str, more: list[object], seed: int
) -> tuple[Path, int, dict[str, Any]]:
    """Return the folder of a training, its seconds, and the evaluation card of its best epoch."""
    common = [
        *("--config", config, "--seed_everything", seed, "--trainer.default_root_dir", runs),
        *("--trainer.devices", 1, "--trainer.enable_progress_bar", "false", *more),
    ]
    start = time.perf_counter()
    videolit("fit", *common)
    seconds = round(time.perf_counter() - start)
    folder = newest(runs, config, "fit")
    videolit("test", *common, "--ckpt_path", folder / "checkpoints" / "best.ckpt")
    card = json.loads(next(newest(runs, config, "test").glob("evaluation-*.json")).read_text())
    return folder, seconds, card


def about(jobs: int, accelerator: str) -> dict[str, Any]:
    """Return where and how results were made."""
    device = torch.cuda.get_device_name() if accelerator == "gpu" else ""
    return made_on() | {"jobs": jobs, "accelerator": device}


def tables(results: dict) -> str:
    """Return the table in Markdown."""
    lines = [
        "| model | Kendall's τ | Spearman's ρ | keyshot F1 | seeds | parameters | training |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = {
        **{name: title for name, (title, _) in MODELS.items()},
        "free": "training-free (`videolit summarize` without a checkpoint)",
        "random": "random scores",
        "human": "annotators, each against the others",
    }
    found = {
        name: [value["tau"] for key, value in results.items() if key.startswith(f"{name}/")]
        for name in MODELS
    }
    best = max((name for name in found if found[name]), key=lambda n: statistics.mean(found[n]))
    for name, title in rows.items():
        runs = [value for key, value in results.items() if key.startswith(f"{name}/")]
        if not runs:
            continue
        cells = [spread([run[figure] for run in runs]) for figure in FIGURES]
        size = f"{runs[0]['parameters'] / 1e6:.2f} M" if "parameters" in runs[0] else ""
        times = [run["seconds"] for run in runs if "seconds" in run]
        # The shortest and the longest, once where they are one.
        lasted = " to ".join(map(str, sorted({min(times), max(times)}))) + " s" if times else ""
        if name == best:
            cells[0] = f"**{cells[0]}**"
        lines.append(f"| {title} | {' | '.join(cells)} | {len(runs)} | {size} | {lasted} |")
    made = results["about"]
    shown = ", ".join(
        f"{name} {made['versions'][name]}" for name in ("videolit", "torch", "lightning")
    )
    device = f"one {made['accelerator']}, " if made.get("accelerator") else ""
    lines += [
        "",
        f"`python tests/evidence/summary.py` on {device}{made['machine']}, "
        f"up to {made['jobs']} models at once, one thread each; {shown}; mean ± "
        f"standard deviation over seeds of data and training; {SIZES['train']} training, "
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
