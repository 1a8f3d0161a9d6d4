"""Whether a picture is one to judge: cheap measures of how it was taken.

They are taken on a small copy of what the networks look at, the lesion with some skin around it,
or the middle of the frame where no lesion was found, and never of the dark corners of the optics.
A bundle sets limits on them by these names; runtime/decision.py applies the limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from runtime.specs import ViewSpec

if TYPE_CHECKING:
    from runtime.lesion import Lesion
    from runtime.preprocess import Image

MEASURES = {
    "short_side": "the frame's shorter side in pixels",
    "focus": "share of the fine detail that a blur of one pixel takes away: sharp 0.3 to 0.5",
    "exposure": "mean luminance, 0 to 1",
    "contrast": "standard deviation of the luminance, 0 to 0.5",
    "dark_clipped": "share of pixels that are black in every channel",
    "bright_clipped": "share of pixels that are at the limit in every channel",
    "glare": "share of pixels in small bright spots without colour: reflections and bubbles",
}
"""Every measure and what it says."""

LONG_SIDE = 256  # about what networks see; a finer blur than theirs does not matter
REGION = ViewSpec(area="lesion", margin=0.25)
DARK, BRIGHT = 5, 250
SPOT_SIZE, SPOT_LIGHT, SPOT_RISE = 15, 180, 40
"""A spot fits in `SPOT_SIZE` pixels, is lighter than `SPOT_LIGHT` in its weakest channel (so has
no colour), and stands out from what is around it by `SPOT_RISE`."""


def measure_quality(frame: Image, lesion: Lesion | None) -> dict[str, float]:
    """Every measure by name; all are numbers for any frame."""
    small = _small(_region(frame, lesion))
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    blue, green, red = cv2.split(small)  # ten times as fast as NumPy's min over an axis of three
    weakest, strongest = cv2.min(cv2.min(blue, green), red), cv2.max(cv2.max(blue, green), red)
    return {
        "short_side": float(min(frame.shape[:2])),
        "focus": _focus(grey),
        "exposure": float(grey.mean()) / 255,
        "contrast": float(grey.std()) / 255,
        "dark_clipped": float((strongest <= DARK).mean()),
        "bright_clipped": float((weakest >= BRIGHT).mean()),
        "glare": _glare(weakest),
    }


def measure_focus(frame: Image, lesion: Lesion | None) -> float:
    """The focus alone, as it stands among all measures."""
    return _focus(cv2.cvtColor(_small(_region(frame, lesion)), cv2.COLOR_BGR2GRAY))


def _region(frame: Image, lesion: Lesion | None) -> Image:
    from runtime.lesion import view_box

    height, width = frame.shape[:2]
    if lesion is not None:
        return view_box(REGION, lesion, height, width).cut(frame)
    return frame[height // 4 : height - height // 4, width // 4 : width - width // 4]


def _small(image: Image) -> Image:
    height, width = image.shape[:2]
    scale = LONG_SIDE / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    shrink = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=shrink), dtype=np.uint8)


def _focus(grey: npt.NDArray[np.uint8]) -> float:
    """How much a blur changes: little, where the picture was blurred already.

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


def _glare(weakest: npt.NDArray[np.uint8]) -> float:
    around = np.ones((SPOT_SIZE, SPOT_SIZE), dtype=np.uint8)
    rise = cv2.morphologyEx(weakest, cv2.MORPH_TOPHAT, around)
    return float(((weakest >= SPOT_LIGHT) & (rise >= SPOT_RISE)).mean())
