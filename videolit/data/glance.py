"""A short look at a file in a child process: its bytes' hash, small pictures, a thumbnail.

With ``fast`` it also decodes first, middle and last frame, found by key frames, and tells what the
file's header says. That is no verification: it is never kept as one. Run as
``python -m videolit.data.glance`` it is that child.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from videolit.data.child import Answer, limit_memory, memory_limit, serve
from videolit.data.convert import file_hash
from videolit.data.duplicates import MAX_SAMPLES, SIDE, STEP
from videolit.data.index import VideoIndex
from videolit.types import VideoError

_THUMBNAIL_SIDE = 176


def sample_indices(index: VideoIndex) -> list[int]:
    """Return the frames on screen at each multiple of :data:`STEP`; frames may repeat."""
    times = index.timestamps
    count = min(MAX_SAMPLES, math.floor(times[-1] / STEP + 1e-6) + 1)
    # A frame that begins at that very time is on screen then, whatever the rounding.
    on_screen = np.searchsorted(times, np.arange(count) * STEP + 1e-6, side="right") - 1
    return [int(i) for i in on_screen]


def unpack_pictures(text: str) -> NDArray[np.uint8]:
    """Return uint8 ``(N, 16, 16)`` grey from what the child sent."""
    flat = np.frombuffer(base64.b64decode(text), np.uint8)
    return flat.reshape(-1, SIDE, SIDE)


def unpack_thumbnail(sent: dict[str, Any] | None) -> NDArray[np.uint8] | None:
    """Return uint8 ``(H, W, 3)`` RGB from what the child sent."""
    if sent is None:
        return None
    flat = np.frombuffer(base64.b64decode(sent["rgb"]), np.uint8)
    return flat.reshape(sent["height"], sent["width"], 3)


def main() -> None:
    """Be the child."""
    import av
    from av.video.reformatter import VideoReformatter

    from videolit.data.decoders import InOrderFrames, one_line, quarter_turns

    memory_bytes = memory_limit()
    reformatter = VideoReformatter()

    def scaled(frame: av.VideoFrame, width: int, height: int, kind: str) -> NDArray[np.uint8]:
        small = reformatter.reformat(
            frame, width=width, height=height, format=kind, interpolation="AREA", threads=1
        )
        image = cast(NDArray[np.uint8], small.to_ndarray())
        return np.ascontiguousarray(np.rot90(image, quarter_turns(frame)))

    def picture(frame: av.VideoFrame) -> bytes:
        # In two steps: FFmpeg's scaler refuses to make 4K that small.
        image = scaled(frame, 4 * SIDE, 4 * SIDE, "gray").reshape(SIDE, 4, SIDE, 4)
        small: NDArray[np.uint8] = image.mean(axis=(1, 3)).round().astype(np.uint8)
        return small.tobytes()

    def thumbnail(frame: av.VideoFrame) -> dict[str, Any]:
        scale = min(1.0, _THUMBNAIL_SIDE / max(frame.width, frame.height))
        width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
        image = scaled(frame, width, height, "rgb24")
        rgb = base64.b64encode(image.tobytes()).decode("ascii")
        return {"height": image.shape[0], "width": image.shape[1], "rgb": rgb}

    def in_order(request: dict[str, Any]) -> dict[str, Any]:
        wanted, middle = request["indices"], request["thumbnail"]
        last = max([*wanted, -1 if middle is None else middle])
        needed, seen, shown = set(wanted), {}, None
        with InOrderFrames(request["path"], request["container"]) as source:
            for i, frame in enumerate(source.decode()):
                if i in needed:
                    seen[i] = picture(frame)
                if i == middle:
                    shown = thumbnail(frame)
                if i >= last:
                    break
        return {"pictures": b"".join(seen[i] for i in wanted if i in seen), "thumbnail": shown}

    def fast(request: dict[str, Any]) -> dict[str, Any]:
        path = request["path"]
        with InOrderFrames(path, request["container"]) as source:
            stream, file = source.stream, source.file
            base = float(stream.time_base or 0) or 1e-6
            begin = next(source.decode(), None)
            if begin is None:
                raise VideoError(path, "no frame can be decoded")
            start = begin.pts or 0
            length = float(stream.duration * base) if stream.duration else 0.0
            length = length or (file.duration or 0) / av.time_base
            rate = float(stream.average_rate or stream.guessed_rate or 25)

            def decoded(seconds: float, *, to_end: bool) -> av.VideoFrame:
                """Return the frame due at a time, or the file's last one."""
                file.seek(start + int(seconds / base), stream=stream, backward=True)
                found = due(file.decode(stream), seconds, to_end)
                if found is None:
                    # Short transport streams, and files without an index, have nothing there.
                    with InOrderFrames(path, request["container"]) as again:
                        found = due(again.decode(), seconds, to_end)
                if found is None:
                    raise VideoError(path, f"no frame can be decoded from {seconds:.1f} s on")
                return found

            def due(
                frames: Iterator[av.VideoFrame], seconds: float, to_end: bool
            ) -> av.VideoFrame | None:
                last = None
                for last in frames:
                    late = last.pts is not None and (last.pts - start) * base >= seconds - 1e-6
                    if late and not to_end:
                        break
                return last

            middle = decoded(length / 2, to_end=False)
            end = decoded(max(0.0, length - 1 / rate), to_end=True)
            if begin.pts is not None and end.pts is not None:
                length = max(length, (end.pts - start) * base + 1 / rate)
                # Times that jump back tell nothing about the end.
                if 0 <= (end.pts - start) * base < 0.9 * length - 1:
                    raise VideoError(
                        path,
                        f"cut short: the last frame is at {(end.pts - start) * base:.1f} s of "
                        f"{length:.1f} s",
                    )
            turned = quarter_turns(begin) % 2 == 1
            return {
                "pictures": b"".join(map(picture, (begin, middle, end))),
                "thumbnail": None if request["thumbnail"] is None else thumbnail(middle),
                "record": {
                    "seconds": length,
                    "fps": rate,
                    "frames": stream.frames or round(length * rate),
                    "width": begin.height if turned else begin.width,
                    "height": begin.width if turned else begin.height,
                    "codec": str(stream.codec_context.name),
                    "pix_fmt": begin.format.name,
                    "rotation": 90 * quarter_turns(begin),
                    "audio": bool(file.streams.audio),
                },
            }

    def handle(request: dict[str, Any], answer: Answer) -> None:
        limit_memory(memory_bytes)
        try:
            found = fast(request) if request["fast"] else in_order(request)
            found["pictures"] = base64.b64encode(found["pictures"]).decode("ascii")
            answer({**found, "sha256": file_hash(request["path"])})
        except VideoError as error:
            answer({"refused": error.reason})
        except MemoryError:
            answer({"refused": "needs more memory than a check may use"})
        except Exception as error:
            answer({"refused": f"cannot be decoded: {one_line(error)}"})

    av.logging.set_level(av.logging.PANIC)
    serve(handle)


if __name__ == "__main__":
    main()
