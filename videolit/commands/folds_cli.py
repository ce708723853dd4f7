"""``videolit folds``: the command around :mod:`videolit.commands.folds`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from videolit.cli import resolve_configs
from videolit.types import InputError

DESCRIPTION = """\
Train a summary model on every fold with several seeds, choose the epoch of each by its validation
videos, and test it on the fold that it has not seen. Options of videolit fit may follow.

  videolit folds --config summary/tvsum_transformer --data.root eccv16_dataset_tvsum_google_pool5.h5
  videolit folds --config summary/tvsum_mlp --data.root tvsum.h5 --data.split_file splits.json

Prints mean and standard deviation over seeds beside random scores and people, and writes folds.json
(all of it) and folds.csv (a row for each training). Trainings that are done are kept in the folder:
the same command goes on where it stopped, also with more --seeds.

Most published numbers are those of the epoch with the best result on the test videos. --oracle adds
what such a choice would report, to compare; nothing is chosen by it.
"""
# What this command sets itself.
_TAKEN = {
    "--ckpt_path": "every training starts anew",
    "--data.fold": "all folds are trained",
    "--data.init_args.fold": "all folds are trained",
    "--seed_everything": "--seeds says how many seeds",
    "--trainer.default_root_dir": "--out names the folder",
    "--audit": "it belongs to videolit test",
    "--sanity": "it belongs to videolit fit",
}


def main(argv: Sequence[str]) -> int:
    """Run the command; 0 = done, 1 = some videos cannot be read."""
    parser = argparse.ArgumentParser(
        prog="videolit folds",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--config", action="append", required=True, help="as of videolit fit")
    parser.add_argument(
        "--folds", type=int, help="number of folds; a split file has its own (the configuration's)"
    )
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each fold (5)")
    parser.add_argument("--out", help="folder of all trainings (folds/<configuration>)")
    parser.add_argument(
        "--oracle", action="store_true", help="also the best test epoch, to compare with papers"
    )
    options, rest = parser.parse_known_args(list(argv))
    for argument in rest:
        name = argument.partition("=")[0]
        if name in _TAKEN:
            raise InputError(f"{name} cannot be given to folds: {_TAKEN[name]}")
    if options.seeds < 1:
        raise InputError(f"--seeds must be at least 1, got {options.seeds}")
    configs = resolve_configs([part for name in options.config for part in ("--config", name)])
    arguments = [*configs, *rest]
    if options.folds is not None:
        arguments += ["--data.num_folds", str(options.folds)]
    out = Path(options.out or Path("folds", Path(options.config[0]).stem))
    # Here: help and mistakes in the options must not wait for torch.
    from videolit.commands.folds import cross_validate

    return cross_validate(
        arguments,
        configs[1::2],
        out,
        folds=options.folds,
        seeds=options.seeds,
        oracle=options.oracle,
    )
