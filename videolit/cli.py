"""The command line: Trainer verbs through LightningCLI, everything else in videolit.commands.

Only the standard library is imported here: ``videolit --help`` must not wait for torch.
"""

from __future__ import annotations

import difflib
import errno
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from videolit import __version__
from videolit.types import InputError

VERBS = ("fit", "validate", "test", "predict")

# Name: (module below videolit.commands, what it does).
COMMANDS = {
    "summarize": ("summarize_cli", "a short video of a long one, with sound; needs no training"),
    "sentiment": (
        "sentiment_cli",
        "emotion over a video, a sound file or a transcript, by a model",
    ),
    "features": ("features", "store features of a set of videos, to train summaries on"),
    "folds": (
        "folds_cli",
        "cross-validate a summary model over seeds, beside random scores and people",
    ),
    "demo": ("demo", "make a data set, train, test, predict and write a report, in minutes"),
    "check": ("check", "read every video of a data set once: broken files, copies, leaks, classes"),
    "prepare": ("prepare", "store videos so that training reads any frame at once"),
    "bench": ("bench_cli", "measure loading, model and training: what is slow, and what to do"),
    "synth": ("synth", "generate a data set of real video files with known actions"),
    "doctor": ("doctor", "check versions, decoders, devices and threads, and say what to do"),
}

SUMMARY = ("summarize", "features", "folds")
SENTIMENT = ("sentiment",)

HELP = """\
videolit {version}: train, measure and use models on your own videos

usage: videolit COMMAND ...

train and measure
  fit        train:    videolit fit --config action/folder_r2plus1d --data.root my_videos
  validate   evaluate the validation split
  test       evaluate: videolit test --config ... --ckpt_path best.ckpt [--audit]
  predict    use:      videolit predict --ckpt_path best.ckpt my_clip.mp4 other_folder/
             or find actions in long videos: ... long.mp4 --window 2 --hop 1

summarize long videos
{summary}

tell sentiment from picture, sound and words
{sentiment}

look after data and machine
{commands}

videolit COMMAND --help explains a command. my_videos is a folder of folders named by class, or a
list (.csv, .jsonl) with the columns path,label; for summary/..., a folder of videos with
scores.json, or a .h5 file of stored features; for sentiment/..., a published set, folders of clips
or sound files by label, or manifest.csv. Configurations that come with videolit:
  {configs}
"""

VERB_HELP = """\
usage: videolit {verb} --config NAME_OR_FILE [--config ...] [options]

{what}

  --config C            a file, or one that comes with videolit:
{configs}
                        a second one adds to the first: --config trainer/ddp
  --ckpt_path FILE      {ckpt}
{more}  --trust               also import classes from outside videolit, Lightning and torch that
                        the configuration names; only for files that you trust

the options used most
  --data.root PATH                 folder of class folders, a list with columns path,label, what
                                   `videolit prepare` wrote, or s3://... of its shards; for
                                   summary/...: a .h5 file of features, or videos and scores.json
                                   sentiment/...: a published set, folders, or manifest.csv
  --data.batch_size N              clips of a batch on each device
  --data.num_workers N             processes that load videos
  --data.clip.num_frames N         frames of a clip; also .sampling, .frame_stride, .fps, .size
  --data.test_groups '[a, b]'      leave these groups (people, sources) out for testing
  --data.fold N                    summary/..., sentiment/...: the fold that is tested, of
                                   --data.num_folds N; summary/...: --data.split_file FILE
  --data.modalities '[sound]'      sentiment/...: some of video, sound, text; a model without
                                   one: --model.text null, --model.sound null, --model.encoder null
  --model.encoder CLASS            and --model.encoder.init_args.NAME VALUE
  --model.temporal CLASS           MeanPool, AttentionPool, RNN, TCN, Transformer, and more of
                                   summaries: LocalTransformer, FrameMLP, VASNet, PGLSum, CSTA
  --trainer.max_epochs N           --trainer.accelerator gpu, --trainer.devices N,
  --trainer.precision bf16-mixed   --trainer.strategy ddp, ...: all of Lightning's Trainer
  --print_config                   print the whole configuration instead of running

examples
{examples}
all options: videolit {verb} --help all; of a class: videolit {verb} --model.help SummaryTask
"""

