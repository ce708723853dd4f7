"""Errors of the command line's parser as a user can act on them."""

from __future__ import annotations

import re
from typing import NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from videolit.types import InputError

# How the parser tells what it tried; of no use to whoever must mend the command.
NOISE = (
    *("Does not validate", "Subtypes:", "Errors:", "Given value"),
    *("Expected a <class", "Expected a path but"),
)


class PlainParser(LightningArgumentParser):
    """Lightning's parser, whose errors say what is wrong and not how it was looked for."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise what a user can act on.

        Raises:
            InputError: Always.
        """
        raise plain_error(message, ex)


def plain_error(message: str, problem: BaseException | None) -> InputError:
    """Turn an error of the parser into a message for users.

    Args:
        message: What the parser says: a tree of all types that it tried.
        problem: The exception behind it; if videolit raised the first cause, that is the message.
    """
    cause = problem
    while cause is not None:
        if isinstance(cause, InputError):
            return cause
        cause = cause.__cause__
    lines = []
    for line in message.splitlines():
        text = re.sub(r"^\s*-?\s*", "", line).strip()
        text = re.sub(r"Problem with given class_path '([\w.]+)':", r"\1:", text)
        text = re.sub(r"Expected a dot import path string: (\S+)", r"there is no class \1", text)
        text = re.sub(r"^Parser key \"([\w.]+)\":", r"\1:", text)
        if text and not text.startswith(NOISE):
            lines.append(text)
    if "denied by" in message:
        lines.append(
            "classes from outside videolit, Lightning and torch need --trust: their code runs"
        )
    hint = "`videolit fit --help` shows the options used most, `--help all` lists all."
    return InputError("\n  ".join([" ".join(lines[:1]), *lines[1:], hint]))
