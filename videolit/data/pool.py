"""Threads that each drive child processes of their own, so that broken files cost no run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Generic, Protocol, TypeVar

from videolit.data.child import Child, ChildEnded

Job = TypeVar("Job")
Result = TypeVar("Result")


class Closable(Protocol):
    """A child process, or what holds some."""

    def close(self) -> None:
        """End it; the next request starts it anew."""


Children = TypeVar("Children", bound=tuple[Closable, ...])


class ChildPool(Generic[Children]):
    """Runs jobs in threads, each of which has children of its own.

    Args:
        workers: Threads.
        make: Makes the children of one thread.
    """

    def __init__(self, workers: int, make: Callable[[], Children]) -> None:
        self._threads = ThreadPoolExecutor(workers)
        # Enough that no thread waits; not all, as a list may have a million rows.
        self._ahead = 4 * workers
        self._make = make
        self._own = threading.local()
        self._children: list[Closable] = []
        self._running: set[Future[Any]] = set()
        self._stopping = threading.Event()

    def run(self, work: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """Yield the results as they come."""
        for job in jobs:
            self._running.add(self._threads.submit(work, job))
            if len(self._running) >= self._ahead:
                yield from self._finished()
        while self._running:
            yield from self._finished()

    def _finished(self) -> Iterator[Any]:
        for future in wait(self._running, return_when=FIRST_COMPLETED).done:
            # Removed only when it is there: what an interruption leaves must end, see __exit__.
            self._running.discard(future)
            yield future.result()

    @property
    def children(self) -> Children:
        """The children of the thread that asks."""
        if not hasattr(self._own, "children"):
            self._own.children = self._make()
            self._children += self._own.children
        made: Children = self._own.children
        return made

    def ask(self, child: Child, request: dict[str, Any], limit: float) -> dict[str, Any] | None:
        """Return a child's answer; None if it was killed from outside twice, or at the pool's end.

        Killed from outside, as when memory runs out, says little about the file: it is asked once
        more.

        Args:
            child: One of the thread's.
            request: JSON types.
            limit: Seconds for the answer.

        Raises:
            ChildEnded: If it did not survive the request.
        """
        for _ in range(2):
            if self._stopping.is_set():
                break
            try:
                return child.ask(request, limit)
            except ChildEnded as end:
                if not end.from_outside:
                    raise
        return None

    def __enter__(self) -> ChildPool[Children]:
        return self

    def __exit__(self, *details: object) -> None:
        self._stopping.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        # One that was about to ask starts its child anew: until the threads have ended.
        while True:
            for child in self._children:
                child.close()
            if all(future.done() for future in self._running):
                break
            time.sleep(0.1)
        self._threads.shutdown(wait=True)
        for child in self._children:
            child.close()
