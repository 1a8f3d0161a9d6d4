"""The colour of the skin around a lesion, past what lies on it and what dermatoscopes add to it."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from runtime.lesion import Mask
from runtime.preprocess import Image

SIDE = 256  # pixels of the longer side: tone needs no detail
NEAR, FAR = 0.03, 0.2  # of the frame's longer side: the ring starts off the border, whose skin is
# still lesion, and does not go far, where light falls off
BLACK, GLARE = 12.0, 97.0  # lightness outside of which a pixel is not skin
HAIR_WIDTH, HAIR_DEPTH = 9, 6.0  # pixels, and lightness below what is on either side
LEAST_PIXELS = 50


def skin_colour(frame: Image, mask: Mask) -> npt.NDArray[np.float64] | None:
    """In CIELAB, the median of each channel: rulers, bubbles and what hair is left are no skin.

    None where too little skin is in sight. `mask` may have another size than the frame.
    """
    scale = min(1.0, SIDE / max(frame.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in frame.shape[:2])
    small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)
    inside = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
    away = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3) / max(height, width)
    lightness = lab[..., 0]
    skin = (away > NEAR) & (away < FAR) & (lightness > BLACK) & (lightness < GLARE)
    skin &= _in_the_oval(height, width) & ~_hair(lightness)
    if np.count_nonzero(skin) < LEAST_PIXELS:
        return None
    return np.median(lab[skin].astype(np.float64), axis=0)


def _in_the_oval(height: int, width: int) -> npt.NDArray[np.bool_]:
    """Corners are dark in many dermatoscopes. A rule by shape cannot take dark skin for one."""
    rows, columns = np.ogrid[:height, :width]
    down = (2 * rows + 1) / height - 1
    along = (2 * columns + 1) / width - 1
    return np.asarray(down**2 + along**2 < 1)


def _hair(lightness: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """What is narrow and darker than both its sides, and the pixels at its edge."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (HAIR_WIDTH, HAIR_WIDTH))
    depth = cv2.morphologyEx(lightness, cv2.MORPH_CLOSE, disc) - lightness
    found = (depth > HAIR_DEPTH).astype(np.uint8)
    return np.asarray(cv2.dilate(found, np.ones((3, 3), np.uint8)) > 0)
