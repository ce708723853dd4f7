"""The picture that stands for a part of a video: sharp, and near its best moment."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from videolit.data.decoders import quarter_turns
from videolit.data.index import VideoIndex
from videolit.data.pictures import read_ranges
from videolit.ops.keyframes import sharpness

# Seconds around the best moment in which the sharpest frame is looked for.
AROUND = 0.5


class Still(NamedTuple):
    """A picture of a video.

    Attributes:
        frame: Number of the frame.
        image: uint8 ``(H, W, 3)`` RGB, upright.
    """

    frame: int
    image: NDArray[np.uint8]


def read_stills(
    path: str, index: VideoIndex, parts: Sequence[tuple[int, int]], moments: Sequence[float]
) -> Iterator[Still]:
    """Yield the sharpest frame of each part within half a second of its best moment.

    Args:
        path: Absolute path.
        index: The file's verified record.
        parts: First frame and the one after the last, increasing, without overlap.
        moments: Best moment of each, in seconds.

    Raises:
        VideoError: If the file changed since it was checked.
    """
    times = index.timestamps
    ranges = []
    for (first, stop), moment in zip(parts, moments, strict=True):
        near = np.searchsorted(times, [moment - AROUND, moment + AROUND])
        start = int(np.clip(near[0], first, stop - 1))
        ranges.append((start, int(np.clip(near[1], start + 1, stop))))
    frames = read_ranges(path, index, ranges)
    convert = VideoReformatter()
    for start, end in ranges:
        best, found = -1.0, Still(start, np.empty(0, np.uint8))
        for number, frame in zip(
            range(start, end), itertools.islice(frames, end - start), strict=True
        ):
            rgb = convert.reformat(frame, format="rgb24", threads=1).to_ndarray()
            image = np.rot90(np.asarray(rgb, np.uint8), quarter_turns(frame))
            sharp = sharpness(image)
            if sharp > best:
                best, found = sharp, Still(number, np.ascontiguousarray(image))
        yield found
