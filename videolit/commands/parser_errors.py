"""Errors of the command line's parser as a user can act on them."""

from __future__ import annotations

import re
from typing import NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from videolit.types import InputError

# How the parser tells what it tried; of no use to whoever must mend the command.
NOISE = (
    *("Does not validate", "Subtypes:", "Errors:", "Given value"),
    *("Expected a <class", "Expected a typing.Literal", "Expected a path but"),
)
# Types that a user meets: one of them, and several.
_WORDS = {
    "str": ("a string", "strings"),
    "int": ("a whole number", "whole numbers"),
    "float": ("a number", "numbers"),
    "bool": ("true or false", "true or false"),
    "NoneType": ("null", "null"),
}


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
    if len(lines) == 1 and (said := _expected(message)):
        lines = [f"{lines[0].removesuffix(':')}: {said}"]
    if "denied by" in message:
        lines.append(
            "classes from outside videolit, Lightning and torch need --trust: their code runs"
        )
    hint = "`videolit fit --help` shows the options used most, `--help all` lists all."
    return InputError("\n  ".join([" ".join(lines[:1]), *lines[1:], hint]))


def _expected(message: str) -> str:
    """Return which types a value may have, what came, and how to write it; "" if none is told."""
    single = re.search(r"Expected a (.+)\. Got value: (.*)", message)
    several = re.search(r"Subtypes: \[(.*)\]\s*$", message, re.MULTILINE)
    given = re.search(r"Given value: (.*)", message)
    if several is not None and given is not None:
        kinds, value = _parts(several[1]), given[1].strip()
    elif single is not None:
        kinds, value = [single[1]], single[2].strip()
    else:
        return ""
    names = [_in_words(kind) for kind in kinds]
    *first, last = names
    said = f"expected {', '.join(first)} or {last}" if first else f"expected {last}"
    return f"{said}, got {value}{_advice(kinds, value)}"


def _advice(kinds: list[str], value: str) -> str:
    """Return how a list or a mapping is written on the command line."""
    lists = [kind for kind in kinds if kind.startswith(("list[", "tuple["))]
    if lists and not value.startswith("["):
        return ": write it in brackets, as '[a, b]'"
    if "list[str]" in lists:
        return """: quote what looks like a number, as '["01", "02"]'"""
    if any(kind.startswith("dict[") for kind in kinds):
        return ": write it in braces with a space after each colon, as '{name: 1.0}'"
    return ""


def _in_words(kind: str, several: bool = False) -> str:
    """Return a type as Python writes it in words."""
    kind = re.sub(r"^<class '([\w.]+)'>$", r"\1", kind).removeprefix("typing.")
    outer, _, inside = kind.partition("[")
    parts = _parts(inside.removesuffix("]"))
    if kind in _WORDS:
        return _WORDS[kind][several]
    if outer == "Literal":
        return f"one of {', '.join(parts)}"
    if outer == "list" and len(parts) == 1:
        return f"a list of {_in_words(parts[0], several=True)}"
    if outer == "dict" and len(parts) == 2:
        key, value = (_in_words(part, several=True) for part in parts)
        return f"a mapping of {key} to {value}"
    return kind


def _parts(text: str) -> list[str]:
    """Split at the commas that stand in no brackets."""
    found, depth = [""], 0
    for letter in text:
        depth += (letter in "[(") - (letter in "])")
        if letter == "," and depth == 0:
            found.append("")
        else:
            found[-1] += letter
    return [part.strip() for part in found if part.strip()]
