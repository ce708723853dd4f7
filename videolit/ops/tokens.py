"""Numbers of the tokens that mean no word: what a tokenizer, an encoder and step dropping share."""

from __future__ import annotations

SPECIAL = ("<pad>", "<unknown>", "<mask>", "<speaker>", "<separator>", "<capitals>")
PAD, UNKNOWN, MASK, SPEAKER, SEPARATOR, CAPITALS = range(len(SPECIAL))

# Stands behind a word that a list of rated words has; ordinary tokens of vocabularies with one.
MARKS = ("<very negative>", "<negative>", "<positive>", "<very positive>")
