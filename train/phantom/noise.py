"""Random fields everything else is drawn from: smooth noise, cells, soft steps, dots.

Lengths are fractions of the image's short side, so that a phantom keeps its look at any size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Bits = NDArray[np.uint8]


@dataclass(frozen=True)
class Grid:
    """The pixels of one image, with coordinates centred on it."""

    height: int
    width: int

    @property
    def short(self) -> int:
        return min(self.height, self.width)

    @property
    def shape(self) -> tuple[int, int]:
        return self.height, self.width

    @property
    def extent(self) -> tuple[float, float]:
        """Half height and half width in short sides."""
        return 0.5 * self.height / self.short, 0.5 * self.width / self.short

    def coordinates(self) -> tuple[Field, Field]:
        return _coordinates(self.height, self.width)

    def zeros(self) -> Field:
        return np.zeros(self.shape, np.float32)


@lru_cache(maxsize=8)
def _coordinates(height: int, width: int) -> tuple[Field, Field]:
    short = min(height, width)
    rows = (np.arange(height) + 0.5 - height / 2) / short
    columns = (np.arange(width) + 0.5 - width / 2) / short
    x = np.tile(columns.astype(np.float32), (height, 1))
    y = np.repeat(rows.astype(np.float32)[:, None], width, axis=1)
    x.setflags(write=False)  # shared between images: a stray `+=` must fail, not leak
    y.setflags(write=False)
    return x, y


def fbm(
    rng: np.random.Generator, grid: Grid, period: float, octaves: int = 4, gain: float = 0.5
) -> Field:
    """Fractal noise of mean 0 and deviation 1; `period` is the size of its largest blobs.

    Built coarse to fine, each level doubling the last: the cost is that of the finest level.
    """
    rows, columns = (max(2, round(2 * e / period) + 2) for e in grid.extent)
    field = rng.standard_normal((rows, columns), dtype=np.float32)
    amplitude = 1.0
    for _ in range(octaves - 1):
        rows, columns = 2 * rows, 2 * columns
        if rows > grid.height or columns > grid.width:
            break
        amplitude *= gain
        field = cv2.resize(field, (columns, rows), interpolation=cv2.INTER_CUBIC)
        field += amplitude * rng.standard_normal((rows, columns), dtype=np.float32)
    field = cv2.resize(field, (grid.width, grid.height), interpolation=cv2.INTER_CUBIC)
    mean, deviation = cv2.meanStdDev(field)
    return (field - np.float32(mean[0, 0])) * np.float32(1 / max(deviation[0, 0], 1e-6))


def smoothstep(field: Field, low: float, high: float) -> Field:
    t = np.clip((field - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return t * t * (3 - 2 * t)


def cell_borders(rng: np.random.Generator, x: Field, y: Field, cell: float, jitter: float) -> Field:
    """0 on the walls of a jittered honeycomb, about 0.5 in the middle of its cells."""
    rows = np.float32(1 / (0.87 * cell))
    u, v = x * np.float32(1 / cell) + 500, y * rows + 500
    offsets = rng.uniform(-jitter, jitter, (2, 64 * 64)).astype(np.float32)
    nearest = np.full(x.shape, 9, np.float32)
    second = nearest.copy()
    row = np.floor(v).astype(np.int32)
    for step_row in (-1, 0, 1):
        j = row + step_row
        shifted = u - np.float32(0.5) * (j & 1)  # every other row by half a cell: hexagons
        column = np.floor(shifted).astype(np.int32)
        rest_u, rest_v = shifted - column, v - j
        base = (j & 63) * 64
        for step in (-1, 0, 1):
            key = base + ((column + step) & 63)
            du = rest_u - (step + np.float32(0.5)) - offsets[0].take(key)
            dv = (rest_v - np.float32(0.5) - offsets[1].take(key)) * np.float32(0.87)
            distance = du * du + dv * dv
            second = np.minimum(second, np.maximum(nearest, distance))
            nearest = np.minimum(nearest, distance)
    return np.sqrt(second) - np.sqrt(nearest)


def scatter(
    rng: np.random.Generator, grid: Grid, where: NDArray[np.bool_], count: int
) -> NDArray[np.float64]:
    """Up to `count` random points (x, y in pixels) inside `where`; none if it is empty."""
    places = np.flatnonzero(where)
    if places.size == 0 or count <= 0:
        return np.zeros((0, 2))
    rows, columns = np.divmod(rng.choice(places, count), grid.width)
    return np.stack([columns, rows], axis=1) + rng.uniform(0, 1, (count, 2))
