"""Holes of random shape in a picture, for a network to learn to fill: strokes of a brush."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.uint8]

STROKES = (1, 8)  # how many
TURNS = (2, 6)  # of each, in which it goes on another way
LENGTH, WIDTH = (0.05, 0.3), (0.01, 0.06)  # of a piece between two turns, and of the brush
MOST = 0.4  # of the picture: behind that nothing could be guessed


def draw_holes(height: int, width: int, rng: np.random.Generator) -> Mask:
    """1 where the picture is hidden, somewhere at least. Lengths are shares of the shorter side."""
    short = min(height, width)
    holes = np.zeros((height, width), np.uint8)
    for _ in range(int(rng.integers(*STROKES, endpoint=True))):
        stroke = np.zeros_like(holes)
        brush = max(1, round(short * rng.uniform(*WIDTH)))
        cv2.polylines(stroke, [_path(height, width, rng)], False, 1, brush)
        together = holes | stroke
        if together.mean() > MOST:
            break
        holes = together
    if not holes.any():
        holes[int(rng.integers(height)), int(rng.integers(width))] = 1
    return holes


def _path(height: int, width: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """It begins within the picture, and may leave it."""
    count = int(rng.integers(*TURNS, endpoint=True))
    turns = np.cumsum(np.append(rng.uniform(0, 2 * np.pi), rng.normal(0, 0.8, count - 1)))
    lengths = min(height, width) * rng.uniform(*LENGTH, count)
    steps = lengths[:, None] * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    start = rng.uniform((0, 0), (width - 1, height - 1))
    return np.rint(start + np.cumsum(np.vstack([np.zeros(2), steps]), axis=0)).astype(np.int32)
