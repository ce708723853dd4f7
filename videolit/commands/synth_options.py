"""The arguments of all generators of ``videolit synth``."""

from __future__ import annotations

import argparse


def synth_parser(
    command: str, description: str, example: str, sizes: tuple[int, int, int]
) -> argparse.ArgumentParser:
    """Return the parser of a generator.

    Args:
        command: As ``videolit synth summary``.
        description: What it makes.
        example: A folder to name in the example.
        sizes: Training, validation and test videos unless told otherwise.
    """
    train, val, test = sizes
    parser = argparse.ArgumentParser(
        prog=command,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"example: {command} {example} --train {train} --val {val} --test {test}",
    )
    parser.add_argument("out", help="folder to write to: new, empty, or begun with these settings")
    parser.add_argument("--train", type=int, default=train, help=f"training videos ({train})")
    parser.add_argument("--val", type=int, default=val, help=f"validation videos ({val})")
    parser.add_argument("--test", type=int, default=test, help=f"test videos ({test})")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other videos (0)")
    parser.add_argument("--workers", type=int, default=None, help="processes (one per core)")
    return parser
