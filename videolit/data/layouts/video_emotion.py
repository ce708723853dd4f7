"""VideoEmotion-8 (Jiang et al., AAAI 2014) and Ekman-6 (Xu et al. 2018): videos of the web."""

from __future__ import annotations

from pathlib import Path

from videolit.data.layouts.affect_common import media_below, some
from videolit.data.layouts.common import find_folder, text_lines
from videolit.data.rows import VIDEO_SUFFIXES
from videolit.data.score_files import raise_problems
from videolit.data.sentiment_records import SentimentSet, Utterance
from videolit.types import InputError

_SETS = {
    "videoemotion8": (
        *("Anger", "Anticipation", "Disgust", "Fear", "Joy", "Sadness", "Surprise", "Trust"),
    ),
    "ekman6": ("anger", "disgust", "fear", "joy", "sadness", "surprise"),
}
LISTS = ("trainlist01.txt", "testlist01.txt")
_LIST_FOLDERS = ("", "ve8", "ek6", "annotations", "annotations/ve8", "annotations/ek6")
_VIDEO_FOLDERS = (
    "videos",
    "Videos",
    "video",
    "VideoEmotion8--videos",
    "VideoEmotion8",
    "Ekman6",
    ".",
)


def find_lists(root: Path) -> Path | None:
    """Return the folder of both lists, None where there is none."""
    folders = (root / name for name in _LIST_FOLDERS)
    return next((f for f in folders if all((f / name).is_file() for name in LISTS)), None)


def video_emotion(root: Path, *, allow_missing: bool = False) -> SentimentSet:
    """Read ``trainlist01.txt`` and ``testlist01.txt`` and the videos that they name.

    A line is ``<class>/<name without ending>``, with the class's number behind it in some lists.
    Videos lie at ``videos/<class>/<name>.mp4`` or the classes in the root itself. With Trust or
    Anticipation among the classes the set is VideoEmotion-8, else Ekman-6. There is no published
    validation: it is divided off train.

    Args:
        root: The folder of both.
        allow_missing: Take videos that are missing without a path.

    Raises:
        InputError: If a list or a class is another, a video stands in both or videos are missing.
    """
    lists = find_lists(root)
    if lists is None:
        raise InputError(f"{str(root)!r} has no {' and '.join(LISTS)}")
    lines = {
        split: text_lines(lists / file)
        for split, file in zip(("train", "test"), LISTS, strict=True)
    }
    present = {line.partition("/")[0].lower() for part in lines.values() for line in part}
    name = "videoemotion8" if present & {"trust", "anticipation"} else "ekman6"
    folder = find_folder(root, _VIDEO_FOLDERS, "the videos")
    videos = {
        (path.parent.name.lower(), path.stem): path for path in media_below(folder, VIDEO_SUFFIXES)
    }
    classes = {label.lower(): label for label in _SETS[name]}
    found: dict[str, Utterance] = {}
    for split, file in zip(("train", "test"), LISTS, strict=True):
        problems: list[str] = []
        for number, line in enumerate(lines[split], 1):
            place, _, video = line.partition("/")
            stem, _, code = video.rpartition(" ")
            stem = stem if stem and code.isdecimal() else video
            label = classes.get(place.lower())
            if label is None or not stem:
                expected = ", ".join(f"{each}/<name>" for each in classes.values())
                problems.append(f"line {number}: expected {expected}, found {line!r}")
                continue
            utterance_id = f"{label}/{stem}"
            if utterance_id in found:
                problems.append(
                    f"line {number}: {utterance_id} stands there twice, before in "
                    f"{found[utterance_id].split}"
                )
            path = videos.get((place.lower(), stem)) or videos.get((place.lower(), Path(stem).stem))
            found[utterance_id] = Utterance(
                id=utterance_id,
                path=None if path is None else str(path.absolute()),
                label=label,
                split=split,
                problem="" if path is not None else "the video is missing",
            )
        raise_problems(lists / file, problems)
    missing = [each.id for each in found.values() if each.path is None]
    if missing and not allow_missing:
        raise InputError(
            f"{str(folder)!r} lacks {len(missing)} of {len(found)} videos of the lists: "
            f"{some(missing)}; get them, or set allow_missing"
        )
    return SentimentSet(
        name=name,
        root=str(root),
        utterances=tuple(found.values()),
        class_names=_SETS[name],
        notes=("The lists have no validation part: it is divided off train.",),
    )
