"""A lesion cut out as Goel et al. cut it, and set on skin of a tone of the palette (figure 5).

Everything outside the outline is that one colour. It is no picture of a lesion on such skin: the
lesion keeps the colours that it has on the skin it grew on, and so does the rim that the outline
leaves. What a network is asked with it is whether it goes by the colour of what lies around.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibration.skin.palette import Tone, palette
from runtime.lesion import Box, Lesion, nearest
from runtime.preprocess import Image


def set_on(tone: Tone, frame: Image, lesion: Lesion) -> Image:
    """The upright box of the lesion, with the tone where the recipe's crops are black."""
    box: Box = lesion.box
    inside = box.cut(nearest(lesion.mask, *frame.shape[:2]))[..., None] == 1
    return np.where(inside, box.cut(frame), np.array(tone.bgr, np.uint8))


def draw_tones(labels: Sequence[str], seed: int) -> list[Tone]:
    """At random, yet each tone as often as any other in every class, but for what does not divide:
    a tone must not tell the class."""
    tones, chosen = palette(), [palette()[0]] * len(labels)
    for number, label in enumerate(sorted(set(labels))):
        rows = [row for row, own in enumerate(labels) if own == label]
        rng = np.random.default_rng([seed, number])
        rounds = -(-len(rows) // len(tones))
        deal = np.concatenate([rng.permutation(len(tones)) for _ in range(rounds)])
        for row, place in zip(rng.permutation(rows), deal, strict=False):
            chosen[row] = tones[place]
    return chosen
