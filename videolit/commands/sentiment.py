"""Sentiment and emotion over a recording, window by window: ``videolit.find_sentiment``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from lightning.fabric import Fabric
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

from videolit import __version__
from videolit.callbacks.evaluation import file_hash
from videolit.callbacks.predictions import sentiment_rows
from videolit.commands.sentiment_files import SCHEMA, VERSION, check_folder, write_sentiment
from videolit.commands.sentiment_moments import (
    label_source,
    moments_of,
    polarity,
    rounded,
    shares_of,
    stretches_of,
)
from videolit.commands.sentiment_notes import notes_of
from videolit.data.index import IndexCache
from videolit.data.recording import WindowSamples, open_recording
from videolit.data.sentiment_samples import SentimentSample, collate_utterances
from videolit.data.transcripts import read_transcript
from videolit.data.utterance_words import read_tokenizer
from videolit.encoders import IdentityEncoder
from videolit.ops.windows import check_window, slide_time
from videolit.tasks.checkpoint import load_task
from videolit.tasks.sentiment import SentimentTask
from videolit.types import MODALITIES, InputError, Modality, SentimentBatch, UtteranceSpec

# Told of a stage, and which share of it is done; None = not known.
Progressed = Callable[[str, float | None], None]


class SentimentModel(NamedTuple):
    """A checkpoint's model, ready to look at recordings.

    Attributes:
        task: The model, at rest on its device.
        spec: How its training read utterances.
        about: What a record says of it.
    """

    task: SentimentTask
    spec: UtteranceSpec
    about: dict[str, Any]


def find_sentiment(
    checkpoint: str | Path | SentimentModel,
    source: str | Path | None = None,
    *,
    text: str | Path | None = None,
    window: float = 4.0,
    hop: float | None = None,
    out: str | Path | None = None,
    modalities: Sequence[Modality] | None = None,
    batch_size: int = 8,
    accelerator: str = "auto",
    trust: bool = False,
    progressed: Progressed | None = None,
) -> dict[str, Any]:
    """Tell sentiment or emotion over a recording, from what there is of picture, sound and words.

    Windows slide over the recording; each is read as the checkpoint's training read an utterance.
    What a window lacks (no sound track, silence, no words) is left out with its reason, and the
    model answers from the rest. Faces are not looked for: a model that was trained on the square
    around them needs a recording that is cut so. Everything is aligned by time: second 0 is the
    first frame of the picture, or without one the first sample of the sound, for the transcript
    too. A recording is decoded twice (first to check it and to learn how long it is), in memory
    that a window bounds.

    A last window that is shorter than the others is kept if it has half of their length, or is the
    only one.

    Args:
        checkpoint: A ``.ckpt`` file of videolit, of a sentiment task; or what
            :func:`load_sentiment` made of one, for many recordings.
        source: A video or sound file; None = a transcript alone.
        text: A transcript (``.srt``, ``.vtt``, ``.csv``, ``.txt``); see
            :func:`~videolit.data.transcripts.read_transcript`. One without times is read whole:
            where there is a single window, or nothing else to go by. It is not read, and a note
            says so, where the model does not take words.
        window: Seconds of a window; about as long as the utterances that the model was trained on.
        hop: Seconds from one window to the next, at most ``window``; None = half a window.
        out: Folder for ``sentiment.json``, ``.csv``, ``.vtt`` and ``.png``; None = no files.
        modalities: Which of ``video``, ``sound`` and ``text`` are used; None = all that there are.
        batch_size: Windows at once.
        accelerator: Lightning's: ``auto``, ``cpu``, ``gpu``; of a file.
        trust: Also run model code from outside videolit that the checkpoint names; of a file.
        progressed: Is told how far it is.

    Returns:
        The content of ``sentiment.json``:

        - ``schema``, ``version``, ``videolit``, ``settings``, ``clip`` and ``utterances`` (how the
          model's training read them), ``files``;
        - ``source``: ``path``, ``transcript`` if it was read, ``duration`` in seconds, and
          ``measured``, what told it: picture, sound, transcript, or words (their number);
        - ``model``: ``checkpoint`` and its hash, ``modalities``, ``weights``: ``learnt``, or
          ``equal`` over what is present, which is no evidence; ``classes``, ``score_range``,
          ``affect_range``, ``label_from``: what labels are made of, ``classes``, ``score`` or
          ``valence``; of the latter two they are negative, neutral and positive;
        - ``windows``: each with ``start`` and ``end`` in seconds, ``label`` (None = nothing to go
          by), ``probability`` and ``probabilities``, ``score``, ``valence`` and ``arousal`` as far
          as the model tells them, ``words``, and ``modalities``: for each of the three whether it
          was ``used``, then its ``weight`` and the same answers from it alone, else why it is
          ``missing``;
        - ``stretches``: ``start``, ``end``, ``label`` and mean answers of time with one label, by
          the mean of the windows that cover a moment; ``shares``: each label's share of that time;
        - ``missing``: for each modality its reasons and the number of windows;
          ``notes``: what else a reader must know.

    Raises:
        VideoError: If the file is not there, or neither video nor sound.
        InputError: If checkpoint, transcript or settings cannot be used, nothing is there that
            the model knows, or ``out`` cannot be written.

    Example:
        When somebody is angry, and what gave it away::

            import videolit

            record = videolit.find_sentiment("best.ckpt", "interview.mp4", text="interview.srt")
            for part in record["windows"]:
                if part["label"] == "anger":
                    said = part["modalities"]["sound"]
                    print(part["start"], part["probability"], said.get("weight"))
    """
    tell = progressed or _silent
    hop = window / 2 if hop is None else hop
    check_window(window, hop)
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    if source is None and text is None:
        raise InputError("nothing to look at: give a video, a sound file or a transcript")
    folder = None if out is None else Path(out)
    if folder is not None:
        check_folder(folder)
    model = (
        checkpoint
        if isinstance(checkpoint, SentimentModel)
        else load_sentiment(checkpoint, accelerator=accelerator, trust=trust)
    )
    task, spec, about = model
    if window > spec.max_seconds:
        raise InputError(
            f"the model sees and hears at most {spec.max_seconds:g} s of an utterance, so a window "
            f"of {window:g} s would lose its end: give --window {spec.max_seconds:g} or less"
        )
    usable, absent = _usable(task, spec, modalities)
    read = text if "text" in usable else None
    lines = None if read is None else read_transcript(read)
    cache = IndexCache(None)
    found = open_recording(
        source, lines, usable, cache=cache, checking=lambda what: tell(f"checking the {what}", None)
    )
    there = tuple(name for name in usable if name not in found.absent)
    if not there:
        reasons = {**absent, **found.absent}
        said = "; ".join(f"{name}: {reasons[name]}" for name in MODALITIES if name in reasons)
        raise InputError(f"nothing to go by, the model takes {', '.join(task.names)}. {said}")
    if there == ("text",) and not found.has_times:
        start, end = slide_time(found.duration, found.duration, found.duration)
    else:
        start, end = slide_time(found.duration, window, hop)
    words = None if spec.tokenizer is None else read_tokenizer(spec.tokenizer)
    samples = WindowSamples(
        found, start, end, there, spec, clip=task.clip_spec, tokenizer=words, cache=cache
    )
    utterances = spec.to_dict()
    del utterances["tokenizer"]
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "version": VERSION,
        "videolit": __version__,
        "source": {
            "path": found.path,
            "transcript": None if read is None else str(Path(read).absolute()),
            "duration": rounded(found.duration),
            "measured": found.measured,
        },
        "model": about,
        "settings": {
            "window": window,
            "hop": hop,
            "modalities": None if modalities is None else list(modalities),
        },
        "clip": None if task.clip_spec is None else task.clip_spec.to_dict(),
        "utterances": utterances,
        "windows": [],
    }
    for rows in _answers(task, samples, batch_size):
        for window_row in rows:
            record["windows"].append(_window(window_row, samples, record["model"], absent))
        tell("looking", len(record["windows"]) / len(samples))
    moments = moments_of(record)
    record["stretches"] = stretches_of(moments)
    record["shares"] = shares_of(record["stretches"], moments.names)
    record["missing"] = {
        name: dict(
            Counter(
                each["modalities"][name]["missing"]
                for each in record["windows"]
                if not each["modalities"][name]["used"]
            ).most_common()
        )
        for name in MODALITIES
    }
    record["notes"] = notes_of(record, found, samples)
    if text is not None and read is None:
        name = Path(text).name
        record["notes"].insert(0, f"text: {absent['text']}, so {name} was not read")
    if folder is not None:
        tell("writing", None)
        write_sentiment(folder, record, moments)
    return record


def _silent(stage: str, share: float | None) -> None:
    """Let progress go unseen."""


def load_sentiment(
    checkpoint: str | Path, *, accelerator: str = "auto", trust: bool = False
) -> SentimentModel:
    """Load the model of a checkpoint, to look at many recordings.

    Args:
        checkpoint: A ``.ckpt`` file of videolit, of a sentiment task.
        accelerator: Lightning's: ``auto``, ``cpu``, ``gpu``.
        trust: Also run model code from outside videolit that the checkpoint names.

    Raises:
        InputError: If it cannot be used, or the device is not there.
    """
    try:
        device = Fabric(accelerator=accelerator, devices=1).device
    except (MisconfigurationException, RuntimeError, ValueError) as problem:
        raise InputError(f"accelerator {accelerator!r}: {problem}") from problem
    task = load_task(checkpoint, trust=trust)
    if not isinstance(task, SentimentTask):
        other = {"ActionTask": "videolit predict", "SummaryTask": "videolit summarize"}
        verb = other.get(type(task).__name__)
        use = f"; use it by `{verb} --ckpt_path ...`" if verb else ""
        raise InputError(
            f"{checkpoint}: a checkpoint of {type(task).__name__}; sentiment needs one of "
            f"SentimentTask{use}"
        )
    if task.utterance_spec is None or task.answers is None:
        raise InputError(
            f"{checkpoint}: does not say how utterances are read: it was never trained"
        )
    return SentimentModel(task.to(device).eval(), task.utterance_spec, _about(task, checkpoint))


def _usable(
    task: SentimentTask, spec: UtteranceSpec, modalities: Sequence[Modality] | None
) -> tuple[tuple[Modality, ...], dict[Modality, str]]:
    """Return which modalities the model can take from files, and why not the others.

    Raises:
        InputError: If a name is none, or one of none of the model's encoders.
    """
    for name in modalities or ():
        if name not in MODALITIES:
            raise InputError(f"modalities must be some of {', '.join(MODALITIES)}, got {name!r}")
        if name not in task.names:
            raise InputError(
                f"the model has no encoder of {name}; it takes {', '.join(task.names)}"
            )
    absent: dict[Modality, str] = {}
    for name in MODALITIES:
        part = task.encoder if name == "video" else getattr(task, name)
        if name not in task.names:
            absent[name] = f"the model has no encoder of {name}"
        elif isinstance(part, IdentityEncoder):
            absent[name] = f"the model takes stored features of {name}, and no file of them"
        elif modalities is not None and name not in modalities:
            absent[name] = "not asked for"
        elif (name == "video" and task.clip_spec is None) or (
            name == "text" and spec.tokenizer is None
        ):
            absent[name] = f"the checkpoint does not say how {name} is read"
    return tuple(name for name in MODALITIES if name not in absent), absent


def _about(task: SentimentTask, checkpoint: str | Path) -> dict[str, Any]:
    assert task.answers is not None
    record, answers = task.record(), task.answers
    parts = {"video": "encoder", "sound": "sound", "text": "text"}
    about: dict[str, Any] = {
        "checkpoint": str(Path(checkpoint).absolute()),
        "checkpoint_sha256": file_hash(checkpoint),
        "modalities": list(task.names),
        "encoders": {
            name: record[parts[name]]["class_path"].rpartition(".")[2] for name in task.names
        },
        "fusion": record["fusion"]["class_path"].rpartition(".")[2],
        "weights": "learnt" if task.fusion.has_weights else "equal",
        "classes": list(answers.class_names) if "classes" in answers.sizes else [],
        "score_range": list(answers.score_range or ()) if "score" in answers.sizes else None,
        "affect_range": list(answers.affect_range or ()) if "affect" in answers.sizes else None,
    }
    about["label_from"] = label_source(about)
    return about


def _answers(
    task: SentimentTask, samples: WindowSamples, batch_size: int
) -> Iterator[list[tuple[SentimentSample, dict[str, Any]]]]:
    """Yield the windows in order, some at once, each with what the model says of it."""
    waiting: list[SentimentSample] = []
    with torch.inference_mode():
        for sample in samples:
            waiting.append(sample)
            if len(waiting) == batch_size or sample["index"] == len(samples) - 1:
                yield _answered(task, waiting)
                waiting = []


def _answered(
    task: SentimentTask, samples: Sequence[SentimentSample]
) -> list[tuple[SentimentSample, dict[str, Any]]]:
    full = [sample for sample in samples if sample["counts"]]
    said: dict[int, dict[str, Any]] = {}
    if full:
        batch = {
            key: value.to(task.device) if isinstance(value, Tensor) else value
            for key, value in collate_utterances(full).items()
        }
        output = task.predict_step(cast("SentimentBatch", batch), 0)
        said = {row["index"]: row for row in sentiment_rows(output, task.class_names or ())}
    return [(sample, said.get(sample["index"], {})) for sample in samples]


def _window(
    found: tuple[SentimentSample, dict[str, Any]],
    samples: WindowSamples,
    model: dict[str, Any],
    absent: dict[Modality, str],
) -> dict[str, Any]:
    """Return a window as the record has it."""
    sample, row = found
    place = sample["index"]
    window: dict[str, Any] = {
        "start": rounded(samples.start[place]),
        "end": rounded(samples.end[place]),
        **_labelled(row, model),
    }
    if "text" in samples.modalities:
        window["words"] = " ".join(line.text for line in samples.said(place))
    missing: dict[str, str] = {str(name): why for name, why in absent.items()}
    missing |= sample["missing"]
    used = row.get("modalities", {})
    window["modalities"] = {
        name: {"used": True, "weight": used[name]["weight"], **_labelled(used[name], model)}
        if name in used
        else {"used": False, "missing": missing[name]}
        for name in MODALITIES
    }
    return window


def _labelled(answer: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
    """Return the answers of a row, with a label where the model has no classes."""
    names = ("label", "probability", "probabilities", "score", "valence", "arousal")
    kept = {name: answer[name] for name in names if name in answer}
    source = model["label_from"]
    if source != "classes" and source in kept:
        bounds = model["score_range" if source == "score" else "affect_range"]
        kept = {"label": polarity(kept[source], bounds), **kept}
    return {"label": None, **kept}
