"""A lesion cut out as Goel et al. cut it, and set on skin of a tone of the palette (figure 5).

Everything outside the outline is that one colour. It is no picture of a lesion on such skin: the
lesion keeps the colours that it has on the skin it grew on, and so does the rim that the outline
leaves. What a network is asked with it is whether it goes by the colour of what lies around.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from calibration.skin.palette import Tone, palette
from runtime.lesion import Box, Lesion, nearest
from runtime.preprocess import Image


def set_on(tone: Tone, frame: Image, lesion: Lesion) -> Image:
    """The upright box of the lesion, with the tone where the recipe's crops are black."""
    box: Box = lesion.box
    inside = box.cut(nearest(lesion.mask, *frame.shape[:2]))[..., None] == 1
    return np.where(inside, box.cut(frame), np.array(tone.bgr, np.uint8))


def draw_tones(label: str, seed: int) -> Iterator[Tone]:
    """For one image of the class after the other, without end: at random, yet each tone as often as
    any other, but for what does not divide. A tone must not tell the class."""
    rng, tones = np.random.default_rng([seed, *label.encode()]), palette()
    while True:
        yield from (tones[place] for place in rng.permutation(len(tones)))
