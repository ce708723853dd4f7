"""What a sentiment model answers when modalities, or parts of them, are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import lightning.pytorch as pl
import torch
from torch import Tensor

from videolit.callbacks.context import callbacks_of, sentiment_data_of, sentiment_task_of
from videolit.callbacks.evaluation import card_path, write_card
from videolit.callbacks.robustness import (
    RATES,
    ROWS,
    Variant,
    drawn,
    missing_line,
    robustness_result,
    robustness_tables,
    variants_of,
)
from videolit.callbacks.sentiment_card import SentimentCard, print_whole
from videolit.data.hf_words import HFTokenizer
from videolit.data.utterance_words import read_tokenizer
from videolit.fusion import Stream
from videolit.metrics import SampleScores
from videolit.ops.modality import BLOCK_SECONDS, drop_steps, drop_tokens, step_numbers
from videolit.ops.tokens import CAPITALS, MASK, PAD, SEPARATOR, SPEAKER, UNKNOWN
from videolit.plots import robustness_figure, save_figure
from videolit.tasks.sentiment import SentimentTask
from videolit.tasks.sentiment_streams import streams_of
from videolit.types import MODALITIES, SentimentBatch

PROTOCOL = {
    "subsets": "the others are missing as where the data lacks them; a sample counts if it has any "
    "of the subset, the baseline is of the same samples",
    "dropping": "each real step of the modality is lost with the rate as probability, drawn from "
    "the sample's index; one always stays, and a higher rate loses what a lower one does, and "
    "more. Frames and stored features become 0, words the unknown word (signs between them stay, "
    "how a word is rated goes with the word, or its last piece), sound falls silent in blocks of "
    f"{1000 * BLOCK_SECONDS:.0f} ms. The model is not told which (Yuan et al. 2021, TFR-Net). A "
    "sample that lacks the modality counts as it is",
    "together": "the same steps are lost in all modalities at once as in each alone",
}


class SentimentAudit(pl.Callback):
    """Test a model once more on each subset of its modalities, and with steps of them missing.

    Each batch is read once, and each modality is encoded once as it is and once per rate; only the
    fusion is computed for every variant. Writes ``audit-<data>-<split hash>.json`` with a picture,
    adds the same numbers to the evaluation card as ``robustness``, and shows a table.

    Attributes:
        result: After a test, what :func:`robustness_result` returns, and ``protocol``.
    """

    def __init__(self) -> None:
        self.result: dict[str, Any] = {}
        self._store: SampleScores | None = None
        self._variants: list[Variant] = []
        self._path: Path | None = None
        self._signs = _Signs()
        self._block = 1

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start over."""
        task, spec = sentiment_task_of(pl_module), sentiment_data_of(trainer).utterance_spec
        assert task.answers is not None
        self._variants = variants_of(task.names)
        self._signs = _signs_of(spec.tokenizer)
        self._block = round(BLOCK_SECONDS * spec.sample_rate)
        width = len(self._variants) * sum(task.answers.sizes.values())
        width += len(task.names) * len(RATES)
        self._store = SampleScores(width, several=True).to(pl_module.device)

    @torch.inference_mode()
    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: SentimentBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Answer a batch in all variants."""
        task, keep = sentiment_task_of(pl_module), batch["sample_mask"]
        assert self._store is not None
        # In the precision of the test: the whole samples were answered in it.
        with trainer.precision_plugin.test_step_context():
            whole = streams_of(task, batch)
            damaged, lost = self._damaged(task, batch)
            rows = [
                answers_of(
                    task,
                    {
                        name: damaged.get((name, variant.rate), whole[name])
                        if name in variant.dropped
                        else whole[name]
                        for name in variant.shown
                    },
                )
                for variant in self._variants
            ]
        said = torch.cat([*rows, *lost], 1)[keep]
        self._store.update(batch["index"][keep], torch.zeros_like(said), said)

    def _damaged(
        self, task: SentimentTask, batch: SentimentBatch
    ) -> tuple[dict[tuple[str, float], Stream], list[Tensor]]:
        """Return the streams of what is left by name and rate, and the share that each lost."""
        tensors = cast("Mapping[str, Tensor]", batch)
        found: dict[tuple[str, float], Stream] = {}
        shares: list[Tensor] = []
        for name in task.names:
            mask = tensors.get(f"{name}_mask")
            if mask is None or not bool(mask.any()):
                nothing = torch.full((len(batch["index"]), len(RATES)), torch.nan)
                shares.append(nothing.to(task.device))
                continue
            values, signs = tensors[name], None
            if name == "text" and values.ndim == 2:
                signs = self._signs
                marks = torch.isin(values, values.new_tensor(signs.marks))
                mask = mask & ~marks & ~torch.isin(values, values.new_tensor(signs.kept))
            block = self._block if name == "sound" and values.ndim == 2 else 1
            seeds = batch["index"] * len(MODALITIES) + MODALITIES.index(name)
            numbers = step_numbers(mask, seeds, block)
            counted = mask.sum(1)
            gone = [(numbers < rate).sum(1) / counted for rate in RATES]
            shares.append(torch.stack(gone, 1))
            if signs is not None:
                numbers = torch.where(marks, numbers.roll(1, 1), numbers)
            others = {f"{n}{part}" for n in MODALITIES for part in ("", "_mask", "_seconds")}
            own = {name, f"{name}_mask", f"{name}_seconds"}
            rest = {key: value for key, value in batch.items() if key not in others - own}
            for rate in RATES:
                left = (
                    drop_steps(values, numbers, rate)
                    if signs is None
                    else drop_tokens(values, numbers, rate, signs.unknown)
                )
                alone = cast("SentimentBatch", {**rest, name: left})
                found[name, rate] = streams_of(task, alone)[name]
        return found, shares

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Gather the answers of all processes."""
        assert self._store is not None
        self._path = card_path(trainer, "audit")
        task = sentiment_task_of(pl_module)
        truth = {
            target: tuple(part.cpu() for part in metric.compute()[:2])
            for target, metric in task.split_figures("test").items()
        }
        index, _, rows = (part.cpu() for part in self._store.compute())
        self.result = robustness_result(task, self._variants, index, rows, truth)
        self.result["protocol"] = dict(PROTOCOL)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the audit and show it."""
        if not trainer.is_global_zero:
            return
        assert self._path is not None
        for callback in callbacks_of(trainer):
            if isinstance(callback, SentimentCard):
                callback.card["robustness"] = self.result
        write_card(self._path, self.result)
        for place, (target, about) in enumerate(self.result["targets"].items()):
            name = f"{self._path.stem}.png" if place == 0 else f"{self._path.stem}-{target}.png"
            figure = robustness_figure(
                *drawn(self.result, about),
                about["figure"],
                about["baseline"],
                rises=about["rises"],
            )
            save_figure(figure, self._path.with_name(name))
        for table in robustness_tables(self.result):
            print_whole(table)
        print(ROWS)
        if missing := missing_line(self.result):
            print(missing)
        print(f"Robustness audit: {self.result['sentence']}")
        print(f"Written to {self._path}")


def answers_of(task: SentimentTask, streams: Mapping[str, Stream]) -> Tensor:
    """Return what a model says of some modalities' streams.

    Args:
        task: The model.
        streams: Of at least one modality.

    Returns:
        float32 ``(B, O)``: probabilities of the classes, then score, valence and arousal, as far as
        the model tells them; NaN where a sample has none of the modalities.
    """
    assert task.answers is not None
    present = torch.stack([stream.mask.any(1) for stream in streams.values()], 1).any(1)
    width = sum(task.answers.sizes.values())
    found = torch.full((len(present), width), torch.nan, device=present.device)
    rows = present.nonzero()[:, 0]
    if len(rows):
        kept = {name: Stream(*(part[rows] for part in each)) for name, each in streams.items()}
        outputs = task.answer(kept).fused
        parts = [
            (answer.softmax(-1) if target == "classes" else answer).reshape(len(rows), -1)
            for target, answer in task.answers.read(outputs).items()
        ]
        found[rows] = torch.cat(parts, 1)
    return found


class _Signs(NamedTuple):
    """Numbers of tokens that are no words.

    Attributes:
        unknown: The unknown word.
        kept: What stays when words are dropped.
        marks: What goes with the token before it.
    """

    unknown: int = UNKNOWN
    kept: Sequence[int] = (PAD, MASK, SPEAKER, SEPARATOR, CAPITALS)
    marks: Sequence[int] = ()


def _signs_of(tokenizer: str | None) -> _Signs:
    """Return the signs of a tokenizer, given as its JSON text."""
    if tokenizer is None:
        return _Signs()
    words = read_tokenizer(tokenizer)
    if isinstance(words, HFTokenizer):
        return _Signs(words.unknown_id, words.encode("").tolist())
    return _Signs(marks=words.mark_ids)
