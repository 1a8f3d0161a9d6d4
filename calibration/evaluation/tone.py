"""A rough estimate of skin tone: the typology angle of the skin around the lesion.

The angle (ITA) is made for a colorimeter. From a photograph it depends on lamp, white balance and
exposure as well as on skin, so that single images are often put into a neighbouring group. It is
good enough to show that a group is nearly empty, and to raise a suspicion, no more.
"""

from __future__ import annotations

import cv2
import numpy as np

from runtime.lesion import Lesion
from runtime.preprocess import Image

GROUPS = ("very light", "light", "intermediate", "tan", "brown", "dark")
LIMITS = (55.0, 41.0, 28.0, 10.0, -30.0)  # degrees, between one group and the next darker
SIDE = 256  # pixels of the longer side: tone needs no detail
NEAR, FAR = 0.03, 0.2  # of the frame's longer side: the ring starts off the border, whose skin is
# still lesion, and ends before the corners, which are dark in many dermatoscopes
BLACK, GLARE = 12.0, 97.0  # lightness outside of which a pixel is not skin
LEAST_PIXELS = 50


def skin_angle(frame: Image, lesion: Lesion) -> float:
    """Degrees, lower for darker skin. NaN where too little skin is in sight, or it looks blue."""
    scale = min(1.0, SIDE / max(frame.shape[:2]))
    size = tuple(max(1, round(length * scale)) for length in frame.shape[1::-1])
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    mask = cv2.resize(lesion.mask, size, interpolation=cv2.INTER_NEAREST)
    outside = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 3) / max(size)
    lightness, _, yellow = cv2.split(cv2.cvtColor(small, cv2.COLOR_BGR2LAB))
    visible = (lightness > BLACK) & (lightness < GLARE)
    ring = (outside > NEAR) & (outside < FAR) & visible
    if np.count_nonzero(ring) < LEAST_PIXELS:
        return float("nan")
    # Medians, because hairs and bubbles are no skin.
    light, hue = float(np.median(lightness[ring])), float(np.median(yellow[ring]))
    return float(np.degrees(np.arctan((light - 50) / hue))) if hue > 0 else float("nan")


def tone_group(angle: float) -> str | None:
    if not np.isfinite(angle):
        return None
    return GROUPS[sum(angle <= limit for limit in LIMITS)]
