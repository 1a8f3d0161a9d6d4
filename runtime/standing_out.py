"""Whether what was outlined differs from the skin beside it, as a lesion does.

A segmenter that errs may outline a piece of skin. Networks then judge the skin, and mostly find it
harmless, while the lesion lies beside the crop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from runtime.shrinking import within

if TYPE_CHECKING:
    from runtime.lesion import Mask
    from runtime.preprocess import Image

LONG_SIDE = 128  # enough for mean colours
NEAREST, FARTHEST = 0.12, 0.25  # of the outline's radius: the skin that is looked at
FEWEST = 12  # pixels on either side of the outline, or nothing can be said


def measure_standing_out(picture: Image, mask: Mask) -> float | None:
    """How far the mean colours inside and around the outline are apart, as CIE's ΔE of 1976: 2 is
    hardly seen by eye, most lesions have over 10. None where there is no skin around it."""
    small = within(picture, LONG_SIDE)
    inside = cv2.resize(mask, small.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    area = int(np.count_nonzero(inside))
    radius = (area / np.pi) ** 0.5
    away = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3)
    # A pixel or two are between, where the outline may be off; of a small one the ring is wider.
    nearest = max(NEAREST * radius, 1.0)
    around = (away > nearest) & (away <= nearest + max((FARTHEST - NEAREST) * radius, 2.0))
    if min(area, int(np.count_nonzero(around))) < FEWEST:
        return None
    colours = cv2.cvtColor(small.astype(np.float32) * np.float32(1 / 255), cv2.COLOR_BGR2LAB)
    return float(np.linalg.norm(_mean(colours, inside) - _mean(colours, around.astype(np.uint8))))


def _mean(colours: npt.NDArray[np.float32], where: Mask) -> npt.NDArray[np.float64]:
    return np.array(cv2.mean(colours, where)[:3])
