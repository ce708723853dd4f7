"""What an evaluation must say about the utterances that it measured."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from videolit.data.module import Split
from videolit.data.utterance_reading import describe_reading
from videolit.data.utterance_words import Tokenizer, describe_tokenizer

if TYPE_CHECKING:
    from videolit.data.sentiment import SentimentDataModule


def division_of(module: SentimentDataModule) -> str:
    """Return how utterances were divided into train, val and test."""
    data = module.whole
    if not data.is_labelled:
        return "nothing is labelled, all is predicted"
    if module.fold is not None:
        order = "" if module.fold_seed is None else f", order {module.fold_seed}"
        return f"fold {module.fold} of {module.num_folds} by group{order}, seed {module.seed}"
    if data.has_splits:
        return "published"
    alone = sum(not utterance.group for utterance in data.utterances)
    if alone == len(data):
        return f"by chance, seed {module.seed}"
    rest = f", {alone} utterances without one by chance" if alone else ""
    return f"by group{rest}, seed {module.seed}"


def about_split(
    module: SentimentDataModule, split: Split, tokenizer: Tokenizer | None
) -> dict[str, Any]:
    """Return what an evaluation must say about its data.

    Args:
        module: The data, set up.
        split: What is measured.
        tokenizer: Of the words; None = they are not read.

    Returns:
        JSON types by name.
    """
    part = module.part(split)
    spec = module.utterance_spec.to_dict()
    del spec["tokenizer"]
    clip, stored = module.clip_spec, bool(module.num_features)
    protocol = "stored features"
    if not stored:
        protocol = describe_reading(module.given_modalities, clip, module.utterance_spec)
    ids = "\0".join(sorted(part.ids)).encode(errors="replace")
    return {
        "data": part.name,
        "split": split,
        "split_hash": hashlib.sha256(ids).hexdigest()[:16],
        "division": module.division,
        "num_samples": len(part),
        "modalities": list(module.given_modalities),
        "decoder": "stored features" if stored else module.decoder,
        "clip": None if clip is None else clip.to_dict(),
        "protocol": protocol,
        "utterances": spec,
        "tokenizer": module.tokenizer or (tokenizer and describe_tokenizer(tokenizer)),
        "convention": part.convention,
        "shared_speakers": part.shared_speakers,
        "notes": [*part.notes, *module.doubts()],
    }
