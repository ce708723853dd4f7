"""Checks video files in a child process, so that a decoder's hang or abort costs one file.

The child decodes every frame of a file in order with PyAV: that is the truth. It compares faster
decoders with it, in the ways in which the reader uses them. Run as
``python -m videolit.data.verify`` it is that child.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from videolit.data.index import (
    AUTO_CONTAINERS,
    Decoder,
    IndexCache,
    VideoIndex,
    installed_version,
    shared_cache,
)
from videolit.data.sniff import access_failure, sniff
from videolit.types import InputError, VideoError

_MEMORY_BYTES = 8 << 30
# 5 s a megabyte is some 50 times what indexing takes.
_SECONDS_PER_BYTE = 5e-6


def verified_index(
    path: str | Path,
    decoder: Decoder = "auto",
    cache: IndexCache | None = None,
    *,
    time_limit: float = 60.0,
) -> VideoIndex:
    """Return the verified record of a file, from the cache or by checking the file now.

    Args:
        path: The file.
        decoder: The decoder that will read it; a fast one is verified.
        cache: Where records are kept; None = the shared folder.
        time_limit: Seconds that a small file's check may take; large files get more.

    Raises:
        VideoError: If the file cannot be read, or not by an explicit ``decoder``.
        InputError: If ``decoder`` is not known or not installed.
    """
    _check_decoder(decoder)
    container = sniff(path)
    absolute = str(Path(path).absolute())
    cache = shared_cache() if cache is None else cache
    try:
        stat = Path(absolute).stat()
    except OSError as error:
        raise VideoError(absolute, access_failure(absolute, error)) from None
    found = cache.get(absolute, stat)
    fast = _decoder_to_verify(container, decoder)
    if found is None or (isinstance(found, VideoIndex) and _lacks_verdict(found, decoder, fast)):
        known = found.verdicts if isinstance(found, VideoIndex) else {}
        limit = time_limit + stat.st_size * _SECONDS_PER_BYTE
        found = _verifier(os.getpid()).check(
            absolute, container, fast, even_cut=decoder != "auto", time_limit=limit
        )
        if isinstance(found, VideoIndex):
            found = dataclasses.replace(found, verdicts={**known, **found.verdicts})
        cache.put(absolute, stat, found)
    if isinstance(found, str):
        raise VideoError(absolute, found)
    if decoder not in ("auto", "pyav") and found.verdicts[decoder]:
        raise VideoError(absolute, f"{found.verdicts[decoder]}; use decoder: auto or pyav")
    return found


def choose_decoder(index: VideoIndex) -> str:
    """Return the decoder that ``auto`` means for a checked file: ``"decord"`` or ``"pyav"``."""
    trusted = index.verdicts.get("decord") == "" and not index.edit_list
    fits = index.container in AUTO_CONTAINERS and bool(installed_version("decord"))
    return "decord" if trusted and fits else "pyav"


def _check_decoder(decoder: str) -> None:
    if decoder not in ("auto", "decord", "pyav", "torchcodec"):
        raise InputError(
            f"decoder must be auto, decord, pyav or torchcodec, got {decoder!r}; use auto"
        )
    if decoder == "torchcodec" and not installed_version("torchcodec"):
        raise InputError(
            "decoder torchcodec is not installed: pip install 'videolit[torchcodec]' (it also "
            "needs FFmpeg's shared libraries), or use decoder: auto"
        )
    if decoder == "decord" and not installed_version("decord"):
        raise InputError(
            "decoder decord is not installed (it has wheels for x86-64 Linux and Windows only): "
            "pip install decord, or use decoder: auto"
        )


def _decoder_to_verify(container: str, decoder: str) -> str | None:
    if decoder == "auto":
        usable = container in AUTO_CONTAINERS and installed_version("decord")
        return "decord" if usable else None
    return None if decoder == "pyav" else decoder


def _lacks_verdict(index: VideoIndex, decoder: str, fast: str | None) -> bool:
    if fast is None or (decoder == "auto" and index.edit_list):
        return False
    return fast not in index.verdicts


@functools.lru_cache(maxsize=1)
def _verifier(process: int) -> Verifier:
    """Return this process's child; the id is the key, so that none is used across a fork."""
    assert process == os.getpid()
    return Verifier()


class _ChildEnded(Exception):
    """The child ended, or was ended, before it answered."""

    def __init__(self, timed_out: bool, code: int) -> None:
        super().__init__(timed_out, code)
        self.timed_out = timed_out
        self.code = code

    def describe(self) -> str:
        if self.code < 0:
            return signal.Signals(-self.code).name
        return f"exit code {self.code}"


