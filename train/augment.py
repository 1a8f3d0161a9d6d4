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
    """Tint, brightness, contrast and saturation, as lamps and cameras vary; in 0…255 floats."""
    out = np.asarray(image, np.float32)
    gain = (
        1.0
        + rng.uniform(-how.brightness, how.brightness)
        + rng.uniform(-how.tint, how.tint, size=3)
    )
    contrast = 1.0 + rng.uniform(-how.contrast, how.contrast)
    if how.saturation:
        grey = out.mean(axis=2, keepdims=True)
        out = grey + (out - grey) * np.float32(1.0 + rng.uniform(-how.saturation, how.saturation))
    middle = out.mean(axis=(0, 1))
    out = (out - middle) * np.float32(contrast) + middle
    out *= gain.astype(np.float32)
    return np.clip(out, 0, 255)
