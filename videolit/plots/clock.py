"""Times of a video as people write them, and marks at round ones."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter

# Seconds between two marks of the axis: the numbers that people count time by.
_STEPS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_MOST_MARKS = 13


def clock(seconds: float, longest: float, *, tenths: bool = False) -> str:
    """Return a time as 4:05, as 1:04:05 where the video is that long, or as 4:05.5.

    Args:
        seconds: At least 0; rounded to what is written.
        longest: The video's last moment in seconds, so that all its times are written alike.
        tenths: Write tenths of a second.
    """
    tens = round(10 * seconds) if tenths else 10 * round(seconds)
    rest = f".{tens % 10}" if tenths else ""
    minutes, second = divmod(tens // 10, 60)
    if longest < 3600:
        return f"{minutes}:{second:02d}{rest}"
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}{rest}"


def time_marks(axes: Axes, begin: float, finish: float) -> None:
    """Let the horizontal axis run from ``begin`` to ``finish`` seconds, with marks at round times.

    At most 14 marks are written, as :func:`clock` does.
    """
    span = finish - begin
    step = next((s for s in _STEPS if span / s <= _MOST_MARKS), span / _MOST_MARKS)
    first = np.ceil(begin / step - 1e-9) * step
    marks = np.arange(first, finish + step * 1e-6, step).tolist()
    axes.set_xlim(begin, finish)
    axes.xaxis.set_major_locator(FixedLocator(marks))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda seconds, _: clock(seconds, finish, tenths=step < 1))
    )
