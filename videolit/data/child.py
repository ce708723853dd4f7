"""A process that decodes for this one, so that a decoder's hang or abort costs one file.

The parent asks with one line of JSON, the child answers with one or more. Each answer has a time
limit; a child that misses it is killed, and the next request starts a new one.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

# Of address space. A check or a conversion of 4K video needs less than 2 GB.
MEMORY_BYTES = 8 << 30

Answer = Callable[[dict[str, Any]], None]


class ChildEnded(Exception):
    """The child ended, or was ended, before it answered.

    Attributes:
        timed_out: It missed the time limit.
        code: Its exit code, negative for a signal.
    """

    def __init__(self, timed_out: bool, code: int) -> None:
        super().__init__(timed_out, code)
        self.timed_out = timed_out
        self.code = code

    @property
    def from_outside(self) -> bool:
        """Whether somebody else ended it, as the system does when memory runs out."""
        names = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
        return not self.timed_out and self.code < 0 and signal.Signals(-self.code).name in names

    def describe(self) -> str:
        """Return the signal or exit code by name."""
        if self.code < 0:
            return signal.Signals(-self.code).name
        return f"exit code {self.code}"


class Child:
    """One child process, started when first needed and again when it ended.

    Args:
        module: What it runs, as ``python -m``; the module's main part calls :func:`serve`.
        memory_bytes: Most address space that the child may use, where the system can limit it.
    """

    def __init__(self, module: str, memory_bytes: int = MEMORY_BYTES) -> None:
        self.module = module
        self.memory_bytes = memory_bytes
        self._process = os.getpid()
        self._child: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the running child, None if there is none."""
        return None if self._child is None else self._child.pid

    def ask(self, request: dict[str, Any], time_limit: float) -> dict[str, Any]:
        """Send a request and return its first answer.

        Args:
            request: JSON types.
            time_limit: Seconds for the answer.

        Raises:
            ChildEnded: If there is none.
        """
        child = self._running()
        with contextlib.suppress(BrokenPipeError):
            assert child.stdin is not None
            child.stdin.write(json.dumps(request) + "\n")
            child.stdin.flush()
        return self._receive(child, time_limit)

    def more(self, time_limit: float) -> dict[str, Any]:
        """Return the next answer to the same request, as :meth:`ask` does."""
        assert self._child is not None
        return self._receive(self._child, time_limit)

    def _running(self) -> subprocess.Popen[str]:
        if self._child is not None and self._child.poll() is not None:
            self._discard()
        if self._child is not None and not (self._thread and self._thread.is_alive()):
            # The system ends the child with the thread that started it, sooner or later.
            self._discard()
        if self._child is None:
            self._child = self._start()
            self._thread = threading.current_thread()
            try:
                self._receive(self._child, 60.0)
            except ChildEnded as end:
                raise RuntimeError(
                    f"the process that reads videos ended at its start ({end.describe()}); its "
                    "error is printed above"
                ) from None
        return self._child

    def _start(self) -> subprocess.Popen[str]:
        paths = os.pathsep.join(path for path in sys.path if path)
        return subprocess.Popen(
            # -P: files in the current folder must not shadow modules.
            [sys.executable, "-P", "-m", self.module, str(os.getpid()), str(self.memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="ascii",
            env={**os.environ, "PYTHONPATH": paths},
            # Ctrl-C is for the caller; it ends the child itself.
            start_new_session=True,
        )

    def _receive(self, child: subprocess.Popen[str], limit: float) -> dict[str, Any]:
        assert child.stdout is not None
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            child.kill()

        timer = threading.Timer(limit, expire)
        timer.daemon = True
        timer.start()
        try:
            line = child.stdout.readline()
        except BaseException:
            # Its answer would be taken for the next file's.
            self._discard()
            raise
        finally:
            timer.cancel()
        if line.endswith("\n"):
            reply: dict[str, Any] = json.loads(line)
            return reply
        child.wait()
        code = child.returncode
        self._discard()
        raise ChildEnded(expired.is_set(), code)

    def _discard(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            assert child.stdin is not None
            assert child.stdout is not None
            with contextlib.suppress(BrokenPipeError):
                child.stdin.close()
            child.stdout.close()

    def close(self) -> None:
        """End the child."""
        # A forked process has a copy of this object, but the child is not its own.
        if os.getpid() == self._process:
            self._discard()


def serve(handle: Callable[[dict[str, Any], Answer], None]) -> None:
    """Be the child: answer requests until the parent closes the pipe or ends.

    Args:
        handle: Gets a request and a function that answers it.
    """
    parent = int(sys.argv[1])
    die_with(parent)
    # The pipe is kept for answers; what decoders print goes nowhere.
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)

    def answer(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    answer({"ready": True})
    for line in sys.stdin:
        handle(json.loads(line), answer)


def memory_limit() -> int:
    """Return what the parent allows this child, in bytes."""
    return int(sys.argv[2])


def limit_memory(soft: int | None) -> None:
    """Limit this process's address space in bytes; None lifts the limit."""
    if sys.platform != "win32":
        import resource

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        limit = hard if soft is None else soft
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def die_with(parent: int) -> None:
    """Have the system end this process with its parent, whatever it is doing then.

    Linux does so at the end of the parent's thread that started it.
    """
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if sys.platform != "win32" and os.getppid() != parent:
        # It ended before the line above.
        sys.exit(1)
