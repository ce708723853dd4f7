"""The loader of clips: it goes on in the middle of an epoch, and names the file that ended it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch.utils.data import DataLoader, get_worker_info

from videolit.data.child import die_with
from videolit.data.sampler import ClipSampler

# Signals that end a process, and what they mean to a user.
_CAUSES = {
    "SIGALRM": "took longer than the {limit:g} s of time_limit",
    "SIGSEGV": "crashed the decoder (segmentation fault)",
    "SIGABRT": "crashed the decoder (abort)",
    "SIGKILL": "ended with the loading process killed, as the system does when memory runs out",
    "SIGBUS": "ended for lack of shared memory (/dev/shm), or with a file cut while it was read",
}


# Of one loader; those beyond are not watched.
_MOST_WORKERS = 256


class Watch:
    """Knows which sample each loading process works on, also when the process is gone.

    Args:
        limit: Seconds that reading the frames of one video may take; 0 = for ever. The system
            ends the process that takes longer, even when a decoder never returns.
    """

    def __init__(self, limit: float = 0.0) -> None:
        self.limit = limit
        # The thread that starts the loading processes lives as long as the main process.
        self.tied = False
        # Process id and row of each worker. Shared: the main process reads what workers write.
        self._table = torch.full((_MOST_WORKERS, 2), -1, dtype=torch.int64)
        self._table.share_memory_()  # type: ignore[no-untyped-call]

    def note(self, row: int) -> None:
        """Remember what this process works on."""
        worker = get_worker_info()
        if worker is not None and worker.id < _MOST_WORKERS:
            self._table[worker.id, 0] = os.getpid()
            self._table[worker.id, 1] = row

    @contextlib.contextmanager
    def limited(self) -> Iterator[None]:
        """Limit the time of what follows, where the system can."""
        if not self.limit or get_worker_info() is None or not hasattr(signal, "setitimer"):
            yield
            return
        # The default: the process ends, whatever it is doing.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, self.limit)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def last_row(self, pid: int) -> int:
        """Return what a process worked on last, -1 if it is none of ours."""
        return next((row for known, row in self._table.tolist() if known == pid), -1)


class ClipLoader(DataLoader[Any]):
    """A DataLoader that Lightning can resume in the middle of an epoch.

    Its state counts the batches that were handed out; after loading it, the first pass begins with
    the batch that comes next. The sampler's order depends on seed and epoch alone, so that no
    sample is repeated or left out.

    Attributes:
        trainer: Who trains with it: tells the epoch, and how many of its batches make one.
    """

    trainer: pl.Trainer | None = None
    _handed_out = 0
    _begin = 0
    # Which epoch begins there; None = whichever comes next.
    _begin_epoch: int | None = None
    _epoch: int | None = None
    _workers: Sequence[Any] = ()

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override] # torch promises its own class
        """Yield the batches of an epoch, or what is left of it."""
        begin, self._begin = self._begin, 0
        self._epoch = None if self.trainer is None else self.trainer.current_epoch
        if None not in (self._begin_epoch, self._epoch) and self._begin_epoch != self._epoch:
            # An epoch that a limit of steps or time ended counts as done: the next one is whole.
            begin = 0
        self._handed_out = begin
        if isinstance(self.sampler, ClipSampler):
            if self.trainer is not None:
                # Lightning tells the sampler too, but not always right when a run is resumed.
                self.sampler.set_epoch(self.trainer.current_epoch)
            self.sampler.skip = self._handed_out * (self.batch_size or 1)
        watch: Watch = self.dataset.watch  # type: ignore[attr-defined] # of a ClipDataset
        watch.tied = threading.current_thread() is threading.main_thread()
        batches = super().__iter__()
        # They tell how they ended when torch's error does not.
        self._workers = getattr(batches, "_workers", ())
        for batch in batches:
            self._handed_out += 1
            yield batch

    def explain(self, exception: BaseException) -> tuple[int, str]:
        """Tell what a loading process was doing when it ended.

        Returns:
            The row of the manifest and what reading it did; (-1, "") if the exception is about
            something else.
        """
        watch: Watch = self.dataset.watch  # type: ignore[attr-defined] # of a ClipDataset
        found = re.search(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\)", str(exception))
        for pid in map(int, found[1].split(",") if found else ()):
            row = watch.last_row(pid)
            if row >= 0:
                worker = next((w for w in self._workers if w.pid == pid), None)
                code = (worker.exitcode if worker is not None else None) or 0
                name = signal.Signals(-code).name if code < 0 else _signal_in(str(exception))
                told = _CAUSES.get(name, f"ended the loading process ({name or f'code {code}'})")
                return row, told.format(limit=watch.limit)
        return -1, ""

    @property
    def _samples_a_step(self) -> int:
        replicas = self.sampler.num_replicas if isinstance(self.sampler, ClipSampler) else 1
        return (self.batch_size or 1) * replicas

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the epoch, which is its start when all batches were handed out."""
        whole = len(self) if self.trainer is None else self.trainer.num_training_batches
        done = self._handed_out if self._handed_out < whole else 0
        # The epoch of these batches: at its end Lightning counts the next one already.
        return {"batches": done, "samples_a_step": self._samples_a_step, "epoch": self._epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Begin the next pass at a place in the epoch."""
        self._begin = int(state["batches"])
        self._begin_epoch = state.get("epoch")
        if self._begin and state["samples_a_step"] != self._samples_a_step:
            rank_zero_warn(
                f"the checkpoint was saved within an epoch of {state['samples_a_step']} videos a "
                f"step, now there are {self._samples_a_step}: the rest of this epoch leaves out or "
                "repeats some. To go on exactly, use the same batch size and number of processes"
            )


def start_worker(worker: int) -> None:
    """Keep a worker to one thread: parallelism comes from the number of workers."""
    cv2.setNumThreads(0)
    info = get_worker_info()
    watch: Watch | None = getattr(info.dataset, "watch", None) if info is not None else None
    if watch is not None and watch.tied:
        # torch's own processes look for their parent only between two samples.
        die_with(os.getppid())


def _signal_in(message: str) -> str:
    """Return the name of the signal that torch's error tells; the process may be gone without."""
    told = re.search(r"killed by signal: ([^.]+)", message)
    names = {signal.strsignal(number): number.name for number in signal.Signals}
    return names.get(told[1], "") if told else ""