PREDICT_HELP = """\
usage: videolit predict --ckpt_path FILE [options] PATH [PATH ...]
       videolit predict --config NAME_OR_FILE --ckpt_path FILE [options of fit]

Names and probabilities of videos: files, folders, or lists (.csv, .jsonl). The checkpoint is all
that is needed. One row per video, in the order given; a file that cannot be read gets an error row,
and the exit code is 1. With --config: the test split of the data, or --data.predict_paths.

  --ckpt_path FILE      a checkpoint that videolit wrote
  --output FOLDER       write predictions.jsonl and predictions.csv there (long videos: timelines)
  --top N               classes per video in the table (3)
  --batch_size N        videos at once (4)
  --num_workers N       loading processes (auto)
  --decoder D           auto, pyav, pyav_seek, decord, torchcodec (auto)
  --accelerator A       auto, cpu, gpu, ... (auto)
  --allow_outside_root  accept paths of a list that lie outside its folder
  --trust               also run model code from outside videolit that the checkpoint names

long videos: which actions happen when, as .json, .csv, .vtt and .png of each video
  --window S            slide a window of S seconds over each video; about a training clip's length
  --hop S               seconds from one window to the next (half a window)
  --start-at P          probability at which a segment starts (0.5)
  --stay-at P           probability down to which it goes on (0.4)
  --min-seconds S       shortest segment that is reported (0)
  --merge-gap S         longest gap between segments of a class that is bridged (the hop)
  --background CLASS    a class that means that nothing happens, not reported; may be repeated

examples
  videolit predict --ckpt_path best.ckpt long.mp4 --window 2 --hop 1 --background idle
  videolit predict --ckpt_path best.ckpt my_clip.mp4 other_folder/ --output answers
  videolit predict --config action/folder_r2plus1d --data.root my_videos --ckpt_path best.ckpt
"""

WHAT = {
    "fit": (
        "Train a model. The best checkpoint by validation (accuracy; summaries: tau) and the last\n"
        "one are kept.",
        "resume from this checkpoint",
        "  --sanity              first of all: first loss, one batch by heart, shuffled labels\n"
        "  --oracle              summaries: also what the best test epoch would report\n",
        "  videolit fit --config action/folder_r2plus1d --data.root my_videos\n"
        "  videolit fit --config action/folder_cnn_lstm --data.root list.csv "
        "--trainer.max_epochs 20\n"
        "  videolit fit --config summary/features_transformer --data.root features.h5\n"
        "  videolit fit --config sentiment/speech --data.root recordings\n",
    ),
    "validate": (
        "Evaluate a checkpoint on the validation split, one view of each video.",
        "the checkpoint to evaluate",
        "",
        "  videolit validate --config action/folder_r2plus1d --data.root my_videos "
        "--ckpt_path best.ckpt\n",
    ),
    "test": (
        "Evaluate a checkpoint on the test split. Writes an evaluation card: figures with their\n"
        "interval and protocol, confusion matrix, scores of each sample, and a report to look at.\n"
        "Of summaries: tau, rho and F1 beside random scores and people, and a table of videos.\n"
        "Of sentiment: figures by their convention, beside constants and each modality alone.",
        "the checkpoint to evaluate",
        "  --audit               test again on frozen, shuffled and reversed clips (summaries: in\n"
        "                        another order): does the model use time? Sentiment: each choice\n"
        "                        of picture, sound and words, and with steps of them lost\n"
        "  --allow_missing       accept figures without the files that cannot be read\n",
        "  videolit test --config action/folder_r2plus1d --data.root my_videos "
        "--ckpt_path best.ckpt --audit\n",
    ),
}


