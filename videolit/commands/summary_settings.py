"""How scores become a summary: the settings of ``videolit.summarize``."""

from __future__ import annotations

import math
from typing import NamedTuple, get_args

from videolit.commands.shots import MAX_SHOT, MIN_SHOT, Shots
from videolit.ops.budget import Rank
from videolit.types import InputError


class Settings(NamedTuple):
    """How scores become a summary.

    Attributes:
        ratio: Share of the video that is kept.
        seconds: Length that is kept, in place of ``ratio``.
        shots: What finds shots.
        min_shot: Shortest shot in seconds.
        max_shot: Longest shot in seconds.
        rank: How shots are chosen, see :func:`videolit.ops.budget.choose`.
        diversity: What a shot loses when one like it is chosen; None = 0.5 without a model, else 0.
        keep: Seconds (start, end) that must be in the summary.
        drop: Seconds that must not.
    """

    ratio: float | None = None
    seconds: float | None = None
    shots: Shots = "kts"
    min_shot: float = MIN_SHOT
    max_shot: float = MAX_SHOT
    rank: Rank = "knapsack"
    diversity: float | None = None
    keep: tuple[tuple[float, float], ...] = ()
    drop: tuple[tuple[float, float], ...] = ()

    def check(self) -> None:
        """Refuse settings out of range.

        Raises:
            InputError: Names the setting.
        """
        if self.ratio is not None and self.seconds is not None:
            raise InputError("give a ratio or seconds, not both: each sets the summary's length")
        if self.ratio is not None and not 0 < self.ratio <= 1:
            raise InputError(f"ratio is a share of the video in (0, 1], got {self.ratio:g}")
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise InputError(f"seconds must be above 0, got {self.seconds:g}")
        for name, value, known in (
            ("shots", self.shots, get_args(Shots)),
            ("rank", self.rank, get_args(Rank)),
        ):
            if value not in known:
                raise InputError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        if not self.min_shot > 0 or not 2 * self.min_shot <= self.max_shot < math.inf:
            raise InputError(
                "min_shot must be above 0 and max_shot at least twice as long, so that what is too "
                f"long can be cut, got {self.min_shot:g} and {self.max_shot:g} s"
            )
        if self.diversity is not None and not 0 <= self.diversity <= 1:
            raise InputError(f"diversity must lie in [0, 1], got {self.diversity:g}")