class Verifier:
    """One child process that checks files, started when first needed and again when it ended.

    Args:
        memory_bytes: Most address space that the child may use, where the system can limit it.
    """

    def __init__(self, memory_bytes: int = _MEMORY_BYTES) -> None:
        self.memory_bytes = memory_bytes
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        atexit.register(self.close)

    @property
    def child_pid(self) -> int | None:
        """Process id of the running child, None if there is none."""
        return None if self._child is None else self._child.pid

    def check(
        self,
        path: str,
        container: str,
        decoder: str | None,
        *,
        even_cut: bool = False,
        time_limit: float = 60.0,
    ) -> VideoIndex | str:
        """Index a file and compare one fast decoder with the truth.

        Args:
            path: Absolute path of a sniffed file.
            container: What it was sniffed as.
            decoder: ``"decord"``, ``"torchcodec"`` or None to index only.
            even_cut: Compare also where an edit list cuts frames.
            time_limit: Seconds for the pass over the file; the comparison gets as many, and 20
                times what the pass took.

        Returns:
            The record, or in one line why the file is refused.

        Raises:
            VideoError: If the child was killed from outside, twice, or could not read the file.
        """
        request = {"path": path, "container": container, "decoder": decoder, "even_cut": even_cut}
        with self._lock:
            try:
                return self._ask(request, time_limit)
            except _ChildEnded:
                pass
            # Killed from outside, as by the system when memory runs out: that says little about
            # the file.
            try:
                return self._ask(request, time_limit)
            except _ChildEnded as end:
                raise VideoError(
                    path,
                    f"the process that checks it was killed twice ({end.describe()}); is "
                    "there enough memory?",
                ) from None

    def _ask(self, request: dict[str, Any], time_limit: float) -> VideoIndex | str:
        child = self._running()
        start = time.monotonic()
        try:
            reply = self._exchange(child, request, time_limit)
        except _ChildEnded as end:
            if end.timed_out:
                return f"cannot be decoded within {time_limit:.0f} s"
            if _from_outside(end.code):
                raise
            return f"crashes its decoder ({end.describe()})"
        if "failed" in reply:
            # The disk's or our fault, not known to be the file's: not to be remembered.
            raise VideoError(request["path"], str(reply["failed"]))
        if "refused" in reply:
            return str(reply["refused"])
        index = VideoIndex.from_json(reply["index"])
        if not reply["more"]:
            return index
        decoder = request["decoder"]
        limit = time_limit + 20 * (time.monotonic() - start)
        try:
            verdict = str(self._exchange(child, None, limit)["verdict"])
        except _ChildEnded as end:
            if not end.timed_out and _from_outside(end.code):
                raise
            verdict = (
                f"{decoder} hangs on this file (no answer in {limit:.0f} s)"
                if end.timed_out
                else f"{decoder} crashes on this file ({end.describe()})"
            )
        return dataclasses.replace(index, verdicts={decoder: verdict})

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
                self._exchange(self._child, None, 60.0)
            except _ChildEnded as end:
                raise RuntimeError(
                    f"the process that checks videos ended at its start ({end.describe()}); its "
                    "error is printed above"
                ) from None
        return self._child

    def _start(self) -> subprocess.Popen[str]:
        paths = os.pathsep.join(path for path in sys.path if path)
        return subprocess.Popen(
            # -P: files in the current folder must not shadow modules.
            [
                sys.executable,
                "-P",
                "-m",
                "videolit.data.verify",
                str(os.getpid()),
                str(self.memory_bytes),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="ascii",
            env={**os.environ, "PYTHONPATH": paths},
            # Ctrl-C is for the caller; it ends the child itself.
            start_new_session=True,
        )

    def _exchange(
        self, child: subprocess.Popen[str], request: dict[str, Any] | None, limit: float
    ) -> dict[str, Any]:
        assert child.stdin is not None
        assert child.stdout is not None
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            child.kill()

        timer = threading.Timer(limit, expire)
        timer.daemon = True
        timer.start()
        try:
            if request is not None:
                with contextlib.suppress(BrokenPipeError):
                    child.stdin.write(json.dumps(request) + "\n")
                    child.stdin.flush()
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
        raise _ChildEnded(expired.is_set(), code)

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


def _from_outside(code: int) -> bool:
    names = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
    return code < 0 and signal.Signals(-code).name in names


def main(parent: int, memory_bytes: int) -> None:
    """Answer one JSON request a line until the parent closes the pipe or ends."""
    _die_with(parent)
    # Imported by the child only: the reader imports this module.
    import av

    from videolit.data.examine import examine, judge

    # The pipe is kept for answers; what decoders print goes nowhere.
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)

    def answer(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    av.logging.set_level(av.logging.ERROR)
    answer({"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        path, decoder = request["path"], request["decoder"]
        _limit_memory(None if decoder == "torchcodec" else memory_bytes)
        try:
            truth = examine(path, request["container"])
        except VideoError as error:
            answer({"refused": error.reason})
            continue
        except Exception as error:
            answer({"failed": f"cannot be checked: {type(error).__name__}: {error}"[:250]})
            continue
        compare = decoder is not None and (request["even_cut"] or not truth.index.edit_list)
        answer({"index": truth.index.to_json(), "more": compare})
        if compare:
            answer({"verdict": judge(decoder, path, truth)})


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if sys.platform != "win32" and os.getppid() != parent:
        # It ended before the line above.
        sys.exit(1)


def _limit_memory(soft: int | None) -> None:
    """Limit the address space; importing torch needs more than any video, so None lifts it."""
    if sys.platform != "win32":
        import resource

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        limit = hard if soft is None else soft
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
