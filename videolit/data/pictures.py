"""Frames of a video on their way to an encoder: ranges of them, upright, in 4:2:0."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from videolit.data.decoders import InOrderFrames, one_line, quarter_turns
from videolit.data.index import VideoIndex
from videolit.data.verify import choose_decoder
from videolit.types import VideoError

LAYOUT = "yuv420p"
# FFmpeg's numbers of colour ranges, and those of its scaler for matrices.
LIMITED_RANGE, _FULL_RANGE = 1, 2
_BT709, _BT601 = 1, 5
# From this height on players take unmarked video for BT.709, below it for BT.601.
_HD_HEIGHT = 720


def read_ranges(
    path: str, index: VideoIndex, ranges: Sequence[tuple[int, int]]
) -> Iterator[av.VideoFrame]:
    """Yield the frames of some ranges as they are decoded, one at a time.

    Decoding starts at the key frame before a range where that is verified for the file and gives
    the frames in order, else at frame 0.

    Args:
        path: Absolute path of the file.
        index: Its verified record.
        ranges: First frame and the one after the last, increasing, without overlap.

    Raises:
        VideoError: If the file changed since it was checked.
    """
    done = 0
    if choose_decoder(index) != "pyav":
        try:
            for frame in _by_jumps(path, index, ranges):
                yield frame
                done += 1
            return
        except (VideoError, av.FFmpegError):
            # Decoding in order is always right, and goes on where jumping failed.
            pass
    wanted = itertools.chain.from_iterable(range(*bounds) for bounds in ranges)
    yield from _in_order(path, index, itertools.islice(wanted, done, None))


def _by_jumps(
    path: str, index: VideoIndex, ranges: Sequence[tuple[int, int]]
) -> Iterator[av.VideoFrame]:
    keys = np.asarray(index.key_frames, np.int64)
    with InOrderFrames(path, index.container) as source:
        frames = source.decode()
        position = 0
        for start, stop in ranges:
            place = int(np.searchsorted(keys, start, side="right")) - 1
            if place >= 0 and keys[place] > position:
                source.file.seek(index.pts[int(keys[place])], stream=source.stream)
                frames = source.file.decode(source.stream)
            for wanted in range(start, stop):
                for frame in frames:
                    if frame.pts is None or frame.pts >= index.pts[wanted]:
                        break
                else:
                    raise VideoError(path, f"ends before frame {wanted}")
                if frame.pts != index.pts[wanted] or frame.is_corrupt:
                    raise VideoError(path, f"frame {wanted} is not where it is jumped to")
                yield frame
            position = stop


def _in_order(path: str, index: VideoIndex, wanted: Iterator[int]) -> Iterator[av.VideoFrame]:
    with InOrderFrames(path, index.container) as source:
        position = -1
        for number in wanted:
            while position < number:
                try:
                    frame = next(source.decode())
                except StopIteration:
                    raise VideoError(
                        path,
                        f"ends after {position + 1} frames; the file changed since it was checked",
                    ) from None
                except av.FFmpegError as error:
                    raise VideoError(
                        path, f"damaged at frame {position + 1}: {one_line(error)}"
                    ) from error
                position += 1
            yield frame


class Upright:
    """Turns decoded frames into 8-bit 4:2:0 ones in limited range, upright, with even sides.

    Where a side is odd its last line is cut off. Matrix, primaries and transfer stay as they are
    and are marked on the frame; RGB becomes what players take unmarked video of its size for.
    """

    def __init__(self) -> None:
        # Kept, as a new one costs the set-up of the colour conversion for each frame.
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return the frame, itself where nothing is to be done."""
        turns = quarter_turns(frame)
        matrix = None
        if frame.format.is_rgb:
            matrix = _BT709 if frame.height >= _HD_HEIGHT else _BT601
        # FFmpeg itself knows that RGB, grey and the "yuvj" formats are of full range.
        full = frame.color_range == _FULL_RANGE and not frame.format.is_rgb
        converted = self._reformatter.reformat(
            frame,
            format=LAYOUT,
            dst_colorspace=matrix,
            src_color_range=_FULL_RANGE if full else None,
            dst_color_range=LIMITED_RANGE,
            threads=1,
        )
        if not turns and converted.width % 2 == 0 and converted.height % 2 == 0:
            return converted
        planes = [np.rot90(plane, turns) for plane in _even_planes(converted)]
        height, width = planes[0].shape
        flat = np.concatenate([np.ascontiguousarray(plane).reshape(-1) for plane in planes])
        turned = av.VideoFrame.from_ndarray(flat.reshape(height * 3 // 2, width), format=LAYOUT)
        turned.colorspace, turned.color_range = converted.colorspace, converted.color_range
        turned.color_primaries, turned.color_trc = converted.color_primaries, converted.color_trc
        return turned


def _even_planes(frame: av.VideoFrame) -> list[NDArray[np.uint8]]:
    """Return views of the three planes without what is beyond an even size."""
    height, width = frame.height // 2 * 2, frame.width // 2 * 2
    planes = []
    for number, plane in enumerate(frame.planes):
        step = 1 if number == 0 else 2
        pixels = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        planes.append(pixels[: height // step, : width // step])
    return planes
