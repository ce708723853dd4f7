"""``make evidence``, sentiment of generated talking figures: three seeds; rewrites the README's table.

Each seed makes its own set (1,600 training clips, 208 to choose the epoch, 1,008 to test, whose speakers, voices,
sentences and tempo are unseen) and trains one model of all modalities and one of each alone, from scratch. The
first is also tested with one modality absent. How well anybody could do is known of each choice of modalities.

Training takes 11 to 19 minutes a seed with all modalities. Results are kept in ``tests/evidence/talking.json``, so that a run that was cut off
goes on where it stopped.
"""

from __future__ import annotations

import csv
import json
import statistics
from pathlib import Path

from harness import keep, kept, made_on, newest, parser_of, rewrite, videolit
from summary import fit_and_test, parts

RESULTS = Path(__file__).with_suffix(".json")
BEGIN, END = "<!-- talking:begin -->", "<!-- talking:end -->"
CONFIG = "sentiment/talking"
SIZES = {"train": 1600, "val": 208, "test": 1008}
ENCODERS = {"video": "encoder", "sound": "sound", "text": "text"}
TITLES = {
    "video+sound+text": "picture, sound and words",
    "video": "picture alone",
    "sound": "sound alone",
    "text": "words alone",
}
ABSENT = {
    "sound+text": "without the picture",
    "video+text": "without the sound",
    "video+sound": "without the words",
}
KINDS = ("all", "plain", "irony")


def main() -> None:
    """Run what is missing, then write the table."""
    parser = parser_of(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument("--work", default="evidence/talking", help="folder of data and runs")
    options = parser.parse_args()
    results = kept(RESULTS)
    for seed in options.seeds if not options.tables else ():
        clips = Path(options.work) / f"clips_{seed}"
        for name in options.models:
            if f"{name}/{seed}" in results:
                continue
            videolit("synth", "sentiment", clips, "--seed", seed, *parts(SIZES))
            found = train(Path(options.work) / "runs" / name / str(seed), clips, name, seed)
            results |= {f"{name}/{seed}": found, "about": made_on()}
            keep(RESULTS, dict(sorted(results.items())))
            print(f"{name}/{seed}", {kind: round(found[kind], 3) for kind in KINDS}, flush=True)
    if results:
        rewrite(BEGIN, END, tables(results))
    else:
        print("no results, the README stays as it is")


def train(runs: Path, clips: Path, name: str, seed: int) -> dict:
    """Train and test a model of some modalities in processes of its own."""
    modalities = name.split("+")
    common: list[object] = ["--data.root", clips, "--trainer.accelerator", "cpu"]
    common += ["--data.num_workers", 0]
    for modality, option in ENCODERS.items():
        if modality not in modalities:
            common += [f"--model.{option}", "null"]
    given = ["--data.modalities", json.dumps(modalities)]
    folder, seconds, card = fit_and_test(runs, CONFIG, [*common, *given], seed)
    truth = json.loads((clips / "truth.json").read_text())
    found = {
        **shares(newest(runs, CONFIG, "test"), truth["clips"]),
        "ceiling": {kind: truth["ceilings"][name][kind] for kind in KINDS},
        "parameters": card["parameters"],
        "seconds": seconds,
        "split_hash": card["split_hash"],
    }
    for absent in ABSENT if len(modalities) > 1 else ():
        # The model has encoders of all three; the data gives two.
        given = ["--data.modalities", json.dumps(absent.split("+"))]
        videolit(
            *("test", "--config", CONFIG, "--seed_everything", seed, *common, *given),
            *("--trainer.default_root_dir", runs / absent, "--trainer.devices", 1),
            *("--trainer.enable_progress_bar", "false"),
            *("--ckpt_path", folder / "checkpoints" / "best.ckpt"),
        )
        found[absent] = shares(newest(runs / absent, CONFIG, "test"), truth["clips"])
        found[absent]["ceiling"] = {kind: truth["ceilings"][absent][kind] for kind in KINDS}
    return found


def shares(tested: Path, clips: dict) -> dict[str, float]:
    """Return the shares of all, of plain and of ironic test clips that are right."""
    right: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    with next(tested.glob("samples-*.csv")).open(newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            for kind in ("all", clips[row["utterance"]]["kind"]):
                right[kind].append(row["label"] == row["predicted"])
    assert len(right["all"]) == SIZES["test"], len(right["all"])
    return {kind: statistics.mean(hits) for kind, hits in right.items()}


def tables(results: dict) -> str:
    """Return the table in Markdown."""
    lines = [
        "| 4 emotions, chance 25 % | all clips | best possible | plain | irony | best possible | seeds | training |",
        "|---|---|---|---|---|---|---|---|",
    ]
    whole = "video+sound+text"
    for name, title in (TITLES | ABSENT).items():
        runs = [
            value[name] if name in ABSENT else value
            for key, value in results.items()
            if key.startswith(f"{whole if name in ABSENT else name}/")
        ]
        if not runs:
            continue
        cells = []
        for kind in KINDS:
            cells.append(spread([run[kind] for run in runs]))
            if kind != "plain":
                cells.append(f"{100 * runs[0]['ceiling'][kind]:.1f} %")
        if name == whole:
            cells[0] = f"**{cells[0]}**"
        times = sorted({round(run["seconds"] / 60) for run in runs if "seconds" in run})
        lasted = " to ".join(map(str, sorted({times[0], times[-1]}))) + " min" if times else ""
        label = f"the same model {title}" if name in ABSENT else title
        lines.append(f"| {label} | {' | '.join(cells)} | {len(runs)} | {lasted} |")
    made = results["about"]
    shown = ", ".join(
        f"{name} {made['versions'][name]}" for name in ("videolit", "torch", "lightning")
    )
    lines += [
        "",
        f"`python tests/evidence/talking.py` on {made['machine']}, one thread, other jobs beside; {shown}; "
        f"accuracy, mean ± standard deviation over seeds of data and training; {SIZES['train']:,} training and "
        f"{SIZES['test']:,} test clips, 20 epochs from scratch; the epoch is chosen on {SIZES['val']} others.",
    ]
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Return mean and standard deviation in percent."""
    mean = f"{100 * statistics.mean(values):.1f}"
    return f"{mean} ± {100 * statistics.stdev(values):.1f} %" if len(values) > 1 else f"{mean} %"


if __name__ == "__main__":
    main()
