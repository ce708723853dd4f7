"""Whether a sentiment model and the data beside it fit, and what differs from its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lightning.pytorch.utilities import rank_zero_warn
from torch import nn

from videolit.encoders import IdentityEncoder
from videolit.ops.tokens import SEPARATOR
from videolit.types import InputError, SentimentSource

if TYPE_CHECKING:
    from videolit.tasks.sentiment import SentimentTask

# Figures by which an epoch may be chosen, and what a model must learn to have them.
_MONITORED = {
    "classes": ("val/weighted_f1", "val/macro_f1", "val/uar", "val/war"),
    "score": ("val/mae", "val/corr", "val/ccc"),
    "affect": ("val/ccc", "val/ccc_valence", "val/ccc_arousal"),
}


def check_meeting(task: SentimentTask, source: SentimentSource, *, fitting: bool) -> None:
    """Refuse data that the model's encoders do not take.

    Args:
        task: The model.
        source: The data.
        fitting: Whether the model is to be trained: it then needs all its modalities.

    Raises:
        InputError: Says which setting fits.
    """
    given = source.given_modalities
    lacking = [name for name in task.names if name not in given]
    if len(lacking) == len(task.names) or (fitting and lacking):
        raise InputError(
            f"the model takes {', '.join(task.names)}, and the data gives "
            f"{', '.join(given) or 'nothing'}: leave out --model encoders of what is not there, or "
            "set --data.modalities"
        )
    for name in task.names:
        part: nn.Module | None = task.encoder if name == "video" else getattr(task, name)
        if name in given and part is not None:
            _check_stored(name, part, source.num_features.get(name, 0))
    sound = task.sound
    rate = getattr(sound, "sample_rate", None)
    spec = source.utterance_spec
    if "sound" in given and rate is not None and rate != spec.sample_rate:
        raise InputError(
            f"the model hears {rate} samples a second, the data gives {spec.sample_rate}: set "
            f"--data.sample_rate {rate}"
        )
    if "text" in given and task.text is not None and not source.num_features.get("text"):
        _check_words(task.text, source)


def check_monitors(callbacks: Sequence[Any], targets: Mapping[str, float]) -> None:
    """Refuse callbacks that wait for a figure that the model's targets do not have.

    Lightning would say so too, after a whole epoch.

    Args:
        callbacks: A trainer's.
        targets: What the model learns.

    Raises:
        InputError: Names the callback, its figure, and those of the targets.
    """
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        owners = [name for name, figures in _MONITORED.items() if monitor in figures]
        if owners and not any(name in targets for name in owners):
            fitting = [_MONITORED[name][0] for name in targets]
            raise InputError(
                f"{type(callback).__name__} monitors {monitor}, a figure of "
                f"{' and '.join(owners)}, and the model learns {', '.join(targets)}: monitor "
                f"{' or '.join(fitting)} in the configuration. sentiment/folder_av_text is for "
                "classes, sentiment/folder_scores for scores, sentiment/affect for valence and "
                "arousal"
            )


def _check_stored(name: str, part: nn.Module, num_features: int) -> None:
    stored = isinstance(part, IdentityEncoder)
    option = "encoder" if name == "video" else name
    if stored != bool(num_features):
        raise InputError(
            f"the data has stored features of {name} ({num_features} numbers), and "
            f"{type(part).__name__} takes none: set --model.{option} IdentityEncoder "
            f"--model.{option}.init_args.num_features {num_features}"
            if num_features
            else f"the model takes stored features of {name}, and the data has files: set "
            f"--model.{option} to an encoder of them"
        )
    if stored and part.num_features != num_features:
        raise InputError(
            f"the stored features of {name} have {num_features} numbers, and the model takes "
            f"{part.num_features}: set --model.{option}.init_args.num_features {num_features}"
        )


def _check_words(text: nn.Module, source: SentimentSource) -> None:
    if not source.num_tokens:
        # Nothing to learn a vocabulary from, as in a set of test utterances: that of a checkpoint
        # is adopted when it is loaded, and no sample is read without one.
        return
    most = getattr(text, "num_tokens", None)
    if most is not None and source.num_tokens > most:
        raise InputError(
            f"the tokenizer knows {source.num_tokens} tokens, and the text encoder has room for "
            f"{most}: set --model.text.init_args.num_tokens {source.num_tokens}, or a smaller "
            "vocabulary (--data.num_words, --data.num_pieces)"
        )
    separator = getattr(text, "separator", None)
    if separator is not None and separator != source.separator:
        raise InputError(
            f"the tokenizer's separator is {source.separator}, the text encoder's {separator}: set "
            f"--data.tokenizer to the model's name, and --model.text.init_args.separator "
            f"{source.separator}"
        )
    if separator is None and source.separator != SEPARATOR:
        raise InputError(
            f"{type(text).__name__} reads words of videolit's own tokenizer: leave out "
            "--data.tokenizer"
        )


def compare_with_training(task: SentimentTask, source: SentimentSource) -> None:
    """Warn of another preprocessing, and of test samples that the model was trained on."""
    if task.utterance_spec is not None:
        theirs, ours = task.utterance_spec.to_dict(), source.utterance_spec.to_dict()
        other = [
            name for name, value in theirs.items() if ours[name] != value and name != "tokenizer"
        ]
        if task.clip_spec is not None and source.clip_spec not in (None, task.clip_spec):
            other.append("clip")
        if other:
            rank_zero_warn(
                f"the model was trained on utterances that were read with another "
                f"{', '.join(other)} than it is tested on: repeat the options of the training, or "
                "use the config.yaml in its folder"
            )
    task.tell_seen(source.sample_ids("test"), "utterances", "seed, folds, groups and fractions")
