"""What lies on skin or before it, drawn onto training images as it is onto phantoms.

In a data set a ruler or a ring of ink may go with a class, and a network then learns the ruler.
Drawn onto images of all classes alike it tells of none. They are drawn at the network's size, after
the crop: where nothing is known of the mask, ink keeps out of the middle, and what a view has made
black stays so.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from train.phantom.artefacts import aperture, draw_bubbles, draw_ink
from train.phantom.hair import draw_hair
from train.phantom.noise import Grid
from train.phantom.ruler import draw_ruler

Floats = npt.NDArray[np.float32]
MIDDLE = 0.3  # of the sides


def occlude(image: Floats, chance: float, rng: np.random.Generator) -> Floats:
    """A BGR image from 0 to 255 with hair, a ruler, ink, bubbles and a dark rim, each as likely."""
    height, width = image.shape[:2]
    black = ~image.any(axis=2, keepdims=True)
    grid, scene = Grid(height, width), image * np.float32(1 / 255)
    ink, hair, bubbles, ruler, rim = rng.random(5) < chance
    if ink:
        scene = draw_ink(rng, grid, scene, _middle(height, width))
    if hair:
        scene, _ = draw_hair(rng, grid, scene)
    if bubbles:
        scene = draw_bubbles(rng, grid, scene)
    if ruler:
        scene, _ = draw_ruler(rng, grid, scene)
    if rim:
        light, dark = aperture(rng, grid)
        scene = dark + (scene - dark) * light[..., None]
    return np.where(black, image, scene * np.float32(255)).astype(np.float32)


def _middle(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Where a lesion mostly is."""
    y, x = np.mgrid[:height, :width]
    away = np.hypot((y + 0.5) / height - 0.5, (x + 0.5) / width - 0.5)
    return (away < MIDDLE).astype(np.uint8)
