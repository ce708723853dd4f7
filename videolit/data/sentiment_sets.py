"""Reading a data set of sentiment or emotion, whichever way it lies there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

from videolit.data.layouts.affect_common import media_below
from videolit.data.layouts.affect_folder import TABLE, affect_folder
from videolit.data.layouts.cremad import cremad, is_cremad
from videolit.data.layouts.emodb import emodb, is_emodb
from videolit.data.layouts.liris import find_ranking, liris
from videolit.data.layouts.meld import Target, has_meld, meld
from videolit.data.layouts.mmsa import mmsa
from videolit.data.layouts.mosi_raw import Scale, mosi_raw
from videolit.data.layouts.ravdess import Channel, Media, is_ravdess, ravdess
from videolit.data.layouts.savee import is_savee, savee
from videolit.data.layouts.video_emotion import find_lists, video_emotion
from videolit.data.sentiment_records import Interval, SentimentSet
from videolit.types import InputError

SentimentLayout = Literal[
    "meld",
    "ravdess",
    "cremad",
    "emodb",
    "savee",
    "mosi_raw",
    "mmsa",
    "video_emotion",
    "liris",
    "folder",
]

_NEEDS = """\
  meld: train_sent_emo.csv, dev_sent_emo.csv and test_sent_emo.csv, and the folders of clips
    train_splits, dev_splits_complete and output_repeated_splits_test where you have them
  ravdess: files called 02-01-06-01-02-01-12.mp4
  cremad: files called 1001_DFA_ANG_XX.wav
  emodb: files called 03a01Fa.wav
  savee: files called DC_a01.wav or DC/a01.wav
  mosi_raw: label.csv and Raw/<video_id>/<clip_id>.mp4 of CMU-MOSI, CMU-MOSEI or CH-SIMS
  mmsa: one file of features, as aligned_50.pkl
  video_emotion: trainlist01.txt and testlist01.txt, and videos/<class>/<name>.mp4
  liris: ACCEDEranking.txt, ACCEDEsets.txt, ACCEDEdescription.xml and data/ACCEDE00000.mp4
  folder: your own videos and sound files: <label>/<file>, {train,val,test}/<label>/<file>, or
    manifest.csv with the columns path and label, score, or valence and arousal; and text, speaker,
    group, dialogue, turn, split, start and end where known; what has no label can be predicted"""
# The options that a layout knows.
_OPTIONS: dict[SentimentLayout, tuple[str, ...]] = {
    "meld": ("target", "allow_missing"),
    "ravdess": ("media", "channel"),
    "cremad": (),
    "emodb": (),
    "savee": (),
    "mosi_raw": ("scale", "allow_missing"),
    "mmsa": ("scale", "sha256"),
    "video_emotion": ("allow_missing",),
    "liris": ("allow_missing",),
    "folder": ("class_names", "score_range", "affect_range", "allow_missing"),
}
_BY_NAME: tuple[tuple[SentimentLayout, Callable[[Path], bool]], ...] = (
    ("ravdess", is_ravdess),
    ("cremad", is_cremad),
    ("emodb", is_emodb),
    ("savee", is_savee),
)


def read_sentiment_set(
    root: str | Path,
    layout: SentimentLayout | None = None,
    *,
    target: Target | None = None,
    media: Media | None = None,
    channel: Channel | None = None,
    scale: Scale | None = None,
    sha256: str | None = None,
    class_names: Sequence[str] | None = None,
    score_range: Interval | None = None,
    affect_range: Interval | None = None,
    allow_missing: bool = False,
) -> SentimentSet:
    """Read the utterances of a data set and what people said about them.

    Args:
        root: The data set's folder, a ``manifest.csv``, or a file of features.
        layout: How the data lies there; None = see what there is.
        target: MELD: emotions (None) or sentiments.
        media: RAVDESS: picture with sound, picture or sound; None = the first that is there.
        channel: RAVDESS: speech (None), song, or both.
        scale: MOSI, MOSEI or CH-SIMS; None = by what the files have.
        sha256: What the bytes of a file of features must hash to.
        class_names: One's own set: the classes in their order.
        score_range: One's own set: lowest and highest score.
        affect_range: One's own set: lowest and highest valence and arousal.
        allow_missing: Take rows of a table whose file is missing, without a path.

    Raises:
        InputError: If the layout is unknown or there is none, an option is none of the layout's,
            or what lies there is not as the layout demands.
    """
    if layout is not None and layout not in get_args(SentimentLayout):
        raise InputError(f"unknown layout {layout!r}; known are\n{_NEEDS}")
    path = Path(root)
    if not path.exists():
        raise InputError(f"no file or folder {str(root)!r}; expected one of\n{_NEEDS}")
    chosen = layout or _recognise(path)
    given = {
        "target": target,
        "media": media,
        "channel": channel,
        "scale": scale,
        "sha256": sha256,
        "class_names": class_names,
        "score_range": score_range,
        "affect_range": affect_range,
        "allow_missing": allow_missing or None,
    }
    strange = [n for n, value in given.items() if value is not None and n not in _OPTIONS[chosen]]
    if strange:
        known = ", ".join(_OPTIONS[chosen]) or "none"
        raise InputError(
            f"{str(root)!r} is read as {chosen}, which has no option {', '.join(strange)}; it has "
            f"{known}"
        )
    match chosen:
        case "meld":
            return meld(path, target or "emotion", allow_missing=allow_missing)
        case "ravdess":
            return ravdess(path, media, channel or "speech")
        case "cremad":
            return cremad(path)
        case "emodb":
            return emodb(path)
        case "savee":
            return savee(path)
        case "mosi_raw":
            return mosi_raw(path, scale, allow_missing=allow_missing)
        case "mmsa":
            return mmsa(_feature_file(path), scale, sha256)
        case "video_emotion":
            return video_emotion(path, allow_missing=allow_missing)
        case "liris":
            return liris(path, allow_missing=allow_missing)
        case "folder":
            return affect_folder(
                path,
                class_names=class_names,
                score_range=score_range,
                affect_range=affect_range,
                allow_missing=allow_missing,
            )


def _recognise(path: Path) -> SentimentLayout:
    if path.is_file():
        if path.suffix.lower() in (".pkl", ".pickle"):
            return "mmsa"
        if path.suffix.lower() == ".csv":
            return "folder"
        raise InputError(f"{str(path)!r} is no .csv and no .pkl; expected one of\n{_NEEDS}")
    # A table of one's own says more than the names of files.
    if (path / TABLE).is_file():
        return "folder"
    if has_meld(path):
        return "meld"
    if (path / "label.csv").is_file():
        return "mosi_raw"
    if find_ranking(path) is not None:
        return "liris"
    if find_lists(path) is not None:
        return "video_emotion"
    files = media_below(path)
    for layout, is_named in _BY_NAME:
        if files and all(map(is_named, files)):
            return layout
    if any(file.parent != path for file in files):
        return "folder"
    if _feature_files(path):
        return "mmsa"
    if files:
        return "folder"
    raise InputError(f"nothing known lies in {str(path)!r}; expected one of\n{_NEEDS}")


def _feature_files(path: Path) -> list[Path]:
    return sorted((*path.glob("*.pkl"), *path.glob("Processed/*.pkl")))


def _feature_file(path: Path) -> Path:
    if path.is_file():
        return path
    files = _feature_files(path)
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise InputError(f"{str(path)!r}: expected one .pkl file, found {found}; name one of them")
    return files[0]
