"""``videolit demo``: the whole job on a small generated data set, in minutes on two cores."""

from __future__ import annotations

import argparse
import json
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from rich.console import Console
from rich.table import Table

from videolit import cli
from videolit.data.listing import read_manifest
from videolit.data.reader import VideoReader
from videolit.plots import Report
from videolit.synth.actions import ACTIONS, TIME_PAIRS, single_frame_ceiling, write_actions
from videolit.types import InputError

if TYPE_CHECKING:
    from videolit.callbacks.report import ShownClip

# Configuration and what it is, in the order of the table.
MODELS = {
    "small_r2plus1d": "R(2+1)D",
    "small_cnn_rnn": "CNN + GRU",
    "single_frame": "no order",
}
CONTROL = "single_frame"


class Trained(NamedTuple):
    """One model of the demo.

    Attributes:
        name: Its configuration.
        checkpoint: Its best checkpoint.
        history: The log of its training.
        card: Its evaluation card.
        audit: Its temporal audit.
        seconds: What its training took.
    """

    name: str
    checkpoint: Path
    history: Path
    card: dict[str, Any]
    audit: dict[str, Any]
    seconds: float

    @property
    def pairs_reversed(self) -> float:
        """Accuracy, reversed, of the actions that are another action's reverse, in [0, 1]."""
        classes = {name for pair in TIME_PAIRS for name in pair}
        found: list[float] = [
            scores["reversed"]
            for name, scores in self.audit["per_class"].items()
            if name in classes
        ]
        return sum(found) / len(found)


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="videolit demo",
        description="Make a small data set of real video files with known actions; train, test and "
        "audit two models and a control that knows no order of frames; predict; write report.html. "
        "Four to eight minutes on two cores.",
    )
    parser.add_argument("--out", default="demo", help="folder of everything it makes (demo)")
    parser.add_argument("--train", type=int, default=800, help="training videos (800)")
    parser.add_argument("--val", type=int, default=100, help="validation videos (100)")
    parser.add_argument("--test", type=int, default=200, help="test videos (200)")
    parser.add_argument("--epochs", type=int, default=None, help="epochs (the configurations')")
    parser.add_argument("--seed", type=int, default=0, help="of data and training (0)")
    options = parser.parse_args(argv)
    if options.epochs is not None and options.epochs < 1:
        raise InputError(f"--epochs must be at least 1, got {options.epochs}")
    out = Path(options.out)
    console = Console()
    begin = time.perf_counter()

    console.rule("1. Data: generated figures performing named actions", align="left")
    data = write_actions(
        out / "data",
        num_train=options.train,
        num_val=options.val,
        num_test=options.test,
        seed=options.seed,
        progress=True,
    )
    console.print(
        f"{options.train + options.val + options.test} H.264 files of {len(ACTIONS)} actions in "
        f"{data}; bodies, backgrounds and speeds of the test are unseen in training."
    )

    trained = []
    for step, (name, what) in enumerate(MODELS.items(), start=2):
        console.rule(f"{step}. Train and test: {what}", align="left")
        if name == CONTROL:
            console.print(
                "It judges each frame by itself, so it must stay behind: time tells it nothing."
            )
        trained.append(train_and_test(name, data, out, seed=options.seed, epochs=options.epochs))

    console.rule(f"{len(MODELS) + 2}. Predict", align="left")
    clips = shown_clips(trained[0].checkpoint, data)

    console.rule(f"{len(MODELS) + 3}. Result", align="left")
    console.print(result_table(trained))
    ceiling = single_frame_ceiling()
    console.print(
        f"Without the order of the frames no model can exceed {ceiling:.2f} here: "
        f"{', '.join('/'.join(pair) for pair in TIME_PAIRS)} differ in direction only. "
        "“pairs”: their accuracy when played backwards, where a model that uses time errs."
    )
    page = write_report(out / "report.html", trained, clips)
    minutes = (time.perf_counter() - begin) / 60
    console.print(f"Report: {page} (open it in a browser). All in {minutes:.1f} minutes.")
    console.print(
        "Your own videos, in folders named by class: "
        "videolit fit --config action/small_r2plus1d --data.root my_videos"
    )
    return 0


def train_and_test(
    name: str,
    data: Path,
    out: Path,
    *,
    seed: int,
    epochs: int | None = None,
    more: Sequence[str] = (),
) -> Trained:
    """Train a configuration on a data set and test its best checkpoint, by the command line.

    Args:
        name: A configuration of ``configs/action``.
        data: The data set.
        out: Folder of runs.
        seed: Of weights, order and augmentation.
        epochs: Length of training; None = the configuration's.
        more: Further options of both commands.
    """
    runs = out / "runs"
    shared = ["--config", f"action/{name}", "--data.root", str(data)]
    shared += ["--trainer.default_root_dir", str(runs), "--seed_everything", str(seed)]
    shared += ["--data.seed", str(seed)]
    shared += more
    length = [] if epochs is None else ["--trainer.max_epochs", str(epochs)]
    begin = time.perf_counter()
    _videolit(["fit", *shared, *length])
    seconds = time.perf_counter() - begin
    run = _newest(runs / name, "fit")
    checkpoint = run / "checkpoints" / "best.ckpt"
    _videolit(["test", *shared, "--ckpt_path", str(checkpoint), "--audit"])
    test = _newest(runs / name, "test")
    card = json.loads(next(test.glob("evaluation-*.json")).read_text())
    audit = json.loads(next(test.glob("audit-*.json")).read_text())
    return Trained(name, checkpoint, run / "metrics.csv", card, audit, seconds)


