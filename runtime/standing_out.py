"""Whether what was outlined differs from the skin beside it, as a lesion does.

A segmenter that errs may outline a piece of skin. Networks then judge the skin, and mostly find it
harmless, while the lesion lies beside the crop. And whatever the light and the white balance,
melanin near the surface and blood take light away, and more of the blue than of the red: where it
is the other way round the picture is a negative, its colours are exchanged, or the lesion is one of
the few that are blue or white throughout, which is why the hint of that limit names them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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
DARKEST = 4  # of 255: what is darker counts as this, and no ratio is of noise


class StandingOut(NamedTuple):
    """`contrast`: how far the mean colours inside and around the outline are apart, as CIE's ΔE of
    1976: 2 is hardly seen by eye, most lesions have over 10.

    `pigment`: how many times more green light comes from around it, and how many times more of the
    blue than of the red is taken away, as natural logarithms; the lesser of both."""

    contrast: float
    pigment: float


def measure_standing_out(picture: Image, mask: Mask) -> StandingOut | None:
    """None where there is no skin around it."""
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
    parts = inside, around.astype(np.uint8)
    floats = small.astype(np.float32)
    colours = cv2.cvtColor(floats * np.float32(1 / 255), cv2.COLOR_BGR2LAB)
    contrast = float(np.linalg.norm(np.subtract(*(_mean(colours, part) for part in parts))))
    lesion, skin = (np.log(np.maximum(_mean(floats, part), DARKEST)) for part in parts)
    blue, green, red = (skin - lesion).tolist()
    return StandingOut(contrast, min(green, blue - red))


def _mean(colours: npt.NDArray[np.float32], where: Mask) -> npt.NDArray[np.float64]:
    return np.array(cv2.mean(colours, where)[:3])
