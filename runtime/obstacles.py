"""What is in the way on the whole frame: the dark rim of the optics, hair, something but skin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from runtime.preprocess import Image

Grey = npt.NDArray[np.uint8]

COARSE = 64  # pixels a side: enough for what is large
UNLIT = 40  # of 255, in the strongest channel: the optics' rim, or nothing
HAIR_WIDTH, HAIR_DEPTH, HAIR_LENGTH = 7, 14, 40
"""In a copy whose long side is 256: a hair is thinner than this, darker than what is beside it by
this many levels, and its line reaches this far. Pigment networks have shorter lines."""
CAST_RED_BLUE, CAST_RED_GREEN = 0.92, 0.95
"""Skin and pigment are at least this red beside the other channels, pale white balance included."""
COLOURLESS = 0.025  # on average: of 3,489 real pictures the palest had 0.029
PALE = 0.3  # no more colour than this: scales, white skin, reflections, black hair


def coarse(frame: Image) -> Image:
    return np.asarray(cv2.resize(frame, (COARSE, COARSE), interpolation=cv2.INTER_AREA), np.uint8)


def measure_dark_rim(coarsely: Image) -> float:
    """The share of the frame that is dark and hangs together with one of its corners."""
    dark = (_strongest(*cv2.split(coarsely)) < UNLIT).astype(np.uint8)
    _, labels = cv2.connectedComponents(dark, connectivity=4)
    corners = {int(labels[row, column]) for row in (0, -1) for column in (0, -1)} - {0}
    return sum(float((labels == corner).mean()) for corner in corners)


def measure_skin_colour(coarsely: Image) -> float:
    """The share of what is lit whose colour skin or a lesion can have; 0 for a grey picture.

    Wide on purpose, for every tone of skin and white balance: it is for pictures of something
    else, and for cameras whose red and blue are exchanged.
    """
    blue, green, red = cv2.split(coarsely.astype(np.float32))
    strongest = _strongest(blue, green, red)
    lit = strongest >= UNLIT
    count = np.count_nonzero(lit)
    if count == 0:
        return 0.0
    warm = (red >= CAST_RED_BLUE * blue) & (red >= CAST_RED_GREEN * green)
    weakest = cv2.min(cv2.min(blue, green), red)
    if ((strongest - weakest)[lit] / strongest[lit]).mean() < COLOURLESS:
        return 0.0
    pale = weakest > (1 - PALE) * strongest
    return float(np.count_nonzero((warm | pale) & lit) / count)


def measure_hair(grey: Grey) -> float:
    """The share of the frame under long, thin, dark lines. `grey` has a long side of 256."""
    lines = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, np.ones((HAIR_WIDTH, HAIR_WIDTH), np.uint8))
    thin = (lines >= HAIR_DEPTH).astype(np.uint8)
    _, _, found, _ = cv2.connectedComponentsWithStats(thin, connectivity=8)
    found = found[1:]  # the first is the background
    reach = np.hypot(found[:, cv2.CC_STAT_WIDTH], found[:, cv2.CC_STAT_HEIGHT])
    return float(found[reach >= HAIR_LENGTH, cv2.CC_STAT_AREA].sum()) / grey.size


def _strongest(
    blue: cv2.typing.MatLike, green: cv2.typing.MatLike, red: cv2.typing.MatLike
) -> cv2.typing.MatLike:
    return cv2.max(cv2.max(blue, green), red)