def _videolit(arguments: list[str]) -> None:
    """Run a command as the user would, after showing it."""
    print(f"$ videolit {shlex.join(arguments)}", flush=True)
    code = cli.main(arguments)
    if code != 0:
        raise SystemExit(code)


def _newest(folder: Path, verb: str) -> Path:
    """Return the latest run of a verb."""
    return max(folder.glob(f"{verb}_*"), key=lambda path: int(path.name.rpartition("_")[2]))


def shown_clips(checkpoint: Path, data: Path) -> list[ShownClip]:
    """Predict the first test clip of each action and return what the report shows of them."""
    from videolit.callbacks.report import ShownClip
    from videolit.commands.predict import predict, print_predictions

    manifest = read_manifest(data).select("test")
    first = {manifest.label_name(row): row for row in reversed(range(len(manifest)))}
    files = {name: manifest.path(first[name]) for name in sorted(first)}
    print(f"$ videolit predict --ckpt_path {checkpoint} {data / 'test'}/*/...", flush=True)
    rows = predict(checkpoint, list(files.values()))
    print_predictions(rows)
    clips = []
    for (name, file), row in zip(files.items(), rows, strict=True):
        with VideoReader(file) as reader:
            frames = reader.read(range(reader.num_frames))
        ranked = list(row["probabilities"].items())[:3]
        clips.append(
            ShownClip(frames, Path(file).relative_to(data.resolve()).as_posix(), name, ranked)
        )
    return clips


def result_rows(trained: Sequence[Trained]) -> list[dict[str, Any]]:
    """Return the comparison of the models, one row each."""
    rows = []
    for model in trained:
        card, audit = model.card, model.audit
        low, high = card["accuracy_interval_95"]
        rows.append(
            {
                "model": MODELS[model.name],
                "accuracy": card["metrics"]["accuracy"],
                "95 %": f"{low:.2f}–{high:.2f}",
                "frozen": audit["frozen"],
                "shuffled": audit["shuffled"],
                "reversed": audit["reversed"],
                "pairs": model.pairs_reversed,
                "size": f"{card['parameters'] / 1e3:.0f} k",
                "time": f"{model.seconds:.0f} s",
            }
        )
    return rows


def result_table(trained: Sequence[Trained]) -> Table:
    """Return the comparison for the terminal."""
    rows = result_rows(trained)
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for column in rows[0]:
        justify: Literal["left", "right"] = "left" if column == "model" else "right"
        table.add_column(column, justify=justify, no_wrap=True)
    for row in rows:
        cells = (f"{cell:.3f}" if isinstance(cell, float) else cell for cell in row.values())
        table.add_row(*cells)
    return table


def write_report(path: Path, trained: Sequence[Trained], clips: Sequence[ShownClip]) -> Path:
    """Write the demo's page."""
    from videolit.callbacks.report import add_clips, add_details, add_protocol

    best = trained[0]
    low, high = best.card["accuracy_interval_95"]
    control = next(model for model in trained if model.name == CONTROL)
    report = Report(
        "videolit demo",
        f"{len(ACTIONS)} actions by generated figures, {best.card['num_samples']} test videos",
    )
    report.facts(
        {
            MODELS[best.name]: (
                f"{best.card['metrics']['accuracy']:.1%}",
                f"95 % interval {low:.1%} to {high:.1%}",
            ),
            MODELS["small_cnn_rnn"]: f"{trained[1].card['metrics']['accuracy']:.1%}",
            "control: no order": (
                f"{control.card['metrics']['accuracy']:.1%}",
                f"single frames, no more than {single_frame_ceiling():.0%}",
            ),
            "majority baseline": f"{best.card['metrics']['majority']:.1%}",
        }
    )
    sentence = best.audit["sentence"]
    report.note(f"{MODELS[best.name]}: {sentence}", "info")
    report.table(
        result_rows(trained),
        caption="Accuracy on the test videos, and on the same videos frozen to one frame, with "
        "shuffled frames, and reversed; “pairs”: reversed, "
        "only actions that are another's reverse; “time”: of the training",
        highlight=0,
    )
    report.section(
        "Clips and answers", f"The first test clip of each action, by {MODELS[best.name]}."
    )
    add_clips(report, clips)
    for model in trained:
        add_details(report, model.card, model.history, of=MODELS[model.name])
    add_protocol(report, best.card)
    return report.save(path)