# A full disk, a full quota, and one that only reads.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: Arguments without the program's name; None = those of the process.

    Returns:
        Exit code: 0 = done, 1 = done in part, 2 = the input cannot be used.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if arguments[0] in ("--version", "-V"):
        print(f"videolit {__version__}")
        return 0
    try:
        return _run(arguments[0], arguments[1:])
    except InputError as problem:
        print(f"videolit: error: {problem}", file=sys.stderr)
        return 2
    except OSError as problem:
        if problem.errno not in _NO_ROOM:
            raise
        name = f" {problem.filename}" if problem.filename else ""
        print(f"videolit: error: cannot write{name}: {problem.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("videolit: interrupted", file=sys.stderr)
        return 130


def _run(verb: str, arguments: list[str]) -> int:
    if verb in COMMANDS:
        command = importlib.import_module(f"videolit.commands.{COMMANDS[verb][0]}")
        return int(command.main(arguments))
    if verb not in VERBS:
        close = difflib.get_close_matches(verb, [*VERBS, *COMMANDS], n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise InputError(f"there is no command {verb!r}{hint} (videolit --help lists all)")
    wants_help = "-h" in arguments or "--help" in arguments
    has_config = any(a in ("-c", "--config") or a.startswith("--config=") for a in arguments)
    if wants_help and arguments[-1] != "all" and not has_config:
        print(_verb_help(verb))
        return 0
    if verb == "predict" and not has_config and not wants_help:
        from videolit.commands import predict

        return predict.main(arguments)
    if not has_config and not wants_help:
        raise InputError(
            f"{verb} needs a configuration: --config FILE, or one of those that come with "
            f"videolit: {', '.join(config_names())}"
        )
    if wants_help and arguments[-1] == "all":
        arguments = arguments[:-1]
    from videolit.commands.trainer import run_verb

    return run_verb(verb, resolve_configs(arguments))


def config_folder() -> Path:
    """Return where the configurations lie that come with videolit."""
    package = Path(__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def config_names() -> list[str]:
    """Return the names of the configurations that come with videolit, as ``action/folder_...``."""
    folder = config_folder()
    return sorted(
        file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.yaml")
    )


def resolve_configs(arguments: Sequence[str]) -> list[str]:
    """Replace names of shipped configurations by their files, after each ``--config``.

    Raises:
        InputError: If a name is neither a file nor a shipped configuration.
    """
    resolved: list[str] = []
    for position, argument in enumerate(arguments):
        before = arguments[position - 1] if position else ""
        if before in ("-c", "--config"):
            resolved.append(_config_file(argument))
        elif argument.startswith("--config="):
            resolved.append(f"--config={_config_file(argument.removeprefix('--config='))}")
        else:
            resolved.append(argument)
    return resolved


def _config_file(name: str) -> str:
    if Path(name).is_file():
        return name
    shipped = config_folder() / f"{name.removesuffix('.yaml')}.yaml"
    if shipped.is_file():
        return str(shipped)
    names = config_names()
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise InputError(
        f"--config {name}: no such file, and no configuration of that name comes with videolit"
        f"{hint}\nThere are: {', '.join(names)}"
    )


def _help() -> str:
    lines = {name: f"  {name:<10} {what}" for name, (_, what) in COMMANDS.items()}
    return HELP.format(
        version=__version__,
        summary="\n".join(lines.pop(name) for name in SUMMARY),
        sentiment="\n".join(lines.pop(name) for name in SENTIMENT),
        commands="\n".join(lines.values()),
        configs="\n  ".join(config_names()),
    ).rstrip()


def _verb_help(verb: str) -> str:
    if verb == "predict":
        return PREDICT_HELP.rstrip()
    what, ckpt, more, examples = WHAT[verb]
    names = [name for name in config_names() if not name.startswith("trainer/")]
    return VERB_HELP.format(
        verb=verb,
        what=what,
        ckpt=ckpt,
        more=more,
        examples=examples,
        configs="\n".join(f"                          {name}" for name in names),
    ).rstrip()
