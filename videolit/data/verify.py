"""Checks video files in a child process, and remembers what was found.

The child decodes every frame of a file in order with PyAV: that is the truth. It compares faster
decoders with it, in the ways in which the reader uses them. Run as
``python -m videolit.data.verify`` it is that child.
"""

from __future__ import annotations

import atexit
import dataclasses
import functools
import os
import threading
import time
from pathlib import Path
from typing import Any

from videolit.data.child import (
    MEMORY_BYTES,
    Answer,
    Child,
    ChildEnded,
    limit_memory,
    memory_limit,
    serve,
)
from videolit.data.index import (
    AUTO_CONTAINERS,
    AUTO_DECODER,
    DECODERS,
    Decoder,
    IndexCache,
    VideoIndex,
    installed_version,
    shared_cache,
)
from videolit.data.sniff import access_failure, sniff
from videolit.types import InputError, VideoError

# 5 s a megabyte is some 50 times what indexing takes.
_SECONDS_PER_BYTE = 5e-6


def verified_index(
    path: str | Path,
    decoder: Decoder = "auto",
    cache: IndexCache | None = None,
    *,
    time_limit: float = 60.0,
    verifier: Verifier | None = None,
) -> VideoIndex:
    """Return the verified record of a file, from the cache or by checking the file now.

    Args:
        path: The file.
        decoder: The decoder that will read it; a fast one is verified.
        cache: Where records are kept; None = the shared folder.
        time_limit: Seconds that a small file's check may take; large files get more.
        verifier: Who checks; None = this process's own, which checks one file at a time.

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
        found = (verifier or _verifier(os.getpid())).check(
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
    """Return the decoder that ``auto`` means for a checked file."""
    trusted = index.verdicts.get(AUTO_DECODER) == "" and not index.edit_list
    return AUTO_DECODER if trusted and index.container in AUTO_CONTAINERS else "pyav"


def _check_decoder(decoder: str) -> None:
    if decoder not in DECODERS:
        raise InputError(f"decoder must be one of {', '.join(DECODERS)}, got {decoder!r}; use auto")
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
        return AUTO_DECODER if container in AUTO_CONTAINERS else None
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


class Verifier:
    """One child process that checks files.

    Args:
        memory_bytes: Most address space that the child may use, where the system can limit it.
    """

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._child = Child("videolit.data.verify", memory_bytes)
        self._lock = threading.Lock()
        atexit.register(self.close)

    @property
    def child_pid(self) -> int | None:
        """Process id of the running child, None if there is none."""
        return self._child.pid

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
            decoder: Anyone but ``"pyav"``, or None to index only.
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
            except ChildEnded:
                pass
            # Killed from outside, as by the system when memory runs out: that says little about
            # the file.
            try:
                return self._ask(request, time_limit)
            except ChildEnded as end:
                raise VideoError(
                    path,
                    f"the process that checks it was killed twice ({end.describe()}); is "
                    "there enough memory?",
                ) from None

    def _ask(self, request: dict[str, Any], time_limit: float) -> VideoIndex | str:
        start = time.monotonic()
        try:
            reply = self._child.ask(request, time_limit)
        except ChildEnded as end:
            if end.from_outside:
                raise
            return why_ended(end, time_limit)
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
            verdict = str(self._child.more(limit)["verdict"])
        except ChildEnded as end:
            if end.from_outside:
                raise
            verdict = (
                f"{decoder} hangs on this file (no answer in {limit:.0f} s)"
                if end.timed_out
                else f"{decoder} crashes on this file ({end.describe()})"
            )
        return dataclasses.replace(index, verdicts={decoder: verdict})

    def close(self) -> None:
        """End the child."""
        self._child.close()


def why_ended(end: ChildEnded, time_limit: float) -> str:
    """Say in one line what a file did to the child that decoded it."""
    if end.timed_out:
        return f"cannot be decoded within {time_limit:.0f} s"
    return f"crashes its decoder ({end.describe()})"


def main() -> None:
    """Be the child."""
    # Imported by the child only: the reader imports this module.
    import av

    from videolit.data.examine import examine, judge

    memory_bytes = memory_limit()

    def handle(request: dict[str, Any], answer: Answer) -> None:
        path, decoder = request["path"], request["decoder"]
        # Importing torch needs more than any video.
        limit_memory(None if decoder == "torchcodec" else memory_bytes)
        try:
            truth = examine(path, request["container"], compare=decoder is not None)
        except VideoError as error:
            answer({"refused": error.reason})
            return
        except Exception as error:
            answer({"failed": f"cannot be checked: {type(error).__name__}: {error}"[:250]})
            return
        compare = decoder is not None and (request["even_cut"] or not truth.index.edit_list)
        answer({"index": truth.index.to_json(), "more": compare})
        if compare:
            answer({"verdict": judge(decoder, path, truth)})

    av.logging.set_level(av.logging.ERROR)
    serve(handle)


if __name__ == "__main__":
    main()
