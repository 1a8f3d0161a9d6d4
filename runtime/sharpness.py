"""How sharp a grey picture is, and whether it is less so along one direction."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]

DIRECTIONS = ((1, 0), (0, 1), (1, 1), (1, -1))  # columns, rows
LEAST = 0.02
"""Of one direction's sharpness: where there is none at all, all directions are alike."""


def measure_blur(grey: Grey) -> float:
    """How much a further blur changes: little, where the picture was blurred already.

    A ratio of gradients, so that neither contrast nor exposure moves it. Noise counts as detail.
    """
    values = grey.astype(np.float32)
    before = _detail(values)
    if before == 0:
        return 0.0
    return max(0.0, 1 - _detail(cv2.GaussianBlur(values, (0, 0), 1.0)) / before)


def _detail(values: npt.NDArray[np.float32]) -> float:
    """The mean step from a pixel to the next one, along both axes."""
    across = cv2.absdiff(values[:, 1:], values[:, :-1])
    down = cv2.absdiff(values[1:], values[:-1])
    return sum(float(cv2.mean(steps)[0]) for steps in (across, down) if steps is not None)


def measure_motion(grey: Grey) -> float:
    """How much blunter the bluntest direction is than the sharpest: 0 for alike, 1 for smeared.

    Motion smears along its own direction and leaves detail across it. Hair that is combed one way
    looks a little like it.
    """
    sharpness = [_sharpness_along(grey, *direction) for direction in DIRECTIONS]
    return 1 - min(sharpness) / max(sharpness)


def _sharpness_along(grey: Grey, columns: int, rows: int) -> float:
    """Near 1 where the next pixel differs as much as the one after it; 0 where half as much."""
    near, far = (_step(grey, columns * lag, rows * lag) for lag in (1, 2))
    return max(2 * near / far - 1, LEAST) if far > 0 else LEAST


def _step(grey: Grey, columns: int, rows: int) -> float:
    height, width = grey.shape
    if width <= columns or height <= abs(rows):
        return 0.0
    one = grey[max(rows, 0) : height + min(rows, 0), columns:]
    other = grey[max(-rows, 0) : height - max(rows, 0), : width - columns]
    return float(cv2.mean(cv2.absdiff(one, other))[0])
