"""A rough estimate of skin tone: the typology angle of the skin around the lesion.

The angle (ITA) is made for a colorimeter. From a photograph it depends on lamp, white balance and
exposure as well as on skin, so that single images are often put into a neighbouring group. It is
good enough to show that a group is nearly empty, and to raise a suspicion, no more.
"""

from __future__ import annotations

import numpy as np

from calibration.skin.around import skin_colour
from runtime.lesion import Lesion
from runtime.preprocess import Image

GROUPS = ("very light", "light", "intermediate", "tan", "brown", "dark")
LIMITS = (55.0, 41.0, 28.0, 10.0, -30.0)  # degrees, between one group and the next darker


def skin_angle(frame: Image, lesion: Lesion) -> float:
    """Degrees, lower for darker skin. NaN where too little skin is in sight, or it looks blue."""
    colour = skin_colour(frame, lesion.mask)
    return float("nan") if colour is None else typology_angle(*colour)


def typology_angle(lightness: float, _: float, yellow: float) -> float:
    return float(np.degrees(np.arctan((lightness - 50) / yellow))) if yellow > 0 else float("nan")


def tone_group(angle: float) -> str | None:
    if not np.isfinite(angle):
        return None
    return GROUPS[sum(angle <= limit for limit in LIMITS)]
