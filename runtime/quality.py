"""Whether a picture is one to judge: cheap measures of how it was taken.

How sharp and how bright it is, is measured on a small copy of what the networks look at: the lesion
with some skin around it, or the middle of the frame where no lesion was found; never the dark rim
of the optics. What is in the way is measured on the whole frame, and how the lesion lies in it on
its mask. A bundle sets limits on the measures by their names; runtime/decision.py applies them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from runtime.obstacles import coarse, measure_dark_rim, measure_hair, measure_skin_colour
from runtime.sharpness import measure_blur, measure_motion
from runtime.shrinking import shrink
from runtime.specs import ViewSpec
from runtime.standing_out import measure_standing_out

if TYPE_CHECKING:
    from runtime.lesion import Lesion
    from runtime.preprocess import Image

OF_EVERY_FRAME = {
    "short_side": "the frame's shorter side in pixels",
    "focus": "share of the fine detail that a blur of one pixel takes away: sharp 0.3 to 0.5",
    "motion": "how much blunter it is along one direction than along another, 0 to 1",
    "exposure": "mean luminance, 0 to 1",
    "contrast": "standard deviation of the luminance, 0 to 0.5",
    "dark_clipped": "share of pixels that are black in every channel",
    "bright_clipped": "share of pixels that are at the limit in every channel",
    "glare": "share of pixels in small bright spots without colour: reflections and bubbles",
    "dark_rim": "share of the frame that the dark rim of the optics covers",
    "hair": "share of the frame under long, thin, dark lines",
    "skin": "share of what is lit that has a colour of skin",
}
OF_THE_LESION = {
    "lesion_area": "share of the frame that the lesion fills",
    "lesion_at_border": "length of the frame's border under the lesion, to a disc of its area",
    "next_lesion": "the next largest thing that was segmented, as a share of the lesion",
    "lesion_contrast": "how far the lesion's mean colour is from that of the skin around it, ΔE",
    "lesion_pigment": "how much light the lesion takes, and of the blue more than of the red",
}
MEASURES = OF_EVERY_FRAME | OF_THE_LESION
"""Every measure and what it says. Without a lesion there are none of the lesion, and without skin
around it no contrast to that."""

LONG_SIDE = 256  # about what networks see; a finer blur than theirs does not matter
REGION = ViewSpec(area="lesion", margin=0.25)
DARK, BRIGHT = 5, 250
SPOT_SIZE, SPOT_LIGHT, SPOT_RISE = 15, 180, 40
"""A spot fits in `SPOT_SIZE` pixels, is lighter than `SPOT_LIGHT` in its weakest channel (so has
no colour), and stands out from what is around it by `SPOT_RISE`."""


def measure_quality(frame: Image, lesion: Lesion | None) -> dict[str, float]:
    """Every measure that the frame has, by name."""
    small = _small(_region(frame, lesion))
    grey = _grey(small)
    blue, green, red = cv2.split(small)  # ten times as fast as NumPy's min over an axis of three
    weakest, strongest = cv2.min(cv2.min(blue, green), red), cv2.max(cv2.max(blue, green), red)
    whole = _small(frame, enlarge=True)
    coarsely = coarse(whole)
    mean, deviation = cv2.meanStdDev(grey)
    measures = {
        "short_side": float(min(frame.shape[:2])),
        "focus": measure_blur(grey),
        "motion": measure_motion(grey),
        "exposure": min(float(mean[0, 0]) / 255, 1.0),  # the mean of 255s is a bit above it
        "contrast": float(deviation[0, 0]) / 255,
        "dark_clipped": _share(strongest <= DARK),
        "bright_clipped": _share(weakest >= BRIGHT),
        "glare": _glare(weakest),
        "dark_rim": measure_dark_rim(coarsely),
        "hair": measure_hair(_grey(whole)),
        "skin": measure_skin_colour(coarsely),
    }
    if lesion is not None:
        measures["lesion_area"] = lesion.area_fraction
        measures["lesion_at_border"] = _at_border(lesion)
        measures["next_lesion"] = lesion.next_largest
        standing_out = measure_standing_out(whole, lesion.mask)
        if standing_out is not None:
            measures["lesion_contrast"] = standing_out.contrast
            measures["lesion_pigment"] = standing_out.pigment
    return measures


def measure_focus(frame: Image, lesion: Lesion | None) -> float:
    """The focus alone, as it stands among all measures."""
    return measure_blur(_grey(_small(_region(frame, lesion))))


def _region(frame: Image, lesion: Lesion | None) -> Image:
    from runtime.lesion import view_box

    height, width = frame.shape[:2]
    if lesion is not None:
        return view_box(REGION, lesion, height, width).cut(frame)
    return frame[height // 4 : height - height // 4, width // 4 : width - width // 4]


def _small(image: Image, enlarge: bool = False) -> Image:
    """At most LONG_SIDE long. Only lengths in pixels ask for exactly that: an enlarged picture
    would look out of focus."""
    height, width = image.shape[:2]
    scale = LONG_SIDE / max(height, width)
    if scale == 1 or (scale > 1 and not enlarge):
        return image
    return shrink(image, max(round(height * scale), 1), max(round(width * scale), 1))


def _grey(image: Image) -> npt.NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), dtype=np.uint8)


def _glare(weakest: npt.NDArray[np.uint8]) -> float:
    around = np.ones((SPOT_SIZE, SPOT_SIZE), dtype=np.uint8)
    rise = cv2.morphologyEx(weakest, cv2.MORPH_TOPHAT, around)
    return _share((weakest >= SPOT_LIGHT) & (rise >= SPOT_RISE))


def _share(flags: npt.NDArray[np.bool_]) -> float:
    return np.count_nonzero(flags) / flags.size  # four times as fast as their mean


def _at_border(lesion: Lesion) -> float:
    """Held against a disc of the same area, and not against the lesion's own outline, which is as
    long as it is jagged. Of a disc that is cut in half it is 0.45, however large it is."""
    mask = lesion.mask
    along = mask[[0, -1]].sum() + mask[1:-1, [0, -1]].sum()
    round_it = 2 * np.sqrt(np.pi * mask.sum(dtype=np.float64))
    return float(min(along / round_it, 1.0))
