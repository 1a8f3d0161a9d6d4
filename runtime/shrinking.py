"""A smaller picture for people and for measures of quality: fast, and clean enough to look at.

What networks see is resampled by runtime/preprocess.py instead, exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from runtime.preprocess import Image


def within(image: Image, long_side: int) -> Image:
    """At most that long. A picture of its own in any case, to draw on."""
    height, width = image.shape[:2]
    scale = min(1.0, long_side / max(height, width))
    return shrink(image, max(1, round(height * scale)), max(1, round(width * scale)))


def shrink(image: Image, height: int, width: int) -> Image:
    """Exact halves, then bilinear, which is clean down to a half: a fifth of an area's cost.

    A picture that is smaller than that is enlarged.
    """
    while image.shape[0] >= 2 * height and image.shape[1] >= 2 * width:
        rows, columns = image.shape[0] // 2, image.shape[1] // 2
        even = image[: 2 * rows, : 2 * columns]
        image = _resized(even, rows, columns, cv2.INTER_AREA)
    return _resized(image, height, width, cv2.INTER_LINEAR)


def _resized(image: Image, height: int, width: int, method: int) -> Image:
    out: Image = np.empty((height, width, 3), dtype=np.uint8)
    cv2.resize(image, (width, height), dst=out, interpolation=method)
    return out
