"""Random changes to a training image at the network's size, after the device's preprocessing.

One affine warp and one colour change an image; a mask, if there is one, takes the same warp.
Pixels that come in from outside mirror the image, so that rotation adds no black corners for a
network to learn from.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from train.recipe_parts.training import Augmentation

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def random_warp(shape: tuple[int, int], how: Augmentation, rng: np.random.Generator) -> Floats:
    """A 2×3 matrix: rotation, shear, zoom, flips and shift about the image's centre."""
    height, width = shape
    angle = np.deg2rad(rng.uniform(-how.rotate, how.rotate))
    scale = 1.0 + rng.uniform(-how.zoom, how.zoom)
    if how.crop:
        scale /= 1.0 - rng.uniform(0.0, how.crop)
    flips = rng.choice([-1.0, 1.0], size=2) if how.flip else np.ones(2)
    if how.mirror:
        flips[0] *= rng.choice([-1.0, 1.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if how.shear:
        turn = turn @ [[1, np.tan(np.deg2rad(rng.uniform(-how.shear, how.shear)))], [0, 1]]
    linear = turn * flips  # flips the columns: x and y of the source
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    shift = rng.uniform(-how.shift, how.shift, size=2) * (width, height)
    offset = centre + shift - linear @ centre
    return np.column_stack([linear, offset]).astype(np.float32)


def warp(image: Pixels, matrix: Floats, *, nearest: bool = False) -> Pixels:
    size = (image.shape[1], image.shape[0])
    flags = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    warped = cv2.warpAffine(image, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(warped, dtype=np.uint8)


def recolour(image: Pixels | Floats, how: Augmentation, rng: np.random.Generator) -> Floats:
    """Tint, brightness, contrast and saturation, as lamps and cameras vary; in 0…255 floats.

    Each is linear in a pixel's channels, so all of them are one matrix, and one pass.
    """
    gain = (
        1.0
        + rng.uniform(-how.brightness, how.brightness)
        + rng.uniform(-how.tint, how.tint, size=3)
    )
    contrast = 1.0 + rng.uniform(-how.contrast, how.contrast)
    colour = 1.0 + (rng.uniform(-how.saturation, how.saturation) if how.saturation else 0.0)
    from_grey = colour * np.eye(3) + (1.0 - colour) / 3.0
    pixels = np.asarray(image, np.float32)
    middle = from_grey @ np.array(cv2.mean(pixels)[:3])
    linear = gain[:, None] * contrast * from_grey
    offset = gain * (1.0 - contrast) * middle
    changed = cv2.transform(pixels, np.column_stack([linear, offset]).astype(np.float32))
    return np.clip(changed, 0, 255, out=changed).astype(np.float32, copy=False)
