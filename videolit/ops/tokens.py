"""Numbers of the tokens that mean no word: what a tokenizer, an encoder and step dropping share."""

from __future__ import annotations

SPECIAL = ("<pad>", "<unknown>", "<mask>", "<speaker>", "<separator>", "<capitals>")
PAD, UNKNOWN, MASK, SPEAKER, SEPARATOR, CAPITALS = range(len(SPECIAL))
