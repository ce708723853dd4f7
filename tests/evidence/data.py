"""Part of ``make evidence``: the same trainings on raw and on prepared videos.

Generated actions, three seeds of data and training. About ten minutes on two cores. Results are kept in
``tests/evidence/data.json`` and in a table of the README; a run that was cut off goes on where it stopped.
"""

from __future__ import annotations

import statistics
from pathlib import Path

from action import figures
from harness import keep, kept, made_on, parser_of, rewrite

from videolit.commands.demo import train_and_test
from videolit.data.listing import read_manifest
from videolit.data.prepare import prepare
from videolit.data.prepared import PreparedSpec
from videolit.synth.actions import write_actions

RESULTS = Path(__file__).with_suffix(".json")
BEGIN, END = "<!-- prepared:begin -->", "<!-- prepared:end -->"
SIZES = {"num_train": 800, "num_val": 100, "num_test": 200}
EPOCHS = 16
MODEL = "small_r2plus1d"


def main() -> None:
    """Run what is missing, then write the table."""
    parser = parser_of(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--work", default="evidence", help="folder of data and runs (evidence)")
    options = parser.parse_args()
    results = kept(RESULTS) or {"runs": {}}
    for seed in [] if options.tables else options.seeds:
        out = Path(options.work) / f"prepared_{seed}"
        raw = write_actions(out / "data", **SIZES, seed=seed, progress=True)
        list(prepare(read_manifest(raw), out / "prepared", PreparedSpec(), workers=2))
        for kind, data in (("raw", raw), ("prepared", out / "prepared")):
            if f"{kind}/{seed}" not in results["runs"]:
                trained = train_and_test(MODEL, data, out / kind, seed=seed, epochs=EPOCHS)
                results["runs"][f"{kind}/{seed}"] = figures(trained)
                results["about"] = made_on()
                keep(RESULTS, results)
    rewrite(BEGIN, END, tables(results))


def tables(results: dict) -> str:
    """Return the table in Markdown."""
    runs = results["runs"]
    seeds = sorted({int(key.rpartition("/")[2]) for key in runs})
    lines = [
        f"| {MODEL}, {SIZES['num_train']} generated videos, {EPOCHS} epochs | test accuracy, seeds "
        f"{', '.join(map(str, seeds))} | mean | training |",
        "|---|---|---|---|",
    ]
    for kind in ("raw", "prepared"):
        found = [runs[f"{kind}/{seed}"] for seed in seeds]
        accuracies = [run["accuracy"] for run in found]
        each = ", ".join(f"{accuracy:.3f}" for accuracy in accuracies)
        minutes = statistics.mean(run["seconds"] for run in found) / 60
        lines.append(f"| {kind} | {each} | {statistics.mean(accuracies):.3f} | {minutes:.1f} min |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
