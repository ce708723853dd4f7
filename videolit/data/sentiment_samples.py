"""Utterances of a sentiment set as samples, and their batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from videolit.data.loader import Watch
from videolit.data.reader import Decoder
from videolit.data.sampler import SampleKey
from videolit.data.sentiment_records import SentimentSet, Utterance
from videolit.data.sound_transform import SoundTransform
from videolit.data.speaker_sound import even_out, speaker_of
from videolit.data.transforms import ClipTransform
from videolit.data.utterance_media import FaceFinder, NoModality, read_picture, read_voice
from videolit.data.utterance_words import Tokenizer, contexts, said, separator_of, token_seconds
from videolit.types import (
    MODALITIES,
    ClipSpec,
    Modality,
    SentimentBatch,
    Unread,
    UtteranceSpec,
)

# Files of features tell no times: all modalities of an utterance are taken to last as long as the
# mean utterance of CMU-MOSI, 4.2 s (Zadeh et al. 2016, arXiv:1606.06259, table 1).
_STORED_SECONDS = 4.2
# Samples of sound that a process keeps: 256 MB, an hour. Decoding takes longer than a small model.
_KEPT = 2**26

Values = NDArray[np.uint8] | NDArray[np.float32] | NDArray[np.int64]


class SentimentSample(TypedDict):
    """One utterance.

    Attributes:
        values: of each modality that it has, without padding, as in
            :class:`~videolit.types.SentimentBatch`; frames as ``(T, H, W, 3)``.
        seconds: of each of them but samples of sound, float32 ``(T,)``.
        missing: why it lacks the others.
        label: -1 = not told.
        score: NaN = not told.
        affect: float32 ``(2,)``, NaN = not told.
        index: its position in the split.
        counts: False = it repeats another one, or nothing of it could be read.
        video_id: its name.
        error: why nothing could be read, ``""`` otherwise.
        unread: likewise.
    """

    values: dict[str, Values]
    seconds: dict[str, NDArray[np.float32]]
    missing: dict[str, str]
    label: int
    score: float
    affect: NDArray[np.float32]
    index: int
    counts: bool
    video_id: str
    error: str
    unread: list[Unread]


class SentimentDataset(Dataset[SentimentSample]):
    """The utterances of a split.

    A sample depends on its key and the seed alone. A modality that is missing, silent or broken is
    a state with a reason. Where nothing is left, the sample says why in ``error``, does not count,
    and has one empty step, so that its batch can be computed.

    Args:
        data: The utterances.
        modalities: What is read.
        spec: How sound and words are read.
        clip: Frames and geometry of the picture.
        tokenizer: Of the words; None = they are not read, or were stored.
        transform: Augmentation of the picture in training; None = the crop of test and use.
        sound_transform: Augmentation of the sound in training; None = as it is.
        filters: Evens out the sound of each speaker; see
            :func:`~videolit.data.speaker_sound.speaker_filters`.
        face: Finds a face in a frame; see :func:`~videolit.data.utterance_media.read_picture`.
        seed: Decides all chance together with the key.
        decoder: See :class:`~videolit.data.reader.VideoReader`.
        watch: Is told what is being read, and limits its time.
    """

    def __init__(
        self,
        data: SentimentSet,
        modalities: Sequence[Modality],
        spec: UtteranceSpec,
        *,
        clip: ClipSpec | None = None,
        tokenizer: Tokenizer | None = None,
        transform: ClipTransform | None = None,
        sound_transform: SoundTransform | None = None,
        filters: Mapping[str, NDArray[np.float32]] | None = None,
        face: FaceFinder | None = None,
        seed: int = 0,
        decoder: Decoder = "auto",
        watch: Watch | None = None,
    ) -> None:
        self.data = data
        self.modalities = tuple(modalities)
        self.spec = spec
        self.clip = clip
        self.tokenizer = tokenizer
        self.transform = transform
        self.sound_transform = sound_transform
        self.filters = filters or {}
        self._heard: dict[int, NDArray[np.float32]] = {}
        self._room = _KEPT
        self.face = face
        self.seed = seed
        self.decoder: Decoder = decoder
        self.watch = watch or Watch()
        self._labels, self._scores, self._affect = data.labels(), data.scores(), data.affect()
        self._before = contexts(data, spec.context)

    def __len__(self) -> int:
        """Return the number of utterances."""
        return len(self.data)

    def place(self, index: int) -> str:
        """Return where a sample is read from, for a message."""
        utterance = self.data.utterances[index]
        return utterance.path or utterance.id

    def __getitem__(self, key: SampleKey | int) -> SentimentSample:
        """Make the sample of a key; a plain index stands for its first epoch."""
        if isinstance(key, int):
            key = SampleKey(0, key, True)
        utterance = self.data.utterances[key.index]
        self.watch.note(key.index)
        values: dict[str, Values] = {}
        seconds: dict[str, NDArray[np.float32]] = {}
        missing: dict[str, str] = {}
        for name in self.modalities:
            try:
                self._read(name, utterance, key, values, seconds)
            except NoModality as reason:
                missing[name] = str(reason)
        error = ""
        if not values:
            error = "; ".join(f"{name}: {why}" for name, why in missing.items())
            self._blank(values, seconds)
        return {
            "values": values,
            "seconds": seconds,
            "missing": missing,
            "label": int(self._labels[key.index]),
            "score": float(self._scores[key.index]),
            "affect": self._affect[key.index],
            "index": key.index,
            "counts": key.counts and not error,
            "video_id": utterance.id,
            "error": error,
            "unread": [{"path": utterance.id, "reason": error, "decoder": self.decoder}]
            if error
            else [],
        }

    def _read(
        self,
        name: Modality,
        utterance: Utterance,
        key: SampleKey,
        values: dict[str, Values],
        seconds: dict[str, NDArray[np.float32]],
    ) -> None:
        """Read one modality; words come last, since what was read tells how long they took."""
        # Each modality draws from a generator of its own: one that is missing changes no other.
        chance = [self.seed, key.epoch, key.index, MODALITIES.index(name)]
        generator = np.random.Generator(np.random.PCG64(chance))
        longest = self.spec.max_seconds
        if self.data.features is not None:
            stored = self.data.features.read(utterance.id).get(name)
            if stored is None:
                raise NoModality("the file has no such features")
            values[name] = stored
            steps = len(stored)
            seconds[name] = ((np.arange(steps) + 0.5) * (_STORED_SECONDS / steps)).astype(
                np.float32
            )
        elif name == "video":
            assert self.clip is not None
            with self.watch.limited():
                values[name], seconds[name] = read_picture(
                    utterance,
                    self.clip,
                    longest,
                    transform=self.transform,
                    generator=generator,
                    face=self.face,
                    decoder=self.decoder,
                )
        elif name == "sound":
            samples = self._voice(utterance, key.index)
            if self.sound_transform is not None:
                samples = self.sound_transform(samples, self.spec.sample_rate, generator)
            values[name] = samples
        else:
            self._words(utterance, key.index, values, seconds)

    def _voice(self, utterance: Utterance, row: int) -> NDArray[np.float32]:
        """Return the sound of an utterance before augmentation; that of a small set is kept."""
        if row in self._heard:
            return self._heard[row]
        with self.watch.limited():
            samples = read_voice(utterance, self.spec.sample_rate, self.spec.max_seconds).samples
        if (taps := self.filters.get(speaker_of(utterance))) is not None:
            samples = even_out(samples, taps)
        if len(samples) <= self._room:
            self._heard[row] = samples
            self._room -= len(samples)
        return samples

    def _words(
        self,
        utterance: Utterance,
        row: int,
        values: dict[str, Values],
        seconds: dict[str, NDArray[np.float32]],
    ) -> None:
        assert self.tokenizer is not None
        if not utterance.text:
            raise NoModality("there are no words")
        before = [said(self.data, earlier) for earlier in self._before[row]]
        tokens = self.tokenizer.encode(said(self.data, row), before, self.spec.max_tokens)
        duration: float | None = None
        if utterance.end is not None:
            duration = utterance.end - (utterance.start or 0.0)
        elif "sound" in values:
            duration = len(values["sound"]) / self.spec.sample_rate
        elif "video" in seconds and len(seconds["video"]) > 1:
            duration = float(seconds["video"][-1])
        values["text"] = tokens.numpy()
        seconds["text"] = token_seconds(tokens, separator_of(self.tokenizer), duration)

    def _blank(self, values: dict[str, Values], seconds: dict[str, NDArray[np.float32]]) -> None:
        """Put one empty step in the place of the first modality."""
        name = self.modalities[0]
        seconds[name] = np.zeros(1, np.float32)
        if self.data.features is not None:
            width = self.data.features.num_features[name]
            values[name] = np.zeros((1, width), np.float32)
        elif name == "video":
            assert self.clip is not None
            values[name] = np.zeros((1, self.clip.size, self.clip.size, 3), np.uint8)
        elif name == "sound":
            values[name] = np.zeros(1, np.float32)
            del seconds[name]
        else:
            assert self.tokenizer is not None
            values[name] = self.tokenizer.encode("", (), 1).numpy()


def collate_utterances(samples: Sequence[SentimentSample]) -> SentimentBatch:
    """Stack utterances to a batch, each modality padded to its longest.

    A modality that no sample has is left out.
    """
    batch: dict[str, Any] = {
        "label": torch.tensor([sample["label"] for sample in samples]),
        "score": torch.tensor([sample["score"] for sample in samples], dtype=torch.float32),
        "affect": torch.from_numpy(np.stack([sample["affect"] for sample in samples])),
        "index": torch.tensor([sample["index"] for sample in samples]),
        "sample_mask": torch.tensor([sample["counts"] for sample in samples]),
        "video_id": [sample["video_id"] for sample in samples],
        "error": [sample["error"] for sample in samples],
        "unread": [file for sample in samples for file in sample["unread"]],
        "missing": [sample["missing"] for sample in samples],
    }
    for name in MODALITIES:
        parts = [sample["values"].get(name) for sample in samples]
        if all(part is None for part in parts):
            continue
        batch[name], batch[f"{name}_mask"] = _padded([_planes(part) for part in parts])
        times = [sample["seconds"].get(name) for sample in samples]
        if any(time is not None for time in times):
            batch[f"{name}_seconds"], _ = _padded([_planes(time) for time in times])
    return cast("SentimentBatch", batch)


def _planes(part: Values | None) -> Tensor | None:
    """Return frames ``(T, C, H, W)``, anything else as it is."""
    if part is None:
        return None
    tensor = torch.from_numpy(part)
    return tensor.permute(0, 3, 1, 2) if part.ndim == 4 else tensor


def _padded(parts: Sequence[Tensor | None]) -> tuple[Tensor, Tensor]:
    """Return parts of different lengths as one tensor with zeros behind, and their mask."""
    known = [part for part in parts if part is not None]
    length = max(len(part) for part in known)
    whole = known[0].new_zeros(len(parts), length, *known[0].shape[1:])
    mask = torch.zeros(len(parts), length, dtype=torch.bool)
    for row, part in enumerate(parts):
        if part is not None:
            whole[row, : len(part)] = part
            mask[row, : len(part)] = True
    return whole, mask
