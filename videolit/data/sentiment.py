"""The DataModule of the sentiment task: utterances by picture, sound and words."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray
from torch import Tensor

from videolit.data.layouts.meld import Target
from videolit.data.layouts.mosi_raw import Scale
from videolit.data.layouts.ravdess import Channel, Media
from videolit.data.lexicon import marks_of, read_lexicon
from videolit.data.loader import Watch
from videolit.data.module import Split, VideoDataModule
from videolit.data.reader import Decoder
from videolit.data.sampler import class_weights
from videolit.data.sentiment_about import about_split, division_of
from videolit.data.sentiment_doubts import doubts_of
from videolit.data.sentiment_records import Convention, Interval, SentimentSet
from videolit.data.sentiment_samples import (
    SentimentDataset,
    SentimentSample,
    collate_utterances,
)
from videolit.data.sentiment_sets import SentimentLayout, read_sentiment_set
from videolit.data.sentiment_splits import (
    SentimentSplits,
    all_unlabelled,
    group_folds,
    split_sentiment,
)
from videolit.data.sound_transform import SoundTransform
from videolit.data.speaker_sound import speaker_filters
from videolit.data.transforms import ClipTransform
from videolit.data.utterance_media import FaceFinder
from videolit.data.utterance_reading import modalities_of
from videolit.data.utterance_words import (
    Tokenizer,
    make_tokenizer,
    read_tokenizer,
    said,
    separator_of,
)
from videolit.types import (
    MODALITIES,
    ClipSpec,
    InputError,
    Modality,
    SentimentBatch,
    SentimentTargets,
    UtteranceSpec,
)

# Two frames a second of at most half a minute: faces change slowly, and memory goes by frames.
DEFAULT_CLIP = ClipSpec(sampling="whole", num_frames=60, fps=2.0, size=112, resize=128)


class SentimentDataModule(VideoDataModule):
    """Utterances for :class:`~videolit.tasks.sentiment.SentimentTask`.

    Published data sets are read as their authors distribute them, your own from folders by label or
    a ``manifest.csv``; see :func:`~videolit.data.sentiment_sets.read_sentiment_set`. Published
    splits are kept. Without them whole groups (speakers, films, dialogues) are divided, and a
    speaker or file in two splits is refused. Where nothing has a label, all of it is predicted.

    An utterance may lack a modality: the file has no sound, the clip is missing, no words are
    known. It counts, and its batch says why. Where nothing is left it does not count.

    Args:
        root: The data set's folder, a ``manifest.csv``, or a file of features.
        layout: How the data lies there; None = see what there is.
        modalities: Which of ``video``, ``sound`` and ``text`` are read; None = all that the set
            has.
        clip: Frames and geometry; None = two frames a second, at most 60, of 112 pixels. The
            utterance's own part of the file is sampled.
        sample_rate: Samples of sound per second.
        max_seconds: Longest part of an utterance that is seen and heard, from its beginning.
        context: How many utterances said before in the dialogue are read with each.
        max_tokens: Most tokens of an utterance and its context.
        tokenizer: Folder or name of a model of Hugging Face whose tokenizer to take; None = a
            vocabulary of the training split, which needs no download.
        num_words: Most whole words of that vocabulary.
        num_pieces: Most pieces of words in it, beside single characters.
        min_count: Occurrences below which a word is not kept whole.
        min_speaker_count: Utterances below which a speaker is just a speaker.
        lexicon: How positive words are: a file with lines as ``awful,-2.0`` (below 0 = negative),
            or ``"vader"`` (extra ``lexicon``). It is told behind each rated word, and helps small
            sets, where many words are rare; see :func:`~videolit.data.lexicon.read_lexicon`. A
            checkpoint keeps it.
        train_transform: Augmentation of the picture; None = :class:`ClipTransform`'s defaults.
        sound_transform: Augmentation of the sound; None = :class:`SoundTransform`'s defaults.
        even_out: Take away what each speaker sounds like on average, from all of their utterances
            in a split and without labels; see :mod:`~videolit.data.speaker_sound`. Voices unknown
            in training are then told better, once heard for a while.
        face: Finds a face in a frame, uint8 ``(H, W, 3)`` to left, top, right and bottom in pixels
            or None: the square around the faces takes the place of the frame, as it does where
            the set tells it. None = the centre of the frame.
        val_fraction: Share of the validation split where the data does not name one.
        test_fraction: Share of the test split where the data does not name one.
        val_groups: Groups that make up the validation split.
        test_groups: Groups that make up the test split, as in leave-one-speaker-out.
        fold: Which fold of groups is the test split, from 0; None = no folds.
        num_folds: How many there are.
        fold_seed: Order of the groups; None = by name.
        allow_leaks: Accept a group, speaker or equal files in two splits.
        target: MELD: emotions (None) or sentiments.
        media: RAVDESS: picture with sound, picture or sound; None = the first that is there.
        channel: RAVDESS: speech (None), song, or both.
        scale: MOSI, MOSEI or CH-SIMS; None = by what the files have.
        sha256: What the bytes of a file of features must hash to.
        class_names: One's own set: the classes in their order.
        score_range: One's own set: lowest and highest score.
        affect_range: One's own set: lowest and highest valence and arousal.
        allow_missing: Take rows of a table whose file is missing.
        class_balance: How evenly training draws the classes, in [0, 1]; see
            :class:`~videolit.data.action.ActionDataModule`.
        batch_size: Utterances of a training batch, per process.
        eval_batch_size: Utterances of an evaluation batch; None = ``batch_size``.
        num_workers: Loading processes; None = by the free cores, 0 where no file is read.
        decoder: See :class:`~videolit.data.reader.VideoReader`.
        max_bad_fraction: Largest share of the utterances of which nothing can be read in training.
        time_limit: Seconds that reading one utterance may take; 0 = for ever.
        seed: Decides splits, order and all chance of augmentation.

    Raises:
        InputError: If a number is out of its range.
    """

    def __init__(
        self,
        root: str | None = None,
        *,
        layout: SentimentLayout | None = None,
        modalities: list[Modality] | None = None,
        clip: ClipSpec | None = None,
        sample_rate: int = 16_000,
        max_seconds: float = 30.0,
        context: int = 0,
        max_tokens: int = 128,
        tokenizer: str | None = None,
        num_words: int = 8000,
        num_pieces: int = 1000,
        min_count: int = 2,
        min_speaker_count: int = 100,
        lexicon: str | None = None,
        train_transform: ClipTransform | None = None,
        sound_transform: SoundTransform | None = None,
        even_out: bool = False,
        face: FaceFinder | None = None,
        val_fraction: float = 0.15,
        test_fraction: float = 0.15,
        val_groups: list[str] | None = None,
        test_groups: list[str] | None = None,
        fold: int | None = None,
        num_folds: int = 5,
        fold_seed: int | None = None,
        allow_leaks: bool = False,
        target: Target | None = None,
        media: Media | None = None,
        channel: Channel | None = None,
        scale: Scale | None = None,
        sha256: str | None = None,
        class_names: list[str] | None = None,
        score_range: Interval | None = None,
        affect_range: Interval | None = None,
        allow_missing: bool = False,
        class_balance: float = 0.0,
        batch_size: int = 16,
        eval_batch_size: int | None = None,
        num_workers: int | None = None,
        decoder: Decoder = "auto",
        max_bad_fraction: float = 0.01,
        time_limit: float = 600.0,
        seed: int = 0,
    ) -> None:
        super().__init__(
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            max_bad_fraction=max_bad_fraction,
            seed=seed,
        )
        strange = sorted(set(modalities or ()) - set(MODALITIES))
        if strange or modalities == []:
            raise InputError(
                f"modalities must be some of {', '.join(MODALITIES)}, got "
                f"{', '.join(strange) or 'none'}"
            )
        if not 0 <= class_balance <= 1 or time_limit < 0:
            raise InputError(
                "class_balance must lie in [0, 1] and time_limit be at least 0, got "
                f"{class_balance} and {time_limit:g}"
            )
        if clip is not None and clip.num_views * clip.num_crops > 1:
            raise InputError(
                f"utterances have one view and one crop, got {clip.num_views} and {clip.num_crops}"
            )
        if tokenizer is not None and lexicon is not None:
            raise InputError(
                "a lexicon marks the words of videolit's own tokenizer: leave out tokenizer or "
                "lexicon"
            )
        if fold is not None and (test_groups is not None or not 0 <= fold < num_folds):
            raise InputError(
                f"fold must be in 0 to {num_folds - 1}, without test_groups, got {fold}"
            )
        self.root = root
        self.layout: SentimentLayout | None = layout
        self.modalities = modalities
        self.clip = clip
        self.sample_rate = sample_rate
        self.max_seconds = max_seconds
        self.context = context
        self.max_tokens = max_tokens
        self.tokenizer = tokenizer
        self.num_words = num_words
        self.num_pieces = num_pieces
        self.min_count = min_count
        self.min_speaker_count = min_speaker_count
        self.lexicon = lexicon
        self.train_transform = train_transform
        self.sound_transform = sound_transform
        self.even_out = even_out
        self.face = face
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.val_groups = val_groups
        self.test_groups = test_groups
        self.fold = fold
        self.num_folds = num_folds
        self.fold_seed = fold_seed
        self.allow_leaks = allow_leaks
        self.target: Target | None = target
        self.media: Media | None = media
        self.channel: Channel | None = channel
        self.scale: Scale | None = scale
        self.sha256 = sha256
        self.requested_class_names = class_names
        self.requested_score_range = score_range
        self.requested_affect_range = affect_range
        self.allow_missing = allow_missing
        self.class_balance = class_balance
        self.decoder: Decoder = decoder
        self.time_limit = time_limit
        self._spec = UtteranceSpec(
            sample_rate=sample_rate,
            max_seconds=max_seconds,
            context=context,
            max_tokens=max_tokens,
            even_out=even_out,
        )
        self._filters: dict[Split, Mapping[str, NDArray[np.float32]]] = {}
        self._splits: SentimentSplits | None = None
        self._given: tuple[Modality, ...] = ()
        self._words: Tokenizer | None = None

    # What the task asks for.

    @property
    def class_names(self) -> Sequence[str]:
        """Names of the classes, in label order; empty where nothing has a label."""
        return self._splits.data.class_names if self._splits is not None else ()

    @property
    def class_counts(self) -> Sequence[int]:
        """Training utterances of each class."""
        if self._splits is None:
            return ()
        return list(self.part("train").class_counts().values())

    @property
    def score_range(self) -> Interval | None:
        """Lowest and highest sentiment; None where nothing has a score."""
        return self._splits.data.score_range if self._splits is not None else None

    @property
    def affect_range(self) -> Interval | None:
        """Lowest and highest valence and arousal; None where nothing has them."""
        return self._splits.data.affect_range if self._splits is not None else None

    @property
    def convention(self) -> Convention:
        """Which published figures belong to the set."""
        return self._splits.data.convention if self._splits is not None else "emotion"

    @property
    def given_modalities(self) -> Sequence[Modality]:
        """What batches have; known after :meth:`setup`."""
        return self._given

    @property
    def num_features(self) -> Mapping[str, int]:
        """How many numbers a stored feature of each modality has; empty with raw files."""
        stored = self._splits.data.features if self._splits is not None else None
        return {} if stored is None else stored.num_features

    @property
    def clip_spec(self) -> ClipSpec | None:
        """How frames are taken; None without picture, and with stored features."""
        seen = "video" in self._given and not self.num_features
        return (self.clip or DEFAULT_CLIP) if seen else None

    @property
    def utterance_spec(self) -> UtteranceSpec:
        """How sound and words are read; after :meth:`setup` with the tokenizer."""
        words = None if self._words is None else self._words.to_json()
        told = self._splits is not None and any(
            utterance.face is not None for utterance in self._splits.data.utterances
        )
        seen = self.clip_spec is not None and (told or self.face is not None)
        return dataclasses.replace(self._spec, tokenizer=words, faces=seen)

    @property
    def num_tokens(self) -> int:
        """Size of the tokenizer's vocabulary; 0 = none."""
        return 0 if self._words is None else len(self._words)

    @property
    def separator(self) -> int:
        """Number of the token between utterances; -1 = no tokenizer."""
        return -1 if self._words is None else separator_of(self._words)

    def train_targets(self) -> SentimentTargets:
        """Return what the training split is said to be."""
        train = self.part("train")
        return SentimentTargets(train.labels(), train.scores(), train.affect())

    def train_tokens(self) -> Iterator[Tensor]:
        """Yield the tokens of each training utterance that has words, int64 ``(L,)``."""
        train = self.part("train")
        for row in range(len(train)):
            if self._words is not None and train.utterances[row].text:
                yield self._words.encode(said(train, row), (), self.max_tokens)

    def adopt_tokenizer(self, text: str) -> None:
        """Read words by another tokenizer, that of a checkpoint, given as its JSON text."""
        if "text" in self._given and not self.num_features:
            self._words = read_tokenizer(text)
            if self.lexicon is not None and not getattr(self._words, "marks", None):
                rank_zero_warn(
                    "lexicon has no effect: the checkpoint's model was trained without one"
                )

    # The data.

    def setup(self, stage: str | None = None) -> None:
        """Read the list of utterances, divide it and make the tokenizer; no file is opened.

        Raises:
            InputError: If the data cannot be read or divided, or lacks what is asked for.
        """
        if self._splits is None:
            splits = self._divide(self._read())
            given = modalities_of(splits.data)
            if self.modalities is not None:
                lacking = [name for name in self.modalities if name not in given]
                if lacking:
                    raise InputError(
                        f"{self.root}: nothing in it has {', '.join(lacking)}; it has "
                        f"{', '.join(given) or 'no modality'}: set --data.modalities to some of it"
                    )
                given = tuple(name for name in given if name in self.modalities)
            self._splits, self._given = splits, given
            if "text" in given and splits.data.features is None and len(splits.train):
                self._words = self._vocabulary(splits.part("train"), stage)
            if self.lexicon is not None and "text" not in given:
                rank_zero_warn("lexicon has no effect: no words are read")
        needed: dict[str | None, tuple[Literal["train", "val", "test"], ...]] = {
            "fit": ("train", "val"),
            "validate": ("val",),
            "test": ("test",),
            "predict": ("test",),
        }
        for name in needed.get(stage, ()):
            self._splits.part(name)
        if stage == "test" and not self._splits.data.is_labelled:
            raise InputError(f"{self.root}: nothing to test: {self._splits.why_empty[2]}")

    def part(self, split: Split) -> SentimentSet:
        """Return the utterances of a split, after :meth:`setup`; the test split is predicted.

        Raises:
            InputError: Before :meth:`setup`, or if the split is empty.
        """
        return self._divided().part("test" if split == "predict" else split)

    def dataset(self, split: Split) -> SentimentDataset:
        """Return the utterances of a split as samples, after :meth:`setup`."""
        training = split == "train"
        part = self.part(split)
        if "text" in self._given and self._words is None and part.features is None:
            raise InputError(
                f"{self.root}: no training split to learn a vocabulary from"
                + f", or no lexicon {self.lexicon}" * (self.lexicon is not None)
                + ": test it with a checkpoint, or name a tokenizer"
            )
        return SentimentDataset(
            part,
            self._given,
            self._spec,
            clip=self.clip_spec,
            tokenizer=self._words,
            transform=(self.train_transform or ClipTransform()) if training else None,
            sound_transform=(self.sound_transform or SoundTransform()) if training else None,
            filters=self._speaker_filters(split),
            face=self.face,
            seed=self.seed,
            decoder=self.decoder,
            watch=Watch(self.time_limit),
        )

    def _speaker_filters(self, split: Split) -> Mapping[str, NDArray[np.float32]]:
        """Return what evens out the sound of a split; nothing where it stays as it is."""
        part = self.part(split)
        if not self.even_out or "sound" not in self._given or part.features is not None:
            return {}
        if split not in self._filters:
            self._filters[split] = speaker_filters(part, self._spec)
        return self._filters[split]

    @staticmethod
    def collate(samples: Sequence[SentimentSample]) -> SentimentBatch:
        """Return utterances as a batch."""
        return collate_utterances(samples)

    def names(self, split: Split) -> Iterator[bytes]:
        """Return what no two utterances of the data have in common."""
        part = self.part(split)
        return (f"{part.name}\0{name}".encode("utf-8", "surrogateescape") for name in part.ids)

    def default_workers(self) -> int:
        """Return none where no file is read, else what the cores allow."""
        reads = "video" in self._given or "sound" in self._given
        return super().default_workers() if reads and not self.num_features else 0

    def sample_weights(self, split: Split) -> NDArray[np.float64] | None:
        """Return how often training draws each utterance."""
        if split != "train" or not self.class_balance:
            return None
        return class_weights(self.part("train").labels(), self.class_balance)

    def remedy(self, split: Split) -> str:
        """Return what to do about a file that ends a loading process."""
        return "Repair the file or take it out of the data"

    def _vocabulary(self, train: SentimentSet, stage: str | None) -> Tokenizer | None:
        """Return the tokenizer; None where a checkpoint has to bring it."""
        try:
            marks = None if self.lexicon is None else marks_of(read_lexicon(self.lexicon))
        except InputError:
            if stage in (None, "fit"):
                raise
            return None
        return make_tokenizer(
            train,
            self.tokenizer,
            num_words=self.num_words,
            num_pieces=self.num_pieces,
            min_count=self.min_count,
            min_speaker_count=self.min_speaker_count,
            marks=marks,
        )

    @property
    def whole(self) -> SentimentSet:
        """All utterances, before they were divided; after :meth:`setup`."""
        return self._divided().data

    def _divided(self) -> SentimentSplits:
        if self._splits is None:
            raise InputError("call setup() before asking for the utterances of a split")
        return self._splits

    @property
    def division(self) -> str:
        """How utterances were divided into train, val and test; after :meth:`setup`."""
        return division_of(self)

    def doubts(self) -> list[str]:
        """Return what may be wrong with the data, one sentence each; after :meth:`setup`."""
        return doubts_of(self.whole)

    def describe(self, split: Split) -> dict[str, Any]:
        """Return what an evaluation must say about its data, as JSON types."""
        return about_split(self, split, self._words)

    def _read(self) -> SentimentSet:
        if self.root is None:
            raise InputError(
                "no data: give the folder or table of your utterances, as in `--data.root my_data`"
            )
        return read_sentiment_set(
            self.root,
            self.layout,
            target=self.target,
            media=self.media,
            channel=self.channel,
            scale=self.scale,
            sha256=self.sha256,
            class_names=self.requested_class_names,
            score_range=self.requested_score_range,
            affect_range=self.requested_affect_range,
            allow_missing=self.allow_missing,
        )

    def _divide(self, data: SentimentSet) -> SentimentSplits:
        if not data.is_labelled:
            return all_unlabelled(data)
        if self.fold is None:
            return split_sentiment(
                data,
                val_fraction=self.val_fraction,
                test_fraction=self.test_fraction,
                seed=self.seed,
                val_groups=self.val_groups,
                test_groups=self.test_groups,
                allow_leaks=self.allow_leaks,
            )
        return split_sentiment(
            data,
            val_fraction=self.val_fraction,
            test_fraction=0.0,
            seed=self.seed,
            val_groups=self.val_groups,
            test_groups=group_folds(data, self.num_folds, self.fold_seed)[self.fold],
            allow_leaks=self.allow_leaks,
        )
