"""Heat maps over a frame: where in it the members' layers found something to answer to.

Each member's map (VisualBackProp or the last layer's activations, out of the bundle's `explain`
graphs) is laid where its view lies in the frame, and they are averaged. It is no outline of
disease, and no reason for a score.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from runtime.overlay import LONG_SIDE
from runtime.shrinking import within

if TYPE_CHECKING:
    from runtime.lesion import Box
    from runtime.preprocess import Image

Floats = npt.NDArray[np.float32]

SIDE = 320  # of a frame's map: members look at about that many pixels
HOTTEST = 99.5
"""The percentile that is shown as 1. Convolutions answer to the edge of a picture too, and a few
pixels there would leave the rest of it cold."""
STRONGEST = 0.75  # how opaque the hottest place is; what is cold stays as it is
MEANING = (
    "Bright: here the networks' layers found something to answer to. It does not say what, and not "
    "for which class; it is no outline of disease."
)


def over_frame(heats: Iterable[tuple[Box, Floats]], height: int, width: int) -> Floats:
    """The mean of the maps, from 0 to 1, in the frame's shape with a long side of SIDE at most.

    Outside a member's view its map is zero: there it has seen nothing.
    """
    scale = min(1.0, SIDE / max(height, width))
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    total = np.zeros((rows, columns), np.float32)
    for box, heat in heats:
        top, bottom = _span(box.y, box.height, rows / height, rows)
        left, right = _span(box.x, box.width, columns / width, columns)
        part = cv2.resize(heat, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
        total[top:bottom, left:right] += part
    hottest = float(np.percentile(total, HOTTEST))
    return np.asarray(np.minimum(total / hottest, 1) if hottest > 0 else total > 0, np.float32)


def _span(start: int, length: int, scale: float, limit: int) -> tuple[int, int]:
    first = min(round(start * scale), limit - 1)
    return first, min(max(round((start + length) * scale), first + 1), limit)


def blended(picture: Image, heat: Floats) -> Image:
    """The picture with the map on it: cold is clear, hot is bright."""
    height, width = picture.shape[:2]
    large = cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR)
    colours = cv2.applyColorMap((large * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    share = (large * STRONGEST)[..., None]
    return np.asarray(picture * (1 - share) + colours * share, np.uint8)


def draw_heatmap(frame: Image, heat: Floats) -> Image:
    """The frame with its map, as large as an overlay shows it."""
    return blended(within(frame, LONG_SIDE), heat)


def as_layer(heat: Floats) -> Image:
    """Blue, green, red and opacity: to be laid over a picture that is shown elsewhere."""
    colours = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    opacity = (heat * STRONGEST * 255).astype(np.uint8)
    return np.asarray(np.dstack([colours, opacity]), np.uint8)
