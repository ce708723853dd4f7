"""How sharp a picture is, to choose the frame that stands for a shot."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from videolit.types import InputError

# Noise and the codec's blocks live in the finest pixels of a large video; at one width edges count,
# and a picture's values do not depend on its size.
_WIDTH = 256


def sharpness(image: NDArray[np.uint8]) -> float:
    """Return the variance of a picture's Laplacian (Pech-Pacheco et al. 2000, "LAPV").

    Blur by motion or focus takes the edges away and so the Laplacian's variance. It is taken of
    the luma, on the picture scaled to a width of 256 pixels.

    Args:
        image: uint8 ``(H, W, 3)`` RGB.

    Returns:
        At least 0, in squared grey levels; 0 = one colour. Compare it only between frames of the
        same scene: what is there to see changes it more than blur does.

    Raises:
        InputError: If shape or dtype differ.
    """
    if image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape or image.dtype != np.uint8:
        raise InputError(
            f"sharpness needs a picture, uint8 (H, W, 3) RGB, got {image.dtype} "
            f"{tuple(image.shape)}; of a clip (T, H, W, 3) take one frame at a time"
        )
    height, width = image.shape[:2]
    size = (_WIDTH, max(1, round(height * _WIDTH / width)))
    # Averaging over areas is what a smaller picture would have shown; it cannot enlarge.
    smooth = cv2.INTER_AREA if width > _WIDTH else cv2.INTER_LINEAR
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=smooth)
    edges = cv2.Laplacian(grey, cv2.CV_64F, ksize=1, borderType=cv2.BORDER_REPLICATE)
    return float(edges.var())
