"""Lamp, lens, white balance, sensor and JPEG."""

from __future__ import annotations

import cv2
import numpy as np

from train.phantom.noise import Bits, Field, Grid
from train.phantom.optics import cover


def _lamp(rng: np.random.Generator, grid: Grid) -> Field:
    """A gentle gradient, brighter in the middle."""
    x, y = grid.coordinates()
    slope, turn = abs(rng.normal(0, 0.12)), rng.uniform(0, 2 * np.pi)
    tilt = np.float32(slope * np.cos(turn)) * x + np.float32(slope * np.sin(turn)) * y
    fall = np.float32(rng.uniform(0.05, 0.5)) * (x * x + y * y)
    gain: Field = 1 + tilt - fall
    return gain


def _exposure(rng: np.random.Generator, scene: Field) -> float:
    """Scopes expose for the picture: dark skin is lifted part of the way, not all of it."""
    level = float(scene.mean())
    return float((0.80 / max(level, 0.02)) ** rng.uniform(0.4, 0.75) * np.exp(rng.normal(0, 0.10)))


def _balance(rng: np.random.Generator) -> Field:
    """Warm to cold, a little green or magenta: scopes differ more in this than skins do."""
    warm = rng.normal(0, 0.09)
    gains = np.exp(np.array([-warm, rng.normal(0.03, 0.03), 0.5 * warm - 0.03]))
    return gains.astype(np.float32)


def photograph(
    rng: np.random.Generator, grid: Grid, scene: Field, light: tuple[Field, Field] | None
) -> Bits:
    image = (
        scene * _lamp(rng, grid)[..., None] * (_balance(rng) * np.float32(_exposure(rng, scene)))
    )
    grey = image.mean(axis=2, keepdims=True)
    image = grey + np.float32(rng.uniform(0.6, 1.05)) * (image - grey)
    contrast = np.float32(rng.uniform(0.92, 1.12))
    image = np.power(np.clip(image, 1e-4, None), contrast)
    image = np.where(image > 0.85, 0.85 + 0.15 * np.tanh((image - 0.85) / 0.15), image)
    if light is not None:
        through, dark = light
        image = cover(image, dark, 1 - through)
    unit = grid.short / 256
    image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), unit * rng.uniform(0.3, 0.75))
    noise = rng.standard_normal(grid.shape, dtype=np.float32) * np.float32(rng.uniform(0.2, 1.6))
    pixels = np.clip(255 * image + noise[..., None], 0, 255).astype(np.uint8)
    quality = int(rng.integers(82, 97))
    _, packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded: Bits = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return decoded
