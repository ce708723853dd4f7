"""Part of ``make evidence``: the same trainings on raw and on prepared videos.

Generated actions, three seeds of data and training. About ten minutes on two cores. Results are kept in
``tests/evidence/data.json`` and in a table of the README; a run that was cut off goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from action import figures, machine

from videolit.callbacks.evaluation import versions
from videolit.commands.demo import train_and_test
from videolit.data.listing import read_manifest
from videolit.data.prepare import prepare
from videolit.data.prepared import PreparedSpec
from videolit.ops.files import atomic_path
from videolit.synth.actions import write_actions

RESULTS = Path(__file__).with_suffix(".json")
BEGIN, END = "<!-- prepared:begin -->", "<!-- prepared:end -->"
SIZES = {"num_train": 800, "num_val": 100, "num_test": 200}
EPOCHS = 16
MODEL = "small_r2plus1d"


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--work", default="evidence", help="folder of data and runs (evidence)")
    parser.add_argument("--tables", action="store_true", help="only write the table")
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {"runs": {}}
    for seed in [] if options.tables else options.seeds:
        out = Path(options.work) / f"prepared_{seed}"
        raw = write_actions(out / "data", **SIZES, seed=seed, progress=True)
        list(prepare(read_manifest(raw), out / "prepared", PreparedSpec(), workers=2))
        for kind, data in (("raw", raw), ("prepared", out / "prepared")):
            if f"{kind}/{seed}" not in results["runs"]:
                trained = train_and_test(MODEL, data, out / kind, seed=seed, epochs=EPOCHS)
                results["runs"][f"{kind}/{seed}"] = figures(trained)
                results["about"] = {"machine": machine(), "versions": versions()}
                with atomic_path(RESULTS) as part:
                    part.write_text(json.dumps(results, indent=2) + "\n")
    readme = RESULTS.parent.parent.parent / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    with atomic_path(readme) as part:
        part.write_text(f"{before}{BEGIN}\n{tables(results)}\n{END}{rest.split(END)[1]}")


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
