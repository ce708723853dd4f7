"""Hard cuts by PySceneDetect, seen while a video is decoded."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from videolit.types import InputError

Detector = Literal["adaptive", "content"]


class CutWatcher:
    """Notes the frames at which a new shot begins, while a video is scanned.

    The detectors are PySceneDetect's with their defaults. They look at every frame, at most 256
    pixels wide.

    Args:
        detector: ``"adaptive"``: the change of colour against that of the frames around it;
            ``"content"``: against a fixed threshold.
        fps: Frames per second of the video, for the detector's own clock.

    Attributes:
        starts: First frames of the shots that were found, without frame 0.

    Raises:
        InputError: If PySceneDetect is not installed.
    """

    def __init__(self, detector: Detector = "adaptive", fps: float = 25.0) -> None:
        try:
            from scenedetect import FrameTimecode
            from scenedetect.detectors import AdaptiveDetector, ContentDetector
        except ImportError as problem:
            raise InputError(
                f"shots by {detector!r} need PySceneDetect: pip install 'videolit[scenes]', or "
                "take 'kts', which needs nothing"
            ) from problem
        self._timecode: Any = FrameTimecode
        self._detector: Any = AdaptiveDetector() if detector == "adaptive" else ContentDetector()
        self._fps = fps
        self.starts: list[int] = []

    def see(self, frame: int, time: float, image: NDArray[np.uint8]) -> None:
        """Look at a frame, uint8 ``(h, w, 3)`` RGB."""
        # OpenCV's order of colours.
        bgr = np.ascontiguousarray(image[:, :, ::-1])
        found = self._detector.process_frame(self._timecode(frame, fps=self._fps), bgr)
        self.starts += [int(cut.frame_num) for cut in found]
